using System.Buffers;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>
/// The <c>params</c> of a <c>tools/call</c>, as places in its bytes. What goes up is the same bytes with the tool's name, the progress token and the
/// trace context replaced; unknown members stay.
/// </summary>
internal readonly struct ToolParams
{
    // What a peer of the newest revision says of itself with each request; on the way up it is our word that counts.
    private static readonly string[] Envelope =
    [
        "io.modelcontextprotocol/protocolVersion", "io.modelcontextprotocol/clientCapabilities", "io.modelcontextprotocol/clientInfo", "io.modelcontextprotocol/logLevel",
    ];

    private ReadOnlyMemory<byte> Json { get; init; }
    private (int Start, int End) NameValue { get; init; }
    private (int Start, int End) MetaMember { get; init; }
    private (int Start, int End) MetaValue { get; init; }

    /// <summary>The tool that the caller named.</summary>
    public string Name { get; private init; }

    /// <summary>The caller's raw progress token; empty: progress is not wanted.</summary>
    public ReadOnlyMemory<byte> ProgressToken { get; private init; }

    /// <summary>Takes parameters apart.</summary>
    /// <returns>Null, or what is wrong with them.</returns>
    public static string? Read(ReadOnlyMemory<byte> json, out ToolParams parameters)
    {
        parameters = default;
        try
        {
            var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = 128 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return "'params' must be an object.";
            }
            string? name = null;
            (int, int) nameValue = default, metaMember = default, metaValue = default;
            ReadOnlyMemory<byte> token = default;
            var hasArguments = false;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var memberStart = (int)reader.TokenStartIndex;
                var isName = reader.ValueTextEquals("name"u8);
                var isMeta = reader.ValueTextEquals("_meta"u8);
                var isArguments = reader.ValueTextEquals("arguments"u8);
                reader.Read();
                var start = (int)reader.TokenStartIndex;
                if ((isName && name is not null) || (isMeta && metaValue != default) || (isArguments && hasArguments))
                {
                    return $"'{(isName ? "name" : isMeta ? "_meta" : "arguments")}' stands twice in 'params'.";
                }
                if (isName)
                {
                    if (reader.TokenType != JsonTokenType.String)
                    {
                        return "'name' must be a string.";
                    }
                    name = reader.GetString();
                    nameValue = (start, (int)reader.BytesConsumed);
                    continue;
                }
                if (isMeta)
                {
                    if (reader.TokenType != JsonTokenType.StartObject)
                    {
                        return "'_meta' must be an object.";
                    }
                    token = ReadToken(ref reader, json);
                    metaMember = (memberStart, (int)reader.BytesConsumed);
                    metaValue = (start, (int)reader.BytesConsumed);
                    continue;
                }
                if (isArguments)
                {
                    if (reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.Null))
                    {
                        return "'arguments' must be an object.";
                    }
                    hasArguments = true;
                }
                reader.Skip();
            }
            if (name is null)
            {
                return "'name' is missing.";
            }
            parameters = new ToolParams { Json = json, Name = name, NameValue = nameValue, MetaMember = metaMember, MetaValue = metaValue, ProgressToken = token };
            return null;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return "'params' is not valid JSON.";
        }
    }

    /// <summary>Writes the parameters for an upstream.</summary>
    /// <param name="output">Receives one JSON object.</param>
    /// <param name="tool">The upstream's own name, as a JSON string.</param>
    /// <param name="progressToken">Our token; 0: no progress wanted.</param>
    /// <param name="traceParent">Trace context, used where the caller gave none.</param>
    /// <param name="traceState">Its vendor part, or null.</param>
    /// <param name="envelope">The members that the newest revision wants in <c>_meta</c>, each with a comma before it; empty for older ones.</param>
    public void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> tool, long progressToken, string traceParent, string? traceState, ReadOnlySpan<byte> envelope)
    {
        var json = Json.Span;
        output.Write("{\"_meta\":{"u8);
        var first = true;
        var hasTrace = WriteKeptMeta(output, json, ref first);
        if (!hasTrace && traceParent.Length > 0)
        {
            Separate(output, ref first);
            output.Write("\"traceparent\":"u8);
            output.Write(RawJson.String(traceParent));
            if (traceState is not null)
            {
                output.Write(",\"tracestate\":"u8);
                output.Write(RawJson.String(traceState));
            }
        }
        if (progressToken != 0)
        {
            Separate(output, ref first);
            output.Write("\"progressToken\":"u8);
            RawJson.WriteNumber(output, progressToken);
        }
        if (!envelope.IsEmpty)
        {
            output.Write(first ? envelope[1..] : envelope);
        }
        output.Write("},"u8);
        WriteRest(output, json, tool);
    }

    private static void Separate(IBufferWriter<byte> output, ref bool first)
    {
        if (!first)
        {
            output.Write(","u8);
        }
        first = false;
    }

    private bool WriteKeptMeta(IBufferWriter<byte> output, ReadOnlySpan<byte> json, ref bool first)
    {
        var hasTrace = false;
        if (MetaValue == default)
        {
            return false;
        }
        var meta = json[MetaValue.Start..MetaValue.End];
        var reader = new Utf8JsonReader(meta, new JsonReaderOptions { MaxDepth = 128 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            var isReplaced = reader.ValueTextEquals("progressToken"u8);
            foreach (var name in Envelope)
            {
                isReplaced |= reader.ValueTextEquals(name);
            }
            hasTrace |= reader.ValueTextEquals("traceparent"u8);
            reader.Read();
            reader.Skip();
            if (!isReplaced)
            {
                Separate(output, ref first);
                output.Write(meta[start..(int)reader.BytesConsumed]);
            }
        }
        return hasTrace;
    }

    /// <summary>Writes all members but <c>_meta</c>, the name replaced, and the closing brace.</summary>
    private void WriteRest(IBufferWriter<byte> output, ReadOnlySpan<byte> json, ReadOnlySpan<byte> tool)
    {
        var open = json.IndexOf((byte)'{') + 1;
        var close = json.LastIndexOf((byte)'}');
        var (cutStart, cutEnd) = MetaMember;
        if (MetaMember == default)
        {
            (cutStart, cutEnd) = (close, close);
        }
        else
        {
            // The comma that belongs to the member goes with it: the one after it, or, for the last member, the one before.
            var after = cutEnd + SkipSpace(json[cutEnd..]);
            if (json[after] == (byte)',')
            {
                cutEnd = after + 1;
            }
            else
            {
                cutStart = json[..cutStart].LastIndexOf((byte)',') is var comma and >= 0 ? comma : cutStart;
            }
        }
        WritePart(output, json, open, cutStart, tool);
        WritePart(output, json, cutEnd, close, tool);
        output.Write("}"u8);
    }

    private void WritePart(IBufferWriter<byte> output, ReadOnlySpan<byte> json, int start, int end, ReadOnlySpan<byte> tool)
    {
        if (start >= end)
        {
            return;
        }
        if (NameValue.Start >= start && NameValue.End <= end)
        {
            output.Write(json[start..NameValue.Start]);
            output.Write(tool);
            start = NameValue.End;
        }
        output.Write(json[start..end]);
    }

    private static int SkipSpace(ReadOnlySpan<byte> text)
    {
        var i = text.IndexOfAnyExcept(" \t\r\n"u8);
        return i < 0 ? text.Length : i;
    }

    private static ReadOnlyMemory<byte> ReadToken(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
    {
        ReadOnlyMemory<byte> token = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isToken = reader.ValueTextEquals("progressToken"u8);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (isToken && reader.TokenType is (JsonTokenType.String or JsonTokenType.Number))
            {
                token = json[start..(int)reader.BytesConsumed];
            }
            reader.Skip();
        }
        return token;
    }
}
