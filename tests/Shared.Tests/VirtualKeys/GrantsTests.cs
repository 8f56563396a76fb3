using System.Collections.Immutable;
using Shared.VirtualKeys;

namespace Shared.Tests.VirtualKeys;

public class GrantsTests
{
    [Theory]
    [InlineData(true, "*")]
    [InlineData(true, "github/*")]
    [InlineData(true, "git*")]
    [InlineData(true, "other/x", "github/*")]
    [InlineData(false, "github/search_*")]
    [InlineData(false, "github/*", "!github/delete_*")]
    [InlineData(false, "*", "!*/delete_*")]
    [InlineData(true, "*", "!other/*")]
    [InlineData(false, "gitlab/*")]
    [InlineData(false)]
    public void AllowsPrompt_NothingSaidOfPrompts_ComesWithAWholeServer(bool expected, params string[] tools)
    {
        var grants = new Grants { Tools = [.. tools] };

        Assert.Equal(expected, grants.AllowsPrompt("github", "review"));
        Assert.Equal(expected, grants.AllowsResource("github", "repo://acme/readme"));
    }

    [Fact]
    public void AllowsPrompt_ToolsUnderACondition_MustBeGrantedByName()
    {
        var grants = new Grants { Tools = ["github/*"], ToolAnnotations = ImmutableDictionary<string, bool>.Empty.Add("readOnlyHint", true) };

        Assert.False(grants.AllowsPrompt("github", "review"));
        Assert.True((grants with { Prompts = ["github/rev*"] }).AllowsPrompt("github", "review"));
        Assert.False((grants with { Prompts = ["github/rev*"] }).AllowsResource("github", "repo://acme/readme"));
    }

    [Theory]
    [InlineData("docs/file:///guide/*", "file:///guide/start.md", true)]
    [InlineData("docs/file:///guide/*", "file:///secret/start.md", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/../secret/start.md", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/%2e%2e/secret/start.md", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/%2E./secret/start.md", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/..%2fsecret", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/a\\..\\secret", false)]
    [InlineData("docs/file:///guide/*", "file:///guide/.hidden", true)]
    [InlineData("docs/file:///guide/*", "file:///guide/a%20b", true)]
    [InlineData("docs/*", "file:///guide/../secret", true)]
    [InlineData("docs/file:///{path}", "file:///{path}", true)]
    public void AllowsResource_UriThatHidesWhatItStandsFor_IsDenied(string glob, string uri, bool expected) =>
        Assert.Equal(expected, new Grants { Resources = [glob] }.AllowsResource("docs", uri));

    [Fact]
    public void AllowsPrompt_AListOfItsOwn_StandsInPlaceOfWhatToolsGrant()
    {
        var grants = new Grants { Tools = ["*"], Prompts = [], Resources = ["docs/*", "!docs/file:///secret/*"] };

        Assert.False(grants.AllowsPrompt("github", "review"));
        Assert.False(grants.AllowsResource("github", "repo://acme/readme"));
        Assert.True(grants.AllowsResource("docs", "file:///guide"));
        Assert.False(grants.AllowsResource("docs", "file:///secret/key"));
        Assert.False(grants.AllowsResource("docs", "file:///guide/../secret/key"));
    }

    [Fact]
    public void AllowsPrompt_TeamDoesNot_NeitherDoesTheKey()
    {
        var team = new Owner { Kind = OwnerKind.Team, Id = "t", Grants = new Grants { Models = ["*"], Tools = ["docs/*"] } };
        var key = new VirtualKey { Kind = OwnerKind.Key, Id = "k", Name = "k", Secrets = [], Parent = team, Grants = new Grants { Tools = ["*"] } };

        Assert.True(key.AllowsPrompt("docs", "p"));
        Assert.False(key.AllowsPrompt("github", "p"));
        Assert.False(key.AllowsResource("github", "u://x"));
        Assert.False((key with { Grants = null }).AllowsPrompt("docs", "p"));
    }

    [Fact]
    public void AllowsTool_Toolset_GivesAndTakesWhatIsInIt()
    {
        var reading = new Toolset { Id = "reading", Tools = ["github/get_*", "!github/get_secret", "docs/*"] };
        var toolsets = ImmutableDictionary<string, Toolset>.Empty.Add("reading", reading);
        var given = new Grants { Tools = ["toolset:reading", "github/get_secret_names"], Toolsets = toolsets };
        var taken = new Grants { Tools = ["*", "!toolset:reading"], Toolsets = toolsets };

        Assert.True(given.AllowsTool("github/get_issue"));
        Assert.False(given.AllowsTool("github/get_secret"));
        Assert.True(given.AllowsTool("github/get_secret_names"));
        Assert.False(given.AllowsTool("github/create_issue"));
        Assert.True(given.AllowsPrompt("docs", "p"));
        Assert.False(given.AllowsPrompt("github", "p"));
        Assert.False(taken.AllowsTool("github/get_issue"));
        Assert.True(taken.AllowsTool("github/create_issue"));
        Assert.False(taken.AllowsPrompt("docs", "p"));
        Assert.True(taken.AllowsPrompt("other", "p"));
        Assert.False(new Grants { Tools = ["toolset:reading"] }.AllowsTool("github/get_issue"));
    }
}
