using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Http;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Stored;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Upstreams.SignIn;

/// <summary>Signs in at one tool server, as its manifest says. Holds the tokens of everybody who uses it.</summary>
internal sealed class ServerSignIn
{
    /// <summary>The subject of what everybody shares.</summary>
    public const string Shared = "shared";

    /// <summary>How often one request is made again with another token.</summary>
    private const int MostRenewals = 2;

    /// <summary>How long a call waits for a person, beside the time allowed for the call.</summary>
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    private static readonly TimeSpan RenewalTime = TimeSpan.FromSeconds(45);

    private readonly UpstreamSignIn all;
    private readonly Discovery discovery;
    private readonly ClientRegistration clients;
    private readonly TokenClient tokenClient;
    private readonly ConcurrentDictionary<string, SubjectToken> tokens = new(StringComparer.Ordinal);
    private readonly ConcurrentDictionary<string, IReadOnlyList<string>> wanted = new(StringComparer.Ordinal);
    private volatile Challenge challenge = Challenge.None;
    private volatile string? oldest;

    public ServerSignIn(ToolManifest manifest, UpstreamSignIn all)
    {
        (Manifest, this.all) = (manifest, all);
        discovery = new Discovery(all.Http, manifest);
        clients = new ClientRegistration(all.Http, manifest, all.Store, all.Clock);
        tokenClient = new TokenClient(all.Http, manifest, all.Clock);
        Load();
    }

    public ToolManifest Manifest { get; }

    private UpstreamAuth Auth => Manifest.Auth!;

    private string Address => Manifest.Address!.AbsoluteUri;

    /// <summary>Whose token a call carries.</summary>
    public string SubjectOf(VirtualKey? caller) => (Auth.Per, caller?.IdOf(OwnerKind.User)) switch
    {
        (UpstreamSubject.User, { } user) => $"user:{user}",
        (UpstreamSubject.User or UpstreamSubject.Key, _) when caller is { } key => $"key:{key.Id}",
        _ => Shared,
    };

    /// <summary>What a connection signs its requests with.</summary>
    /// <param name="owner">The key that the connection is opened for; null: everybody's.</param>
    public IUpstreamCredentials For(VirtualKey? owner) => new ConnectionCredentials(this, owner is null ? null : SubjectOf(owner));

    public async ValueTask<UpstreamCredential> FindAsync(UpstreamCall? call, string? owner, CancellationToken cancellationToken)
    {
        var passed = call is null ? null : PassedOf(call.Caller);
        if (Auth.Mode == UpstreamAuthMode.None)
        {
            return new UpstreamCredential(null, null, passed);
        }
        var subject = call is null ? owner ?? ListingSubject() : SubjectOf(call.Caller.Key);
        if (call is not null)
        {
            Remember(subject, call.Caller);
        }
        try
        {
            var grant = await TokenOf(subject).UsableAsync(CanRenew, cancellationToken);
            return new UpstreamCredential(subject, grant?.AccessToken?.Reveal(), passed);
        }
        catch (SignInException exception)
        {
            throw Unavailable(exception, subject);
        }
    }

    public async ValueTask<bool> TryRenewAsync(UpstreamCredential used, HttpResponseMessage response, int attempt, CancellationToken cancellationToken)
    {
        if (Auth.Mode == UpstreamAuthMode.None || used.Subject is not { } subject)
        {
            return false;
        }
        var told = Challenge.Of(response);
        if (response.StatusCode == HttpStatusCode.Forbidden)
        {
            return told.Error == "insufficient_scope" && told.Scopes.Count > 0 && attempt < MostRenewals && await StepUpAsync(used, subject, told, cancellationToken);
        }
        challenge = told;
        var token = TokenOf(subject);
        var current = token.Current;
        if (current?.AccessToken?.Reveal() is { } newer && newer != used.Token && attempt < MostRenewals)
        {
            return true;
        }
        if (attempt >= MostRenewals || (attempt > 0 && Auth.Mode != UpstreamAuthMode.Oauth))
        {
            return false;
        }
        if (Auth.Mode == UpstreamAuthMode.Oauth && (attempt > 0 || current?.RefreshToken is null))
        {
            if (current is not null && used.Token is not null)
            {
                Keep(subject, current with { AccessToken = null, RefreshToken = null });
            }
            throw new SignInRequiredException(this, subject, []);
        }
        try
        {
            await token.RenewedAsync(used.Token, cancellationToken);
            return true;
        }
        catch (SignInException exception)
        {
            throw Unavailable(exception, subject);
        }
    }

