using System.CommandLine;
using Gateway.Hosting;

namespace Gateway.Commands.Configuration;

/// <summary>Where the files are, as for serving.</summary>
internal sealed class ConfigurationFiles
{
    /// <summary>Options of the usual names.</summary>
    public ConfigurationFiles()
    {
        Config.Validators.Add(result => Require(result.GetValueOrDefault<string?>(), File.Exists, result.AddError, "configuration file"));
        Manifests.Validators.Add(result => Require(result.GetValueOrDefault<string?>(), Directory.Exists, result.AddError, "folder of tool manifests"));
    }

    public Option<string?> Config { get; } = new(ServeArguments.Config) { Description = "Configuration file [default: ./gateway.yaml, if it exists].", HelpName = "file" };

    public Option<string?> Manifests { get; } = new(ServeArguments.Manifests) { Description = "Folder of tool manifests [default: ./tool-manifests, if it exists].", HelpName = "dir" };

    public Option<string> Data { get; } = new(ServeArguments.Data)
    {
        Description = "Data folder, read for what the admin API declared; it need not exist.",
        HelpName = "dir",
        DefaultValueFactory = _ => ServeOptions.DefaultDataFolder,
    };

    /// <summary>What was given.</summary>
    public ServeOptions Read(ParseResult result) => new()
    {
        ConfigurationFile = result.GetValue(Config),
        ManifestFolder = result.GetValue(Manifests) ?? ServeOptions.DefaultManifestFolder,
        DataFolder = result.GetValue(Data)!,
    };

    private static void Require(string? path, Func<string, bool> exists, Action<string> refuse, string what)
    {
        if (path is not null && !exists(path))
        {
            refuse($"There is no {what} '{path}'.");
        }
    }
}
