using System.Globalization;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Interop;

/// <summary>Tool servers that others wrote, declared to a gateway: as child processes of it, and one of them over Streamable HTTP too.</summary>
internal sealed class RealToolServers : IAsyncDisposable
{
    private static readonly TimeSpan StartGuard = TimeSpan.FromSeconds(30);

    private readonly ChildProcess overHttp;

    private RealToolServers(ChildProcess overHttp, string files) => (this.overHttp, Files) = (overHttp, files);

    /// <summary>The folder that the file system server may touch.</summary>
    public string Files { get; }

    /// <summary>Starts what has to be started, and writes the manifests into <paramref name="folder"/>.</summary>
    public static async Task<RealToolServers> DeclareAsync(string folder, CancellationToken cancellationToken)
    {
        var manifests = Directory.CreateDirectory(Path.Combine(folder, "tool-manifests")).FullName;
        var files = Directory.CreateDirectory(Path.Combine(folder, "files")).FullName;
        var port = FreePort.Next();
        var listening = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var overHttp = ChildProcess.Start(
            InteropFolder.Node, [InteropFolder.ToolServer("everything"), "streamableHttp"], folder,
            new Dictionary<string, string> { ["PORT"] = port.ToString(CultureInfo.InvariantCulture) },
            line =>
            {
                if (line.Contains("listening on port", StringComparison.Ordinal))
                {
                    listening.TrySetResult();
                }
            });
        await listening.Task.WaitAsync(StartGuard, cancellationToken);

        Write(manifests, "everything", "ev", Stdio(InteropFolder.ToolServer("everything"), "stdio"));
        Write(manifests, "everything-http", "evh", new { transport = "streamable-http", url = $"http://127.0.0.1:{port}/mcp" });
        Write(manifests, "filesystem", "fs", Stdio(InteropFolder.ToolServer("filesystem"), files));
        Write(manifests, "memory", "mem", new
        {
            transport = "stdio",
            command = InteropFolder.Node,
            args = new[] { InteropFolder.ToolServer("memory") },
            env = new Dictionary<string, string> { ["MEMORY_FILE_PATH"] = Path.Combine(folder, "memory.jsonl") },
        });
        Write(manifests, "probe", "probe", Stdio(Path.Combine(InteropFolder.Folder, "servers", "probe.mjs")));
        return new RealToolServers(overHttp, files);
    }

    /// <inheritdoc/>
    public ValueTask DisposeAsync() => overHttp.DisposeAsync();

    private static object Stdio(params string[] arguments) => new { transport = "stdio", command = InteropFolder.Node, args = arguments };

    private static void Write(string manifests, string id, string prefix, object upstream)
    {
        // JSON is YAML.
        var manifest = new { apiVersion = "hub/v1", kind = "ToolManifest", metadata = new { id, title = id }, upstream, expose = new { prefix } };
        File.WriteAllText(Path.Combine(manifests, id + ".yaml"), JsonSerializer.Serialize(manifest));
    }
}
