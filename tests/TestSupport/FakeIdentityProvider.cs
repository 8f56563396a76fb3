using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace TestSupport;

/// <summary>
/// An OpenID Connect provider on a loopback port: real HTTP and real signatures, and somebody who is signed in already. Written without any library of
/// the protocol, so that tokens can be made that none would make.
/// </summary>
public sealed class FakeIdentityProvider : IAsyncDisposable
{
    public const string ClientId = "gateway";
    public const string ClientSecret = "s3cret/with+signs";

    private readonly WebApplication app;
    private readonly TimeProvider clock;
    private readonly ConcurrentDictionary<string, JsonObject> codes = new();
    private readonly ConcurrentDictionary<string, JsonObject> refreshTokens = new();
    private readonly ConcurrentQueue<string> requests = new();
    private RSA key = RSA.Create(2048);
    private int keyNumber = 1;

    private FakeIdentityProvider(WebApplication app, TimeProvider clock) => (this.app, this.clock) = (app, clock);

    /// <summary>Its name and address.</summary>
    public string Issuer { get; private set; } = "";

    /// <summary>The claims of whoever is signed in, beside those of the protocol.</summary>
    public JsonObject Person { get; set; } = new() { ["sub"] = "ada-1", ["email"] = "ada@example.com", ["groups"] = new JsonArray("engineering", "all") };

    /// <summary>Whether it answers nothing but 503.</summary>
    public bool IsDown { get; set; }

    /// <summary>Where its metadata are; by default where OpenID Connect has them.</summary>
    public string MetadataPath { get; set; } = "/.well-known/openid-configuration";

    /// <summary>Whether it shows the key that it signs with.</summary>
    public bool ShowsKey { get; set; } = true;

    /// <summary>Further keys that it shows.</summary>
    public JsonArray MoreKeys { get; set; } = [];

    /// <summary>Whether it gives refresh tokens.</summary>
    public bool GivesRefreshTokens { get; set; } = true;

    /// <summary>Whether accounts were closed: it refuses refresh tokens.</summary>
    public bool AccountIsClosed { get; set; }

    /// <summary>Whether people refuse or are refused.</summary>
    public bool Refuses { get; set; }

    /// <summary>Changes an ID token's claims before they are signed.</summary>
    public Action<JsonObject> Adjust { get; set; } = _ => { };

    /// <summary>The issuer that its answers name; null: none.</summary>
    public string? AnswerIssuer { get; set; }

    /// <summary>The paths that it was asked for.</summary>
    public IReadOnlyList<string> Requests => [.. requests];

    /// <summary>The key that it signs with.</summary>
    public RSA Key => key;

    /// <summary>The id of that key.</summary>
    public string KeyId => $"key-{keyNumber}";

