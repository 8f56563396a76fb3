using McpHub.Upstreams.SignIn;

namespace McpHub.Tests.Upstreams.SignIn;

public sealed class DiscoveryTests
{
    [Theory]
    [InlineData("https://as.example", "https://as.example/.well-known/oauth-authorization-server https://as.example/.well-known/openid-configuration")]
    [InlineData("https://as.example/", "https://as.example/.well-known/oauth-authorization-server https://as.example/.well-known/openid-configuration")]
    [InlineData("https://as.example/tenant1", "https://as.example/.well-known/oauth-authorization-server/tenant1 https://as.example/.well-known/openid-configuration/tenant1 https://as.example/tenant1/.well-known/openid-configuration")]
    public void MetadataAddresses_AreTriedInTheSpecificationsOrder(string issuer, string expected) =>
        Assert.Equal(expected.Split(' '), Discovery.MetadataAddresses(new Uri(issuer)).Select(address => address.ToString()));

    [Theory]
    [InlineData("https://a.example/mcp", "https://a.example/mcp", true)]
    [InlineData("https://a.example/mcp/", "https://a.example/mcp", true)]
    [InlineData("https://a.example", "https://a.example/mcp", true)]
    [InlineData("https://A.example:443/", "https://a.example/mcp", true)]
    [InlineData("https://a.example/mcp", "https://a.example/mcp/deep", true)]
    [InlineData("https://a.example/mc", "https://a.example/mcp", false)]
    [InlineData("https://a.example/mcp/deep", "https://a.example/mcp", false)]
    [InlineData("https://a.example:8443", "https://a.example/mcp", false)]
    [InlineData("http://a.example", "https://a.example/mcp", false)]
    [InlineData("https://b.example/mcp", "https://a.example/mcp", false)]
    [InlineData("https://a.example.evil.example/mcp", "https://a.example/mcp", false)]
    public void Covers_OnlyTheServerAndWhatIsAboveIt(string resource, string server, bool expected) => Assert.Equal(expected, Discovery.Covers(new Uri(resource), new Uri(server)));
}
