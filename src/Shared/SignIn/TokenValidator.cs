using System.Buffers.Text;
using System.Collections.Concurrent;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Shared.SignIn;

/// <summary>A token that holds.</summary>
/// <param name="Identity">Of whom it speaks.</param>
/// <param name="Issuer">Who issued it.</param>
/// <param name="Audiences">For whom.</param>
/// <param name="Expires">When it ends, the clocks' difference allowed for.</param>
/// <param name="Checked">When its signature was checked.</param>
internal sealed record ValidToken(Identity Identity, TokenIssuer Issuer, IReadOnlyCollection<string> Audiences, DateTimeOffset Expires, DateTimeOffset Checked);

/// <summary>Checks tokens in the form of JWTs (RFC 7519, RFC 8725, RFC 9068): issuer, signature, time. For whom a token is, its user decides.</summary>
internal sealed class TokenValidator(IssuerDirectory directory, TimeProvider clock)
{
    /// <summary>The longest token that is looked at, in characters.</summary>
    public const int MaxLength = 16 * 1024;

    private const int MaxSubjectLength = 255;
    private const int MaxKnown = 10_000;

    /// <summary>So long a signature that was checked is taken for good, so that a key that its issuer withdrew is not used for longer.</summary>
    private static readonly TimeSpan KnownFor = TimeSpan.FromMinutes(5);

    private readonly ConcurrentDictionary<string, ValidToken> known = new(StringComparer.Ordinal);
    private readonly JsonWebTokenHandler handler = new() { MapInboundClaims = false };

    /// <summary>Checks a token.</summary>
    /// <param name="settings">Whose tokens are taken.</param>
    /// <param name="token">The token as it was sent.</param>
    /// <param name="cancellationToken">Stops it.</param>
    /// <returns>The token, or what is wrong with it in words for its sender.</returns>
    /// <exception cref="SignInUnavailableException">Nobody can tell now.</exception>
    public async ValueTask<(ValidToken? Token, string Problem)> ValidateAsync(SignInSettings settings, string token, CancellationToken cancellationToken)
    {
        if (token.Length > MaxLength)
        {
            return (null, "The token is too long.");
        }
        var hash = Convert.ToHexString(SHA256.HashData(Encoding.UTF8.GetBytes(token)));
        var now = clock.GetUtcNow();
        if (known.TryGetValue(hash, out var before) && now < before.Expires && now - before.Checked < KnownFor
            && settings.Issuers.TryGetValue(before.Issuer.Name, out var issuer) && ReferenceEquals(issuer, before.Issuer))
        {
            return (before, "");
        }
        var (checkedToken, problem) = await CheckAsync(settings, token, cancellationToken);
        if (checkedToken is null)
        {
            known.TryRemove(hash, out _);
            return (null, problem);
        }
        if (known.Count >= MaxKnown)
        {
            known.Clear();
        }
        known[hash] = checkedToken;
        return (checkedToken, "");
    }

    /// <summary>Checks a token of one issuer, without remembering it.</summary>
    /// <exception cref="SignInUnavailableException">Nobody can tell now.</exception>
    public async Task<(ValidToken? Token, string Problem)> ValidateAsync(TokenIssuer issuer, string token, CancellationToken cancellationToken)
    {
        if (token.Length > MaxLength || Parse(token) is not var (header, claims))
        {
            return (null, "The token is no signed JWT.");
        }
        return Claims.Text(claims, "iss") == issuer.Issuer ? await CheckAsync(issuer, token, header, claims, cancellationToken) : (null, "The token is of another issuer.");
    }

    private async Task<(ValidToken? Token, string Problem)> CheckAsync(SignInSettings settings, string token, CancellationToken cancellationToken)
    {
        if (Parse(token) is not var (header, claims))
        {
            return (null, "The credential is neither a key of this gateway ('sk-gw-…') nor a signed JWT.");
        }
        return Claims.Text(claims, "iss") is { } name && settings.FindIssuer(name) is { } issuer
            ? await CheckAsync(issuer, token, header, claims, cancellationToken)
            : (null, "The token's issuer ('iss') is none that this gateway takes tokens of.");
    }

    private async Task<(ValidToken? Token, string Problem)> CheckAsync(TokenIssuer issuer, string token, JsonElement header, JsonElement claims, CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        if (Claims.Text(header, "alg") is not { } algorithm || !issuer.Algorithms.Contains(algorithm))
        {
            return (null, "The token is not signed with an algorithm that is taken.");
        }
        if (header.TryGetProperty("crit", out _))
        {
            return (null, "The token's header demands an extension ('crit'), and none is known here.");
        }
        if (MomentOf(claims, "exp") is not { } expires || expires + issuer.ClockSkew <= now)
        {
            return (null, "The token has expired.");
        }
        if (claims.TryGetProperty("nbf", out _) && (MomentOf(claims, "nbf") is not { } begins || begins - issuer.ClockSkew > now))
        {
            return (null, "The token is not valid yet.");
        }
        if (Claims.Text(claims, "sub") is not { Length: > 0 and <= MaxSubjectLength } subject)
        {
            return (null, "The token names nobody ('sub').");
        }
        var keys = await directory.Of(issuer).KeysAsync(Claims.Text(header, "kid"), cancellationToken);
        var fitting = keys.Where(key => key.Alg is null or "" || key.Alg == algorithm).ToList();
        if (fitting.Count == 0)
        {
            return (null, "The token is signed with a key that its issuer does not have.");
        }
        var result = await handler.ValidateTokenAsync(token, new TokenValidationParameters
        {
            ValidAlgorithms = [algorithm],
            IssuerSigningKeys = fitting,
            TryAllIssuerSigningKeys = true,
            RequireSignedTokens = true,
            ValidIssuer = issuer.Issuer,
            ValidateAudience = false, // It differs from endpoint to endpoint.
            ValidateLifetime = false, // The clock is the gateway's.
        });
        return result.IsValid
            ? (new ValidToken(new Identity(issuer.Name, issuer.Issuer, subject, claims, Claims.Scopes(claims)), issuer, Claims.Audiences(claims), expires + issuer.ClockSkew, now), "")
            : (null, "The token's signature does not hold.");
    }

    /// <summary>Header and claims; null: it is no signed JWT.</summary>
    private static (JsonElement Header, JsonElement Claims)? Parse(string token)
    {
        var parts = token.Split('.');
        return parts.Length == 3 && parts[2].Length > 0 && ParsePart(parts[0]) is { } header && ParsePart(parts[1]) is { } claims ? (header, claims) : null;
    }

    private static JsonElement? ParsePart(string part)
    {
        try
        {
            using var document = JsonDocument.Parse(Base64Url.DecodeFromChars(part), StrictJson.Options);
            return document.RootElement.ValueKind == JsonValueKind.Object ? document.RootElement.Clone() : null;
        }
        catch (Exception exception) when (exception is FormatException or JsonException)
        {
            return null;
        }
    }

    private static DateTimeOffset? MomentOf(JsonElement claims, string name) =>
        claims.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetDouble(out var seconds) && seconds is >= 0 and < 253_000_000_000
            ? DateTimeOffset.FromUnixTimeMilliseconds((long)(seconds * 1000)) : null;
}
