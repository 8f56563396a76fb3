namespace Shared.Pricing;

/// <summary>
/// What one model call used, in tokens, with every part counted once: the parts of the input add up to its total, and so do those of the output.
/// Dialects that report overlapping figures (OpenAI counts cached tokens inside the prompt, Anthropic does not) are brought to this form by their decoder.
/// </summary>
public readonly record struct TokenUsage
{
    /// <summary>Input tokens that were neither read from nor written to a prompt cache, all modalities but those counted apart.</summary>
    public long Input { get; init; }

    /// <summary>Input tokens read from a prompt cache.</summary>
    public long CacheRead { get; init; }

    /// <summary>Input tokens written to a prompt cache, save those of <see cref="CacheWrite1h"/>.</summary>
    public long CacheWrite { get; init; }

    /// <summary>Input tokens that were reported as written to a prompt cache for an hour.</summary>
    public long CacheWrite1h { get; init; }

    /// <summary>Audio input tokens.</summary>
    public long AudioInput { get; init; }

    /// <summary>Image input tokens, where the provider reports them apart.</summary>
    public long ImageInput { get; init; }

    /// <summary>Output tokens that the client sees, all modalities but those counted apart.</summary>
    public long Output { get; init; }

    /// <summary>Output tokens spent on reasoning.</summary>
    public long Reasoning { get; init; }

    /// <summary>Audio output tokens.</summary>
    public long AudioOutput { get; init; }

    /// <summary>Image output tokens, where the provider reports them apart.</summary>
    public long ImageOutput { get; init; }

    /// <summary>What was used beside tokens, where the provider bills by something else: pictures, seconds, characters, searches.</summary>
    public UnitUsage Units { get; init; }

    /// <summary>All input tokens.</summary>
    public long TotalInput => Input + CacheRead + CacheWrite + CacheWrite1h + AudioInput + ImageInput;

    /// <summary>All output tokens.</summary>
    public long TotalOutput => Output + Reasoning + AudioOutput + ImageOutput;

    /// <summary>All tokens.</summary>
    public long Total => TotalInput + TotalOutput;
}
