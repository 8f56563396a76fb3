using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Gateway.Hosting;
using Microsoft.Extensions.Time.Testing;
using TestSupport;

namespace Gateway.Tests.Perimeter;

public sealed class TlsTests : IDisposable
{
    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Theory]
    [InlineData("pem", "1.1")]
    [InlineData("pem", "2.0")]
    [InlineData("encrypted pem", "2.0")]
    [InlineData("pfx", "2.0")]
    public async Task Https_WithACertificate_ServesBothVersionsOfHttpAndNothingUnencrypted(string form, string version)
    {
        using var root = new Authority("root");
        var tls = Write(root, "first", form);
        await using var gateway = await StartAsync(tls, null);
        Assert.Equal("https", gateway.BaseAddress.Scheme);

        using var client = NewClient(root);
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.BaseAddress, "health/live")) { Version = Version.Parse(version), VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal((HttpStatusCode.OK, Version.Parse(version)), (response.StatusCode, response.Version));

        using var plain = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        await Assert.ThrowsAsync<HttpRequestException>(() => plain.GetAsync(new UriBuilder(gateway.BaseAddress) { Scheme = "http", Path = "/health/live" }.Uri, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Handshake_SendsTheChainOfTheFile()
    {
        using var root = new Authority("root");
        using var middle = new Authority("middle", root);
        await using var gateway = await StartAsync(Write(middle, "first", "pem", middle.Certificate), null);

        // The client knows the root alone.
        using var client = NewClient(root);
        using var response = await client.GetAsync(new Uri(gateway.BaseAddress, "health/live"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
    }

    [Fact]
    public async Task Certificate_RenewedOnDisk_IsShownToNewConnectionsAndABadOneIsNot()
    {
        using var root = new Authority("root");
        var clock = new FakeTimeProvider(TimeProvider.System.GetUtcNow());
        var tls = Write(root, "first", "pem");
        await using var gateway = await StartAsync(tls, clock);
        Assert.Equal("CN=first", await SubjectAsync(gateway.BaseAddress));

        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.pem"), "half written", TestContext.Current.CancellationToken);
        clock.Advance(ServerCertificate.Period);
        Assert.Equal("CN=first", await SubjectAsync(gateway.BaseAddress));
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("The changed certificate cannot be used", StringComparison.Ordinal));

        Write(root, "second", "pem");
        clock.Advance(ServerCertificate.Period);
        Assert.Equal("CN=second", await SubjectAsync(gateway.BaseAddress));
        Assert.Contains(gateway.Logs.Lines, line => line.Message.Contains("The certificate was renewed", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Protocol_OlderThanTls12_IsRefused()
    {
        using var root = new Authority("root");
        await using var gateway = await StartAsync(Write(root, "first", "pem"), null);
        using var connection = new TcpClient();
        await connection.ConnectAsync(gateway.BaseAddress.Host, gateway.BaseAddress.Port, TestContext.Current.CancellationToken);
        // A ClientHello of TLS 1.0, by hand: the library here would not send one.
        var hello = Convert.FromHexString("16030100310100002d0301" + new string('1', 64) + "000006002f0035000a0100");
        await connection.GetStream().WriteAsync(hello, TestContext.Current.CancellationToken);
        var answer = new byte[16];
        int read;
        try
        {
            read = await connection.GetStream().ReadAsync(answer, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        }
        catch (IOException)
        {
            read = 0;
        }
        Assert.False(read > 0 && answer[0] == 0x16, "The handshake goes on.");
    }

    [Theory]
    [InlineData("missing")]
    [InlineData("garbage")]
    [InlineData("other key")]
    public async Task Start_WithACertificateThatCannotBeUsed_FailsNamingTheFile(string mistake)
    {
        using var root = new Authority("root");
        var tls = Write(root, "first", "pem");
        var file = Path.Combine(folder.Path, mistake == "other key" ? "gateway.key" : "gateway.pem");
        switch (mistake)
        {
            case "missing":
                File.Delete(file);
                break;
            case "garbage":
                await File.WriteAllTextAsync(file, "garbage", TestContext.Current.CancellationToken);
                break;
            default:
                using (var key = RSA.Create(2048))
                {
                    await File.WriteAllTextAsync(file, key.ExportPkcs8PrivateKeyPem(), TestContext.Current.CancellationToken);
                }
                break;
        }
        var exception = await Assert.ThrowsAsync<ListenAddressException>(() => StartAsync(tls, null));
        Assert.Contains("server.tls", exception.Message, StringComparison.Ordinal);
        Assert.Contains("gateway.pem", exception.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("PRIVATE KEY", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Process_BeyondLoopbackWithTls_StartsAndWantsAnAdminKeyForMetrics()
    {
        using var root = new Authority("root");
        var tls = Write(root, "first", "pem");
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), $"server:\n  urls: https://0.0.0.0:0\n  {tls}\n", TestContext.Current.CancellationToken);
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, urls: null, cancellationToken: TestContext.Current.CancellationToken);
        Assert.StartsWith("https://127.0.0.1:", gateway.BaseAddress.AbsoluteUri, StringComparison.Ordinal);
        using var client = NewClient(root);
        using var models = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.BaseAddress, "v1/models")) { Headers = { { "Authorization", "Bearer " + gateway.VirtualKey } } };
        using var answer = await client.SendAsync(models, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        using var metrics = await client.GetAsync(new Uri(gateway.BaseAddress, "metrics"), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.Unauthorized, metrics.StatusCode);
    }

    private Task<TestGateway> StartAsync(string tls, TimeProvider? clock) => TestGateway.StartAsync(
        new TestGatewayOptions { Configuration = "server:\n  " + tls, Urls = "https://127.0.0.1:0", Clock = clock }, TestContext.Current.CancellationToken);

    /// <summary>Writes certificate and key, and returns the configuration that names them.</summary>
    private string Write(Authority authority, string name, string form, params ReadOnlySpan<X509Certificate2> chain)
    {
        using var key = RSA.Create(2048);
        var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        var names = new SubjectAlternativeNameBuilder();
        names.AddIpAddress(IPAddress.Loopback);
        request.CertificateExtensions.Add(names.Build());
        using var bare = authority.Sign(request);
        if (form == "pfx")
        {
            using var pair = bare.CopyWithPrivateKey(key);
            File.WriteAllBytes(Path.Combine(folder.Path, "gateway.pfx"), pair.Export(X509ContentType.Pkcs12, "open sesame"));
            return $"tls: {{pfx: '{folder.Path}/gateway.pfx', password: 'open sesame'}}";
        }
        var pem = bare.ExportCertificatePem();
        foreach (var certificate in chain)
        {
            pem += "\n" + certificate.ExportCertificatePem();
        }
        File.WriteAllText(Path.Combine(folder.Path, "gateway.pem"), pem);
        var isEncrypted = form == "encrypted pem";
        File.WriteAllText(Path.Combine(folder.Path, "gateway.key"), isEncrypted
            ? key.ExportEncryptedPkcs8PrivateKeyPem("open sesame", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000))
            : key.ExportPkcs8PrivateKeyPem());
        return $"tls: {{certificate: '{folder.Path}/gateway.pem', key: '{folder.Path}/gateway.key'{(isEncrypted ? ", password: 'open sesame'" : "")}}}";
    }

    private static HttpClient NewClient(Authority root) => new(new SocketsHttpHandler
    {
        UseProxy = false,
        SslOptions = new SslClientAuthenticationOptions
        {
            CertificateChainPolicy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, CustomTrustStore = { root.Certificate }, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true },
        },
    });

    private static async Task<string> SubjectAsync(Uri address)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
        using var stream = new SslStream(connection.GetStream());
        var subject = "";
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            TargetHost = address.Host,
            RemoteCertificateValidationCallback = (_, certificate, _, _) =>
            {
                subject = certificate!.Subject;
                return true; // only its name is asked for here
            },
        }, TestContext.Current.CancellationToken);
        return subject;
    }

    /// <summary>Signs certificates.</summary>
    private sealed class Authority : IDisposable
    {
        private readonly RSA key = RSA.Create(2048);

        public Authority(string name, Authority? above = null)
        {
            var request = new CertificateRequest($"CN={name}", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
            request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
            Certificate = above?.Sign(request) ?? request.CreateSelfSigned(TimeProvider.System.GetUtcNow().AddDays(-2), TimeProvider.System.GetUtcNow().AddDays(30));
        }

        public X509Certificate2 Certificate { get; }

        public X509Certificate2 Sign(CertificateRequest request) => request.Create(
            Certificate.SubjectName, X509SignatureGenerator.CreateForRSA(key, RSASignaturePadding.Pkcs1), TimeProvider.System.GetUtcNow().AddDays(-1), TimeProvider.System.GetUtcNow().AddDays(20), RandomNumberGenerator.GetBytes(8));

        public void Dispose()
        {
            Certificate.Dispose();
            key.Dispose();
        }
    }
}
