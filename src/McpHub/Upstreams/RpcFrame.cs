using System.Buffers.Text;
using System.Text.Json;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>
/// One JSON-RPC message from an upstream, as places in its bytes: nothing is parsed beyond the members that say what kind of message it is.
/// </summary>
internal readonly ref struct RpcFrame
{
    /// <summary>How deep a message may be nested. Reading takes no stack, so the limit only stops what is plainly hostile.</summary>
    public const int MaxDepth = 1024;

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

    /// <summary>Whether it says that something of ours could not even be read: an error without an id.</summary>
    public bool IsErrorWithoutId => IsResponse && Id.IsEmpty;

    /// <summary>The answer that it is.</summary>
    public ToolCallOutcome ToOutcome() => Error.IsEmpty ? new ToolCallOutcome(Result.ToArray(), default) : new ToolCallOutcome(default, Error.ToArray());

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
                    if (reader.TokenType != JsonTokenType.String)
                    {
                        return false;
                    }
                    method = KnownMethod(ref reader);
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
                        error = value.SequenceEqual("null"u8) ? default : value;
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
        return method.Length > 0 || !error.IsEmpty || (!id.IsEmpty && !result.IsEmpty);
    }

    /// <summary>The id as one of our own numbers, or -1.</summary>
    public long OwnId() => Utf8Parser.TryParse(Id, out long number, out var consumed) && consumed == Id.Length ? number : -1;

    private static string KnownMethod(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("notifications/progress"u8) ? "notifications/progress"
        : reader.ValueTextEquals("notifications/tools/list_changed"u8) ? "notifications/tools/list_changed"
        : reader.ValueTextEquals("notifications/message"u8) ? "notifications/message"
        : reader.ValueTextEquals("ping"u8) ? "ping"
        : reader.GetString()!;
}
