using Shared.Tools;

namespace Shared.Tests.Tools;

public sealed class ToolScopeTests
{
    [Fact]
    public void ToString_OfAnyScope_ComesToAnEnd() =>
        Assert.Equal("ToolScope { Server = files, Toolset = , Search = True, IsAll = False }", new ToolScope("files", null) { Search = true }.ToString());

    [Fact]
    public void WithoutSearch_KeepsThePart() => Assert.Equal(new ToolScope("files", null), (new ToolScope("files", null) { Search = true }).WithoutSearch());
}
