using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Gateway.Hosting;

/// <summary>The HTTP server: where it listens and how much of a client it bears.</summary>
internal static class Listener
{
    /// <summary>More headers than this are answered with 431.</summary>
    public const int MaxHeaders = 100;

    /// <summary>More bytes of headers than this are answered with 431.</summary>
    public const int MaxHeaderBytes = 32 * 1024;

    /// <summary>A body that arrives more slowly than this, once the grace is over, is answered with 408.</summary>
    private static readonly MinDataRate SlowestBody = new(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));

    /// <summary>Sets the server up.</summary>
    /// <returns>Where it will listen.</returns>
    /// <exception cref="ListenAddressException">One of the addresses cannot or must not be listened on.</exception>
    public static ListenAddresses AddListener(this WebApplicationBuilder builder, ServeOptions options)
    {
        var configured = options.Urls ?? builder.Configuration[WebHostDefaults.ServerUrlsKey] ?? ListenAddresses.Default;
        var addresses = ListenAddresses.Parse(configured, options.AllowRemote);
        foreach (var endpoint in builder.Configuration.GetSection("Kestrel:Endpoints").GetChildren())
        {
            addresses = ListenAddresses.Parse($"{configured};{endpoint["Url"]}", options.AllowRemote);
        }
        builder.WebHost.UseUrls([.. configured.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries)]);
        builder.WebHost.ConfigureKestrel(server =>
        {
            server.AddServerHeader = false;
            var limits = server.Limits;
            limits.MaxRequestHeaderCount = MaxHeaders;
            limits.MaxRequestHeadersTotalSize = MaxHeaderBytes;
            limits.MaxRequestLineSize = 8 * 1024;
            limits.RequestHeadersTimeout = TimeSpan.FromSeconds(30);
            limits.KeepAliveTimeout = TimeSpan.FromSeconds(130);
            limits.MinRequestBodyDataRate = SlowestBody;
        });
        return addresses;
    }
}
