using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Shared.Snapshots;

namespace Gateway.Hosting;

/// <summary>
/// The certificate that is shown to clients, read anew when its files have changed. The files are looked at when a client connects, at most every ten
/// seconds; one that cannot be used leaves the last good one in place.
/// </summary>
internal sealed class ServerCertificate : IDisposable
{
    /// <summary>How often the files are looked at.</summary>
    public static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly TlsFiles files;
    private readonly TimeProvider clock;
    private readonly ILogger logger;
    private volatile SslServerAuthenticationOptions current;
    private string fingerprint;
    private long lookedAt;

    private ServerCertificate(TlsFiles files, TimeProvider clock, ILogger logger, string fingerprint, SslServerAuthenticationOptions current)
    {
        (this.files, this.clock, this.logger, this.fingerprint, this.current) = (files, clock, logger, fingerprint, current);
        lookedAt = clock.GetTimestamp();
    }

    /// <summary>What a connection is opened with.</summary>
    public SslServerAuthenticationOptions Current
    {
        get
        {
            if (clock.GetElapsedTime(Interlocked.Read(ref lookedAt)) >= Period && gate.TryEnter())
            {
                try
                {
                    Refresh();
                }
                finally
                {
                    gate.Exit();
                }
            }
            return current;
        }
    }

    /// <summary>Reads the files.</summary>
    /// <exception cref="ListenAddressException">They cannot be used.</exception>
    public static ServerCertificate Load(TlsFiles files, TimeProvider clock, ILogger logger)
    {
        try
        {
            var bytes = Read(files);
            return new ServerCertificate(files, clock, logger, FingerprintOf(bytes), Options(files, bytes));
        }
        catch (Exception exception) when (IsUnusable(exception))
        {
            throw new ListenAddressException($"The certificate under 'server.tls' cannot be used ({files}): {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => current.ServerCertificateContext!.TargetCertificate.Dispose();

    private void Refresh()
    {
        Interlocked.Exchange(ref lookedAt, clock.GetTimestamp());
        try
        {
            var bytes = Read(files);
            var seen = FingerprintOf(bytes);
            if (seen == fingerprint)
            {
                return;
            }
            // A pair of which only one file is new does not fit together: the next look will find both.
            var next = Options(files, bytes);
            (current, fingerprint) = (next, seen);
            logger.Renewed(next.ServerCertificateContext!.TargetCertificate.NotAfter.ToUniversalTime());
        }
        catch (Exception exception) when (IsUnusable(exception))
        {
            logger.NotRenewed(files.ToString(), exception.Message);
        }
    }

    private static bool IsUnusable(Exception exception) => exception is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException;

    private static (byte[] Certificate, byte[] Key) Read(TlsFiles files) => (File.ReadAllBytes(files.Certificate), files.Key is null ? [] : File.ReadAllBytes(files.Key));

    private static string FingerprintOf((byte[] Certificate, byte[] Key) bytes) => Convert.ToHexString(SHA256.HashData(bytes.Certificate)) + Convert.ToHexString(SHA256.HashData(bytes.Key));

    private static SslServerAuthenticationOptions Options(TlsFiles files, (byte[] Certificate, byte[] Key) bytes)
    {
        var (certificate, chain) = files.Key is null ? FromPkcs12(bytes.Certificate, files.Password) : FromPem(bytes, files.Password);
        return new SslServerAuthenticationOptions
        {
            // The chain is sent as it stands in the file; nothing is fetched from anywhere.
            ServerCertificateContext = SslStreamCertificateContext.Create(certificate, chain, offline: true),
        };
    }

    private static (X509Certificate2 Certificate, X509Certificate2Collection Chain) FromPem((byte[] Certificate, byte[] Key) bytes, string? password)
    {
        var (text, key) = (System.Text.Encoding.UTF8.GetString(bytes.Certificate), System.Text.Encoding.UTF8.GetString(bytes.Key));
        var chain = new X509Certificate2Collection();
        chain.ImportFromPem(text);
        using var pair = password is null ? X509Certificate2.CreateFromPem(text, key) : X509Certificate2.CreateFromEncryptedPem(text, key, password);
        // Windows opens no connection with a key that was never stored.
        var certificate = OperatingSystem.IsWindows() ? X509CertificateLoader.LoadPkcs12(pair.Export(X509ContentType.Pkcs12), null) : new X509Certificate2(pair);
        return (certificate, chain);
    }

    private static (X509Certificate2 Certificate, X509Certificate2Collection Chain) FromPkcs12(byte[] bytes, string? password)
    {
        var all = X509CertificateLoader.LoadPkcs12Collection(bytes, password);
        return (all.FirstOrDefault(certificate => certificate.HasPrivateKey) ?? throw new CryptographicException("The file holds no private key."), all);
    }
}

internal static partial class ServerCertificateLog
{
    [LoggerMessage(LogLevel.Information, "The certificate was renewed; it holds until {NotAfter:O}.")]
    public static partial void Renewed(this ILogger logger, DateTime notAfter);

    [LoggerMessage(LogLevel.Warning, "The changed certificate cannot be used ({Files}); the last one stays in use. {Problem}")]
    public static partial void NotRenewed(this ILogger logger, string files, string problem);
}
