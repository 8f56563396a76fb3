using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Shared.Tools;

namespace McpHub.Tests.Upstreams;

public sealed class LivenessWatchTests
{
    private readonly FakeTimeProvider clock = new();
    private readonly Probed server = new();

    [Fact]
    public async Task ServerThatIsNotReached_IsGoneAfterOnePeriod()
    {
        var gone = Watch().RunAsync(server, TestContext.Current.CancellationToken);
        await AdvanceUntilAsync(server.Asked());
        Assert.False(gone.IsCompleted);
        server.Fails = UpstreamReasons.Unreachable;
        await AdvanceUntilAsync(gone);
        Assert.Equal(UpstreamReasons.Unreachable, (await gone).Reason);
    }

    [Fact]
    public async Task Doubt_IsLookedIntoAtOnce()
    {
        server.Fails = UpstreamReasons.Unreachable;
        var watch = Watch();
        var gone = watch.RunAsync(server, TestContext.Current.CancellationToken);
        watch.Doubt();
        // Time stands still.
        Assert.Equal(UpstreamReasons.Unreachable, (await gone.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken)).Reason);
    }

    [Fact]
    public async Task SlowServer_GetsASecondChance()
    {
        server.Fails = UpstreamReasons.Timeout;
        var gone = Watch().RunAsync(server, TestContext.Current.CancellationToken);
        await AdvanceUntilAsync(gone);
        Assert.Equal(2, server.Probes);
    }

    [Fact]
    public async Task ErrorThatTheServerItselfGave_IsASignOfLife()
    {
        server.Fails = UpstreamReasons.InvalidResponse;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var gone = Watch().RunAsync(server, stop.Token);
        for (var i = 0; i < 3; i++)
        {
            await AdvanceUntilAsync(server.Asked());
        }
        Assert.False(gone.IsCompleted);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => gone);
    }

    private LivenessWatch Watch() => new("fake", clock, NullLogger.Instance);

    // The watch asks for its next moment on another thread; time goes on until it has come.
    private async Task AdvanceUntilAsync(Task done)
    {
        for (var i = 0; i < 1_000_000 && !done.IsCompleted; i++)
        {
            clock.Advance(TimeSpan.FromSeconds(1));
            await Task.Yield();
        }
        await done.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    private sealed class Probed : IToolServer
    {
        private readonly SemaphoreSlim asked = new(0);

        public event Action? ToolsChanged
        {
            add { }
            remove { }
        }

        public volatile string? Fails;

        public int Probes { get; private set; }

        public Task<UpstreamException> Lost { get; } = new TaskCompletionSource<UpstreamException>().Task;

        public string ProtocolVersion => "2025-11-25";

        public string LastWords => "";

        public bool WantsProbes => true;

        public async Task Asked() => Assert.True(await asked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken));

        public Task ProbeAsync(CancellationToken cancellationToken)
        {
            Probes++;
            asked.Release();
            return Fails is { } reason ? Task.FromException(new UpstreamException(RpcError.UpstreamUnavailable, reason, "No.")) : Task.CompletedTask;
        }

        public Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken) => Task.FromResult<IReadOnlyList<ReadOnlyMemory<byte>>>([]);

        public ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken) => throw new InvalidOperationException("Nobody calls.");

        public ValueTask DisposeAsync() => ValueTask.CompletedTask;
    }
}
