using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Shared.Ledger;
using TestSupport;

namespace Gateway.Tests.Responses;

/// <summary>Responses that a provider makes in the background, and those that it keeps: who may ask for them, and what is charged when.</summary>
public sealed class BackgroundTests : IAsyncLifetime
{
    private const string Used = """{"input_tokens":1000,"input_tokens_details":{"cached_tokens":0},"output_tokens":2000,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":3000}""";

    private const decimal Price = 0.005m; // 1000 at 1 dollar, 2000 at 2 dollars per million

    private const string Delta = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":1,\"item_id\":\"i\",\"output_index\":0,\"content_index\":0,\"delta\":\"Hi\"}\n\n";

    private FakeProvider provider = null!;
    private TestGateway gateway = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        provider = await FakeProvider.StartAsync(Cancelled);
        gateway = await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await provider.DisposeAsync();
    }

    [Fact]
    public async Task Response_InTheBackground_IsChargedOnceWhenItIsSeenToBeOver()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("queued"), Response("in_progress"), Response("completed", Used), Response("completed", Used));

        await BeginAsync(client, "own/m");
        var begun = await CostAsync();
        Assert.Equal("in_progress", await StatusAsync(client));
        Assert.Equal(begun, await CostAsync());
        Assert.Equal("completed", await StatusAsync(client));
        Assert.Equal(Price, await CostAsync());
        Assert.Equal("completed", await StatusAsync(client));

        Assert.Equal(Price, await CostAsync());
        Assert.InRange(begun, 0.002m, 0.0021m); // the most that its 1000 tokens of output could have cost
        var row = Assert.Single(await RowsAsync(), row => row.GetProperty("usageSource").GetString() == "reported");
        Assert.Equal("m", row.GetProperty("model").GetString());
        Assert.Equal((1000, 2000), await TokensAsync());
    }

    [Fact]
    public async Task Response_ThatUsedLessThanWasCharged_CostsNoMore()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("queued"), Response("completed", Used.Replace("2000", "20", StringComparison.Ordinal)));
        await BeginAsync(client, "own/m");
        var begun = await CostAsync();

        await StatusAsync(client);

        Assert.Equal(begun, await CostAsync());
        Assert.Equal((1000, 20), await TokensAsync());
    }

    [Fact]
    public async Task Response_UnderAHardBudget_IsChargedTheReservationAndThenWhatItUsedBeyond()
    {
        using var client = gateway.NewClient(await KeyAsync(new { name = "a key", models = new[] { "*" }, budgets = new[] { new { limit = "1", per = "day" } } }));
        provider.Enqueue(Response("queued"), Response("incomplete", Used));

        using (var unbounded = await client.PostAsync(new Uri("v1/responses", UriKind.Relative), Json("""{"model":"own/m","input":"x","background":true}"""), Cancelled))
        {
            Assert.Equal(HttpStatusCode.BadRequest, unbounded.StatusCode);
            Assert.Contains("background", await unbounded.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        }
        await BeginAsync(client, "bounded");
        Assert.Equal(0.002m, await CostAsync());
        await StatusAsync(client);

        Assert.Equal(Price, await CostAsync());
    }

    [Fact]
    public async Task Response_AfterARestart_IsStillTheKeysAndCharged()
    {
        using var folder = new TemporaryFolder();
        var data = Path.Combine(folder.Path, "data");
        provider.Enqueue(Response("queued"), Response("completed", Used));
        string key;
        await using (var first = await StartAsync(data))
        {
            key = await KeyAsync(gateway: first);
            using var client = first.NewClient(key);
            await BeginAsync(client, "own/m");
        }
        await using var second = await StartAsync(data);
        using var again = second.NewClient(key);

        Assert.Equal("completed", await StatusAsync(again));

        await second.IdleAsync();
        var rows = await second.Services.GetRequiredService<UsageQuery>().RunAsync(new UsageRequest(), Cancelled);
        Assert.Equal(Price, Assert.Single(rows.Rows).Cost.Dollars);
    }

    [Fact]
    public async Task Stream_WhoseClientLeaves_IsMadeAllTheSame_AndChargedWhenItIsSeenToBeOver()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(new FakeReply { ContentType = "text/event-stream", Pieces = [Event("created", "in_progress", "null"), Delta], Ending = FakeEnding.Hang }, Response("completed", Used));
        using (var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/responses", UriKind.Relative)) { Content = Json("""{"model":"own/m","input":"x","background":true,"stream":true}""") })
        using (var left = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled))
        {
            await using var stream = await left.Content.ReadAsStreamAsync(Cancelled);
            var begun = new byte[16];
            await stream.ReadExactlyAsync(begun, Cancelled);
        }
        Assert.InRange(await CostAsync(), 0.002m, 0.0021m);

        Assert.Equal("completed", await StatusAsync(client));

        Assert.Equal(Price, await CostAsync());
        Assert.Equal((1000, 2000), await TokensAsync());
    }

    [Fact]
    public async Task Stream_OfTheBackground_IsChargedAtItsEndAndNotAgain()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(FakeReply.Stream(Event("created", "queued", "null"), Event("completed", "completed", Used)), Response("completed", Used));
        using (var response = await client.PostAsync(new Uri("v1/responses", UriKind.Relative), Json("""{"model":"own/m","input":"x","background":true,"stream":true}"""), Cancelled))
        {
            Assert.Contains("response.completed", await response.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        }

        Assert.Equal(Price, await CostAsync());
        await StatusAsync(client);
        Assert.Equal(Price, await CostAsync());
    }

    [Fact]
    public async Task Response_FollowedAsAStream_IsChargedAtItsEnd()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("queued"), FakeReply.Stream(Event("completed", "completed", Used)), Response("completed", Used));
        await BeginAsync(client, "own/m");

        using (var followed = await client.GetAsync(new Uri("v1/responses/resp_1?stream=true&starting_after=3&include[]=reasoning.encrypted_content", UriKind.Relative), Cancelled))
        {
            Assert.Equal("text/event-stream; charset=utf-8", followed.Content.Headers.ContentType?.ToString());
            Assert.Equal(Event("completed", "completed", Used), await followed.Content.ReadAsStringAsync(Cancelled));
        }

        Assert.Equal(Price, await CostAsync());
        Assert.Equal("?stream=true&starting_after=3&include[]=reasoning.encrypted_content", provider.Requests[1].Query);
    }

    [Fact]
    public async Task Response_Cancelled_IsChargedWhatItHadUsed()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("in_progress"), Response("cancelled", Used));
        await BeginAsync(client, "own/m");

        using var cancelled = await client.PostAsync(new Uri("v1/responses/resp_1/cancel", UriKind.Relative), null, Cancelled);

        Assert.Equal("cancelled", (await cancelled.JsonAsync()).GetProperty("status").GetString());
        Assert.Equal(Price, await CostAsync());
        Assert.Equal("/v1/responses/resp_1/cancel", provider.Requests[1].Path);
    }

    [Fact]
    public async Task Response_ThatIsDeleted_IsChargedFirst()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("in_progress"), Response("completed", Used), FakeReply.Json(200, """{"id":"resp_1","object":"response","deleted":true}"""));
        await BeginAsync(client, "own/m");

        using var deleted = await client.DeleteAsync(new Uri("v1/responses/resp_1", UriKind.Relative), Cancelled);

        Assert.True((await deleted.JsonAsync()).GetProperty("deleted").GetBoolean());
        Assert.Equal(Price, await CostAsync());
        Assert.Equal(["POST", "GET", "DELETE"], provider.Requests.Select(request => request.Method));
    }

    [Fact]
    public async Task Response_ThatCannotBeLookedAt_IsNotDeleted()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("in_progress"), FakeReply.Reset);
        await BeginAsync(client, "own/m");

        using var deleted = await client.DeleteAsync(new Uri("v1/responses/resp_1", UriKind.Relative), Cancelled);

        Assert.Equal(HttpStatusCode.BadGateway, deleted.StatusCode);
        Assert.Equal(["POST", "GET"], provider.Requests.Select(request => request.Method));
    }

    [Fact]
    public async Task Response_OfAnotherKey_IsNotThere()
    {
        using var client = gateway.NewClient(await KeyAsync());
        using var other = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("queued"));
        await BeginAsync(client, "own/m");

        foreach (var (method, path) in new[] { ("GET", "resp_1"), ("GET", "resp_1?stream=true"), ("DELETE", "resp_1"), ("POST", "resp_1/cancel"), ("GET", "resp_1/input_items"), ("GET", new string('x', 2000)) })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), new Uri("v1/responses/" + path, UriKind.Relative));
            using var answer = await other.SendAsync(request, Cancelled);
            Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        }
        Assert.Single(provider.Requests);
    }

    [Fact]
    public async Task Asking_CountsForRequestLimits_AndIsInTheLedgerForNothing()
    {
        using var client = gateway.NewClient(await KeyAsync(new { name = "a key", models = new[] { "*" }, rateLimits = new[] { new { requests = 3, per = "1h" } } }));
        provider.Enqueue(Response("completed", Used), Response("completed", Used), FakeReply.Json(200, """{"object":"list","data":[]}"""));
        using (var made = await client.PostAsync(new Uri("v1/responses", UriKind.Relative), Json("""{"model":"own/m","input":"x"}"""), Cancelled))
        {
            Assert.Equal(HttpStatusCode.OK, made.StatusCode);
        }

        await StatusAsync(client);
        using (var items = await client.GetAsync(new Uri("v1/responses/resp_1/input_items?limit=2", UriKind.Relative), Cancelled))
        {
            Assert.Equal(HttpStatusCode.OK, items.StatusCode);
        }
        using var refused = await client.GetAsync(new Uri("v1/responses/resp_1", UriKind.Relative), Cancelled);

        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(3, provider.Requests.Count);
        var rows = await RowsAsync();
        Assert.Equal([("responses", 0m), ("responses", 0m), ("m", Price)], rows.Select(row => (row.GetProperty("model").GetString()!, row.GetProperty("costDollars").GetDecimal())));
    }

    [Fact]
    public async Task Asking_WhenTheProviderIsDown_SaysSo()
    {
        using var client = gateway.NewClient(await KeyAsync());
        provider.Enqueue(Response("queued"), FakeReply.Error(503), FakeReply.Reset, Response("completed", Used));
        await BeginAsync(client, "own/m");

        using var down = await client.GetAsync(new Uri("v1/responses/resp_1", UriKind.Relative), Cancelled);
        using var broken = await client.GetAsync(new Uri("v1/responses/resp_1", UriKind.Relative), Cancelled);

        Assert.Equal((HttpStatusCode.ServiceUnavailable, HttpStatusCode.BadGateway), (down.StatusCode, broken.StatusCode));
        Assert.Equal("fake_503", (await down.JsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal("completed", await StatusAsync(client));
        Assert.Equal(Price, await CostAsync());
    }

    private static string Event(string name, string status, string usage) =>
        $"event: response.{name}\ndata: {{\"type\":\"response.{name}\",\"sequence_number\":0,\"response\":{Body(status, usage)}}}\n\n";

    private static string Body(string status, string usage) =>
        $$"""{"id":"resp_1","object":"response","created_at":1,"status":"{{status}}","background":true,"error":null,"model":"m","output":[],"usage":{{usage}}}""";

    private async Task<(long, long)> TokensAsync()
    {
        var total = Assert.Single((await gateway.Services.GetRequiredService<UsageQuery>().RunAsync(new UsageRequest(), Cancelled)).Rows);
        return (total.InputTokens, total.OutputTokens);
    }

    private static FakeReply Response(string status, string usage = "null") => FakeReply.Json(200, Body(status, usage));

    private static async Task BeginAsync(HttpClient client, string model)
    {
        using var response = await client.PostAsync(new Uri("v1/responses", UriKind.Relative), Json($$"""{"model":"{{model}}","input":"x","background":true}"""), Cancelled);
        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(Cancelled));
    }

    private static async Task<string?> StatusAsync(HttpClient client, string query = "")
    {
        using var response = await client.GetAsync(new Uri("v1/responses/resp_1" + query, UriKind.Relative), Cancelled);
        var text = await response.Content.ReadAsStringAsync(Cancelled);
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonDocument.Parse(text).RootElement.GetProperty("status").GetString();
    }

    private async Task<decimal> CostAsync() => (await RowsAsync()).Sum(row => row.GetProperty("costDollars") is { ValueKind: JsonValueKind.Number } cost ? cost.GetDecimal() : 0);

    private async Task<IReadOnlyList<JsonElement>> RowsAsync()
    {
        await gateway.IdleAsync();
        var page = await gateway.AdminClient.GetFromJsonAsync<JsonElement>("admin/v1/ledger?limit=100", Cancelled);
        return [.. page.GetProperty("attempts").EnumerateArray()];
    }

    private Task<TestGateway> StartAsync(string? dataFolder = null) => TestGateway.StartAsync(new TestGatewayOptions
    {
        DataFolder = dataFolder,
        Configuration = $$"""
            providers:
              own: {baseUrl: "{{provider.BaseAddress}}", dialect: openai-responses, apiKey: sk-upstream, models: [m], maxRetries: 0}
            routes:
              bounded: {targets: [own/m], reservation: 0.002}
            prices:
              - {provider: own, model: m, input: 1, output: 2, maxOutputTokens: 1000}
            """,
    }, Cancelled);

    private async Task<string> KeyAsync(object? declaration = null, TestGateway? gateway = null)
    {
        using var response = await (gateway ?? this.gateway).AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), declaration ?? new { name = "a key", models = new[] { "*" } }, Cancelled);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancelled));
        return (await response.JsonAsync()).GetProperty("token").GetString()!;
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");
}
