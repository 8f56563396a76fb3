using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace TestSupport;

/// <summary>Puts events into the framing in which a vendor streams them.</summary>
public static class WireFormat
{
    /// <summary>A stream's bytes.</summary>
    /// <param name="dialect">The dialect's id.</param>
    /// <param name="events">The events' payloads, JSON; Bedrock's as one member that is named after the event's type; OpenAI's last <c>[DONE]</c> may be left out.</param>
    /// <param name="ends">Whether the stream ends as a complete one does.</param>
    public static byte[] Frame(string dialect, IEnumerable<string> events, bool ends)
    {
        using var output = new MemoryStream();
        var last = "";
        foreach (var text in events)
        {
            output.Write(Frame(dialect, text));
            last = text;
        }
        if (ends && dialect == RecordedTraffic.OpenAiChat && last != "[DONE]")
        {
            output.Write("data: [DONE]\n\n"u8);
        }
        return output.ToArray();
    }

    /// <summary>One event's bytes.</summary>
    public static byte[] Frame(string dialect, string payload) => dialect switch
    {
        RecordedTraffic.Bedrock => AwsEvent(payload),
        RecordedTraffic.Anthropic or RecordedTraffic.OpenAiResponses => Encoding.UTF8.GetBytes($"event: {TypeOf(payload)}\ndata: {payload}\n\n"),
        RecordedTraffic.Gemini => Encoding.UTF8.GetBytes($"data: {payload}\r\n\r\n"),
        _ => Encoding.UTF8.GetBytes($"data: {payload}\n\n"),
    };

    /// <summary>Gemini's stream without <c>alt=sse</c>: one JSON array.</summary>
    public static byte[] JsonArray(IEnumerable<string> events) => Encoding.UTF8.GetBytes("[" + string.Join("\n,\r\n", events) + "\n]\n");

    /// <summary>A message of AWS's event-stream encoding, checksums included.</summary>
    /// <param name="type">The value of <c>:event-type</c>, or of <c>:exception-type</c>.</param>
    /// <param name="payload">Its payload.</param>
    /// <param name="isException">Whether it says that the stream failed.</param>
    public static byte[] AwsEvent(string type, ReadOnlySpan<byte> payload, bool isException = false)
    {
        using var headers = new MemoryStream();
        Header(headers, isException ? ":exception-type" : ":event-type", type);
        Header(headers, ":content-type", "application/json");
        Header(headers, ":message-type", isException ? "exception" : "event");
        var total = 12 + (int)headers.Length + payload.Length + 4;
        var message = new byte[total];
        BinaryPrimitives.WriteInt32BigEndian(message, total);
        BinaryPrimitives.WriteInt32BigEndian(message.AsSpan(4), (int)headers.Length);
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(8), Crc32(message.AsSpan(0, 8)));
        headers.ToArray().CopyTo(message, 12);
        payload.CopyTo(message.AsSpan(12 + (int)headers.Length));
        BinaryPrimitives.WriteUInt32BigEndian(message.AsSpan(total - 4), Crc32(message.AsSpan(0, total - 4)));
        return message;
    }

    private static byte[] AwsEvent(string payload)
    {
        using var json = JsonDocument.Parse(payload);
        var member = json.RootElement.EnumerateObject().First();
        return AwsEvent(member.Name, Encoding.UTF8.GetBytes(member.Value.GetRawText()), member.Name.EndsWith("Exception", StringComparison.Ordinal));
    }

    private static string TypeOf(string payload)
    {
        using var json = JsonDocument.Parse(payload);
        return json.RootElement.TryGetProperty("type", out var type) ? type.GetString()! : "message";
    }

    private static void Header(MemoryStream output, string name, string value)
    {
        var text = Encoding.UTF8.GetBytes(value);
        output.WriteByte((byte)name.Length);
        output.Write(Encoding.UTF8.GetBytes(name));
        output.WriteByte(7); // a string
        output.WriteByte((byte)(text.Length >> 8));
        output.WriteByte((byte)text.Length);
        output.Write(text);
    }

    /// <summary>The checksum of ISO 3309, as in gzip.</summary>
    private static uint Crc32(ReadOnlySpan<byte> bytes)
    {
        var crc = uint.MaxValue;
        foreach (var next in bytes)
        {
            crc ^= next;
            for (var bit = 0; bit < 8; bit++)
            {
                crc = (crc >> 1) ^ ((crc & 1) * 0xEDB88320);
            }
        }
        return ~crc;
    }
}
