using System.Diagnostics;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Http;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;
using TestSupport;

namespace McpHub.Tests.Upstreams;

/// <summary>Connections of single keys, with time in the test's hand.</summary>
public sealed class ScopedConnectionsTests : IAsyncLifetime
{
    private readonly WatchedClock clock = new();
    private readonly Queue<Func<Task<IToolServer>>> connecting = new();
    private ScopedConnections connections = null!;

    public ValueTask InitializeAsync()
    {
        connections = new ScopedConnections(Manifests.BuiltIn("fake") with { Session = SessionMode.PerKey, MaxConnections = 2 }, (_, _, _) => connecting.Dequeue()(), (_, _) => { }, clock, NullLogger.Instance);
        return ValueTask.CompletedTask;
    }

    public ValueTask DisposeAsync() => connections.DisposeAsync();

    [Fact]
    public async Task Call_OfEachKey_HasAConnectionOfItsOwn()
    {
        var (one, two) = (Enqueue("one"), Enqueue("two"));

        Assert.Equal(["\"one\"", "\"two\"", "\"one\""], [await CallAsync("a"), await CallAsync("b"), await CallAsync("a")]);

        Assert.Equal(2, connections.Count);
        Assert.False(one.IsDisposed || two.IsDisposed);
    }

    [Fact]
    public async Task Call_BeyondTheMost_IsRefusedWithTheLimitsName()
    {
        (_, _) = (Enqueue("one"), Enqueue("two"));
        await CallAsync("a");
        await CallAsync("b");

        var refused = await Assert.ThrowsAsync<UpstreamException>(() => CallAsync("c"));

        Assert.Equal((UpstreamReasons.Busy, false), (refused.Reason, refused.WasSent));
        Assert.Contains("limits.maxConnections", refused.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Connecting_ThatFails_IsTriedAnewByTheNextCall(bool isMistakeOfOurs)
    {
        connecting.Enqueue(() => isMistakeOfOurs ? throw new FormatException("A mistake of ours.") : throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, "No.", wasSent: false));
        Enqueue("second");

        var failed = await Assert.ThrowsAsync<UpstreamException>(() => CallAsync("a"));

        Assert.Equal((isMistakeOfOurs ? UpstreamReasons.Internal : UpstreamReasons.Unreachable, false), (failed.Reason, failed.WasSent));
        Assert.DoesNotContain("mistake", failed.Message, StringComparison.Ordinal);
        Assert.Equal(0, connections.Count);
        Assert.Equal("\"second\"", await CallAsync("a"));
    }

    [Fact]
    public async Task Connection_Lost_IsClosedAndMadeAnew()
    {
        var first = Enqueue("first");
        Enqueue("second");
        await CallAsync("a");

        first.Lose(UpstreamReasons.Closed);
        await first.Disposed;

        Assert.Equal("\"second\"", await CallAsync("a"));
        Assert.Equal(1, connections.Count);
    }

    [Fact]
    public async Task Connection_IdleForLong_IsClosed_AndOneInUseIsNot()
    {
        var (idle, busy) = (Enqueue("idle"), Enqueue("busy"));
        var release = new TaskCompletionSource<ToolCallOutcome>();
        busy.Call = _ => new(release.Task);
        await CallAsync("a");
        var running = CallAsync("b");

        clock.Advance(ScopedConnections.IdleTime + TimeSpan.FromMinutes(1));
        await idle.Disposed;

        Assert.Equal(1, connections.Count);
        Assert.False(busy.IsDisposed);
        release.SetResult(new ToolCallOutcome("\"done\""u8.ToArray(), default));
        Assert.Equal("\"done\"", await running);
    }

    [Fact]
    public async Task Call_WhoseSessionTheServerForgot_IsMadeOnceMoreOnANewConnection()
    {
        var first = Enqueue("first");
        Enqueue("second");
        first.Call = _ => throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SessionLost, "Forgotten.", wasSent: false);

        Assert.Equal("\"second\"", await CallAsync("a"));

        Assert.True(first.IsDisposed);
    }

    private FakeConnection Enqueue(string answer)
    {
        var connection = new FakeConnection { Call = _ => ValueTask.FromResult(new ToolCallOutcome(System.Text.Encoding.UTF8.GetBytes($"\"{answer}\""), default)) };
        connecting.Enqueue(() => Task.FromResult<IToolServer>(connection));
        return connection;
    }

    private async Task<string> CallAsync(string key)
    {
        var caller = new GatewayRequest("r1", Snapshots.New(), ActivityTraceId.CreateRandom()) { TraceParent = Calls.TraceParent, Key = new VirtualKey { Kind = OwnerKind.Key, Id = key, Name = key, Secrets = [] } };
        var outcome = await connections.CallAsync(Calls.New("echo", caller: caller), TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));
        return Calls.Utf8(outcome.Result);
    }
}
