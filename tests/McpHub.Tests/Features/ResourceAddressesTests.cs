using System.Collections.Immutable;
using System.Text;
using McpHub.Features;
using Shared.Snapshots;

namespace McpHub.Tests.Features;

public sealed class ResourceAddressesTests
{
    private static readonly ImmutableArray<ToolManifest> Servers = [Server("a", "files"), Server("b", "Files"), Server("c", "my_server"), Server("d", "my-server"), Server("e", "2nd"), Server("f", "")];

    public static TheoryData<string> Addresses =>
    [
        "file:///x", "file:///x+y", "memo://one", "urn:isbn:1", "files+memo://one", "https://example.com/a?b=c#d", "test://{id}/data{?q}", "no-scheme", "+", "a+b:c", "",
    ];

    [Theory]
    [MemberData(nameof(Addresses))]
    public void Address_OfEachServer_LeadsBackToItAlone(string own)
    {
        var exposed = Servers.Where(server => server.Prefix.Length > 0).ToDictionary(server => server.Id, server => ResourceAddresses.PrefixOf(server) + own);

        Assert.Equal(exposed.Count, exposed.Values.Distinct(StringComparer.OrdinalIgnoreCase).Count());
        foreach (var (id, address) in exposed)
        {
            var found = ResourceAddresses.Resolve(Servers, null, address);
            Assert.Equal((id, own), (found?.Server.Id, found?.Address));
        }
    }

    [Fact]
    public void Prefix_OfAnyKind_IsAUriScheme() =>
        Assert.All(Servers.Where(server => server.Prefix.Length > 0), server => Assert.Matches("^[a-z][a-z0-9.-]*\\+$", ResourceAddresses.PrefixOf(server)));

    [Fact]
    public void Address_WithoutAKnownPrefix_BelongsToTheServerWithoutOne()
    {
        Assert.Equal("f", ResourceAddresses.Resolve(Servers, null, "memo://one")?.Server.Id);
        Assert.Null(ResourceAddresses.Resolve([Servers[0]], null, "memo://one"));
    }

    [Fact]
    public void Address_AtTheEndpointOfOneServer_IsItsOwn() => Assert.Equal(("a", "files+memo://one"), Named(ResourceAddresses.Resolve(Servers, "a", "files+memo://one")));

    [Theory]
    [InlineData("""{"contents":[{"uri":"memo://one","text":"uri"}]}""", """{"contents":[{"uri":"files+memo://one","text":"uri"}]}""")]
    [InlineData("""{"content":[{"type":"resource_link","uri":"a:b"},{"type":"resource","resource":{"uri":"c:d","text":"\"uri\":\"x\""}}]}""", """{"content":[{"type":"resource_link","uri":"files+a:b"},{"type":"resource","resource":{"uri":"files+c:d","text":"\"uri\":\"x\""}}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"c:d"}}},{"content":[{"uri":"e:f"}]}]}""", """{"messages":[{"role":"user","content":{"type":"resource","resource":{"uri":"files+c:d"}}},{"content":[{"uri":"files+e:f"}]}]}""")]
    [InlineData("""{"content":[],"structuredContent":{"uri":"left:alone","content":[{"uri":"left:alone"}]},"_meta":{"uri":"left:alone"}}""", """{"content":[],"structuredContent":{"uri":"left:alone","content":[{"uri":"left:alone"}]},"_meta":{"uri":"left:alone"}}""")]
    [InlineData("""{"content":[{"uri":1},{"uri":null},[{"uri":"left:alone"}],"uri"]}""", """{"content":[{"uri":1},{"uri":null},[{"uri":"left:alone"}],"uri"]}""")]
    [InlineData("""{"content":"uri"}""", """{"content":"uri"}""")]
    public void Result_WithAddresses_HasThemBehindThePrefix(string result, string expected) =>
        Assert.Equal(expected, Encoding.UTF8.GetString(ResourceAddresses.InResult(Encoding.UTF8.GetBytes(result), Servers[0]).Span));

    [Fact]
    public void Tool_ThatNamesAPage_LeadsToItBehindThePrefix()
    {
        const string tool = """{"name":"x","description":"resourceUri","_meta":{"ui":{"resourceUri":"ui://page","other":{"resourceUri":"left"}},"ui/resourceUri":"ui://old","openai/outputTemplate":"ui://t","k":{"resourceUri":"left"}},"inputSchema":{"resourceUri":"left"}}""";

        Assert.Equal(
            tool.Replace("\"ui://", "\"files+ui://", StringComparison.Ordinal),
            Encoding.UTF8.GetString(ResourceAddresses.InTool(Encoding.UTF8.GetBytes(tool), Servers[0]).Span));
    }

    private static (string?, string?) Named((ToolManifest Server, string Address)? found) => (found?.Server.Id, found?.Address);

    private static ToolManifest Server(string id, string prefix) => new() { Id = id, Transport = UpstreamTransport.StreamableHttp, Prefix = prefix, Origin = "test" };
}
