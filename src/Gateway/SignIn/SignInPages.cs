using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Encodings.Web;

namespace Gateway.SignIn;

/// <summary>The pages that people see. All that clients say of themselves is encoded, and no page runs any script.</summary>
internal static class SignInPages
{
    private const string Style = """
        body{font:16px/1.5 system-ui,sans-serif;max-width:34rem;margin:10vh auto;padding:0 1rem;color:#1c1c1e;background:#fff}
        h1{font-size:1.3rem}dt{color:#5b5b60;margin-top:.6rem}dd{margin:0;overflow-wrap:anywhere;font-weight:600}
        button{font:inherit;padding:.5rem 1.4rem;margin:1.4rem .6rem 0 0;border-radius:.4rem;border:1px solid #8a8a90;background:#fff;color:inherit}
        button.yes{background:#0a5ad4;border-color:#0a5ad4;color:#fff}p.note{color:#5b5b60}
        @media(prefers-color-scheme:dark){body{background:#1c1c1e;color:#f2f2f4}dt,p.note{color:#a8a8ae}button{background:#2c2c2e}}
        """;

    /// <summary>Asks a person whether a client may act for them.</summary>
    /// <param name="context">The request.</param>
    /// <param name="client">Who asks.</param>
    /// <param name="request">For what.</param>
    /// <param name="sealedRequest">The same, as the answer brings it back.</param>
    public static Task AskAsync(HttpContext context, OAuthClient client, SignInRequest request, string sealedRequest)
    {
        var redirect = new Uri(request.Redirect);
        var place = redirect.Scheme is "http" or "https" ? redirect.IsLoopback ? $"this computer ({redirect.Authority})" : redirect.Authority : $"the program that opens {redirect.Scheme}: addresses on this computer";
        var vouched = client.Host is null ? "It registered itself under this name; nobody has verified it." : $"It is described at {client.Host}.";
        return WriteAsync(context, StatusCodes.Status200OK, "Sign in", $"""
            <h1>Let <q>{Encode(client.Name)}</q> use this gateway in your name?</h1>
            <p class="note">{Encode(vouched)} Go on only if you began this yourself, in a program that you trust.</p>
            <dl>
            <dt>You are sent back to</dt><dd>{Encode(place)}</dd>
            <dt>It gets access to</dt><dd>{Encode(request.Resource)}</dd>
            {(request.Scopes.Count == 0 ? "" : $"<dt>With the rights</dt><dd>{Encode(string.Join(", ", request.Scopes))}</dd>")}
            </dl>
            <form method="post" action="/oauth/consent">
            <input type="hidden" name="request" value="{Encode(sealedRequest)}">
            <button class="yes" name="decision" value="allow">Sign in</button><button name="decision" value="deny">Cancel</button>
            </form>
            """);
    }

    /// <summary>Tells a person why this cannot go on, where there is nobody to send them back to.</summary>
    public static Task FailAsync(HttpContext context, int status, string message) =>
        WriteAsync(context, status, "Sign-in failed", $"<h1>This sign-in cannot go on</h1><p>{Encode(message)}</p>");

    private static Task WriteAsync(HttpContext context, int status, string title, string body)
    {
        var nonce = Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));
        var response = context.Response;
        response.StatusCode = status;
        response.ContentType = "text/html; charset=utf-8";
        response.Headers.CacheControl = "no-store";
        // No form-action: browsers apply it to redirects as well, and the answer to the form leads to the provider and on to the client.
        response.Headers.ContentSecurityPolicy = $"default-src 'none'; style-src 'nonce-{nonce}'; base-uri 'none'; frame-ancestors 'none'";
        response.Headers.XFrameOptions = "DENY";
        response.Headers.XContentTypeOptions = "nosniff";
        response.Headers["Referrer-Policy"] = "same-origin";
        return response.WriteAsync($"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title><style nonce="{nonce}">{Style}</style></head>
            <body>{body}</body></html>
            """, context.RequestAborted);
    }

    private static string Encode(string text) => HtmlEncoder.Default.Encode(text);
}
