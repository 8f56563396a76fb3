using System.Collections;

namespace Packaging.Tests;

/// <summary>The tests take turns: what they publish is made once, by the first that needs it.</summary>
[CollectionDefinition(Name)]
public sealed class PublishedCollection : ICollectionFixture<Published>
{
    public const string Name = "Published";
}

/// <summary>
/// What the SDK makes of the gateway. It is built apart from the build that runs the tests, in a folder of its own, so that neither meets the other's files.
/// </summary>
public sealed class Published
{
    private readonly Lazy<Task<string>> toolFeed;
    private readonly Lazy<Task<string>> singleFile;

    public Published()
    {
        toolFeed = new(PackAsync);
        singleFile = new(PublishSingleFileAsync);
    }

    /// <summary>A folder with the tool's package.</summary>
    internal Task<string> ToolFeedAsync() => toolFeed.Value;

    /// <summary>The folder of the one-file program for this platform.</summary>
    internal Task<string> SingleFileAsync() => singleFile.Value;

    /// <summary>Where builds for packaging go.</summary>
    internal static string Artifacts { get; } = Repository.At("artifacts", "packaging");

    /// <summary>Runs <c>dotnet</c> as a user would, without the variables of the build that runs the tests.</summary>
    internal static Task<string> DotnetAsync(params string[] arguments)
    {
        Dictionary<string, string?> environment = new() { ["DOTNET_CLI_TELEMETRY_OPTOUT"] = "1", ["DOTNET_NOLOGO"] = "1" };
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables())
        {
            var name = (string)variable.Key;
            if (name.StartsWith("MSBUILD", StringComparison.OrdinalIgnoreCase) || name.StartsWith("TESTINGPLATFORM", StringComparison.OrdinalIgnoreCase))
            {
                environment[name] = null;
            }
        }
        return Command.RunAsync("dotnet", arguments, Repository.Root, environment);
    }

    private static async Task<string> PackAsync()
    {
        var feed = Path.Combine(Artifacts, "feed");
        if (Directory.Exists(feed))
        {
            Directory.Delete(feed, recursive: true);
        }
        await DotnetAsync("pack", "src/Gateway", "--artifacts-path", Artifacts, "--output", feed, "-nodeReuse:false", "-m:2");
        return feed;
    }

    private static async Task<string> PublishSingleFileAsync()
    {
        await DotnetAsync("publish", "src/Gateway", "-p:PublishProfile=single-file", "-r", "linux-x64", "--artifacts-path", Artifacts, "-nodeReuse:false", "-m:2");
        return Path.Combine(Artifacts, "publish", "Gateway", "release_linux-x64");
    }
}
