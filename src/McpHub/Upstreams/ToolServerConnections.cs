using McpHub.BuiltIn;
using McpHub.OpenApi;
using McpHub.Upstreams.SignIn;
using Microsoft.Extensions.Logging;
using Shared.Egress;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>Connects to tool servers over whatever transport their manifest names.</summary>
internal sealed class ToolServerConnections(Func<BuiltInServer> builtIn, EgressPolicy egress, Func<UpstreamSignIn> signIn, TimeProvider clock, ILogger<ToolServerConnections> logger) : IDisposable
{
    private static readonly TimeSpan IdleConnection = TimeSpan.FromMinutes(2);

    // Two, so that what came in through the admin API never uses a connection that was opened on a file's word.
    private readonly Lazy<HttpMessageInvoker> client = new(() => NewClient(egress, EgressTrust.Operator));
    private readonly Lazy<HttpMessageInvoker> remoteClient = new(() => NewClient(egress, EgressTrust.Remote));

    public async Task<IToolServer> ConnectAsync(ToolManifest manifest, ClientOffer offer, CancellationToken cancellationToken) => manifest.Transport switch
    {
        UpstreamTransport.BuiltIn => builtIn(),
        UpstreamTransport.OpenApi => await OpenApiServer.ConnectAsync(manifest, ClientOf(manifest), CredentialsOf(manifest, offer), clock, logger, cancellationToken),
        UpstreamTransport.Stdio => await RpcConnection.ConnectAsync(manifest, new StdioTransport(manifest, clock, logger), offer, clock, logger, cancellationToken),
        UpstreamTransport.Sse => await RpcConnection.ConnectAsync(manifest, new SseTransport(manifest, ClientOf(manifest), CredentialsOf(manifest, offer), logger), offer, clock, logger, cancellationToken),
        _ => await ConnectOverHttpAsync(manifest, ClientOf(manifest), offer, cancellationToken),
    };

    /// <summary>Connects over Streamable HTTP; a server that does not know it is asked for the older HTTP+SSE.</summary>
    private async Task<IToolServer> ConnectOverHttpAsync(ToolManifest manifest, HttpMessageInvoker http, ClientOffer offer, CancellationToken cancellationToken)
    {
        var transport = new StreamableHttpTransport(manifest, http, CredentialsOf(manifest, offer), clock, logger);
        try
        {
            return await RpcConnection.ConnectAsync(manifest, transport, offer, clock, logger, cancellationToken);
        }
        catch (UpstreamException refused) when (transport.MayBeOlder && manifest.Protocol is null or "2024-11-05")
        {
            try
            {
                var server = await RpcConnection.ConnectAsync(manifest, new SseTransport(manifest, http, CredentialsOf(manifest, offer), logger), offer, clock, logger, cancellationToken);
                logger.SpeaksOlderTransport(manifest.Id);
                return server;
            }
            catch (UpstreamException exception)
            {
                logger.OlderTransportRefused(manifest.Id, exception.Reason);
                throw refused;
            }
        }
    }

    private HttpMessageInvoker ClientOf(ToolManifest manifest) => (manifest.FromAdminApi ? remoteClient : client).Value;

    private IUpstreamCredentials? CredentialsOf(ToolManifest manifest, ClientOffer offer) => manifest.Auth is null ? null : signIn().Of(manifest).For(offer.Key);

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
