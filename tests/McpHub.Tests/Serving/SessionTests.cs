using System.Diagnostics;
using System.Net;
using System.Text;
using McpHub.Serving;
using Microsoft.Extensions.Time.Testing;
using Shared.Snapshots;

namespace McpHub.Tests.Serving;

public sealed class SessionTests
{
    private const string List = """{"jsonrpc":"2.0","id":1,"method":"tools/list"}""";
    private const string Call = """{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"echo"}}""";

    [Fact]
    public async Task Delete_EndsTheSession_AndItsCalls()
    {
        await using var host = await HubHost.StartAsync();
        var started = new TaskCompletionSource();
        var cancelled = new TaskCompletionSource();
        host.Tools.Answer = async (_, _, cancellationToken) =>
        {
            using var registration = cancellationToken.Register(cancelled.SetResult);
            started.SetResult();
            await Task.Delay(Timeout.Infinite, cancellationToken);
            return default;
        };
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        var call = wire.PostAsync(Call);
        await started.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        using var deleted = await wire.DeleteAsync();

        Assert.Equal(HttpStatusCode.OK, deleted.StatusCode);
        await cancelled.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Empty((await call).Messages);
        Assert.Empty(host.Sessions.All);
        Assert.Equal(HttpStatusCode.NotFound, (await wire.PostAsync(List)).Status);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Call_LaterThanTheOpeningRequest_RunsUnderItsOwnRequestAndSnapshot(bool allThroughSdk)
    {
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        var revisions = new List<string>();
        host.Tools.Answer = (caller, _, _) =>
        {
            revisions.Add(caller.Snapshot.Revision);
            return ValueTask.FromResult(FakeTools.Result(FakeTools.PlainResult));
        };
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var first = await wire.PostAsync(Call);
        host.Publish([HubHost.NewKey(HubHost.Key)]);
        var second = await wire.PostAsync(Call);

        Assert.Equal(["r1", "r2"], revisions);
        Assert.Equal([first.RequestId, second.RequestId], host.Tools.Calls.Select(call => call.RequestId));
    }

    [Fact]
    public async Task View_Changes_OnlyItsOwnSessionsAreTold()
    {
        await using var host = await HubHost.StartAsync();
        using var alice = host.NewWire();
        using var bob = host.NewWire(HubHost.OtherKey);
        await alice.OpenSessionAsync();
        await bob.OpenSessionAsync();
        using var aliceStream = await alice.GetAsync();
        using var bobStream = await bob.GetAsync();
        using var aliceEvents = new StreamReader(await aliceStream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        using var bobEvents = new StreamReader(await bobStream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        host.Views.Set(HubHost.Key, FakeViews.NewView("""{"name":"new","inputSchema":{"type":"object"}}"""));
        Assert.Contains("notifications/tools/list_changed", await NextDataAsync(aliceEvents), StringComparison.Ordinal);
        Assert.Contains("\"new\"", (await alice.PostAsync(List)).Body, StringComparison.Ordinal);

        // Bob's first word is about his own change: he heard nothing of Alice's.
        host.Views.Set(HubHost.OtherKey, FakeViews.NewView("""{"name":"other","inputSchema":{"type":"object"}}"""));
        Assert.Contains("notifications/tools/list_changed", await NextDataAsync(bobEvents), StringComparison.Ordinal);
        var aliceNext = NextDataAsync(aliceEvents);
        Assert.False(aliceNext.IsCompleted);

        // A key that is revoked loses its stream and its session.
        host.Publish([HubHost.NewKey(HubHost.Key, revoked: DateTimeOffset.UnixEpoch), HubHost.NewKey(HubHost.OtherKey)]);
        Assert.Null(await aliceNext);
        Assert.False(NextDataAsync(bobEvents).IsCompleted);
        Assert.Equal(HttpStatusCode.Unauthorized, (await alice.PostAsync(List)).Status);
        Assert.Equal(HttpStatusCode.OK, (await bob.PostAsync(List)).Status);

        // The stream ends a moment before the session is forgotten.
        using var guard = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        guard.CancelAfter(TimeSpan.FromSeconds(30));
        while (host.Sessions.All.Any(session => session.KeyId == HubHost.Key))
        {
            guard.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        Assert.Equal(HubHost.OtherKey, Assert.Single(host.Sessions.All).KeyId);
    }

    [Fact]
    public async Task Key_Expires_ItsSessionEnds()
    {
        var time = new FakeTimeProvider();
        await using var host = await HubHost.StartAsync(time);
        host.Publish([HubHost.NewKey(HubHost.Key, expires: time.GetUtcNow() + TimeSpan.FromMinutes(1))]);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        using var stream = await wire.GetAsync();
        using var events = new StreamReader(await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        time.Advance(TimeSpan.FromMinutes(1) + SessionWatch.Period);

        Assert.Null(await NextDataAsync(events));
        Assert.Empty(host.Sessions.All);
    }

    [Fact]
    public async Task Listen_WithoutASession_IsAcknowledgedThenToldOfItsOwnChanges()
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        var body = """{"jsonrpc":"2.0","id":"sub-1","method":"subscriptions/listen","params":{"notifications":{"toolsListChanged":true,"promptsListChanged":true},"_meta":{""" + Wire.StatelessMeta + "}}}";
        using var stream = await wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(body), Wire.StatelessHeaders("subscriptions/listen"), TestContext.Current.CancellationToken);
        using var events = new StreamReader(await stream.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));

        var acknowledged = System.Text.Json.Nodes.JsonNode.Parse((await NextDataAsync(events))!)!;
        host.Views.Set(HubHost.OtherKey, FakeViews.NewView("""{"name":"other","inputSchema":{"type":"object"}}"""));
        host.Views.Set(HubHost.Key, FakeViews.NewView("""{"name":"new","inputSchema":{"type":"object"}}"""));
        var changed = System.Text.Json.Nodes.JsonNode.Parse((await NextDataAsync(events))!)!;
        var next = NextDataAsync(events);
        Assert.False(next.IsCompleted);
        host.Publish([HubHost.NewKey(HubHost.OtherKey)]);
        var ended = System.Text.Json.Nodes.JsonNode.Parse((await next)!)!;

        Assert.Equal("notifications/subscriptions/acknowledged", acknowledged["method"]!.GetValue<string>());
        Assert.Equal("""{"toolsListChanged":true,"promptsListChanged":true}""", acknowledged["params"]!["notifications"]!.ToJsonString());
        Assert.Equal("notifications/tools/list_changed", changed["method"]!.GetValue<string>());
        Assert.All([acknowledged, changed], message => Assert.Equal("sub-1", message["params"]!["_meta"]!["io.modelcontextprotocol/subscriptionId"]!.GetValue<string>()));
        Assert.NotNull(ended["result"]);
        Assert.Null(await NextDataAsync(events));
    }

    [Fact]
    public async Task Call_WhenTheSdkHasLongSeenNothing_GoesThroughItOnce()
    {
        var time = new FakeTimeProvider();
        await using var host = await HubHost.StartAsync(time);
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        Assert.Equal("application/json", (await wire.PostAsync(Call)).ContentType);

        // Far beyond the idle timeout in all, with calls that never are further apart than half of it.
        for (var i = 0; i < 8; i++)
        {
            time.Advance(BytePath.SessionIdleTimeout / 2);
            Assert.Equal("text/event-stream", (await wire.PostAsync(Call)).ContentType);
            Assert.Equal("application/json", (await wire.PostAsync(Call)).ContentType);
        }
    }

    [Fact]
    public async Task Call_ThatMayOutlastTheIdleTimeout_GoesThroughTheSdk()
    {
        await using var host = await HubHost.StartAsync();
        host.Views.Set(HubHost.Key, FakeViews.NewView(TimeSpan.FromHours(1), """{"name":"echo","inputSchema":{"type":"object"}}"""));
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        Assert.Equal("text/event-stream", (await wire.PostAsync(Call)).ContentType);
    }

    [Fact]
    public async Task Call_ThatTakesLong_SendsItsHeadersMeanwhile()
    {
        var time = new FakeTimeProvider();
        await using var host = await HubHost.StartAsync(time);
        var started = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var answer = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        host.Tools.Answer = async (_, _, _) =>
        {
            started.SetResult();
            await answer.Task;
            return FakeTools.Result(FakeTools.PlainResult);
        };
        using var wire = host.NewWire();
        var body = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"slow","_meta":{""" + Wire.StatelessMeta + "}}}";
        var call = wire.SendAsync(HttpMethod.Post, Encoding.UTF8.GetBytes(body), Wire.StatelessHeaders("tools/call", "slow"), TestContext.Current.CancellationToken);
        await started.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        // The clock of the wait starts at some moment after the tool began.
        var guard = Stopwatch.StartNew();
        while (!call.IsCompleted && guard.Elapsed < TimeSpan.FromSeconds(30))
        {
            time.Advance(BytePath.HeadersAfter);
            await Task.Yield();
        }
        var hasHeaders = call.IsCompleted;
        answer.SetResult();

        Assert.True(hasHeaders);
        using (var response = await call)
        {
            Assert.Equal("application/json", response.Content.Headers.ContentType!.MediaType);
            Assert.Contains("x-vendor", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Post_BodyOverTheLimit_IsRefusedAndNothingStaysHeld()
    {
        await using var host = await HubHost.StartAsync(settings: new GatewaySettings { MaxBodyBytes = 2000 });
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var refused = await wire.PostAsync(Call.Replace("echo", new string('x', 3000), StringComparison.Ordinal));
        var served = await wire.PostAsync(Call);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, refused.Status);
        Assert.Equal(-32600, refused.ErrorCode);
        Assert.Null(refused.Last!["id"]);
        Assert.Equal(HttpStatusCode.OK, served.Status);
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task Post_InvalidUtf8_IsAParseError()
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var answer = await wire.PostAsync([.. Encoding.UTF8.GetBytes("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"""), (byte)'"', 0xff, (byte)'"', (byte)'}', (byte)'}']);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.Equal(-32700, answer.ErrorCode);
        Assert.Empty(host.Tools.Calls);
    }

    /// <summary>The next event's data; null: the stream has ended.</summary>
    private static async Task<string?> NextDataAsync(StreamReader events)
    {
        while (await events.ReadLineAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken) is { } line)
        {
            if (line.StartsWith("data: ", StringComparison.Ordinal) && line.Length > "data: ".Length)
            {
                return line["data: ".Length..];
            }
        }
        return null;
    }
}
