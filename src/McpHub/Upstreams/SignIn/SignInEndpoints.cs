using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;
using Shared.Snapshots;
using Shared.Storage;

namespace McpHub.Upstreams.SignIn;

/// <summary>
/// The pages of a sign-in under <c>/oauth/upstream</c>. The link shows what is about to happen and for whom; its button, which looks ahead of links do not press, uses it up, marks the
/// browser and sends it to the authorization server. Whoever comes back must be that browser.
/// </summary>
internal static class SignInEndpoints
{
    private const int MaxCode = 8 * 1024;

    public static void MapUpstreamSignIn(this IEndpointRouteBuilder endpoints)
    {
        endpoints.MapGet("/oauth/upstream/sign-in/{token}", ShowAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        endpoints.MapPost("/oauth/upstream/sign-in/{token}", LeaveAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        endpoints.MapGet("/oauth/upstream/callback", ReturnAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        endpoints.MapGet("/oauth/upstream/client.json", DescribeAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        endpoints.MapGet("/oauth/upstream/jwks.json", KeysAsync).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
    }

    private static Task ShowAsync(HttpContext context)
    {
        if (SignInOf(context) is not { } signIn || signIn.Flows.FindByToken(TokenOf(context)) is not { } flow)
        {
            return GoneAsync(context);
        }
        var manifest = flow.Server.Manifest;
        var scopes = flow.Scopes.Count == 0 ? "" : $"<p>It is asked for: {Encode(string.Join(", ", flow.Scopes))}.</p>";
        return SignInPage.WriteAsync(context, StatusCodes.Status200OK, "Sign in",
            $"<p>The tool server <strong>{Encode(manifest.Title ?? manifest.Id)}</strong> ({Encode(manifest.Address!.Host)}) wants you to sign in at <strong>{Encode(new Uri(flow.Authority.Issuer).Host)}</strong>.</p>"
            + $"<p>Its tools will then act in your name for <strong>{Encode(Describe(flow.Subject))}</strong> of this gateway.</p>{scopes}"
            + "<p>If this is not you, or if somebody sent you this link, close the page.</p>"
            + "<form method=\"post\"><button>Sign in</button></form>",
            flow.Authority.AuthorizationEndpoint);
    }

    private static Task LeaveAsync(HttpContext context)
    {
        if (SignInOf(context) is not { } signIn || signIn.Flows.TakeByToken(TokenOf(context)) is not { } flow)
        {
            return GoneAsync(context);
        }
        context.Response.Cookies.Append(flow.CookieName, flow.Cookie, new CookieOptions
        {
            HttpOnly = true,
            // The authorization server leads back from another site.
            SameSite = SameSiteMode.Lax,
            Secure = flow.BaseAddress.StartsWith("https://", StringComparison.Ordinal),
            Path = new Uri(flow.BaseAddress).AbsolutePath.TrimEnd('/') + "/oauth/upstream/callback",
            MaxAge = SignInFlow.Lifetime,
            IsEssential = true,
        });
        SignInPage.SetHeaders(context, null);
        context.Response.StatusCode = StatusCodes.Status303SeeOther;
        context.Response.Headers.Location = flow.AuthorizationAddress(signIn.RedirectUri(flow.BaseAddress)).AbsoluteUri;
        return Task.CompletedTask;
    }

    private static async Task ReturnAsync(HttpContext context)
    {
        var query = context.Request.Query;
        if (SignInOf(context) is not { } signIn || query["state"] is not [{ Length: > 0 } state] || signIn.Flows.TakeByState(state, name => context.Request.Cookies[name]) is not { } flow)
        {
            await GoneAsync(context);
            return;
        }
        context.Response.Cookies.Delete(flow.CookieName, new CookieOptions { Path = new Uri(flow.BaseAddress).AbsolutePath.TrimEnd('/') + "/oauth/upstream/callback" });
        var manifest = flow.Server.Manifest;
        // A code works once: whoever closes the page early has signed in all the same.
        var problem = await FinishAsync(flow, query, GatewayRequest.Of(context).RequestId);
        if (problem is null)
        {
            signIn.Completed(flow);
            await SignInPage.WriteAsync(context, StatusCodes.Status200OK, "Signed in", $"<p>You are signed in at <strong>{Encode(manifest.Title ?? manifest.Id)}</strong>. You can close this page.</p>");
            return;
        }
        signIn.Logger.SignInFailed(manifest.Id, flow.Subject, problem);
        flow.End(problem);
        await SignInPage.WriteAsync(context, StatusCodes.Status400BadRequest, "Not signed in", $"<p>{Encode(problem)}</p><p>Ask for another link to try again.</p>");
    }

    /// <summary>Checks what came back and turns it into a grant; otherwise says what is wrong.</summary>
    private static async Task<string?> FinishAsync(SignInFlow flow, IQueryCollection query, string requestId)
    {
        // RFC 9207 section 2.4: compared as it is, before anything else of the answer is believed.
        var issuer = query["iss"];
        if (issuer.Count > 1 || (issuer.Count == 0 ? flow.Authority.SendsIssuer : issuer[0] != flow.Authority.Issuer))
        {
            return "The answer came from another authorization server than the one that was asked.";
        }
        if (query["error"] is [{ Length: > 0 } error])
        {
            return error == "access_denied" ? "The authorization server says that access was denied." : $"The authorization server refused ({Code(error)}).";
        }
        if (query["code"] is not [{ Length: > 0 and <= MaxCode } code])
        {
            return "The authorization server sent no code.";
        }
        try
        {
            await flow.Server.RedeemAsync(flow, code, requestId);
            return null;
        }
        catch (SignInException exception)
        {
            return exception.Message;
        }
        catch (StorageException)
        {
            return "The gateway cannot keep the sign-in: its database cannot be written.";
        }
    }

    // What others fetch to learn who the gateway is, where its own address serves as its client id.
    private static async Task DescribeAsync(HttpContext context)
    {
        if (SignInOf(context) is not { } signIn || signIn.OwnDocument(signIn.BaseAddress()) is not { } document)
        {
            await UnknownAsync(context, "The gateway describes itself as a client only where 'server.publicUrl' is https:// and a tool server's manifest wants people to sign in.");
            return;
        }
        var description = ClientRegistration.Describe(signIn.RedirectUri(signIn.BaseAddress()), "none");
        description["client_id"] = document;
        await JsonAsync(context, description);
    }

    private static async Task KeysAsync(HttpContext context)
    {
        if (SignInOf(context, UpstreamAuthMode.TokenExchange) is not { } signIn)
        {
            await UnknownAsync(context, "The gateway has keys of its own only where a tool server's manifest wants tokens exchanged.");
            return;
        }
        await JsonAsync(context, signIn.Identity.KeySet());
    }

    private static Task JsonAsync(HttpContext context, JsonObject content)
    {
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "public, max-age=300";
        return context.Response.WriteAsync(content.ToJsonString(), context.RequestAborted);
    }

    private static Task UnknownAsync(HttpContext context, string message) => ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_found", message));

    private static Task GoneAsync(HttpContext context) => SignInPage.WriteAsync(context, StatusCodes.Status404NotFound, "This link does not work",
        "<p>It was used, or is too old, or belongs to another browser. Call the tool again, or ask your admin, for another one.</p>");

    private static string TokenOf(HttpContext context) => context.Request.RouteValues["token"] as string ?? "";

    // Nothing is loaded for whoever asks where no manifest wants it.
    private static UpstreamSignIn? SignInOf(HttpContext context, UpstreamAuthMode mode = UpstreamAuthMode.Oauth) =>
        GatewayRequest.Of(context).Snapshot.Manifests.Any(manifest => manifest.Auth?.Mode == mode) ? context.RequestServices.GetRequiredService<UpstreamSignIn>() : null;

    private static string Describe(string subject) => subject switch
    {
        ServerSignIn.Shared => "everybody",
        _ when subject.StartsWith("user:", StringComparison.Ordinal) => $"the user {subject[5..]}",
        _ => $"the key {subject[4..]}",
    };

    private static string Code(string error) => error.Length <= 60 && error.All(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-') ? error : "with an error of its own";

    private static string Encode(string text) => WebUtility.HtmlEncode(text);
}

/// <summary>A plain page: no script, nothing loaded, framed by nobody, kept nowhere.</summary>
internal static class SignInPage
{
    public static Task WriteAsync(HttpContext context, int status, string title, string body, Uri? leadsTo = null)
    {
        SetHeaders(context, leadsTo);
        context.Response.StatusCode = status;
        context.Response.ContentType = "text/html; charset=utf-8";
        var page = $"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><title>{title} - Agent Gateway</title></head><body><h1>{title}</h1>{body}</body></html>\n";
        return context.Response.Body.WriteAsync(Encoding.UTF8.GetBytes(page)).AsTask();
    }

    /// <param name="context">The request.</param>
    /// <param name="leadsTo">Where the page's form leads in the end; browsers check redirects of forms, too.</param>
    public static void SetHeaders(HttpContext context, Uri? leadsTo)
    {
        var headers = context.Response.Headers;
        headers.ContentSecurityPolicy = $"default-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action {(leadsTo is null ? "'none'" : $"'self' {leadsTo.GetLeftPart(UriPartial.Authority)}")}";
        headers.XContentTypeOptions = "nosniff";
        headers.XFrameOptions = "DENY";
        headers.CacheControl = "no-store";
        // The form's own origin must be sent, so 'no-referrer' would be too much; the address of the link goes to nobody else.
        headers["Referrer-Policy"] = "same-origin";
    }
}
