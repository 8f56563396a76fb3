using Shared.Snapshots;

namespace Gateway.Hosting;

/// <summary>What holds from start to end: where the data, the files and the port are.</summary>
internal sealed record ServeOptions
{
    public const string DefaultDataFolder = "data";
    public const string DefaultConfigurationFile = "gateway.yaml";
    public const string DefaultManifestFolder = "tool-manifests";

    /// <summary>Folder of the database; made where it does not exist.</summary>
    public string DataFolder { get; init; } = DefaultDataFolder;

    /// <summary>The configuration file; null: <see cref="DefaultConfigurationFile"/>, if it exists.</summary>
    public string? ConfigurationFile { get; init; }

    /// <summary>Folder of tool manifests; it need not exist.</summary>
    public string ManifestFolder { get; init; } = DefaultManifestFolder;

    /// <summary>Reads the environment that the configuration refers to and in which providers are found.</summary>
    public Func<string, string?> Environment { get; init; } = System.Environment.GetEnvironmentVariable;

    /// <summary>
    /// Addresses to listen on, separated by semicolons; null: as <c>server.urls</c> in the configuration or else <c>ASPNETCORE_URLS</c> says, or
    /// <see cref="ListenAddresses.Default"/>.
    /// </summary>
    public string? Urls { get; init; }

    /// <summary>Whether a proxy that speaks TLS stands in front, as <c>server.behindProxy</c> in the configuration says it.</summary>
    public bool BehindProxy { get; init; }

    /// <summary>Where the configuration comes from.</summary>
    public SnapshotPaths ToSnapshotPaths() => new(ConfigurationFile ?? DefaultConfigurationFile, ManifestFolder)
    {
        ConfigFileRequired = ConfigurationFile is not null,
        Environment = Environment,
    };

    /// <summary>Options of the host. Its settings files are read once: what changes at run time stands in the gateway's own files.</summary>
    public WebApplicationOptions ToHostOptions() => new() { Args = ["--hostBuilder:reloadConfigOnChange=false"], ApplicationName = "gateway" };
}
