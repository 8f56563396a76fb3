using System.Net;
using System.Text;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>
/// Requests as clients that are no vendor's write them: the addresses that LiteLLM makes of an <c>api_base</c> for the providers openai, anthropic, gemini, vertex_ai and bedrock, its
/// ways of sending the key, and its members. (BerriAI/litellm: llms/vertex_ai/vertex_llm_base.py, llms/bedrock/chat/converse_handler.py, main.py.)
/// </summary>
public sealed class ClientShapesTests
{
    private const string Chat = """{"model":"simulator/echo","messages":[{"role":"user","content":"ok"}],"max_tokens":50,"user":"u","metadata":{"a":"b"},"extra_body":{"x":1}}""";
    private const string ChatStream = """{"model":"simulator/echo","messages":[{"role":"user","content":[{"type":"text","text":"ok"}]}],"max_tokens":50,"stream":true,"stream_options":{"include_usage":true}}""";
    private const string Responses = """{"model":"simulator/echo","input":[{"role":"user","content":[{"type":"input_text","text":"ok"}]}],"max_output_tokens":50,"store":false}""";
    private const string Messages = """{"model":"simulator/echo","messages":[{"role":"user","content":[{"type":"text","text":"ok"}]}],"max_tokens":50,"metadata":{"user_id":"u"}}""";
    private const string MessagesStream = """{"model":"simulator/echo","messages":[{"role":"user","content":[{"type":"text","text":"ok"}]}],"max_tokens":50,"stream":true}""";
    private const string Gemini = """{"contents":[{"role":"user","parts":[{"text":"ok"}]}],"system_instruction":{"parts":[{"text":"Be brief."}]},"generationConfig":{"max_output_tokens":50,"temperature":0},"safetySettings":[]}""";
    private const string Converse = """{"messages":[{"role":"user","content":[{"text":"ok"}]}],"system":[],"inferenceConfig":{"maxTokens":50},"additionalModelRequestFields":{}}""";
    private const string Embedding = """{"model":"simulator/embed","input":["ok"],"encoding_format":"float"}""";
    private const string GeminiEmbedding = """{"requests":[{"model":"models/simulator/embed","content":{"parts":[{"text":"ok"}]}}]}""";
    private const string Signature = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/bedrock/aws4_request, SignedHeaders=host;x-amz-date, Signature=00";

    /// <summary>Path, body, and what the answer holds.</summary>
    public static TheoryData<string, string, string> Calls => new()
    {
        { "openai/v1/chat/completions", Chat, "You said: ok\"" },
        { "openai/chat/completions", Chat, "You said: ok\"" },
        { "v1/chat/completions", Chat, "You said: ok\"" },
        { "openai/v1/chat/completions", ChatStream, "data: [DONE]" },
        { "openai/v1/responses", Responses, "You said: ok\"" },
        { "openai/responses", Responses, "You said: ok\"" },
        { "openai/v1/embeddings", Embedding, "\"embedding\":[" },
        { "openai/embeddings", Embedding, "\"embedding\":[" },
        { "anthropic/v1/messages", Messages, "You said: ok\"" },
        { "anthropic/messages", Messages, "You said: ok\"" },
        { "anthropic/v1/messages", MessagesStream, "event: message_stop" },
        { "anthropic/v1/messages?beta=true", Messages, "You said: ok\"" },
        { "genai/v1beta/models/simulator/echo:generateContent", Gemini, "You said: ok\"" },
        { "genai/models/simulator/echo:generateContent", Gemini, "You said: ok\"" },
        { "genai/v1/models/simulator/echo:generateContent", Gemini, "You said: ok\"" },
        { "genai/simulator/echo:generateContent", Gemini, "You said: ok\"" },
        { "genai/v1beta/simulator/echo:streamGenerateContent?alt=sse", Gemini, "\"finishReason\":\"STOP\"" },
        { "genai/v1beta/models/simulator%2Fecho:streamGenerateContent?alt=sse", Gemini, "data: {" },
        { "genai/v1/projects/p/locations/l/publishers/simulator/models/echo:generateContent", Gemini, "You said: ok\"" },
        { "genai/v1beta/models/simulator/embed:batchEmbedContents", GeminiEmbedding, "\"values\":[" },
        { "bedrock/model/simulator%2Fecho/converse", Converse, "You said: ok\"" },
        { "bedrock/model/simulator%2Fecho/converse-stream", Converse, "messageStop" },
    };

