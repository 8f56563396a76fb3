using System.Net;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Options;
using Shared.Http;
using Shared.Snapshots;

namespace Gateway.Hosting;

/// <summary>
/// The HTTP server: where it listens and how much of a client it bears. Which addresses, the configuration says too, so they are decided when it has been
/// loaded and before the server starts.
/// </summary>
internal sealed class Listener(ServeOptions options, string? hostUrls) : IDisposable
{
    /// <summary>A longer request line, path and query included, is answered with 414.</summary>
    public const int MaxRequestLineBytes = 8 * 1024;

    /// <summary>More headers than this are answered with 431.</summary>
    public const int MaxHeaders = 100;

    /// <summary>More bytes of headers than this are answered with 431.</summary>
    public const int MaxHeaderBytes = 32 * 1024;

    /// <summary>Streams of one HTTP/2 connection; more wait.</summary>
    public const int MaxStreams = 100;

    /// <summary>A body that arrives more slowly than this, once the grace is over, is answered with 408.</summary>
    private static readonly MinDataRate SlowestBody = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

    private ListenAddresses? addresses;
    private ServerSettings settings = new();
    private ServerCertificate? certificate;

    /// <summary>Whether only this machine reaches the gateway, by itself and not through a proxy.</summary>
    /// <exception cref="InvalidOperationException">That was not decided yet.</exception>
    public bool IsLocal => (addresses ?? throw new InvalidOperationException("The addresses to listen on have not been decided yet.")).IsLoopback && !settings.BehindProxy;

    /// <summary>Decides where to listen.</summary>
    /// <param name="configured">What the configuration says.</param>
    /// <param name="services">The host's services.</param>
    /// <exception cref="ListenAddressException">One of the addresses cannot or must not be listened on, or the certificate cannot be used.</exception>
    public void Decide(ServerSettings configured, IServiceProvider services)
    {
        settings = configured with { BehindProxy = configured.BehindProxy || options.BehindProxy };
        string[] urls = options.Urls is { } given ? ListenAddresses.Split(given)
            : !settings.Urls.IsEmpty ? [.. settings.Urls]
            : !string.IsNullOrEmpty(hostUrls) ? ListenAddresses.Split(hostUrls)
            : [ListenAddresses.Default];
        addresses = ListenAddresses.Parse(urls, settings.Tls is not null, settings.BehindProxy);
        if (settings.Tls is { } files)
        {
            certificate = ServerCertificate.Load(files, services.GetRequiredService<TimeProvider>(), services.GetRequiredService<ILogger<ServerCertificate>>());
        }
        services.GetRequiredService<Perimeter>().SetUp(settings, IsLocal, services.GetRequiredService<ILoggerFactory>());
        // The server exists already, but reads these only when it starts.
        var server = services.GetRequiredService<IOptions<KestrelServerOptions>>().Value;
        server.Limits.MaxConcurrentConnections = settings.MaxConnections;
        foreach (var address in addresses.All)
        {
            Listen(server, address);
        }
    }

    /// <summary>Sets the limits of what the server bears.</summary>
    public static void Limit(KestrelServerOptions server)
    {
        server.AddServerHeader = false;
        var limits = server.Limits;
        limits.MaxRequestLineSize = MaxRequestLineBytes;
        limits.MaxRequestHeaderCount = MaxHeaders;
        limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(30);
        limits.KeepAliveTimeout = TimeSpan.FromSeconds(130);
        limits.MinRequestBodyDataRate = SlowestBody;
        limits.Http2.MaxStreamsPerConnection = MaxStreams;
        limits.Http2.MaxRequestHeaderFieldSize = MaxHeaderBytes;
    }

    /// <inheritdoc/>
    public void Dispose() => certificate?.Dispose();

    private void Listen(KestrelServerOptions server, BindingAddress address)
    {
        Action<ListenOptions> configure = ListenAddresses.IsTls(address) ? UseTls : _ => { };
        if (address.IsUnixPipe)
        {
            server.ListenUnixSocket(address.UnixPipePath, configure);
        }
        else if (address.IsNamedPipe)
        {
            server.ListenNamedPipe(address.NamedPipeName, configure);
        }
        else if (string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase))
        {
            server.ListenLocalhost(address.Port, configure);
        }
        else if (IPAddress.TryParse(address.Host, out var ip))
        {
            server.Listen(ip, address.Port, configure);
        }
        else
        {
            server.ListenAnyIP(address.Port, configure);
        }
    }

    private void UseTls(ListenOptions listen) => listen.UseHttps(new TlsHandshakeCallbackOptions
    {
        OnConnection = _ => ValueTask.FromResult(certificate!.Current),
        HandshakeTimeout = TimeSpan.FromSeconds(10),
    });
}

/// <summary>Registration of the HTTP server.</summary>
internal static class ListenerFeature
{
    /// <summary>Adds the server. <see cref="Listener.Decide"/> must be called before it starts.</summary>
    public static Listener AddListener(this WebApplicationBuilder builder, ServeOptions options)
    {
        var listener = new Listener(options, builder.Configuration[WebHostDefaults.ServerUrlsKey]);
        if (builder.Configuration.GetSection("Kestrel:Endpoints").GetChildren().Any())
        {
            throw new ListenAddressException("Endpoints under 'Kestrel' in the host's settings are not used; give the addresses under 'server.urls' in gateway.yaml.");
        }
        builder.Services.AddSingleton(_ => listener);
        // The server is told its addresses itself; what the host's settings say of them was read above, or does not count.
        builder.WebHost.UseSetting(WebHostDefaults.ServerUrlsKey, ";");
        builder.WebHost.ConfigureKestrel(Listener.Limit);
        return listener;
    }
}
