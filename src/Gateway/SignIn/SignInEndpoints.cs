using System.Text.Json;
using Shared.Http;
using Shared.SignIn;

namespace Gateway.SignIn;

/// <summary>Lets people sign in: the metadata that tell clients how, and the gateway's own authorization server. Nothing of it is made before it is asked for.</summary>
internal static class SignInEndpoints
{
    private const int MaxRegistrationBytes = 16 * 1024;

    /// <summary>Adds the authorization server.</summary>
    public static IServiceCollection AddAuthorizationServer(this IServiceCollection services)
    {
        services.AddSingleton<ClientDirectory>();
        services.AddSingleton<ProviderClient>();
        services.AddSingleton<AuthorizationCodes>();
        services.AddSingleton<AuthorizationServer>();
        services.AddSingleton<TokenEndpoint>();
        services.AddSingleton<SignInRates>();
        return services;
    }

    /// <summary>Maps the metadata of resources (RFC 9728) and of the authorization server (RFC 8414), and its endpoints.</summary>
    public static void MapSignIn(this IEndpointRouteBuilder endpoints)
    {
        Get(endpoints, TokenAuthentication.MetadataPath, context => DescribeResourceAsync(context, ""));
        Get(endpoints, TokenAuthentication.MetadataPath + "/{**path}", context => DescribeResourceAsync(context, context.GetRouteValue("path") as string ?? ""));
        Get(endpoints, "/.well-known/oauth-authorization-server", Describe);
        Get(endpoints, "/.well-known/openid-configuration", Describe);
        Get(endpoints, "/oauth/authorize", context => ServeAsync(context, StrangerAct.Authorize, context.RequestServices.GetRequiredService<AuthorizationServer>().AuthorizeAsync));
        Get(endpoints, AuthorizationServer.CallbackPath, context => ServeAsync(context, StrangerAct.Authorize, context.RequestServices.GetRequiredService<AuthorizationServer>().CallbackAsync));
        Post(endpoints, "/oauth/consent", context => ServeAsync(context, StrangerAct.Authorize, context.RequestServices.GetRequiredService<AuthorizationServer>().ConsentAsync));
        Post(endpoints, "/oauth/token", context => ServeAsync(context, StrangerAct.Token, context.RequestServices.GetRequiredService<TokenEndpoint>().TokenAsync));
        Post(endpoints, "/oauth/revoke", context => ServeAsync(context, StrangerAct.Token, (caller, _) => caller.RequestServices.GetRequiredService<TokenEndpoint>().RevokeAsync(caller)));
        Post(endpoints, "/oauth/register", context => ServeAsync(context, StrangerAct.Register, RegisterAsync));
    }

    private static void Get(IEndpointRouteBuilder endpoints, string path, RequestDelegate serve) => endpoints.MapGet(path, serve).ForCaller(CallerKind.Anonymous, OAuthJson.Instance);

    private static void Post(IEndpointRouteBuilder endpoints, string path, RequestDelegate serve) => endpoints.MapPost(path, serve).ForCaller(CallerKind.Anonymous, OAuthJson.Instance);

