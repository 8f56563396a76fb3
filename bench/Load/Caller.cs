using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace Gateway.Load;

/// <summary>One caller: it sends a request, reads the whole answer, and only then sends the next.</summary>
internal sealed class Caller(HttpMessageInvoker shared, LoadOptions options)
{
    private const string Revision = "2025-11-25";

    private static readonly byte[] Hello = Encoding.UTF8.GetBytes(
        """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":""" + Quoted(Revision) + ""","capabilities":{},"clientInfo":{"name":"load","version":"1"}}}""");

    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly byte[] body = BodyOf(options);
    private HttpMessageInvoker http = shared;
    private string? session;
    private int cycles;

    /// <summary>What the first answer said that was not as it should be; null: there was none.</summary>
    public string? FirstFailure { get; private set; }

    /// <summary>Does what has to be done once before the first request.</summary>
    public async Task OpenAsync(CancellationToken cancellationToken)
    {
        if (options.Kind is "tools" or "list")
        {
            await ShakeHandsAsync(cancellationToken);
        }
    }

    /// <summary>
    /// Makes one request, or with <c>sessions</c> opens, uses and ends one session, or with <c>connects</c> does so on connections of its own, with a stream on which it listens;
    /// two in five such clients are gone without a word.
    /// </summary>
    /// <returns>Whether it was answered as it should be.</returns>
    public async Task<bool> CallAsync(CancellationToken cancellationToken)
    {
        try
        {
            switch (options.Kind)
            {
                case "chat" or "stream":
                    return await SendAsync(HttpMethod.Post, "v1/chat/completions", body, cancellationToken) is { } answer && Ends(answer);
                case "messages":
                    return await SendAsync(HttpMethod.Post, "v1/messages", body, cancellationToken) is { } streamed && Ends(streamed);
                case "sessions":
                    await ShakeHandsAsync(cancellationToken);
                    var listed = await SendAsync(HttpMethod.Post, "mcp", body, cancellationToken);
                    return await SendAsync(HttpMethod.Delete, "mcp", null, cancellationToken) is not null && listed is not null && IsResult(listed);
                case "connects":
                    return await ConnectAsync(cancellationToken);
                default:
                    return await SendAsync(HttpMethod.Post, "mcp", body, cancellationToken) is { } called && IsResult(called);
            }
        }
        catch (HttpRequestException exception)
        {
            FirstFailure ??= exception.Message;
            return false;
        }
    }

    private static byte[] BodyOf(LoadOptions options) => Encoding.UTF8.GetBytes(options.Kind switch
    {
        "chat" or "stream" => $$"""{"model":{{Quoted(options.Model)}},"messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog."}],"stream":{{(options.Kind == "stream" ? "true" : "false")}}}""",
        "messages" => $$"""{"model":{{Quoted(options.Model)}},"max_tokens":256,"messages":[{"role":"user","content":"The quick brown fox jumps over the lazy dog."}],"stream":true}""",
        "tools" or "connects" => """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":""" + Quoted(options.Tool) + ",\"arguments\":" + options.Arguments + "}}",
        _ => """{"jsonrpc":"2.0","id":1,"method":"tools/list"}""",
    });

    private async Task<bool> ConnectAsync(CancellationToken cancellationToken)
    {
        using var handler = new SocketsHttpHandler { UseCookies = false, UseProxy = false, AllowAutoRedirect = false };
        using var own = new HttpMessageInvoker(handler);
        http = own;
        await ShakeHandsAsync(cancellationToken);
        using var listen = new HttpRequestMessage(HttpMethod.Get, new Uri(options.Url, "mcp"));
        listen.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Key);
        listen.Headers.TryAddWithoutValidation("Accept", "text/event-stream");
        listen.Headers.Add("Mcp-Session-Id", session);
        listen.Headers.Add("MCP-Protocol-Version", Revision);
        using var stream = await own.SendAsync(listen, cancellationToken);
        if (!stream.IsSuccessStatusCode)
        {
            FirstFailure ??= $"{(int)stream.StatusCode} for the stream";
            return false;
        }
        var called = await SendAsync(HttpMethod.Post, "mcp", body, cancellationToken);
        if (called is not null && !IsResult(called))
        {
            FirstFailure ??= Encoding.UTF8.GetString(called.AsSpan(0, Math.Min(called.Length, 500)));
            return false;
        }
        return called is not null && (cycles++ % 5 >= 3 || await SendAsync(HttpMethod.Delete, "mcp", null, cancellationToken) is not null);
    }

    private static string Quoted(string text) => $"\"{JsonEncodedText.Encode(text)}\"";

    private static bool IsResult(byte[] answer) =>
        answer.AsSpan().IndexOf("\"result\":"u8) >= 0 && answer.AsSpan().IndexOf("\"isError\":true"u8) < 0;

    private bool Ends(byte[] answer) =>
        options.Kind == "chat" ? answer.AsSpan().IndexOf("\"choices\":"u8) >= 0
        : options.Kind == "messages" ? answer.AsSpan().TrimEnd("\r\n"u8).EndsWith("{\"type\":\"message_stop\"}"u8)
        : answer.AsSpan().TrimEnd("\r\n"u8).EndsWith("data: [DONE]"u8);

    private async Task ShakeHandsAsync(CancellationToken cancellationToken)
    {
        session = null;
        if (await SendAsync(HttpMethod.Post, "mcp", Hello, cancellationToken) is not { } answer || !IsResult(answer))
        {
            throw new HttpRequestException("The handshake failed.");
        }
        await SendAsync(HttpMethod.Post, "mcp", """{"jsonrpc":"2.0","method":"notifications/initialized"}"""u8.ToArray(), cancellationToken);
    }

    private async Task<byte[]?> SendAsync(HttpMethod method, string path, byte[]? content, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, new Uri(options.Url, path));
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", options.Key);
        if (path == "mcp")
        {
            request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
            if (session is not null)
            {
                request.Headers.Add("Mcp-Session-Id", session);
                request.Headers.Add("MCP-Protocol-Version", Revision);
            }
        }
        if (content is not null)
        {
            request.Content = new ByteArrayContent(content) { Headers = { ContentType = Json } };
        }
        using var response = await http.SendAsync(request, cancellationToken);
        var answer = await response.Content.ReadAsByteArrayAsync(cancellationToken);
        if (response.Headers.TryGetValues("Mcp-Session-Id", out var ids))
        {
            session = ids.First();
        }
        if (response.IsSuccessStatusCode)
        {
            return answer;
        }
        FirstFailure ??= $"{(int)response.StatusCode} {Encoding.UTF8.GetString(answer.AsSpan(0, Math.Min(answer.Length, 500)))}";
        return null;
    }
}
