using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Security.Cryptography;
using Microsoft.AspNetCore.Http;
using Shared.VirtualKeys;

namespace Shared.Http;

/// <summary>Knows the admin keys.</summary>
public interface IAdminAuthenticator
{
    /// <summary>Whether a token is an admin key that holds. In memory; compares in fixed time.</summary>
    bool TryVerify(ReadOnlySpan<char> token, [NotNullWhen(true)] out AdminKey? key);
}

/// <summary>Finds out who sends a request. Decides from the request's snapshot alone, without I/O.</summary>
internal sealed class CallerAuthentication(IAdminAuthenticator admins, RevokedKeys revokedKeys, TimeProvider clock)
{
    /// <summary>Sets the caller, or says why there is none. A key's state is told only to who holds its secret.</summary>
    /// <param name="context">The request.</param>
    /// <param name="request">What is known of it.</param>
    /// <param name="kind">Whose credential is wanted.</param>
    /// <param name="queryParameter">The parameter of the query in which it may stand, too; null: none.</param>
    public GatewayError? Authenticate(HttpContext context, GatewayRequest request, CallerKind kind, string? queryParameter = null)
    {
        if (kind == CallerKind.Anonymous)
        {
            return null;
        }
        if (Credential.Find(context.Request.Headers, Credential.TakeFromQuery(context.Request, queryParameter), out var token) is { } error)
        {
            return error;
        }
        Span<byte> secretHash = stackalloc byte[SHA256.HashSizeInBytes];
        var prefix = kind == CallerKind.Admin ? KeyToken.AdminKeyPrefix : KeyToken.VirtualKeyPrefix;
        if (!KeyToken.TryParse(token, prefix, out var id, secretHash))
        {
            return Malformed(token, kind);
        }
        return kind == CallerKind.Admin ? AdmitAdmin(context, token, id) : AdmitKey(context, request, id, secretHash);
    }

    private GatewayError? AdmitAdmin(HttpContext context, string token, string id)
    {
        if (!admins.TryVerify(token, out var key))
        {
            return Unknown(KeyToken.AdminKeyPrefix, id);
        }
        if (key.ReadOnly && !HttpMethods.IsGet(context.Request.Method) && !HttpMethods.IsHead(context.Request.Method))
        {
            return new GatewayError(StatusCodes.Status403Forbidden, "read_only_admin_key", $"The admin key {KeyToken.Mask(KeyToken.AdminKeyPrefix, id)} may only read.");
        }
        context.User = CallerIdentity.OfAdmin(key.Id);
        return null;
    }

    private GatewayError? AdmitKey(HttpContext context, GatewayRequest request, string id, ReadOnlySpan<byte> secretHash)
    {
        if (request.Snapshot.Part<KeyDirectory>().Find(id) is not { } entry || SecretOf(entry.Key, secretHash) is not { } secret)
        {
            return Unknown(KeyToken.VirtualKeyPrefix, id);
        }
        var key = entry.Key;
        if (secret.ValidUntil is { } until && until <= clock.GetUtcNow())
        {
            return Credential.Refused("rotated_api_key", $"The secret of the key {Masked(key)} was replaced, and the old one held until {Text(until)}.");
        }
        if ((key.RevokedAt ?? revokedKeys.Find(key.Id)) is { } revoked)
        {
            return Credential.Refused("revoked_api_key", $"The key {Masked(key)} was revoked at {Text(revoked)}.");
        }
        if (key.ExpiresAt is { } expires && expires <= clock.GetUtcNow())
        {
            return Credential.Refused("expired_api_key", $"The key {Masked(key)} expired at {Text(expires)}.");
        }
        request.Key = key;
        context.User = entry.Principal;
        return null;
    }

    private static KeySecret? SecretOf(VirtualKey key, ReadOnlySpan<byte> secretHash)
    {
        KeySecret? found = null;
        foreach (var secret in key.Secrets)
        {
            found = CryptographicOperations.FixedTimeEquals(secret.Hash, secretHash) ? secret : found;
        }
        return found;
    }

    private static GatewayError Malformed(string token, CallerKind kind)
    {
        var (wanted, prefix) = kind == CallerKind.Admin ? ("an admin key", KeyToken.AdminKeyPrefix) : ("a virtual key", KeyToken.VirtualKeyPrefix);
        if (token.StartsWith(prefix, StringComparison.Ordinal))
        {
            return Credential.Refused("malformed_api_key", "The key's checksum does not match: was it cut or mistyped?");
        }
        return token.StartsWith(KeyToken.AdminKeyPrefix, StringComparison.Ordinal) || token.StartsWith(KeyToken.VirtualKeyPrefix, StringComparison.Ordinal)
            ? Credential.Refused("wrong_key_kind", $"This endpoint wants {wanted} ('{prefix}…'); the other kind does not work here.")
            : Credential.Refused("invalid_api_key", $"The credential is not a key of this gateway. This endpoint wants {wanted} ('{prefix}…').");
    }

    private static GatewayError Unknown(string prefix, string id) =>
        Credential.Refused("unknown_api_key", $"The key {KeyToken.Mask(prefix, id)} is not known here.");

    private static string Masked(VirtualKey key) => KeyToken.Mask(KeyToken.VirtualKeyPrefix, key.Id);

    private static string Text(DateTimeOffset moment) => moment.UtcDateTime.ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture);
}
