using System.Globalization;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>The calls that one server may have in flight at once. More wait for their turn, up to a limit of their own.</summary>
internal sealed class CallSlots(ToolManifest manifest)
{
    /// <summary>The most calls that wait. Each holds its parameters in memory.</summary>
    public const int MaxWaiting = 1024;

    private readonly SemaphoreSlim free = new(manifest.MaxConcurrentCalls);
    private int waiting;

    /// <exception cref="UpstreamException">Too many wait already.</exception>
    public async ValueTask TakeAsync(CancellationToken cancellationToken)
    {
        if (free.Wait(0, CancellationToken.None))
        {
            return;
        }
        try
        {
            if (Interlocked.Increment(ref waiting) > MaxWaiting)
            {
                throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Busy,
                    string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' is busy: {manifest.MaxConcurrentCalls} calls run and {MaxWaiting} wait."), wasSent: false);
            }
            await free.WaitAsync(cancellationToken);
        }
        finally
        {
            Interlocked.Decrement(ref waiting);
        }
    }

    public void Release() => free.Release();
}
