using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using System.Text.Json;
using McpHub.Tests.Upstreams;
using Shared.Budgets;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Tests.Catalog;

/// <summary>Calls through the whole client side: grant, admission, relay, record.</summary>
public sealed class DispatcherTests : IAsyncLifetime
{
    private ScriptedServer server = null!;

    public async ValueTask InitializeAsync() => server = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task Call_Granted_RelaysParamsAndResultAndRecordsARow()
    {
        const string result = """{"content":[{"type":"resource_link","uri":"x://y","x-extra":[1.50]}],"structuredContent":{"n":1E+2},"_meta":{"k":1},"x-vendor":true}""";
        server.Call = request => ScriptedReply.Result(request, result);
        await using var hub = await StartAsync();

        Assert.Equal(result.Replace("x://y", "fake+x://y", StringComparison.Ordinal), await hub.ResultAsync("fake__echo", """{"x-first":[ 1.50 ],"name":"fake__\u0065cho","arguments":{"a":1e400,"a":2},"_meta":{"vendor/x":null,"progressToken":7}}"""));

        Assert.Equal($$$"""{"x-first":[ 1.50 ],"name":"echo","arguments":{"a":1e400,"a":2},"_meta":{"vendor/x":null,"traceparent":"{{{Calls.TraceParent}}}"}}""", server.RequestsOf("tools/call")[0].Params);
        var row = Assert.Single(hub.Ledger.Rows);
        Assert.Equal(("fake", "echo", "fake__echo", CallKind.Tool), (row.Start.Upstream, row.Start.Name, row.Start.RequestedName, row.Start.Kind));
        Assert.Equal((CallOutcome.Succeeded, Money.Zero), (row.Result.Outcome, row.Charged));
        Assert.DoesNotContain("sk-gw", string.Join(' ', server.Requests.SelectMany(request => request.Headers.Values)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Call_NotGrantedAndNotThere_LookTheSameAndReachNobody()
    {
        server.Tools = [.. new[] { "open", "hidden" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""")];
        await using var hub = await StartAsync(Hub.Key(grants: new Grants { Tools = ["fake/open"] }));

        Assert.Equal("""{"code":-32602,"message":"Unknown tool: fake__hidden"}""", await hub.ErrorAsync("fake__hidden"));
        Assert.Equal("""{"code":-32602,"message":"Unknown tool: fake__absent"}""", await hub.ErrorAsync("fake__absent"));
        Assert.Empty(server.RequestsOf("tools/call"));
        Assert.Empty(hub.Ledger.Rows);
    }

    [Fact]
    public async Task Call_GrantTakenAwaySinceTheRequestBegan_IsRefused()
    {
        await using var hub = await StartAsync();
        var begun = hub.Request();

        hub.Publish([Hub.Key(grants: new Grants())], Manifests.Http(server.Endpoint));

        Assert.Contains("Unknown tool", await hub.ErrorAsync("fake__echo", caller: begun), StringComparison.Ordinal);
        hub.Publish([], Manifests.Http(server.Endpoint));
        Assert.Contains("Unknown tool", await hub.ErrorAsync("fake__echo", caller: begun), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]", "'params' must be an object.")]
    [InlineData("{\"name\":1}", "'name' must be a string.")]
    [InlineData("{}", "'name' is missing.")]
    [InlineData("{\"name\":\"a\",\"n\\u0061me\":\"b\"}", "'name' stands twice in 'params'.")]
    [InlineData("{\"name\":\"a\",\"arguments\":[]}", "'arguments' must be an object.")]
    [InlineData("{\"name\":\"a\",\"_meta\":1}", "'_meta' must be an object.")]
    [InlineData("{\"name\":\"a\",\"_meta\":{},\"_meta\":{}}", "'_meta' stands twice in 'params'.")]
    [InlineData("{\"name\":\"a\"", "'params' is not valid JSON.")]
    [InlineData("", "'name' is missing.")]
    public async Task Call_WrongParams_SaysWhatIsWrong(string parameters, string message)
    {
        await using var hub = await StartAsync();

        Assert.Equal($$"""{"code":-32602,"message":"{{message}}"}""", await hub.ErrorAsync("fake__echo", parameters));
    }

    [Fact]
    public async Task Call_ToolWithAPrice_IsChargedUntilTheBudgetRefuses()
    {
        var key = Hub.Key() with { Budgets = [new Budget { Id = "key:k1/day", Limit = Money.FromDollars(0.05m), Window = Window.Aligned(CalendarUnit.Day) }] };
        await using var hub = await StartAsync(key, cost: 0.02m);

        await hub.ResultAsync("fake__echo");
        await hub.ResultAsync("fake__echo");
        using var refusal = JsonDocument.Parse(await hub.ErrorAsync("fake__echo"));

        Assert.Equal(-31429, refusal.RootElement.GetProperty("code").GetInt32());
        var data = refusal.RootElement.GetProperty("data");
        Assert.Equal(("budget_exceeded", "key:k1/day"), (data.GetProperty("code").GetString(), data.GetProperty("limit").GetString()));
        Assert.True(data.GetProperty("retryAfterSeconds").GetInt32() > 0);
        Assert.Equal([Money.FromDollars(0.02m), Money.FromDollars(0.02m)], hub.Ledger.Rows.Select(row => row.Charged!.Value));
        Assert.All(hub.Ledger.Rows, row => Assert.Equal(UsageSource.PerCall, row.Result.Source));
    }

    [Fact]
    public async Task Call_LedgerFull_IsRefused()
    {
        await using var hub = await StartAsync();
        hub.Ledger.HasRoom = false;

        using var refusal = JsonDocument.Parse(await hub.ErrorAsync("fake__echo"));

        Assert.Equal(-31429, refusal.RootElement.GetProperty("code").GetInt32());
        Assert.Equal("overloaded", refusal.RootElement.GetProperty("data").GetProperty("code").GetString());
        Assert.Empty(server.RequestsOf("tools/call"));
    }

    [Theory]
    [InlineData("""{"content":[],"isError":true}""", CallOutcome.Failed, "tool_error")]
    [InlineData("""{"content":[{"type":"text","text":"\"isError\":true"}]}""", CallOutcome.Succeeded, null)]
    [InlineData("""{"content":[],"isError":false}""", CallOutcome.Succeeded, null)]
    public async Task Call_ToolSaysHowItEnded_IsRecordedSo(string result, CallOutcome outcome, string? error)
    {
        server.Call = request => ScriptedReply.Result(request, result);
        await using var hub = await StartAsync(cost: 0.01m);

        Assert.Equal(result, await hub.ResultAsync("fake__echo"));

        var row = Assert.Single(hub.Ledger.Rows);
        Assert.Equal((outcome, error, Money.FromDollars(0.01m)), (row.Result.Outcome, row.Result.Error, row.Charged!.Value));
    }

    [Fact]
    public async Task Call_UpstreamAnswersWithAnError_RelaysItAndRecordsAFailure()
    {
        const string error = """{"code":-32099,"message":"é","data":[1.0]}""";
        server.Call = request => ScriptedReply.Error(request, error);
        await using var hub = await StartAsync();

        Assert.Equal(error, await hub.ErrorAsync("fake__echo"));
        Assert.Equal(CallOutcome.Failed, Assert.Single(hub.Ledger.Rows).Result.Outcome);
    }

    [Theory]
    [InlineData(403, 0)]
    [InlineData(500, 0.01)]
    public async Task Call_UpstreamBreaks_IsChargedOnlyIfItMayHaveRun(int status, double charged)
    {
        server.Call = _ => new ScriptedReply { Status = status };
        await using var hub = await StartAsync(cost: 0.01m);

        using var error = JsonDocument.Parse(await hub.ErrorAsync("fake__echo"));

        Assert.Equal(-31503, error.RootElement.GetProperty("code").GetInt32());
        var row = Assert.Single(hub.Ledger.Rows);
        Assert.Equal((CallOutcome.Broken, $"http_{status}", Money.FromDollars((decimal)charged)), (row.Result.Outcome, row.Result.Error, row.Charged!.Value));
    }

    [Fact]
    public async Task Call_Cancelled_IsRecordedAndChargedAsItReachedTheServer()
    {
        server.Call = _ => ScriptedReply.Silence;
        await using var hub = await StartAsync(cost: 0.01m);
        using var leaving = new CancellationTokenSource();
        var call = hub.CallAsync("fake__echo", cancellationToken: leaving.Token);
        var request = (await server.WaitForAsync("tools/call"))[0];

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await request.AbortedAsync();
        var row = Assert.Single(hub.Ledger.Rows);
        Assert.Equal((CallOutcome.Cancelled, Money.FromDollars(0.01m)), (row.Result.Outcome, row.Charged!.Value));
    }

    [Fact]
    public async Task Call_Made_HasASpanWhoseContextGoesUpAndAFigure()
    {
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Gateway",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        var figures = new ConcurrentQueue<string>();
        using var meters = new MeterListener();
        meters.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Name == "mcp.client.operation.duration")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        meters.SetMeasurementEventCallback<double>((_, _, tags, _) => figures.Enqueue(string.Join(' ', tags.ToArray().Select(tag => $"{tag.Key}={tag.Value}"))));
        meters.Start();
        await using var hub = await StartAsync(id: "traced");
        var caller = hub.Request();

        await hub.ResultAsync("traced__echo", caller: caller);

        var span = Assert.Single(spans, span => Equals(span.GetTagItem("gateway.request_id"), caller.RequestId));
        Assert.Equal(("tools/call echo", ActivityKind.Client), (span.DisplayName, span.Kind));
        Assert.Equal(("tools/call", "execute_tool", "echo", "2025-11-25", "tcp"), (span.GetTagItem("mcp.method.name"), span.GetTagItem("gen_ai.operation.name"),
            span.GetTagItem("gen_ai.tool.name"), span.GetTagItem("mcp.protocol.version"), span.GetTagItem("network.transport")));
        Assert.Contains(span.Id!, server.RequestsOf("tools/call")[0].Params, StringComparison.Ordinal);
        Assert.Contains(figures, figure => figure.Contains("gen_ai.tool.name=traced__echo", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Call_CallersOwnTrace_GoesUpUnchanged()
    {
        await using var hub = await StartAsync();

        await hub.ResultAsync("fake__echo", """{"name":"a","_meta":{"tracestate":"v=1","traceparent":"00-11111111111111111111111111111111-2222222222222222-00"}}""");

        Assert.Equal("""{"name":"echo","_meta":{"tracestate":"v=1","traceparent":"00-11111111111111111111111111111111-2222222222222222-00"}}""", server.RequestsOf("tools/call")[0].Params);
    }

    private async Task<Hub> StartAsync(VirtualKey? key = null, decimal? cost = null, string id = "fake")
    {
        var manifest = Manifests.Http(server.Endpoint, id) with { Tools = cost is { } price ? [new ToolRule { Match = "*", Cost = Money.FromDollars(price) }] : [] };
        var hub = await Hub.StartAsync([key ?? Hub.Key()], manifest);
        await hub.UntilReadyAsync(id);
        return hub;
    }
}
