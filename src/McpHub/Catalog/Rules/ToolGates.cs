using System.Collections.Concurrent;
using System.Globalization;
using McpHub.Upstreams;

namespace McpHub.Catalog.Rules;

/// <summary>The calls of each tool with a limit that are in flight, whoever makes them. More wait for their turn, up to a limit of their own. Lives as long as the process.</summary>
internal sealed class ToolGates
{
    /// <summary>The most calls of one tool that wait. Each holds its parameters in memory.</summary>
    public const int MaxWaiting = 256;

    private readonly ConcurrentDictionary<(string Server, string Tool, int Limit), Gate> gates = new();

    /// <summary>Waits for a turn. Disposing what comes back gives it to the next.</summary>
    /// <exception cref="UpstreamException">Too many wait already.</exception>
    public async ValueTask<Turn> TakeAsync(CatalogTool tool, int limit, CancellationToken cancellationToken)
    {
        var gate = gates.GetOrAdd((tool.Server.Id, tool.UpstreamName, limit), static key => new Gate(key.Limit));
        if (gate.Free.Wait(0, CancellationToken.None))
        {
            return new Turn(gate.Free);
        }
        try
        {
            if (Interlocked.Increment(ref gate.Waiting) > MaxWaiting)
            {
                throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Busy,
                    string.Create(CultureInfo.InvariantCulture, $"Tool '{tool.ExposedName}' is busy: {limit} calls run and {MaxWaiting} wait."), wasSent: false);
            }
            await gate.Free.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref gate.Waiting);
        }
        return new Turn(gate.Free);
    }

    /// <summary>A turn; disposed once.</summary>
    internal readonly struct Turn(SemaphoreSlim? free) : IDisposable
    {
        public void Dispose() => free?.Release();
    }

    private sealed class Gate(int limit)
    {
        public int Waiting;

        public SemaphoreSlim Free { get; } = new(limit);
    }
}
