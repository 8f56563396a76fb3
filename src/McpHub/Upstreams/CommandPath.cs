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
        // Windows would start a file without an ending too, but such files are shell scripts that it cannot run.
        string[] suffixes = endings is null || Path.HasExtension(command) ? [""] : [.. endings.Split(';', StringSplitOptions.RemoveEmptyEntries)];
        return folders.SelectMany(_ => suffixes, (start, suffix) => Path.Combine(start, command + suffix)).FirstOrDefault(IsProgram);
    }

    private static bool IsProgram(string file) =>
        File.Exists(file) && (OperatingSystem.IsWindows() || (File.GetUnixFileMode(file) & (UnixFileMode.UserExecute | UnixFileMode.GroupExecute | UnixFileMode.OtherExecute)) != 0);
}
