using System.Text;
using System.Text.Json;
using System.Text.Unicode;
using ModelContextProtocol.Protocol;

namespace McpHub.Serving;

/// <summary>What a POST body turned out to be.</summary>
internal enum RpcForm
{
    /// <summary>Not JSON, or not UTF-8.</summary>
    Malformed,

    /// <summary>A member that decides something occurs twice: two readers could take it for two different requests.</summary>
    Duplicated,

    /// <summary>JSON, but not a plain request: a notification, an answer, a batch, or something wrong that the SDK words an error for.</summary>
    Unusual,

    /// <summary>A request with a usable id.</summary>
    Request,
}

/// <summary>
/// The few members of a JSON-RPC message that serving needs, found in one pass over the bytes; all else stays as it was sent. Offsets stay valid as long as the body does.
/// </summary>
internal sealed class RpcMessage
{
    private readonly ReadOnlyMemory<byte> body;

    private RpcMessage(ReadOnlyMemory<byte> body) => this.body = body;

    /// <summary>What it is.</summary>
    public RpcForm Form { get; private set; }

    /// <summary>The method; empty where there is none.</summary>
    public string Method { get; private set; } = "";

    /// <summary>The id as sent, quotes and escapes included.</summary>
    public ReadOnlyMemory<byte> RawId { get; private set; }

    /// <summary>The id's value.</summary>
    public RequestId Id { get; private set; }

    /// <summary>The <c>params</c> object as sent; empty when it is absent or null.</summary>
    public ReadOnlyMemory<byte> Params { get; private set; }

    /// <summary>Whether <c>params</c> is something other than an object, null or absent.</summary>
    public bool HasOddParams { get; private set; }

    /// <summary><c>params.name</c>, or null where it is absent or not a string.</summary>
    public string? Name { get; private set; }

    /// <summary>Whether <c>params.arguments</c> is something other than an object, null or absent.</summary>
    public bool HasOddArguments { get; private set; }

    /// <summary>Whether <c>params._meta</c> is something other than an object or absent.</summary>
    public bool HasOddMeta { get; private set; }

    /// <summary>Whether the caller wants progress.</summary>
    public bool HasProgressToken { get; private set; }

    /// <summary>Whether <c>_meta</c> has one of the keys that belong to requests without a handshake.</summary>
    public bool HasReservedMeta { get; private set; }

    /// <summary>Whether <c>_meta</c> asks for log messages.</summary>
    public bool HasLogLevel { get; private set; }

    /// <summary>The protocol version in <c>_meta</c>, or null.</summary>
    public string? MetaProtocolVersion { get; private set; }

    /// <summary>What the client of a stateless request can be asked for: a raw object in the body; empty: it did not say.</summary>
    public ReadOnlyMemory<byte> ClientCapabilities { get; private set; }

    /// <summary>The least severe log messages that a stateless request wants; null: none.</summary>
    public string? LogLevel { get; private set; }

    /// <summary>Whether <c>_meta</c> declares the client's capabilities as an object.</summary>
    public bool HasClientCapabilities { get; private set; }

    /// <summary>Whether the client's description in <c>_meta</c> is something other than an object or absent.</summary>
    public bool HasOddClientInfo { get; private set; }

    /// <summary>The W3C trace parent in <c>_meta</c>, or null.</summary>
    public string? TraceParent { get; private set; }

    /// <summary>The W3C trace state in <c>_meta</c>, or null.</summary>
    public string? TraceState { get; private set; }

    /// <summary>Reads a body. Never throws for what is in it.</summary>
    public static RpcMessage Read(ReadOnlyMemory<byte> body)
    {
        var message = new RpcMessage(body);
        if (!Utf8.IsValid(body.Span))
        {
            return message;
        }
        try
        {
            var reader = new Utf8JsonReader(body.Span);
            message.Form = message.ReadRoot(ref reader);
            while (reader.Read())
            {
                // Anything after the root value makes this throw.
            }
        }
        catch (JsonException)
        {
            message.Form = RpcForm.Malformed;
        }
        catch (InvalidOperationException)
        {
            // An escape that stands for half a character: a text that no string can hold.
            message.Form = RpcForm.Malformed;
        }
        return message;
    }

