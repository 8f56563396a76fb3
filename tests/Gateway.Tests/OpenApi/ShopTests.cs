using System.Text;
using System.Text.Json;
using Gateway.Tests.Tools;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Time.Testing;
using Shared.Tools;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary>An OpenAPI 3.1 document in YAML, at an address of the API itself.</summary>
public sealed class ShopTests : IAsyncLifetime
{
    private FakeApi api = null!;
    private int unchanged;
    private string document = ApiGateway.Document("shop.yaml");

    public async ValueTask InitializeAsync()
    {
        api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => request.Target == "/openapi.yaml" ? AnswerDocumentAsync(request, context) : FakeApi.JsonAsync(context, request.Text.Length > 0 ? request.Text : "[]");
    }

    public ValueTask DisposeAsync() => api.DisposeAsync();

    [Fact]
    public async Task Document_IsFetched_AndItsServerIsBesideIt()
    {
        await using var gateway = await StartAsync();

        Assert.Equal(["shop__addNote", "shop__orders_create", "shop__orders_createMany", "shop__orders_get", "shop__orders_search", "shop__orders_update"], await NamesAsync(gateway));
        var quarantined = Assert.Single(State(gateway).Quarantined);
        Assert.Contains("orders_broken: GET '/orders/{id}/{+rest}': Its path names the parameter '+rest', which is not declared.", quarantined, StringComparison.Ordinal);
        Assert.False((await gateway.CallAsync("shop__orders_search", """{"fields":["id","total"],"q":"a/b&c","filter":{"status":"open"}}""")).IsError());
        Assert.Equal("/shop/orders?fields=id,total&q=a/b%26c&filter=%7B%22status%22%3A%22open%22%7D", api.Last.Target);
        Assert.Equal("Bearer " + ApiGateway.Token, api.Last.Headers["Authorization"]);
        Assert.DoesNotContain("Authorization", api.Requests[0].Headers.Keys);
        Assert.Contains("'fields' must be of the type array", (await gateway.CallAsync("shop__orders_search", """{"fields":"id"}""")).Text(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Bodies_AreSentAsTheDocumentSays()
    {
        await using var gateway = await StartAsync();

        var order = await gateway.CallAsync("shop__orders_create", """{"lines":[{"sku":"a","count":1}],"note":null,"payment":{"kind":"card","number":"4"}}""");
        Assert.Equal("""{"lines":[{"sku":"a","count":1}],"note":null,"payment":{"kind":"card","number":"4"}}""", api.Last.Text);
        Assert.Equal(api.Last.Text, order.GetProperty("structuredContent").GetRawText());
        await gateway.CallAsync("shop__orders_createMany", """{"body":[{"lines":[]},{"lines":[],"note":"x"}]}""");
        Assert.Equal("""[{"lines":[]},{"lines":[],"note":"x"}]""", api.Last.Text);
        await gateway.CallAsync("shop__orders_update", """{"id":7,"body":{"note":"n","more":1.0}}""");
        Assert.Equal(("PATCH", "/shop/orders/7", "application/merge-patch+json", """{"note":"n","more":1.0}"""), (api.Last.Method, api.Last.Target, api.Last.Headers["Content-Type"], api.Last.Text));
        await gateway.CallAsync("shop__orders_update", """{"id":8}""");
        Assert.Equal(("/shop/orders/8", ""), (api.Last.Target, api.Last.Text));
        await gateway.CallAsync("shop__addNote", """{"body":"Grüße\n"}""");
        Assert.Equal(("text/plain", "Grüße\n"), (api.Last.Headers["Content-Type"], api.Last.Text));
    }

    [Fact]
    public async Task Definitions_AreWhatAnOfficialClientTakes_AndHoldNoSecret()
    {
        await using var gateway = await StartAsync();

        var tools = Encoding.UTF8.GetString(((IToolAccess)gateway.Services.GetService(typeof(IToolAccess))!).List(await CallerAsync(gateway)).Span);

        using var list = JsonDocument.Parse(tools);
        var create = list.RootElement.EnumerateArray().Single(tool => tool.GetProperty("name").GetString() == "shop__orders_create");
        Assert.Equal("object", create.GetProperty("inputSchema").GetProperty("type").GetString());
        Assert.Equal("Place an order", create.GetProperty("title").GetString());
        Assert.Equal("""{"propertyName":"kind","mapping":{"card":"#/$defs/Card","invoice":"#/$defs/Invoice"}}""", create.GetProperty("inputSchema").GetProperty("$defs").GetProperty("Payment").GetProperty("discriminator").GetRawText());
        Assert.DoesNotContain(ApiGateway.Token, tools, StringComparison.Ordinal);
        Assert.DoesNotContain(api.Address, tools, StringComparison.Ordinal);
    }

    [Fact]
    public async Task DocumentThatChanges_IsReadAnew_AndOneThatBreaksIsNot()
    {
        var clock = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Manifests = new Dictionary<string, string> { ["shop.yaml"] = Manifest("\nrefresh: 10s\nlimits: {connectTimeout: 10m}") },
            Environment = new Dictionary<string, string> { ["SHOP_TOKEN"] = ApiGateway.Token },
            Clock = clock,
        }, TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "shop", state => state.State == "connected");
        Assert.Equal(6, (await NamesAsync(gateway)).Length);

        document = document.Replace("operationId: addNote", "operationId: writeNote", StringComparison.Ordinal);
        await AdvanceUntilAsync(gateway, clock, async () => (await NamesAsync(gateway)).Contains("shop__writeNote"));
        await AdvanceUntilAsync(gateway, clock, () => Task.FromResult(unchanged > 0));
        Assert.Null(State(gateway).Problem);
        document = "openapi: [broken";
        await AdvanceUntilAsync(gateway, clock, () => Task.FromResult(State(gateway).Problem?.Contains("could not be read anew", StringComparison.Ordinal) == true));
        Assert.Contains("shop__writeNote", await NamesAsync(gateway));
        Assert.Equal("Its document could not be read anew, so its tools are those of before. It is not valid YAML in line 2, column 1.", State(gateway).Problem);
        // One that is broken is not taken for read.
        var (before, read) = (unchanged, api.Requests.Count(request => request.Target == "/openapi.yaml"));
        await AdvanceUntilAsync(gateway, clock, () => Task.FromResult(api.Requests.Count(request => request.Target == "/openapi.yaml") > read + 2));
        Assert.Equal(before, unchanged);
        Assert.NotNull(State(gateway).Problem);
        document = ApiGateway.Document("shop.yaml");
        await AdvanceUntilAsync(gateway, clock, async () => (await NamesAsync(gateway)).Contains("shop__addNote"));
        await AdvanceUntilAsync(gateway, clock, () => Task.FromResult(State(gateway).Problem is null));
    }

    [Fact]
    public async Task FileThatChanges_IsReadAnew()
    {
        await using var gateway = await ApiGateway.StartAsync(("notes.yaml", ApiGateway.Manifest("notes", "docs/notes.json", $"baseUrl: {api.Address}")), ("other.yaml", ApiGateway.Manifest("other", "docs/none.json", $"baseUrl: {api.Address}")));
        Assert.Contains("There is no file", State(gateway, "notes").Problem, StringComparison.Ordinal);
        var folder = Directory.CreateDirectory(Path.Combine(gateway.Folder, "tool-manifests", "docs")).FullName;
        await File.WriteAllTextAsync(Path.Combine(folder, "notes.json"), """{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"one"}}}}""", TestContext.Current.CancellationToken);
        await ToolCaller.WaitForAsync(gateway, "notes", state => state.State == "connected");

        var two = WaitForToolsAsync(gateway, "notes", 2);
        await File.WriteAllTextAsync(Path.Combine(folder, "notes.json"), """{"openapi":"3.1.0","paths":{"/a":{"get":{"operationId":"one"}},"/b":{"get":{"operationId":"two"}}}}""", TestContext.Current.CancellationToken);
        await two;

        Assert.Equal("disconnected", State(gateway, "other").State);
    }

    private async Task AnswerDocumentAsync(FakeApiRequest request, HttpContext context)
    {
        var (bytes, tag) = (Encoding.UTF8.GetBytes(document), $"\"{document.Length}\"");
        context.Response.Headers.ETag = tag;
        if (request.Headers.GetValueOrDefault("If-None-Match") == tag)
        {
            context.Response.StatusCode = 304;
            unchanged++;
            return;
        }
        await FakeApi.WriteAsync(context, "application/yaml", bytes);
    }

    private static Task WaitForToolsAsync(TestGateway gateway, string server, int count) => ToolCaller.WaitForAsync(gateway, server, state => state.Tools == count);

    private static ToolServerState State(TestGateway gateway, string server = "shop") => ((IToolServerStates)gateway.Services.GetService(typeof(IToolServerStates))!).ReadAll().Single(state => state.Id == server);

    private static async Task<string[]> NamesAsync(TestGateway gateway) => [.. (await ToolCaller.ListAsync(gateway.Client)).Where(name => name.StartsWith("shop", StringComparison.Ordinal)).Order(StringComparer.Ordinal)];

    private static Task<Shared.Http.GatewayRequest> CallerAsync(TestGateway gateway)
    {
        var store = (Shared.Snapshots.SnapshotStore)gateway.Services.GetService(typeof(Shared.Snapshots.SnapshotStore))!;
        var key = store.Current.Keys.Values.First();
        return Task.FromResult(new Shared.Http.GatewayRequest("r1", store.Current, System.Diagnostics.ActivityTraceId.CreateRandom()) { TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", Key = key });
    }

    // By small steps, so that what waits for the reading does not give up.
    private static async Task AdvanceUntilAsync(TestGateway gateway, FakeTimeProvider clock, Func<Task<bool>> reached)
    {
        using var hang = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        while (!await reached())
        {
            hang.Token.ThrowIfCancellationRequested();
            clock.Advance(TimeSpan.FromMilliseconds(500));
            await NamesAsync(gateway);
        }
    }

    private string Manifest(string more = "") => ApiGateway.Manifest("shop", $"{api.Address}/openapi.yaml", "credentials: {token: \"${env:SHOP_TOKEN}\"}" + more);

    private Task<TestGateway> StartAsync() => ApiGateway.StartAsync(("shop.yaml", Manifest()));
}
