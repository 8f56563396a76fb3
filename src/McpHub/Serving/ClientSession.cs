using System.Collections.Concurrent;
using System.Security.Claims;
using McpHub.Upstreams;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Http;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>A session of a client that shook hands: what the byte path needs to know of what the SDK keeps. Thread-safe.</summary>
internal sealed class ClientSession
{
    private static readonly string[] Severities = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

    private readonly ConcurrentDictionary<RequestId, CancellationTokenSource> calls = new();
    private readonly Dictionary<string, IDisposable> subscriptions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, TaskCompletionSource<ToolCallOutcome>> questions = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, Func<ReadOnlyMemory<byte>, ValueTask>> reports = new(StringComparer.Ordinal);
    private readonly bool canBeAsked;
    private long lastQuestion;
    private long sdkActivity;
    private ViewFingerprints fingerprints;
    private volatile bool hasEnded;
    private volatile bool isViewForgotten;
    private volatile string? logLevel;
    private long lastUse;
    private int streams;
    private int posts;

    /// <param name="id">Its id.</param>
    /// <param name="keyId">The key that opened it.</param>
    /// <param name="scope">The part of the hub that its endpoint serves.</param>
    /// <param name="principal">Who opened it.</param>
    /// <param name="server">The SDK's side of it.</param>
    /// <param name="capabilities">What its client declared, raw.</param>
    /// <param name="fingerprints">What the client's view looks like.</param>
    /// <param name="sdkActivity">Now, in ticks of the clock.</param>
    public ClientSession(string id, string keyId, ToolScope scope, ClaimsPrincipal principal, McpServer server, ReadOnlyMemory<byte> capabilities, ViewFingerprints fingerprints, long sdkActivity)
    {
        (Id, KeyId, Scope, Principal, Server, Capabilities) = (id, keyId, scope, principal, server, capabilities);
        (this.fingerprints, this.sdkActivity, lastUse) = (fingerprints, sdkActivity, sdkActivity);
        Peer = new SessionPeer(this, server);
        canBeAsked = Peer.Can("elicitation") || Peer.Can("sampling") || Peer.Can("roots");
    }

    /// <summary>Its id, as in the <c>Mcp-Session-Id</c> header.</summary>
    public string Id { get; }

    /// <summary>The virtual key that opened it; no other key may use it.</summary>
    public string KeyId { get; }

    /// <summary>The part of the hub that its endpoint serves; it is unknown at every other.</summary>
    public ToolScope Scope { get; }

    /// <summary>Who opened it, as the SDK remembers it.</summary>
    public ClaimsPrincipal Principal { get; }

    /// <summary>The SDK's side of it.</summary>
    public McpServer Server { get; }

    /// <summary>What its client declared that it can do, as it did: a raw object.</summary>
    public ReadOnlyMemory<byte> Capabilities { get; }

    /// <summary>The client, on the stream on which it listens.</summary>
    public SessionPeer Peer { get; }

    /// <summary>Ends it from outside; null: the SDK's endpoint does.</summary>
    public Action? Close { get; set; }

    /// <summary>Whether it is the caller's, at this endpoint.</summary>
    public bool IsOf(GatewayRequest caller) => KeyId == caller.Key?.Id && Scope == caller.ToolScope;

    /// <summary>Whether it is over.</summary>
    public bool HasEnded => hasEnded;

    /// <summary>Whether its client may be asked or told something while a call of it runs, so that the call needs a stream.</summary>
    public bool WantsStream => canBeAsked || logLevel is not null;

    /// <summary>The least severe log messages that the client asked for; null: it left that to the servers.</summary>
    public string? LogLevel
    {
        get => logLevel;
        set => logLevel = value;
    }

    /// <summary>Whether the client wants log messages of a level.</summary>
    public bool WantsLog(string? level) => logLevel is not { } wanted || IsWanted(level, wanted);

    /// <summary>Whether a message of a level is one of those that were asked for.</summary>
    /// <param name="level">The message's level; null: it has none.</param>
    /// <param name="wanted">The least severe that is wanted; null: none is.</param>
    public static bool IsWanted(string? level, string? wanted) => wanted is not null && Array.IndexOf(Severities, level ?? "info") >= Array.IndexOf(Severities, wanted);

    /// <summary>Whether a text is a level of log messages.</summary>
    public static bool IsSeverity(string? level) => Array.IndexOf(Severities, level) >= 0;

    /// <summary>Keeps a subscription until it is given up or the session ends. False: there is one of that address already, or too many, or the session has ended.</summary>
    public bool TryKeep(string address, IDisposable subscription)
    {
        lock (subscriptions)
        {
            return !hasEnded && subscriptions.Count < MostSubscriptions && subscriptions.TryAdd(address, subscription);
        }
    }

    /// <summary>Whether there is a subscription of that address.</summary>
    public bool Hears(string address)
    {
        lock (subscriptions)
        {
            return subscriptions.ContainsKey(address);
        }
    }

    /// <summary>Gives a subscription up.</summary>
    public void GiveUp(string address)
    {
        IDisposable? subscription;
        lock (subscriptions)
        {
            subscriptions.Remove(address, out subscription);
        }
        subscription?.Dispose();
    }