    private RpcForm ReadRoot(ref Utf8JsonReader reader)
    {
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return RpcForm.Unusual;
        }
        var names = new MemberNames(stackalloc Range[MemberNames.OnStack], body.Span);
        bool hasVersion = false, hasMethod = false, isOdd = false, isDuplicated = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isDuplicated |= !names.Add(in reader);
            if (reader.ValueTextEquals("jsonrpc"u8))
            {
                reader.Read();
                hasVersion = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("2.0"u8);
                reader.Skip();
            }
            else if (reader.ValueTextEquals("id"u8))
            {
                reader.Read();
                isOdd |= !ReadId(ref reader);
            }
            else if (reader.ValueTextEquals("method"u8))
            {
                reader.Read();
                hasMethod = reader.TokenType == JsonTokenType.String;
                Method = hasMethod ? MethodOf(ref reader) : "";
                reader.Skip();
            }
            else if (reader.ValueTextEquals("params"u8))
            {
                reader.Read();
                isDuplicated |= !ReadParams(ref reader);
            }
            else
            {
                isOdd |= reader.ValueTextEquals("result"u8) || reader.ValueTextEquals("error"u8);
                reader.Read();
                reader.Skip();
            }
        }
        return isDuplicated ? RpcForm.Duplicated : hasVersion && hasMethod && !isOdd && !RawId.IsEmpty ? RpcForm.Request : RpcForm.Unusual;
    }

    private static string MethodOf(ref Utf8JsonReader reader) =>
        reader.ValueTextEquals("tools/call"u8) ? RequestMethods.ToolsCall
        : reader.ValueTextEquals("tools/list"u8) ? RequestMethods.ToolsList
        : reader.GetString()!;

    private bool ReadId(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            Id = new RequestId(reader.GetString()!);
        }
        else if (reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number))
        {
            Id = new RequestId(number);
        }
        else
        {
            reader.Skip();
            return false;
        }
        RawId = ValueAt(ref reader);
        return true;
    }

    /// <summary>False: a member occurs twice.</summary>
    private bool ReadParams(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            HasOddParams = reader.TokenType != JsonTokenType.Null;
            reader.Skip();
            return true;
        }
        var start = (int)reader.TokenStartIndex;
        var names = new MemberNames(stackalloc Range[MemberNames.OnStack], body.Span);
        var isUnique = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isUnique &= names.Add(in reader);
            if (reader.ValueTextEquals("name"u8))
            {
                reader.Read();
                Name = TextOf(ref reader);
            }
            else if (reader.ValueTextEquals("arguments"u8))
            {
                reader.Read();
                HasOddArguments = reader.TokenType is not (JsonTokenType.StartObject or JsonTokenType.Null);
                reader.Skip();
            }
            else if (reader.ValueTextEquals("_meta"u8))
            {
                reader.Read();
                isUnique &= ReadMeta(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        Params = body[start..(int)reader.BytesConsumed];
        return isUnique;
    }

    /// <summary>False: a member occurs twice.</summary>
    private bool ReadMeta(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            HasOddMeta = true;
            reader.Skip();
            return true;
        }
        var names = new MemberNames(stackalloc Range[MemberNames.OnStack], body.Span);
        var isUnique = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            isUnique &= names.Add(in reader);
            if (reader.ValueTextEquals("progressToken"u8))
            {
                reader.Read();
                HasProgressToken = reader.TokenType != JsonTokenType.Null;
            }
            else if (reader.ValueTextEquals("traceparent"u8))
            {
                reader.Read();
                TraceParent = TextOf(ref reader);
            }
            else if (reader.ValueTextEquals("tracestate"u8))
            {
                reader.Read();
                TraceState = TextOf(ref reader);
            }
            else if (reader.ValueTextEquals("io.modelcontextprotocol/protocolVersion"u8))
            {
                HasReservedMeta = true;
                reader.Read();
                MetaProtocolVersion = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("2026-07-28"u8) ? ProtocolEras.Stateless : TextOf(ref reader);
            }
            else if (reader.ValueTextEquals("io.modelcontextprotocol/clientCapabilities"u8))
            {
                HasReservedMeta = true;
                reader.Read();
                HasClientCapabilities = reader.TokenType == JsonTokenType.StartObject;
                if (HasClientCapabilities)
                {
                    var start = (int)reader.TokenStartIndex;
                    reader.Skip();
                    ClientCapabilities = body[start..(int)reader.BytesConsumed];
                    continue;
                }
            }
            else if (reader.ValueTextEquals("io.modelcontextprotocol/clientInfo"u8))
            {
                HasReservedMeta = true;
                reader.Read();
                HasOddClientInfo = reader.TokenType != JsonTokenType.StartObject;
            }
            else
            {
                var isLogLevel = reader.ValueTextEquals("io.modelcontextprotocol/logLevel"u8);
                reader.Read();
                if (isLogLevel)
                {
                    (HasLogLevel, HasReservedMeta, LogLevel) = (true, true, TextOf(ref reader));
                    continue;
                }
            }
            reader.Skip();
        }
        return isUnique;
    }

    /// <summary>The string at the reader, or null for a value of another kind, which is skipped.</summary>
    private static string? TextOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.GetString();
        }
        reader.Skip();
        return null;
    }

    private ReadOnlyMemory<byte> ValueAt(ref Utf8JsonReader reader) => body[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];

    /// <summary>The names of an object's members so far. Compares raw bytes while that is enough, decoded texts once a name is escaped or there are many.</summary>
    private ref struct MemberNames(Span<Range> seen, ReadOnlySpan<byte> body)
    {
        public const int OnStack = 16;

        private readonly Span<Range> seen = seen;
        private readonly ReadOnlySpan<byte> body = body;
        private int count;
        private HashSet<string>? decoded;

        /// <summary>Adds the name at the reader. False: it was there.</summary>
        public bool Add(in Utf8JsonReader reader)
        {
            if (decoded is null && !reader.ValueIsEscaped && count < seen.Length)
            {
                var name = reader.ValueSpan;
                for (var i = 0; i < count; i++)
                {
                    if (name.SequenceEqual(body[seen[i]]))
                    {
                        return false;
                    }
                }
                var start = (int)reader.TokenStartIndex + 1;
                seen[count++] = start..(start + name.Length);
                return true;
            }
            if (decoded is null)
            {
                decoded = new HashSet<string>(StringComparer.Ordinal);
                for (var i = 0; i < count; i++)
                {
                    decoded.Add(Encoding.UTF8.GetString(body[seen[i]]));
                }
            }
            return decoded.Add(reader.GetString()!);
        }
    }
}
