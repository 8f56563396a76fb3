using System.Text;
using System.Text.Json;

namespace TestSupport;

/// <summary>How a scripted answer ends.</summary>
public enum FakeEnding
{
    /// <summary>As HTTP wants it.</summary>
    Complete,

    /// <summary>The connection is reset.</summary>
    Abort,

    /// <summary>Nothing more comes, until the caller gives up.</summary>
    Hang,
}

/// <summary>Bytes of an answer, written and flushed at once.</summary>
/// <param name="Bytes">The bytes.</param>
/// <param name="After">What is waited for before they are written.</param>
public sealed record FakePiece(byte[] Bytes, Task? After = null)
{
    public static implicit operator FakePiece(string text) => new(Encoding.UTF8.GetBytes(text));
}

/// <summary>One scripted answer of a <see cref="FakeProvider"/>.</summary>
public sealed record FakeReply
{
    /// <summary>The end of a complete stream.</summary>
    public const string Done = "data: [DONE]\n\n";

    public int Status { get; init; } = 200;

    public string? ContentType { get; init; } = "application/json";

    public IReadOnlyDictionary<string, string> Headers { get; init; } = new Dictionary<string, string>();

    public IReadOnlyList<FakePiece> Pieces { get; init; } = [];

    /// <summary>The length that the answer claims to have; null: it is chunked.</summary>
    public long? ContentLength { get; init; }

    public FakeEnding Ending { get; init; }

    /// <summary>Whether not even the headers come.</summary>
    public bool HangsBeforeHeaders { get; init; }

    /// <summary>An answer that never comes.</summary>
    public static FakeReply Hang { get; } = new() { HangsBeforeHeaders = true };

    /// <summary>The connection breaks before any header.</summary>
    public static FakeReply Reset { get; } = new() { Ending = FakeEnding.Abort };

    public static FakeReply Json(int status, string body) => new() { Status = status, Pieces = [body], ContentLength = Encoding.UTF8.GetByteCount(body) };

    public static FakeReply Error(int status, string message = "The fake provider says no.") =>
        Json(status, $$$"""{"error":{"message":{{{JsonSerializer.Serialize(message)}}},"type":"fake","param":null,"code":"fake_{{{status}}}"}}""");

    /// <summary>A complete chat completion.</summary>
    public static FakeReply Completion(string text, long promptTokens = 9, long completionTokens = 3) => Json(200, $$$"""
        {"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"fake","choices":[{"index":0,"message":{"role":"assistant","content":{{{JsonSerializer.Serialize(text)}}},"refusal":null},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":{{{promptTokens}}},"completion_tokens":{{{completionTokens}}},"total_tokens":{{{promptTokens + completionTokens}}} },"vendor_extra":{"kept":true}}
        """);

    /// <summary>An event stream of pieces; each is flushed alone.</summary>
    public static FakeReply Stream(params ReadOnlySpan<FakePiece> pieces) => new() { ContentType = "text/event-stream; charset=utf-8", Pieces = pieces.ToArray() };

    /// <summary>The event that opens a choice.</summary>
    public static string Role() => Chunk("""{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}""");

    /// <summary>An event with text.</summary>
    public static string Content(string text) => Chunk("{\"index\":0,\"delta\":{\"content\":" + JsonSerializer.Serialize(text) + "},\"logprobs\":null,\"finish_reason\":null}");

    /// <summary>The event that ends a choice.</summary>
    public static string Finish(string reason = "stop") => Chunk($$"""{"index":0,"delta":{},"logprobs":null,"finish_reason":"{{reason}}"}""");

    /// <summary>The event that carries the usage alone.</summary>
    public static string Usage(long promptTokens, long completionTokens) =>
        "data: {\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"fake\",\"choices\":[],\"usage\":{"
            + $"\"prompt_tokens\":{promptTokens},\"completion_tokens\":{completionTokens},\"total_tokens\":{promptTokens + completionTokens}" + "}}\n\n";

    private static string Chunk(string choice) =>
        $$"""data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"fake","choices":[{{choice}}],"usage":null}""" + "\n\n";
}
