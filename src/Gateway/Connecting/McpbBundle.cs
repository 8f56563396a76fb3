using System.IO.Compression;
using System.Runtime.InteropServices;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Bridging;
using Gateway.Hosting;

namespace Gateway.Connecting;

/// <summary>
/// A bundle for Claude Desktop (MCPB, manifest version 0.3) that asks for the key and starts the bridge in it. Made by the program that is one file, it holds that
/// program; made by any other build, it holds the parts that the bridge needs and is started with the machine's <c>dotnet</c>.
/// </summary>
internal static class McpbBundle
{
    private const string Folder = "server/";

    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>What of a build the bridge loads. A file that is missing here shows as soon as a bundle is started.</summary>
    private static readonly string[] Parts = ["gateway.dll", "gateway.runtimeconfig.json", "McpHub.dll", "Shared.dll", "System.CommandLine.dll"];

    private static readonly string System = OperatingSystem.IsWindows() ? "win32" : OperatingSystem.IsMacOS() ? "darwin" : "linux";

    /// <summary>Writes a bundle.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> WriteAsync(string path, Uri address, TextWriter output, TextWriter error, CancellationToken cancellationToken)
    {
        var isOneFile = !File.Exists(Path.Combine(AppContext.BaseDirectory, Parts[0]));
        var program = isOneFile ? Environment.ProcessPath ?? throw new InvalidOperationException("The path of this program is not known.") : null;
        var entry = Folder + (program is null ? Parts[0] : Path.GetFileName(program));
        try
        {
            await using (var file = new FileStream(path, FileMode.Create, FileAccess.Write))
            using (var archive = new ZipArchive(file, ZipArchiveMode.Create))
            {
                await AddAsync(archive, "manifest.json", new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(Manifest(address, entry, isOneFile), Indented)), isProgram: false, cancellationToken);
                foreach (var part in program is null ? Parts.Select(part => Path.Combine(AppContext.BaseDirectory, part)) : [program])
                {
                    await AddAsync(archive, Folder + Path.GetFileName(part), File.OpenRead(part), isProgram: program is not null, cancellationToken);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            await error.WriteLineAsync($"gateway: '{path}' cannot be written: {exception.Message}");
            return Server.Failed;
        }
        await output.WriteLineAsync($"{Path.GetFullPath(path)} is ready: open it with Claude Desktop.");
        await error.WriteLineAsync(isOneFile
            ? $"note: it holds this program and runs on {RuntimeInformation.RuntimeIdentifier} without anything else."
            : "note: it needs the ASP.NET Core 10 runtime ('dotnet' on the PATH) where it is installed; a bundle made by the published one-file program needs nothing.");
        return 0;
    }

    private static JsonObject Manifest(Uri address, string entry, bool isOneFile)
    {
        var program = "${__dirname}/" + entry;
        JsonNode[] arguments = ["bridge", "--url", "${user_config.url}"];
        return new JsonObject
        {
            ["manifest_version"] = "0.3",
            ["name"] = "agent-gateway",
            ["display_name"] = "Agent Gateway",
            ["version"] = GatewayVersion.Text,
            ["description"] = "The tools of a running Agent Gateway, with one virtual key.",
            ["author"] = new JsonObject { ["name"] = "Agent Gateway" },
            ["server"] = new JsonObject
            {
                ["type"] = "binary",
                ["entry_point"] = entry,
                ["mcp_config"] = new JsonObject
                {
                    ["command"] = isOneFile ? program : "dotnet",
                    ["args"] = new JsonArray(isOneFile ? arguments : [program, .. arguments]),
                    ["env"] = new JsonObject { [BridgeOptions.KeyVariable] = "${user_config.api_key}" },
                },
            },
            ["tools_generated"] = true,
            ["compatibility"] = new JsonObject { ["platforms"] = isOneFile ? new JsonArray(System) : new JsonArray("darwin", "linux", "win32") },
            ["user_config"] = new JsonObject
            {
                ["api_key"] = new JsonObject
                {
                    ["type"] = "string",
                    ["title"] = "Virtual key",
                    ["description"] = "A virtual key of the gateway: sk-gw-...",
                    ["sensitive"] = true,
                    ["required"] = true,
                },
                ["url"] = new JsonObject
                {
                    ["type"] = "string",
                    ["title"] = "Address",
                    ["description"] = "Where the gateway listens.",
                    ["default"] = McpAddress.BaseOf(address),
                    ["required"] = true,
                },
            },
        };
    }

    private static async Task AddAsync(ZipArchive archive, string name, Stream content, bool isProgram, CancellationToken cancellationToken)
    {
        var entry = archive.CreateEntry(name, CompressionLevel.Optimal);
        // Rights of Unix: a regular file, for its owner to change and for all to read, and a program to run.
        entry.ExternalAttributes = (0x8000 | (isProgram ? 0x1ED : 0x1A4)) << 16;
        await using (content)
        {
            await using var target = await entry.OpenAsync(cancellationToken);
            await content.CopyToAsync(target, cancellationToken);
        }
    }
}
