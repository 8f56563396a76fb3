namespace Shared.VirtualKeys;

/// <summary>Globs as grants use them: <c>*</c> stands for any run of characters (a slash included), <c>?</c> for one; all else is literal and case-sensitive.</summary>
public static class Glob
{
    /// <summary>Whether a text matches a glob. Linear in practice, at most quadratic; allocates nothing.</summary>
    public static bool IsMatch(ReadOnlySpan<char> glob, ReadOnlySpan<char> text)
    {
        int g = 0, t = 0, star = -1, mark = 0;
        while (t < text.Length)
        {
            if (g < glob.Length && (glob[g] == '?' || (glob[g] != '*' && glob[g] == text[t])))
            {
                g++;
                t++;
            }
            else if (g < glob.Length && glob[g] == '*')
            {
                star = g++;
                mark = t;
            }
            else if (star >= 0)
            {
                g = star + 1;
                t = ++mark;
            }
            else
            {
                return false;
            }
        }
        while (g < glob.Length && glob[g] == '*')
        {
            g++;
        }
        return g == glob.Length;
    }
}
