using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.Catalog.Rules;

/// <summary>Keeps a result within its limit.</summary>
internal static class ResultSize
{
    private const int NoticeRoom = 256;

    /// <summary>A result that is too large, made small enough. Null: it cannot be, or is not to be.</summary>
    /// <param name="result">The raw result.</param>
    /// <param name="limit">The limit.</param>
    public static ReadOnlyMemory<byte>? Cut(ReadOnlySpan<byte> result, ResultLimit limit)
    {
        if (limit.OnExcess == ResultExcess.Refuse)
        {
            return null;
        }
        try
        {
            return TryCut(result, limit.MaxBytes);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>What a caller gets in place of a result that is too large.</summary>
    public static byte[] Refusal(int bytes, ResultLimit limit) => ToolTexts.Error(string.Create(CultureInfo.InvariantCulture,
        $"The tool did its work, but its result has {bytes} bytes, and {limit.MaxBytes} are the limit for it here. Ask for less at a time."));

    private static ReadOnlyMemory<byte>? TryCut(ReadOnlySpan<byte> result, int maxBytes)
    {
        var reader = new Utf8JsonReader(result, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }
        var rest = new ArrayBufferWriter<byte>();
        ReadOnlySpan<byte> content = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isContent, isStructured) = (reader.ValueTextEquals("content"u8), reader.ValueTextEquals("structuredContent"u8));
            var nameStart = (int)reader.TokenStartIndex;
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var end = (int)reader.BytesConsumed;
            if (isContent)
            {
                content = result[start..end];
            }
            else if (!isStructured)
            {
                rest.Write(","u8);
                rest.Write(result[nameStart..end]);
            }
        }
        var room = maxBytes - rest.WrittenCount - "{\"content\":[]}".Length - NoticeRoom;
        if (room < 0 || content.IsEmpty || content[0] != (byte)'[')
        {
            return null;
        }
        var output = new ArrayBufferWriter<byte>(maxBytes);
        output.Write("{\"content\":["u8);
        var (cut, left) = WriteContent(content, room, output);
        output.Write(RawText(Notice(result.Length, maxBytes, cut, left)));
        output.Write("]"u8);
        output.Write(rest.WrittenSpan);
        output.Write("}"u8);
        return output.WrittenMemory;
    }

    private static string Notice(int bytes, int maxBytes, bool cut, int left) => string.Create(CultureInfo.InvariantCulture,
        $"[The gateway shortened this result: it has {bytes} bytes, and {maxBytes} are the limit here.{(cut ? " The text above ends early." : "")}{(left > 0 ? $" Items left out: {left}." : "")}]");

    /// <summary>Copies items as long as there is room, the last text in part.</summary>
    private static (bool Cut, int Left) WriteContent(ReadOnlySpan<byte> content, int room, ArrayBufferWriter<byte> output)
    {
        var (isCut, left, full) = (false, 0, false);
        var reader = new Utf8JsonReader(content, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            var item = content[start..(int)reader.BytesConsumed];
            if (!full && item.Length + 1 <= room)
            {
                output.Write(item);
                output.Write(","u8);
                room -= item.Length + 1;
            }
            else if (!full && JsonMembers.FindString(item, "type"u8) == "text" && JsonMembers.FindString(item, "text"u8) is { } text)
            {
                // What comes after a text that was cut would look like its end.
                full = true;
                isCut = WriteStart(text, room, output);
                left += isCut ? 0 : 1;
            }
            else
            {
                left++;
            }
        }
        return (isCut, left);
    }

    private static bool WriteStart(string text, int room, ArrayBufferWriter<byte> output)
    {
        var start = "{\"type\":\"text\",\"text\":\""u8;
        var end = "\"},"u8;
        var space = room - start.Length - end.Length;
        if (space <= 0)
        {
            return false;
        }
        var escaped = new byte[space];
        JavaScriptEncoder.UnsafeRelaxedJsonEscaping.EncodeUtf8(Encoding.UTF8.GetBytes(text), escaped, out _, out var written);
        if (written == 0)
        {
            return false;
        }
        output.Write(start);
        output.Write(escaped.AsSpan(0, written));
        output.Write(end);
        return true;
    }

    private static byte[] RawText(string text) => [.. "{\"type\":\"text\",\"text\":"u8, .. RawJson.String(text), (byte)'}'];
}
