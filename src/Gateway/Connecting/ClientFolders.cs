namespace Gateway.Connecting;

/// <summary>The systems whose clients keep their files in different places.</summary>
internal enum ClientSystem
{
    Linux,
    MacOs,
    Windows,
}

/// <summary>Where clients keep their files.</summary>
/// <param name="System">The system to show first.</param>
/// <param name="Home">The user's home folder.</param>
/// <param name="AppData">The user's folder of programs' settings, on Windows.</param>
/// <param name="Project">The folder of a project.</param>
internal sealed record ClientFolders(ClientSystem System, string Home, string AppData, string Project)
{
    /// <summary>The folders of this user on this machine.</summary>
    public static ClientFolders OfThisUser() => new(
        OperatingSystem.IsWindows() ? ClientSystem.Windows : OperatingSystem.IsMacOS() ? ClientSystem.MacOs : ClientSystem.Linux,
        Environment.GetFolderPath(Environment.SpecialFolder.UserProfile),
        Environment.GetFolderPath(Environment.SpecialFolder.ApplicationData),
        Environment.CurrentDirectory);

    /// <summary>A file in the home folder; it is the same on all systems.</summary>
    public string InHome(params string[] parts) => Path.Combine([Home, .. parts]);

    /// <summary>A file in the project.</summary>
    public string InProject(params string[] parts) => Path.Combine([Project, .. parts]);

    /// <summary>A file that each system keeps elsewhere: the one of this system first.</summary>
    public IReadOnlyList<ClientFile> OfEachSystem(params string[] parts) =>
    [
        .. new[]
        {
            Of(ClientSystem.MacOs, "macOS", Path.Combine(Home, "Library", "Application Support"), "~/Library/Application Support", parts),
            Of(ClientSystem.Windows, "Windows", AppData, "%APPDATA%", parts),
            Of(ClientSystem.Linux, "Linux", Path.Combine(Home, ".config"), "~/.config", parts),
        }.OrderByDescending(file => file.IsHere),
    ];

    private ClientFile Of(ClientSystem system, string name, string folder, string written, string[] parts) => system == System
        ? new ClientFile(name, Path.Combine([folder, .. parts]), true)
        : new ClientFile(name, written + (system == ClientSystem.Windows ? "\\" : "/") + string.Join(system == ClientSystem.Windows ? '\\' : '/', parts), false);
}
