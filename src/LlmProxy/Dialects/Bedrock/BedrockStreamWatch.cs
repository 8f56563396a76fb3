using System.Buffers;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Watches a ConverseStream that is relayed. Its last event is <c>metadata</c>, which brings the usage.</summary>
internal sealed class BedrockStreamWatch : StreamWatch
{
    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        if (name.SequenceEqual("contentBlockDelta"u8))
        {
            ContentBegun = true;
            return ChunkKind.Content;
        }
        if (name.SequenceEqual("contentBlockStart"u8))
        {
            ContentBegun = true;
            return ChunkKind.Content;
        }
        if (name.SequenceEqual("messageStop"u8))
        {
            ContentBegun = Finished = true;
            return ChunkKind.Content;
        }
        if (name.SequenceEqual("metadata"u8))
        {
            return ReadMetadata(data);
        }
        return IsFailure(name) ? ChunkKind.Error : name.IsEmpty ? ChunkKind.Garbage : ChunkKind.Lifecycle;
    }

    /// <inheritdoc/>
    public override void WriteError(GatewayError error, IBufferWriter<byte> output) => BedrockErrors.WriteException(output, error.Status, error.Message);

    /// <summary>Whether a message of a stream says that it failed: see <see cref="AwsEventStreamFramer"/>.</summary>
    public static bool IsFailure(ReadOnlySpan<byte> name) => name.EndsWith("Exception"u8) || name.SequenceEqual("error"u8);

    private ChunkKind ReadMetadata(ReadOnlySpan<byte> data)
    {
        try
        {
            for (var members = new SpanMembers(data); members.Next();)
            {
                if (members.Is("usage"u8) && BedrockFigures.TryRead(members.Value, out var tokens))
                {
                    Usage = tokens;
                }
                else if (members.Is("serviceTier"u8))
                {
                    ServiceTier = BedrockFigures.TierOf(members.Value);
                }
            }
            return Finished ? ChunkKind.Done : ChunkKind.Lifecycle;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return ChunkKind.Garbage;
        }
    }
}
