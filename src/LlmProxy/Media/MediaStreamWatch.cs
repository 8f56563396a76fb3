using LlmProxy.Relay;

namespace LlmProxy.Media;

/// <summary>
/// Watches a stream of pictures, sound or transcribed text. Its last event carries the usage (<c>….completed</c>, <c>….done</c>); the stream then ends, with or without
/// <c>[DONE]</c>. What comes before is content, and not looked into.
/// </summary>
internal sealed class MediaStreamWatch(MediaEndpoint endpoint, string expectedModel) : StreamWatch
{
    /// <summary>How many things were completed.</summary>
    public int Completed { get; private set; }

    /// <inheritdoc/>
    public override bool IsLastData(ReadOnlySpan<byte> data) => data.SequenceEqual("[DONE]"u8);

    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        if (data.SequenceEqual("[DONE]"u8))
        {
            return ChunkKind.Done;
        }
        if (name.SequenceEqual("error"u8))
        {
            return ChunkKind.Error;
        }
        if (data.IsEmpty)
        {
            return ChunkKind.Lifecycle;
        }
        // A member's name cannot be hidden inside a string: quotes are escaped there.
        if (ContentBegun && data.IndexOf("\"usage\""u8) < 0 && data.IndexOf("\"error\""u8) < 0 && data.IndexOf(".done\""u8) < 0 && data.IndexOf(".completed\""u8) < 0)
        {
            return ChunkKind.Content;
        }
        if (!MediaUsage.TryRead(data, endpoint, expectedModel, out var facts))
        {
            return ChunkKind.Garbage;
        }
        if (facts.IsError || facts.Type == "error")
        {
            return ChunkKind.Error;
        }
        ContentBegun = true;
        Model = facts.Model ?? Model;
        if (facts.Usage is { } usage)
        {
            Usage = Usage is { } before ? Sum(before, usage) : usage;
        }
        if (facts.Type.EndsWith(".done", StringComparison.Ordinal) || facts.Type.EndsWith(".completed", StringComparison.Ordinal))
        {
            Finished = true;
            Completed++;
        }
        return ChunkKind.Content;
    }

    // Each picture of a stream comes with its own usage.
    private static Shared.Pricing.TokenUsage Sum(in Shared.Pricing.TokenUsage left, in Shared.Pricing.TokenUsage right) => new()
    {
        Input = left.Input + right.Input,
        CacheRead = left.CacheRead + right.CacheRead,
        AudioInput = left.AudioInput + right.AudioInput,
        ImageInput = left.ImageInput + right.ImageInput,
        Output = left.Output + right.Output,
        AudioOutput = left.AudioOutput + right.AudioOutput,
        ImageOutput = left.ImageOutput + right.ImageOutput,
        Units = right.Units.Kind == left.Units.Kind ? right.Units with { Thousandths = left.Units.Thousandths + right.Units.Thousandths } : right.Units,
    };
}
