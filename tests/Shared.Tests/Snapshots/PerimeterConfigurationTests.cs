using Shared.Snapshots;
using Shared.Stored;

namespace Shared.Tests.Snapshots;

public sealed class PerimeterConfigurationTests : IDisposable
{
    private static readonly ChangedBy Ann = new("admin:ann");

    private readonly ConfigFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Server_Written_IsReadWithPathsBesideTheFile()
    {
        folder.Gateway("""
            server:
              urls: https://0.0.0.0:8443
              tls: {certificate: tls/gateway.pem, key: tls/gateway.key, password: "${env:KEY_PASSWORD}"}
              behindProxy: true
              trustedProxies: [10.0.0.0/8, "::1"]
              allowedHosts: [gateway.example.com, "*.example.org", 192.168.1.5]
              allowedOrigins: ["app://obsidian.md"]
              cors: {origins: ["https://app.example.com", "https://*.example.org:8443"], maxAge: 1h}
              maxConnections: 50
            """);
        folder.Environment["KEY_PASSWORD"] = "open";
        using var loader = folder.Loader();
        loader.Load();

        var server = loader.Server;
        Assert.Equal(["https://0.0.0.0:8443"], server.Urls);
        Assert.Equal(new TlsFiles(Path.Combine(folder.Root, "tls/gateway.pem"), Path.Combine(folder.Root, "tls/gateway.key"), "open"), server.Tls);
        Assert.DoesNotContain("open", server.Tls!.ToString(), StringComparison.Ordinal);
        Assert.True(server.BehindProxy);
        Assert.Equal(["10.0.0.0/8", "::1/128"], server.TrustedProxies.Select(network => network.ToString()));
        Assert.Equal((TimeSpan.FromHours(1), 50), (server.CorsMaxAge, server.MaxConnections));
        Assert.DoesNotContain("open", loader.CurrentText, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("server: {trustedProxies: [10.0.0.1/8], behindProxy: true}", "server.trustedProxies[0]")]
    [InlineData("server: {trustedProxies: [proxy.example], behindProxy: true}", "server.trustedProxies[0]")]
    [InlineData("server: {trustedProxies: [10.0.0.1]}", "server.trustedProxies")]
    [InlineData("server: {allowedHosts: ['https://a.example']}", "server.allowedHosts[0]")]
    [InlineData("server: {allowedHosts: ['a.example:8080']}", "server.allowedHosts[0]")]
    [InlineData("server: {allowedHosts: ['*']}", "server.allowedHosts[0]")]
    [InlineData("server: {allowedOrigins: ['*']}", "server.allowedOrigins[0]")]
    [InlineData("server: {allowedOrigins: ['null']}", "server.allowedOrigins[0]")]
    [InlineData("server: {cors: {origins: ['app.example']}}", "server.cors.origins[0]")]
    [InlineData("server: {cors: {origins: ['https://app.example/']}}", "server.cors.origins[0]")]
    [InlineData("server: {cors: {origins: ['https://app.example:443']}}", "server.cors.origins[0]")]
    [InlineData("server: {tls: {certificate: a.pem}}", "server.tls")]
    [InlineData("server: {tls: {certificate: a.pem, key: a.key, pfx: a.pfx}}", "server.tls.pfx")]
    [InlineData("server: {maxConnections: 0}", "server.maxConnections")]
    [InlineData("egress: {allow: [10.0.0.1/8]}", "egress.allow[0]")]
    [InlineData("egress: {deny: ['http://x.example']}", "egress.deny[0]")]
    public void Section_Wrong_IsNamed(string yaml, string path) => Assert.Contains($": {path}: ", Assert.Single(folder.Gateway(yaml).Errors()), StringComparison.Ordinal);

    [Theory]
    [InlineData("providers: {p: {baseUrl: 'http://169.254.169.254/v1'}}", "providers.p.baseUrl")]
    [InlineData("providers: {p: {baseUrl: 'http://[fe80::1]/v1'}}", "providers.p.baseUrl")]
    [InlineData("telemetry: {otlpEndpoint: 'http://169.254.169.254:4317'}", "telemetry.otlpEndpoint")]
    [InlineData("providers: {p: {baseUrl: 'http://10.1.2.3/v1'}}\negress: {deny: [10.0.0.0/8]}", "providers.p.baseUrl")]
    public void Address_ThatTheFileMayNotNameEither_IsRefusedWhereItStands(string yaml, string path) => Assert.Contains($": {path}: ", Assert.Single(folder.Gateway(yaml).Errors()), StringComparison.Ordinal);

    [Fact]
    public void ToolServer_AtALinkLocalAddress_IsRefusedWhereItStands()
    {
        folder.Manifest("m.yaml", "apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: m}\nupstream: {url: 'http://169.254.169.254/mcp'}\n");
        Assert.Contains("m.yaml:4:", Assert.Single(folder.Errors()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("http://127.0.0.1:9/v1")]
    [InlineData("http://localhost:9/v1")]
    [InlineData("http://192.168.1.1/v1")]
    [InlineData("http://[::1]/v1")]
    [InlineData("http://169.254.169.254/v1")]
    public async Task Provider_OfTheAdminApi_MayNotNameAddressesOfOnesOwnNetwork(string url)
    {
        using var loader = folder.Loader();
        loader.Load();
        var outcome = await loader.ChangeAsync(stored => stored.With(new EntityName(EntityKind.Provider, "p"), $$"""{"baseUrl":"{{url}}"}"""), Ann);
        Assert.Equal("baseUrl", Assert.Single(outcome.Errors).Path);
    }

    [Fact]
    public async Task Manifest_OfTheAdminApi_MayNotNameAddressesOfOnesOwnNetworkUnlessAllowed()
    {
        const string Manifest = """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"m"},"upstream":{"url":"http://127.0.0.1:9/mcp"}}""";
        using var loader = folder.Loader();
        loader.Load();
        var name = new EntityName(EntityKind.Manifest, "m");
        Assert.Equal("upstream.url", Assert.Single((await loader.ChangeAsync(stored => stored.With(name, Manifest), Ann)).Errors).Path);

        folder.Gateway("egress: {allow: [127.0.0.1]}");
        Assert.Empty(await loader.ReloadAsync(TestContext.Current.CancellationToken));
        Assert.Empty((await loader.ChangeAsync(stored => stored.With(name, Manifest), Ann)).Errors);
        Assert.True(folder.Store.Current.Manifests.Single(manifest => manifest.Id == "m").FromAdminApi);
    }

    [Fact]
    public async Task Manifest_OfTheAdminApi_MayNameAProgramOnlyWhereAFileAllowsIt()
    {
        const string Manifest = """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"m"},"upstream":{"command":"/bin/true"}}""";
        using var loader = folder.Loader();
        loader.Load();
        var name = new EntityName(EntityKind.Manifest, "m");
        var error = Assert.Single((await loader.ChangeAsync(stored => stored.With(name, Manifest), Ann)).Errors);
        Assert.Equal("upstream.command", error.Path);
        Assert.Contains("allowProcessesFromApi", error.Message, StringComparison.Ordinal);

        folder.Gateway("allowProcessesFromApi: true");
        Assert.Empty(await loader.ReloadAsync(TestContext.Current.CancellationToken));
        Assert.Empty((await loader.ChangeAsync(stored => stored.With(name, Manifest), Ann)).Errors);

        folder.Gateway("");
        Assert.NotEmpty(await loader.ReloadAsync(TestContext.Current.CancellationToken));
    }
}
