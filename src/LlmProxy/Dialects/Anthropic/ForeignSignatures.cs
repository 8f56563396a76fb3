using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// Signatures of other families in the place of Anthropic's: <c>google#…</c>, <c>openai#…</c>. So a client that knows Anthropic's format alone keeps another vendor's
/// reasoning through the turns of a conversation, as it keeps Anthropic's. Anthropic's own are base64, which has no <c>#</c>.
/// </summary>
internal static class ForeignSignatures
{
    private static readonly (string Family, byte[] Prefix)[] Known =
    [
        (SignatureFamilies.Google, Prefix(SignatureFamilies.Google)),
        (SignatureFamilies.OpenAi, Prefix(SignatureFamilies.OpenAi)),
    ];

    /// <summary>What stands before the data of a family; empty: it is Anthropic's own, or one that nobody here knows.</summary>
    public static ReadOnlySpan<byte> PrefixOf(string family)
    {
        foreach (var (known, prefix) in Known)
        {
            if (known == family)
            {
                return prefix;
            }
        }
        return default;
    }

    /// <summary>Whether a family's data can be carried.</summary>
    public static bool CanCarry(string family) => family == SignatureFamilies.Anthropic || !PrefixOf(family).IsEmpty;

    /// <summary>The signature that a client sent back.</summary>
    public static NeutralSignature Read(JsonText data)
    {
        foreach (var (family, prefix) in Known)
        {
            if (data.Escaped.Span.StartsWith(prefix))
            {
                return new NeutralSignature(family, JsonText.Piece(data.Escaped[prefix.Length..]));
            }
        }
        return new NeutralSignature(SignatureFamilies.Anthropic, data);
    }

    private static byte[] Prefix(string family) => Encoding.ASCII.GetBytes(family + "#");
}
