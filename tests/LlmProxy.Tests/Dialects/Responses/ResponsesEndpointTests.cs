using System.Net;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Responses.Store;
using LlmProxy.Tests.Hosting;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Responses;

/// <summary>The endpoints of Responses before a provider of chat completions, and before one of Responses.</summary>
public sealed class ResponsesEndpointTests
{
    private const string Path = "/v1/responses";

    private const string Chat = """{"id":"chatcmpl-1","object":"chat.completion","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":1,"total_tokens":4} }""";

    private const string Own = """{"id":"resp_up","object":"response","created_at":1,"model":"m","status":"completed","output":[],"usage":{"input_tokens":3,"input_tokens_details":{"cached_tokens":1},"output_tokens":1,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":4} }""";

    [Fact]
    public async Task Create_ChatProvider_AnswerCanBeGoneOnFromAndAskedFor()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, DialectIds.OpenAiChat);
        fake.Enqueue(FakeReply.Json(200, Chat));
        fake.Enqueue(FakeReply.Json(200, Chat));

        var first = await JsonAsync(await host.PostAsync("""{"model":"fake/m","input":"one","instructions":"be brief"}""", path: Path), HttpStatusCode.OK);
        var id = first.GetProperty("id").GetString()!;
        var item = first.GetProperty("output")[0].GetProperty("id").GetString()!;
        var second = await JsonAsync(await host.PostAsync($$"""{"model":"fake/m","input":[{"type":"item_reference","id":"{{item}}"},{"role":"user","content":"two"}],"previous_response_id":"{{id}}"}""", path: Path), HttpStatusCode.OK);

        ResponsesInvariants.CheckResponse(first);
        Assert.Equal(id, second.GetProperty("previous_response_id").GetString());
        var sent = JsonDocument.Parse(fake.Requests.ElementAt(1).Body).RootElement.GetProperty("messages");
        Assert.Equal(["user:one", "assistant:HelloHello", "user:two"], Said(sent));
        ResponsesCodec.Same(first.GetRawText(), (await JsonAsync(await host.GetAsync($"{Path}/{id}"), HttpStatusCode.OK)).GetRawText());
        var inputs = await JsonAsync(await host.GetAsync($"{Path}/{id}/input_items"), HttpStatusCode.OK);
        Assert.Equal("one", inputs.GetProperty("data")[0].GetProperty("content")[0].GetProperty("text").GetString());
        Assert.Equal("invalid_request", (await JsonAsync(await host.PostAsync("{}", path: $"{Path}/{id}/cancel"), HttpStatusCode.BadRequest)).GetProperty("error").GetProperty("code").GetString());
        Assert.True((await JsonAsync(await host.DeleteAsync($"{Path}/{id}"), HttpStatusCode.OK)).GetProperty("deleted").GetBoolean());
        await JsonAsync(await host.GetAsync($"{Path}/{id}"), HttpStatusCode.NotFound);
        var gone = await JsonAsync(await host.PostAsync($$"""{"model":"fake/m","input":"three","previous_response_id":"{{id}}"}""", path: Path), HttpStatusCode.BadRequest);
        Assert.Equal("previous_response_not_found", gone.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(2, fake.Requests.Count);
    }

    [Fact]
    public async Task Create_StoreFalse_KeepsNothing()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, DialectIds.OpenAiChat);
        fake.Enqueue(FakeReply.Json(200, Chat));

        var answer = await JsonAsync(await host.PostAsync("""{"model":"fake/m","input":"one","store":false}""", path: Path), HttpStatusCode.OK);

        await JsonAsync(await host.GetAsync($"{Path}/{answer.GetProperty("id").GetString()}"), HttpStatusCode.NotFound);
    }

    [Fact]
    public async Task Create_ChatStream_IsAStreamOfResponsesThatIsKept()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, DialectIds.OpenAiChat);
        fake.Enqueue(new FakeReply
        {
            ContentType = "text/event-stream",
            Pieces =
            [
                "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"He\"}}]}\n\n",
                "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
                "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
                "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2,\"total_tokens\":5}}\n\n",
                FakeReply.Done,
            ],
        });

        using var response = await host.PostAsync("""{"model":"fake/m","input":"one","stream":true}""", path: Path);
        var last = ResponsesInvariants.Check(await response.TextAsync())!.Value;

        Assert.Equal(["message", "function_call"], last.GetProperty("output").EnumerateArray().Select(item => item.GetProperty("type").GetString()));
        ResponsesCodec.Same(last.GetRawText(), (await JsonAsync(await host.GetAsync($"{Path}/{last.GetProperty("id").GetString()}"), HttpStatusCode.OK)).GetRawText());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((3L, 2L), (row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Create_ResponsesProvider_BytesPassAndLaterQuestionsGoToIt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, DialectIds.OpenAiResponses);
        const string Sent = """{ "model":"fake/m", "input":"a\u0062", "previous_response_id":"resp_theirs" }""";
        fake.Enqueue(FakeReply.Json(200, Own));
        fake.Enqueue(FakeReply.Json(200, """{"id":"resp_up","status":"cancelled"}"""));
        fake.Enqueue(FakeReply.Json(404, """{"error":{"message":"gone"}}"""));

        using (var response = await host.PostAsync(Sent, path: Path))
        {
            Assert.Equal(Own, await response.TextAsync());
        }
        Assert.Equal(Sent.Replace("fake/m", "m", StringComparison.Ordinal), Encoding.UTF8.GetString(fake.Requests.ElementAt(0).Body));
        var cancelled = await JsonAsync(await host.PostAsync("{}", path: $"{Path}/resp_up/cancel"), HttpStatusCode.OK);
        Assert.Equal("cancelled", cancelled.GetProperty("status").GetString());
        await JsonAsync(await host.GetAsync($"{Path}/resp_up/input_items?limit=2"), HttpStatusCode.NotFound);

        Assert.Equal(["/v1/responses", "/v1/responses/resp_up/cancel", "/v1/responses/resp_up/input_items"], fake.Requests.Select(request => request.Path.Split('?')[0]));
        await JsonAsync(await host.GetAsync($"{Path}/resp_other"), HttpStatusCode.NotFound);
        Assert.Equal(3, fake.Requests.Count);
        var rows = await host.Ledger.RowsAsync(3);
        Assert.Equal(["m", "responses", "responses"], rows.Select(row => row.Start.Name));
        Assert.All(rows.Skip(1), row => Assert.Equal(Money.Zero, row.Charged));
        var row = rows[0];
        Assert.Equal((2L, 1L, 1L), (row.Result.Usage.Input, row.Result.Usage.CacheRead, row.Result.Usage.Output));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Create_ProviderOfTheFormatThatKeepsNothing_TheGatewayKeepsIt(bool stream)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake) with { Dialect = DialectIds.OpenAiResponses, StoresResponses = false }] });
        const string Items = """[{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]}]""";
        var spoken = Own.Replace("\"output\":[]", "\"output\":" + Items, StringComparison.Ordinal);
        FakeReply Reply(string id) => stream
            ? FakeReply.Stream($"event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{{\"id\":\"{id}\"}}}}\n\n", $"event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{spoken.Replace("resp_up", id, StringComparison.Ordinal)}}}\n\n")
            : FakeReply.Json(200, spoken.Replace("resp_up", id, StringComparison.Ordinal));
        fake.Enqueue(Reply("resp_1"), Reply("resp_2"), Reply("resp_3"));
        var asked = stream ? "\"stream\":true," : "";

        using (var first = await host.PostAsync($$"""{"model":"fake/m",{{asked}}"input":"one"}""", path: Path))
        {
            Assert.Contains("Hello", await first.TextAsync(), StringComparison.Ordinal);
        }
        using (var second = await host.PostAsync($$"""{"model":"fake/m",{{asked}}"input":"two","previous_response_id":"resp_1","store":false}""", path: Path))
        {
            Assert.Equal(HttpStatusCode.OK, second.StatusCode);
        }

        var sent = JsonDocument.Parse(fake.Requests.ElementAt(1).Body).RootElement;
        Assert.False(sent.TryGetProperty("previous_response_id", out _));
        Assert.Equal(["one", "Hello", "two"], Said(sent.GetProperty("input")).Select(said => said.Split(':')[^1]));
        Assert.Equal("Hello", (await JsonAsync(await host.GetAsync($"{Path}/resp_1"), HttpStatusCode.OK)).GetProperty("output")[0].GetProperty("content")[0].GetProperty("text").GetString());
        await JsonAsync(await host.GetAsync($"{Path}/resp_2"), HttpStatusCode.NotFound); // nobody was to store it
        Assert.Equal(2, fake.Requests.Count);
    }

    [Fact]
    public async Task Create_GoesOnFromAProvidersAnswer_ThatProviderAloneIsAsked()
    {
        await using var one = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var two = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [.. new[] { (Id: "one", Fake: one), (Id: "two", Fake: two) }.Select(made => ProxyHost.Provider(made.Fake, made.Id) with { Dialect = DialectIds.OpenAiResponses, MaxRetries = 0 })],
            Routes = [new Route { Name = "either", Targets = [new Target("one", "m"), new Target("two", "m")] }],
        });
        one.Enqueue(FakeReply.Error(503));
        two.Enqueue(FakeReply.Json(200, Own));
        two.Enqueue(FakeReply.Json(200, Own));
        two.Enqueue(FakeReply.Json(200, """{"object":"response.input_tokens","input_tokens":7}"""));
        two.Enqueue(FakeReply.Error(503));

        await JsonAsync(await host.PostAsync("""{"model":"either","input":"one"}""", path: Path), HttpStatusCode.OK);
        await JsonAsync(await host.PostAsync("""{"model":"either","input":"two","previous_response_id":"resp_up"}""", path: Path), HttpStatusCode.OK);
        var counted = await JsonAsync(await host.PostAsync("""{"model":"either","input":"two","previous_response_id":"resp_up"}""", path: Path + "/input_tokens"), HttpStatusCode.OK);
        await JsonAsync(await host.PostAsync("""{"model":"either","input":"three","previous_response_id":"resp_up"}""", path: Path), HttpStatusCode.ServiceUnavailable);

        Assert.Equal(7, counted.GetProperty("input_tokens").GetInt32());
        Assert.Equal((1, 4), (one.Requests.Count, two.Requests.Count));
    }

    [Fact]
    public async Task CountTokens_ChatProvider_SaysThatItGuesses()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, DialectIds.OpenAiChat);

        using var response = await host.PostAsync("""{"model":"fake/m","input":"four words of text"}""", path: Path + "/input_tokens");

        Assert.Equal("estimate", response.Header("x-gateway-token-count"));
        Assert.InRange((await JsonAsync(response, HttpStatusCode.OK)).GetProperty("input_tokens").GetInt64(), 4, 30);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public void Store_OfOneKey_IsNothingToAnother()
    {
        var store = new ResponseStore(TimeProvider.System);
        store.Keep(new StoredResponse("a", "resp_1", null, default, """{"id":"resp_1","output":[{"id":"msg_1"}]}"""u8.ToArray(), TimeProvider.System.GetUtcNow()));
        store.KeepProvider("a", "resp_2", "p");

        Assert.NotNull(store.Find("a", "resp_1"));
        Assert.False(store.FindItem("a", "msg_1").IsEmpty);
        Assert.Null(store.Find("b", "resp_1"));
        Assert.True(store.FindItem("b", "msg_1").IsEmpty);
        Assert.Null(store.FindProvider("b", "resp_2"));
        Assert.False(store.TryReadConversation("b", "resp_1", []));
        Assert.False(store.Remove("b", "resp_1"));
    }

    [Fact]
    public void Store_Full_ForgetsTheOldest()
    {
        var store = new ResponseStore(TimeProvider.System);
        var answer = Encoding.UTF8.GetBytes($$"""{"output":[],"pad":"{{new string('x', 8 * 1024 * 1024)}}"}""");
        for (var i = 0; i < 20; i++)
        {
            store.Keep(new StoredResponse("a", "resp_" + i, null, default, answer, TimeProvider.System.GetUtcNow()));
        }

        Assert.Null(store.Find("a", "resp_0"));
        Assert.NotNull(store.Find("a", "resp_19"));
        Assert.Equal(15, Enumerable.Range(0, 20).Count(i => store.Find("a", "resp_" + i) is not null));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, string dialect) => ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake) with { Dialect = dialect }] });

    private static async Task<JsonElement> JsonAsync(HttpResponseMessage response, HttpStatusCode status)
    {
        using (response)
        {
            var text = await response.TextAsync();
            Assert.True(status == response.StatusCode, $"{response.StatusCode}: {text}");
            return JsonDocument.Parse(text).RootElement;
        }
    }

    private static IEnumerable<string> Said(JsonElement messages)
    {
        foreach (var message in messages.EnumerateArray())
        {
            var content = message.GetProperty("content");
            foreach (var part in content.ValueKind == JsonValueKind.Array ? content.EnumerateArray().Select(one => one.GetProperty("text").GetString()) : [content.GetString()])
            {
                yield return $"{message.GetProperty("role").GetString()}:{part}";
            }
        }
    }
}
