namespace Packaging.Tests;

/// <summary>Where things are.</summary>
internal static class Repository
{
    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>A file or folder of it.</summary>
    public static string At(params string[] parts) => Path.Combine([Root, .. parts]);

    /// <summary>The lock files that are committed, by path, with their text.</summary>
    public static Dictionary<string, string> LockFiles() =>
        Directory.EnumerateDirectories(At("src")).Select(folder => Path.Combine(folder, "packages.lock.json")).Where(File.Exists).ToDictionary(file => file, File.ReadAllText);

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Gateway.sln")))
            {
                return folder;
            }
        }
        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} holds Gateway.sln.");
    }
}
