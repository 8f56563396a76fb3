using System.ComponentModel;
using System.Diagnostics;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// A tool server as a child process. It inherits nothing of the gateway's environment but what every program needs, and the whole tree of its processes
/// ends with it.
/// </summary>
internal sealed class ServerProcess : IAsyncDisposable
{
    // Without these most programs do not start at all; none of them holds a secret.
    private static readonly string[] Inherited =
    [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "TMP", "TEMP",
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "USERPROFILE", "USERNAME",
    ];

    /// <summary>How long a server may take to end by itself once its input is closed.</summary>
    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly Process process;
    private readonly ToolManifest manifest;
    private readonly ILogger logger;

    private ServerProcess(Process process, ToolManifest manifest, ILogger logger) => (this.process, this.manifest, this.logger) = (process, manifest, logger);

    public Stream Input => process.StandardInput.BaseStream;

    public Stream Output => process.StandardOutput.BaseStream;

    public StreamReader Errors => process.StandardError;

    /// <exception cref="UpstreamException">It cannot be started.</exception>
    public static ServerProcess Start(ToolManifest manifest, ILogger logger)
    {
        var start = new ProcessStartInfo
        {
            WorkingDirectory = manifest.WorkingDirectory ?? "",
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            UseShellExecute = false,
            CreateNoWindow = true,
        };
        foreach (var argument in manifest.Arguments)
        {
            start.ArgumentList.Add(argument);
        }
        start.Environment.Clear();
        foreach (var name in Inherited)
        {
            if (Environment.GetEnvironmentVariable(name) is { } value)
            {
                start.Environment[name] = value;
            }
        }
        foreach (var (name, value) in manifest.Environment)
        {
            start.Environment[name] = value;
        }
        var endings = OperatingSystem.IsWindows() ? start.Environment.TryGetValue("PATHEXT", out var given) ? given : ".COM;.EXE;.BAT;.CMD" : null;
        var program = CommandPath.Find(manifest.Command ?? "", start.Environment.TryGetValue("PATH", out var path) ? path : null, endings, manifest.WorkingDirectory ?? Environment.CurrentDirectory);
        start.FileName = program ?? throw NotStarted($"Tool server '{manifest.Id}' could not be started: there is no program of that name.", null);
        try
        {
            return new ServerProcess(Process.Start(start) ?? throw new InvalidOperationException("No process was started."), manifest, logger);
        }
        catch (Exception exception) when (exception is Win32Exception or InvalidOperationException or IOException or UnauthorizedAccessException)
        {
            throw NotStarted($"Tool server '{manifest.Id}' could not be started.", exception);
        }

        static UpstreamException NotStarted(string message, Exception? inner) => new(RpcError.UpstreamUnavailable, UpstreamReasons.NotStarted, message, wasSent: false, inner);
    }

    /// <summary>Asks it to end by closing its input, and kills what is left of it and its descendants.</summary>
    public async ValueTask DisposeAsync()
    {
        // Once a parent has ended, nobody knows its children any more.
        var descendants = ProcessTree.DescendantsOf(process);
        try
        {
            process.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already; closing its input was only a request to go.
        }
        using (var patience = new CancellationTokenSource(Grace))
        {
            try
            {
                await process.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                logger.KillingServer(manifest.Id);
            }
        }
        try
        {
            process.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or Win32Exception or AggregateException)
        {
            logger.KillFailed(manifest.Id, exception.GetType().Name);
        }
        ProcessTree.Kill(descendants);
        process.Dispose();
    }
}
