using Gateway.Commands;

namespace Gateway.Tests.Configuration;

/// <summary>What a command of the command line did.</summary>
internal sealed record CommandRun(int Code, string Output, string Error)
{
    public static async Task<CommandRun> Async(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, output, error, TestContext.Current.CancellationToken);
        return new CommandRun(code, output.ToString(), error.ToString());
    }
}

/// <summary>A folder with a gateway.yaml and a folder of manifests.</summary>
internal sealed class ConfigurationFolder : IDisposable
{
    private readonly TestSupport.TemporaryFolder folder = new();

    public ConfigurationFolder() => Directory.CreateDirectory(Manifests);

    public string Root => folder.Path;

    public string File => Path.Combine(Root, "gateway.yaml");

    public string Manifests => Path.Combine(Root, "tool-manifests");

    public ConfigurationFolder Gateway(string yaml) => Write("gateway.yaml", yaml);

    public ConfigurationFolder Manifest(string name, string yaml) => Write(Path.Combine("tool-manifests", name), yaml);

    public ConfigurationFolder Write(string name, string text)
    {
        System.IO.File.WriteAllText(Path.Combine(Root, name), text);
        return this;
    }

    public string PathOf(string name) => Path.Combine(Root, name);

    /// <summary>A command with this folder's files.</summary>
    public async Task<CommandRun> RunAsync(params string[] args)
    {
        var run = await CommandRun.Async([.. args, "--config", File, "--manifests", Manifests, "--data", Path.Combine(Root, "data")]);
        return run with { Output = Short(run.Output), Error = Short(run.Error) };
    }

    /// <summary>A text without this folder's path.</summary>
    public string Short(string text) => text.Replace(Root + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);

    public void Dispose() => folder.Dispose();
}
