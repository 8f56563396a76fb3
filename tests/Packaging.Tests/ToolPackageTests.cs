using System.IO.Compression;
using System.Net;
using TestSupport;

namespace Packaging.Tests;

[Collection(PublishedCollection.Name)]
public sealed class ToolPackageTests(Published published)
{
    [Fact]
    public async Task Tool_InstalledFromAFolder_Serves()
    {
        var feed = await published.ToolFeedAsync();
        using var folder = new TemporaryFolder();
        var tools = Path.Combine(folder.Path, "tools");
        var work = Directory.CreateDirectory(Path.Combine(folder.Path, "work")).FullName;

        // The cache of packages must not stand in for the package.
        await Command.RunAsync("dotnet", ["tool", "install", "AgentGateway", "--tool-path", tools, "--source", feed], work,
            new Dictionary<string, string?> { ["NUGET_PACKAGES"] = Path.Combine(folder.Path, "packages") });
        var environment = new Dictionary<string, string> { ["PATH"] = Environment.GetEnvironmentVariable("PATH")!, ["DOTNET_ROOT"] = DotnetRoot() };
        await using var gateway = await RunningProgram.StartAsync(Path.Combine(tools, "gateway"), ["--urls", "http://127.0.0.1:0"], work, environment);

        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/health/ready")).Status);
        Assert.True(Directory.Exists(Path.Combine(work, "data")));
        Assert.Equal(0, await gateway.StopAsync());
    }

    [Fact]
    public async Task Package_HasItsReadmeAndNoLeftovers()
    {
        var feed = await published.ToolFeedAsync();
        using var package = ZipFile.OpenRead(Assert.Single(Directory.GetFiles(feed)));

        Assert.Contains(package.Entries, entry => entry.FullName == "README.md");
        Assert.Contains(package.Entries, entry => entry.FullName == "tools/net10.0/any/gateway.dll");
        Assert.DoesNotContain(package.Entries, entry => entry.Name is "packages.lock.json" || entry.Name.EndsWith(".xml", StringComparison.Ordinal) && entry.Name is not ("DotnetToolSettings.xml" or "[Content_Types].xml"));
    }

    private static string DotnetRoot() => Path.GetFullPath(Path.Combine(System.Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));
}
