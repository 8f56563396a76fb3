using System.Reflection;
using Shared.Http;

namespace Gateway.Admin.OpenApi;

/// <summary>
/// <c>/admin/v1/openapi.json</c> and the page that shows it, <c>/admin/docs</c>. Both are open: they hold no secret, and calls want the key. Nothing is loaded
/// from elsewhere, and the page's policy forbids it.
/// </summary>
internal static class ApiDescription
{
    private const string Policy =
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

    private const string Page =
        """
        <!doctype html>
        <html lang="en">
        <head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,"><title>Agent Gateway admin API</title></head>
        <body><div id="app"></div><script src="/admin/docs/scalar.js"></script><script src="/admin/docs/start.js"></script></body>
        </html>
        """;

    private const string Start =
        """Scalar.createApiReference('#app', { url: '/admin/v1/openapi.json', withDefaultFonts: false, telemetry: false, hideClientButton: true, showDeveloperTools: 'never', agent: { disabled: true }, mcp: { disabled: true } });""";

    public static void MapApiDescription(this IEndpointRouteBuilder app)
    {
        byte[]? document = null;
        var open = app.MapGroup("/admin").ForCaller(CallerKind.Anonymous, ProblemFormat.Instance);
        open.MapGet("/v1/openapi.json", context =>
        {
            document ??= ApiDocument.Write(context.Service<EndpointDataSource>().Endpoints, Hosting.GatewayVersion.Text);
            return WriteAsync(context, Operation.Json, document);
        });
        open.MapGet("/docs", context => WriteAsync(context, "text/html; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(Page)));
        open.MapGet("/docs/start.js", context => WriteAsync(context, "text/javascript; charset=utf-8", System.Text.Encoding.UTF8.GetBytes(Start)));
        open.MapGet("/docs/scalar.js", ScriptAsync);
    }

    private static async Task ScriptAsync(HttpContext context)
    {
        // The package brings its script along, compressed; its assembly is read only here.
        await using var script = Assembly.Load("Scalar.AspNetCore").GetManifestResourceStream("ScalarStaticAssets.scalar.js")
            ?? throw new InvalidOperationException("The assembly Scalar.AspNetCore lacks its script.");
        SetHeaders(context, "text/javascript; charset=utf-8");
        if (context.Request.Headers.AcceptEncoding.ToString().Contains("gzip", StringComparison.OrdinalIgnoreCase))
        {
            context.Response.Headers.ContentEncoding = "gzip";
            context.Response.ContentLength = script.Length;
            await script.CopyToAsync(context.Response.Body, context.RequestAborted);
            return;
        }
        await using var plain = new System.IO.Compression.GZipStream(script, System.IO.Compression.CompressionMode.Decompress);
        await plain.CopyToAsync(context.Response.Body, context.RequestAborted);
    }

    private static Task WriteAsync(HttpContext context, string type, byte[] content)
    {
        SetHeaders(context, type);
        context.Response.ContentLength = content.Length;
        return context.Response.Body.WriteAsync(content, 0, content.Length, context.RequestAborted);
    }

    private static void SetHeaders(HttpContext context, string type)
    {
        context.Response.ContentType = type;
        context.Response.Headers.ContentSecurityPolicy = Policy;
        context.Response.Headers.XContentTypeOptions = "nosniff";
        context.Response.Headers.CacheControl = "no-cache";
        context.Response.Headers["Referrer-Policy"] = "no-referrer";
    }
}
