using System.Net;
using System.Text;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Messages;

/// <summary>What Claude Code expects of a gateway, point by point (code.claude.com/docs, "Gateway protocol reference").</summary>
public sealed class ClaudeCodeContractTests : IAsyncLifetime
{
    private const string Path = "/v1/messages?beta=true";

    // Odd white space, members that nobody here knows, an attribution block at the head of the system prompt: all of it is the provider's to read.
    private const string Body = """
        { "model":"claude-sonnet-4-5",  "max_tokens":64,"betas_of_the_future":[ 1 ], "system":[{"type":"text","text":"x-anthropic-billing-header: cc_version=2; cc_entrypoint=cli"},
        {"type":"text","text":"You are Claude Code.","cache_control":{"type":"ephemeral","ttl":"1h"}}],"thinking":{"type":"enabled","budget_tokens":1024},"context_management":{"edits":[]},
        "metadata":{"user_id":"user_1_account__session_2"},"messages":[{"role":"user","content":[{"type":"text","text":"Hi \u00e9"}]}],"stream":false }
        """;

    private const string Message = """{"id":"msg_1","type":"message","role":"assistant","model":"claude-sonnet-4-5","content":[{"type":"text","text":"Hello"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"cache_creation_input_tokens":7,"cache_read_input_tokens":11,"cache_creation":{"ephemeral_5m_input_tokens":0,"ephemeral_1h_input_tokens":7},"output_tokens":3},"later":{"kept":[true]}}""";

    private const string Start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"model\":\"claude-sonnet-4-5\",\"content\":[],\"stop_reason\":null,\"stop_sequence\":null,\"usage\":{\"input_tokens\":5,\"output_tokens\":1}}}\n\n";
    private const string Begin = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\n";
    private const string Ping = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
    private const string End = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\",\"stop_sequence\":null},\"usage\":{\"output_tokens\":3}}\n\nevent: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";

    private FakeProvider provider = null!;
    private FakeProvider other = null!;
    private TestGateway gateway = null!;

