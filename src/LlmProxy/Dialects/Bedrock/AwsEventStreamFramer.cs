using System.Buffers.Binary;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>
/// Finds the messages of <c>application/vnd.amazon.eventstream</c>: total length, length of the headers, their checksum; headers; payload; checksum of all
/// (smithy.io/2.0/aws/amazon-eventstream.html). Both checksums are verified.
/// </summary>
/// <remarks>
/// An event's name is its <c>:event-type</c>, an exception's its <c>:exception-type</c>, which always ends in <c>Exception</c>. A message of type <c>error</c>, which has no payload
/// that is modelled, is named <c>error</c>, and its data is the text of its <c>:error-message</c>.
/// </remarks>
internal sealed class AwsEventStreamFramer : StreamFramer
{
    /// <summary>Two lengths and their checksum.</summary>
    public const int PreludeBytes = 12;

    /// <summary>The checksum at the end.</summary>
    public const int TrailerBytes = 4;

    /// <summary>The most bytes of headers that a message may have.</summary>
    public const int MaxHeaderBytes = 128 * 1024;

    private int start;
    private int checkedPrelude = -1;

    /// <inheritdoc/>
    public override bool TryRead(ReadOnlySpan<byte> buffer, out StreamFrame complete)
    {
        complete = default;
        var rest = buffer[start..];
        if (rest.Length < PreludeBytes)
        {
            return false;
        }
        var total = BinaryPrimitives.ReadUInt32BigEndian(rest);
        var headers = BinaryPrimitives.ReadUInt32BigEndian(rest[4..]);
        if (checkedPrelude != start)
        {
            // Checked before the lengths are believed, so that a broken one is no reason to wait for bytes that never come.
            if (Crc32.Of(rest[..8]) != BinaryPrimitives.ReadUInt32BigEndian(rest[8..]))
            {
                throw new InvalidDataException("The checksum of an event's lengths is wrong.");
            }
            if (total > EventStream.MaxEventBytes || headers > MaxHeaderBytes || total < PreludeBytes + TrailerBytes + (long)headers)
            {
                throw new InvalidDataException("The lengths of an event make no sense.");
            }
            checkedPrelude = start;
        }
        if (rest.Length < total)
        {
            return false;
        }
        var message = rest[..(int)total];
        if (Crc32.Of(message[..^TrailerBytes]) != BinaryPrimitives.ReadUInt32BigEndian(message[^TrailerBytes..]))
        {
            throw new InvalidDataException("The checksum of an event is wrong.");
        }
        complete = new StreamFrame { Start = start, End = start + (int)total };
        Describe(message, (int)headers, ref complete);
        start = complete.End;
        return true;
    }

    /// <inheritdoc/>
    public override StreamFrame TakeUnfinished(ReadOnlySpan<byte> buffer) => new() { Start = start, End = buffer.Length };

    /// <inheritdoc/>
    /// <remarks>A message says how long it is.</remarks>
    public override bool IsCut(in StreamFrame last) => last.End > last.Start;

    /// <inheritdoc/>
    public override void Shift(int bytes)
    {
        start -= bytes;
        checkedPrelude = checkedPrelude < 0 ? -1 : checkedPrelude - bytes;
    }

    private static void Describe(ReadOnlySpan<byte> message, int headers, ref StreamFrame frame)
    {
        var payload = PreludeBytes + headers;
        (frame.DataOffset, frame.DataLength) = (frame.Start + payload, message.Length - TrailerBytes - payload);
        Range kind = default, name = default, said = default;
        for (var at = PreludeBytes; at < payload;)
        {
            var nameStart = at + 1;
            var typeAt = nameStart + message[at];
            var valueAt = typeAt + 1;
            if (valueAt > payload)
            {
                throw new InvalidDataException("An event's headers are cut.");
            }
            var (lengthBytes, length) = message[typeAt] switch
            {
                0 or 1 => (0, 0),
                2 => (0, 1),
                3 => (0, 2),
                4 => (0, 4),
                5 or 8 => (0, 8),
                9 => (0, 16),
                6 or 7 when valueAt + 2 <= payload => (2, BinaryPrimitives.ReadUInt16BigEndian(message[valueAt..])),
                _ => throw new InvalidDataException("An event has a header of no known type."),
            };
            var (from, to) = (valueAt + lengthBytes, valueAt + lengthBytes + length);
            if (to > payload)
            {
                throw new InvalidDataException("An event's headers are cut.");
            }
            if (message[typeAt] == 7)
            {
                var header = message[nameStart..typeAt];
                if (header.SequenceEqual(":event-type"u8) || header.SequenceEqual(":exception-type"u8))
                {
                    name = from..to;
                }
                else if (header.SequenceEqual(":message-type"u8))
                {
                    kind = from..to;
                }
                else if (header.SequenceEqual(":error-message"u8))
                {
                    said = from..to;
                }
            }
            at = to;
        }
        if (message[kind].SequenceEqual("error"u8))
        {
            name = kind;
            (frame.DataOffset, frame.DataLength) = (frame.Start + said.Start.Value, said.End.Value - said.Start.Value);
        }
        (frame.NameOffset, frame.NameLength) = (frame.Start + name.Start.Value, name.End.Value - name.Start.Value);
        frame.DataLines = frame.DataLength > 0 ? 1 : 0;
    }
}
