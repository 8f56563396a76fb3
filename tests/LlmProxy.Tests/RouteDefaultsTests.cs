using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects;
using LlmProxy.Tests.Hosting;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

/// <summary>A route's defaults are written once, in the names of OpenAI Chat, and hold in whatever format a client asks and a provider is asked.</summary>
public sealed class RouteDefaultsTests
{
    private const string Chat = "/v1/chat/completions";
    private const string Responses = "/v1/responses";
    private const string Messages = "/v1/messages";
    private const string Gemini = "/v1beta/models/m:generateContent";
    private const string Converse = "/bedrock/model/m/converse";

    private const string ChatBody = """{"model":"m","messages":[{"role":"user","content":"hi"}]}""";
    private const string ResponsesBody = """{"model":"m","input":"hi"}""";
    private const string MessagesBody = """{"model":"m","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}""";
    private const string GeminiBody = """{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}""";
    private const string ConverseBody = """{"messages":[{"role":"user","content":[{"text":"hi"}]}]}""";

    private static readonly ImmutableDictionary<string, string> Usual = Defaults(("temperature", "0.25"), ("top_p", "0.5"), ("stop", "\"END\""), ("seed", "7"));

    [Theory]
    [InlineData(DialectIds.OpenAiChat, Chat, ChatBody, """{"model":"g","top_p":0.5,"temperature":0.25,"stop":"END","seed":7,"messages":[{"role":"user","content":"hi"}]}""", "")]
    [InlineData(DialectIds.OpenAiResponses, Responses, ResponsesBody, """{"temperature":0.25,"top_p":0.5,"model":"g","input":"hi"}""", "seed, stop")]
    [InlineData(DialectIds.Anthropic, Messages, MessagesBody, """{"temperature":0.25,"top_p":0.5,"stop_sequences":["END"],"model":"g","max_tokens":100,"messages":[{"role":"user","content":"hi"}]}""", "seed")]
    [InlineData(DialectIds.Gemini, Gemini, GeminiBody, """{"generationConfig":{"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"]},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}""", "")]
    [InlineData(DialectIds.Gemini, Gemini, """{"generationConfig":{"topP":1},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}""",
        """{"generationConfig":{"temperature":0.25,"seed":7,"stopSequences":["END"],"topP":1},"contents":[{"role":"user","parts":[{"text":"hi"}]}]}""", "")]
    [InlineData(DialectIds.Gemini, Gemini, """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generation_config": { "top_p":1,"stop_sequences":["X"],"temperature":null, "seed" : 1 }}""",
        """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generation_config": { "top_p":1,"stop_sequences":["X"],"temperature":null, "seed" : 1 }}""", "")]
    [InlineData(DialectIds.Gemini, Gemini, """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig": { }}""",
        """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig": {"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"] }}""", "")]
    [InlineData(DialectIds.Gemini, Gemini, """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":null}""",
        """{"contents":[{"role":"user","parts":[{"text":"hi"}]}],"generationConfig":{"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"]}}""", "")]
    [InlineData(DialectIds.Bedrock, Converse, ConverseBody, """{"inferenceConfig":{"temperature":0.25,"topP":0.5,"stopSequences":["END"]},"messages":[{"role":"user","content":[{"text":"hi"}]}]}""", "seed")]
    public async Task Relay_Defaults_StandWhereTheFormatHasThem(string dialect, string path, string body, string expected, string dropped)
    {
        var (sent, left) = await SendAsync(dialect, path, body, Usual);

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(sent)), sent);
        Assert.Equal(dropped, string.Join(", ", left.Split(", ").Order(StringComparer.Ordinal)));
    }

    [Theory]
    [InlineData(DialectIds.Gemini, Messages, MessagesBody, "generationConfig", """{"maxOutputTokens":100,"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"]}""")]
    [InlineData(DialectIds.Gemini, Converse, ConverseBody, "generationConfig", """{"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"]}""")]
    [InlineData(DialectIds.Bedrock, Gemini, GeminiBody, "inferenceConfig", """{"temperature":0.25,"topP":0.5,"stopSequences":["END"]}""")]
    [InlineData(DialectIds.Bedrock, Chat, ChatBody, "inferenceConfig", """{"temperature":0.25,"topP":0.5,"stopSequences":["END"]}""")]
    [InlineData(DialectIds.OpenAiChat, Gemini, GeminiBody, "seed", "7")]
    [InlineData(DialectIds.OpenAiChat, Messages, MessagesBody, "seed", "7")]
    [InlineData(DialectIds.OpenAiChat, Responses, ResponsesBody, "stop", """["END"]""")]
    [InlineData(DialectIds.Anthropic, Gemini, GeminiBody, "stop_sequences", """["END"]""")]
    [InlineData(DialectIds.Anthropic, Responses, ResponsesBody, "temperature", "0.25")]
    [InlineData(DialectIds.OpenAiResponses, Converse, ConverseBody, "top_p", "0.5")]
    public async Task Translate_Defaults_AreWordedForTheProvider(string dialect, string path, string body, string member, string expected)
    {
        var (sent, _) = await SendAsync(dialect, path, body, Usual);

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(sent)![member]), sent);
    }

    [Fact]
    public async Task Translate_TheClientsOwn_Holds()
    {
        var (sent, _) = await SendAsync(DialectIds.Gemini, Messages, """{"model":"m","max_tokens":100,"temperature":1,"stop_sequences":["X"],"messages":[{"role":"user","content":"hi"}]}""", Usual);

        Assert.Equal("""{"maxOutputTokens":100,"temperature":1,"topP":0.5,"seed":7,"stopSequences":["X"]}""", Sorted(JsonNode.Parse(sent)!["generationConfig"]!, "maxOutputTokens", "temperature", "topP", "seed", "stopSequences"));
    }

    [Theory]
    [InlineData(DialectIds.Gemini, Gemini, GeminiBody, "safetySettings", """[{"category":"x"}]""")]
    [InlineData(DialectIds.OpenAiChat, Gemini, GeminiBody, "safetySettings", """[{"category":"x"}]""")]
    [InlineData(DialectIds.OpenAiChat, Chat, ChatBody, "safetySettings", """[{"category":"x"}]""")]
    public async Task Member_ThatOpenAiDoesNotHave_GoesAsItIs(string dialect, string path, string body, string member, string value)
    {
        var (sent, dropped) = await SendAsync(dialect, path, body, Defaults((member, value)));

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(value), JsonNode.Parse(sent)![member]), sent);
        Assert.Equal("", dropped);
    }

    [Fact]
    public async Task Member_ThatTheProvidersFormatLacks_IsReported()
    {
        var (sent, dropped) = await SendAsync(DialectIds.Anthropic, Gemini, GeminiBody, Defaults(("logit_bias", """{"1":2}""")));

        Assert.DoesNotContain("logit_bias", sent, StringComparison.Ordinal);
        Assert.Equal("logit_bias", dropped);
    }

    [Theory]
    [InlineData(DialectIds.OpenAiResponses, Responses, ResponsesBody, """{"reasoning":{"effort":"low"},"model":"g","input":"hi"}""")]
    [InlineData(DialectIds.OpenAiResponses, Responses, """{"model":"m","input":"hi","reasoning":{"summary":"auto"}}""", """{"model":"g","input":"hi","reasoning":{"effort":"low","summary":"auto"}}""")]
    [InlineData(DialectIds.OpenAiResponses, Responses, """{"model":"m","input":"hi","reasoning":{"effort":"high"}}""", """{"model":"g","input":"hi","reasoning":{"effort":"high"}}""")]
    public async Task Relay_Effort_StandsInItsObject(string dialect, string path, string body, string expected)
    {
        var (sent, _) = await SendAsync(dialect, path, body, Defaults(("reasoning_effort", "\"low\"")));

        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(sent)), sent);
    }

    [Theory]
    [InlineData(DialectIds.Gemini, Gemini, GeminiBody, "generationConfig", """{"maxOutputTokens":77,"temperature":0.25,"topP":0.5,"seed":7,"stopSequences":["END"]}""")]
    [InlineData(DialectIds.Bedrock, Converse, """{"messages":[{"role":"user","content":[{"text":"hi"}]}],"inferenceConfig":{"topP":1}}""", "inferenceConfig", """{"maxTokens":77,"temperature":0.25,"stopSequences":["END"],"topP":1}""")]
    public async Task Relay_LimitAndDefaults_StandInOneObject(string dialect, string path, string body, string member, string expected)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, dialect, Usual, route => route with { DefaultOutputTokens = 77 });

        using var response = await host.PostAsync(body, path: path);

        var sent = Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(sent)![member]), sent);
        Assert.Equal(1, sent.Split($"\"{member}\"").Length - 1);
    }

    [Fact]
    public void Default_OfAWrongType_FailsTheSnapshot()
    {
        var errors = new List<string>();
        var egress = TestEgress.NewPolicy();
        using var clients = new Providers.ProviderClients(egress);
        var authorizers = new Providers.RequestAuthorizers(egress, TimeProvider.System, Microsoft.Extensions.Logging.Abstractions.NullLogger<Providers.RequestAuthorizers>.Instance);
        var setup = new ProxySetup { Routes = [new Route { Name = "m", Targets = [new Target("simulator", "echo")], Defaults = Defaults(("temperature", "\"hot\"")) }], Providers = [new Provider { Id = "simulator", Dialect = "simulator", Origin = "built-in" }] };

        ProxyHost.Uncompiled(setup).Compile([new Routing.RouteTableCompiler(clients, authorizers, new Routing.TargetPipelines(TimeProvider.System))], errors);

        var error = Assert.Single(errors);
        Assert.Contains("Route 'm'", error, StringComparison.Ordinal);
        Assert.Contains("temperature", error, StringComparison.Ordinal);
    }

    private static string Sorted(JsonNode node, params string[] names) => new JsonObject(names.Select(name => KeyValuePair.Create(name, node[name]?.DeepClone()))).ToJsonString();

    private static ImmutableDictionary<string, string> Defaults(params (string Name, string Value)[] members) => members.ToImmutableDictionary(member => member.Name, member => member.Value);

    private static async Task<(string Sent, string Dropped)> SendAsync(string dialect, string path, string body, ImmutableDictionary<string, string> defaults)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, dialect, defaults);
        fake.Enqueue(FakeReply.Json(200, Answers[dialect]));
        using var response = await host.PostAsync(body, path: path);
        Assert.True(response.IsSuccessStatusCode, await response.TextAsync());
        return (Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body), response.Headers.TryGetValues("x-gateway-dropped", out var dropped) ? string.Join(", ", dropped) : "");
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, string dialect, ImmutableDictionary<string, string> defaults, Func<Route, Route>? more = null)
    {
        var route = new Route { Name = "m", Targets = [new Target("own", "g")], Defaults = defaults };
        return ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake, "own") with { Dialect = dialect }], Routes = [more?.Invoke(route) ?? route] });
    }

    private static readonly Dictionary<string, string> Answers = new()
    {
        [DialectIds.OpenAiChat] = """{"id":"c","object":"chat.completion","created":1,"model":"g","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":1,"total_tokens":2}}""",
        [DialectIds.OpenAiResponses] = """{"id":"r","object":"response","created_at":1,"status":"completed","model":"g","output":[{"type":"message","id":"m","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hi","annotations":[]}]}],"usage":{"input_tokens":1,"output_tokens":1,"total_tokens":2}}""",
        [DialectIds.Anthropic] = """{"id":"a","type":"message","role":"assistant","model":"g","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}""",
        [DialectIds.Gemini] = """{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1,"totalTokenCount":2},"modelVersion":"g"}""",
        [DialectIds.Bedrock] = """{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn","usage":{"inputTokens":1,"outputTokens":1,"totalTokens":2},"metrics":{"latencyMs":1}}""",
    };
}
