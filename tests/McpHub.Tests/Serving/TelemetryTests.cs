using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;

namespace McpHub.Tests.Serving;

public sealed class TelemetryTests
{
    private const string TraceId = "0af7651916cd43dd8448eb211c80319c";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_WithTraceInMetadata_IsAServerSpanOfThatTraceAndOneMeasurement(bool allThroughSdk)
    {
        var tool = "traced_" + allThroughSdk;
        var spans = new ConcurrentQueue<Activity>();
        var (ended, counted) = (new TaskCompletionSource(), new TaskCompletionSource());
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Gateway",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = span =>
            {
                spans.Enqueue(span);
                if (span.DisplayName == "tools/call " + tool)
                {
                    ended.TrySetResult();
                }
            },
        };
        ActivitySource.AddActivityListener(listener);
        var measured = new ConcurrentQueue<Dictionary<string, object?>>();
        using var meters = new MeterListener { InstrumentPublished = (instrument, meters) => { if (instrument.Name == "mcp.server.operation.duration" && instrument.Meter.Name == "Gateway") { meters.EnableMeasurementEvents(instrument); } } };
        meters.SetMeasurementEventCallback<double>((_, _, tags, _) =>
        {
            var measurement = tags.ToArray().ToDictionary(tag => tag.Key, tag => tag.Value);
            measured.Enqueue(measurement);
            if (measurement.GetValueOrDefault("gen_ai.tool.name") as string == tool)
            {
                counted.TrySetResult();
            }
        });
        meters.Start();
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        host.Views.Set(HubHost.Key, FakeViews.NewView($$"""{"name":"{{tool}}","inputSchema":{"type":"object"} }"""));
        ActivityTraceId? inside = null;
        host.Tools.Answer = (_, call, _) =>
        {
            inside = call.Name == tool ? Activity.Current?.TraceId : inside;
            return ValueTask.FromResult(FakeTools.Result("""{"content":[],"isError":true}"""));
        };
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        await wire.PostAsync($$$"""{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":"{{{tool}}}","_meta":{"traceparent":"00-{{{TraceId}}}-b7ad6b7169203331-01"} } }""");
        await wire.PostAsync("""{"jsonrpc":"2.0","id":10,"method":"tools/call","params":{"name":"made-up-name"}}""");
        // The answer may be there before the call is over.
        await Task.WhenAll(ended.Task, counted.Task).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        var span = Assert.Single(spans, span => span.DisplayName == "tools/call " + tool);
        Assert.Equal(ActivityKind.Server, span.Kind);
        Assert.Equal(TraceId, span.TraceId.ToHexString());
        Assert.Equal("b7ad6b7169203331", span.ParentSpanId.ToHexString());
        Assert.Equal(span.TraceId, inside);
        Assert.Equal("tool_error", span.GetTagItem("error.type"));
        Assert.Equal("9", span.GetTagItem("jsonrpc.request.id"));
        Assert.Equal(wire.SessionId, span.GetTagItem("mcp.session.id"));
        Assert.Equal(Wire.Handshake, span.GetTagItem("mcp.protocol.version"));
        var measurement = Assert.Single(measured, tags => tags.GetValueOrDefault("gen_ai.tool.name") as string == tool);
        Assert.Equal("tools/call", measurement["mcp.method.name"]);
        Assert.Equal("tool_error", measurement["error.type"]);
        Assert.DoesNotContain(measured, tags => tags.GetValueOrDefault("gen_ai.tool.name") as string == "made-up-name");
    }
}