    [Theory]
    [MemberData(nameof(Calls))]
    public async Task Call_AtEachAddress_IsAnswered(string path, string body, string part)
    {
        await using var gateway = await StartAsync();

        var (status, text) = await SendAsync(gateway, path, body, ("Authorization", $"Bearer {gateway.VirtualKey}"));

        Assert.True(status == HttpStatusCode.OK && text.Contains(part, StringComparison.Ordinal), $"{status}: {text}");
    }

    [Theory]
    [InlineData("openai/v1/chat/completions", Chat)]
    [InlineData("anthropic/v1/messages", Messages)]
    [InlineData("genai/v1beta/models/simulator/echo:generateContent", Gemini)]
    [InlineData("bedrock/model/simulator%2Fecho/converse", Converse)]
    public async Task Key_InEachHeader_IsTaken(string path, string body)
    {
        await using var gateway = await StartAsync();
        foreach (var (name, start) in new[] { ("Authorization", "Bearer "), ("x-api-key", ""), ("x-goog-api-key", ""), ("api-key", "") })
        {
            var (status, text) = await SendAsync(gateway, path, body, (name, start + gateway.VirtualKey));
            Assert.True(status == HttpStatusCode.OK, $"{name}: {status}: {text}");
        }
    }

    [Fact]
    public async Task Key_InTheQuery_IsTakenAtGooglesAddressesAlone()
    {
        await using var gateway = await StartAsync();

        Assert.Equal(HttpStatusCode.OK, (await SendAsync(gateway, $"genai/v1beta/models/simulator/echo:generateContent?key={gateway.VirtualKey}", Gemini)).Status);
        Assert.Equal(HttpStatusCode.OK, (await SendAsync(gateway, $"genai/v1beta/simulator/echo:streamGenerateContent?key={gateway.VirtualKey}&alt=sse", Gemini)).Status);
        Assert.Equal(HttpStatusCode.Unauthorized, (await SendAsync(gateway, $"openai/v1/chat/completions?key={gateway.VirtualKey}", Chat)).Status);
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains(gateway.VirtualKey, StringComparison.Ordinal));
    }

    [Fact]
    public async Task SignedRequest_WithTheKeyBesideIt_IsAnswered()
    {
        await using var gateway = await StartAsync();

        var (status, text) = await SendAsync(gateway, "bedrock/model/simulator%2Fecho/converse", Converse,
            ("Authorization", Signature), ("x-amz-date", "20260101T000000Z"), ("x-amz-content-sha256", "00"), ("x-api-key", gateway.VirtualKey));

        Assert.True(status == HttpStatusCode.OK, $"{status}: {text}");
    }

    [Theory]
    [InlineData("openai/v1/models", "data")]
    [InlineData("openai/models", "data")]
    [InlineData("anthropic/v1/models", "data")]
    [InlineData("genai/v1beta/models", "models")]
    public async Task Models_BelowEachRoot_AreListed(string path, string member)
    {
        await using var gateway = await StartAsync();

        using var list = JsonDocument.Parse(await gateway.Client.GetStringAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken));

        Assert.Contains(list.RootElement.GetProperty(member).EnumerateArray(), model => (model.TryGetProperty("id", out var id) ? id : model.GetProperty("name")).GetString()!.EndsWith("simulator/echo", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("genai/v1beta/tunedModels/mine:generateContent", HttpStatusCode.NotFound)]
    [InlineData("v1beta/nothing", HttpStatusCode.NotFound)]
    [InlineData("v1/nothing/here", HttpStatusCode.NotFound)]
    public async Task Get_WhatIsNobodys_IsNotFound(string path, HttpStatusCode expected)
    {
        await using var gateway = await StartAsync();

        using var got = await gateway.Client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
        var (posted, _) = await SendAsync(gateway, path, Gemini, ("x-goog-api-key", gateway.VirtualKey));

        Assert.Equal((expected, expected), (got.StatusCode, posted));
    }

    private static Task<TestGateway> StartAsync() => TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);

    private static async Task<(HttpStatusCode Status, string Text)> SendAsync(TestGateway gateway, string path, string body, params (string Name, string Value)[] headers)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseAddress, path)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.Add("anthropic-version", "2023-06-01");
        request.Headers.Add("accept", "application/json");
        foreach (var (name, value) in headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
