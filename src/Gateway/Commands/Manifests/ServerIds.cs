using System.Text;

namespace Gateway.Commands.Manifests;

/// <summary>Makes ids, which are names of files as well, from the names that other programs' files use. A name that means a place on a disk is refused.</summary>
internal static class ServerIds
{
    private const int Longest = 64;
    private static readonly string[] DeviceNames =
    [
        "con", "prn", "aux", "nul", "conin$", "conout$",
        .. Enumerable.Range(0, 10).SelectMany(number => new[] { $"com{number}", $"lpt{number}" }), "com¹", "com²", "com³", "lpt¹", "lpt²", "lpt³",
    ];

    /// <summary>The id of a name, or null with the reason.</summary>
    public static (string? Id, string? Refusal) Of(string name)
    {
        if (name.Length is 0 or > 256 || name.Any(char.IsControl) || name.Any(char.IsSurrogate))
        {
            return (null, "a name has 1 to 256 characters, none of them a control character");
        }
        var parts = name.Split('/', '\\');
        if (name[0] is '/' or '\\' or '~' || parts.Any(part => part.Trim() is "." or "..") || (name.Length > 1 && name[1] == ':' && char.IsAsciiLetter(name[0])))
        {
            return (null, "the name is a path, which could lead out of the folder of manifests");
        }
        // Only the last part tells servers apart in names such as io.github.someone/weather.
        var id = Slug(parts.LastOrDefault(part => part.Length > 0) ?? "");
        if (id.Length == 0)
        {
            return (null, "the name holds no letter or digit that an id could be made from");
        }
        if (DeviceNames.Contains(name.Split('.')[0].Trim().ToLowerInvariant()) || DeviceNames.Contains(id.Split('.')[0].ToLowerInvariant()))
        {
            return (null, "the name is one of those that Windows keeps for devices");
        }
        return string.Equals(id, "gateway", StringComparison.OrdinalIgnoreCase) ? (null, "the id 'gateway' is taken by the gateway's own tools; rename the entry") : (id, null);
    }

    private static string Slug(string text)
    {
        var slug = new StringBuilder();
        foreach (var c in text.ToLowerInvariant())
        {
            if (char.IsAsciiLetterOrDigit(c) || (slug.Length > 0 && c is '.' or '_'))
            {
                slug.Append(c);
            }
            else if (slug.Length > 0 && slug[^1] != '-')
            {
                slug.Append('-');
            }
        }
        return (slug.Length > Longest ? slug.ToString(0, Longest) : slug.ToString()).TrimEnd('-', '.');
    }
}
