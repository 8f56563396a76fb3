using System.Collections.Immutable;
using System.Text;
using System.Text.RegularExpressions;
using CsCheck;
using McpHub.Catalog;
using McpHub.Tests.Upstreams;
using Shared.Pricing;
using Shared.Snapshots;

namespace McpHub.Tests.Catalog;

public sealed class ToolCatalogTests
{
    [Fact]
    public void Build_OneBadTool_IsHeldBackAlone()
    {
        var catalog = Build((Server("a"), ["good", "{", "other"]));

        Assert.Equal(["a__good", "a__other"], NamesOf(catalog));
        Assert.Equal("{", Assert.Single(catalog.Quarantined["a"]).Tool);
    }

    [Fact]
    public void Build_SameNameTwice_ServesTheFirst()
    {
        var catalog = Build((Server("a"), ["one", "one"]));

        Assert.Equal(["a__one"], NamesOf(catalog));
        Assert.Contains("twice", Assert.Single(catalog.Quarantined["a"]).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Build_Rules_ApplyInOrderAndTheLastOneCounts()
    {
        var manifest = Server("a") with
        {
            ExposeByDefault = false,
            Tools =
            [
                new ToolRule { Match = "read_*", Enabled = true, Cost = Money.FromDollars(0.01m) },
                new ToolRule { Match = "*_secret", Enabled = false },
                new ToolRule { Match = "read_file", As = "read", Description = "Reads.", Annotations = ImmutableDictionary<string, bool>.Empty.Add("readOnlyHint", true), Cost = Money.FromDollars(0.02m) },
            ],
        };

        var catalog = Build((manifest, ["read_file", "read_all", "read_secret", "write_file"]));

        Assert.Equal(["a__read", "a__read_all"], NamesOf(catalog));
        var read = catalog.Tools[0];
        Assert.Equal(("read_file", Money.FromDollars(0.02m)), (read.UpstreamName, read.Cost));
        Assert.True(read.Annotations["readOnlyHint"]);
        Assert.Contains("\"description\":\"Reads.\"", Encoding.UTF8.GetString(read.Definition.Span), StringComparison.Ordinal);
        Assert.Equal(Money.FromDollars(0.01m), catalog.Tools[1].Cost);
    }

    [Fact]
    public void Build_DisabledServer_HasNoTools() => Assert.Empty(Build((Server("a") with { Enabled = false }, ["one"])).Tools);

    [Theory]
    [InlineData("a", "tool", "a__tool")]
    [InlineData("", "tool", "tool")]
    [InlineData("a", "b__c", "a__b__c")]
    public void Expose_PlainName_IsKept(string prefix, string tool, string name) => Assert.Equal(name, ToolNames.Expose("id", tool, prefix, null, false, 45));

    [Theory]
    [InlineData("a", "to.ol/ü")]
    [InlineData("a", "a_name_that_is_much_longer_than_any_client_takes_it")]
    [InlineData("", "a__tool")]
    [InlineData("a__b", "c")]
    [InlineData("a_", "c")]
    public void Expose_NameThatCouldBeAnothers_CarriesAHash(string prefix, string tool) =>
        Assert.Matches("^[A-Za-z0-9_-]{1,40}_[0-9a-z]{4}$", ToolNames.Expose("id", tool, prefix, null, false, 45));

    [Fact]
    public void Expose_AnyTwoTools_NeverHaveTheSameNameAndAlwaysOneThatClientsTake()
    {
        string[] known = ["", "a", "a_", "a__b", "b", "_", "a__", "-"];
        var prefixes = Gen.Int[0, known.Length - 1].Select(i => known[i]);
        var parts = Gen.Int[0, 4].Array[1, 8].Select(places => new string([.. places.Select(place => "_ab.ü"[place])]));
        Gen.Select(prefixes, parts, prefixes, parts).Sample((prefix1, tool1, prefix2, tool2) =>
        {
            var (one, two) = (Name(prefix1, tool1), Name(prefix2, tool2));
            return Regex.IsMatch(one, "^[A-Za-z0-9_-]{1,45}$") && ((prefix1, tool1) == (prefix2, tool2) || one != two);
        });

        // A prefix belongs to one server alone, so it stands for the id.
        static string Name(string prefix, string tool) => ToolNames.Expose($"server-{prefix}", tool, prefix, null, false, 45);
    }

    [Fact]
    public void Build_ServerAddsAToolThatWouldTakeAName_LeavesTheOldOneAsItWas()
    {
        var manifest = Server("a") with { Tools = [new ToolRule { Match = "internal_search", As = "search" }] };
        var before = Build((manifest, ["internal_search"]));

        var after = Build((manifest, ["search", "internal_search"]), (Server("0"), ["x"]));

        Assert.Equal(["a__search"], NamesOf(before));
        Assert.Equal("internal_search", after.Tools.Single(tool => tool.ExposedName == "a__search").UpstreamName);
        Assert.Matches("^a__search_[0-9a-z]{4}$", after.Tools.Single(tool => tool.UpstreamName == "search").ExposedName);
    }

    [Fact]
    public void Build_OrderOfTheList_ChangesNothing()
    {
        string[] tools = ["b", "a", new('x', 60), new('x', 61), "c.d", "c/d"];

        Assert.Equal(NamesOf(Build((Server("s"), tools))), NamesOf(Build((Server("s"), [.. tools.Reverse()]))));
    }

    private static ToolManifest Server(string id) => Manifests.BuiltIn(id);

    private static IEnumerable<string> NamesOf(ToolCatalog catalog) => catalog.Tools.Select(tool => tool.ExposedName);

    /// <summary>A catalog of tools by name; "{" stands for a tool without a schema.</summary>
    private static ToolCatalog Build(params (ToolManifest Manifest, string[] Tools)[] servers) => ToolCatalog.Build(
        Snapshots.New([.. servers.Select(server => server.Manifest)]),
        servers.ToDictionary(server => server.Manifest.Id, server => (IReadOnlyList<ReadOnlyMemory<byte>>)[.. server.Tools.Select(Definition)]));

    private static ReadOnlyMemory<byte> Definition(string name) =>
        Encoding.UTF8.GetBytes(name == "{" ? """{"name":"{"}""" : $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""");
}
