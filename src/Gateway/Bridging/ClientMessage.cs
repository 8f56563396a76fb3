using System.Text;
using McpHub.Upstreams;

namespace Gateway.Bridging;

/// <summary>One message of the client: its bytes, and the few members that say where it belongs.</summary>
internal sealed class ClientMessage
{
    private ClientMessage(byte[] bytes) => Bytes = bytes;

    /// <summary>The message as it came, without the end of its line.</summary>
    public byte[] Bytes { get; }

    /// <summary>The raw id; "": a notification.</summary>
    public string Id { get; private init; } = "";

    /// <summary>The method; "": the answer to a request of the gateway.</summary>
    public string Method { get; private init; } = "";

    /// <summary>The revision that a request of the era without sessions names; null: it belongs to a session.</summary>
    public string? StatelessVersion { get; private init; }

    /// <summary>What a request of that era is about: a tool, a prompt or a resource; null: nothing.</summary>
    public string? Name { get; private init; }

    /// <summary>The raw id of the request that the notification cancels; "": it cancels none.</summary>
    public string Cancelled { get; private init; } = "";

    /// <summary>Whether an answer is owed.</summary>
    public bool IsRequest => Id.Length > 0 && Method.Length > 0;

    /// <summary>Reads a message. Null: it is none.</summary>
    public static ClientMessage? Read(ReadOnlySpan<byte> line)
    {
        if (!RpcFrame.TryRead(line, out var frame))
        {
            return null;
        }
        var meta = JsonMembers.FindRaw(frame.Params, "_meta"u8);
        return new ClientMessage(line.ToArray())
        {
            Id = Encoding.UTF8.GetString(frame.Id),
            Method = frame.Method,
            StatelessVersion = meta.IsEmpty ? null : JsonMembers.FindString(meta, "io.modelcontextprotocol/protocolVersion"u8),
            Name = frame.Params.IsEmpty ? null : frame.Method switch
            {
                "tools/call" or "prompts/get" => JsonMembers.FindString(frame.Params, "name"u8),
                "resources/read" => JsonMembers.FindString(frame.Params, "uri"u8),
                _ => null,
            },
            Cancelled = frame.Method == "notifications/cancelled" ? Encoding.UTF8.GetString(JsonMembers.FindRaw(frame.Params, "requestId"u8)) : "",
        };
    }
}
