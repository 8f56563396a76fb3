using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Net;
using System.Text.Json;
using Microsoft.Extensions.Logging;
using Microsoft.IdentityModel.Tokens;
using Shared.Egress;

namespace Shared.SignIn;

/// <summary>What an issuer says of itself (RFC 8414, OpenID Connect Discovery).</summary>
internal sealed record IssuerMetadata
{
    public Uri? JwksUri { get; init; }

    public Uri? AuthorizationEndpoint { get; init; }

    public Uri? TokenEndpoint { get; init; }

    /// <summary>Whether clients may send their secret in the form only.</summary>
    public bool SecretInForm { get; init; }

    /// <summary>Whether its answers always name it (RFC 9207).</summary>
    public bool NamesItself { get; init; }
}

/// <summary>Issuers' metadata and keys, fetched when they are first needed and kept.</summary>
internal sealed class IssuerDirectory(SignInConnections connections, TimeProvider clock, ILogger<IssuerDirectory> logger)
{
    private readonly ConcurrentDictionary<(string Issuer, Uri? Jwks), IssuerSource> sources = new();

    /// <summary>The source of an issuer's keys; one for as long as its address stays the same.</summary>
    public IssuerSource Of(TokenIssuer issuer) =>
        sources.GetOrAdd((issuer.Issuer, issuer.JwksUri), key => new IssuerSource(key.Issuer, key.Jwks, connections, clock, logger));
}

/// <summary>One issuer's metadata and keys. What is kept goes on to count while the issuer cannot be asked.</summary>
internal sealed class IssuerSource(string issuer, Uri? jwks, SignInConnections connections, TimeProvider clock, ILogger logger)
{
    /// <summary>After this, keys are fetched again while the known ones serve.</summary>
    public static readonly TimeSpan FreshFor = TimeSpan.FromHours(1);

    /// <summary>After this without an answer of the issuer, its keys count no more.</summary>
    public static readonly TimeSpan KeptFor = TimeSpan.FromHours(24);

    /// <summary>At most this often an unknown key makes the gateway ask, and a failure ask again.</summary>
    public static readonly TimeSpan AskAgainAfter = TimeSpan.FromSeconds(15);

    private const int MaxKeys = 64;
    private const int MinRsaBits = 2048;

    private readonly Lock gate = new();
    private volatile Task? asking;
    private DateTimeOffset? asked;
    private volatile Known? known;

    /// <summary>The keys that a token of a key id may be signed with.</summary>
    /// <param name="keyId">The id; null: the token names none.</param>
    /// <param name="cancellationToken">Stops waiting.</param>
    /// <exception cref="SignInUnavailableException">The issuer cannot be asked, and without it nobody knows.</exception>
    public async Task<ImmutableArray<JsonWebKey>> KeysAsync(string? keyId, CancellationToken cancellationToken)
    {
        var current = await CurrentAsync(cancellationToken);
        var found = current.Find(keyId);
        if (!found.IsEmpty)
        {
            return found;
        }
        if (TryAsk() is { } refresh)
        {
            await refresh.WaitAsync(cancellationToken);
            return known!.Find(keyId);
        }
        // A key that is unknown to one that does not answer may be a new one of its.
        return asking is { IsFaulted: true } ? throw NotAsked() : known!.Find(keyId);
    }

    /// <summary>What the issuer says of itself.</summary>
    /// <exception cref="SignInUnavailableException">It cannot be asked, and was not before.</exception>
    public async Task<IssuerMetadata> MetadataAsync(CancellationToken cancellationToken) =>
        (await CurrentAsync(cancellationToken)).Metadata ?? throw new SignInUnavailableException($"{issuer} has no metadata that could be read");

    private async Task<Known> CurrentAsync(CancellationToken cancellationToken)
    {
        var now = clock.GetUtcNow();
        if (known is { } current && now - current.At < KeptFor)
        {
            if (now - current.At >= FreshFor)
            {
                _ = TryAsk()?.ContinueWith(static task => _ = task.Exception, CancellationToken.None, TaskContinuationOptions.OnlyOnFaulted, TaskScheduler.Default);
            }
            return current;
        }
        if (TryAsk() is { } answer)
        {
            await answer.WaitAsync(cancellationToken);
        }
        // Somebody else may have got an answer meanwhile.
        return known is { } fetched && now - fetched.At < KeptFor ? fetched : throw NotAsked();
    }

    private SignInUnavailableException NotAsked() => new($"{issuer} could not be asked for its keys; the next attempt is due within {AskAgainAfter.TotalSeconds} s");

    /// <summary>Asks the issuer, or joins whoever does; null: it was asked a moment ago.</summary>
    private Task? TryAsk()
    {
        lock (gate)
        {
            if (asking is { IsCompleted: false } running)
            {
                return running;
            }
            var now = clock.GetUtcNow();
            if (asked is { } before && now - before < AskAgainAfter)
            {
                return null;
            }
            asked = now;
            return asking = Task.Run(AskAsync);
        }
    }

