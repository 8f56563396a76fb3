namespace McpHub.Upstreams;

/// <summary>Finds programs as a shell would.</summary>
internal static class CommandPath
{
    /// <summary>The command to start: on Windows with the ending that makes it a program (<c>npx</c> is <c>npx.cmd</c> there); elsewhere as it is.</summary>
    public static string Resolve(string command)
    {
        if (!OperatingSystem.IsWindows() || Path.HasExtension(command))
        {
            return command;
        }
        var endings = (Environment.GetEnvironmentVariable("PATHEXT") ?? ".COM;.EXE;.BAT;.CMD").Split(';', StringSplitOptions.RemoveEmptyEntries);
        var folders = Path.IsPathRooted(command) ? [""] : (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries);
        return folders.SelectMany(_ => endings, (folder, ending) => Path.Combine(folder, command + ending)).FirstOrDefault(File.Exists) ?? command;
    }
}
