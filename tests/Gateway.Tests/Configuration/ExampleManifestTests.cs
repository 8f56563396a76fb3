using Gateway.Tests.Interop;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.Configuration;

/// <summary>The examples under tool-manifests: off where nothing is installed, and at work with the packages of tests/interop.</summary>
public sealed class ExampleManifestTests
{
    private static readonly string Bin = Path.Combine(InteropFolder.Folder, "node_modules", ".bin");
    private static readonly string Examples = Path.Combine(InteropFolder.Root, "tool-manifests");

    [Fact]
    public async Task Examples_NothingInstalled_NoneIsOn()
    {
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Manifests = Read(), Environment = new Dictionary<string, string> { ["PATH"] = "" } }, TestContext.Current.CancellationToken);
        var snapshot = ((Shared.Snapshots.SnapshotStore)gateway.Services.GetService(typeof(Shared.Snapshots.SnapshotStore))!).Current;
        Assert.Equal(Read().Count + 1, snapshot.Manifests.Length);
        Assert.Equal("gateway", Assert.Single(snapshot.Manifests, manifest => manifest.Enabled).Id);
    }

    [Fact]
    public void Examples_ThatDownloadOrCallOut_AreOffWhateverIsInstalled()
    {
        foreach (var (name, text) in Read())
        {
            if (text.Contains("command: npx", StringComparison.Ordinal) || text.Contains("\n  url:", StringComparison.Ordinal))
            {
                Assert.True(text.Contains("\nenabled: false", StringComparison.Ordinal), name);
            }
        }
    }

    [Theory]
    [InlineData("everything", "everything__echo", 10)]
    [InlineData("memory", "memory__read_graph", 9)]
    [InlineData("filesystem", "filesystem__read_text_file", 8)]
    [InlineData("sequential-thinking", "think__sequentialthinking", 1)]
    public async Task Example_ProgramInstalled_ServesItsTools(string id, string tool, int atLeast)
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        using var folder = new TemporaryFolder();
        var path = $"{Bin}{Path.PathSeparator}{Environment.GetEnvironmentVariable("PATH")}";
        // As its user is told to, the example is switched on; its folder or file is one of the test's own. Its program is looked up on a PATH of its own too.
        var text = Read()[id + ".yaml"].Replace("\nenabled: false", "\nenabled: true", StringComparison.Ordinal).Replace("/tmp", folder.Path, StringComparison.Ordinal);
        var variable = $"    PATH: \"{path}\"\n";
        text = text.Contains("  env:\n", StringComparison.Ordinal)
            ? text.Replace("  env:\n", "  env:\n" + variable, StringComparison.Ordinal)
            : text.Replace("  transport: stdio\n", "  transport: stdio\n  env:\n" + variable, StringComparison.Ordinal);
        await using var gateway = await TestGateway.StartAsync(
            new TestGatewayOptions { Manifests = new Dictionary<string, string> { [id + ".yaml"] = text }, Environment = new Dictionary<string, string> { ["PATH"] = path } }, TestContext.Current.CancellationToken);

        await ToolCaller.WaitForAsync(gateway, id, state => state.State == "connected");
        var names = await ToolCaller.ListAsync(gateway.Client);

        Assert.Contains(tool, names);
        Assert.True(names.Count(name => !name.StartsWith("gateway__", StringComparison.Ordinal)) >= atLeast, string.Join(", ", names));
    }

    private static Dictionary<string, string> Read() => Directory.GetFiles(Examples, "*.yaml").ToDictionary(file => Path.GetFileName(file)!, File.ReadAllText);
}
