using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;
using System.Text.RegularExpressions;
using Shared.Configuration;
using Shared.Storage;

namespace Shared.Stored;

/// <summary>
/// Seals secrets for the database with AES-256-GCM. The key is 32 bytes in base64, from the variable <c>GATEWAY_SECRETS_KEY</c>, or else from the file
/// <c>secrets.key</c> of the data folder, which the first secret makes, readable by its owner only. A sealed secret opens under its own name only.
/// </summary>
public sealed partial class SecretVault(string folder, Func<string, string?> environment)
{
    /// <summary>The variable that holds the key.</summary>
    public const string KeyVariable = "GATEWAY_SECRETS_KEY";

    /// <summary>The file of the data folder that holds the key where the variable is not set.</summary>
    public const string KeyFile = "secrets.key";

    private static readonly byte[] DisplayPurpose = "hashes as they are shown"u8.ToArray();

    private const byte Format = 1;
    private const int KeyBytes = 32;
    private const int NonceBytes = 12;
    private const int TagBytes = 16;

    private readonly Lock gate = new();
    private byte[]? key;
    private byte[]? displayKey;

    /// <summary>Encrypts a secret.</summary>
    /// <exception cref="StorageException">The key cannot be read or made.</exception>
    public byte[] Seal(string name, Secret secret)
    {
        var text = Encoding.UTF8.GetBytes(secret.Reveal());
        var sealedBytes = new byte[1 + NonceBytes + TagBytes + text.Length];
        sealedBytes[0] = Format;
        var nonce = sealedBytes.AsSpan(1, NonceBytes);
        RandomNumberGenerator.Fill(nonce);
        using var cipher = new AesGcm(Key(make: true)!, TagBytes);
        cipher.Encrypt(nonce, text, sealedBytes.AsSpan(1 + NonceBytes + TagBytes), sealedBytes.AsSpan(1 + NonceBytes, TagBytes), Encoding.UTF8.GetBytes(name));
        CryptographicOperations.ZeroMemory(text);
        return sealedBytes;
    }

    /// <summary>Decrypts a secret. False: it was sealed with another key or under another name, or there is no key.</summary>
    /// <exception cref="StorageException">The key cannot be read.</exception>
    public bool TryOpen(string name, byte[] sealedBytes, [NotNullWhen(true)] out Secret? secret)
    {
        secret = null;
        if (sealedBytes.Length < 1 + NonceBytes + TagBytes || sealedBytes[0] != Format || KnownKey() is not { } known)
        {
            return false;
        }
        var text = new byte[sealedBytes.Length - 1 - NonceBytes - TagBytes];
        using var cipher = new AesGcm(known, TagBytes);
        try
        {
            cipher.Decrypt(sealedBytes.AsSpan(1, NonceBytes), sealedBytes.AsSpan(1 + NonceBytes + TagBytes), sealedBytes.AsSpan(1 + NonceBytes, TagBytes), text, Encoding.UTF8.GetBytes(name));
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        secret = new Secret(Encoding.UTF8.GetString(text));
        return true;
    }

    /// <summary>A key of 32 bytes for another purpose, the same for as long as the vault's own key is.</summary>
    /// <param name="purpose">What it is for.</param>
    /// <exception cref="StorageException">The key cannot be read or made.</exception>
    public byte[] DeriveKey(string purpose) => HKDF.DeriveKey(HashAlgorithmName.SHA256, Key(make: true)!, KeyBytes, info: Encoding.UTF8.GetBytes(purpose));

    /// <summary>
    /// Replaces hashes of secrets in a text by keyed ones: equal where they were equal, and of no use to somebody who tries what a short secret might be. The
    /// key comes of the one that seals, so that only whoever has that could try.
    /// </summary>
    public string HideHashes(string text) => Hashes().Replace(text, hash => Hide(hash.Value));

    /// <summary>As <see cref="HideHashes"/>, but of secrets that people choose only; those of virtual keys cannot be guessed.</summary>
    public string HideGuessable(string text) => text.Contains(Secret.FingerprintStart, StringComparison.Ordinal) ? Fingerprints().Replace(text, hash => Hide(hash.Value)) : text;

    [GeneratedRegex("(sha256:)?(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")]
    private static partial Regex Hashes();

    [GeneratedRegex("sha256:[0-9a-f]{64}(?![0-9a-f])")]
    private static partial Regex Fingerprints();

    private string Hide(string hash) => $"hmac:{Convert.ToHexStringLower(HMACSHA256.HashData(DisplayKey(), Encoding.ASCII.GetBytes(hash)))[..16]}";

    private byte[] DisplayKey()
    {
        lock (gate)
        {
            return displayKey ??= HKDF.DeriveKey(HashAlgorithmName.SHA256, KeyOrRandom(), KeyBytes, info: DisplayPurpose);
        }
    }

    // Without a key that can be used, one that holds for as long as the process: then nothing can be compared with what was kept before.
    private byte[] KeyOrRandom()
    {
        try
        {
            return Key(make: true)!;
        }
        catch (StorageException)
        {
            return RandomNumberGenerator.GetBytes(KeyBytes);
        }
    }

    // A key file that is broken or unreadable makes its secrets unusable, and must not keep the gateway from starting. The variable is set by hand for this very start.
    private byte[]? KnownKey()
    {
        try
        {
            return Key(make: false);
        }
        catch (StorageException) when (environment(KeyVariable) is not { Length: > 0 })
        {
            return null;
        }
    }

    private byte[]? Key(bool make)
    {
        lock (gate)
        {
            return key ??= environment(KeyVariable) is { Length: > 0 } given ? Parse(given, $"the variable {KeyVariable}") : FromFile(make);
        }
    }

    private byte[]? FromFile(bool make)
    {
        var path = Path.Combine(folder, KeyFile);
        try
        {
            if (File.Exists(path))
            {
                return Parse(File.ReadAllText(path), $"the file {KeyFile} of the data folder");
            }
            return make ? MakeFile(path) : null;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new StorageException($"The key of the stored secrets, the file {KeyFile} of the data folder, cannot be used: {exception.GetType().Name}", exception);
        }
    }

    private static byte[] MakeFile(string path)
    {
        var made = RandomNumberGenerator.GetBytes(KeyBytes);
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
        if (!OperatingSystem.IsWindows())
        {
            options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        }
        using var stream = new FileStream(path, options);
        stream.Write(Encoding.ASCII.GetBytes(Convert.ToBase64String(made) + "\n"));
        stream.Flush(flushToDisk: true);
        return made;
    }

    private static byte[] Parse(string text, string where)
    {
        var bytes = new byte[KeyBytes + 1];
        return Convert.TryFromBase64String(text.Trim(), bytes, out var length) && length == KeyBytes
            ? bytes[..KeyBytes]
            : throw new StorageException($"The key of the stored secrets in {where} must be {KeyBytes} bytes in base64.");
    }
}
