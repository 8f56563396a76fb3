namespace LlmProxy.Providers;

/// <summary>
/// Puts a credential on a request that cannot stand among a target's fixed headers, because it is short-lived or depends on the request. A provider with a fixed key has none.
/// </summary>
internal abstract class RequestAuthorizer
{
    /// <summary>Whether it reads the content, which then has to be at hand as a whole.</summary>
    public virtual bool NeedsContent => false;

    /// <summary>Authorizes a request whose address, headers and content are complete. Answers at once where the credential is at hand.</summary>
    /// <exception cref="CredentialException">No credential is to be had now. Nothing was sent.</exception>
    public abstract ValueTask AuthorizeAsync(HttpRequestMessage request, CancellationToken cancellationToken);
}

/// <summary>A credential for a provider could not be had; what was answered is not told, as it may hold secrets.</summary>
internal sealed class CredentialException(string message, Exception? inner = null) : HttpRequestException(message, inner);

/// <summary>Sends tokens as <c>Authorization: Bearer</c>.</summary>
internal sealed class TokenAuthorizer(TokenSource tokens) : RequestAuthorizer
{
    public override ValueTask AuthorizeAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var token = tokens.GetAsync(cancellationToken);
        if (token.IsCompletedSuccessfully)
        {
            Set(request, token.Result);
            return ValueTask.CompletedTask;
        }
        return WaitAsync(request, token);
    }

    private static async ValueTask WaitAsync(HttpRequestMessage request, ValueTask<string> token) => Set(request, await token);

    private static void Set(HttpRequestMessage request, string header)
    {
        request.Headers.Remove("Authorization");
        request.Headers.TryAddWithoutValidation("Authorization", header);
    }
}
