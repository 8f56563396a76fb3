using System.Text.Json;

namespace LlmProxy.Usage;

/// <summary>Reads the counts that providers give of what was used.</summary>
internal static class TokenCount
{
    /// <summary>Figures beyond this are nonsense; they are cut, so that no sum of them overflows.</summary>
    public const long Most = 1_000_000_000_000;

    /// <summary>Reads the value of the member whose name the reader stands on. False, and the count stays as it is: it is no number, or a negative one that is not whole.</summary>
    public static bool TryRead(ref Utf8JsonReader reader, ref long count)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.Number)
        {
            if (reader.TryGetInt64(out var whole))
            {
                count = Math.Clamp(whole, 0, Most);
                return true;
            }
            if (reader.TryGetDouble(out var number) && number >= 0)
            {
                count = (long)Math.Ceiling(Math.Min(number, Most));
                return true;
            }
        }
        reader.Skip();
        return false;
    }
}
