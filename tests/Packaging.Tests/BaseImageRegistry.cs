using System.Formats.Tar;
using System.IO.Compression;
using System.Net;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Packaging.Tests;

/// <summary>
/// A container registry on loopback that serves one image: this machine's C library and its companions, and nothing else. It stands in for the registry that
/// has the real base image, which tests cannot reach.
/// </summary>
internal sealed class BaseImageRegistry : IAsyncDisposable
{
    private const string Manifests = "application/vnd.oci.image.manifest.v1+json";

    private readonly WebApplication app;

    private BaseImageRegistry(WebApplication app, int port) => (this.app, Image) = (app, $"localhost:{port}/base:1");

    /// <summary>What to give as the base image.</summary>
    public string Image { get; }

    /// <summary>Starts it.</summary>
    /// <param name="program">A program whose libraries the image has.</param>
    public static async Task<BaseImageRegistry> StartAsync(string program)
    {
        var (layer, content) = await LayerAsync(program);
        var config = JsonSerializer.SerializeToUtf8Bytes(new
        {
            architecture = "amd64",
            os = "linux",
            config = new { Env = new[] { "PATH=/usr/bin:/bin", "ASPNETCORE_HTTP_PORTS=8080" } },
            rootfs = new { type = "layers", diff_ids = new[] { Digest(content) } },
            history = new[] { new { created_by = "base" } },
        });
        var manifest = JsonSerializer.SerializeToUtf8Bytes(new
        {
            schemaVersion = 2,
            mediaType = Manifests,
            config = new { mediaType = "application/vnd.oci.image.config.v1+json", digest = Digest(config), size = config.Length },
            layers = new[] { new { mediaType = "application/vnd.oci.image.layer.v1.tar+gzip", digest = Digest(layer), size = layer.Length } },
        });
        var blobs = new Dictionary<string, byte[]> { [Digest(config)] = config, [Digest(layer)] = layer };

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0));
        var app = builder.Build();
        app.MapGet("/v2/base/manifests/{reference}", () => Results.Bytes(manifest, Manifests));
        app.MapGet("/v2/base/blobs/{digest}", (string digest) => blobs.TryGetValue(digest, out var blob) ? Results.Bytes(blob) : Results.NotFound());
        await app.StartAsync();
        return new BaseImageRegistry(app, new Uri(app.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single()).Port);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => app.DisposeAsync();

    private static async Task<(byte[] Compressed, byte[] Content)> LayerAsync(string program)
    {
        using var content = new MemoryStream();
        await using (var tar = new TarWriter(content, leaveOpen: true))
        {
            foreach (var folder in (string[])["proc", "dev", "tmp", "lib64"])
            {
                tar.WriteEntry(new PaxTarEntry(TarEntryType.Directory, folder) { Mode = (UnixFileMode)(folder == "tmp" ? 0x3FF : 0x1ED) });
            }
            foreach (var library in await LibrariesAsync(program))
            {
                await using var file = File.OpenRead(library);
                tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, library.TrimStart('/')) { Mode = (UnixFileMode)0x1ED, DataStream = file });
            }
        }
        using var compressed = new MemoryStream();
        await using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            await gzip.WriteAsync(content.ToArray());
        }
        return (compressed.ToArray(), content.ToArray());
    }

    /// <summary>What the program is linked with, and OpenSSL, which .NET loads when it hashes.</summary>
    private static async Task<IReadOnlyList<string>> LibrariesAsync(string program)
    {
        var linked = (await Command.RunAsync("ldd", [program], "/")).Split('\n')
            .SelectMany(line => line.Split(' ', '\t').Where(part => part.StartsWith('/'))).Distinct().ToList();
        var folder = Path.GetDirectoryName(linked.Single(path => Path.GetFileName(path) == "libc.so.6"))!;
        foreach (var name in (string[])["libssl.so.3", "libcrypto.so.3"])
        {
            linked.Add(((string[])[folder, "/usr" + folder]).Select(place => Path.Combine(place, name)).First(File.Exists));
        }
        return linked;
    }

    private static string Digest(byte[] bytes) => $"sha256:{Convert.ToHexStringLower(SHA256.HashData(bytes))}";
}
