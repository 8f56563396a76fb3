using System.Collections.Immutable;

namespace Shared.VirtualKeys;

/// <summary>Lists of globs over <c>server/name</c> in which one that begins with <c>!</c> takes away what the others give.</summary>
internal static class GlobList
{
    /// <summary>What a toolset is granted as.</summary>
    public const string ToolsetStart = "toolset:";

    /// <summary>Whether a name is given and not taken away.</summary>
    public static bool Allows(ImmutableArray<string> globs, string name, ImmutableDictionary<string, Toolset>? toolsets = null)
    {
        var allowed = false;
        foreach (var glob in globs)
        {
            if (glob.StartsWith('!'))
            {
                if (Matches(glob, 1, name, toolsets))
                {
                    return false;
                }
            }
            else
            {
                allowed = allowed || Matches(glob, 0, name, toolsets);
            }
        }
        return allowed;
    }

    /// <summary>Whether everything of a server is given and nothing of it taken away.</summary>
    public static bool CoversServer(ImmutableArray<string> globs, string server)
    {
        var start = server + "/";
        // A trailing star takes the rest of a name, whatever it is.
        return globs.Any(glob => glob.EndsWith('*') && !glob.StartsWith('!') && Glob.IsMatch(glob, start))
            && !globs.Any(glob => glob.StartsWith('!') && MayMatchBelow(glob.AsSpan(1), start));
    }

    /// <summary>Whether anything of a server may be given. Errs on the side of yes.</summary>
    public static bool MayReachServer(ImmutableArray<string> globs, string server, ImmutableDictionary<string, Toolset>? toolsets = null)
    {
        var start = server + "/";
        var may = false;
        foreach (var glob in globs)
        {
            if (glob.StartsWith('!'))
            {
                if (glob.EndsWith('*') && Glob.IsMatch(glob.AsSpan(1), start))
                {
                    return false;
                }
            }
            else
            {
                may = may || (FindToolset(glob, 0, toolsets) is { } toolset ? toolset.MayReachServer(server) : MayMatchBelow(glob, start));
            }
        }
        return may;
    }

    /// <summary>Whether a URI says in plain words what it stands for: without dot segments, backslashes, and separators that are encoded.</summary>
    public static bool IsPlainUri(string uri)
    {
        for (var i = 0; i < uri.Length; i++)
        {
            if (uri[i] is '\\' or <= ' ' or '\u007f')
            {
                return false;
            }
            if (uri[i] == '%' && i + 2 < uri.Length && byte.TryParse(uri.AsSpan(i + 1, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var value)
                && value is (byte)'.' or (byte)'/' or (byte)'\\' or (byte)'%' or < (byte)' ')
            {
                return false;
            }
            if (uri[i] == '.' && (i == 0 || uri[i - 1] is '/' or ':'))
            {
                var rest = uri.AsSpan(i).TrimStart('.');
                if (uri.Length - i - rest.Length <= 2 && (rest.IsEmpty || rest[0] is '/' or '?' or '#'))
                {
                    return false;
                }
            }
        }
        return true;
    }

    private static bool Matches(string glob, int from, string name, ImmutableDictionary<string, Toolset>? toolsets) =>
        FindToolset(glob, from, toolsets) is { } toolset ? toolset.IncludesTool(name) : Glob.IsMatch(glob.AsSpan(from), name);

    /// <summary>The toolset that a glob names, or null.</summary>
    public static Toolset? FindToolset(string glob, int from, ImmutableDictionary<string, Toolset>? toolsets) =>
        toolsets is { IsEmpty: false } && glob.AsSpan(from).StartsWith(ToolsetStart) ? toolsets.GetValueOrDefault(glob[(from + ToolsetStart.Length)..]) : null;

    /// <summary>Whether a glob may match a name that begins with a text. Only what stands before its first wildcard is looked at.</summary>
    private static bool MayMatchBelow(ReadOnlySpan<char> glob, string start)
    {
        var wildcard = glob.IndexOfAny('*', '?');
        var literal = wildcard < 0 ? glob : glob[..wildcard];
        return literal.StartsWith(start) || (wildcard >= 0 && start.AsSpan().StartsWith(literal));
    }
}
