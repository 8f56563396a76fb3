using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using Shared.Stored;

namespace Shared.SignIn;

/// <summary>Signs and seals what the gateway hands out and takes back later, with keys that come of the vault's: each purpose has one of its own.</summary>
internal sealed class SignInSecrets(SecretVault vault)
{
    private const int MacBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly Dictionary<string, byte[]> keys = new(StringComparer.Ordinal);
    private readonly Lock gate = new();

    /// <summary>A text that holds some bytes and that nobody else can have made.</summary>
    public string Sign(string purpose, ReadOnlySpan<byte> payload)
    {
        var bytes = new byte[payload.Length + MacBytes];
        payload.CopyTo(bytes);
        HMACSHA256.HashData(KeyOf(purpose), payload, bytes.AsSpan(payload.Length));
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>The bytes of a signed text. False: it was not signed here for that purpose.</summary>
    public bool TryVerify(string purpose, ReadOnlySpan<char> text, [NotNullWhen(true)] out byte[]? payload)
    {
        payload = null;
        if (Decode(text) is not { Length: > MacBytes } bytes)
        {
            return false;
        }
        Span<byte> mac = stackalloc byte[MacBytes];
        HMACSHA256.HashData(KeyOf(purpose), bytes.AsSpan(0, bytes.Length - MacBytes), mac);
        if (!CryptographicOperations.FixedTimeEquals(mac, bytes.AsSpan(bytes.Length - MacBytes)))
        {
            return false;
        }
        payload = bytes[..^MacBytes];
        return true;
    }

    /// <summary>A text that holds another, which nobody else can read or make.</summary>
    public string Seal(string purpose, string text)
    {
        var plain = Encoding.UTF8.GetBytes(text);
        var bytes = new byte[NonceBytes + TagBytes + plain.Length];
        RandomNumberGenerator.Fill(bytes.AsSpan(0, NonceBytes));
        using var cipher = new AesGcm(KeyOf(purpose), TagBytes);
        cipher.Encrypt(bytes.AsSpan(0, NonceBytes), plain, bytes.AsSpan(NonceBytes + TagBytes), bytes.AsSpan(NonceBytes, TagBytes));
        return Base64Url.EncodeToString(bytes);
    }

    /// <summary>What a sealed text holds. False: it was not sealed here for that purpose.</summary>
    public bool TryOpen(string purpose, string text, [NotNullWhen(true)] out string? opened)
    {
        opened = null;
        if (Decode(text) is not { Length: >= NonceBytes + TagBytes } bytes)
        {
            return false;
        }
        var plain = new byte[bytes.Length - NonceBytes - TagBytes];
        using var cipher = new AesGcm(KeyOf(purpose), TagBytes);
        try
        {
            cipher.Decrypt(bytes.AsSpan(0, NonceBytes), bytes.AsSpan(NonceBytes + TagBytes), bytes.AsSpan(NonceBytes, TagBytes), plain);
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        opened = Encoding.UTF8.GetString(plain);
        return true;
    }

    private static byte[]? Decode(ReadOnlySpan<char> text)
    {
        try
        {
            return Base64Url.DecodeFromChars(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }

    private byte[] KeyOf(string purpose)
    {
        lock (gate)
        {
            return keys.TryGetValue(purpose, out var key) ? key : keys[purpose] = vault.DeriveKey("sign-in " + purpose);
        }
    }
}
