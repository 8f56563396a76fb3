using System.Threading.Channels;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace Shared.Snapshots;

/// <summary>
/// Loads the first snapshot before anything else starts, and then has it built anew when a file or a stored key changes: told by the file system
/// where it tells, and by comparing contents at intervals where it does not (network mounts, swapped links).
/// </summary>
internal sealed class SnapshotWatcher(SnapshotPaths paths, SnapshotLoader loader, SnapshotStore store, TimeProvider clock, ILogger<SnapshotWatcher> logger) : IHostedLifecycleService, IDisposable
{
    private readonly Channel<bool> signs = Channel.CreateBounded<bool>(new BoundedChannelOptions(1) { FullMode = BoundedChannelFullMode.DropWrite });
    private readonly CancellationTokenSource stopping = new();
    private readonly Dictionary<string, FileSystemWatcher> watchers = [];
    private ITimer? poll;
    private Task watching = Task.CompletedTask;

    public Task StartingAsync(CancellationToken cancellationToken)
    {
        if (!store.HasCurrent)
        {
            loader.Load();
        }
        loader.StoredChanged += Sign;
        Watch();
        poll = clock.CreateTimer(_ => Sign(), null, paths.PollInterval, paths.PollInterval);
        watching = ReloadOnSignsAsync(stopping.Token);
        // What changed between the first look and the first watch is noticed now.
        Sign();
        return Task.CompletedTask;
    }

    public Task StartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StartedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public Task StoppedAsync(CancellationToken cancellationToken) => Task.CompletedTask;

    public async Task StoppingAsync(CancellationToken cancellationToken)
    {
        loader.StoredChanged -= Sign;
        await stopping.CancelAsync();
        await watching;
    }

    public void Dispose()
    {
        // A host whose start failed is disposed without being stopped.
        stopping.Cancel();
        poll?.Dispose();
        foreach (var watcher in watchers.Values)
        {
            watcher.Dispose();
        }
        stopping.Dispose();
    }

    private void Sign() => signs.Writer.TryWrite(true);

    private async Task ReloadOnSignsAsync(CancellationToken stopped)
    {
        try
        {
            while (await signs.Reader.WaitToReadAsync(stopped))
            {
                await Task.Delay(paths.Debounce, clock, stopped);
                signs.Reader.TryRead(out _);
                await ReloadAsync(stopped);
            }
        }
        catch (OperationCanceledException) when (stopped.IsCancellationRequested)
        {
            return;
        }
    }

    private async Task ReloadAsync(CancellationToken stopped)
    {
        try
        {
            // Watched first, so that what changes while it is read is not missed.
            Watch();
            await loader.ReloadIfChangedAsync(stopped);
        }
        catch (Exception exception) when (!stopped.IsCancellationRequested)
        {
            // A store of keys that does not answer, for one: what serves goes on serving, and the next sign tries again.
            logger.ReloadFailed(exception);
        }
    }

    // A folder may appear later: until then its parent tells.
    private void Watch()
    {
        if (paths.ConfigFile is { } file)
        {
            Watch(Path.GetDirectoryName(Path.GetFullPath(file))!, Path.GetFileName(file));
        }
        if (paths.ManifestDirectory is { } folder)
        {
            var full = Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder));
            Watch(full, "*");
            Watch(Path.GetDirectoryName(full) ?? full, Path.GetFileName(full));
        }
    }

    private void Watch(string folder, string filter)
    {
        var key = Path.Combine(folder, filter);
        if (watchers.ContainsKey(key) || !Directory.Exists(folder))
        {
            return;
        }
        try
        {
            var watcher = new FileSystemWatcher(folder, filter) { NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Size };
            watcher.Changed += (_, _) => Sign();
            watcher.Created += (_, _) => Sign();
            watcher.Deleted += (_, _) => Sign();
            watcher.Renamed += (_, _) => Sign();
            watcher.Error += (_, _) => Sign();
            watcher.EnableRaisingEvents = true;
            watchers.Add(key, watcher);
        }
        catch (IOException exception)
        {
            // The system's limit of watches is reached, for one: polling goes on.
            logger.CannotWatch(folder, exception.Message);
        }
    }
}
