using Gateway.Hosting;

namespace Gateway.Tests;

public sealed class ListenAddressesTests
{
    [Theory]
    [InlineData("http://127.0.0.1:8080")]
    [InlineData("http://localhost:8080; http://[::1]:8080")]
    [InlineData("http://127.9.9.9:1")]
    [InlineData("http://unix:/run/gateway.sock")]
    public void Parse_Loopback_IsTaken(string urls) => Assert.True(ListenAddresses.Parse(ListenAddresses.Split(urls), hasCertificate: false, behindProxy: false).IsLoopback);

    [Theory]
    [InlineData("http://0.0.0.0:8080")]
    [InlineData("http://*:8080")]
    [InlineData("http://+:8080")]
    [InlineData("http://[::]:8080")]
    [InlineData("http://127.0.0.1.example.com:80")]
    [InlineData("http://127.0.0.1:8080;http://10.0.0.1:8080")]
    [InlineData("https://127.0.0.1:8443;http://10.0.0.1:8080")]
    public void Parse_BeyondLoopbackWithoutTls_NeedsAProxyInFront(string urls)
    {
        var message = Assert.Throws<ListenAddressException>(() => ListenAddresses.Parse(ListenAddresses.Split(urls), hasCertificate: true, behindProxy: false)).Message;
        Assert.Contains("server.behindProxy", message, StringComparison.Ordinal);
        Assert.Contains("server.tls", message, StringComparison.Ordinal);
        Assert.False(ListenAddresses.Parse(ListenAddresses.Split(urls), hasCertificate: true, behindProxy: true).IsLoopback);
    }

    [Fact]
    public void Parse_Https_NeedsACertificateAndNoProxy()
    {
        Assert.Contains("server.tls", Assert.Throws<ListenAddressException>(() => ListenAddresses.Parse(["https://127.0.0.1:8443"], hasCertificate: false, behindProxy: true)).Message, StringComparison.Ordinal);
        Assert.False(ListenAddresses.Parse(["https://0.0.0.0:8443"], hasCertificate: true, behindProxy: false).IsLoopback);
    }

    [Theory]
    [InlineData("")]
    [InlineData("8080")]
    [InlineData("ftp://127.0.0.1")]
    [InlineData("http://127.0.0.1:8080/base")]
    [InlineData("http://localhost:0")]
    public void Parse_NotAnAddress_IsRefused(string urls) =>
        Assert.Throws<ListenAddressException>(() => ListenAddresses.Parse(ListenAddresses.Split(urls), hasCertificate: true, behindProxy: true));
}
