using System.Collections.Concurrent;
using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace TestSupport;

/// <summary>A request that the authorization server got at its token endpoint.</summary>
/// <param name="Form">The form.</param>
/// <param name="Authorization">The header, or "".</param>
public sealed record TokenRequest(IReadOnlyDictionary<string, string> Form, string Authorization);

/// <summary>
/// A tool server that wants access tokens, at <c>/mcp</c>, at <c>/sse</c> over the older HTTP+SSE, and as a web API under <c>/api</c>; and the authorization server that grants
/// them, under <c>/as</c>: real HTTP on a loopback port.
/// </summary>
public sealed class FakeProtectedServer : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly ConcurrentDictionary<string, (string User, string Scope)> tokens = new();
    private readonly ConcurrentDictionary<string, (string User, string Scope)> refreshTokens = new();
    private readonly ConcurrentDictionary<string, (string Challenge, string User, string Scope, string Redirect)> codes = new();
    private readonly ConcurrentQueue<TokenRequest> tokenRequests = new();
    private readonly ConcurrentQueue<(string Method, IReadOnlyDictionary<string, string> Headers)> received = new();
    private readonly ConcurrentDictionary<string, TaskCompletionSource> awaited = new();
    private readonly ConcurrentDictionary<int, Channel<string>> streams = new();
    private int issued;

    private FakeProtectedServer(WebApplication app) => this.app = app;

    /// <summary>The tool server.</summary>
    public Uri Endpoint { get; private set; } = null!;

    /// <summary>Where both listen.</summary>
    public string Origin => Endpoint.GetLeftPart(UriPartial.Authority);

    /// <summary>The authorization server.</summary>
    public string Issuer => $"{Origin}/as";

    /// <summary>Who signs in next.</summary>
    public string User { get; set; } = "ann";

    /// <summary>Seconds that tokens hold.</summary>
    public int Lifetime { get; set; } = 3600;

    /// <summary>Whether refresh tokens are given.</summary>
    public bool GivesRefreshTokens { get; set; } = true;

    /// <summary>The status that the token endpoint answers with in place of a token; 0: it works.</summary>
    public int TokenStatus { get; set; }

    /// <summary>The error code with it.</summary>
    public string TokenError { get; set; } = "";

    /// <summary>Completed before the token endpoint answers.</summary>
    public Task TokenGate { get; set; } = Task.CompletedTask;

    /// <summary>The description of the web API.</summary>
    public const string ApiDocument = """
        {"openapi":"3.1.0","info":{"title":"Far","version":"1"},"servers":[{"url":"https://elsewhere.example"}],
         "components":{"securitySchemes":{"person":{"type":"oauth2","flows":{}}}},"security":[{"person":["read"]}],
         "paths":{"/whoami":{"post":{"operationId":"whoami","requestBody":{"content":{"application/json":{"schema":{"type":"object","properties":{"note":{"type":"string"}}}}}},
          "parameters":[{"in":"header","name":"Authorization","schema":{"type":"string"}}],"responses":{"200":{"description":"who","content":{"text/plain":{}}}}}}}}
        """;

    /// <summary>What the metadata name as the resource; null: the tool server.</summary>
    public string? Resource { get; set; }

    /// <summary>What the metadata name as the authorization server; null: the one here.</summary>
    public string? NamedIssuer { get; set; }

    /// <summary>Scopes that a call of a tool needs; the lists need none.</summary>
    public string CallScope { get; set; } = "";

    /// <summary>Whether lists can be had without a token.</summary>
    public bool ListsAreOpen { get; set; }

    /// <summary>Tells who asks from a token of another's making; null: it is not taken.</summary>
    public Func<string, string?> SubjectOf { get; set; } = _ => null;

    /// <summary>All requests of the token endpoint.</summary>
    public IReadOnlyList<TokenRequest> TokenRequests => [.. tokenRequests];

    /// <summary>All requests of the tool server: JSON-RPC method and headers.</summary>
    public IReadOnlyList<(string Method, IReadOnlyDictionary<string, string> Headers)> Received => [.. received];

    /// <summary>Every token and code that was given out, and every client secret.</summary>
    public ConcurrentBag<string> Secrets { get; } = [];

    /// <summary>How many clients registered.</summary>
    public int Registrations { get; private set; }

    public static async Task<FakeProtectedServer> StartAsync(CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var fake = new FakeProtectedServer(app);
        app.Run(fake.HandleAsync);
        await app.StartAsync(cancellationToken);
        fake.Endpoint = new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single() + "/mcp");
        return fake;
    }

    /// <summary>Takes all access tokens back; refresh tokens hold.</summary>
    public void RevokeAccess() => tokens.Clear();

    /// <summary>Completes when the token endpoint was asked for a grant.</summary>
    public Task AskedAsync(string grant) =>
        awaited.GetOrAdd(grant, _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).Task.WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>How often the token endpoint was asked for a grant.</summary>
    public int Asked(string grant) => tokenRequests.Count(request => request.Form["grant_type"] == grant);

    public ValueTask DisposeAsync() => app.DisposeAsync();

    private Task HandleAsync(HttpContext context) => context.Request.Path.Value switch
    {
        "/.well-known/oauth-protected-resource/mcp" or "/.well-known/oauth-protected-resource/sse" or "/.well-known/oauth-protected-resource/api" => JsonAsync(context, new JsonObject
        {
            ["resource"] = Resource ?? Origin + context.Request.Path.Value["/.well-known/oauth-protected-resource".Length..],
            ["authorization_servers"] = new JsonArray(NamedIssuer ?? Issuer),
        }),
        "/.well-known/oauth-authorization-server/as" => JsonAsync(context, Metadata()),
        "/as/register" => RegisterAsync(context),
        "/as/authorize" => Authorize(context),
        "/as/token" => TokenAsync(context),
        "/mcp" when context.Request.Method == "POST" => CallAsync(context),
        "/mcp" => Status(context, 405),
        "/sse" when context.Request.Method == "GET" => StreamAsync(context),
        "/sse" => Status(context, 405),
        "/messages" => PostAsync(context),
        "/api/whoami" => WhoAmIAsync(context),
        _ => Status(context, 404),
    };

    private JsonObject Metadata() => new()
    {
        ["issuer"] = Issuer,
        ["authorization_endpoint"] = $"{Issuer}/authorize",
        ["token_endpoint"] = $"{Issuer}/token",
        ["registration_endpoint"] = $"{Issuer}/register",
        ["code_challenge_methods_supported"] = new JsonArray("S256"),
        ["authorization_response_iss_parameter_supported"] = true,
        ["token_endpoint_auth_methods_supported"] = new JsonArray("client_secret_basic", "private_key_jwt"),
    };

    private Task RegisterAsync(HttpContext context)
    {
        Registrations++;
        context.Response.StatusCode = 201;
        return JsonAsync(context, new JsonObject { ["client_id"] = "registered", ["client_secret"] = Secret("cs"), ["token_endpoint_auth_method"] = "client_secret_basic" });
    }

    private Task Authorize(HttpContext context)
    {
        var query = context.Request.Query;
        var code = Secret("code");
        codes[code] = (query["code_challenge"]!, User, query["scope"].ToString(), query["redirect_uri"]!);
        context.Response.Redirect($"{query["redirect_uri"]}?code={code}&state={Uri.EscapeDataString(query["state"]!)}&iss={Uri.EscapeDataString(Issuer)}");
        return Task.CompletedTask;
    }

    private async Task TokenAsync(HttpContext context)
    {
        var form = (await context.Request.ReadFormAsync(context.RequestAborted)).ToDictionary(pair => pair.Key, pair => pair.Value.ToString());
        tokenRequests.Enqueue(new TokenRequest(form, context.Request.Headers.Authorization.ToString()));
        awaited.GetOrAdd(form["grant_type"], _ => new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        await TokenGate;
        if (TokenStatus != 0)
        {
            context.Response.StatusCode = TokenStatus;
            await JsonAsync(context, new JsonObject { ["error"] = TokenError });
            return;
        }
        var (user, scope) = form["grant_type"] switch
        {
            "authorization_code" when codes.TryRemove(form["code"], out var code) && code.Redirect == form["redirect_uri"] && code.Challenge == Hash(form["code_verifier"]) => (code.User, code.Scope),
            // Each works once.
            "refresh_token" when refreshTokens.TryRemove(form["refresh_token"], out var known) => known,
            "client_credentials" => ("the gateway", form.GetValueOrDefault("scope", "")),
            "urn:ietf:params:oauth:grant-type:token-exchange" => (SubjectOf(form["subject_token"]) ?? "", form.GetValueOrDefault("scope", "")),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => (tokens.TryGetValue(form["assertion"], out var asserted) ? asserted.User : SubjectOf(form["assertion"]) ?? "", form.GetValueOrDefault("scope", "")),
            _ => ("", ""),
        };
        if (user.Length == 0)
        {
            context.Response.StatusCode = 400;
            await JsonAsync(context, new JsonObject { ["error"] = "invalid_grant" });
            return;
        }
        var token = Secret("at");
        tokens[token] = (user, scope);
        var answer = new JsonObject { ["access_token"] = token, ["token_type"] = "Bearer", ["expires_in"] = Lifetime, ["scope"] = scope };
        if (GivesRefreshTokens && form["grant_type"] is "authorization_code" or "refresh_token")
        {
            var refresh = Secret("rt");
            refreshTokens[refresh] = (user, scope);
            answer["refresh_token"] = refresh;
        }
        await JsonAsync(context, answer);
    }

    private async Task CallAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var message = JsonNode.Parse(await reader.ReadToEndAsync(context.RequestAborted))!;
        var method = (string?)message["method"] ?? "";
        if (!TryAdmit(context, method, "/mcp", out var user))
        {
            return;
        }
        if (message["id"] is null)
        {
            context.Response.StatusCode = 202;
            return;
        }
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(Answer(message, "2025-11-25", user), context.RequestAborted);
    }

    private static string Answer(JsonNode message, string version, string user) => FakeMcpServer.Result(message, (string?)message["method"] switch
    {
        "initialize" => $$$"""{"protocolVersion":"{{{version}}}","capabilities":{"tools":{}},"serverInfo":{"name":"protected","version":"1"}}""",
        "tools/list" => """{"tools":[{"name":"whoami","inputSchema":{"type":"object"}}]}""",
        "tools/call" => $$"""{"content":[{"type":"text","text":"you are {{user}}"}]}""",
        _ => "{}",
    });

    /// <summary>Notes a request, and refuses it unless its token is good for it.</summary>
    private bool TryAdmit(HttpContext context, string method, string place, out string user)
    {
        received.Enqueue((method, context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase)));
        var isKnown = tokens.TryGetValue(context.Request.Headers.Authorization.ToString().Replace("Bearer ", "", StringComparison.Ordinal), out var who);
        user = who.User ?? "";
        if (!isKnown && !(ListsAreOpen && method != "tools/call"))
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = $"Bearer resource_metadata=\"{Origin}/.well-known/oauth-protected-resource{place}\", scope=\"basic\"";
            return false;
        }
        if (method == "tools/call" && CallScope.Length > 0 && !who.Scope.Split(' ').Contains(CallScope))
        {
            context.Response.StatusCode = 403;
            context.Response.Headers.WWWAuthenticate = $"Bearer error=\"insufficient_scope\", scope=\"{CallScope}\"";
            return false;
        }
        return true;
    }

    private async Task WhoAmIAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var body = await reader.ReadToEndAsync(context.RequestAborted);
        if (TryAdmit(context, "tools/call", "/api", out var user))
        {
            context.Response.ContentType = "text/plain";
            await context.Response.WriteAsync($"you are {user}; you said {body} with {context.Request.Headers.Authorization}", context.RequestAborted);
        }
    }

    private async Task StreamAsync(HttpContext context)
    {
        if (!TryAdmit(context, "GET", "/sse", out _))
        {
            return;
        }
        var id = Interlocked.Increment(ref issued);
        var said = streams[id] = Channel.CreateUnbounded<string>();
        context.Response.ContentType = "text/event-stream";
        await context.Response.WriteAsync(string.Create(CultureInfo.InvariantCulture, $"event: endpoint\ndata: /messages?stream={id}\n\n"), context.RequestAborted);
        await foreach (var message in said.Reader.ReadAllAsync(context.RequestAborted))
        {
            await context.Response.WriteAsync($"event: message\ndata: {message}\n\n", context.RequestAborted);
        }
    }

    private async Task PostAsync(HttpContext context)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var message = JsonNode.Parse(await reader.ReadToEndAsync(context.RequestAborted))!;
        if (!TryAdmit(context, (string?)message["method"] ?? "", "/sse", out var user))
        {
            return;
        }
        context.Response.StatusCode = 202;
        if (message["id"] is not null)
        {
            streams[int.Parse(context.Request.Query["stream"]!, CultureInfo.InvariantCulture)].Writer.TryWrite(Answer(message, "2024-11-05", user));
        }
    }

    private string Secret(string kind)
    {
        var secret = string.Create(CultureInfo.InvariantCulture, $"{kind}-{Interlocked.Increment(ref issued)}-{Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(12))}");
        Secrets.Add(secret);
        return secret;
    }

    private static string Hash(string verifier) => System.Buffers.Text.Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(verifier)));

    private static Task JsonAsync(HttpContext context, JsonObject content)
    {
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(content.ToJsonString(), context.RequestAborted);
    }

    private static Task Status(HttpContext context, int status)
    {
        context.Response.StatusCode = status;
        return Task.CompletedTask;
    }
}