    /// <summary>The text of a refusal that a sign-in would turn into an answer.</summary>
    public string RequiredText(string subject, IReadOnlyList<string> scopes) => subject == Shared
        ? $"Tool server '{Manifest.Id}' wants the gateway to sign in{ForScopes(scopes)}; an admin does that with 'POST /admin/v1/toolservers/{Manifest.Id}/sign-in'."
        : $"Tool server '{Manifest.Id}' wants you to sign in{ForScopes(scopes)}.";

    /// <summary>Asks the person behind a call to sign in.</summary>
    public async ValueTask<ToolCallOutcome?> AskAsync(SignInRequiredException required, UpstreamCall call, CancellationToken cancellationToken)
    {
        // What everybody shares is not for anybody who happens to call.
        if (required.Subject == Shared)
        {
            throw required;
        }
        SignInFlow flow;
        try
        {
            flow = await StartAsync(required.Subject, required.Scopes, cancellationToken);
        }
        catch (SignInException exception)
        {
            throw Unavailable(exception, required.Subject);
        }
        if (!call.Peer.Can("elicitation.url"))
        {
            return Tell(call, $"{required.Message} Open this link in a browser, sign in, then call the tool again. The link is yours alone, works once, and holds for {SignInFlow.Lifetime.TotalMinutes:0} minutes: {flow.Link}");
        }
        using var patience = new Deadline(LongestWait, all.Clock, cancellationToken);
        try
        {
            return await ElicitAsync(flow, required, call, patience);
        }
        catch (OperationCanceledException) when (patience.HasPassed)
        {
            return Tell(call, $"{required.Message} Nobody did within {LongestWait.TotalMinutes:0} minutes. The link still works once: {flow.Link} Then call the tool again.");
        }
    }

    /// <summary>Begins a sign-in of a subject, or goes on with the one that has begun.</summary>
    /// <exception cref="SignInException">The server names nowhere to sign in, or what it names cannot be used.</exception>
    public async Task<SignInFlow> StartAsync(string subject, IReadOnlyList<string> scopes, CancellationToken cancellationToken)
    {
        // What a call lacked is remembered, as whoever begins the sign-in may not be the one who made the call.
        scopes = [.. scopes.Union(wanted.GetValueOrDefault(subject, []))];
        if (all.Flows.FindPending(Manifest.Id, subject, scopes) is { } pending && ReferenceEquals(pending.Server, this))
        {
            return pending;
        }
        var found = await DiscoverAsync(cancellationToken);
        var baseAddress = all.BaseAddress();
        var client = await clients.FindAsync(found, all.RedirectUri(baseAddress), all.OwnDocument(baseAddress), cancellationToken);
        return all.Flows.Add(new SignInFlow(this, subject, found, client, baseAddress, ScopesFor(subject, found, scopes), scopes, all.Clock.GetUtcNow()));
    }

    /// <summary>Turns the code of a flow into a grant and keeps it.</summary>
    /// <exception cref="SignInException">It is not taken.</exception>
    public async Task RedeemAsync(SignInFlow flow, string code, string requestId)
    {
        TokenReply reply;
        try
        {
            reply = await tokenClient.AskAsync(flow.Authority.TokenEndpoint, flow.Authority.Issuer, flow.Client,
            [
                new("grant_type", "authorization_code"),
                new("code", code),
                new("redirect_uri", all.RedirectUri(flow.BaseAddress)),
                new("code_verifier", flow.Verifier),
                new("resource", flow.Authority.Resource),
            ], CancellationToken.None);
        }
        catch (SignInException exception) when (exception.Error == "invalid_client" && flow.Client.IsRegistered)
        {
            clients.Forget(flow.Authority.Issuer);
            throw;
        }
        Keep(flow.Subject, GrantOf(reply, flow.Authority, flow.Client, flow.Scopes), new ChangedBy(flow.Subject == Shared ? "browser" : flow.Subject, requestId));
        wanted.TryRemove(flow.Subject, out _);
        all.Logger.SignedIn(Manifest.Id, flow.Subject, flow.Authority.Issuer);
    }

