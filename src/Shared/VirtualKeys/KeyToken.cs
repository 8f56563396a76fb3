using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Security.Cryptography;
using System.Text;

namespace Shared.VirtualKeys;

/// <summary>
/// A credential that the gateway issues, as its holder sends it: <c>sk-gw-&lt;id&gt;-&lt;secret&gt;&lt;checksum&gt;</c> for a virtual key,
/// <c>ak-gw-…</c> for an admin key. The id (10 characters) is public; the secret (32 characters of base62, 190 bits) is shown once; the checksum
/// (6 characters, CRC-32C of all before it) lets a secret scanner, and us, tell a mistyped key from an unknown one.
/// </summary>
public static class KeyToken
{
    /// <summary>How a virtual key begins.</summary>
    public const string VirtualKeyPrefix = "sk-gw-";

    /// <summary>How an admin key begins.</summary>
    public const string AdminKeyPrefix = "ak-gw-";

    /// <summary>Length of a key's id in characters.</summary>
    public const int IdLength = 10;

    private const int SecretLength = 32;
    private const int ChecksumLength = 6;
    private const int PrefixLength = 6;
    private const int Length = PrefixLength + IdLength + 1 + SecretLength + ChecksumLength;
    private const string Base62 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    private const string IdAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    /// <summary>A new virtual key: the token to show once, its id, and the hash to store.</summary>
    public static IssuedKey NewVirtualKey() => New(VirtualKeyPrefix);

    /// <summary>Another secret for a virtual key: a token of the same id.</summary>
    public static IssuedKey NewSecret(string id) => New(VirtualKeyPrefix, id);

    /// <summary>A new admin key: the token to show once, its id, and the hash to store.</summary>
    public static IssuedKey NewAdminKey() => New(AdminKeyPrefix);

    /// <summary>Whether a text holds what looks like a key of the gateway's.</summary>
    public static bool Occurs(string text) => text.Contains(VirtualKeyPrefix, StringComparison.OrdinalIgnoreCase) || text.Contains(AdminKeyPrefix, StringComparison.OrdinalIgnoreCase);

    /// <summary>Takes a token apart. False where its form or checksum is wrong; nothing is then known about whose it is.</summary>
    /// <param name="token">The credential as received.</param>
    /// <param name="prefix">The kind of key expected.</param>
    /// <param name="id">The key's id.</param>
    /// <param name="secretHash">SHA-256 of the secret, 32 bytes.</param>
    public static bool TryParse(ReadOnlySpan<char> token, string prefix, [NotNullWhen(true)] out string? id, Span<byte> secretHash)
    {
        id = null;
        if (token.Length != Length || !token.StartsWith(prefix, StringComparison.Ordinal) || token[PrefixLength + IdLength] != '-')
        {
            return false;
        }
        Span<byte> ascii = stackalloc byte[Length];
        if (Encoding.ASCII.GetBytes(token, ascii) != Length)
        {
            return false;
        }
        Span<char> checksum = stackalloc char[ChecksumLength];
        WriteChecksum(ascii[..^ChecksumLength], checksum);
        if (!token[^ChecksumLength..].SequenceEqual(checksum))
        {
            return false;
        }
        SHA256.HashData(ascii.Slice(PrefixLength + IdLength + 1, SecretLength), secretHash);
        id = token.Slice(PrefixLength, IdLength).ToString();
        return true;
    }

    /// <summary>A token with all but its id masked, fit for a log or a list.</summary>
    public static string Mask(string prefix, string id) => $"{prefix}{id}-…";

    /// <summary>A whole token, from all of it but the checksum.</summary>
    internal static string WithChecksum(string body)
    {
        Span<char> checksum = stackalloc char[ChecksumLength];
        WriteChecksum(Encoding.ASCII.GetBytes(body), checksum);
        return body + checksum.ToString();
    }

    private static IssuedKey New(string prefix) => New(prefix, RandomNumberGenerator.GetString(IdAlphabet, IdLength));

    private static IssuedKey New(string prefix, string id)
    {
        var secret = RandomNumberGenerator.GetString(Base62, SecretLength);
        return new IssuedKey(id, WithChecksum($"{prefix}{id}-{secret}"), SHA256.HashData(Encoding.ASCII.GetBytes(secret)));
    }

    private static void WriteChecksum(ReadOnlySpan<byte> body, Span<char> checksum)
    {
        var sum = ~0u;
        foreach (var b in body)
        {
            sum = BitOperations.Crc32C(sum, b);
        }
        sum = ~sum;
        for (var i = ChecksumLength - 1; i >= 0; i--)
        {
            checksum[i] = Base62[(int)(sum % 62)];
            sum /= 62;
        }
    }
}

/// <summary>A key at the moment of its making.</summary>
/// <param name="Id">Its public id.</param>
/// <param name="Token">The whole credential, to be shown once and never stored.</param>
/// <param name="SecretHash">SHA-256 of its secret, to be stored.</param>
public sealed record IssuedKey(string Id, string Token, byte[] SecretHash);
