using McpHub.BuiltIn;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>Connects to tool servers over whatever transport their manifest names.</summary>
internal sealed class ToolServerConnections(Func<BuiltInServer> builtIn, EgressPolicy egress, TimeProvider clock, ILogger<ToolServerConnections> logger) : IDisposable
{
    private static readonly TimeSpan IdleConnection = TimeSpan.FromMinutes(2);

    // Two, so that what came in through the admin API never uses a connection that was opened on a file's word.
    private readonly Lazy<HttpMessageInvoker> client = new(() => NewClient(egress, EgressTrust.Operator));
    private readonly Lazy<HttpMessageInvoker> remoteClient = new(() => NewClient(egress, EgressTrust.Remote));

    public async Task<IToolServer> ConnectAsync(ToolManifest manifest, CancellationToken cancellationToken) => manifest.Transport switch
    {
        UpstreamTransport.BuiltIn => builtIn(),
        UpstreamTransport.Stdio => await RpcConnection.ConnectAsync(manifest, new StdioTransport(manifest, clock, logger), clock, logger, cancellationToken),
        _ => await RpcConnection.ConnectAsync(manifest, new StreamableHttpTransport(manifest, (manifest.FromAdminApi ? remoteClient : client).Value, clock, logger), clock, logger, cancellationToken),
    };

    public void Dispose()
    {
        foreach (var made in new[] { client, remoteClient }.Where(made => made.IsValueCreated))
        {
            made.Value.Dispose();
        }
    }

    /// <summary>The client of all HTTP servers of one kind.</summary>
    internal static HttpMessageInvoker NewClient(EgressPolicy egress, EgressTrust trust)
    {
        var handler = egress.NewHandler("a tool server", trust);
        handler.PooledConnectionIdleTimeout = IdleConnection;
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(15);
        handler.ConnectTimeout = TimeSpan.FromSeconds(15);
        return new HttpMessageInvoker(handler);
    }
}
