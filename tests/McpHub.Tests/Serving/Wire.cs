using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;

namespace McpHub.Tests.Serving;

/// <summary>An HTTP client that sends exactly the bytes and headers it is told to.</summary>
internal sealed class Wire(Uri endpoint, string key) : IDisposable
{
    public const string Stateless = "2026-07-28";
    public const string Handshake = "2025-11-25";

    private readonly HttpClient http = new(new SocketsHttpHandler()) { Timeout = TimeSpan.FromSeconds(60) };

    public string? SessionId { get; set; }

    /// <summary>The <c>_meta</c> members that a request of the stateless revision must have.</summary>
    public static string StatelessMeta => """
        "io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}
        """;

    public void Dispose() => http.Dispose();

    public async Task OpenSessionAsync(string version = Handshake)
    {
        var answer = await PostAsync($$$$"""{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"{{{{version}}}}","capabilities":{},"clientInfo":{"name":"wire","version":"1"}}}""");
        Assert.Equal(HttpStatusCode.OK, answer.Status);
        SessionId = answer.SessionId;
        var ready = await PostAsync("""{"jsonrpc":"2.0","method":"notifications/initialized"}""");
        Assert.Equal(HttpStatusCode.Accepted, ready.Status);
    }

    /// <summary>Headers that a stateless request needs.</summary>
    public static Dictionary<string, string> StatelessHeaders(string method, string? name = null)
    {
        var headers = new Dictionary<string, string> { ["MCP-Protocol-Version"] = Stateless, ["Mcp-Method"] = method };
        if (name is not null)
        {
            headers["Mcp-Name"] = name;
        }
        return headers;
    }

    public Task<WireAnswer> PostAsync(string body, IReadOnlyDictionary<string, string>? headers = null) =>
        PostAsync(Encoding.UTF8.GetBytes(body), headers);

    public async Task<WireAnswer> PostAsync(byte[] body, IReadOnlyDictionary<string, string>? headers = null)
    {
        using var response = await SendAsync(HttpMethod.Post, body, headers, CancellationToken.None);
        return await WireAnswer.ReadAsync(response);
    }

    public Task<HttpResponseMessage> DeleteAsync() => SendAsync(HttpMethod.Delete, null, null, CancellationToken.None);

    public Task<HttpResponseMessage> GetAsync() => SendAsync(HttpMethod.Get, null, null, CancellationToken.None);

    public async Task<HttpResponseMessage> SendAsync(HttpMethod method, byte[]? body, IReadOnlyDictionary<string, string>? headers, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, endpoint);
        request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {key}");
        if (headers?.ContainsKey("Accept") != true)
        {
            request.Headers.TryAddWithoutValidation("Accept", method == HttpMethod.Get ? "text/event-stream" : "application/json, text/event-stream");
        }
        if (SessionId is not null && headers?.ContainsKey("Mcp-Session-Id") != true)
        {
            request.Headers.TryAddWithoutValidation("Mcp-Session-Id", SessionId);
        }
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body);
            request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        }
        foreach (var (name, value) in headers ?? new Dictionary<string, string>())
        {
            if (name == "Content-Type")
            {
                request.Content!.Headers.ContentType = MediaTypeHeaderValue.Parse(value);
            }
            else if (value.Length > 0)
            {
                request.Headers.TryAddWithoutValidation(name, value);
            }
        }
        using var linked = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, TestContext.Current.CancellationToken);
        return await http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, linked.Token);
    }
}

/// <summary>What came back.</summary>
internal sealed record WireAnswer(HttpStatusCode Status, string? ContentType, string? SessionId, string Body, string? RequestId, IReadOnlyList<string> Messages)
{
    /// <summary>The last message: the answer to the request.</summary>
    public JsonNode? Last => Messages.Count == 0 ? null : JsonNode.Parse(Messages[^1]);

    public int? ErrorCode => Last?["error"]?["code"]?.GetValue<int>();

    public static async Task<WireAnswer> ReadAsync(HttpResponseMessage response)
    {
        var body = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        var type = response.Content.Headers.ContentType?.MediaType;
        IReadOnlyList<string> messages = type == "text/event-stream"
            ? [.. body.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line["data: ".Length..]).Where(data => data.Length > 0)]
            : body.Length == 0 || type != "application/json" ? [] : [body];
        return new WireAnswer(response.StatusCode, type, Header(response, "Mcp-Session-Id"), body, Header(response, "x-request-id"), messages);
    }

    private static string? Header(HttpResponseMessage response, string name) => response.Headers.TryGetValues(name, out var values) ? values.Single() : null;
}
