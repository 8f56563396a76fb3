using System.Collections.Concurrent;
using System.Security.Claims;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace McpHub.Serving;

/// <summary>A session of a client that shook hands: what the byte path needs to know of what the SDK keeps. Thread-safe.</summary>
internal sealed class ClientSession(string id, string keyId, ClaimsPrincipal principal, McpServer server, string fingerprint, long sdkActivity)
{
    private readonly ConcurrentDictionary<RequestId, CancellationTokenSource> calls = new();
    private long sdkActivity = sdkActivity;
    private volatile string fingerprint = fingerprint;
    private volatile bool hasEnded;
    private int streams;

    /// <summary>Its id, as in the <c>Mcp-Session-Id</c> header.</summary>
    public string Id { get; } = id;

    /// <summary>The virtual key that opened it; no other key may use it.</summary>
    public string KeyId { get; } = keyId;

    /// <summary>Who opened it, as the SDK remembers it.</summary>
    public ClaimsPrincipal Principal { get; } = principal;

    /// <summary>The SDK's side of it.</summary>
    public McpServer Server { get; } = server;

    /// <summary>The revision agreed upon; null until the handshake is done.</summary>
    public string? ProtocolVersion => Server.NegotiatedProtocolVersion;

    /// <summary>Notes that the SDK sees a request of this session now.</summary>
    /// <param name="timestamp">Now, in ticks of the clock.</param>
    public void NoteSdkActivity(long timestamp) => Volatile.Write(ref sdkActivity, timestamp);

    /// <summary>
    /// Whether this one request must go through the SDK, whose idle clock only moves with requests that it sees. True for one caller at a time: the others go on past the SDK.
    /// </summary>
    /// <param name="timestamp">Now, in ticks of the clock.</param>
    /// <param name="after">Ticks without a request after which one is due.</param>
    public bool IsKeepAliveDue(long timestamp, long after)
    {
        var last = Volatile.Read(ref sdkActivity);
        return timestamp - last > after && Interlocked.CompareExchange(ref sdkActivity, timestamp, last) == last;
    }

    /// <summary>Whether the client listens now; what is said without a listener is lost.</summary>
    public bool IsListening => Volatile.Read(ref streams) > 0;

    /// <summary>The client begins to listen.</summary>
    public void BeginListening() => Interlocked.Increment(ref streams);

    /// <summary>The client listens no more.</summary>
    public void EndListening() => Interlocked.Decrement(ref streams);

    /// <summary>Remembers what the caller's view looks like now. False: it looked the same before.</summary>
    public bool TryChangeView(string newFingerprint) => Interlocked.Exchange(ref fingerprint, newFingerprint) != newFingerprint;

    /// <summary>Notes a call that only the gateway knows of, so that the client can cancel it. Null: its id is in use, or the session has ended.</summary>
    /// <param name="requestId">The call's id.</param>
    /// <param name="aborted">Cancels it as well.</param>
    public CancellationTokenSource? TryBeginCall(RequestId requestId, CancellationToken aborted)
    {
        var cancellation = CancellationTokenSource.CreateLinkedTokenSource(aborted);
        if (hasEnded || !calls.TryAdd(requestId, cancellation))
        {
            cancellation.Dispose();
            return null;
        }
        if (hasEnded)
        {
            cancellation.Cancel();
        }
        return cancellation;
    }

    /// <summary>Forgets a call.</summary>
    public void EndCall(RequestId requestId, CancellationTokenSource cancellation)
    {
        if (calls.TryRemove(KeyValuePair.Create(requestId, cancellation)))
        {
            cancellation.Dispose();
        }
    }

    /// <summary>Cancels a call that the gateway knows of. False: there is none of that id.</summary>
    public bool TryCancelCall(RequestId requestId)
    {
        if (!calls.TryRemove(requestId, out var cancellation))
        {
            return false;
        }
        cancellation.Cancel();
        return true;
    }

    /// <summary>Cancels all calls that the gateway knows of and lets no more begin.</summary>
    public void End()
    {
        hasEnded = true;
        foreach (var requestId in calls.Keys)
        {
            TryCancelCall(requestId);
        }
    }
}
