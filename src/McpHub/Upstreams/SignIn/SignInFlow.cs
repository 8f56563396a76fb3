using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace McpHub.Upstreams.SignIn;

/// <summary>Where a sign-in stands.</summary>
internal enum SignInStep
{
    /// <summary>Its link has not been used.</summary>
    Linked,

    /// <summary>A browser is at the authorization server.</summary>
    Away,

    /// <summary>It is over, well or not.</summary>
    Over,
}

/// <summary>One sign-in of a person, from the link to the grant. What it holds is unguessable and works once.</summary>
internal sealed class SignInFlow
{
    /// <summary>A sign-in that is not done by then is over.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    private readonly TaskCompletionSource<string?> done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public SignInFlow(ServerSignIn server, string subject, Authority authority, OAuthClient client, string baseAddress, IReadOnlyList<string> scopes, IReadOnlyList<string> missing, DateTimeOffset now)
    {
        (Server, Subject, Authority, Client, BaseAddress, Scopes, Missing) = (server, subject, authority, client, baseAddress, scopes, missing);
        ExpiresAt = now + Lifetime;
    }

    public ServerSignIn Server { get; }

    public string Subject { get; }

    public Authority Authority { get; }

    public OAuthClient Client { get; }

    /// <summary>The gateway's address as it was when the flow began.</summary>
    public string BaseAddress { get; }

    /// <summary>The scopes that are asked for.</summary>
    public IReadOnlyList<string> Scopes { get; }

    /// <summary>Those of them that a call lacked.</summary>
    public IReadOnlyList<string> Missing { get; }

    public DateTimeOffset ExpiresAt { get; }

    /// <summary>Names it where it may be seen, as in an elicitation.</summary>
    public string Id { get; } = Random(12);

    /// <summary>The secret of the link.</summary>
    public string Token { get; } = Random(32);

    /// <summary>The <c>state</c> that comes back.</summary>
    public string State { get; } = Random(32);

    /// <summary>What ties the browser that comes back to the one that went.</summary>
    public string Cookie { get; } = Random(32);

    /// <summary>The PKCE verifier.</summary>
    public string Verifier { get; } = Random(32);

    public SignInStep Step { get; set; }

    /// <summary>The link for the person.</summary>
    public string Link => $"{BaseAddress}/oauth/upstream/sign-in/{Token}";

    /// <summary>Completes when it is over: with null when there is a grant, otherwise with what went wrong.</summary>
    public Task<string?> Done => done.Task;

    public string CookieName => $"gateway-sign-in-{Id}";

    public void End(string? problem)
    {
        Step = SignInStep.Over;
        done.TrySetResult(problem);
    }

    /// <summary>Where the browser is sent (RFC 6749 section 4.1.1, RFC 7636, RFC 8707).</summary>
    public Uri AuthorizationAddress(string redirectUri)
    {
        var challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(Verifier)));
        var query = new StringBuilder();
        Add("response_type", "code");
        Add("client_id", Client.Id);
        Add("redirect_uri", redirectUri);
        Add("state", State);
        Add("code_challenge", challenge);
        Add("code_challenge_method", "S256");
        Add("scope", TokenClient.Join(Scopes));
        Add("resource", Authority.Resource);
        // OpenID Connect Core section 11: without it, offline access may be left out.
        Add("prompt", Scopes.Contains("offline_access") ? "consent" : null);
        var endpoint = Authority.AuthorizationEndpoint!;
        return new Uri($"{endpoint.AbsoluteUri}{(endpoint.Query.Length > 0 ? "&" : "?")}{query}");

        void Add(string name, string? value)
        {
            if (!string.IsNullOrEmpty(value))
            {
                query.Append(query.Length > 0 ? "&" : "").Append(name).Append('=').Append(Uri.EscapeDataString(value));
            }
        }
    }

    private static string Random(int bytes) => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(bytes));
}

/// <summary>The sign-ins under way, bounded in number and time. In memory: one that a restart cuts off is begun anew.</summary>
internal sealed class SignInFlows(TimeProvider clock)
{
    private const int Most = 2000;

    private readonly Lock gate = new();
    private readonly Dictionary<string, SignInFlow> byToken = new(StringComparer.Ordinal);
    private readonly Dictionary<string, SignInFlow> byState = new(StringComparer.Ordinal);

    /// <summary>A sign-in of a subject whose link nobody used yet, with at least these scopes; null: there is none.</summary>
    public SignInFlow? FindPending(string server, string subject, IReadOnlyList<string> scopes)
    {
        lock (gate)
        {
            Sweep();
            return byToken.Values.FirstOrDefault(flow => flow.Step == SignInStep.Linked && flow.Server.Manifest.Id == server && flow.Subject == subject && scopes.All(scope => flow.Scopes.Contains(scope)));
        }
    }

    /// <exception cref="SignInException">There are too many.</exception>
    public SignInFlow Add(SignInFlow flow)
    {
        lock (gate)
        {
            Sweep();
            // Of two that began at once, the first is the one.
            if (byToken.Values.FirstOrDefault(other => other.Step == SignInStep.Linked && ReferenceEquals(other.Server, flow.Server) && other.Subject == flow.Subject && flow.Missing.All(scope => other.Scopes.Contains(scope))) is { } same)
            {
                return same;
            }
            if (byToken.Count >= Most)
            {
                throw new SignInException("Too many people are signing in at once.", isTransient: true);
            }
            byToken.Add(flow.Token, flow);
            byState.Add(flow.State, flow);
            return flow;
        }
    }

    /// <summary>The sign-in that a link belongs to, while the link may be used; null: there is none.</summary>
    public SignInFlow? FindByToken(string token)
    {
        lock (gate)
        {
            Sweep();
            return byToken.TryGetValue(token, out var flow) && flow.Step == SignInStep.Linked ? flow : null;
        }
    }

    /// <summary>Uses a link up. Null: it was used, or is over.</summary>
    public SignInFlow? TakeByToken(string token)
    {
        lock (gate)
        {
            Sweep();
            if (!byToken.TryGetValue(token, out var flow) || flow.Step != SignInStep.Linked)
            {
                return null;
            }
            flow.Step = SignInStep.Away;
            return flow;
        }
    }

    /// <summary>Takes the sign-in that a browser comes back from, if it is the browser that went; then its state works no more.</summary>
    /// <param name="state">What came back.</param>
    /// <param name="cookie">Reads the cookie of a name.</param>
    public SignInFlow? TakeByState(string state, Func<string, string?> cookie)
    {
        lock (gate)
        {
            Sweep();
            if (!byState.TryGetValue(state, out var flow) || flow.Step != SignInStep.Away
                || !CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(cookie(flow.CookieName) ?? ""), Encoding.UTF8.GetBytes(flow.Cookie)))
            {
                return null;
            }
            byState.Remove(state);
            byToken.Remove(flow.Token);
            return flow;
        }
    }

    /// <summary>Ends the sign-ins of a server that is gone or was changed.</summary>
    public void EndOf(ServerSignIn server)
    {
        lock (gate)
        {
            foreach (var flow in byToken.Values.Where(flow => ReferenceEquals(flow.Server, server)).ToList())
            {
                Remove(flow, "The tool server was changed meanwhile.");
            }
        }
    }

    private void Sweep()
    {
        var now = clock.GetUtcNow();
        foreach (var flow in byToken.Values.Where(flow => flow.ExpiresAt <= now).ToList())
        {
            Remove(flow, "It took too long.");
        }
    }

    private void Remove(SignInFlow flow, string problem)
    {
        byToken.Remove(flow.Token);
        byState.Remove(flow.State);
        flow.End(problem);
    }
}
