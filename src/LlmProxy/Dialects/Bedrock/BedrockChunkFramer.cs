using LlmProxy.Relay;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Finds the events of InvokeModelWithResponseStream, and takes them out of their <see cref="BedrockChunks"/>. An event has no name of its own there; exceptions have theirs.</summary>
internal sealed class BedrockChunkFramer : StreamFramer
{
    private readonly AwsEventStreamFramer messages = new();
    private byte[] data = [];
    private int length;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> JoinedData => data.AsSpan(0, length);

    /// <inheritdoc/>
    public override bool IsCut(in StreamFrame last) => messages.IsCut(last);

    /// <inheritdoc/>
    public override bool TryRead(ReadOnlySpan<byte> buffer, out StreamFrame complete)
    {
        if (!messages.TryRead(buffer, out complete))
        {
            return false;
        }
        if (NameOf(buffer, complete).SequenceEqual(BedrockChunks.Name))
        {
            if (!BedrockChunks.TryRead(buffer.Slice(complete.DataOffset, complete.DataLength), ref data, out length))
            {
                throw new InvalidDataException("A chunk holds no bytes.");
            }
            (complete.NameLength, complete.DataLines) = (0, 2); // what it holds does not stand in the buffer
        }
        return true;
    }

    /// <inheritdoc/>
    public override StreamFrame TakeUnfinished(ReadOnlySpan<byte> buffer) => messages.TakeUnfinished(buffer);

    /// <inheritdoc/>
    public override void Shift(int bytes) => messages.Shift(bytes);
}
