using System.Buffers;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>
/// The <c>params</c> of a <c>tools/call</c>, as places in its bytes. What goes up is the same bytes with the tool's name replaced and <c>_meta</c>
/// brought up to date; unknown members stay.
/// </summary>
internal sealed class ToolParams
{
    private (int Start, int End) nameValue;
    private (int Start, int End) metaValue;
    private bool isEmpty = true;

    private ToolParams(ReadOnlyMemory<byte> json) => Json = json;

    /// <summary>The object as the caller sent it.</summary>
    public ReadOnlyMemory<byte> Json { get; }

    /// <summary>The caller's raw progress token; empty: progress is not wanted.</summary>
    public ReadOnlyMemory<byte> ProgressToken { get; private set; }

    /// <summary>The raw arguments; empty: there are none.</summary>
    public ReadOnlyMemory<byte> Arguments { get; private set; }

    /// <summary>Takes parameters apart. They are right, or an error says what is wrong.</summary>
    /// <param name="json">The object.</param>
    /// <param name="parameters">What it says.</param>
    /// <param name="nameMember">The member that names what is asked for, <c>name</c> or <c>uri</c>; "": there is none.</param>
    /// <returns>Null, or what is wrong with them.</returns>
    public static string? Read(ReadOnlyMemory<byte> json, out ToolParams parameters, string nameMember = "name")
    {
        parameters = new ToolParams(json.IsEmpty ? "{}"u8.ToArray() : json);
        try
        {
            return parameters.Read(nameMember);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return "'params' is not valid JSON.";
        }
    }

    /// <summary>Writes the parameters for an upstream.</summary>
    /// <param name="output">Receives one JSON object.</param>
    /// <param name="tool">The upstream's own name, or address.</param>
    /// <param name="progressToken">Our token; 0: no progress wanted.</param>
    /// <param name="traceParent">Trace context, used where the caller gave none; "": none.</param>
    /// <param name="traceState">Its vendor part, or null.</param>
    /// <param name="envelope">The members that the newest revision wants in <c>_meta</c>, each with a comma before it; empty for older ones.</param>
    public void Write(IBufferWriter<byte> output, string tool, long progressToken, string traceParent, string? traceState, ReadOnlySpan<byte> envelope)
    {
        var json = Json.Span;
        ReadOnlySpan<byte> name = nameValue == default ? default : RawJson.String(tool);
        var meta = new ArrayBufferWriter<byte>(256);
        MetaMembers.Write(meta, metaValue == default ? default : json[metaValue.Start..metaValue.End], progressToken, traceParent, traceState, envelope);
        var position = 0;
        if (metaValue == default)
        {
            if (nameValue != default)
            {
                Copy(output, json, ref position, nameValue, name);
            }
            var end = json.LastIndexOf((byte)'}');
            output.Write(json[position..end]);
            if (meta.WrittenCount > "{}".Length)
            {
                output.Write(isEmpty ? "\"_meta\":"u8 : ",\"_meta\":"u8);
                output.Write(meta.WrittenSpan);
            }
            output.Write(json[end..]);
            return;
        }
        if (nameValue == default)
        {
            Copy(output, json, ref position, metaValue, meta.WrittenSpan);
        }
        else if (nameValue.Start < metaValue.Start)
        {
            Copy(output, json, ref position, nameValue, name);
            Copy(output, json, ref position, metaValue, meta.WrittenSpan);
        }
        else
        {
            Copy(output, json, ref position, metaValue, meta.WrittenSpan);
            Copy(output, json, ref position, nameValue, name);
        }
        output.Write(json[position..]);
    }

    private static void Copy(IBufferWriter<byte> output, ReadOnlySpan<byte> json, ref int position, (int Start, int End) place, ReadOnlySpan<byte> text)
    {
        output.Write(json[position..place.Start]);
        output.Write(text);
        position = place.End;
    }

    private string? Read(string nameMember)
    {
        var reader = new Utf8JsonReader(Json.Span, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return "'params' must be an object.";
        }
        var hasArguments = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            // Compared unescaped: what the gateway checks is what the server sees, however it is spelled.
            isEmpty = false;
            var isName = nameMember.Length > 0 && reader.ValueTextEquals(nameMember);
            var isMeta = reader.ValueTextEquals("_meta"u8);
            var isArguments = reader.ValueTextEquals("arguments"u8);
            if ((isName && nameValue != default) || (isMeta && metaValue != default) || (isArguments && hasArguments))
            {
                return $"'{(isName ? nameMember : isMeta ? "_meta" : "arguments")}' stands twice in 'params'.";
            }
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (isName && reader.TokenType != JsonTokenType.String)
            {
                return $"'{nameMember}' must be a string.";
            }
            if (isMeta && reader.TokenType != JsonTokenType.StartObject)
            {
                return "'_meta' must be an object.";
            }
            if (isArguments && reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.Null))
            {
                return "'arguments' must be an object.";
            }
            if (isMeta)
            {
                ProgressToken = MetaMembers.ReadProgressToken(ref reader, Json);
            }
            var isObject = reader.TokenType == JsonTokenType.StartObject;
            reader.Skip();
            var end = (int)reader.BytesConsumed;
            nameValue = isName ? (start, end) : nameValue;
            metaValue = isMeta ? (start, end) : metaValue;
            hasArguments |= isArguments;
            Arguments = isArguments && isObject ? Json[start..end] : Arguments;
        }
        if (reader.Read())
        {
            return "'params' is not valid JSON.";
        }
        return nameValue == default && nameMember.Length > 0 ? $"'{nameMember}' is missing." : null;
    }
}
