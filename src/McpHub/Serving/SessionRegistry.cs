using System.Collections.Concurrent;
using System.Diagnostics.CodeAnalysis;
using McpHub.Catalog;
using McpHub.Features;
using McpHub.Search;
using McpHub.Upstreams;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>All sessions of clients that shook hands, from the SDK's creation of them to their end.</summary>
internal sealed class SessionRegistry(IToolViews views, IFeatures features, EventStore events, TimeProvider time, IServiceProvider services, ILogger<SessionRegistry> logger)
{
    private const string LastEventId = "Last-Event-ID";

    private readonly ConcurrentDictionary<string, ClientSession> sessions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, int> counts = new(StringComparer.Ordinal);
    private const int MostWarned = 10_000;

    private readonly ConcurrentDictionary<(string Key, int Cap), byte> warned = new();
    private volatile RequestDelegate? deleteEndpoint;
    private int count;

    /// <summary>Raised when a client begins to listen: it may have missed a change of its tools.</summary>
    public event Action? Listening;

    /// <summary>The sessions now.</summary>
    public IEnumerable<ClientSession> All => sessions.Values;

    /// <summary>Raised when there are so many sessions that idle ones are to go.</summary>
    public event Action? Crowded;

    /// <summary>
    /// Ends the sessions that have been idle longest, where more are than are kept. Not left to the SDK: when many come and go it ends some that are in use again.
    /// </summary>
    public async Task PruneAsync(Func<ClientSession, Task> close)
    {
        if (Count <= McpServingFeature.MaxIdleSessions)
        {
            return;
        }
        var idle = sessions.Values.Where(session => session.Close is null && session.IsIdle).OrderBy(session => session.LastUse).ToList();
        foreach (var session in idle.Take(Math.Max(0, idle.Count - McpServingFeature.MaxIdleSessions)).Where(session => session.IsIdle))
        {
            await close(session);
        }
    }

    /// <summary>How many sessions there are now.</summary>
    public int Count => Volatile.Read(ref count);

    /// <summary>How many sessions a key has now.</summary>
    public int CountOf(string keyId) => counts.GetValueOrDefault(keyId);

    /// <summary>Sets the SDK's endpoint that ends a session.</summary>
    public void UseDeleteEndpoint(RequestDelegate endpoint) => deleteEndpoint = endpoint;

    /// <summary>The live session of an id.</summary>
    public bool TryFind(string id, [NotNullWhen(true)] out ClientSession? session) => sessions.TryGetValue(id, out session);

    /// <summary>Runs a server for as long as its session, or its one stateless request, lasts; the SDK calls this for each that it creates.</summary>
    public Task RunAsync(HttpContext context, McpServer server, CancellationToken cancellationToken)
    {
        if (server.SessionId is not { Length: > 0 } id)
        {
            return server.RunAsync(cancellationToken);
        }
        var request = GatewayRequest.Of(context);
        var key = request.Key ?? throw new InvalidOperationException("An MCP session was opened without a virtual key.");
        var fingerprints = ViewFingerprints.Of(views, features, request.Snapshot, key, request.ToolScope);
        // What the client says of itself stands in the request that opens the session, and is not kept anywhere else as it was said.
        var said = ServedPost.Current is { Message: { Method: RequestMethods.Initialize, Params: { IsEmpty: false } parameters } } ? JsonMembers.FindObject(parameters.Span, "capabilities"u8) : default;
        WarnOfMany(key.Id, request, ServedPost.Current);
        byte[] capabilities = said.IsEmpty ? [.. "{}"u8] : said.ToArray();
        return RunAsync(new ClientSession(id, key.Id, request.ToolScope, context.User, server, capabilities, fingerprints, time.GetTimestamp()), cancellationToken);
    }

    /// <summary>Says so in the log, once for each key and client, when a client that takes only so many tools is shown more.</summary>
    private void WarnOfMany(string keyId, GatewayRequest request, ServedPost? opening)
    {
        if (request.ToolScope.Search || opening is not { Message.Params: { IsEmpty: false } parameters } || JsonMembers.FindObject(parameters.Span, "clientInfo"u8) is not { IsEmpty: false } info)
        {
            return;
        }
        var client = JsonMembers.FindString(info, "name"u8);
        var count = views.ViewOf(request.Snapshot, request.Key!, request.ToolScope).Tools.Count;
        if (ToolCaps.Of(client) is { } cap && count > cap && warned.Count < MostWarned && warned.TryAdd((keyId, cap), 0))
        {
            logger.TooManyTools(keyId, cap, count);
        }
    }