    /// <summary>Forgets what a subject was granted.</summary>
    public void Forget(string subject)
    {
        if (tokens.TryGetValue(subject, out var token))
        {
            token.Set(null);
        }
    }

    private static string ForScopes(IReadOnlyList<string> scopes) => scopes.Count == 0 ? "" : $" once more, for {string.Join(", ", scopes.Take(10))}";

    // A tool says what is wrong in its result, where models read it; everything else in an error.
    private static ToolCallOutcome Tell(UpstreamCall call, string text) => call.Method != "tools/call" ? RpcError.Of(RpcError.UpstreamUnavailable, text) : new(
        Encoding.UTF8.GetBytes(new JsonObject { ["content"] = new JsonArray(new JsonObject { ["type"] = "text", ["text"] = text }), ["isError"] = true }.ToJsonString(Relaxed)), default);

    private static readonly JsonSerializerOptions Relaxed = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private async ValueTask<ToolCallOutcome?> ElicitAsync(SignInFlow flow, SignInRequiredException required, UpstreamCall call, Deadline patience)
    {
        var parameters = new JsonObject { ["mode"] = "url", ["elicitationId"] = flow.Id, ["url"] = flow.Link, ["message"] = $"{required.Message} The link leads to this gateway, which takes you there." };
        using var asked = CancellationTokenSource.CreateLinkedTokenSource(patience.Token);
        var answering = call.Peer!.AskAsync("elicitation/create", Encoding.UTF8.GetBytes(parameters.ToJsonString(Relaxed)), asked.Token).AsTask();
        if (await Task.WhenAny(answering, flow.Done) == answering)
        {
            var answer = await answering;
            var action = answer.IsError ? null : JsonMembers.FindString(answer.Result.Span, "action"u8);
            if (action != "accept")
            {
                return Tell(call, action is "decline" or "cancel"
                    ? $"{required.Message} You declined; call the tool again to be asked again."
                    : $"{required.Message} Your client could not ask you. Open this link in a browser, sign in, then call the tool again: {flow.Link}");
            }
        }
        var problem = await flow.Done.WaitAsync(patience.Token);
        await asked.CancelAsync();
        if (problem is not null)
        {
            return Tell(call, $"{required.Message} The sign-in failed: {problem}");
        }
        await call.Peer.NotifyAsync("notifications/elicitation/complete", Encoding.UTF8.GetBytes(new JsonObject { ["elicitationId"] = flow.Id }.ToJsonString()), patience.Token);
        return null;
    }

    /// <summary>More scopes are wanted than there are. True: there is a token with them.</summary>
    private async ValueTask<bool> StepUpAsync(UpstreamCredential used, string subject, Challenge told, CancellationToken cancellationToken)
    {
        var token = TokenOf(subject);
        var current = token.Current;
        if (current?.AccessToken?.Reveal() is { } newer && newer != used.Token)
        {
            return true;
        }
        // What was asked for already and is still refused will be refused again.
        if (current is null || told.Scopes.All(scope => current.Scopes.Contains(scope)))
        {
            return false;
        }
        challenge = told with { ResourceMetadata = told.ResourceMetadata ?? challenge.ResourceMetadata };
        wanted[subject] = [.. current.Scopes.Union(told.Scopes)];
        if (Auth.Mode == UpstreamAuthMode.Oauth)
        {
            throw new SignInRequiredException(this, subject, told.Scopes);
        }
        try
        {
            await token.RenewedAsync(used.Token, cancellationToken);
            return true;
        }
        catch (SignInException exception)
        {
            throw Unavailable(exception, subject);
        }
    }

    private bool CanRenew(Grant? known) => Auth.Mode switch
    {
        UpstreamAuthMode.Oauth => known?.RefreshToken is not null,
        // The first request goes without, so that the server says where its tokens are had and with which scopes; unless the manifest says both.
        _ => known is not null || (Auth.TokenUrl ?? (object?)Auth.Issuer) is not null,
    };

    private SubjectToken TokenOf(string subject) => tokens.GetOrAdd(subject, key => new SubjectToken(known => RenewAsync(key, known), all.Clock));

