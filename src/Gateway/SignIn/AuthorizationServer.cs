using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.Primitives;
using Shared.Http;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>
/// The part of the authorization server that people meet: a client sends them to <c>/oauth/authorize</c>, they consent, sign in at the company's
/// provider, come back to <c>/oauth/callback</c>, and take a code to the client.
/// </summary>
internal sealed class AuthorizationServer(
    ClientDirectory clients, ProviderClient provider, SignInSecrets secrets, AuthorizationCodes codes, TimeProvider clock, ILogger<AuthorizationServer> logger)
{
    public const string CallbackPath = "/oauth/callback";

    private const string Purpose = "request at the consent page";
    private const int LongestState = 2048;
    private const int ChallengeLength = 43;
    private const int MostPending = 10_000;

    private readonly ShortLived<PendingSignIn> pending = new(BrowserCookie.Lifetime, MostPending, clock);

    /// <summary><c>GET /oauth/authorize</c>: checks what a client asks for and shows the person a page.</summary>
    public async Task AuthorizeAsync(HttpContext context, Facade facade)
    {
        var query = context.Request.Query;
        if (query.FirstOrDefault(part => part.Value.Count > 1).Key is { } twice)
        {
            await SignInPages.FailAsync(context, StatusCodes.Status400BadRequest, $"'{OAuthClient.Shown(twice, "?")}' stands twice in the client's request.");
            return;
        }
        var (client, problem) = await clients.FindAsync(query["client_id"].ToString(), context.RequestAborted);
        if (client is null)
        {
            await SignInPages.FailAsync(context, StatusCodes.Status400BadRequest, problem);
            return;
        }
        var redirect = query["redirect_uri"].ToString();
        if (OAuthClient.ProblemOf(redirect) is { } wrong || !client.HasRedirect(redirect))
        {
            await SignInPages.FailAsync(context, StatusCodes.Status400BadRequest, "The client asks to have you sent to an address ('redirect_uri') that it did not register.");
            return;
        }
        if (!facade.Settings.TakesRedirect(new Uri(redirect)))
        {
            await SignInPages.FailAsync(context, StatusCodes.Status403Forbidden, "Clients at this address are not permitted here. An admin can list its host under 'signIn.authorizationServer.redirectHosts'.");
            return;
        }
        var (request, error) = Read(facade, query, client, redirect);
        if (error is not null)
        {
            context.Response.Redirect(request.Refuse(facade.Address, error));
            return;
        }
        var browser = BrowserCookie.Ensure(context);
        var open = new OpenRequest(request, browser, (clock.GetUtcNow() + BrowserCookie.Lifetime).ToUnixTimeSeconds());
        await SignInPages.AskAsync(context, client, request, secrets.Seal(Purpose, JsonSerializer.Serialize(open, SignInJson.Default.OpenRequest)));
    }

    /// <summary><c>POST /oauth/consent</c>: the person's answer; sends them on to the provider.</summary>
    public async Task ConsentAsync(HttpContext context, Facade facade)
    {
        if (await OAuthForm.ReadAsync(context) is not { } form || !secrets.TryOpen(Purpose, form["request"].ToString(), out var text)
            || JsonSerializer.Deserialize(text, SignInJson.Default.OpenRequest) is not { } open || open.Until <= clock.GetUtcNow().ToUnixTimeSeconds() || !BrowserCookie.Matches(context, open.Browser))
        {
            await SignInPages.FailAsync(context, StatusCodes.Status400BadRequest, "The page was open for too long, or was not opened in this browser. Begin again in the program that sent you here.");
            return;
        }
        if (form["decision"] != "allow")
        {
            context.Response.Redirect(open.Request.Refuse(facade.Address, new OAuthError("access_denied", "The person refused.")));
            return;
        }
        var verifier = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        var challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)));
        try
        {
            var state = pending.Add(new PendingSignIn(open.Request, open.Browser, verifier, nonce));
            context.Response.Redirect(await provider.SignInAddressAsync(facade.Settings, facade.Address + CallbackPath, state, nonce, challenge, context.RequestAborted));
        }
        catch (SignInUnavailableException exception)
        {
            logger.SignInBroke(exception.Message);
            context.Response.Redirect(open.Request.Refuse(facade.Address, OAuthError.ProviderAway));
        }
    }

    /// <summary><c>GET /oauth/callback</c>: the person comes back from the provider, and goes on to the client with a code.</summary>
    public async Task CallbackAsync(HttpContext context, Facade facade)
    {
        var query = context.Request.Query;
        // Whoever brings another's state must not use it up.
        if (query.Any(part => part.Value.Count > 1) || pending.Take(query["state"].ToString(), known => BrowserCookie.Matches(context, known.Browser) ? null : known) is not { } begun
            || !BrowserCookie.Matches(context, begun.Browser))
        {
            await SignInPages.FailAsync(context, StatusCodes.Status400BadRequest, "This sign-in was not begun in this browser, took too long, or is over. Begin again in the program that sent you here.");
            return;
        }
        try
        {
            context.Response.Redirect(await FinishAsync(context, facade, begun, query["code"].ToString(), query["error"].ToString(), query["iss"].FirstOrDefault()));
        }
        catch (SignInUnavailableException exception)
        {
            logger.SignInBroke(exception.Message);
            context.Response.Redirect(begun.Request.Refuse(facade.Address, OAuthError.ProviderAway));
        }
    }

    private async Task<string> FinishAsync(HttpContext context, Facade facade, PendingSignIn begun, string code, string error, string? issuer)
    {
        var request = begun.Request;
        if (!await provider.IsFromAsync(facade.Settings, issuer, context.RequestAborted))
        {
            return request.Refuse(facade.Address, new OAuthError("server_error", "The answer is not of the company's sign-in provider ('iss')."));
        }
        if (error.Length > 0 || code.Length == 0)
        {
            return request.Refuse(facade.Address, new OAuthError("access_denied", $"The company's sign-in provider did not let the person in{(error.Length == 0 ? "" : $" ({OAuthClient.Shown(error, "?")})")}."));
        }
        if (await provider.RedeemAsync(facade.Settings, facade.Address + CallbackPath, code, begun, context.RequestAborted) is not { Identity: { } told } answer)
        {
            return request.Refuse(facade.Address, new OAuthError("access_denied", "The company's sign-in provider did not confirm who signed in."));
        }
        var identity = told with { Scopes = request.Scopes };
        if (GatewayRequest.Of(context).Snapshot.Part<SignInTable>().CallerOf(identity, out var missing) is null && missing is null)
        {
            return request.Refuse(facade.Address, new OAuthError("access_denied", "No rule of the gateway's fits this account. Ask an admin of the gateway for access."));
        }
        return request.Answer(facade.Address, ("code", codes.Add(new IssuedCode(request, identity, answer.ProviderToken))));
    }

    private static (SignInRequest Request, OAuthError? Error) Read(Facade facade, IQueryCollection query, OAuthClient client, string redirect)
    {
        var state = query["state"].ToString();
        var resource = query["resource"].ToString();
        var challenge = query["code_challenge"].ToString();
        var path = resource.Length == 0 ? null : Resources.PathOf(facade.Address, resource);
        var request = new SignInRequest(
            client.Id, client.Name, redirect, state.Length is 0 or > LongestState ? null : state, challenge, path is null ? "" : facade.Address + path, ScopesOf(query["scope"], facade));
        var error =
            state.Length > LongestState ? OAuthError.InvalidRequest($"'state' has more than {LongestState} characters.")
            : query["response_type"] != "code" ? new OAuthError("unsupported_response_type", "'response_type' must be 'code'.")
            : query["code_challenge_method"] != "S256" || !IsChallenge(challenge) ? OAuthError.InvalidRequest("PKCE is required: 'code_challenge' with 'code_challenge_method=S256'.")
            : resource.Length == 0 ? OAuthError.InvalidTarget($"'resource' is required: the address of the endpoint, such as {facade.Address}/mcp (RFC 8707).")
            : path is null ? OAuthError.InvalidTarget($"'resource' is no endpoint of this gateway, such as {facade.Address}/mcp.")
            : query["prompt"] == "none" ? new OAuthError("interaction_required", "A person has to consent to each sign-in.")
            : null;
        return (request, error);
    }

    // A scope that decides about nothing is left out; a client that names none gets all, as each rule asks for what it needs.
    private static List<string> ScopesOf(StringValues scope, Facade facade)
    {
        var asked = scope.ToString().Split(' ', StringSplitOptions.RemoveEmptyEntries);
        var granted = facade.Scopes.Where(known => asked.Contains(known, StringComparer.Ordinal)).ToList();
        return granted.Count == 0 && asked.All(word => word is "openid" or "profile" or "email" or "offline_access") ? [.. facade.Scopes] : granted;
    }

    private static bool IsChallenge(string text) => text.Length == ChallengeLength && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');
}

