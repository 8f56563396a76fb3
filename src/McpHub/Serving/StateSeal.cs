using System.Buffers.Binary;
using System.Buffers.Text;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace McpHub.Serving;

/// <summary>What a <c>requestState</c> of the gateway leads to.</summary>
internal enum StateKind : byte
{
    /// <summary>A call that waits here for its client's answers.</summary>
    Held = 1,

    /// <summary>The state that a tool server gave.</summary>
    Upstream = 2,
}

/// <summary>
/// Seals what clients carry from one request to its retry: they can neither read nor change it, nobody else can use it, for nothing but the same request, and not for long
/// (specification 2026-07-28, basic/utilities/mrtr, security considerations). AES-256-GCM; the caller and the request are bound as associated data.
/// </summary>
/// <param name="deriveKey">Gives the 32 bytes of the key when they are first needed.</param>
/// <param name="clock">The time.</param>
internal sealed class StateSeal(Func<byte[]> deriveKey, TimeProvider clock) : IDisposable
{
    /// <summary>How long a state may be used.</summary>
    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(10);

    /// <summary>The largest state of a tool server, in bytes.</summary>
    public const int MaxBytes = 256 * 1024;

    private const int NonceBytes = 12;
    private const int TagBytes = 16;
    private const int HeadBytes = 9;

    private readonly Lazy<AesGcm> cipher = new(() => new AesGcm(deriveKey(), TagBytes));

    /// <summary>Seals a state.</summary>
    /// <param name="kind">What it leads to.</param>
    /// <param name="payload">What is to come back.</param>
    /// <param name="binding">Who may use it for which request.</param>
    public string Seal(StateKind kind, ReadOnlySpan<byte> payload, string binding)
    {
        var plain = new byte[HeadBytes + payload.Length];
        plain[0] = (byte)kind;
        BinaryPrimitives.WriteInt64BigEndian(plain.AsSpan(1), (clock.GetUtcNow() + Lifetime).ToUnixTimeMilliseconds());
        payload.CopyTo(plain.AsSpan(HeadBytes));
        var whole = new byte[NonceBytes + TagBytes + plain.Length];
        RandomNumberGenerator.Fill(whole.AsSpan(0, NonceBytes));
        cipher.Value.Encrypt(whole.AsSpan(0, NonceBytes), plain, whole.AsSpan(NonceBytes + TagBytes), whole.AsSpan(NonceBytes, TagBytes), Encoding.UTF8.GetBytes(binding));
        return Base64Url.EncodeToString(whole);
    }

    /// <summary>Opens a state. False: it was not made here, for another caller or request, or too long ago.</summary>
    public bool TryOpen(string state, string binding, out StateKind kind, [NotNullWhen(true)] out byte[]? payload)
    {
        (kind, payload) = (default, null);
        if (state.Length > (MaxBytes * 4 / 3) + 256 || !Base64Url.IsValid(state))
        {
            return false;
        }
        var whole = Base64Url.DecodeFromChars(state);
        if (whole.Length < NonceBytes + TagBytes + HeadBytes)
        {
            return false;
        }
        var plain = new byte[whole.Length - NonceBytes - TagBytes];
        try
        {
            cipher.Value.Decrypt(whole.AsSpan(0, NonceBytes), whole.AsSpan(NonceBytes + TagBytes), whole.AsSpan(NonceBytes, TagBytes), plain, Encoding.UTF8.GetBytes(binding));
        }
        catch (AuthenticationTagMismatchException)
        {
            return false;
        }
        kind = (StateKind)plain[0];
        payload = plain[HeadBytes..];
        return BinaryPrimitives.ReadInt64BigEndian(plain.AsSpan(1)) > clock.GetUtcNow().ToUnixTimeMilliseconds();
    }

    public void Dispose()
    {
        if (cipher.IsValueCreated)
        {
            cipher.Value.Dispose();
        }
    }
}