    private string ListingSubject()
    {
        if (Auth.Per == UpstreamSubject.Shared || Auth.Mode != UpstreamAuthMode.Oauth || Auth.ListAs == UpstreamListing.Shared || tokens.TryGetValue(Shared, out var shared) && shared.Current?.AccessToken is not null)
        {
            return Shared;
        }
        return oldest is { } first && tokens.TryGetValue(first, out var token) && token.Current?.AccessToken is not null ? first : FirstOther();
    }

    private string FirstOther() => oldest = tokens.Where(pair => pair.Value.Current?.AccessToken is not null).OrderBy(pair => pair.Value.Current!.ObtainedAt).Select(pair => pair.Key).FirstOrDefault() ?? Shared;

    private List<KeyValuePair<string, string>>? PassedOf(GatewayRequest caller)
    {
        if (Auth.PassHeaders.IsEmpty || caller.PassedHeaders is not { } sent)
        {
            return null;
        }
        List<KeyValuePair<string, string>> passed = [];
        foreach (var header in Auth.PassHeaders)
        {
            if (sent.TryGetValue(header.Name, out var value))
            {
                passed.Add(new(header.As, header.Format?.Replace("{value}", value, StringComparison.Ordinal) ?? value));
            }
        }
        return passed;
    }

    // Where tokens are exchanged, the renewal needs what the caller came with last.
    private void Remember(string subject, GatewayRequest caller)
    {
        if (Auth.Mode == UpstreamAuthMode.TokenExchange && caller.SignInToken is { } token)
        {
            all.Callers[(Manifest.Id, subject)] = token;
        }
    }

    private void Load()
    {
        if (Auth.Mode != UpstreamAuthMode.Oauth)
        {
            return;
        }
        // The newest of each subject; one for another address than the manifest's is not this server's.
        foreach (var row in all.Store.Read(Manifest.Id).OrderBy(row => row.ChangedAt))
        {
            if (row.Content is not null && Grant.Of(row.Content) is var grant && grant.Server == Address)
            {
                TokenOf(row.Subject).Set(grant);
            }
        }
        oldest = all.Store.Read(Manifest.Id).FirstOrDefault(row => row.Subject != Shared && tokens.ContainsKey(row.Subject))?.Subject;
    }

    private void Keep(string subject, Grant grant, ChangedBy? by = null)
    {
        if (Auth.Mode == UpstreamAuthMode.Oauth)
        {
            // Before it is used: of a refresh token that may be used once, the next one must not be lost.
            all.Store.Write(Manifest.Id, subject, grant.Issuer, grant.ToSecret(), by);
        }
        TokenOf(subject).Set(grant);
        if (oldest is null && subject != Shared)
        {
            oldest = subject;
        }
    }

    private async Task<Authority> DiscoverAsync(CancellationToken cancellationToken)
    {
        // Anew each time: a server may have moved to another authorization server, and nothing of the old one may then be used.
        return await discovery.FindAsync(challenge, cancellationToken);
    }

    private IReadOnlyList<string> ScopesFor(string subject, Authority found, IReadOnlyList<string> missing)
    {
        var had = tokens.TryGetValue(subject, out var token) && token.Current is { } grant && missing.Count > 0 ? grant.Scopes : [];
        var basic = Auth.Scopes.IsEmpty ? challenge.Scopes.Count > 0 ? challenge.Scopes : found.ResourceScopes ?? [] : Auth.Scopes;
        var scopes = had.Count > 0 ? had.Union(missing) : basic.Union(missing);
        // Without it, OpenID Connect gives no refresh token, and somebody would have to sign in every hour.
        return [.. Auth.Mode == UpstreamAuthMode.Oauth && (found.Scopes?.Contains("offline_access") ?? false) && (scopes.Any() || Auth.Scopes.IsEmpty) ? scopes.Append("offline_access").Distinct() : scopes];
    }

