using System.Buffers;
using System.Text.Json;

namespace McpHub.Upstreams;

/// <summary>The <c>_meta</c> of a call on its way up: the caller's own members stay, those that belong to each leg of the way are ours.</summary>
internal static class MetaMembers
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = RpcFrame.MaxDepth };

    /// <summary>Reads the raw progress token and leaves the reader at the end of the object.</summary>
    public static ReadOnlyMemory<byte> ReadProgressToken(ref Utf8JsonReader reader, ReadOnlyMemory<byte> json)
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

    /// <summary>Writes the object for an upstream; its parameters are those of <see cref="ToolParams.Write"/>.</summary>
    public static void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> meta, long progressToken, string traceParent, string? traceState, ReadOnlySpan<byte> envelope)
    {
        output.Write("{"u8);
        var first = true;
        if (!WriteKept(output, meta, ref first) && traceParent.Length > 0)
        {
            Separate(output, ref first);
            output.Write("\"traceparent\":"u8);
            output.Write(RawJson.String(traceParent));
            if (traceState is { Length: > 0 })
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
        output.Write("}"u8);
    }

    /// <summary>Writes the members that go on as they are.</summary>
    /// <returns>Whether the caller's trace is among them.</returns>
    private static bool WriteKept(IBufferWriter<byte> output, ReadOnlySpan<byte> meta, ref bool first)
    {
        var hasTrace = false;
        if (meta.IsEmpty)
        {
            return hasTrace;
        }
        var reader = new Utf8JsonReader(meta, Options);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var start = (int)reader.TokenStartIndex;
            // What a peer of the newest revision says of itself with each request; on the way up it is the gateway's word that counts.
            var isReplaced = reader.ValueTextEquals("progressToken"u8)
                || reader.ValueTextEquals("io.modelcontextprotocol/protocolVersion"u8)
                || reader.ValueTextEquals("io.modelcontextprotocol/clientCapabilities"u8)
                || reader.ValueTextEquals("io.modelcontextprotocol/clientInfo"u8)
                || reader.ValueTextEquals("io.modelcontextprotocol/logLevel"u8);
            hasTrace |= reader.ValueTextEquals("traceparent"u8) || reader.ValueTextEquals("tracestate"u8);
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

    private static void Separate(IBufferWriter<byte> output, ref bool first)
    {
        if (!first)
        {
            output.Write(","u8);
        }
        first = false;
    }
}
