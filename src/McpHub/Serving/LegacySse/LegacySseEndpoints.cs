using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Options;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>
/// Serves clients that know nothing newer than the HTTP+SSE of 2024-11-05 (specification 2024-11-05, basic/transports), where <c>server.legacySse</c> says so:
/// GET <c>/mcp/sse</c> opens the stream, whose first event names the address of <c>/mcp/message</c> that messages are posted to. Keys, bounds and filters are those of <c>/mcp</c>.
/// The SDK's own endpoints were not taken: they lose the POST on whose behalf a message is dealt with, and answer without a bound on what they accept.
/// </summary>
internal sealed class LegacySseEndpoints(
    SessionRegistry sessions, PostEndpoint posts, TimeProvider time, ILoggerFactory loggers, IHostApplicationLifetime lifetime, IServiceProvider services)
{
    /// <summary>The last segment of the stream's path.</summary>
    public const string StreamSegment = "sse";

    /// <summary>The last segment of the path of messages.</summary>
    public const string MessageSegment = "message";

    /// <summary>How long a stream waits for the message that opens its session.</summary>
    public static readonly TimeSpan OpeningTime = TimeSpan.FromSeconds(30);

    private const string SessionParameter = "sessionId";
    private const int InvalidRequest = -32600;

    private static readonly JsonTypeInfo<JsonRpcMessage> MessageType = (JsonTypeInfo<JsonRpcMessage>)McpJson.Options.GetTypeInfo(typeof(JsonRpcMessage));

    private readonly ConcurrentDictionary<string, LegacySseSession> open = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<ServedPost, LegacySseSession> dealtWith = new();

    /// <summary>Streams that are open now.</summary>
    public int Open => open.Count;

    /// <summary>Whether a request is for these endpoints, and they are switched on.</summary>
    /// <param name="context">The request.</param>
    /// <param name="segment">The last segment of its path.</param>
    public static bool Serves(HttpContext context, string? segment) =>
        segment == (HttpMethods.IsGet(context.Request.Method) ? StreamSegment : MessageSegment) && GatewayRequest.Of(context).Snapshot.Settings.LegacySse;

    /// <summary>Lets go of a message that came in here when it has been dealt with. The outermost filter.</summary>
    public McpMessageHandler Incoming(McpMessageHandler next) => async (context, cancellationToken) =>
    {
        var post = ServedPost.Current;
        try
        {
            await next(context, cancellationToken);
        }
        finally
        {
            if (post is not null && dealtWith.TryRemove(post, out var session))
            {
                session.Release(post);
            }
        }
    };

    /// <summary>Serves the stream to its end, and the session with it.</summary>
    public async Task StreamAsync(HttpContext context)
    {
        var caller = GatewayRequest.Of(context);
        if (sessions.RefusalOf(caller) is { } refusal)
        {
            await McpErrorFormat.Instance.WriteAsync(context, refusal);
            return;
        }
        var id = RandomNumberGenerator.GetHexString(32, lowercase: true);
        var headers = context.Response.Headers;
        headers.ContentType = "text/event-stream";
        headers.CacheControl = "no-cache,no-store";
        headers["X-Accel-Buffering"] = "no";
        context.Features.GetRequiredFeature<IHttpResponseBodyFeature>().DisableBuffering();
        // An absolute path: clients resolve it against the address they came to.
        await using var transport = new SseResponseStreamTransport(context.Response.Body, $"{context.Request.PathBase}/mcp/{MessageSegment}?{SessionParameter}={id}", id);
        using var session = new LegacySseSession(id, caller.Key!.Id, transport);
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted, lifetime.ApplicationStopping, session.Ending);
        open[id] = session;
        var writing = transport.RunAsync(ended.Token);
        try
        {
            var first = await session.First.WaitAsync(OpeningTime, time, ended.Token);
            await RunAsync(context, session, first, ended.Token);
        }
        catch (Exception exception) when (exception is TimeoutException or OperationCanceledException)
        {
            // Its client left, or never said who it is; or the host stops.
        }
        finally
        {
            open.TryRemove(id, out _);
            session.End();
            await transport.DisposeAsync();
            // From here on nothing more gets in.
            foreach (var post in dealtWith.Where(pair => pair.Value == session).Select(pair => pair.Key))
            {
                dealtWith.TryRemove(post, out _);
            }
            await ((Task)writing).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <summary>Takes a message of a client.</summary>
    public async Task PostAsync(HttpContext context)
    {
        var caller = GatewayRequest.Of(context);
        if (context.Request.Query[SessionParameter] is not [{ Length: > 0 } id] || !open.TryGetValue(id, out var session) || session.KeyId != caller.Key!.Id)
        {
            // Whether it is unknown or somebody else's is nobody's business.
            await McpErrorFormat.WriteUnknownSessionAsync(context);
            return;
        }
        if (await posts.ReadAsync(context, session.Ending) is not { } post)
        {
            return;
        }
        if (await RefuseAsync(context, post, session, out var message))
        {
            post.Dispose();
            return;
        }
        dealtWith[post] = session;
        post.Enter();
        message!.Context = new JsonRpcMessageContext { ExecutionContext = ExecutionContext.Capture(), User = context.User };
        ServedPost.Leave();
        try
        {
            session.TryOpen(post);
            await session.Running.Task.WaitAsync(context.RequestAborted);
            await session.Transport.OnMessageReceivedAsync(message, context.RequestAborted);
        }
        catch (Exception exception) when (exception is System.Threading.Channels.ChannelClosedException or InvalidOperationException or OperationCanceledException)
        {
            dealtWith.TryRemove(post, out _);
            session.Release(post);
            if (!context.RequestAborted.IsCancellationRequested)
            {
                await McpErrorFormat.WriteUnknownSessionAsync(context);
            }
            return;
        }
        context.Response.StatusCode = StatusCodes.Status202Accepted;
        await context.Response.WriteAsync("Accepted", context.RequestAborted);
    }

    /// <summary>Runs the session that a message opens, for as long as the stream is open.</summary>
    private async Task RunAsync(HttpContext context, LegacySseSession session, ServedPost first, CancellationToken cancellationToken)
    {
        // Only now, as the options hold a filter of ours.
        var options = services.GetRequiredService<IOptions<McpServerOptions>>().Value;
        await using var server = McpServer.Create(session.Transport, options, loggers, services);
        Task running;
        // What the client says of itself stands in the message.
        first.Enter();
        try
        {
            running = sessions.RunAsync(context, server, cancellationToken);
        }
        finally
        {
            ServedPost.Leave();
        }
        if (sessions.TryFind(session.Id, out var served))
        {
            served.Close = session.End;
            served.BeginListening();
        }
        session.Running.TrySetResult();
        await running;
    }

    /// <summary>Refuses what cannot be taken. False: nothing was written, and the message is kept.</summary>
    private static ValueTask<bool> RefuseAsync(HttpContext context, ServedPost post, LegacySseSession session, out JsonRpcMessage? message)
    {
        message = null;
        if (post.Message.MetaProtocolVersion is not null)
        {
            return Refuse(context, "invalid_request", "A request of the revision without sessions cannot be made in a session.");
        }
        try
        {
            message = JsonSerializer.Deserialize(post.Bytes.Span, MessageType);
        }
        catch (JsonException)
        {
            // Said below.
        }
        if (message is null)
        {
            return Refuse(context, "invalid_request", "The body is not one JSON-RPC message.");
        }
        if (!session.First.IsCompleted && message is not JsonRpcRequest { Method: RequestMethods.Initialize })
        {
            return Refuse(context, "invalid_request", "The first message must be initialize.");
        }
        if (!session.TryKeep(post))
        {
            return new ValueTask<bool>(WriteAsync(context, new GatewayError(StatusCodes.Status429TooManyRequests, "too_many_messages",
                $"{LegacySseSession.MostPending} messages of the session are being dealt with. Wait for some of the answers.") { RetryAfter = TimeSpan.FromSeconds(1), Retryable = true }, null));
        }
        return ValueTask.FromResult(false);
    }

    private static ValueTask<bool> Refuse(HttpContext context, string code, string text) =>
        new(WriteAsync(context, new GatewayError(StatusCodes.Status400BadRequest, code, text), InvalidRequest));

    private static async Task<bool> WriteAsync(HttpContext context, GatewayError error, int? code)
    {
        await (code is { } number ? McpErrorFormat.WriteAsync(context, error, number) : McpErrorFormat.Instance.WriteAsync(context, error));
        return true;
    }
}
