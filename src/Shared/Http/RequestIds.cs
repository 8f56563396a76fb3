using Microsoft.Extensions.Primitives;

namespace Shared.Http;

/// <summary>Ids of requests: the client's own where it is fit for headers and logs, otherwise a new one.</summary>
internal static class RequestIds
{
    private const int MaxClientLength = 128;
    private const int TimeCharacters = 10;
    private const int RandomCharacters = 14;
    private const string Alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

    /// <summary>The client's id if it is 1 to 128 characters of <c>[A-Za-z0-9._-]</c>; otherwise a new one.</summary>
    public static string Choose(StringValues sent, TimeProvider clock) =>
        sent is [{ Length: > 0 and <= MaxClientLength } own] && IsSane(own) ? own : New(clock);

    /// <summary>A new id of 24 characters: 50 bits of milliseconds, so that ids sort by time, then 70 random bits.</summary>
    public static string New(TimeProvider clock) =>
        string.Create(TimeCharacters + RandomCharacters, clock.GetUtcNow().ToUnixTimeMilliseconds(), static (id, milliseconds) =>
        {
            for (var i = TimeCharacters - 1; i >= 0; i--)
            {
                id[i] = Alphabet[(int)(milliseconds & 31)];
                milliseconds >>= 5;
            }
            // Unique is enough, so no cryptographic randomness: an id opens nothing.
            var (left, right) = (Random.Shared.NextInt64(), Random.Shared.NextInt64());
            for (var i = 0; i < RandomCharacters / 2; i++)
            {
                id[TimeCharacters + i] = Alphabet[(int)((left >> (5 * i)) & 31)];
                id[TimeCharacters + (RandomCharacters / 2) + i] = Alphabet[(int)((right >> (5 * i)) & 31)];
            }
        });

    private static bool IsSane(string id)
    {
        foreach (var character in id)
        {
            if (!char.IsAsciiLetterOrDigit(character) && character is not ('.' or '_' or '-'))
            {
                return false;
            }
        }
        return true;
    }
}
