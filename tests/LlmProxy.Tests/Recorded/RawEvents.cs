using System.Buffers.Binary;
using System.Text;
using System.Text.Json;

namespace LlmProxy.Tests.Recorded;

/// <summary>A stream's events, read without any of the code under test.</summary>
internal static class RawEvents
{
    /// <summary>The data of a stream's events that is JSON, up to the stream's last event; Bedrock's as one member that is named after the event's type.</summary>
    public static List<JsonElement> Of(string dialect, ReadOnlySpan<byte> stream)
    {
        if (dialect == "bedrock")
        {
            return OfAws(stream);
        }
        var text = Encoding.UTF8.GetString(stream).TrimStart('\uFEFF').ReplaceLineEndings("\n");
        if (text.StartsWith('['))
        {
            return [.. JsonDocument.Parse(text).RootElement.EnumerateArray()];
        }
        var events = new List<JsonElement>();
        foreach (var block in text.Split("\n\n", StringSplitOptions.RemoveEmptyEntries))
        {
            var lines = block.Split('\n').Where(line => line.StartsWith("data:", StringComparison.Ordinal)).Select(line => line[5..]);
            var data = string.Join('\n', lines).Trim();
            if (TryParse(data, out var json))
            {
                events.Add(json);
            }
            if (data == "[DONE]" || (events.Count > 0 && IsLast(events[^1])))
            {
                break; // some recordings hold several streams one after the other
            }
        }
        return events;
    }

    /// <summary>What in a stream is neither an event with JSON in it nor a comment nor a last word; null: all of it is sound.</summary>
    public static string? Unsound(string dialect, ReadOnlySpan<byte> stream)
    {
        if (dialect == "bedrock")
        {
            return UnsoundAws(stream);
        }
        string text;
        try
        {
            text = new UTF8Encoding(false, throwOnInvalidBytes: true).GetString(stream);
        }
        catch (DecoderFallbackException)
        {
            return "bytes that are no UTF-8";
        }
        foreach (var line in text.Split(["\r\n", "\n"], StringSplitOptions.RemoveEmptyEntries))
        {
            if (line.StartsWith("data:", StringComparison.Ordinal) ? line[5..].Trim() != "[DONE]" && !TryParse(line[5..], out _) : !line.StartsWith("event:", StringComparison.Ordinal) && line[0] != ':')
            {
                return line;
            }
        }
        return null;
    }

    private static string? UnsoundAws(ReadOnlySpan<byte> stream)
    {
        while (!stream.IsEmpty)
        {
            var (total, headers) = stream.Length < 16 ? (0, 0) : (BinaryPrimitives.ReadInt32BigEndian(stream), BinaryPrimitives.ReadInt32BigEndian(stream[4..]));
            if (total < 16 + headers || total > stream.Length)
            {
                return "bytes that are no message";
            }
            if (TypeOf(stream.Slice(12, headers)) is null || !TryParse(Encoding.UTF8.GetString(stream.Slice(12 + headers, total - headers - 16)), out _))
            {
                return Encoding.UTF8.GetString(stream.Slice(12 + headers, total - headers - 16));
            }
            stream = stream[total..];
        }
        return null;
    }

    private static bool IsLast(JsonElement json) =>
        json.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String && type.GetString() is ("message_stop" or "response.completed" or "response.incomplete" or "response.failed");

    private static List<JsonElement> OfAws(ReadOnlySpan<byte> stream)
    {
        var events = new List<JsonElement>();
        while (stream.Length >= 16)
        {
            var (total, headers) = (BinaryPrimitives.ReadInt32BigEndian(stream), BinaryPrimitives.ReadInt32BigEndian(stream[4..]));
            if (total > stream.Length || total < 16 + headers)
            {
                break;
            }
            if (TypeOf(stream.Slice(12, headers)) is { } type && TryParse(Encoding.UTF8.GetString(stream.Slice(12 + headers, total - headers - 16)), out var json))
            {
                events.Add(JsonDocument.Parse($$"""{"{{type}}":{{json.GetRawText()}}}""").RootElement);
            }
            stream = stream[total..];
        }
        return events;
    }

    private static string? TypeOf(ReadOnlySpan<byte> headers)
    {
        string? found = null;
        while (headers.Length > 4)
        {
            var name = Encoding.UTF8.GetString(headers.Slice(1, headers[0]));
            headers = headers[(1 + headers[0])..];
            if (headers[0] != 7)
            {
                break;
            }
            var length = BinaryPrimitives.ReadUInt16BigEndian(headers[1..]);
            found = name is ":event-type" or ":exception-type" ? Encoding.UTF8.GetString(headers.Slice(3, length)) : found;
            headers = headers[(3 + length)..];
        }
        return found;
    }

    private static bool TryParse(string text, out JsonElement json)
    {
        try
        {
            json = JsonDocument.Parse(text, new JsonDocumentOptions { MaxDepth = 256 }).RootElement;
            return json.ValueKind == JsonValueKind.Object;
        }
        catch (JsonException)
        {
            json = default;
            return false;
        }
    }
}
