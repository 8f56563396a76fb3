namespace Gateway.Hosting;

/// <summary>What holds from start to end: where the data, the files and the port are.</summary>
internal sealed record ServeOptions
{
    public const string DefaultDataFolder = "data";
    public const string DefaultConfigurationFile = "gateway.yaml";
    public const string DefaultManifestFolder = "tool-manifests";

    /// <summary>Folder of the database; made where it does not exist.</summary>
    public string DataFolder { get; init; } = DefaultDataFolder;

    /// <summary>The configuration file; it need not exist unless it was named.</summary>
    public string ConfigurationFile { get; init; } = DefaultConfigurationFile;

    /// <summary>Folder of tool manifests; it need not exist unless it was named.</summary>
    public string ManifestFolder { get; init; } = DefaultManifestFolder;

    /// <summary>Addresses to listen on, separated by semicolons; null: as <c>ASPNETCORE_URLS</c> says, or <see cref="ListenAddresses.Default"/>.</summary>
    public string? Urls { get; init; }

    /// <summary>Whether addresses beyond this machine may be listened on.</summary>
    public bool AllowRemote { get; init; }

    /// <summary>Options of the host. Its settings files are read once: what changes at run time stands in the gateway's own files.</summary>
    public WebApplicationOptions ToHostOptions() => new() { Args = ["--hostBuilder:reloadConfigOnChange=false"], ApplicationName = "gateway" };
}
