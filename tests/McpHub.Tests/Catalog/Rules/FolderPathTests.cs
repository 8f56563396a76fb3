using Shared.Snapshots;

namespace McpHub.Tests.Catalog.Rules;

public sealed class FolderPathTests
{
    [Theory]
    [InlineData("/srv/docs")]
    [InlineData("/srv/docs/")]
    [InlineData("/srv/docs/a/b.md")]
    [InlineData("/srv//docs/./a")]
    [InlineData("/./srv/docs/...")]
    [InlineData("/srv/docs/..a")]
    [InlineData("/srv/docs/a%20b")]
    [InlineData("/srv/docs/100%")]
    [InlineData("/srv/docs/été 😀")]
    public void IsWithin_Below_IsAllowed(string path) => Assert.True(FolderPath.IsWithin(path, ["/srv/docs"], out _));

    [Theory]
    [InlineData("", "is empty")]
    [InlineData("/", "is not below")]
    [InlineData("/srv", "is not below")]
    [InlineData("/srv/docs2/a", "is not below")]
    [InlineData("/SRV/docs/a", "is not below")]
    [InlineData("srv/docs/a", "is not below")]
    [InlineData("a", "is not below")]
    [InlineData("/srv/docs/../secret", "holds '..'")]
    [InlineData("/srv/docs/..", "holds '..'")]
    [InlineData("../srv/docs/a", "holds '..'")]
    [InlineData("/srv/docs/x/../../../etc", "holds '..'")]
    [InlineData("/srv/docs/..\\..\\etc", "holds a backslash")]
    [InlineData("\\srv\\docs", "holds a backslash")]
    [InlineData("/srv/docs/%2e%2e/etc", "holds an encoded character")]
    [InlineData("/srv/docs/%2E./etc", "holds an encoded character")]
    [InlineData("/srv/docs/..%2fetc", "holds an encoded character")]
    [InlineData("/srv/docs/..%5cetc", "holds an encoded character")]
    [InlineData("/srv/docs/%252e%252e/etc", "holds an encoded character")]
    [InlineData("/srv/docs/%c0%ae", "holds an encoded character")]
    [InlineData("/srv/docs/a%00.md", "holds an encoded character")]
    [InlineData("/srv/docs/\u0000/a", "holds a control character")]
    [InlineData("/srv/docs/\n", "holds a control character")]
    [InlineData("/srv/docs/\uff0e\uff0e/etc", "looks like a dot")]
    [InlineData("/srv/docs/\u2024\u2024/etc", "looks like a dot")]
    [InlineData("/srv/docs\u2215..", "looks like a dot")]
    [InlineData("//srv/docs/a", "begins with two separators")]
    [InlineData("~/docs", "begins with '~'")]
    [InlineData("file:///srv/docs/a", "is no plain path")]
    [InlineData("C:/srv/docs/a", "is no plain path")]
    public void IsWithin_Elsewhere_SaysWhy(string path, string reason)
    {
        Assert.False(FolderPath.IsWithin(path, ["/srv/docs"], out var wrong));
        Assert.Contains(reason, wrong, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("docs", "docs/a", true)]
    [InlineData("docs", "./docs/a", true)]
    [InlineData("docs", "/docs/a", false)]
    [InlineData("docs", "other", false)]
    [InlineData("", "anything/here", true)]
    [InlineData("", "/etc", false)]
    [InlineData("/", "/etc", true)]
    [InlineData("/", "etc", false)]
    [InlineData("C:/data", "c:\\DATA\\x.txt", true)]
    [InlineData("C:/data", "C:/data/x", true)]
    [InlineData("C:/data", "C:\\data\\..\\x", false)]
    [InlineData("C:/data", "C:\\data\\.. \\x", false)]
    [InlineData("C:/data", "C:\\data\\x.txt:stream", false)]
    [InlineData("C:/data", "C:data\\x", false)]
    [InlineData("C:/data", "\\\\host\\C:\\data", false)]
    [InlineData("C:/data", "\\\\?\\C:\\data\\x", false)]
    [InlineData("C:/data", "D:/data/x", false)]
    public void IsWithin_OtherKindsOfFolders(string folder, string path, bool expected) => Assert.Equal(expected, FolderPath.IsWithin(path, [folder], out _));

    [Fact]
    public void IsWithin_SeveralFolders_OneIsEnough()
    {
        Assert.True(FolderPath.IsWithin("/tmp/x", ["/srv", "/tmp"], out _));
        Assert.True(FolderPath.IsWithin("D:\\x", ["/srv", "D:/"], out _) || FolderPath.IsWithin("D:\\x", ["/srv", "D:"], out _));
        Assert.False(FolderPath.IsWithin("/etc", ["/srv", "/tmp"], out var wrong));
        Assert.Equal("is not below /srv or /tmp", wrong);
    }
}
