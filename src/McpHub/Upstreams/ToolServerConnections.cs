using System.Net;
using McpHub.BuiltIn;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>Connects to tool servers over whatever transport their manifest names.</summary>
internal sealed class ToolServerConnections(Func<BuiltInServer> builtIn, TimeProvider clock, ILogger<ToolServerConnections> logger) : IDisposable
{
    private static readonly TimeSpan IdleConnection = TimeSpan.FromMinutes(2);

    private readonly HttpMessageInvoker client = NewClient();

    public async Task<IToolServer> ConnectAsync(ToolManifest manifest, CancellationToken cancellationToken) => manifest.Transport switch
    {
        UpstreamTransport.BuiltIn => builtIn(),
        UpstreamTransport.Stdio => await RpcConnection.ConnectAsync(manifest, new StdioTransport(manifest, clock, logger), clock, logger, cancellationToken),
        _ => await RpcConnection.ConnectAsync(manifest, new StreamableHttpTransport(manifest, client, clock, logger), clock, logger, cancellationToken),
    };

    public void Dispose() => client.Dispose();

    /// <summary>The client of all HTTP servers. A redirect could lead anywhere, and cookies of one server are nobody else's business.</summary>
    internal static HttpMessageInvoker NewClient() => new(new SocketsHttpHandler
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        PooledConnectionIdleTimeout = IdleConnection,
        PooledConnectionLifetime = TimeSpan.FromMinutes(15),
        ConnectTimeout = TimeSpan.FromSeconds(15),
    });
}
