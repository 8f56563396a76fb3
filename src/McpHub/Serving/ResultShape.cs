using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace McpHub.Serving;

/// <summary>What the revisions of the protocol demand of results, spliced into raw bytes.</summary>
internal static class ResultShape
{
    /// <summary>How long a client without change notifications may keep a list, in milliseconds. A call is checked against the current view all the same.</summary>
    public const int ListTtlMs = 30_000;

    private static readonly byte[] ListStart = "{\"tools\":"u8.ToArray();

    private static readonly byte[] CacheHints = [.. ",\"ttlMs\":"u8, .. Encoding.ASCII.GetBytes(ListTtlMs.ToString(CultureInfo.InvariantCulture)), .. ",\"cacheScope\":\"private\""u8];

    private static readonly byte[] StatelessListEnd = [.. CacheHints, .. ",\"resultType\":\"complete\",\"_meta\":{"u8, .. McpJson.ServerInfoMember, .. "}}"u8];

    private static readonly byte[] HandshakeListEnd = [(byte)'}'];

    /// <summary>The bytes before and after the array of tools in a tools/list result.</summary>
    public static (ReadOnlyMemory<byte> Start, ReadOnlyMemory<byte> End) AroundTools(bool stateless) => (ListStart, stateless ? StatelessListEnd : HandshakeListEnd);

    /// <summary>A result that holds a whole list.</summary>
    /// <param name="member">The member that holds it.</param>
    /// <param name="items">The JSON array.</param>
    /// <param name="stateless">Whether the client speaks the stateless revision.</param>
    public static byte[] List(ReadOnlySpan<byte> member, ReadOnlySpan<byte> items, bool stateless) => [.. "{\""u8, .. member, .. "\":"u8, .. items, .. stateless ? StatelessListEnd : HandshakeListEnd];

    /// <summary>
    /// A result as clients of the stateless revision want it: with <c>resultType</c> (<c>complete</c>, unless the upstream said otherwise) and with the gateway, which is
    /// the server that they talk to, as the server in <c>_meta</c>. A value that is no object is left alone.
    /// </summary>
    public static ReadOnlyMemory<byte> ForStateless(ReadOnlyMemory<byte> result, bool wantsCacheHints = false)
    {
        var bytes = result.Span;
        var reader = new Utf8JsonReader(bytes);
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return result;
        }
        bool hasType = false, hasMeta = false, isEmpty = true, hasHints = false;
        int cutFrom = 0, cutTo = 0;
        var insertMeta = default(ReadOnlySpan<byte>);
        var needsComma = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isEmpty = false;
            hasType |= reader.ValueTextEquals("resultType"u8);
            hasHints |= reader.ValueTextEquals("ttlMs"u8);
            var isMeta = !hasMeta && reader.ValueTextEquals("_meta"u8);
            reader.Read();
            if (isMeta && reader.TokenType != JsonTokenType.StartObject)
            {
                // An upstream that sends such a thing gets it relayed as it is, without the gateway's description in it.
                return result;
            }
            if (isMeta)
            {
                hasMeta = true;
                (cutFrom, cutTo, needsComma) = ServerInfoPlace(ref reader);
                insertMeta = McpJson.ServerInfoMember;
            }
            else
            {
                reader.Skip();
            }
        }
        var end = (int)reader.TokenStartIndex;
        var written = new ArrayBufferWriter<byte>(result.Length + McpJson.ServerInfoMember.Length + 64);
        if (hasMeta)
        {
            written.Write(bytes[..cutFrom]);
            written.Write(insertMeta);
            if (needsComma)
            {
                written.Write(","u8);
            }
            written.Write(bytes[cutTo..end]);
        }
        else
        {
            written.Write(bytes[..end]);
            written.Write(isEmpty ? "\"_meta\":{"u8 : ",\"_meta\":{"u8);
            written.Write(McpJson.ServerInfoMember);
            written.Write("}"u8);
        }
        if (wantsCacheHints && !hasHints && !hasType)
        {
            // What a server without such hints says may be another thing at once, and is nobody else's.
            written.Write(",\"ttlMs\":0,\"cacheScope\":\"private\""u8);
        }
        if (!hasType)
        {
            written.Write(",\"resultType\":\"complete\""u8);
        }
        written.Write("}"u8);
        return written.WrittenMemory;
    }

    /// <summary>Whether a tool said that it failed.</summary>
    public static bool IsToolError(ReadOnlySpan<byte> result)
    {
        // Most results do not have the member at all, which the vectorised search finds out without reading them as JSON.
        if (result.IndexOf("isError"u8) < 0)
        {
            return false;
        }
        var reader = new Utf8JsonReader(result);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals("isError"u8);
            reader.Read();
            if (found)
            {
                return reader.TokenType == JsonTokenType.True;
            }
            reader.Skip();
        }
        return false;
    }

    /// <summary>The code of a raw JSON-RPC error; 0 where it has none.</summary>
    public static int CodeOf(ReadOnlySpan<byte> error)
    {
        var reader = new Utf8JsonReader(error);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var found = reader.ValueTextEquals("code"u8);
            reader.Read();
            if (found)
            {
                return reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var code) ? code : 0;
            }
            reader.Skip();
        }
        return 0;
    }

    /// <summary>Which bytes of <c>_meta</c>, at the reader, the gateway's description takes the place of, and whether a comma follows it.</summary>
    private static (int From, int To, bool NeedsComma) ServerInfoPlace(ref Utf8JsonReader reader)
    {
        var inside = (int)reader.BytesConsumed;
        (int, int, bool)? place = null;
        var isEmpty = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isEmpty = false;
            var from = (int)reader.TokenStartIndex;
            var found = reader.ValueTextEquals("io.modelcontextprotocol/serverInfo"u8);
            reader.Read();
            reader.Skip();
            if (found)
            {
                place = (from, (int)reader.BytesConsumed, false);
            }
        }
        return place ?? (inside, inside, !isEmpty);
    }
}