    private async Task<Grant> RenewAsync(string subject, Grant? known)
    {
        using var patience = new CancellationTokenSource(RenewalTime, all.Clock);
        try
        {
            var next = Auth.Mode == UpstreamAuthMode.Oauth ? await RefreshAsync(known!, patience.Token) : await AcquireAsync(subject, patience.Token);
            if (Auth.Mode == UpstreamAuthMode.Oauth)
            {
                all.Store.Write(Manifest.Id, subject, next.Issuer, next.ToSecret());
            }
            return next;
        }
        catch (SignInException exception) when (Auth.Mode == UpstreamAuthMode.Oauth && exception.Error is "invalid_grant")
        {
            // The refresh token is dead; the access token may live on to its end.
            all.Logger.GrantEnded(Manifest.Id, subject, exception.Message);
            var left = known! with { RefreshToken = null, AccessToken = known.IsValidAt(all.Clock.GetUtcNow()) && known.ExpiresAt is not null ? known.AccessToken : null };
            all.Store.Write(Manifest.Id, subject, left.Issuer, left.ToSecret());
            TokenOf(subject).Set(left);
            throw;
        }
        catch (SignInException exception)
        {
            all.Logger.NotRenewed(Manifest.Id, subject, exception.Message, exception.InnerException?.GetType().Name);
            throw;
        }
        catch (OperationCanceledException exception)
        {
            all.Logger.NotRenewed(Manifest.Id, subject, "It took too long.", null);
            throw new SignInException("The authorization server did not answer in time.", isTransient: true, inner: exception);
        }
        catch (StorageException exception)
        {
            all.Logger.NotRenewed(Manifest.Id, subject, "The database cannot be written.", exception.GetType().Name);
            throw new SignInException("The token cannot be kept.", isTransient: true, inner: exception);
        }
    }

    private async Task<Grant> RefreshAsync(Grant known, CancellationToken cancellationToken)
    {
        // A client that the manifest names may have been given another secret meanwhile.
        var client = Auth.ClientId == known.Client.Id ? known.Client with { Secret = Auth.ClientSecret } : known.Client;
        var reply = await tokenClient.AskAsync(known.TokenEndpoint, known.Issuer, client,
        [
            new("grant_type", "refresh_token"),
            new("refresh_token", known.RefreshToken!.Reveal()),
            new("resource", known.Resource),
        ], cancellationToken);
        var now = all.Clock.GetUtcNow();
        return known with
        {
            AccessToken = reply.AccessToken,
            RefreshToken = reply.RefreshToken ?? known.RefreshToken,
            ObtainedAt = now,
            ExpiresAt = now + reply.Lifetime,
            Scopes = reply.Scopes is { } granted ? [.. known.Scopes.Union(granted)] : known.Scopes,
        };
    }

    private async Task<Grant> AcquireAsync(string subject, CancellationToken cancellationToken)
    {
        var found = await DiscoverAsync(cancellationToken);
        var scopes = wanted.TryGetValue(subject, out var more) ? more : ScopesFor(subject, found, []);
        var client = Auth.ClientId is null ? null : clients.Named(found);
        var reply = Auth.Mode switch
        {
            UpstreamAuthMode.ClientCredentials => await tokenClient.AskAsync(found.TokenEndpoint, found.Issuer, client,
                [new("grant_type", "client_credentials"), new("scope", TokenClient.Join(scopes)), new("resource", found.Resource)], cancellationToken),
            UpstreamAuthMode.JwtBearer => await tokenClient.AskAsync(found.TokenEndpoint, found.Issuer, client,
                [new("grant_type", TokenClient.JwtBearer), new("assertion", ReadAssertion()), new("scope", TokenClient.Join(scopes)), new("resource", found.Resource)], cancellationToken),
            _ => await ExchangeAsync(subject, found, client!, scopes, cancellationToken),
        };
        return GrantOf(reply, found, client ?? new OAuthClient("", null, "none", IsRegistered: false), scopes);
    }