    /// <summary>Serves a GET, on which a client listens for what the server says of itself.</summary>
    public async Task ListenAsync(HttpContext context, RequestDelegate sdk)
    {
        if (context.Request.Headers[ProtocolEras.SessionHeader] is not [{ } id] || !TryFind(id, out var session))
        {
            await sdk(context);
            return;
        }
        if (!session.IsOf(GatewayRequest.Of(context)))
        {
            Disown(context);
            await sdk(context);
            return;
        }
        var last = context.Request.Headers[LastEventId].ToString();
        if (last.Length == 0 && events.LatestOfListening(id) is { } latest)
        {
            // The SDK lets a client listen once and then only resume; one that has nothing to resume from listens from now on, and is told what it may have missed.
            context.Request.Headers[LastEventId] = last = latest;
            session.ForgetView();
        }
        var begun = false;
        var listens = last.Length == 0 || events.IsOfListening(last);
        context.Response.OnStarting(() =>
        {
            begun = listens && context.Response.StatusCode == StatusCodes.Status200OK;
            if (begun)
            {
                session.BeginListening();
                Listening?.Invoke();
            }
            return Task.CompletedTask;
        });
        try
        {
            await sdk(context);
        }
        finally
        {
            if (begun)
            {
                session.EndListening();
            }
        }
    }

    /// <summary>Serves a DELETE, with which a client ends its session.</summary>
    public Task DeleteAsync(HttpContext context, RequestDelegate sdk) =>
        context.Request.Headers[ProtocolEras.SessionHeader] is [{ Length: > 0 } id] && context.Request.Headers[ProtocolEras.VersionHeader] != ProtocolEras.Stateless
            && !(TryFind(id, out var session) && session.IsOf(GatewayRequest.Of(context)))
            ? McpErrorFormat.WriteUnknownSessionAsync(context)
            : sdk(context);

    /// <summary>Takes a session that is not its caller's out of a request, so that it is refused as any is that there never was.</summary>
    public static void Disown(HttpContext context) => context.Request.Headers[ProtocolEras.SessionHeader] = "unknown";

    /// <summary>Why a caller cannot open one more session; null: it can.</summary>
    public GatewayError? RefusalOf(GatewayRequest caller)
    {
        var settings = caller.Snapshot.Settings;
        if (CountOf(caller.Key!.Id) >= settings.MaxSessionsPerKey)
        {
            return Refusal(StatusCodes.Status429TooManyRequests, "too_many_sessions",
                $"The key has {settings.MaxSessionsPerKey} sessions open ('limits.maxSessionsPerKey'). End some with DELETE, or wait: idle ones end by themselves.");
        }
        return Count < settings.MaxSessions ? null : Refusal(StatusCodes.Status503ServiceUnavailable, "too_many_sessions",
            $"{settings.MaxSessions} sessions are open ('limits.maxSessions'). Try again later: idle ones end by themselves.");

        static GatewayError Refusal(int status, string code, string message) => new(status, code, message) { RetryAfter = TimeSpan.FromSeconds(10), Retryable = true };
    }

    private async Task RunAsync(ClientSession session, CancellationToken cancellationToken)
    {
        ServedPost.Leave();
        sessions[session.Id] = session;
        if (Interlocked.Increment(ref count) > McpServingFeature.MaxIdleSessions)
        {
            Crowded?.Invoke();
        }
        counts.AddOrUpdate(session.KeyId, 1, static (_, count) => count + 1);
        try
        {
            await using var ending = cancellationToken.UnsafeRegister(static state => ((ClientSession)state!).End(), session);
            await session.Server.RunAsync(cancellationToken);
        }
        finally
        {
            sessions.TryRemove(session.Id, out _);
            Interlocked.Decrement(ref count);
            if (counts.AddOrUpdate(session.KeyId, 0, static (_, count) => count - 1) == 0)
            {
                counts.TryRemove(new KeyValuePair<string, int>(session.KeyId, 0));
            }
            session.End();
            features.EndSession(session.Id);
            events.Forget(session.Id);
        }
    }

    /// <summary>Ends a session the way its own client would: streams close, calls are cancelled, its id is unknown from then on.</summary>
    public async Task CloseAsync(ClientSession session)
    {
        if (session.Close is { } close)
        {
            close();
            return;
        }
        // The SDK has no other door to a session from outside than the endpoint that its client uses.
        var endpoint = deleteEndpoint ?? throw new InvalidOperationException("app.MapMcpHub() has not run.");
        await using var scope = services.GetRequiredService<IServiceScopeFactory>().CreateAsyncScope();
        var context = new DefaultHttpContext { RequestServices = scope.ServiceProvider, User = session.Principal };
        context.Request.Method = HttpMethods.Delete;
        context.Request.Headers[ProtocolEras.SessionHeader] = session.Id;
        await endpoint(context);
    }
}
