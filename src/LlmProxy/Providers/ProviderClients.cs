using System.Collections.Concurrent;
using System.Net.WebSockets;
using LlmProxy.Simulator;
using Shared.Egress;
using Shared.Snapshots;

namespace LlmProxy.Providers;

/// <summary>
/// Sends to one provider over pooled connections, and adds nothing of its own: no redirects, no cookies, no proxy, no decompression, no trace headers.
/// </summary>
internal sealed class ProviderClient(HttpMessageHandler handler) : IDisposable
{
    private readonly HttpMessageInvoker invoker = new(handler, disposeHandler: true);

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => invoker.SendAsync(request, cancellationToken);

    /// <summary>Opens a WebSocket, under the same egress policy.</summary>
    public Task ConnectAsync(ClientWebSocket socket, Uri address, CancellationToken cancellationToken) => socket.ConnectAsync(address, invoker, cancellationToken);

    public void Dispose() => invoker.Dispose();
}

/// <summary>One client for each provider, kept across snapshots so that its connections stay.</summary>
internal sealed class ProviderClients(EgressPolicy egress) : IDisposable
{
    // By whose word the address is, too: a connection that was opened for a file's declaration is not the admin API's to use.
    private readonly ConcurrentDictionary<(string Id, string Dialect, EgressTrust Trust), ProviderClient> clients = new();

    public ProviderClient For(Provider provider) =>
        clients.GetOrAdd((provider.Id, provider.Dialect, provider.FromAdminApi ? EgressTrust.Remote : EgressTrust.Operator), static (key, egress) => new ProviderClient(
            key.Dialect == ProviderDialects.Simulator ? new SimulatorHandler() : NewHandler(egress, key.Id, key.Trust)), egress);

    public void Dispose()
    {
        foreach (var client in clients.Values)
        {
            client.Dispose();
        }
    }

    private static SocketsHttpHandler NewHandler(EgressPolicy egress, string provider, EgressTrust trust)
    {
        var handler = egress.NewHandler($"provider '{provider}'", trust);
        handler.ConnectTimeout = TimeSpan.FromSeconds(10);
        handler.PooledConnectionLifetime = TimeSpan.FromMinutes(5); // so that a provider's new addresses are found
        handler.PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1);
        handler.MaxResponseHeadersLength = 64;
        handler.ResponseDrainTimeout = TimeSpan.FromSeconds(1);
        return handler;
    }
}

/// <summary>What providers may speak besides the dialects.</summary>
internal static class ProviderDialects
{
    /// <summary>The built-in provider, which answers offline as an OpenAI-compatible one would.</summary>
    public const string Simulator = "simulator";
}
