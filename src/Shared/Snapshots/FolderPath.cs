using System.Diagnostics.CodeAnalysis;

namespace Shared.Snapshots;

/// <summary>
/// Paths as argument rules compare them: by their segments, with everything refused that a file system, a server or a URL decoder might read as another path.
/// What a link on the server's disk points to cannot be seen from here.
/// </summary>
public static class FolderPath
{
    // What compatibility normalisation turns into dots and slashes, and slashes of other scripts.
    private const string Lookalikes = "\uFF0E\u2024\u2025\u2026\uFE52\uFF0F\uFF3C\u2044\u2215\u29F8\u29F9\u29F5\uFE68\u3002\uFF61";

    /// <summary>Brings a path into the one form of it that is compared: separators are single slashes, none at the end but for a root.</summary>
    /// <param name="path">The path.</param>
    /// <param name="isWindows">Whether it is one of Windows: with backslashes as separators, and with more names that mean another one.</param>
    /// <param name="normal">The form.</param>
    /// <returns>Null, or why the path is refused, to be read after the argument's name.</returns>
    public static string? Normalize(string path, bool isWindows, out string normal)
    {
        normal = "";
        if (path.Length == 0)
        {
            return "is empty";
        }
        if (FindTrick(path, isWindows) is { } trick)
        {
            return trick;
        }
        var text = isWindows ? path.Replace('\\', '/') : path;
        if (text.StartsWith("//", StringComparison.Ordinal))
        {
            return "begins with two separators";
        }
        if (text[0] == '~')
        {
            return "begins with '~'";
        }
        var hasDrive = text.Length > 1 && text[1] == ':' && char.IsAsciiLetter(text[0]);
        if (HasScheme(text) && !(isWindows && hasDrive && text.IndexOf(':', 2) < 0) || (isWindows && !hasDrive && text.Contains(':', StringComparison.Ordinal)))
        {
            return "is no plain path";
        }
        if (isWindows && hasDrive && (text.Length == 2 || text[2] != '/'))
        {
            return "is relative to the current folder of a drive";
        }
        var segments = new List<string>();
        foreach (var segment in text.Split('/', StringSplitOptions.RemoveEmptyEntries))
        {
            if (segment == "..")
            {
                return "holds '..'";
            }
            if (isWindows && segment != "." && segment[^1] is '.' or ' ')
            {
                return "has a name that ends with a dot or a space";
            }
            if (segment != ".")
            {
                segments.Add(segment);
            }
        }
        normal = text[0] == '/' ? "/" + string.Join('/', segments) : string.Join('/', segments);
        return null;
    }

    /// <summary>Whether a path begins with a drive letter.</summary>
    public static bool IsWindows(string path) => path.Length > 2 && char.IsAsciiLetter(path[0]) && path[1] == ':' && path[2] is '/' or '\\';

    /// <summary>Whether a path is a folder or lies below it.</summary>
    /// <param name="path">The path, as a caller gave it.</param>
    /// <param name="folders">Normalised folders.</param>
    /// <param name="wrong">Why not, to be read after the argument's name.</param>
    public static bool IsWithin(string path, IReadOnlyList<string> folders, [NotNullWhen(false)] out string? wrong)
    {
        wrong = null;
        foreach (var folder in folders)
        {
            var isWindows = IsWindows(folder + "/");
            if (Normalize(path, isWindows, out var normal) is { } trick)
            {
                wrong = trick;
                continue;
            }
            if (IsBelow(normal, folder, isWindows ? StringComparison.OrdinalIgnoreCase : StringComparison.Ordinal))
            {
                wrong = null;
                return true;
            }
            wrong = null;
        }
        wrong ??= $"is not below {string.Join(" or ", folders.Select(folder => folder.Length == 0 ? "." : folder))}";
        return false;
    }

    private static bool IsBelow(string path, string folder, StringComparison comparison) =>
        folder.Length == 0 ? !path.StartsWith('/')
        : folder == "/" ? path.StartsWith('/')
        : path.StartsWith(folder, comparison) && (path.Length == folder.Length || path[folder.Length] == '/');

    private static string? FindTrick(string path, bool isWindows)
    {
        for (var i = 0; i < path.Length; i++)
        {
            var c = path[i];
            if (char.IsControl(c) || char.IsSurrogate(c) && !IsPair(path, i))
            {
                return "holds a control character";
            }
            if (c == '\\' && !isWindows)
            {
                return "holds a backslash";
            }
            if (Lookalikes.Contains(c, StringComparison.Ordinal))
            {
                return "holds a character that looks like a dot or a separator";
            }
            if (c == '%' && i + 2 < path.Length && byte.TryParse(path.AsSpan(i + 1, 2), System.Globalization.NumberStyles.AllowHexSpecifier, null, out var value)
                && value is (byte)'.' or (byte)'/' or (byte)'\\' or (byte)'%' or (byte)'~' or (byte)':' or < (byte)' ' or >= 0x80)
            {
                return "holds an encoded character";
            }
        }
        return null;
    }

    private static bool IsPair(string path, int i) =>
        char.IsHighSurrogate(path[i]) ? i + 1 < path.Length && char.IsLowSurrogate(path[i + 1]) : i > 0 && char.IsHighSurrogate(path[i - 1]);

    private static bool HasScheme(string path)
    {
        var colon = path.IndexOf(':', StringComparison.Ordinal);
        return colon > 0 && char.IsAsciiLetter(path[0]) && path.AsSpan(0, colon).IndexOfAnyExcept("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+-.") < 0;
    }
}