    private async Task AskAsync()
    {
        try
        {
            var metadata = await DiscoverAsync();
            var address = jwks ?? metadata?.JwksUri ?? throw new SignInUnavailableException($"the metadata of {issuer} name no 'jwks_uri'");
            var reply = await connections.GetAsync(address, jwks is null ? TrustIn(address) : EgressTrust.Operator, SignInConnections.MaxIssuerBytes, CancellationToken.None);
            if (reply.Status != HttpStatusCode.OK || reply.Body is not { } body)
            {
                throw new SignInUnavailableException($"{address.GetLeftPart(UriPartial.Path)} answered with {(int)reply.Status} and no JSON object of keys");
            }
            var keys = KeysOf(body);
            known = keys.IsEmpty
                ? throw new SignInUnavailableException($"{address.GetLeftPart(UriPartial.Path)} has no key that signatures can be checked with (RSA of {MinRsaBits} bits or more, or elliptic curve)")
                : new Known(metadata, keys, clock.GetUtcNow());
        }
        catch (SignInUnavailableException exception)
        {
            logger.IssuerUnavailable(issuer, exception.Message);
            throw;
        }
    }

    private async Task<IssuerMetadata?> DiscoverAsync()
    {
        var address = new Uri(issuer);
        var path = address.AbsolutePath.TrimEnd('/');
        string[] places = [$"{path}/.well-known/openid-configuration", $"/.well-known/oauth-authorization-server{path}"];
        var problem = "";
        foreach (var place in places)
        {
            try
            {
                var reply = await connections.GetAsync(new Uri(address, place), EgressTrust.Operator, SignInConnections.MaxIssuerBytes, CancellationToken.None);
                if (reply is { Status: HttpStatusCode.OK, Body: { } body })
                {
                    // Anybody could otherwise hand out the metadata of somebody else.
                    return Claims.Text(body, "issuer") == issuer ? Read(body)
                        : throw new SignInUnavailableException($"the metadata at {place} name another issuer than '{issuer}'; 'issuer' must be written exactly as they do");
                }
                problem = $"{place} answered with {(int)reply.Status}";
            }
            catch (SignInUnavailableException) when (jwks is not null)
            {
                return null;
            }
        }
        return jwks is not null ? null : throw new SignInUnavailableException($"{issuer} has no metadata: {problem}");
    }

    private static IssuerMetadata Read(JsonElement body) => new()
    {
        JwksUri = AddressOf(body, "jwks_uri"),
        AuthorizationEndpoint = AddressOf(body, "authorization_endpoint"),
        TokenEndpoint = AddressOf(body, "token_endpoint"),
        SecretInForm = body.TryGetProperty("token_endpoint_auth_methods_supported", out var methods)
            && !Claims.Texts(methods).Contains("client_secret_basic") && Claims.Texts(methods).Contains("client_secret_post"),
        NamesItself = body.TryGetProperty("authorization_response_iss_parameter_supported", out var names) && names.ValueKind == JsonValueKind.True,
    };

    private static Uri? AddressOf(JsonElement body, string name) =>
        Uri.TryCreate(Claims.Text(body, name), UriKind.Absolute, out var address) && SignInCompiler.IsSafe(address) && address.UserInfo.Length == 0 ? address : null;

    /// <summary>The configuration vouches for the issuer's own host only.</summary>
    public EgressTrust TrustIn(Uri address) =>
        address.GetLeftPart(UriPartial.Authority).Equals(new Uri(issuer).GetLeftPart(UriPartial.Authority), StringComparison.OrdinalIgnoreCase) ? EgressTrust.Operator : EgressTrust.Remote;

    private static ImmutableArray<JsonWebKey> KeysOf(JsonElement body)
    {
        var keys = ImmutableArray.CreateBuilder<JsonWebKey>();
        if (body.TryGetProperty("keys", out var list) && list.ValueKind == JsonValueKind.Array)
        {
            foreach (var item in list.EnumerateArray().Take(MaxKeys))
            {
                if (TryRead(item) is { } key)
                {
                    keys.Add(key);
                }
            }
        }
        return keys.ToImmutable();
    }

    // A key that cannot be used is no key: the others still are.
    private static JsonWebKey? TryRead(JsonElement item)
    {
        try
        {
            var key = JsonWebKey.Create(item.GetRawText());
            return key.Use is null or "sig" && (key.Kty == JsonWebAlgorithmsKeyTypes.EllipticCurve || (key.Kty == JsonWebAlgorithmsKeyTypes.RSA && key.KeySize >= MinRsaBits)) ? key : null;
        }
        catch (Exception exception) when (exception is ArgumentException or JsonException or FormatException)
        {
            return null;
        }
    }

    private sealed record Known(IssuerMetadata? Metadata, ImmutableArray<JsonWebKey> Keys, DateTimeOffset At)
    {
        public ImmutableArray<JsonWebKey> Find(string? keyId) => keyId is null ? Keys : [.. Keys.Where(key => key.Kid == keyId)];
    }
}

internal static partial class SignInLog
{
    [LoggerMessage(LogLevel.Warning, "Sign-in: the issuer {Issuer} could not be asked: {Problem}.")]
    public static partial void IssuerUnavailable(this ILogger logger, string issuer, string problem);

    [LoggerMessage(LogLevel.Warning, "Sign-in {Id} through '{Client}' was ended: its refresh token was used twice, so somebody may have a copy of it.")]
    public static partial void RefreshTokenReused(this ILogger logger, string id, string client);

    [LoggerMessage(LogLevel.Debug, "Sign-in: a token was refused: {Problem}")]
    public static partial void TokenRefused(this ILogger logger, string problem);
}