    private static Task DescribeResourceAsync(HttpContext context, string path)
    {
        if (GatewayRequest.Of(context).Snapshot.SignIn is not { } settings)
        {
            return RefuseAsync(context, NotConfigured("signIn"));
        }
        if (Resources.BaseOf(context, settings) is not { } address)
        {
            return RefuseAsync(context, NoAddress);
        }
        if (Resources.PathOf(address, $"{address}/{path}") is not { } resource)
        {
            return RefuseAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_found", "This path is no endpoint that takes tokens; /mcp and /v1 are."));
        }
        var own = settings.AuthorizationServer;
        var issuers = settings.Issuers.Values.Where(issuer => issuer != own?.Provider).Select(issuer => issuer.Issuer).Order(StringComparer.Ordinal);
        return OAuthJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteString("resource", address + resource);
            Write(json, "authorization_servers", own is null ? issuers : issuers.Prepend(address));
            if (settings.Scopes.Length > 0)
            {
                Write(json, "scopes_supported", settings.Scopes);
            }
            Write(json, "bearer_methods_supported", ["header"]);
            json.WriteString("resource_name", "Agent Gateway");
        });
    }

    private static Task Describe(HttpContext context) => FacadeOf(context, out var error) is { } facade
        ? OAuthJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteString("issuer", facade.Address);
            json.WriteString("authorization_endpoint", facade.Address + "/oauth/authorize");
            json.WriteString("token_endpoint", facade.Address + "/oauth/token");
            json.WriteString("revocation_endpoint", facade.Address + "/oauth/revoke");
            if (facade.Settings.Registration)
            {
                json.WriteString("registration_endpoint", facade.Address + "/oauth/register");
            }
            Write(json, "response_types_supported", ["code"]);
            Write(json, "response_modes_supported", ["query"]);
            Write(json, "grant_types_supported", ["authorization_code", "refresh_token"]);
            Write(json, "code_challenge_methods_supported", ["S256"]);
            Write(json, "token_endpoint_auth_methods_supported", ["none"]);
            Write(json, "revocation_endpoint_auth_methods_supported", ["none"]);
            Write(json, "scopes_supported", facade.Scopes);
            json.WriteBoolean("client_id_metadata_document_supported", true);
            json.WriteBoolean("authorization_response_iss_parameter_supported", true);
        })
        : RefuseAsync(context, error!);

    private static Task ServeAsync(HttpContext context, StrangerAct act, Func<HttpContext, Facade, Task> serve)
    {
        if (FacadeOf(context, out var error) is not { } facade)
        {
            return RefuseAsync(context, error!);
        }
        return context.RequestServices.GetRequiredService<SignInRates>().TryTake(context, act) ? serve(context, facade)
            : RefuseAsync(context, new GatewayError(StatusCodes.Status429TooManyRequests, "slow_down", $"More than {SignInRates.LimitOf(act)} of these requests in a minute came from this address.")
            {
                RetryAfter = TimeSpan.FromMinutes(1),
                Retryable = true,
            });
    }

    private static async Task RegisterAsync(HttpContext context, Facade facade)
    {
        if (!facade.Settings.Registration)
        {
            await OAuthJson.WriteAsync(context, new OAuthError("access_denied", "Clients cannot register themselves here ('signIn.authorizationServer.registration'); use a client id metadata document.")
            {
                Status = StatusCodes.Status403Forbidden,
            });
            return;
        }
        if (await ReadJsonAsync(context) is not { } metadata)
        {
            await OAuthJson.WriteAsync(context, new OAuthError("invalid_client_metadata", $"Expected a JSON object of at most {MaxRegistrationBytes} bytes."));
            return;
        }
        var (client, at, error) = context.RequestServices.GetRequiredService<ClientDirectory>().Register(metadata);
        if (client?.Redirects.FirstOrDefault(redirect => !facade.Settings.TakesRedirect(new Uri(redirect))) is { } barred)
        {
            error = new OAuthError("invalid_redirect_uri", $"Clients at '{new Uri(barred).Host}' are not permitted here ('signIn.authorizationServer.redirectHosts').");
        }
        await (error is not null ? OAuthJson.WriteAsync(context, error) : OAuthJson.WriteAsync(context, StatusCodes.Status201Created, json =>
        {
            json.WriteString("client_id", client!.Id);
            json.WriteNumber("client_id_issued_at", at.ToUnixTimeSeconds());
            json.WriteString("client_name", client.Name);
            Write(json, "redirect_uris", client.Redirects);
            Write(json, "grant_types", ["authorization_code", "refresh_token"]);
            Write(json, "response_types", ["code"]);
            json.WriteString("token_endpoint_auth_method", "none");
        }));
    }

    private static Facade? FacadeOf(HttpContext context, out GatewayError? error)
    {
        error = null;
        if (GatewayRequest.Of(context).Snapshot.SignIn is not { AuthorizationServer: { } server } settings)
        {
            error = NotConfigured("signIn.authorizationServer");
            return null;
        }
        if (Resources.BaseOf(context, settings) is not { } address)
        {
            error = NoAddress;
            return null;
        }
        return new Facade(address, server, settings.Scopes);
    }

    private static async Task<JsonElement?> ReadJsonAsync(HttpContext context)
    {
        if (!context.Request.HasJsonContentType())
        {
            return null;
        }
        var buffer = new byte[MaxRegistrationBytes + 1];
        var length = await context.Request.Body.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, context.RequestAborted);
        if (length == buffer.Length)
        {
            return null;
        }
        try
        {
            using var document = JsonDocument.Parse(buffer.AsMemory(0, length), StrictJson.Options);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private static Task RefuseAsync(HttpContext context, GatewayError error) => OAuthJson.Instance.WriteAsync(context, error);

    private static GatewayError NotConfigured(string member) => new(StatusCodes.Status404NotFound, "not_found", $"This gateway takes keys only; '{member}' is not configured.");

    private static GatewayError NoAddress { get; } = new(StatusCodes.Status404NotFound, "address_not_known",
        "The gateway does not know its own address. An admin can set 'signIn.publicUrl' in gateway.yaml, or list this host under 'server.allowedHosts'.");

    private static void Write(Utf8JsonWriter json, string name, IEnumerable<string> values)
    {
        json.WriteStartArray(name);
        foreach (var value in values)
        {
            json.WriteStringValue(value);
        }
        json.WriteEndArray();
    }
}
