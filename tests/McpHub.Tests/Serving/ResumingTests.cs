using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using McpHub.Serving;
using TestSupport;

namespace McpHub.Tests.Serving;

/// <summary>Clients whose connection is cut in the middle of a stream, over real HTTP.</summary>
public sealed class ResumingTests
{
    private const string Slow = """{"jsonrpc":"2.0","id":"c 1","method":"tools/call","params":{"name":"slow","_meta":{"progressToken":"p"}}}""";

    [Theory]
    [InlineData("2025-11-25", true)]
    [InlineData("2025-06-18", false)]
    [InlineData("2025-03-26", false)]
    public async Task Streams_BeginWithAnEventToResumeFrom_WhereTheRevisionHasIt(string version, bool expected)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync(version);

        var answer = await wire.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");
        using var stream = await wire.GetAsync();

        Assert.Equal(expected, answer.Body.Split("\n\n")[0].Contains("id: ", StringComparison.Ordinal));
        if (expected)
        {
            Assert.Contains("retry: 1000", answer.Body.Split("\n\n")[0], StringComparison.Ordinal);
            using var events = new EventLines(await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            var (id, data) = await events.NextAsync();
            Assert.NotNull(id);
            Assert.Equal("", data);
        }
    }

    [Fact]
    public async Task Call_CutInTheMiddle_GoesOn_AndTheRestComesOnce()
    {
        await using var host = await HubHost.StartAsync();
        var (halfway, rest, cancelled) = Steps(host);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        string last;
        using (var response = await wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(Slow), null, CancellationToken.None))
        {
            using var events = new EventLines(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            await events.NextAsync();
            var (id, data) = await events.NextAsync();
            Assert.Equal(1, JsonNode.Parse(data)!["params"]!["progress"]!.GetValue<int>());
            last = id!;
        }
        await halfway;
        rest.SetResult();

        var resumed = await GetAsync(wire, last);

        Assert.Equal(HttpStatusCode.OK, resumed.Status);
        Assert.Equal([2, 3], resumed.Messages.SkipLast(1).Select(message => JsonNode.Parse(message)!["params"]!["progress"]!.GetValue<int>()));
        Assert.Equal("c 1", resumed.Last!["id"]!.GetValue<string>());
        Assert.Equal("done", resumed.Last!["result"]!["content"]![0]!["text"]!.GetValue<string>());
        Assert.False(cancelled.IsCompleted);
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task Call_ResumedBeforeItEnds_StreamsOn()
    {
        var clock = new WatchedClock();
        await using var host = await HubHost.StartAsync(clock);
        var (_, rest, cancelled) = Steps(host);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        string last;
        using (var response = await wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(Slow), null, CancellationToken.None))
        {
            using var events = new EventLines(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            last = (await events.NextAsync()).Id!;
        }
        using var resumed = await wire.SendAsync(HttpMethod.Get, null, new Dictionary<string, string> { ["Last-Event-ID"] = last }, CancellationToken.None);
        using var more = new EventLines(await resumed.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.Equal((last, ""), await more.NextAsync());
        Assert.Equal(1, JsonNode.Parse((await more.NextAsync()).Data)!["params"]!["progress"]!.GetValue<int>());

        // The client is back, so that the call is not taken for abandoned.
        await clock.TimerAsync(CallLifetime.Grace);
        clock.Advance(CallLifetime.Grace);
        Assert.False(cancelled.IsCompleted);
        rest.SetResult();

        Assert.Equal(2, JsonNode.Parse((await more.NextAsync()).Data)!["params"]!["progress"]!.GetValue<int>());
        Assert.Equal(3, JsonNode.Parse((await more.NextAsync()).Data)!["params"]!["progress"]!.GetValue<int>());
        Assert.NotNull(JsonNode.Parse((await more.NextAsync()).Data)!["result"]);
    }

    [Fact]
    public async Task Call_OfAClientThatDoesNotComeBack_Ends()
    {
        var clock = new WatchedClock();
        await using var host = await HubHost.StartAsync(clock);
        var (_, _, cancelled) = Steps(host);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        using (var response = await wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(Slow), null, CancellationToken.None))
        {
            using var events = new EventLines(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            await events.NextAsync();
            await events.NextAsync();
        }

        await clock.TimerAsync(CallLifetime.Grace);
        Assert.False(cancelled.IsCompleted);
        clock.Advance(CallLifetime.Grace);

        await cancelled.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Call_OfAnOlderRevision_EndsWithItsConnection()
    {
        await using var host = await HubHost.StartAsync();
        var (_, _, cancelled) = Steps(host);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync("2025-06-18");
        using (var response = await wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(Slow), null, CancellationToken.None))
        {
            using var events = new EventLines(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            await events.NextAsync();
        }

        await cancelled.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Listening_CutAndTakenUpAgain_HearsWhatItMissed(bool withLastEventId)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        string last;
        using (var stream = await wire.GetAsync())
        {
            using var events = new EventLines(await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
            last = (await events.NextAsync()).Id!;
        }
        host.Views.Set(HubHost.Key, FakeViews.NewView("""{"name":"other","inputSchema":{"type":"object"}}"""));

        using var again = await wire.SendAsync(HttpMethod.Get, null, withLastEventId ? new Dictionary<string, string> { ["Last-Event-ID"] = last } : null, CancellationToken.None);

        Assert.Equal(HttpStatusCode.OK, again.StatusCode);
        using var more = new EventLines(await again.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.Equal("", (await more.NextAsync()).Data);
        Assert.Equal("notifications/tools/list_changed", JsonNode.Parse((await more.NextAsync()).Data)!["method"]!.GetValue<string>());
    }

    [Fact]
    public async Task EventOfAnotherSession_IsNotTold()
    {
        await using var host = await HubHost.StartAsync();
        using var alice = host.NewWire();
        using var alsoAlice = host.NewWire();
        using var bob = host.NewWire(HubHost.OtherKey);
        await alice.OpenSessionAsync();
        await alsoAlice.OpenSessionAsync();
        await bob.OpenSessionAsync();
        var last = (await alice.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""")).Body.Split('\n').First(line => line.StartsWith("id: ", StringComparison.Ordinal))["id: ".Length..].Trim();

        foreach (var stranger in new[] { alsoAlice, bob })
        {
            var answer = await GetAsync(stranger, last);
            Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
            Assert.DoesNotContain(alice.SessionId!, answer.Body, StringComparison.Ordinal);
        }
        Assert.Equal(HttpStatusCode.OK, (await GetAsync(alice, last)).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await GetAsync(alice, "no-such-event")).Status);
    }

    [Fact]
    public async Task SessionEnded_NothingIsKept()
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        await wire.PostAsync("""{"jsonrpc":"2.0","id":1,"method":"ping"}""");
        Assert.True(host.Events.Bytes > 0);

        (await wire.DeleteAsync()).Dispose();

        using var guard = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        guard.CancelAfter(TimeSpan.FromSeconds(30));
        while (host.Sessions.All.Any())
        {
            guard.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        Assert.Equal((0, 0L), (host.Events.Streams, host.Events.Bytes));
    }

    [Fact]
    public async Task Shutdown_DoesNotWaitForAResumedStream()
    {
        var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        (await wire.GetAsync()).Dispose();
        using var again = await wire.GetAsync();
        Assert.Equal(HttpStatusCode.OK, again.StatusCode);

        await host.StopAsync().WaitAsync(TimeSpan.FromSeconds(15), TestContext.Current.CancellationToken);
        await host.DisposeAsync();
    }

    /// <summary>A tool that reports progress 1, waits for the word, reports 2 and 3, and is done.</summary>
    private static (Task Halfway, TaskCompletionSource Remainder, Task Cancelled) Steps(HubHost host)
    {
        var halfway = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var rest = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var cancelled = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, call, cancellationToken) =>
        {
            ValueTask Report(int progress) => call.OnProgress!(Encoding.UTF8.GetBytes($$"""{"progressToken":"p","progress":{{progress}}}"""));
            await Report(1);
            halfway.TrySetResult();
            try
            {
                await rest.Task.WaitAsync(cancellationToken);
            }
            catch (OperationCanceledException)
            {
                cancelled.TrySetResult();
                throw;
            }
            await Report(2);
            await Report(3);
            return FakeTools.Result("""{"content":[{"type":"text","text":"done"}]}""");
        };
        return (halfway.Task, rest, cancelled.Task);
    }

    private static async Task<WireAnswer> GetAsync(Wire wire, string last)
    {
        using var response = await wire.SendAsync(HttpMethod.Get, null, new Dictionary<string, string> { ["Last-Event-ID"] = last }, CancellationToken.None);
        return await WireAnswer.ReadAsync(response).WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    /// <summary>The events of a stream as they come.</summary>
    private sealed class EventLines(Stream stream) : IDisposable
    {
        private readonly StreamReader reader = new(stream);

        public async Task<(string? Id, string Data)> NextAsync()
        {
            var (id, data, any) = ((string?)null, "", false);
            while (await reader.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken) is { } line)
            {
                if (line.Length == 0 && any)
                {
                    return (id, data);
                }
                any |= line.Length > 0;
                id = line.StartsWith("id: ", StringComparison.Ordinal) ? line["id: ".Length..] : id;
                data = line.StartsWith("data: ", StringComparison.Ordinal) ? line["data: ".Length..] : data;
            }
            throw new InvalidOperationException("The stream ended.");
        }

        public void Dispose() => reader.Dispose();
    }
}
