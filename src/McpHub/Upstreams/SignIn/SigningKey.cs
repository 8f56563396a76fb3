using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpHub.Upstreams.SignIn;

/// <summary>Signs JWTs (RFC 7515, compact form) with a private key.</summary>
internal static class SigningKey
{
    /// <summary>A signed JWT.</summary>
    /// <param name="pem">The key, PKCS#8, RSA or EC.</param>
    /// <param name="algorithm">Its algorithm; null: as its kind implies.</param>
    /// <param name="keyId">Its id, or null.</param>
    /// <param name="claims">What is claimed.</param>
    /// <exception cref="SignInException">The key does not fit the algorithm.</exception>
    public static string Sign(string pem, string? algorithm, string? keyId, JsonObject claims)
    {
        using var ec = Import(ECDsa.Create, pem);
        using var rsa = ec is null ? Import(RSA.Create, pem) : null;
        algorithm ??= ec is null ? "RS256" : ec.KeySize switch { 384 => "ES384", 521 => "ES512", _ => "ES256" };
        var header = new JsonObject { ["alg"] = algorithm, ["typ"] = "JWT" };
        if (keyId is not null)
        {
            header["kid"] = keyId;
        }
        var text = $"{Encode(header)}.{Encode(claims)}";
        var hash = algorithm[2..] switch { "384" => HashAlgorithmName.SHA384, "512" => HashAlgorithmName.SHA512, _ => HashAlgorithmName.SHA256 };
        var signature = (algorithm[..2], ec, rsa) switch
        {
            ("ES", { } key, _) => key.SignData(Encoding.ASCII.GetBytes(text), hash, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
            ("RS", _, { } key) => key.SignData(Encoding.ASCII.GetBytes(text), hash, RSASignaturePadding.Pkcs1),
            ("PS", _, { } key) => key.SignData(Encoding.ASCII.GetBytes(text), hash, RSASignaturePadding.Pss),
            _ => throw new SignInException($"The private key is not one for {algorithm}."),
        };
        return $"{text}.{Base64Url.EncodeToString(signature)}";
    }

    private static T? Import<T>(Func<T> make, string pem) where T : AsymmetricAlgorithm
    {
        var key = make();
        try
        {
            key.ImportFromPem(pem);
            return key;
        }
        catch (Exception exception) when (exception is ArgumentException or CryptographicException)
        {
            key.Dispose();
            return null;
        }
    }

    private static string Encode(JsonObject json) => Base64Url.EncodeToString(JsonSerializer.SerializeToUtf8Bytes((JsonNode)json));
}
