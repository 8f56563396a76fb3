using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Signatures of other providers' models on their way through a client of Google's: it gives each part's <c>thoughtSignature</c> back as it came, if only it is base64, since
/// some clients keep it as bytes. So another family's signature travels in it under a mark, and comes back as what it was.
/// </summary>
internal static class GeminiSignature
{
    /// <summary>"agw!" is how the bytes begin; base64 leaves the first five characters alone, whatever follows.</summary>
    private static ReadOnlySpan<byte> Mark => "YWd3I"u8;

    private const string Head = "agw!";

    /// <summary>The token of a signature as a client of Google's carries it.</summary>
    /// <param name="family">Whose it is.</param>
    /// <param name="data">The signature, a JSON string token.</param>
    /// <param name="isRedacted">Whether it holds redacted thoughts.</param>
    public static byte[] Wrap(string family, ReadOnlySpan<byte> data, bool isRedacted)
    {
        if (family == SignatureFamilies.Google && !isRedacted)
        {
            return data.ToArray();
        }
        byte[] bytes = [.. Encoding.ASCII.GetBytes($"{Head}{family}{(isRedacted ? "*" : "")}\n"), .. data[1..^1]];
        return Encoding.ASCII.GetBytes($"\"{Convert.ToBase64String(bytes)}\"");
    }

    /// <summary>What a client gave back.</summary>
    public static (NeutralSignature Signature, bool IsRedacted) Unwrap(JsonText token)
    {
        var escaped = token.Escaped.Span;
        if (escaped.StartsWith(Mark))
        {
            var bytes = new byte[escaped.Length];
            var text = token.ToString().Replace('-', '+').Replace('_', '/');
            if (Convert.TryFromBase64String(text.PadRight(text.Length + ((4 - (text.Length % 4)) % 4), '='), bytes, out var length))
            {
                var data = bytes.AsSpan(0, length);
                var end = data.IndexOf((byte)'\n');
                if (end > Head.Length && data.StartsWith("agw!"u8) && data[(end + 1)..].IndexOfAnyInRange((byte)0, (byte)0x1F) < 0)
                {
                    var family = Encoding.ASCII.GetString(data[Head.Length..end]);
                    var isRedacted = family.EndsWith('*');
                    return (new NeutralSignature(isRedacted ? family[..^1] : family, JsonText.FromEscaped(data[(end + 1)..])), isRedacted);
                }
            }
        }
        return (new NeutralSignature(SignatureFamilies.Google, token), false);
    }
}
