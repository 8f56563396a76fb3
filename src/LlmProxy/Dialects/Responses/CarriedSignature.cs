using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>
/// Signatures in the place of <c>encrypted_content</c>, which clients send back as it came. OpenAI's own stand there as they are; those of other families behind a mark:
/// <c>anthropic#…</c> for what signs the item's text, <c>anthropic*#…</c> for redacted thoughts, <c>google@CALL#…</c> for what signs a call. Base64 has no <c>#</c>.
/// </summary>
/// <param name="Signature">The signature.</param>
/// <param name="IsRedacted">Whether it holds redacted thoughts.</param>
/// <param name="Call">The id of the call that it signs; none: it signs thoughts.</param>
internal readonly record struct CarriedSignature(NeutralSignature Signature, bool IsRedacted, JsonText Call)
{
    private const int MaxMark = 512;

    /// <summary>What a client sent.</summary>
    public static CarriedSignature Read(JsonText content)
    {
        var escaped = content.Escaped;
        var head = escaped.Span[..Math.Min(escaped.Length, MaxMark)];
        var end = head.IndexOf((byte)'#');
        if (end <= 0)
        {
            return new(new NeutralSignature(SignatureFamilies.OpenAi, content), false, default);
        }
        var data = JsonText.Piece(escaped[(end + 1)..]);
        var at = head[..end].IndexOf((byte)'@');
        var isRedacted = at < 0 && head[end - 1] == (byte)'*';
        var family = Encoding.UTF8.GetString(head[..(at >= 0 ? at : isRedacted ? end - 1 : end)]);
        return new(new NeutralSignature(family, data), isRedacted, at >= 0 ? JsonText.Piece(escaped[(at + 1)..end]) : default);
    }

    /// <summary>The token by which a client carries a signature.</summary>
    /// <param name="family">Whose it is.</param>
    /// <param name="dataToken">The data, a JSON string token.</param>
    /// <param name="isRedacted">Whether it holds redacted thoughts.</param>
    /// <param name="call">The id of the call that it signs, as it stands between quotes; empty: it signs thoughts.</param>
    public static byte[] Write(string family, ReadOnlySpan<byte> dataToken, bool isRedacted, ReadOnlySpan<byte> call) =>
        family == SignatureFamilies.OpenAi && !isRedacted && call.IsEmpty ? dataToken.ToArray()
        : call.IsEmpty ? [(byte)'"', .. Encoding.UTF8.GetBytes(family), .. isRedacted ? "*#"u8 : "#"u8, .. dataToken[1..]]
        : [(byte)'"', .. Encoding.UTF8.GetBytes(family), (byte)'@', .. call, (byte)'#', .. dataToken[1..]];
}
