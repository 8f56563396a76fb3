using System.Text;

namespace McpHub.Tests.Upstreams;

/// <summary>What a <see cref="ScriptedServer"/> answers a POST with.</summary>
internal sealed record ScriptedReply
{
    public int Status { get; init; } = 200;

    public string ContentType { get; init; } = "application/json";

    /// <summary>The pieces of the body; each waits for its gate, where it has one.</summary>
    public IReadOnlyList<(string Text, Task? After)> Pieces { get; init; } = [];

    /// <summary>Whether the response stays open after its last piece until its client leaves.</summary>
    public bool StaysOpen { get; init; }

    /// <summary>Whether the connection is cut after the last piece.</summary>
    public bool IsCut { get; init; }

    /// <summary>Whether nothing at all is sent, not even headers.</summary>
    public bool IsSilent { get; init; }

    /// <summary>A body of JSON, as it is.</summary>
    public static ScriptedReply Json(string body, int status = 200) => new() { Status = status, Pieces = [(body, null)] };

    /// <summary>A result for a request.</summary>
    public static ScriptedReply Result(ScriptedRequest request, string result) => Json(ResultOf(request, result));

    /// <summary>A JSON-RPC error for a request.</summary>
    public static ScriptedReply Error(ScriptedRequest request, string error, int status = 200) => Json($$"""{"jsonrpc":"2.0","id":{{request.Id}},"error":{{error}}}""", status);

    /// <summary>A stream of events, each with one message as its data.</summary>
    public static ScriptedReply Events(params IReadOnlyList<string> messages) =>
        new() { ContentType = "text/event-stream", Pieces = [.. messages.Select(message => ($"event: message\ndata: {message}\n\n", (Task?)null))] };

    /// <summary>No answer, ever.</summary>
    public static ScriptedReply Silence { get; } = new() { IsSilent = true };

    /// <summary>The message that answers a request.</summary>
    public static string ResultOf(ScriptedRequest request, string result) => $$"""{"jsonrpc":"2.0","id":{{request.Id}},"result":{{result}}}""";

    /// <summary>Stands for a byte that no text in UTF-8 has.</summary>
    public const char WrongByte = '\uE0FF';

    internal static ReadOnlyMemory<byte> Encode(string text)
    {
        using var bytes = new MemoryStream();
        foreach (var (part, index) in text.Split(WrongByte).Select((part, index) => (part, index)))
        {
            if (index > 0)
            {
                bytes.WriteByte(0xFF);
            }
            bytes.Write(Encoding.UTF8.GetBytes(part));
        }
        return bytes.ToArray();
    }
}

/// <summary>One HTTP request that a <see cref="ScriptedServer"/> received.</summary>
/// <param name="HttpMethod">Its method.</param>
/// <param name="Headers">Its headers, by name in any case.</param>
/// <param name="Body">Its body.</param>
/// <param name="Method">The JSON-RPC method; "" where there is none.</param>
/// <param name="Id">The raw id; "" where there is none.</param>
internal sealed record ScriptedRequest(string HttpMethod, IReadOnlyDictionary<string, string> Headers, string Body, string Method, string Id)
{
    private readonly TaskCompletionSource aborted = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>The session that it names, or null.</summary>
    public string? Session => Headers.GetValueOrDefault("Mcp-Session-Id");

    /// <summary>The raw <c>params</c>.</summary>
    public string Params
    {
        get
        {
            using var body = System.Text.Json.JsonDocument.Parse(Body);
            return body.RootElement.GetProperty("params").GetRawText();
        }
    }

    /// <summary>Completes when its client gives up on it; fails after 30 s.</summary>
    public Task AbortedAsync() => aborted.Task.WaitAsync(TimeSpan.FromSeconds(30));

    internal void MarkAborted() => aborted.TrySetResult();
}