    private async Task<TokenReply> ExchangeAsync(string subject, Authority found, OAuthClient client, IReadOnlyList<string> scopes, CancellationToken cancellationToken)
    {
        const string AccessToken = "urn:ietf:params:oauth:token-type:access_token";
        const string Jwt = "urn:ietf:params:oauth:token-type:jwt";
        const string IdToken = "urn:ietf:params:oauth:token-type:id_token";
        const string IdJag = "urn:ietf:params:oauth:token-type:id-jag";

        var callers = Auth.Subject == ExchangeSubject.Gateway ? null : all.Callers.GetValueOrDefault((Manifest.Id, subject));
        if (callers is null && Auth.Subject == ExchangeSubject.Caller)
        {
            throw new SignInException("It takes callers who signed in to the gateway, and this one came with a key.");
        }
        if (Auth.IdentityProvider is not { } provider)
        {
            return await tokenClient.AskAsync(found.TokenEndpoint, found.Issuer, client,
            [
                new("grant_type", TokenClient.TokenExchange),
                new("subject_token", callers?.Reveal() ?? all.Identity.Issue(subject, found.Issuer)),
                new("subject_token_type", callers is null ? Jwt : AccessToken),
                new("requested_token_type", AccessToken),
                new("audience", Auth.Audience),
                new("resource", found.Resource),
                new("scope", TokenClient.Join(scopes)),
            ], cancellationToken);
        }
        // Identity assertion grant: the provider's word for the caller, addressed to the tool server's authorization server.
        var assertion = await tokenClient.AskAsync(provider.TokenUrl, provider.TokenUrl.GetLeftPart(UriPartial.Authority),
            new OAuthClient(provider.ClientId, provider.ClientSecret, provider.ClientSecret is null ? "none" : "client_secret_post", IsRegistered: false),
        [
            new("grant_type", TokenClient.TokenExchange),
            new("requested_token_type", IdJag),
            new("audience", Auth.Audience ?? found.Issuer),
            new("resource", found.Resource),
            new("scope", TokenClient.Join(scopes)),
            new("subject_token", callers?.Reveal() ?? all.Identity.Issue(subject, provider.TokenUrl.GetLeftPart(UriPartial.Authority))),
            new("subject_token_type", callers is null ? Jwt : IdToken),
        ], cancellationToken);
        return await tokenClient.AskAsync(found.TokenEndpoint, found.Issuer, client,
            [new("grant_type", TokenClient.JwtBearer), new("assertion", assertion.AccessToken.Reveal()), new("scope", TokenClient.Join(scopes)), new("resource", found.Resource)], cancellationToken);
    }

    private string ReadAssertion()
    {
        const int MaxBytes = 64 * 1024;
        try
        {
            var file = new FileInfo(Auth.AssertionFile!);
            return file.Length <= MaxBytes && File.ReadAllText(file.FullName).Trim() is { Length: > 0 } text ? text : throw new SignInException("The file of 'auth.assertionFile' is empty or too large.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new SignInException("The file of 'auth.assertionFile' cannot be read.", isTransient: true, inner: exception);
        }
    }

    private Grant GrantOf(TokenReply reply, Authority found, OAuthClient client, IReadOnlyList<string> scopes)
    {
        var now = all.Clock.GetUtcNow();
        return new Grant
        {
            Server = Address,
            Issuer = found.Issuer,
            TokenEndpoint = found.TokenEndpoint,
            Client = client,
            Resource = found.Resource,
            AccessToken = reply.AccessToken,
            RefreshToken = reply.RefreshToken,
            ObtainedAt = now,
            ExpiresAt = now + reply.Lifetime,
            Scopes = reply.Scopes is { } granted ? [.. scopes.Union(granted)] : scopes,
        };
    }

    private UpstreamException Unavailable(SignInException exception, string subject)
    {
        if (Auth.Mode == UpstreamAuthMode.Oauth && exception.Error == "invalid_grant")
        {
            return new SignInRequiredException(this, subject, []);
        }
        var again = exception.IsTransient ? string.Create(CultureInfo.InvariantCulture, $" Try again in {Math.Max(1, Math.Ceiling((exception.RetryAfter ?? TimeSpan.FromSeconds(1)).TotalSeconds)):0} s.") : "";
        return new UpstreamException(RpcError.UpstreamUnavailable, exception.IsTransient ? UpstreamReasons.TokenUnavailable : UpstreamReasons.TokenRefused,
            $"There is no token for tool server '{Manifest.Id}': {exception.Message}{again}", wasSent: false, exception);
    }
}

/// <summary>What one connection signs its requests with.</summary>
/// <param name="server">The server.</param>
/// <param name="owner">The subject that requests of the hub's own are made as; null: the one that lists are read with.</param>
internal sealed class ConnectionCredentials(ServerSignIn server, string? owner) : IUpstreamCredentials
{
    public ValueTask<UpstreamCredential> FindAsync(UpstreamCall? call, CancellationToken cancellationToken) => server.FindAsync(call, owner, cancellationToken);

    public ValueTask<bool> TryRenewAsync(UpstreamCredential used, HttpResponseMessage response, int attempt, CancellationToken cancellationToken) => server.TryRenewAsync(used, response, attempt, cancellationToken);
}
