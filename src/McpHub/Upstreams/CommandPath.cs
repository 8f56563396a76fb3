namespace McpHub.Upstreams;

/// <summary>Finds programs as a shell would: on the PATH, and nowhere else that was not named.</summary>
internal static class CommandPath
{
    /// <summary>The full path of a command; null: there is no such program.</summary>
    /// <param name="command">A name to be looked up, or a path.</param>
    /// <param name="path">The PATH that counts.</param>
    /// <param name="endings">On Windows the PATHEXT that counts (<c>npx</c> is <c>npx.cmd</c> there); elsewhere null.</param>
    /// <param name="folder">The folder that a relative path begins at.</param>
    public static string? Find(string command, string? path, string? endings, string folder)
    {
        var isPath = command.Contains('/', StringComparison.Ordinal) || (OperatingSystem.IsWindows() && command.Contains('\\', StringComparison.Ordinal));
        string[] folders = isPath ? [folder] : (path ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return folders.SelectMany(_ => Suffixes(command, endings), (start, suffix) => Path.Combine(start, command + suffix)).FirstOrDefault(IsProgram);
    }

    /// <summary>What is tried after the name, in order.</summary>
    private static string[] Suffixes(string command, string? endings)
    {
        if (endings is null)
        {
            return [""];
        }
        string[] all = endings.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (all.Contains(Path.GetExtension(command), StringComparer.OrdinalIgnoreCase))
        {
            return [""];
        }
        // A file without an ending is a shell script that Windows cannot run. A dot may belong to the name (server-2.1), or be an ending that PATHEXT lacks.
        return Path.HasExtension(command) ? [.. all, ""] : all;
    }

    private static bool IsProgram(string file) =>
        File.Exists(file) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(file) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);
}
