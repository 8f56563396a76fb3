using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpHub.Serving;

/// <summary>
/// The <c>subscriptions/listen</c> streams of clients without a session: each says which notifications it wants, is told which of them it gets, and then gets them until it ends.
/// </summary>
internal sealed class ListenStreams(IToolViews views)
{
    private readonly ConcurrentDictionary<Stream, byte> open = new();

    /// <summary>Compares each stream's view with what it was and wakes those that are due a word.</summary>
    /// <param name="fingerprintOf">A key's view by its id; null: the key is no longer valid, and its streams end.</param>
    public void Look(Func<string, string?> fingerprintOf)
    {
        foreach (var stream in open.Keys)
        {
            stream.Look(fingerprintOf(stream.KeyId));
        }
    }

    /// <summary>Serves one stream to its end.</summary>
    public async ValueTask<EmptyResult> ListenAsync(RequestContext<SubscriptionsListenRequestParams> request, CancellationToken cancellationToken)
    {
        var caller = (ServedPost.Current ?? throw new InvalidOperationException("A request came in past the gateway's endpoint.")).Request;
        var key = caller.Key ?? throw new InvalidOperationException("A subscription was opened without a virtual key.");
        var wanted = request.Params.Notifications.ToolsListChanged == true;
        var stream = new Stream(key.Id, views.ViewOf(caller.Snapshot, key).Fingerprint);
        open[stream] = 0;
        try
        {
            var granted = new JsonObject();
            if (wanted)
            {
                granted["toolsListChanged"] = true;
            }
            await SendAsync(request, NotificationMethods.SubscriptionsAcknowledgedNotification, new JsonObject { ["notifications"] = granted }, cancellationToken);
            while (await stream.NextAsync(cancellationToken))
            {
                if (wanted)
                {
                    await SendAsync(request, NotificationMethods.ToolListChangedNotification, [], cancellationToken);
                }
            }
        }
        finally
        {
            open.TryRemove(stream, out _);
            stream.Dispose();
        }
        return new EmptyResult();
    }

    private static Task SendAsync(RequestContext<SubscriptionsListenRequestParams> request, string method, JsonObject parameters, CancellationToken cancellationToken)
    {
        // The id of the request that opened the stream names the subscription.
        var id = JsonSerializer.SerializeToNode(request.JsonRpcRequest.Id, McpJson.Options.GetTypeInfo(typeof(RequestId)));
        parameters["_meta"] = new JsonObject { [MetaKeys.SubscriptionId] = id };
        return request.Server.SendMessageAsync(new JsonRpcNotification { Method = method, Params = parameters }, cancellationToken);
    }

    private sealed class Stream(string keyId, string fingerprint) : IDisposable
    {
        private readonly SemaphoreSlim due = new(0);
        private string fingerprint = fingerprint;
        private volatile bool isOver;

        public string KeyId { get; } = keyId;

        /// <summary>Called by one at a time.</summary>
        public void Look(string? now)
        {
            if (isOver || now == fingerprint)
            {
                return;
            }
            isOver = now is null;
            fingerprint = now ?? "";
            try
            {
                due.Release();
            }
            catch (ObjectDisposedException)
            {
                // Its client left at this very moment.
            }
        }

        /// <summary>Waits for a change. False: the stream is over.</summary>
        public async Task<bool> NextAsync(CancellationToken cancellationToken)
        {
            await due.WaitAsync(cancellationToken);
            return !isOver;
        }

        public void Dispose() => due.Dispose();
    }
}
