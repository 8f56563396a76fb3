using System.Threading.Channels;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Tools;
using TestSupport;

namespace McpHub.Tests.Upstreams;

/// <summary>The life of one upstream, with time in the test's hand.</summary>
public sealed class UpstreamTests
{
    private readonly WatchedClock clock = new();
    private readonly Channel<(UpstreamStatus State, string? Reason, int Tools, bool ToolsChanged)> states = Channel.CreateUnbounded<(UpstreamStatus, string?, int, bool)>();
    private readonly Queue<Func<CancellationToken, Task<IToolServer>>> connections = new();
    private readonly List<TimeSpan> connectedAt = [];
    private Upstream upstream = null!;

    [Fact]
    public async Task Run_ServerCannotBeReached_IsTriedAgainEverMoreSlowlyUpToHalfAMinute()
    {
        for (var i = 0; i < 10; i++)
        {
            connections.Enqueue(_ => throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, "No."));
        }
        await using var running = Start();
        for (var i = 0; i < 9; i++)
        {
            Assert.Equal((UpstreamStatus.Waiting, UpstreamReasons.Unreachable, 0, false), await NextAsync());
            await clock.AdvanceToNextTimerAsync();
        }
        await NextAsync();

        var pauses = connectedAt.Zip(connectedAt.Skip(1), (one, next) => (next - one).TotalSeconds).ToList();
        for (var i = 0; i < pauses.Count; i++)
        {
            var nominal = Math.Min(0.25 * Math.Pow(2, i), 30);
            Assert.InRange(pauses[i], nominal * 0.74, Math.Min(nominal * 1.26, 30.01));
        }
    }

    [Fact]
    public async Task Run_ConnectionLost_KeepsTheToolsAndConnectsAgain()
    {
        var (first, second) = (Enqueue(), Enqueue());
        await using var running = Start();
        Assert.Equal((UpstreamStatus.Ready, null, 1, true), await NextAsync());

        first.LastWords = "panic: out of cheese";
        first.Lose(UpstreamReasons.Exited);

        Assert.Equal((UpstreamStatus.Waiting, UpstreamReasons.Exited, 1, false), await NextAsync());
        Assert.Equal("panic: out of cheese", upstream.Current.LastWords);
        Assert.True(first.IsDisposed);
        await clock.AdvanceToNextTimerAsync();
        Assert.Equal((UpstreamStatus.Ready, null, 1, false), await NextAsync());
        Assert.Same(second, upstream.Current.Server);
    }

    [Fact]
    public async Task Run_UnexpectedFailure_DoesNotEndIt()
    {
        connections.Enqueue(_ => throw new FormatException("A mistake of ours."));
        Enqueue();
        await using var running = Start();

        Assert.Equal((UpstreamStatus.Waiting, UpstreamReasons.Internal, 0, false), await NextAsync());
        await clock.AdvanceToNextTimerAsync();
        Assert.Equal(UpstreamStatus.Ready, (await NextAsync()).State);
    }

    [Fact]
    public async Task Call_WhileDown_FailsAtOnceNamingServerAndState()
    {
        connections.Enqueue(_ => throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, "No."));
        await using var running = Start();
        await NextAsync();

        var exception = await Assert.ThrowsAsync<UpstreamException>(() => CallAsync());

        Assert.Equal("Tool server 'fake' is not connected (it is tried again shortly).", exception.Message);
        Assert.Equal((UpstreamReasons.NotConnected, false), (exception.Reason, exception.WasSent));
    }

    [Fact]
    public async Task Call_SessionLost_IsMadeOnceMoreOnANewConnection()
    {
        var (first, second) = (Enqueue(), Enqueue());
        await using var running = Start();
        await NextAsync();
        var calls = 0;
        first.Call = _ =>
        {
            calls++;
            first.Lose(UpstreamReasons.SessionLost);
            throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SessionLost, "Forgotten.", wasSent: false);
        };
        second.Call = _ => ValueTask.FromResult(new ToolCallOutcome("\"second\""u8.ToArray(), default));

        var outcome = await CallAsync();

        Assert.Equal("\"second\"", Calls.Utf8(outcome.Result));
        Assert.Equal(1, calls);
    }

    [Fact]
    public async Task Call_SessionLostAndServerGone_Fails()
    {
        var first = Enqueue();
        connections.Enqueue(_ => throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, "No."));
        await using var running = Start();
        await NextAsync();
        first.Call = _ =>
        {
            first.Lose(UpstreamReasons.SessionLost);
            throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SessionLost, "Forgotten.", wasSent: false);
        };

        Assert.Equal(UpstreamReasons.NotConnected, (await Assert.ThrowsAsync<UpstreamException>(() => CallAsync())).Reason);
    }

    [Fact]
    public async Task Hasten_WhileWaiting_ConnectsAtOnceAndCallsWaitForIt()
    {
        connections.Enqueue(_ => throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SignInRequired, "No."));
        var connecting = new TaskCompletionSource<IToolServer>(TaskCreationOptions.RunContinuationsAsynchronously);
        connections.Enqueue(_ => connecting.Task);
        await using var running = Start();
        Assert.Equal(UpstreamReasons.SignInRequired, (await NextAsync()).Reason);

        upstream.Hasten();
        var call = CallAsync();
        connecting.SetResult(new FakeConnection());

        Assert.Equal(UpstreamStatus.Ready, (await NextAsync()).State);
        Assert.Equal("{}", Calls.Utf8((await call).Result));
    }

    [Fact]
    public async Task Hasten_DuringAnAttempt_LeavesItsConnectionAndNoLaterPauseIsCutShort()
    {
        var connecting = new TaskCompletionSource<IToolServer>(TaskCreationOptions.RunContinuationsAsynchronously);
        connections.Enqueue(_ => connecting.Task);
        await using var running = Start();
        var first = new FakeConnection();

        upstream.Hasten();
        connecting.SetResult(first);

        Assert.Equal(UpstreamStatus.Ready, (await NextAsync()).State);
        Assert.Equal("{}", Calls.Utf8((await CallAsync()).Result));
        Enqueue();
        first.Lose(UpstreamReasons.Broken);
        Assert.Equal(UpstreamReasons.Broken, (await NextAsync()).Reason);
        await clock.AdvanceToNextTimerAsync();
        Assert.Equal(UpstreamStatus.Ready, (await NextAsync()).State);
    }

    [Fact]
    public async Task Reconnect_DuringAnAttempt_GivesItUp()
    {
        var given = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        connections.Enqueue(async cancellationToken =>
        {
            cancellationToken.Register(() => given.TrySetResult());
            await given.Task;
            throw new OperationCanceledException(cancellationToken);
        });
        var second = Enqueue();
        await using var running = Start();

        upstream.Reconnect();

        Assert.Equal(UpstreamReasons.Reconnect, (await NextAsync()).Reason);
        Assert.Equal(UpstreamStatus.Ready, (await NextAsync()).State);
        Assert.Same(second, upstream.Current.Server);
    }

    [Fact]
    public async Task Change_Told_ReadsTheToolsAnew()
    {
        var first = Enqueue();
        await using var running = Start();
        await NextAsync();

        first.Tools.Add("""{"name":"more","inputSchema":{"type":"object"}}""");
        first.Change();
        await SettleAsync();

        Assert.Equal((UpstreamStatus.Ready, null, 2, true), await NextAsync());
    }

    [Fact]
    public async Task Change_ToldAfterAReconnect_IsHeard()
    {
        var (first, second) = (Enqueue(), Enqueue());
        await using var running = Start();
        await NextAsync();
        first.Lose(UpstreamReasons.Broken);
        await NextAsync();
        await clock.AdvanceToNextTimerAsync();
        await NextAsync();

        second.Tools.Add("""{"name":"more","inputSchema":{"type":"object"}}""");
        second.Change();
        await SettleAsync();

        Assert.Equal(2, (await NextAsync()).Tools);
    }

    [Fact]
    public async Task Change_ToldWithoutEnd_IsFollowedOnceASecond()
    {
        var first = Enqueue();
        await using var running = Start();
        await NextAsync();
        first.Tools.Add("""{"name":"a","inputSchema":{"type":"object"}}""");
        first.Change();
        await SettleAsync();
        await NextAsync();

        first.Tools.Add("""{"name":"b","inputSchema":{"type":"object"}}""");
        first.Change();
        first.Change();
        await clock.TimerAsync(Upstream.RefreshPause);
        Assert.Equal(2, first.Lists);
        clock.Advance(Upstream.RefreshPause);
        await SettleAsync();

        Assert.Equal(3, (await NextAsync()).Tools);
        Assert.Equal(3, first.Lists);
    }

    [Fact]
    public async Task Change_NeverTold_IsFoundByAsking()
    {
        var first = Enqueue();
        await using var running = Start();
        await NextAsync();
        first.Tools.Clear();

        await clock.TimerAsync(Upstream.PollPeriod);
        clock.Advance(Upstream.PollPeriod);
        await SettleAsync();

        Assert.Equal((UpstreamStatus.Ready, null, 0, true), await NextAsync());
    }

    [Fact]
    public async Task Change_ListCannotBeRead_KeepsConnectionAndTools()
    {
        var first = Enqueue();
        await using var running = Start();
        await NextAsync();
        first.ListFails = new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.InvalidResponse, "No list.");
        first.Change();
        await SettleAsync();
        await clock.TimerAsync(Upstream.RefreshPause);

        Assert.Equal((UpstreamStatus.Ready, 1), (upstream.Current.State, upstream.Current.Tools.Count));
        Assert.Same(first, upstream.Current.Server);
    }

    private async Task SettleAsync()
    {
        await clock.TimerAsync(Upstream.Settling);
        clock.Advance(Upstream.Settling);
    }

    private FakeConnection Enqueue()
    {
        var connection = new FakeConnection();
        connections.Enqueue(_ => Task.FromResult<IToolServer>(connection));
        return connection;
    }

    private Upstream Start()
    {
        var began = clock.GetTimestamp();
        return upstream = new Upstream(Manifests.BuiltIn("fake") with { ConnectTimeout = TimeSpan.FromMinutes(1) }, (_, _, cancellationToken) =>
        {
            connectedAt.Add(clock.GetElapsedTime(began));
            return connections.Dequeue()(cancellationToken);
        }, toolsChanged => states.Writer.TryWrite((upstream.Current.State, upstream.Current.Reason, upstream.Current.Tools.Count, toolsChanged)), clock, NullLogger.Instance);
    }

    private async Task<(UpstreamStatus State, string? Reason, int Tools, bool ToolsChanged)> NextAsync() =>
        await states.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    private Task<ToolCallOutcome> CallAsync() => upstream.CallAsync(Calls.New("echo"), TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
}
