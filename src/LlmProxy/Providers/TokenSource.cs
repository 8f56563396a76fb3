using Microsoft.Extensions.Logging;

namespace LlmProxy.Providers;

/// <summary>A short-lived token.</summary>
/// <param name="Value">The token itself.</param>
/// <param name="ExpiresAt">When it stops being taken.</param>
internal readonly record struct IssuedToken(string Value, DateTimeOffset ExpiresAt)
{
    /// <summary>Nothing of the token.</summary>
    public override string ToString() => "***";
}

/// <summary>Keeps one account's token, as <see cref="KeptCredential{T}"/> does.</summary>
/// <param name="account">Whose it is, for the log.</param>
/// <param name="acquire">Fetches a token.</param>
/// <param name="clock">Tells the time.</param>
/// <param name="logger">Receives failures.</param>
internal sealed class TokenSource(string account, Func<CancellationToken, Task<IssuedToken>> acquire, TimeProvider clock, ILogger logger)
{
    private readonly KeptCredential<string> kept = new(account, "token", async cancellationToken =>
    {
        var token = await acquire(cancellationToken);
        return string.IsNullOrEmpty(token.Value) || token.Value.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? throw new CredentialException($"The token that {account} was given is empty, or no token.")
            : new Issued<string>("Bearer " + token.Value, token.ExpiresAt);
    }, clock, logger);

    /// <summary>The value of the <c>Authorization</c> header.</summary>
    /// <exception cref="CredentialException">There is none, and none can be had.</exception>
    public ValueTask<string> GetAsync(CancellationToken cancellationToken) => kept.GetAsync(cancellationToken);
}