    public static async Task<FakeIdentityProvider> StartAsync(TimeProvider clock, CancellationToken cancellationToken)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        var fake = new FakeIdentityProvider(app, clock);
        app.Run(fake.HandleAsync);
        await app.StartAsync(cancellationToken);
        fake.Issuer = app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single();
        return fake;
    }

    /// <summary>Takes a new key, and no longer knows the old one.</summary>
    public void ChangeKey()
    {
        key.Dispose();
        (key, keyNumber) = (RSA.Create(2048), keyNumber + 1);
    }

    /// <summary>The claims of an access token that holds for ten minutes.</summary>
    public JsonObject AccessClaims(string audience, string scope = "")
    {
        var claims = (JsonObject)Person.DeepClone();
        claims["iss"] = Issuer;
        claims["aud"] = audience;
        claims["exp"] = clock.GetUtcNow().AddMinutes(10).ToUnixTimeSeconds();
        claims["iat"] = clock.GetUtcNow().ToUnixTimeSeconds();
        if (scope.Length > 0)
        {
            claims["scope"] = scope;
        }
        return claims;
    }

    /// <summary>An access token for an audience.</summary>
    public string AccessToken(string audience, string scope = "") => Sign(AccessClaims(audience, scope));

    /// <summary>Signs claims with its key.</summary>
    public string Sign(JsonObject claims) =>
        Assemble(new JsonObject { ["alg"] = "RS256", ["typ"] = "JWT", ["kid"] = KeyId }, claims, text => key.SignData(text, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1));

    /// <summary>A token of any header and signature.</summary>
    public static string Assemble(JsonObject header, JsonObject claims, Func<byte[], byte[]> sign)
    {
        var text = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header.ToJsonString()))}.{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(claims.ToJsonString()))}";
        return $"{text}.{Base64Url.EncodeToString(sign(Encoding.ASCII.GetBytes(text)))}";
    }

    public async ValueTask DisposeAsync()
    {
        await app.DisposeAsync();
        key.Dispose();
    }

    private Task HandleAsync(HttpContext context)
    {
        requests.Enqueue(context.Request.Path);
        if (IsDown)
        {
            context.Response.StatusCode = 503;
            return Task.CompletedTask;
        }
        if (context.Request.Path.Value == MetadataPath)
        {
            return DescribeAsync(context);
        }
        return context.Request.Path.Value switch
        {
            "/jwks" => WriteAsync(context, 200, new JsonObject { ["keys"] = Keys() }),
            "/authorize" => AuthorizeAsync(context),
            "/token" => TokenAsync(context),
            _ => WriteAsync(context, 404, []),
        };
    }

    private Task DescribeAsync(HttpContext context) => WriteAsync(context, 200, new JsonObject
    {
        ["issuer"] = Issuer,
        ["authorization_endpoint"] = Issuer + "/authorize",
        ["token_endpoint"] = Issuer + "/token",
        ["jwks_uri"] = Issuer + "/jwks",
        ["authorization_response_iss_parameter_supported"] = AnswerIssuer is not null,
    });

    private JsonArray Keys()
    {
        var keys = (JsonArray)MoreKeys.DeepClone();
        if (ShowsKey)
        {
            keys.Add(PublicKey());
        }
        return keys;
    }

    private JsonObject PublicKey()
    {
        var parameters = key.ExportParameters(includePrivateParameters: false);
        return new JsonObject
        {
            ["kty"] = "RSA",
            ["use"] = "sig",
            ["kid"] = KeyId,
            ["n"] = Base64Url.EncodeToString(parameters.Modulus),
            ["e"] = Base64Url.EncodeToString(parameters.Exponent),
        };
    }

    private Task AuthorizeAsync(HttpContext context)
    {
        var query = context.Request.Query;
        var back = $"{query["redirect_uri"]}?state={Uri.EscapeDataString(query["state"].ToString())}{(AnswerIssuer is null ? "" : $"&iss={Uri.EscapeDataString(AnswerIssuer)}")}";
        if (Refuses)
        {
            context.Response.Redirect($"{back}&error=access_denied");
            return Task.CompletedTask;
        }
        if (query["client_id"] != ClientId || query["response_type"] != "code" || query["code_challenge_method"] != "S256" || !query["scope"].ToString().Split(' ').Contains("openid"))
        {
            return WriteAsync(context, 400, new JsonObject { ["error"] = "invalid_request" });
        }
        var code = NewSecret();
        codes[code] = new JsonObject
        {
            ["challenge"] = query["code_challenge"].ToString(),
            ["nonce"] = query["nonce"].ToString(),
            ["redirect"] = query["redirect_uri"].ToString(),
        };
        context.Response.Redirect($"{back}&code={code}");
        return Task.CompletedTask;
    }

    private async Task TokenAsync(HttpContext context)
    {
        var form = await context.Request.ReadFormAsync(context.RequestAborted);
        var expected = Convert.ToBase64String(Encoding.ASCII.GetBytes($"{Uri.EscapeDataString(ClientId)}:{Uri.EscapeDataString(ClientSecret)}"));
        if (context.Request.Headers.Authorization != $"Basic {expected}")
        {
            await WriteAsync(context, 401, new JsonObject { ["error"] = "invalid_client" });
            return;
        }
        string nonce;
        if (form["grant_type"] == "authorization_code")
        {
            var challenge = Base64Url.EncodeToString(SHA256.HashData(Encoding.ASCII.GetBytes(form["code_verifier"].ToString())));
            if (!codes.TryRemove(form["code"].ToString(), out var issued) || (string?)issued["challenge"] != challenge || (string?)issued["redirect"] != form["redirect_uri"])
            {
                await WriteAsync(context, 400, new JsonObject { ["error"] = "invalid_grant" });
                return;
            }
            nonce = (string?)issued["nonce"] ?? "";
        }
        else
        {
            if (AccountIsClosed || !refreshTokens.TryRemove(form["refresh_token"].ToString(), out _))
            {
                await WriteAsync(context, 400, new JsonObject { ["error"] = "invalid_grant" });
                return;
            }
            nonce = "";
        }
        var claims = AccessClaims(ClientId);
        if (nonce.Length > 0)
        {
            claims["nonce"] = nonce;
        }
        Adjust(claims);
        var answer = new JsonObject { ["access_token"] = "opaque", ["token_type"] = "Bearer", ["expires_in"] = 600, ["id_token"] = Sign(claims) };
        if (GivesRefreshTokens)
        {
            var refresh = NewSecret();
            refreshTokens[refresh] = [];
            answer["refresh_token"] = refresh;
        }
        await WriteAsync(context, 200, answer);
    }

    private static string NewSecret() => Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(16));

    private static Task WriteAsync(HttpContext context, int status, JsonObject answer)
    {
        context.Response.StatusCode = status;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(answer.ToJsonString(), context.RequestAborted);
    }
}
