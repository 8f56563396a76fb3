using System.Buffers;
using System.Buffers.Binary;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Writes messages of <c>application/vnd.amazon.eventstream</c> as Amazon Bedrock does: type, kind and media type as headers, JSON as payload.</summary>
internal static class AwsEventStreamWriter
{
    /// <summary>Writes an event.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="type">Its <c>:event-type</c>.</param>
    /// <param name="payload">Its JSON.</param>
    public static void WriteEvent(IBufferWriter<byte> output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> payload) => Write(output, ":event-type"u8, type, "event"u8, payload);

    /// <summary>Writes an exception, after which nothing follows.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="type">Its <c>:exception-type</c>, such as <c>throttlingException</c>.</param>
    /// <param name="payload">Its JSON.</param>
    public static void WriteException(IBufferWriter<byte> output, ReadOnlySpan<byte> type, ReadOnlySpan<byte> payload) => Write(output, ":exception-type"u8, type, "exception"u8, payload);

    private static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> typeHeader, ReadOnlySpan<byte> type, ReadOnlySpan<byte> kind, ReadOnlySpan<byte> payload)
    {
        var headers = Size(typeHeader, type) + Size(":content-type"u8, "application/json"u8) + Size(":message-type"u8, kind);
        var total = AwsEventStreamFramer.PreludeBytes + headers + payload.Length + AwsEventStreamFramer.TrailerBytes;
        var message = output.GetSpan(total)[..total];
        BinaryPrimitives.WriteInt32BigEndian(message, total);
        BinaryPrimitives.WriteInt32BigEndian(message[4..], headers);
        BinaryPrimitives.WriteUInt32BigEndian(message[8..], Crc32.Of(message[..8]));
        var rest = message[AwsEventStreamFramer.PreludeBytes..];
        rest = Put(rest, typeHeader, type);
        rest = Put(rest, ":content-type"u8, "application/json"u8);
        rest = Put(rest, ":message-type"u8, kind);
        payload.CopyTo(rest);
        BinaryPrimitives.WriteUInt32BigEndian(message[^4..], Crc32.Of(message[..^4]));
        output.Advance(total);
    }

    private static int Size(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value) => 1 + name.Length + 1 + 2 + value.Length;

    private static Span<byte> Put(Span<byte> to, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        to[0] = (byte)name.Length;
        name.CopyTo(to[1..]);
        to = to[(1 + name.Length)..];
        to[0] = 7; // a string
        BinaryPrimitives.WriteUInt16BigEndian(to[1..], (ushort)value.Length);
        value.CopyTo(to[3..]);
        return to[(3 + value.Length)..];
    }
}
