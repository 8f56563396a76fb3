using System.Text.RegularExpressions;

namespace Gateway.Tests.Interop;

/// <summary>
/// One suite in JavaScript, run once against a gateway of its own, and its tests' outcomes. Each of its tests is a test here as well, so that a run's
/// counts are the real ones.
/// </summary>
/// <param name="file">The suite's file in <c>tests/interop</c>.</param>
/// <param name="missing">Why it cannot run here; null: it can.</param>
/// <param name="configuration">What the gateway is told in its configuration file; empty: it has none.</param>
public abstract partial class NodeSuite(string file, string? missing, string configuration = "") : IAsyncLifetime
{
    private static readonly TimeSpan RunGuard = TimeSpan.FromMinutes(8);

    private readonly Dictionary<string, string?> failures = new(StringComparer.Ordinal);
    private string whole = "";

    /// <summary>A suite that needs the packages of <c>tests/interop</c> alone.</summary>
    protected NodeSuite(string file)
        : this(file, InteropFolder.IsInstalled ? null : InteropFolder.Missing)
    {
    }

    /// <inheritdoc/>
    public async ValueTask InitializeAsync()
    {
        if (missing is not null)
        {
            return;
        }
        var cancellationToken = TestContext.Current.CancellationToken;
        var folder = Directory.CreateTempSubdirectory("gateway-interop-").FullName;
        try
        {
            await using var servers = await RealToolServers.DeclareAsync(folder, cancellationToken);
            if (configuration.Length > 0)
            {
                await File.WriteAllTextAsync(Path.Combine(folder, "gateway.yaml"), configuration, cancellationToken);
            }
            await using var gateway = await InteropFolder.StartGatewayAsync(folder, cancellationToken);
            var environment = new Dictionary<string, string>
            {
                ["GATEWAY_URL"] = gateway.BaseAddress.ToString().TrimEnd('/'),
                ["GATEWAY_KEY"] = gateway.VirtualKey!,
                ["GATEWAY_ADMIN_KEY"] = gateway.AdminKey!,
                ["GATEWAY_MANIFESTS"] = Path.Combine(folder, "tool-manifests"),
                ["GATEWAY_FILES"] = servers.Files,
                ["GATEWAY_TEST_CHROMIUM"] = InteropFolder.Chromium ?? "",
                ["GATEWAY_PROGRAM"] = Path.Combine(AppContext.BaseDirectory, "gateway.dll"),
            };
            await using var suite = ChildProcess.Start(InteropFolder.Node, [Path.Combine(InteropFolder.Folder, file)], InteropFolder.Folder, environment);
            await suite.WaitForExitAsync(cancellationToken).WaitAsync(RunGuard, cancellationToken);
            Read(suite.Output);
            whole = $"{file} ended with {suite.ExitCode}:{Environment.NewLine}{suite.Output}{Environment.NewLine}The gateway printed:{Environment.NewLine}{WithoutKeys(gateway.Output + gateway.Error)}";
            // Asked to, it takes its tool servers along; killed, it could not.
            await gateway.StopAsync(cancellationToken);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync()
    {
        GC.SuppressFinalize(this);
        return ValueTask.CompletedTask;
    }

    /// <summary>Fails as the suite's test of that name failed, or if the suite ended before it.</summary>
    internal void AssertPassed(string test)
    {
        Assert.SkipWhen(missing is not null, missing ?? "");
        if (!failures.TryGetValue(test, out var failure))
        {
            Assert.Fail($"The suite reported no outcome of this test. {whole}");
        }
        if (failure is not null)
        {
            Assert.Fail(failure);
        }
    }

    private static string WithoutKeys(string text) => Keys().Replace(text, "[key]");

    private void Read(string output)
    {
        foreach (Match outcome in Outcomes().Matches(output))
        {
            failures[outcome.Groups["name"].Value] = outcome.Groups["failed"].Success ? outcome.Groups["failed"].Value : null;
        }
    }

    [GeneratedRegex(@"^(?:ok - (?<name>.+) \(\d+ ms\)|not ok - (?<name>[^\r\n]+?) \(\d+ ms\): (?<failed>[^\r\n]*(?:\r?\n#   [^\r\n]*)*))\r?$", RegexOptions.Multiline)]
    private static partial Regex Outcomes();

    [GeneratedRegex("[sa]k-gw-[0-9A-Za-z-]+")]
    private static partial Regex Keys();
}