    public async ValueTask InitializeAsync()
    {
        provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        other = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $"""
                providers:
                  anthropic:
                    dialect: anthropic
                    baseUrl: {provider.BaseAddress}
                    apiKey: sk-ant-upstream
                    models: [claude-opus-4-5, claude-sonnet-4-5, claude-haiku-4-5]
                  other:
                    dialect: openai-chat
                    baseUrl: {other.BaseAddress}
                    apiKey: sk-other
                    models: [small]
                  google:
                    dialect: gemini
                    baseUrl: {other.BaseAddress}
                    apiKey: sk-google
                    models: [gemini-2.5-flash]
                prices:
                  - provider: other
                    model: "*"
                    input: 1
                    output: 1
                """,
        }, TestContext.Current.CancellationToken);
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await provider.DisposeAsync();
        await other.DisposeAsync();
    }

    [Fact]
    public async Task Post_BodyAndOpenHeaders_ReachTheProviderAsTheyAre()
    {
        provider.Enqueue(FakeReply.Json(200, Message));

        using var response = await PostAsync(Body, ("anthropic-version", "2023-06-01"), ("anthropic-beta", "claude-code-20250219,of-the-future-2099-01-01"), ("x-claude-code-session-id", "session-1"),
            ("x-claude-code-agent-id", "agent-1"), ("x-app", "cli"));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Message, await TextAsync(response));
        var request = Assert.Single(provider.Requests);
        Assert.Equal("/v1/messages", request.Path);
        Assert.Equal(Body, Encoding.UTF8.GetString(request.Body));
        Assert.Equal("claude-code-20250219,of-the-future-2099-01-01", request.Headers["anthropic-beta"]);
        Assert.Equal("2023-06-01", request.Headers["anthropic-version"]);
        Assert.Equal("sk-ant-upstream", request.Headers["x-api-key"]);
        Assert.DoesNotContain("Authorization", request.Headers);
        Assert.DoesNotContain(request.Headers, header => header.Key.StartsWith("x-claude-code", StringComparison.OrdinalIgnoreCase));
        Assert.Equal(response.Header("x-request-id"), response.Header("request-id"));
    }

    [Fact]
    public async Task Post_NoVersion_ThatOfTheApiIsSent()
    {
        provider.Enqueue(FakeReply.Json(200, Message));

        using var response = await PostAsync(Body);

        Assert.Equal("2023-06-01", Assert.Single(provider.Requests).Headers["anthropic-version"]);
    }

    [Fact]
    public async Task Post_AnotherVersion_IsTheClients()
    {
        provider.Enqueue(FakeReply.Json(200, Message));

        using var response = await PostAsync(Body, ("anthropic-version", "2099-01-01"));

        Assert.Equal("2099-01-01", Assert.Single(provider.Requests).Headers["anthropic-version"]);
    }

    [Theory]
    [InlineData(true, false)]
    [InlineData(false, true)]
    [InlineData(true, true)]
    public async Task Post_CredentialInEitherHeader_IsTaken(bool bearer, bool apiKey)
    {
        provider.Enqueue(FakeReply.Json(200, Message));

        using var response = await SendAsync(HttpMethod.Post, Path, Body, [.. bearer ? [("Authorization", "Bearer " + gateway.VirtualKey)] : Array.Empty<(string, string)>(), .. apiKey ? [("x-api-key", gateway.VirtualKey)] : Array.Empty<(string, string)>()]);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Post_NoCredential_IsRefusedInItsFormat()
    {
        using var response = await SendAsync(HttpMethod.Post, Path, Body);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Equal("false", response.Header("x-should-retry"));
        var error = await response.JsonAsync();
        Assert.Equal("error", error.GetProperty("type").GetString());
        Assert.Equal("authentication_error", error.GetProperty("error").GetProperty("type").GetString());
        Assert.Equal(response.Header("request-id"), error.GetProperty("request_id").GetString());
    }

    [Fact]
    public async Task Post_WithoutALimit_IsRefusedInItsFormat()
    {
        using var response = await PostAsync("""{"model":"claude-sonnet-4-5","messages":[]}""");

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal("invalid_request_error", (await response.JsonAsync()).GetProperty("error").GetProperty("type").GetString());
    }

    [Fact]
    public async Task Post_ProvidersError_ComesBackUnmodified()
    {
        const string said = """{ "type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 210000 tokens > 200000 maximum"},"request_id":"req_up" }""";
        provider.Enqueue(FakeReply.Json(400, said) with { Headers = new Dictionary<string, string> { ["request-id"] = "req_up", ["x-should-retry"] = "false", ["anthropic-ratelimit-requests-remaining"] = "7" } });

        using var response = await PostAsync(Body);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(said, await TextAsync(response));
        Assert.Equal("req_up", response.Header("x-upstream-request-id"));
        Assert.Equal("7", response.Header("anthropic-ratelimit-requests-remaining"));
    }

    [Fact]
    public async Task Stream_PingsWhileTheModelThinks_ComeAtOnce()
    {
        var goesOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        provider.Enqueue(FakeReply.Stream(Start + Begin, Ping, new FakePiece(Encoding.UTF8.GetBytes(End), goesOn.Task)));

        using var response = await PostAsync(Streamed);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var seen = await ReadUntilAsync(reader, Ping);
        goesOn.SetResult();
        var rest = await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.Equal(Start + Begin + Ping + End, seen + rest);
    }

    [Fact]
    public async Task Stream_PingsBeforeAnyContent_AreNotHeldForEver()
    {
        var goesOn = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        provider.Enqueue(FakeReply.Stream(Start, Ping, Ping, new FakePiece(Encoding.UTF8.GetBytes(Begin + End), goesOn.Task)));

        using var response = await PostAsync(Streamed);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        var seen = await ReadUntilAsync(reader, Ping + Ping);
        goesOn.SetResult();

        Assert.Equal(Start + Ping + Ping, seen);
        Assert.EndsWith(End, await reader.ReadToEndAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Stream_CutOff_EndsWithAnErrorEvent()
    {
        provider.Enqueue(FakeReply.Stream(Start + Begin));

        using var response = await PostAsync(Streamed);
        var text = await TextAsync(response);

        Assert.StartsWith(Start + Begin + "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"api_error\"", text, StringComparison.Ordinal);
        Assert.DoesNotContain("message_stop", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Models_AskedForWithAVersion_AreInItsShape()
    {
        using var response = await SendAsync(HttpMethod.Get, "/v1/models?limit=1000", null, ("anthropic-version", "2023-06-01"), ("x-api-key", gateway.VirtualKey));
        var list = await response.JsonAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.False(list.GetProperty("has_more").GetBoolean());
        var models = list.GetProperty("data").EnumerateArray().ToList();
        Assert.Contains(models, model => model.GetProperty("id").GetString() == "anthropic/claude-sonnet-4-5");
        Assert.All(models, model => Assert.Equal(("model", true, true), (model.GetProperty("type").GetString(), model.TryGetProperty("display_name", out _), model.TryGetProperty("created_at", out _))));
        Assert.Equal(models[0].GetProperty("id").GetString(), list.GetProperty("first_id").GetString());
        Assert.Equal(models[^1].GetProperty("id").GetString(), list.GetProperty("last_id").GetString());
    }

    [Fact]
    public async Task Models_ByPages_AreAllThereOnce()
    {
        var ids = new List<string>();
        var after = "";
        for (var page = 0; page < 20; page++)
        {
            using var response = await SendAsync(HttpMethod.Get, $"/anthropic/v1/models?limit=2{after}", null, ("x-api-key", gateway.VirtualKey));
            var list = await response.JsonAsync();
            ids.AddRange(list.GetProperty("data").EnumerateArray().Select(model => model.GetProperty("id").GetString()!));
            if (!list.GetProperty("has_more").GetBoolean())
            {
                break;
            }
            after = "&after_id=" + Uri.EscapeDataString(list.GetProperty("last_id").GetString()!);
        }
        using var back = await SendAsync(HttpMethod.Get, $"/anthropic/v1/models?limit=1&before_id={Uri.EscapeDataString(ids[2])}", null, ("x-api-key", gateway.VirtualKey));
        using var wrong = await SendAsync(HttpMethod.Get, "/anthropic/v1/models?after_id=nobody", null, ("x-api-key", gateway.VirtualKey));
        using var one = await SendAsync(HttpMethod.Get, "/anthropic/v1/models/claude-opus-4-5", null, ("x-api-key", gateway.VirtualKey));

        Assert.True(ids.Count > 4);
        Assert.Equal(ids.Order(StringComparer.Ordinal), ids);
        Assert.Equal(ids.Distinct(), ids);
        Assert.Equal(ids[1], (await back.JsonAsync()).GetProperty("data")[0].GetProperty("id").GetString());
        Assert.Equal("invalid_request_error", (await wrong.JsonAsync()).GetProperty("error").GetProperty("type").GetString());
        Assert.Equal("anthropic/claude-opus-4-5", (await one.JsonAsync()).GetProperty("id").GetString());
    }

    [Theory]
    [InlineData("/")]
    [InlineData("/anthropic")]
    public async Task Head_BaseAddress_IsAlive(string path)
    {
        using var response = await SendAsync(HttpMethod.Head, path, null);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task CountTokens_AnthropicsModel_IsCountedByItsProvider()
    {
        provider.Enqueue(FakeReply.Json(200, """{ "input_tokens": 123 }"""));

        using var response = await SendAsync(HttpMethod.Post, "/v1/messages/count_tokens?beta=true", """{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}]}""",
            ("x-api-key", gateway.VirtualKey), ("anthropic-beta", "token-counting-2024-11-01"));

        Assert.Equal("""{"input_tokens":123}""", await TextAsync(response));
        Assert.Equal("provider", response.Header("x-gateway-token-count"));
        var request = Assert.Single(provider.Requests);
        Assert.Equal("/v1/messages/count_tokens", request.Path);
        Assert.Equal("""{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hi"}]}""", Encoding.UTF8.GetString(request.Body));
        Assert.Equal("token-counting-2024-11-01", request.Headers["anthropic-beta"]);
    }

    [Fact]
    public async Task CountTokens_ProvidersError_ComesBackUnmodified()
    {
        const string said = """{"type":"error","error":{"type":"invalid_request_error","message":"messages: at least one message is required"}}""";
        provider.Enqueue(FakeReply.Json(400, said));

        using var response = await SendAsync(HttpMethod.Post, "/v1/messages/count_tokens", """{"model":"claude-sonnet-4-5","messages":[]}""", ("x-api-key", gateway.VirtualKey));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(said, await TextAsync(response));
    }

    [Fact]
    public async Task CountTokens_ProviderWithoutTheEndpoint_IsEstimated()
    {
        provider.Enqueue(FakeReply.Json(404, "{}"));

        using var absent = await SendAsync(HttpMethod.Post, "/v1/messages/count_tokens", """{"model":"claude-sonnet-4-5","messages":[{"role":"user","content":"Hello, how are you?"}]}""", ("x-api-key", gateway.VirtualKey));
        using var foreign = await SendAsync(HttpMethod.Post, "/v1/messages/count_tokens", """{"model":"other/small","system":"Be brief.","messages":[{"role":"user","content":"Hello, how are you?"}]}""", ("x-api-key", gateway.VirtualKey));

        Assert.Equal("estimate", absent.Header("x-gateway-token-count"));
        Assert.Equal("estimate", foreign.Header("x-gateway-token-count"));
        Assert.Equal(9, (await absent.JsonAsync()).GetProperty("input_tokens").GetInt64());
        Assert.Equal(15, (await foreign.JsonAsync()).GetProperty("input_tokens").GetInt64());
        Assert.Empty(other.Requests);
    }

    [Fact]
    public async Task CountTokens_GeminisModel_IsCountedByItsProvider()
    {
        other.Enqueue(FakeReply.Json(200, """{"totalTokens":77,"promptTokensDetails":[]}"""));

        using var response = await SendAsync(HttpMethod.Post, "/v1/messages/count_tokens", """{"model":"google/gemini-2.5-flash","messages":[{"role":"user","content":"Hi"}]}""", ("x-api-key", gateway.VirtualKey));

        Assert.Equal(77, (await response.JsonAsync()).GetProperty("input_tokens").GetInt64());
        Assert.Equal("provider", response.Header("x-gateway-token-count"));
        var asked = Assert.Single(other.Requests);
        Assert.Equal("/v1/models/gemini-2.5-flash:countTokens", asked.Path);
        Assert.Equal("models/gemini-2.5-flash", asked.Json.GetProperty("generateContentRequest").GetProperty("model").GetString());
        Assert.Equal("Hi", asked.Json.GetProperty("generateContentRequest").GetProperty("contents")[0].GetProperty("parts")[0].GetProperty("text").GetString());
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_ToAModelOfAnotherFormat_IsTranslatedBothWays(bool stream)
    {
        other.Enqueue(stream ? FakeReply.Stream(FakeReply.Role(), FakeReply.Content("Hel"), FakeReply.Content("lo"), FakeReply.Finish(), FakeReply.Usage(9, 3), FakeReply.Done) : FakeReply.Completion("Hello"));

        using var response = await PostAsync("""{"model":"other/small","max_tokens":50,"context_management":{"edits":[]},"system":"Be brief.","stream":STREAM,"messages":[{"role":"user","content":"Hi"}]}""".Replace("STREAM", stream ? "true" : "false", StringComparison.Ordinal));
        var text = await TextAsync(response);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("context_management", response.Header("x-gateway-dropped"), StringComparison.Ordinal);
        var sent = Assert.Single(other.Requests).Json;
        Assert.Equal("Be brief.", sent.GetProperty("messages")[0].GetProperty("content").GetString());
        Assert.Equal("user", sent.GetProperty("messages")[1].GetProperty("role").GetString());
        if (stream)
        {
            Assert.StartsWith("event: message_start\ndata: ", text, StringComparison.Ordinal);
            Assert.Contains("{\"type\":\"text_delta\",\"text\":\"Hel\"}", text, StringComparison.Ordinal);
            Assert.EndsWith("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", text, StringComparison.Ordinal);
            Assert.Contains("\"usage\":{\"input_tokens\":9,\"cache_creation_input_tokens\":0,\"cache_read_input_tokens\":0,\"output_tokens\":3}", text, StringComparison.Ordinal);
        }
        else
        {
            using var message = JsonDocument.Parse(text);
            Assert.Equal("Hello", message.RootElement.GetProperty("content")[0].GetProperty("text").GetString());
            Assert.Equal("end_turn", message.RootElement.GetProperty("stop_reason").GetString());
            Assert.Equal(9, message.RootElement.GetProperty("usage").GetProperty("input_tokens").GetInt64());
        }
    }

    [Fact]
    public async Task Chat_ToAnthropicsModel_IsTranslatedBothWays()
    {
        provider.Enqueue(FakeReply.Json(200, Message));

        using var response = await SendAsync(HttpMethod.Post, "/v1/chat/completions", """{"model":"anthropic/claude-sonnet-4-5","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi"}]}""", ("x-api-key", gateway.VirtualKey));
        var answer = await response.JsonAsync();

        Assert.Equal("Hello", answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString());
        Assert.Equal(23, answer.GetProperty("usage").GetProperty("prompt_tokens").GetInt64());
        var sent = Assert.Single(provider.Requests);
        Assert.Equal("2023-06-01", sent.Headers["anthropic-version"]);
        Assert.Equal("Be brief.", sent.Json.GetProperty("system").GetString());
        Assert.True(sent.Json.GetProperty("max_tokens").GetInt64() > 0);
    }

    private static string Streamed => Body.Replace("\"stream\":false", "\"stream\":true", StringComparison.Ordinal);

    private Task<HttpResponseMessage> PostAsync(string body, params ReadOnlySpan<(string Name, string Value)> headers) => SendAsync(HttpMethod.Post, Path, body, [("Authorization", "Bearer " + gateway.VirtualKey), .. headers]);

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(method, new Uri(gateway.BaseAddress, path));
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        return await gateway.Anonymous.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
    }

    private static Task<string> TextAsync(HttpResponseMessage response) => response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);

    private static async Task<string> ReadUntilAsync(StreamReader reader, string end)
    {
        var text = new StringBuilder();
        var buffer = new char[512];
        while (!text.ToString().EndsWith(end, StringComparison.Ordinal))
        {
            var read = await reader.ReadAsync(buffer.AsMemory(), TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
            Assert.True(read > 0, $"The stream ended after: {text}");
            text.Append(buffer, 0, read);
        }
        return text.ToString();
    }
}
