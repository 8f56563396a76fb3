using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>
/// One JSON-RPC message from an upstream, as places in its bytes: nothing is parsed beyond the members that say what kind of message it is.
/// </summary>
internal readonly ref struct RpcFrame
{
    private const int MaxDepth = 256;

    /// <summary>The raw id; empty for a notification.</summary>
    public ReadOnlySpan<byte> Id { get; private init; }

    /// <summary>The method; empty for a response.</summary>
    public string Method { get; private init; }

    /// <summary>The raw parameters; empty when there are none.</summary>
    public ReadOnlySpan<byte> Params { get; private init; }

    /// <summary>The raw result; empty when there is none.</summary>
    public ReadOnlySpan<byte> Result { get; private init; }

    /// <summary>The raw error; empty when there is none.</summary>
    public ReadOnlySpan<byte> Error { get; private init; }

    /// <summary>Whether it answers a request of ours.</summary>
    public bool IsResponse => Method.Length == 0;

    /// <summary>Reads a message. False: it is no JSON object that could be a message.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out RpcFrame frame)
    {
        frame = default;
        ReadOnlySpan<byte> id = default, parameters = default, result = default, error = default;
        var method = "";
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = MaxDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (reader.ValueTextEquals("method"u8))
                {
                    reader.Read();
                    method = reader.TokenType == JsonTokenType.String ? KnownMethod(ref reader) : "";
                    continue;
                }
                var kind = reader.ValueTextEquals("id"u8) ? 1 : reader.ValueTextEquals("params"u8) ? 2 : reader.ValueTextEquals("result"u8) ? 3 : reader.ValueTextEquals("error"u8) ? 4 : 0;
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                var value = json[start..(int)reader.BytesConsumed];
                switch (kind)
                {
                    case 1:
                        id = value.SequenceEqual("null"u8) ? default : value;
                        break;
                    case 2:
                        parameters = value;
                        break;
                    case 3:
                        result = value;
                        break;
                    case 4:
                        error = value;
                        break;
                    default:
                        break;
                }
            }
            if (reader.Read())
            {
                return false;
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
        frame = new RpcFrame { Id = id, Method = method, Params = parameters, Result = result, Error = error };
        return method.Length > 0 || (!id.IsEmpty && (!result.IsEmpty || !error.IsEmpty));
    }

    /// <summary>The id as one of our own numbers, or -1.</summary>
    public long OwnId() => Utf8Parser.TryParse(Id, out long number, out var consumed) && consumed == Id.Length ? number : -1;

    private static string KnownMethod(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("notifications/progress"u8) ? "notifications/progress"
        : reader.ValueTextEquals("notifications/tools/list_changed"u8) ? "notifications/tools/list_changed"
        : reader.ValueTextEquals("notifications/message"u8) ? "notifications/message"
        : reader.GetString()!;
}

/// <summary>Small pieces of writing JSON as bytes.</summary>
internal static class RawJson
{
    /// <summary>Writes JSON without the white space between its tokens, so that it stands on one line. The text must be valid JSON.</summary>
    public static void WriteCompact(ReadOnlySpan<byte> json, IBufferWriter<byte> output)
    {
        if (json.IndexOfAny("\n\r"u8) < 0)
        {
            output.Write(json);
            return;
        }
        var room = output.GetSpan(json.Length);
        var (written, inString) = (0, false);
        for (var i = 0; i < json.Length; i++)
        {
            var b = json[i];
            if (inString)
            {
                room[written++] = b;
                if (b == (byte)'\\' && i + 1 < json.Length)
                {
                    room[written++] = json[++i];
                }
                else if (b == (byte)'"')
                {
                    inString = false;
                }
            }
            else if (b is not ((byte)' ' or (byte)'\t' or (byte)'\n' or (byte)'\r'))
            {
                inString = b == (byte)'"';
                room[written++] = b;
            }
        }
        output.Advance(written);
    }

    /// <summary>A JSON string.</summary>
    public static byte[] String(string text) => [(byte)'"', .. JsonEncodedText.Encode(text, System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes, (byte)'"'];

    /// <summary>Writes a whole number.</summary>
    public static void WriteNumber(IBufferWriter<byte> output, long number)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(number, digits, out var length);
        output.Write(digits[..length]);
    }
}
