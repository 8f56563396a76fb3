using System.Collections.Concurrent;
using LlmProxy.Simulator;
using Shared.Snapshots;

namespace LlmProxy.Providers;

/// <summary>
/// Sends to one provider over pooled connections, and adds nothing of its own: no redirects, no cookies, no proxy, no decompression, no trace headers.
/// </summary>
internal sealed class ProviderClient(HttpMessageHandler handler) : IDisposable
{
    private readonly HttpMessageInvoker invoker = new(handler, disposeHandler: true);

    public Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken) => invoker.SendAsync(request, cancellationToken);

    public void Dispose() => invoker.Dispose();
}

/// <summary>One client for each provider, kept across snapshots so that its connections stay.</summary>
internal sealed class ProviderClients : IDisposable
{
    private readonly ConcurrentDictionary<(string Id, string Dialect), ProviderClient> clients = new();

    public ProviderClient For(Provider provider) => clients.GetOrAdd((provider.Id, provider.Dialect), static key => new ProviderClient(
        key.Dialect == ProviderDialects.Simulator ? new SimulatorHandler() : NewHandler()));

    public void Dispose()
    {
        foreach (var client in clients.Values)
        {
            client.Dispose();
        }
    }

    private static SocketsHttpHandler NewHandler() => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = System.Net.DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(10),
        PooledConnectionLifetime = TimeSpan.FromMinutes(5), // so that a provider's new addresses are found
        PooledConnectionIdleTimeout = TimeSpan.FromMinutes(1),
        MaxResponseHeadersLength = 64,
        ResponseDrainTimeout = TimeSpan.FromSeconds(1),
    };
}

/// <summary>The dialects that the relay lane speaks.</summary>
internal static class ProviderDialects
{
    public const string OpenAiChat = "openai-chat";

    public const string Simulator = "simulator";
}