    /// <summary>What the gateway's own questions to the client are numbered with, so that the SDK's are never taken for them.</summary>
    public const string QuestionPrefix = "gw-";

    /// <summary>Begins a question to the client.</summary>
    /// <returns>Its id, and the client's answer, which is never thrown; cancelled when the session ends.</returns>
    public (string Id, Task<ToolCallOutcome> Answer) BeginAsking()
    {
        var id = $"{QuestionPrefix}{Interlocked.Increment(ref lastQuestion)}";
        var answer = new TaskCompletionSource<ToolCallOutcome>(TaskCreationOptions.RunContinuationsAsynchronously);
        questions[id] = answer;
        if (hasEnded)
        {
            answer.TrySetCanceled();
        }
        return (id, answer.Task);
    }

    /// <summary>Takes an answer of the client. False: nothing was asked under that id.</summary>
    public bool TryAnswer(string id, ToolCallOutcome outcome) => questions.TryRemove(id, out var question) && question.TrySetResult(outcome);

    /// <summary>Nobody waits for the answer any more.</summary>
    public void EndAsking(string id) => questions.TryRemove(id, out _);

    /// <summary>Begins to hear how far the client is with a question.</summary>
    /// <param name="onProgress">Receives the raw <c>params</c> of each of its reports.</param>
    /// <returns>The token under which it reports.</returns>
    public string BeginHearing(Func<ReadOnlyMemory<byte>, ValueTask> onProgress)
    {
        var token = $"{QuestionPrefix}{Interlocked.Increment(ref lastQuestion)}";
        reports[token] = onProgress;
        return token;
    }

    /// <summary>The question is answered: what is still said of it is nobody's.</summary>
    public void EndHearing(string token) => reports.TryRemove(token, out _);

    /// <summary>Takes a report of the client; one under a token that it was not given is nobody's.</summary>
    /// <param name="parameters">The raw <c>params</c> of the notification.</param>
    public ValueTask HearAsync(ReadOnlyMemory<byte> parameters) =>
        !parameters.IsEmpty && JsonMembers.FindString(parameters.Span, "progressToken"u8) is { } token && reports.TryGetValue(token, out var onProgress) ? onProgress(parameters) : ValueTask.CompletedTask;

    /// <summary>The most resources that one session hears of.</summary>
    public const int MostSubscriptions = 1000;

    /// <summary>The revision agreed upon; null until the handshake is done.</summary>
    public string? ProtocolVersion => Server.NegotiatedProtocolVersion;

    /// <summary>Notes that the SDK sees a request of this session now.</summary>
    /// <param name="timestamp">Now, in ticks of the clock.</param>
    public void NoteSdkActivity(long timestamp)
    {
        Volatile.Write(ref sdkActivity, timestamp);
        Volatile.Write(ref lastUse, timestamp);
    }

    /// <summary>When it was used last, in ticks of the clock.</summary>
    public long LastUse => Volatile.Read(ref lastUse);

    /// <summary>Whether nobody listens and nothing is being answered.</summary>
    public bool IsIdle => !IsListening && Volatile.Read(ref posts) == 0 && calls.IsEmpty;

    /// <summary>The SDK begins to answer a request.</summary>
    public void BeginPost() => Interlocked.Increment(ref posts);

    /// <summary>It has answered.</summary>
    public void EndPost() => Interlocked.Decrement(ref posts);

    /// <summary>
    /// Whether this one request must go through the SDK, whose idle clock only moves with requests that it sees. True for one caller at a time: the others go on past the SDK.
    /// </summary>
    /// <param name="timestamp">Now, in ticks of the clock.</param>
    /// <param name="after">Ticks without a request after which one is due.</param>
    public bool IsKeepAliveDue(long timestamp, long after)
    {
        Volatile.Write(ref lastUse, timestamp);
        var last = Volatile.Read(ref sdkActivity);
        return timestamp - last > after && Interlocked.CompareExchange(ref sdkActivity, timestamp, last) == last;
    }

    /// <summary>Whether the client listens now; what is said without a listener is lost.</summary>
    public bool IsListening => Volatile.Read(ref streams) > 0;

    /// <summary>The client begins to listen.</summary>
    public void BeginListening() => Interlocked.Increment(ref streams);

    /// <summary>The client listens no more.</summary>
    public void EndListening() => Interlocked.Decrement(ref streams);

    /// <summary>The client may have missed what it was told of its view last.</summary>
    public void ForgetView() => isViewForgotten = true;

    /// <summary>Remembers what the caller's view looks like now. Called by one at a time.</summary>
    /// <returns>The notifications that are due.</returns>
    public IReadOnlyList<string> ChangeView(ViewFingerprints now)
    {
        var due = (isViewForgotten ? ViewFingerprints.None : fingerprints).NotificationsTo(now);
        isViewForgotten = false;
        fingerprints = now;
        return due;
    }

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
        List<IDisposable> given;
        lock (subscriptions)
        {
            given = [.. subscriptions.Values];
            subscriptions.Clear();
        }
        given.ForEach(subscription => subscription.Dispose());
        foreach (var question in questions.Values)
        {
            question.TrySetCanceled();
        }
        foreach (var requestId in calls.Keys)
        {
            TryCancelCall(requestId);
        }
    }
}
