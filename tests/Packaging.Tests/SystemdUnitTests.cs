using System.Net;
using TestSupport;

namespace Packaging.Tests;

[Collection(PublishedCollection.Name)]
public sealed class SystemdUnitTests(Published published)
{
    private static readonly string UnitPath = Repository.At("packaging", "systemd", "gateway.service");

    [Fact]
    public async Task Unit_ItsCommandAndEnvironment_StartTheProgram()
    {
        using var folder = new TemporaryFolder();
        var unit = (await File.ReadAllTextAsync(UnitPath, TestContext.Current.CancellationToken))
            .Replace("/usr/local/bin/gateway", Path.Combine(await published.SingleFileAsync(), "gateway"), StringComparison.Ordinal);
        foreach (var (there, here) in (IEnumerable<(string, string)>)[("/var/lib/gateway", "state"), ("/var/cache/gateway", "cache"), ("/etc/gateway", "etc")])
        {
            unit = unit.Replace(there, Directory.CreateDirectory(Path.Combine(folder.Path, here)).FullName, StringComparison.Ordinal);
        }
        Directory.CreateDirectory(Path.Combine(folder.Path, "etc", "tool-manifests"));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "etc", "gateway.yaml"), "limits: {maxBodyBytes: 32MiB}\n", TestContext.Current.CancellationToken);
        string[] command = Value(unit, "ExecStart").Split(' ');
        var environment = Value(unit, "Environment").Split(' ').Select(each => each.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);

        await using var gateway = await RunningProgram.StartAsync(command[0], [.. command[1..], "--urls", "http://127.0.0.1:0"], Value(unit, "WorkingDirectory"), environment);

        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/health/ready")).Status);
        Assert.NotEmpty(Directory.EnumerateFiles(Path.Combine(folder.Path, "state"), "*.db"));
        Assert.NotEmpty(Directory.EnumerateFileSystemEntries(Path.Combine(folder.Path, "cache")));
        Assert.Equal(0, await gateway.StopAsync());
    }

    [Fact]
    public async Task Unit_SystemdFindsNothingWrong()
    {
        const string Analyzer = "/usr/bin/systemd-analyze";
        Assert.SkipUnless(File.Exists(Analyzer), "not run: needs systemd-analyze (apt-get install systemd)");
        using var folder = new TemporaryFolder();
        var unit = Path.Combine(folder.Path, "gateway.service");
        // Any program will do: whether it is there is all that is asked of it.
        await File.WriteAllTextAsync(unit, (await File.ReadAllTextAsync(UnitPath, TestContext.Current.CancellationToken)).Replace("/usr/local/bin/gateway", Analyzer, StringComparison.Ordinal), TestContext.Current.CancellationToken);

        var (code, output) = await Command.TryRunAsync(Analyzer, ["verify", unit], folder.Path);

        // Only what it says of this file counts: it reads units of the machine too.
        Assert.DoesNotContain("gateway.service", output, StringComparison.Ordinal);
        Assert.True(code == 0 || output.Trim().Length > 0, output);
    }

    private static string Value(string unit, string name) => unit.Split('\n').Single(line => line.StartsWith(name + "=", StringComparison.Ordinal))[(name.Length + 1)..];
}
