using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text.Json.Nodes;
using Shared.Configuration;
using Shared.Tools;

namespace McpHub.Upstreams.SignIn;

/// <summary>
/// The gateway's own word for who calls: short-lived JWTs, signed with a key that is made when it is first needed and kept sealed. Authorization servers check them with the
/// public half at <c>/oauth/upstream/jwks.json</c>.
/// </summary>
internal sealed class GatewayIdentity(UpstreamGrants store, Func<string> issuer, TimeProvider clock)
{
    private const string Server = "gateway identity";
    private static readonly TimeSpan Life = TimeSpan.FromMinutes(5);

    private readonly Lock gate = new();
    private string? pem;

    /// <summary>A JWT for a subject, addressed to whoever exchanges it.</summary>
    public string Issue(string subject, string audience)
    {
        var now = clock.GetUtcNow();
        var key = Pem();
        return SigningKey.Sign(key, "ES256", KeyId(key), new JsonObject
        {
            ["iss"] = issuer(),
            ["sub"] = subject,
            ["aud"] = audience,
            ["jti"] = Guid.NewGuid().ToString("N"),
            ["iat"] = now.ToUnixTimeSeconds(),
            ["exp"] = (now + Life).ToUnixTimeSeconds(),
        });
    }

    /// <summary>The public half, as a JWK set (RFC 7517).</summary>
    public JsonObject KeySet()
    {
        var text = Pem();
        using var key = ECDsa.Create();
        key.ImportFromPem(text);
        var point = key.ExportParameters(false).Q;
        return new JsonObject
        {
            ["keys"] = new JsonArray(new JsonObject
            {
                ["kty"] = "EC",
                ["crv"] = "P-256",
                ["use"] = "sig",
                ["alg"] = "ES256",
                ["kid"] = KeyId(text),
                ["x"] = Base64Url.EncodeToString(point.X),
                ["y"] = Base64Url.EncodeToString(point.Y),
            }),
        };
    }

    private string Pem()
    {
        lock (gate)
        {
            if (pem is null && (pem = store.FindClient(Server, Server)?.Reveal()) is null)
            {
                using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
                var made = key.ExportPkcs8PrivateKeyPem();
                store.WriteClient(Server, Server, new Secret(made));
                pem = made;
            }
            return pem;
        }
    }

    private static string KeyId(string pem)
    {
        using var key = ECDsa.Create();
        key.ImportFromPem(pem);
        return Base64Url.EncodeToString(SHA256.HashData(key.ExportSubjectPublicKeyInfo()))[..16];
    }
}
