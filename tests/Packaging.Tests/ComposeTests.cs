using System.Net;
using TestSupport;
using YamlDotNet.Serialization;

namespace Packaging.Tests;

/// <summary>The example for Compose: what it names is there, and its command starts the gateway on its files.</summary>
[Collection(PublishedCollection.Name)]
public sealed class ComposeTests(Published published)
{
    private static readonly string Folder = Repository.At("packaging", "compose");

    private static readonly Dictionary<string, object> Compose = new DeserializerBuilder().Build().Deserialize<Dictionary<string, object>>(File.ReadAllText(Path.Combine(Folder, "compose.yaml")));

    [Fact]
    public void Names_ReferToWhatIsThere()
    {
        var services = Map(Compose["services"]);
        var volumes = Map(Compose["volumes"]).Keys.ToHashSet();
        HashSet<string> used = [];
        foreach (var service in services.Values.Select(Map))
        {
            foreach (var source in List(service["volumes"]).Select(mount => mount.Split(':')[0]))
            {
                Assert.True(source.StartsWith("./", StringComparison.Ordinal) ? Path.Exists(Path.Combine(Folder, source)) : volumes.Contains(source) && used.Add(source), source);
            }
        }
        Assert.Equal(volumes, used);
        var gateway = Map(services["gateway"]);
        Assert.Equal("8080", Assert.Single(List(gateway["expose"])));
        Assert.False(gateway.ContainsKey("ports"));
        Assert.Contains(":/app/data", List(gateway["volumes"])[0], StringComparison.Ordinal);
        Assert.All(List(gateway["env_file"]), file => Assert.True(File.Exists(Path.Combine(Folder, file)), file));
        Assert.Contains("reverse_proxy gateway:8080", File.ReadAllText(Path.Combine(Folder, "Caddyfile")), StringComparison.Ordinal);
        Assert.Equal(["gateway"], List(Map(services["proxy"])["depends_on"]));
    }

    [Fact]
    public async Task Gateway_WithTheFilesAndCommand_Serves()
    {
        using var folder = new TemporaryFolder();
        var command = List(Map(Map(Compose["services"])["gateway"])["command"]).Select(argument => argument.Replace("/etc/gateway", Path.Combine(Folder, "gateway"), StringComparison.Ordinal));
        var environment = new Dictionary<string, string> { ["ASPNETCORE_URLS"] = "http://0.0.0.0:0", ["DOTNET_BUNDLE_EXTRACT_BASE_DIR"] = Path.Combine(folder.Path, "cache") };

        await using var gateway = await RunningProgram.StartAsync(Path.Combine(await published.SingleFileAsync(), "gateway"), command, folder.Path, environment);

        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/health/ready")).Status);
    }

    private static Dictionary<string, object> Map(object value) => ((Dictionary<object, object>)value).ToDictionary(pair => (string)pair.Key, pair => pair.Value);

    private static List<string> List(object value) => [.. ((List<object>)value).Select(each => (string)each)];
}
