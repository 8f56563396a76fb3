using McpHub.Upstreams;
using TestSupport;

namespace McpHub.Tests.Upstreams;

public sealed class CommandPathTests : IDisposable
{
    // In lower case, as the file systems that tests run on tell cases apart.
    private const string Endings = ".com;.exe;.bat;.cmd";

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("npx", "npx.cmd")]
    [InlineData("npx.cmd", "npx.cmd")]
    [InlineData("server-2.1", "server-2.1.exe")]
    [InlineData("script.ps1", "script.ps1")]
    [InlineData("both", "both.exe")]
    [InlineData("nothing", null)]
    public void Find_WithPathExt_TakesTheFirstEnding(string command, string? expected)
    {
        var bin = Add("npx", "npx.cmd", "server-2.1.exe", "script.ps1", "both.cmd", "both.exe", "nothing");
        Assert.Equal(expected is null ? null : Path.Combine(bin, expected), CommandPath.Find(command, bin, Endings, folder.Path));
    }

    [Fact]
    public void Find_EarlierFolder_BeatsEarlierEnding()
    {
        var first = Add("a", ["tool.cmd"]);
        var second = Add("b", ["tool.exe"]);
        Assert.Equal(Path.Combine(first, "tool.cmd"), CommandPath.Find("tool", first + Path.PathSeparator + second, Endings, folder.Path));
    }

    [Fact]
    public void Find_Path_BeginsAtTheFolderAndNotAtThePath()
    {
        var bin = Add("bin", ["tool.cmd"]);
        Assert.Equal(Path.Combine(folder.Path, "bin/tool.cmd"), CommandPath.Find("bin/tool", "/nowhere", Endings, folder.Path));
        Assert.Null(CommandPath.Find("tool", "", Endings, bin));
    }

    [Fact]
    public void Find_ElsewhereThanOnWindows_TakesTheNameAsItIs()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "not run: execute permission is Unix's");
        var bin = Add("npx", "npx.cmd", "notes.txt");
        File.WriteAllText(Path.Combine(bin, "plain"), "");
        Assert.Equal(Path.Combine(bin, "npx"), CommandPath.Find("npx", bin, null, folder.Path));
        Assert.Null(CommandPath.Find("plain", bin, null, folder.Path));
    }

    private string Add(params string[] files) => Add("bin", files);

    private string Add(string name, string[] files)
    {
        var bin = Directory.CreateDirectory(Path.Combine(folder.Path, name)).FullName;
        foreach (var file in files)
        {
            var path = Path.Combine(bin, file);
            File.WriteAllText(path, "");
            if (!OperatingSystem.IsWindows())
            {
                File.SetUnixFileMode(path, UnixFileMode.UserRead | UnixFileMode.UserExecute);
            }
        }
        return bin;
    }
}
