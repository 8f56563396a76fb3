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
