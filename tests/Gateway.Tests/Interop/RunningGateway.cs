using System.Text.RegularExpressions;

namespace Gateway.Tests.Interop;

/// <summary>The real gateway as a process of its own, started as a newcomer starts it, with folders of its own.</summary>
internal sealed partial class RunningGateway : IAsyncDisposable
{
    private static readonly TimeSpan StartGuard = TimeSpan.FromSeconds(60);

    private readonly ChildProcess process;

    private RunningGateway(ChildProcess process, Uri address, string key, string adminKey) =>
        (this.process, Address, Key, AdminKey) = (process, address, key, adminKey);

    /// <summary>Where it listens.</summary>
    public Uri Address { get; }

    /// <summary>The virtual key of its first start.</summary>
    public string Key { get; }

    /// <summary>The admin key of its first start.</summary>
    public string AdminKey { get; }

    /// <summary>All that it printed so far.</summary>
    public string Output => process.Output;

    /// <summary>Starts it on a free loopback port; returns once it has said where it listens and shown both keys.</summary>
    /// <param name="folder">A new folder for its data; <c>tool-manifests</c> in it holds the manifests, if there are any.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<RunningGateway> StartAsync(string folder, CancellationToken cancellationToken)
    {
        var manifests = Path.Combine(folder, "tool-manifests");
        Directory.CreateDirectory(manifests);
        var found = new Banner();
        // The canary stands for the secrets of a real environment: no tool server may see it.
        var environment = new Dictionary<string, string> { ["GATEWAY_CANARY"] = "must not be inherited", ["DOTNET_NOLOGO"] = "true" };
        var process = ChildProcess.Start(
            "dotnet", [Assembly, "--urls", "http://127.0.0.1:0", "--data", Path.Combine(folder, "data"), "--manifests", manifests], folder, environment, found.Read);
        try
        {
            using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
            var first = await Task.WhenAny(found.Complete, process.WaitForExitAsync(ended.Token)).WaitAsync(StartGuard, cancellationToken);
            await ended.CancelAsync();
            if (first != found.Complete)
            {
                throw new InvalidOperationException("The gateway ended at its start.");
            }
            return new RunningGateway(process, found.Address!, found.Key!, found.AdminKey!);
        }
        catch (Exception exception) when (exception is not OperationCanceledException)
        {
            await process.DisposeAsync();
            throw new InvalidOperationException($"The gateway did not start. It printed:{Environment.NewLine}{process.Output}", exception);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => process.DisposeAsync();

    // Built beside the tests with the same configuration; that folder also holds what the gateway alone refers to.
    private static string Assembly
    {
        get
        {
            var configuration = Path.GetFileName(Path.TrimEndingDirectorySeparator(AppContext.BaseDirectory));
            var built = Path.Combine(InteropFolder.Root, "artifacts", "bin", "Gateway", configuration, "gateway.dll");
            return File.Exists(built) ? built : Path.Combine(AppContext.BaseDirectory, "gateway.dll");
        }
    }

    /// <summary>What the message at start tells.</summary>
    private sealed partial class Banner
    {
        private readonly TaskCompletionSource complete = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public Uri? Address { get; private set; }

        public string? Key { get; private set; }

        public string? AdminKey { get; private set; }

        public Task Complete => complete.Task;

        public void Read(string line)
        {
            lock (complete)
            {
                Address ??= AddressPattern().Match(line) is { Success: true } address ? new Uri(address.Groups[1].Value) : null;
                Key ??= KeyPattern().Match(line) is { Success: true } key ? key.Value : null;
                AdminKey ??= AdminKeyPattern().Match(line) is { Success: true } adminKey ? adminKey.Value : null;
                if (Address is not null && Key is not null && AdminKey is not null)
                {
                    complete.TrySetResult();
                }
            }
        }

        [GeneratedRegex(@"listens on (http://127\.0\.0\.1:[1-9][0-9]*)")]
        private static partial Regex AddressPattern();

        [GeneratedRegex("sk-gw-[0-9a-z]{10}-[0-9A-Za-z]{38}")]
        private static partial Regex KeyPattern();

        [GeneratedRegex("ak-gw-[0-9a-z]{10}-[0-9A-Za-z]{38}")]
        private static partial Regex AdminKeyPattern();
    }
}
