using System.Net;

namespace McpHub.Upstreams.SignIn;

/// <summary>What one request to a server carries.</summary>
/// <param name="Subject">Whose it is; null: nobody's.</param>
/// <param name="Token">The access token; null: none.</param>
/// <param name="Headers">Headers of the client's that go on, by the names that the server gets; null: none.</param>
internal readonly record struct UpstreamCredential(string? Subject, string? Token, IReadOnlyList<KeyValuePair<string, string>>? Headers)
{
    /// <summary>Puts it on a request, the token in the place of whatever else would sign it.</summary>
    public void Sign(HttpRequestMessage request)
    {
        foreach (var (name, value) in Headers ?? [])
        {
            request.Headers.Remove(name);
            request.Headers.TryAddWithoutValidation(name, value);
        }
        if (Token is not null)
        {
            request.Headers.Remove("Authorization");
            request.Headers.TryAddWithoutValidation("Authorization", $"Bearer {Token}");
        }
    }

    /// <summary>Whether an answer is a refusal that another token may turn.</summary>
    public static bool IsRefusal(HttpResponseMessage response) => response.StatusCode is HttpStatusCode.Unauthorized or HttpStatusCode.Forbidden;
}

/// <summary>What a connection to a server signs its requests with. Asked for each request, as each may be somebody else's.</summary>
internal interface IUpstreamCredentials
{
    /// <summary>What a request carries. At once, unless a token has to be renewed first.</summary>
    /// <param name="call">The call that it is; null: the hub asks for itself.</param>
    /// <param name="cancellationToken">Ends the waiting; the renewal goes on for others.</param>
    /// <exception cref="UpstreamException">There is no token now, although there should be.</exception>
    ValueTask<UpstreamCredential> FindAsync(UpstreamCall? call, CancellationToken cancellationToken);

    /// <summary>Does what can be done about a refusal (401 or 403). True: the request can be made once more, with what <see cref="FindAsync"/> gives then.</summary>
    /// <param name="used">What the refused request carried.</param>
    /// <param name="response">The refusal.</param>
    /// <param name="attempt">How often the request was made before this time.</param>
    /// <param name="cancellationToken">Ends the waiting.</param>
    /// <exception cref="SignInRequiredException">Somebody has to sign in.</exception>
    /// <exception cref="UpstreamException">There is no token to be had now.</exception>
    ValueTask<bool> TryRenewAsync(UpstreamCredential used, HttpResponseMessage response, int attempt, CancellationToken cancellationToken);
}
