using System.Collections.Concurrent;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Shared.Configuration;
using Shared.Snapshots;

namespace Shared.Tests.Snapshots;

public sealed class SnapshotLoaderTests : IDisposable
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    private readonly ConfigFolder folder = new();
    private readonly RecordingLogs logs = new();

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public void Dispose() => folder.Dispose();

    [Fact]
    public async Task Start_FileChanges_AreInForceWithoutRestart()
    {
        using var host = await StartAsync("limits: {maxBodyBytes: 1MiB}", folder.Paths with { PollInterval = TimeSpan.FromHours(1) });
        var store = host.Services.GetRequiredService<SnapshotStore>();
        Assert.Equal(1 << 20, store.Current.Settings.MaxBodyBytes);

        var changed = NextChange(store, snapshot => snapshot.Settings.MaxBodyBytes == 2 << 20);
        folder.Gateway("limits: {maxBodyBytes: 2MiB}");
        await changed.WaitAsync(HangGuard, Cancelled);

        var added = NextChange(store, snapshot => snapshot.Manifests.Length == 2);
        folder.Manifest("files.yaml", "apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: files}\nupstream: {command: npx}\n");
        await added.WaitAsync(HangGuard, Cancelled);
        await host.StopAsync(Cancelled);
    }

    [Fact]
    public async Task Start_NoEventsFromTheFileSystem_PollingNoticesAChangedSecretFile()
    {
        var secret = Path.Combine(folder.Root, "secret");
        await File.WriteAllTextAsync(secret, "one\n", Cancelled);
        // The folder of the secret is not watched: only its content tells.
        var paths = folder.Paths with { PollInterval = TimeSpan.FromMilliseconds(20), Debounce = TimeSpan.FromMilliseconds(1) };
        using var host = await StartAsync($"providers: {{openai: {{apiKey: \"${{file:{secret}}}\"}}}}", paths);
        var store = host.Services.GetRequiredService<SnapshotStore>();
        Assert.Equal("one", store.Current.Providers["openai"].ApiKey);

        var changed = NextChange(store, snapshot => snapshot.Providers["openai"].ApiKey == "two");
        await File.WriteAllTextAsync(secret, "two\n", Cancelled);

        await changed.WaitAsync(HangGuard, Cancelled);
        await host.StopAsync(Cancelled);
    }

    [Fact]
    public async Task Start_StoredKeyAdded_IsInForce()
    {
        using var host = await StartAsync("", folder.Paths with { PollInterval = TimeSpan.FromHours(1) });
        var store = host.Services.GetRequiredService<SnapshotStore>();

        var changed = NextChange(store, snapshot => snapshot.Keys.ContainsKey("0123456789"));
        folder.Keys.Add("0123456789", """{"models":["*"]}""");

        await changed.WaitAsync(HangGuard, Cancelled);
        await host.StopAsync(Cancelled);
    }

    [Fact]
    public async Task Reload_BadFile_KeepsTheLastGoodOneAndSaysWhy()
    {
        using var host = await StartAsync("limits: {maxBodyBytes: 1MiB}", folder.Paths with { PollInterval = TimeSpan.FromHours(1), Debounce = TimeSpan.FromHours(1) });
        var store = host.Services.GetRequiredService<SnapshotStore>();
        var loader = host.Services.GetRequiredService<SnapshotLoader>();
        var good = store.Current;

        folder.Gateway("limits: {maxBodyByte: 2MiB}\nproviders: {openai: {apiKey: \"x-hidden-x ${env:NOPE}\"}}");
        var errors = await loader.ReloadAsync(Cancelled);

        Assert.Same(good, store.Current);
        Assert.Equal(2, errors.Count);
        Assert.Equal(errors, store.LastErrors);
        Assert.Contains("did you mean 'maxBodyBytes'?", errors[0], StringComparison.Ordinal);
        Assert.Contains(logs.Messages, message => message.Contains(errors[0], StringComparison.Ordinal));
        Assert.DoesNotContain(logs.Messages, message => message.Contains("x-hidden-x", StringComparison.Ordinal));

        // The same content as before is the same revision; it only clears the errors.
        folder.Gateway("limits: {maxBodyBytes: 1024KiB}");
        Assert.Empty(await loader.ReloadAsync(Cancelled));
        Assert.Empty(store.LastErrors);
        Assert.Same(good, store.Current);

        folder.Gateway("limits: {maxBodyBytes: 3MiB}");
        Assert.Empty(await loader.ReloadAsync(Cancelled));
        Assert.Equal(3 << 20, store.Current.Settings.MaxBodyBytes);
        await host.StopAsync(Cancelled);
    }

    [Fact]
    public async Task Reload_CompilerRefuses_KeepsTheLastGoodOne()
    {
        folder.Compilers.Add(new PickyCompiler());
        using var loader = folder.Loader();
        loader.Load();
        Assert.IsType<string>(folder.Store.Current.Part<string>());

        folder.Gateway("routes: {picky: {targets: [simulator/echo]}}");
        var errors = await loader.ReloadAsync(Cancelled);

        Assert.Equal(["The route 'picky' is not to my liking."], errors);
        Assert.Empty(folder.Store.Current.Routes);
    }

    [Fact]
    public async Task Start_BadFile_StopsTheStartWithAllErrors()
    {
        var exception = await Assert.ThrowsAsync<ConfigurationException>(() => StartAsync("limit: 1\nroute: 2\n", folder.Paths));

        Assert.Equal(2, exception.Errors.Count);
        Assert.Contains(exception.Errors[1], exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_MissingFile_IsAnErrorOnlyWhereItWasNamed()
    {
        Assert.Empty(folder.Load().Routes);

        using var loader = new SnapshotLoader(folder.Paths with { ConfigFileRequired = true }, folder.Store, [], LoggerFactory.Create(_ => { }).CreateLogger<SnapshotLoader>());
        var error = Assert.Single(Assert.Throws<ConfigurationException>(loader.Load).Errors);
        Assert.Equal($"{folder.GatewayFile}: there is no such file", error);
    }

    private async Task<IHost> StartAsync(string yaml, SnapshotPaths paths)
    {
        folder.Gateway(yaml);
        var builder = new HostApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        builder.Logging.AddProvider(logs);
        builder.Services.AddSnapshots(paths);
        builder.Services.AddSingleton<Shared.Stored.IStoredConfiguration>(folder.Keys);
        var host = builder.Build();
        await host.StartAsync(Cancelled);
        return host;
    }

    private static Task NextChange(SnapshotStore store, Func<Snapshot, bool> wanted)
    {
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        store.Changed += (_, snapshot) =>
        {
            if (wanted(snapshot))
            {
                changed.TrySetResult();
            }
        };
        return changed.Task;
    }

    private sealed class PickyCompiler : ISnapshotCompiler
    {
        public object Compile(Snapshot snapshot, ICollection<string> errors)
        {
            if (snapshot.Routes.ContainsKey("picky"))
            {
                errors.Add("The route 'picky' is not to my liking.");
            }
            return "compiled";
        }
    }

    private sealed class RecordingLogs : ILoggerProvider, ILogger
    {
        public ConcurrentQueue<string> Messages { get; } = new();

        public ILogger CreateLogger(string categoryName) => this;

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Messages.Enqueue(formatter(state, exception));

        public void Dispose()
        {
        }
    }
}
