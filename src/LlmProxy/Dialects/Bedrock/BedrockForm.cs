using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>How a Converse request was written, where the neutral form has one thing for several: <see cref="NeutralRequest.SourceForm"/>.</summary>
internal sealed class BedrockForm
{
    /// <summary>Blocks that another format has in another shape, raw.</summary>
    public Dictionary<NeutralPart, ReadOnlyMemory<byte>> Blocks { get; } = [];

    /// <summary>Declarations that hold other things than their tools say, raw.</summary>
    public Dictionary<NeutralTool, ReadOnlyMemory<byte>> Tools { get; } = [];

    /// <summary><c>serviceTier</c>, raw, where it says more than the tier; empty: it does not.</summary>
    public ReadOnlyMemory<byte> ServiceTier { get; set; }

    /// <summary>Whether there was a <c>toolConfig</c>.</summary>
    public bool HasToolConfig { get; set; }

    /// <summary>Whether it had <c>tools</c>, be they none.</summary>
    public bool HasTools { get; set; }
}
