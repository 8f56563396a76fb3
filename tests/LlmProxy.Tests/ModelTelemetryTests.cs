using System.Collections.Concurrent;
using System.Diagnostics;
using System.Diagnostics.Metrics;
using LlmProxy.Tests.Hosting;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class ModelTelemetryTests
{
    [Fact]
    public async Task Post_Attempts_EachHasASpanInTheCallersTraceAndTheUpstreamSeesIt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Gateway",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        fake.Enqueue(FakeReply.Error(503), FakeReply.Completion("hi", 12, 3));

        using var response = await host.PostAsync("""{"model":"traced"}""");

        var mine = spans.Where(span => (string?)span.GetTagItem("gen_ai.provider.name") == "traced-provider").ToList();
        Assert.Equal(2, mine.Count);
        Assert.Equal([("chat first", ActivityKind.Client), ("chat second", ActivityKind.Client)], mine.Select(span => (span.DisplayName, span.Kind)));
        Assert.Equal(["upstream_error", null], mine.Select(span => (string?)span.GetTagItem("error.type")));
        Assert.Equal((12L, 3L, "fake"), (mine[1].GetTagItem("gen_ai.usage.input_tokens"), mine[1].GetTagItem("gen_ai.usage.output_tokens"), mine[1].GetTagItem("gen_ai.response.model")));
        Assert.Equal(mine.Select(span => span.Id), fake.Requests.Select(request => request.Headers["traceparent"]));
    }

    [Fact]
    public async Task Post_Succeeds_TokensDurationAndAttemptsAreMeasured()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var measured = new ConcurrentQueue<string>();
        using var listener = new MeterListener();
        listener.InstrumentPublished = (instrument, self) =>
        {
            if (instrument.Meter.Name == "Gateway")
            {
                self.EnableMeasurementEvents(instrument);
            }
        };
        listener.SetMeasurementEventCallback<long>((instrument, value, tags, _) => Note(instrument, value, tags));
        listener.SetMeasurementEventCallback<double>((instrument, _, tags, _) => Note(instrument, 0, tags));
        listener.Start();
        fake.Enqueue(FakeReply.Completion("hi", 12, 3));

        using var response = await host.PostAsync("""{"model":"traced"}""");

        Assert.Equal(["gateway.attempts 1 succeeded", "gen_ai.client.operation.duration 0 ", "gen_ai.client.token.usage 12 input", "gen_ai.client.token.usage 3 output"], measured.Order(StringComparer.Ordinal));

        void Note(Instrument instrument, long value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var (isMine, detail) = (false, "");
            foreach (var (name, text) in tags)
            {
                isMine |= Equals(text, "traced-provider");
                detail = name is "gen_ai.token.type" or "gateway.outcome" ? (string)text! : detail;
            }
            if (isMine)
            {
                measured.Enqueue($"{instrument.Name} {value} {detail}");
            }
        }
    }

    [Theory]
    [InlineData("/v1/embeddings", "embeddings", "{\"data\":[],\"usage\":{\"prompt_tokens\":7,\"total_tokens\":7}}", 7L)]
    [InlineData("/v1/completions", "text_completion", "{\"choices\":[],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1,\"total_tokens\":8}}", 7L)]
    [InlineData("/v1/moderations", "moderation", "{\"results\":[]}", null)]
    public async Task Post_OtherEndpoints_SpansNameTheirOperation(string path, string operation, string answer, long? tokens)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        var id = "traced-" + operation;
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake, id)] });
        var spans = new ConcurrentQueue<Activity>();
        using var listener = new ActivityListener
        {
            ShouldListenTo = source => source.Name == "Gateway",
            Sample = (ref ActivityCreationOptions<ActivityContext> _) => ActivitySamplingResult.AllDataAndRecorded,
            ActivityStopped = spans.Enqueue,
        };
        ActivitySource.AddActivityListener(listener);
        fake.Enqueue(FakeReply.Json(200, answer));

        using var response = await host.PostAsync($$"""{"model":"{{id}}/m"}""", path: path);

        var span = Assert.Single(spans, span => (string?)span.GetTagItem("gen_ai.provider.name") == id);
        Assert.Equal(($"{operation} m", operation, tokens), (span.DisplayName, span.GetTagItem("gen_ai.operation.name"), (long?)span.GetTagItem("gen_ai.usage.input_tokens")));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake, "traced-provider")],
        Routes = [new Route { Name = "traced", Targets = [new Target("traced-provider", "first"), new Target("traced-provider", "second")] }],
    });
}
