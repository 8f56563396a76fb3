using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>An upstream failed. The message may be shown to callers: it names no address and quotes nothing that the upstream said.</summary>
/// <param name="code">JSON-RPC error code for callers.</param>
/// <param name="reason">A short code for the ledger, for metrics and for admins; see <see cref="UpstreamReasons"/>.</param>
/// <param name="message">What happened.</param>
/// <param name="wasSent">Whether the request may have been executed.</param>
/// <param name="inner">What lies behind it; for the log only.</param>
internal class UpstreamException(int code, string reason, string message, bool wasSent = true, Exception? inner = null) : Exception(message, inner)
{
    public int Code { get; } = code;

    public string Reason { get; } = reason;

    public bool WasSent { get; } = wasSent;

    /// <summary>What the server wrote about itself last. For admins only.</summary>
    public string LastWords { get; set; } = "";

    /// <summary>What a caller is answered with in place of an error; null: nothing.</summary>
    public ToolCallOutcome? Answer { get; set; }

    /// <summary>When the same call is worth another try; null: nobody knows.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The same, to be thrown once more by another caller, or with another word on whether a request was sent.</summary>
    public UpstreamException Again(bool wasSent) => new(Code, Reason, Message, wasSent, InnerException);
}

/// <summary>Why an upstream failed, as short codes. Beside these there is <c>http_</c> with a status.</summary>
internal static class UpstreamReasons
{
    public const string NotConnected = "not_connected";
    public const string NotStarted = "not_started";
    public const string Unreachable = "unreachable";
    public const string RefusedByPolicy = Shared.Egress.EgressRefusedException.Code;
    public const string Exited = "exited";
    public const string Broken = "broken";
    public const string Closed = "closed";
    public const string Timeout = "timeout";
    public const string Busy = "busy";
    public const string SessionLost = "session_lost";
    public const string TooLarge = "message_too_large";
    public const string InvalidResponse = "invalid_response";
    public const string ProtocolVersion = "protocol_version";
    public const string EndpointRefused = "endpoint_refused";
    public const string CircuitOpen = "circuit_open";
    public const string HandshakeRefused = "handshake_refused";
    public const string ListRefused = "list_refused";
    public const string InvalidDocument = "invalid_document";
    public const string Reconnect = "reconnect";
    public const string SignInRequired = "sign_in_required";
    public const string TokenUnavailable = "token_unavailable";
    public const string TokenRefused = "token_refused";
    public const string Internal = "internal";
}
