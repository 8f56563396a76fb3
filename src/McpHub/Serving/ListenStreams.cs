using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.Catalog;
using McpHub.Features;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>
/// The <c>subscriptions/listen</c> streams of clients without a session: each says which notifications it wants, is told which of them it gets, and then gets them until it ends.
/// </summary>
internal sealed class ListenStreams(IToolViews views, IFeatures features)
{
    /// <summary>The most resources that one stream hears of.</summary>
    public const int MostResources = 1000;

    private readonly ConcurrentDictionary<Stream, byte> open = new();

    /// <summary>Compares each stream's view with what it was and wakes those that are due a word.</summary>
    /// <param name="fingerprintsOf">A key's view of a part of the hub; null: the key is no longer valid, and its streams end.</param>
    public void Look(Func<string, ToolScope, ViewFingerprints?> fingerprintsOf)
    {
        foreach (var stream in open.Keys)
        {
            stream.Look(fingerprintsOf(stream.KeyId, stream.Scope));
        }
    }

    /// <summary>Serves one stream to its end.</summary>
    public async ValueTask<EmptyResult> ListenAsync(RequestContext<SubscriptionsListenRequestParams> request, CancellationToken cancellationToken)
    {
        var caller = (ServedPost.Current ?? throw new InvalidOperationException("A request came in past the gateway's endpoint.")).Request;
        var key = caller.Key ?? throw new InvalidOperationException("A subscription was opened without a virtual key.");
        var wanted = request.Params.Notifications;
        var granted = new JsonObject();
        List<string> methods = [];
        foreach (var (isWanted, member, method) in ((bool?, string, string)[])
            [(wanted.ToolsListChanged, "toolsListChanged", NotificationMethods.ToolListChangedNotification),
                (wanted.PromptsListChanged, "promptsListChanged", NotificationMethods.PromptListChangedNotification),
                (wanted.ResourcesListChanged, "resourcesListChanged", NotificationMethods.ResourceListChangedNotification)])
        {
            if (isWanted == true)
            {
                granted[member] = true;
                methods.Add(method);
            }
        }
        var stream = new Stream(key.Id, caller.ToolScope, ViewFingerprints.Of(views, features, caller.Snapshot, key, caller.ToolScope), methods);
        var subscriptions = new List<IDisposable>();
        open[stream] = 0;
        try
        {
            var heard = new JsonArray();
            foreach (var address in (wanted.ResourceSubscriptions ?? []).Distinct(StringComparer.Ordinal).Take(MostResources))
            {
                var (subscription, _) = await features.SubscribeAsync(caller, null, address, changed =>
                {
                    stream.Add(changed);
                    return ValueTask.CompletedTask;
                }, isStateless: true, cancellationToken);
                if (subscription is not null)
                {
                    subscriptions.Add(subscription);
                    heard.Add(address);
                }
            }
            if (heard.Count > 0)
            {
                granted["resourceSubscriptions"] = heard;
            }
            await SendAsync(request, NotificationMethods.SubscriptionsAcknowledgedNotification, new JsonObject { ["notifications"] = granted }, cancellationToken);
            while (await stream.NextAsync(cancellationToken))
            {
                foreach (var (method, address) in stream.TakeDue())
                {
                    await SendAsync(request, method, address is null ? [] : new JsonObject { ["uri"] = address }, cancellationToken);
                }
            }
        }
        finally
        {
            open.TryRemove(stream, out _);
            subscriptions.ForEach(subscription => subscription.Dispose());
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

    private sealed class Stream(string keyId, ToolScope scope, ViewFingerprints fingerprints, List<string> wanted) : IDisposable
    {
        // What is due is kept once, however often it changes before it can be sent.
        private readonly HashSet<(string Method, string? Address)> due = [];
        private readonly SemaphoreSlim signal = new(0);
        private ViewFingerprints fingerprints = fingerprints;
        private volatile bool isOver;

        public string KeyId { get; } = keyId;

        public ToolScope Scope { get; } = scope;

        /// <summary>Called by one at a time.</summary>
        public void Look(ViewFingerprints? now)
        {
            if (isOver)
            {
                return;
            }
            if (now is null)
            {
                isOver = true;
                Signal();
                return;
            }
            var changes = fingerprints.NotificationsTo(now).Where(wanted.Contains).ToList();
            fingerprints = now;
            foreach (var method in changes)
            {
                AddDue((method, null));
            }
        }

        public void Add(string address) => AddDue((NotificationMethods.ResourceUpdatedNotification, address));

        public List<(string Method, string? Address)> TakeDue()
        {
            lock (due)
            {
                List<(string, string?)> taken = [.. due];
                due.Clear();
                return taken;
            }
        }

        /// <summary>Waits for a change. False: the stream is over.</summary>
        public async Task<bool> NextAsync(CancellationToken cancellationToken)
        {
            await signal.WaitAsync(cancellationToken);
            return !isOver;
        }

        public void Dispose() => signal.Dispose();

        private void AddDue((string, string?) one)
        {
            bool isNew;
            lock (due)
            {
                isNew = due.Count == 0;
                due.Add(one);
            }
            if (isNew)
            {
                Signal();
            }
        }

        private void Signal()
        {
            try
            {
                signal.Release();
            }
            catch (ObjectDisposedException)
            {
                // Its client left at this very moment.
            }
        }
    }
}
