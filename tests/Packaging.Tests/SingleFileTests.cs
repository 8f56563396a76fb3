using System.IO.Compression;
using System.Net;
using System.Text.Json;
using TestSupport;

namespace Packaging.Tests;

[Collection(PublishedCollection.Name)]
public sealed class SingleFileTests(Published published)
{
    [Fact]
    public async Task SingleFile_InAnEmptyFolderWithoutDotnet_Serves()
    {
        var program = Path.Combine(await published.SingleFileAsync(), "gateway");
        using var folder = new TemporaryFolder();
        var work = Directory.CreateDirectory(Path.Combine(folder.Path, "work")).FullName;
        var environment = new Dictionary<string, string> { ["DOTNET_BUNDLE_EXTRACT_BASE_DIR"] = Path.Combine(folder.Path, "cache") };

        await using var gateway = await RunningProgram.StartAsync(program, ["--urls", "http://127.0.0.1:0"], work, environment);

        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/health/ready")).Status);
        Assert.Contains("sk-gw-", gateway.Output, StringComparison.Ordinal);
        Assert.Equal("data", Path.GetFileName(Assert.Single(Directory.EnumerateFileSystemEntries(work))));
        Assert.Equal(0, await gateway.StopAsync());
    }

    [Fact]
    public async Task SingleFile_IsOneFile() => Assert.Equal("gateway", Path.GetFileName(Assert.Single(Directory.GetFiles(await published.SingleFileAsync()))));

    [Fact]
    public async Task SingleFile_BundleOfItsMaking_HoldsItselfReadyToRun()
    {
        var program = Path.Combine(await published.SingleFileAsync(), "gateway");
        using var folder = new TemporaryFolder();
        var bundle = Path.Combine(folder.Path, "gateway.mcpb");
        await Command.RunAsync(program, ["connect", "claude-desktop", "--mcpb", bundle], folder.Path);

        using (var archive = ZipFile.OpenRead(bundle))
        {
            Assert.Equal(["manifest.json", "server/gateway"], archive.Entries.Select(entry => entry.FullName).Order(StringComparer.Ordinal));
        }
        var unpacked = Path.Combine(folder.Path, "unpacked");
        await ZipFile.ExtractToDirectoryAsync(bundle, unpacked, TestContext.Current.CancellationToken);
        using var manifest = JsonDocument.Parse(await File.ReadAllTextAsync(Path.Combine(unpacked, "manifest.json"), TestContext.Current.CancellationToken));
        Assert.Equal("${__dirname}/server/gateway", manifest.RootElement.GetProperty("server").GetProperty("mcp_config").GetProperty("command").GetString());
        // It runs only if the bundle kept its right to.
        Assert.Contains("--key-file", await Command.RunAsync(Path.Combine(unpacked, "server", "gateway"), ["bridge", "--help"], folder.Path), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publishing_LeavesTheCommittedLocksAlone_AndTakesTheirVersions()
    {
        var before = Repository.LockFiles();
        await published.SingleFileAsync();
        Assert.Equal(before, Repository.LockFiles());

        foreach (var (path, committed) in before)
        {
            var own = Path.Combine(Published.Artifacts, "locks", "linux-x64", Path.GetFileName(Path.GetDirectoryName(path)) + ".lock.json");
            var versions = Versions(File.ReadAllText(own), "net10.0");
            Assert.NotEmpty(versions);
            Assert.Equal(Versions(committed, "net10.0").OrderBy(pair => pair.Key, StringComparer.Ordinal), versions.OrderBy(pair => pair.Key, StringComparer.Ordinal));
        }
    }

    private static Dictionary<string, string> Versions(string lockFile, string framework)
    {
        using var document = JsonDocument.Parse(lockFile);
        return document.RootElement.GetProperty("dependencies").GetProperty(framework).EnumerateObject()
            .Where(package => package.Value.TryGetProperty("resolved", out _) && !package.Name.StartsWith("Microsoft.NET.ILLink", StringComparison.Ordinal))
            .ToDictionary(package => package.Name, package => package.Value.GetProperty("resolved").GetString()!);
    }
}
