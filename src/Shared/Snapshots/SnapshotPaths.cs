namespace Shared.Snapshots;

/// <summary>Where the configuration comes from, and how changes of it are noticed.</summary>
/// <param name="ConfigFile">Path of <c>gateway.yaml</c>; null: none is read.</param>
/// <param name="ManifestDirectory">Folder of the tool manifests (<c>*.yaml</c>, <c>*.yml</c>); null: none are read. It need not exist.</param>
public sealed record SnapshotPaths(string? ConfigFile, string? ManifestDirectory)
{
    /// <summary>Whether a missing <see cref="ConfigFile"/> is an error, as it is where someone named the file.</summary>
    public bool ConfigFileRequired { get; init; }

    /// <summary>Reads an environment variable.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>How often contents are compared, for file systems that tell nobody of a change.</summary>
    public TimeSpan PollInterval { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>How long after the first sign of a change the files are read, so that one save of an editor is one reload.</summary>
    public TimeSpan Debounce { get; init; } = TimeSpan.FromMilliseconds(150);
}