/// <summary>Codes that wait to be exchanged.</summary>
internal sealed class AuthorizationCodes(TimeProvider clock)
{
    /// <summary>How long a code holds.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromSeconds(60);

    private const int Most = 10_000;

    private readonly ShortLived<IssuedCode> codes = new(Lifetime, Most, clock);

    public string Add(IssuedCode code) => codes.Add(code);

    /// <summary>What a code was given for. Whoever shows it first gets it for a sign-in of that id; from then on it only tells which one it was.</summary>
    public IssuedCode? Take(string code, string grantId) => codes.Take(code, found => found.GrantId is null ? found with { GrantId = grantId } : found with { WasReplayed = true });

    /// <summary>Whether a code was shown again.</summary>
    public bool WasReplayed(string code) => codes.Take(code, found => found)?.WasReplayed ?? false;
}

/// <summary>The authorization server as one request sees it.</summary>
/// <param name="Address">The gateway's address, which is its name as an issuer.</param>
/// <param name="Settings">The configuration.</param>
/// <param name="Scopes">The scopes that decide about anything.</param>
internal sealed record Facade(string Address, AuthorizationServerSettings Settings, IReadOnlyList<string> Scopes);

internal static partial class AuthorizationServerLog
{
    [LoggerMessage(LogLevel.Warning, "Sign-in: {Problem}.")]
    public static partial void SignInBroke(this ILogger logger, string problem);
}
