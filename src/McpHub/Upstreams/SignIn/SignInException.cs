using Shared.Tools;

namespace McpHub.Upstreams.SignIn;

/// <summary>A step of signing in failed. The message may be shown to callers and admins: it quotes nothing but addresses and codes.</summary>
/// <param name="message">What happened.</param>
/// <param name="isTransient">Whether the same may succeed shortly: the network, a 5xx, a 429.</param>
/// <param name="error">The error code of the authorization server, or null.</param>
/// <param name="inner">What lies behind it; for the log only.</param>
internal sealed class SignInException(string message, bool isTransient = false, string? error = null, Exception? inner = null) : Exception(message, inner)
{
    public bool IsTransient { get; } = isTransient;

    public string? Error { get; } = error;

    /// <summary>How long the authorization server wants to be left alone; null: it did not say.</summary>
    public TimeSpan? RetryAfter { get; init; }
}

/// <summary>Somebody has to sign in at the server before the request can be made; it was not made.</summary>
internal sealed class SignInRequiredException(ServerSignIn server, string subject, IReadOnlyList<string> scopes)
    : UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.SignInRequired, server.RequiredText(subject, scopes), wasSent: false)
{
    /// <summary>How often one call waits for somebody to sign in: once, and once more for each step up of its scopes, within reason.</summary>
    public const int MostSignIns = 3;

    public ServerSignIn Server { get; } = server;

    /// <summary>Who.</summary>
    public string Subject { get; } = subject;

    /// <summary>The scopes that are missing; empty: there is no grant at all, or its scopes are what the server says it wants.</summary>
    public IReadOnlyList<string> Scopes { get; } = scopes;

    /// <summary>Asks the person behind a call to sign in, and waits for it. Null: it is done, and the call can be made again; otherwise what the call is answered with.</summary>
    public ValueTask<ToolCallOutcome?> AskAsync(UpstreamCall call, CancellationToken cancellationToken) => Server.AskAsync(this, call, cancellationToken);
}
