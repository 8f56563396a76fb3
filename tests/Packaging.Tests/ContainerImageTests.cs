using System.Net;
using System.Text.Json;
using TestSupport;

namespace Packaging.Tests;

[Collection(PublishedCollection.Name)]
public sealed class ContainerImageTests(Published published)
{
    [Fact]
    public async Task Image_ReadAndUnpacked_SaysWhatItIsAndServes()
    {
        using var folder = new TemporaryFolder();
        var archive = Path.Combine(folder.Path, "image.tar.gz");
        await using (var registry = await BaseImageRegistry.StartAsync(Path.Combine(await published.SingleFileAsync(), "gateway")))
        {
            await Published.DotnetAsync("publish", "src/Gateway", "-p:PublishProfile=container", $"-p:ContainerBaseImage={registry.Image}", $"-p:ContainerArchiveOutputPath={archive}",
                "--artifacts-path", Published.Artifacts, "-nodeReuse:false", "-m:2");
        }
        var image = Directory.CreateDirectory(Path.Combine(folder.Path, "image")).FullName;
        await Command.RunAsync("tar", ["-xf", archive, "-C", image], "/");
        using var index = Json(Path.Combine(image, "index.json"));
        using var manifest = Blob(image, index.RootElement.GetProperty("manifests")[0]);
        using var config = Blob(image, manifest.RootElement.GetProperty("config"));

        var settings = config.RootElement.GetProperty("config");
        Assert.Equal(["/app/gateway"], Strings(settings.GetProperty("Entrypoint")));
        Assert.Equal("1654", settings.GetProperty("User").GetString());
        Assert.Equal("/app/", settings.GetProperty("WorkingDir").GetString());
        Assert.Equal("8080/tcp", Assert.Single(settings.GetProperty("ExposedPorts").EnumerateObject()).Name);
        Assert.Contains("ASPNETCORE_URLS=http://0.0.0.0:8080", Strings(settings.GetProperty("Env")));
        Assert.Equal("0.1.0", settings.GetProperty("Labels").GetProperty("org.opencontainers.image.version").GetString());
        Assert.Equal(["docker.io/library/agent-gateway:0.1.0", "docker.io/library/agent-gateway:latest"],
            index.RootElement.GetProperty("manifests").EnumerateArray().Select(each => each.GetProperty("annotations").GetProperty("io.containerd.image.name").GetString()!));

        var root = Directory.CreateDirectory(Path.Combine(folder.Path, "root")).FullName;
        foreach (var layer in manifest.RootElement.GetProperty("layers").EnumerateArray())
        {
            await Command.RunAsync("tar", ["-xzpf", BlobPath(image, layer), "--numeric-owner", "-C", root], "/");
        }
        Assert.Empty(Directory.EnumerateFileSystemEntries(Path.Combine(root, "app", "data")));
        Assert.True(File.Exists(Path.Combine(root, "app", "libe_sqlite3.so")));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(root, "app"), "*.pdb"));

        var environment = Strings(settings.GetProperty("Env")).Select(variable => variable.Split('=', 2)).ToDictionary(pair => pair[0], pair => pair[1]);
        // The port alone is another, as 8080 of this machine may be taken.
        environment["ASPNETCORE_URLS"] = "http://0.0.0.0:0";
        string[] arguments = [.. Strings(settings.GetProperty("Cmd"))];
        await using var gateway = await InImageAsync(root, arguments, environment);
        Assert.Equal(HttpStatusCode.OK, (await gateway.GetAsync("/health/ready")).Status);
        Assert.NotEmpty(Directory.EnumerateFiles(Path.Combine(root, "app", "data"), "*.db"));
        Assert.Equal(0, await gateway.StopAsync());
    }

    /// <summary>
    /// Runs the image's program with the image as its whole file system, as its user. Where this user may not do that, with the image's folder as it is.
    /// </summary>
    private static async Task<RunningProgram> InImageAsync(string root, string[] arguments, Dictionary<string, string> environment)
    {
        if ((await Command.TryRunAsync("unshare", ["--mount", "--root=/", "--setgid=0", "--setuid=1654", "/bin/true"], "/")).Code != 0)
        {
            TestContext.Current.TestOutputHelper!.WriteLine("This user may not make namespaces: the program ran in this machine's file system.");
            return await RunningProgram.StartAsync(Path.Combine(root, "app", "gateway"), arguments, Path.Combine(root, "app"), environment);
        }
        // A folder that others may not enter would hide the image from its user.
        await Command.RunAsync("chmod", ["755", Path.GetDirectoryName(root)!], "/");
        // As a container's runtime does, it adds /proc and /dev.
        const string Script = """/bin/mount --bind /proc "$0/proc" && /bin/mount --bind /dev "$0/dev" && exec /usr/bin/unshare --root="$0" --wd=/app --setgid=0 --setuid=1654 /app/gateway "$@" """;
        return await RunningProgram.StartAsync("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", Script, root, .. arguments], "/", environment);
    }

    private static IEnumerable<string> Strings(JsonElement list) => list.EnumerateArray().Select(each => each.GetString()!);

    private static JsonDocument Blob(string image, JsonElement descriptor) => Json(BlobPath(image, descriptor));

    private static string BlobPath(string image, JsonElement descriptor) => Path.Combine(image, "blobs", "sha256", descriptor.GetProperty("digest").GetString()!.Split(':')[1]);

    private static JsonDocument Json(string path) => JsonDocument.Parse(File.ReadAllBytes(path));
}
