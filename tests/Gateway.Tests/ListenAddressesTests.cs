using Gateway.Hosting;

namespace Gateway.Tests;

public sealed class ListenAddressesTests
{
    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://localhost:8080; http://[::1]:8080")]
    [InlineData("http://127.9.9.9:1")]
    [InlineData("http://unix:/run/gateway.sock")]
    public void Parse_Loopback_IsTaken(string urls) => Assert.True(ListenAddresses.Parse(urls, allowRemote: false).IsLoopback);

    [Theory]
    [InlineData("http://0.0.0.0:8080")]
    [InlineData("http://*:8080")]
    [InlineData("http://+:8080")]
    [InlineData("http://[::]:8080")]
    [InlineData("http://127.0.0.1.example.com:80")]
    [InlineData("http://127.0.0.1:8080;http://10.0.0.1:8080")]
    public void Parse_BeyondLoopback_IsRefusedUnlessAllowed(string urls)
    {
        Assert.Contains("--allow-remote", Assert.Throws<ListenAddressException>(() => ListenAddresses.Parse(urls, allowRemote: false)).Message, StringComparison.Ordinal);
        Assert.False(ListenAddresses.Parse(urls, allowRemote: true).IsLoopback);
    }

    [Theory]
    [InlineData("")]
    [InlineData("8080")]
    [InlineData("https://127.0.0.1:8443")]
    [InlineData("ftp://127.0.0.1")]
    public void Parse_NotAnAddress_IsRefused(string urls) => Assert.Throws<ListenAddressException>(() => ListenAddresses.Parse(urls, allowRemote: true));
}
