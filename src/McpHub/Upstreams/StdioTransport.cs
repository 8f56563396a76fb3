using System.Buffers;
using System.Diagnostics;
using System.IO.Pipelines;
using System.Text;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>
/// A tool server as a child process: one JSON-RPC message a line on its standard streams. The child inherits nothing of the gateway's environment but
/// what every program needs; the whole tree of its processes ends with the connection.
/// </summary>
internal sealed class StdioTransport(ToolManifest manifest, ILogger logger) : IRpcTransport
{
    private const int KeptErrorChars = 4096;

    // Without these most programs do not start at all; none of them holds a secret.
    private static readonly string[] Inherited =
    [
        "PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ", "TMPDIR", "TMP", "TEMP",
        "SYSTEMROOT", "SYSTEMDRIVE", "WINDIR", "COMSPEC", "PATHEXT", "APPDATA", "LOCALAPPDATA", "PROGRAMDATA", "PROGRAMFILES", "USERPROFILE", "USERNAME",
    ];

    private static readonly TimeSpan Grace = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource<string> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly SemaphoreSlim writing = new(1, 1);
    private readonly CancellationTokenSource stopping = new();
    private readonly StringBuilder errors = new();
    private readonly ArrayBufferWriter<byte> line = new(1024);
    private Process? process;
    private Task reading = Task.CompletedTask;
    private Task draining = Task.CompletedTask;
    private int garbage;

    public Task<string> Lost => lost.Task;

    public Task StartAsync(MessageSink sink, CancellationToken cancellationToken)
    {
        var start = new ProcessStartInfo
        {
            FileName = CommandPath.Resolve(manifest.Command!),
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
        var inherited = Inherited.Select(name => (name, value: Environment.GetEnvironmentVariable(name))).Where(pair => pair.value is not null).ToList();
        start.Environment.Clear();
        foreach (var (name, value) in inherited)
        {
            start.Environment[name] = value;
        }
        foreach (var (name, value) in manifest.Environment)
        {
            start.Environment[name] = value;
        }
        try
        {
            process = Process.Start(start) ?? throw new InvalidOperationException("No process was started.");
        }
        catch (Exception exception) when (exception is System.ComponentModel.Win32Exception or InvalidOperationException or IOException)
        {
            throw new UpstreamException(RpcError.UpstreamUnavailable, "not_started", $"Tool server '{manifest.Id}' could not be started.", wasSent: false, exception);
        }
        reading = ReadAsync(process.StandardOutput.BaseStream, sink);
        draining = DrainErrorsAsync(process.StandardError);
        return Task.CompletedTask;
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        await writing.WaitAsync(cancellationToken);
        try
        {
            line.ResetWrittenCount();
            RawJson.WriteCompact(message.Span, line);
            line.Write("\n"u8);
            var input = process!.StandardInput.BaseStream;
            // Not cancelled half-way: half a line would spoil the next message.
            await input.WriteAsync(line.WrittenMemory, stopping.Token);
            await input.FlushAsync(stopping.Token);
        }
        catch (Exception exception) when (exception is IOException or ObjectDisposedException or OperationCanceledException)
        {
            throw new UpstreamException(RpcError.UpstreamUnavailable, "broken", $"Tool server '{manifest.Id}' ended.", wasSent: false, exception);
        }
        finally
        {
            writing.Release();
        }
    }

    public void Agreed(string protocolVersion, bool isModern)
    {
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not { } child)
        {
            return;
        }
        try
        {
            child.StandardInput.Close();
        }
        catch (IOException)
        {
            // It is gone already; closing its input was only a request to go.
        }
        using (var patience = new CancellationTokenSource(Grace))
        {
            try
            {
                await child.WaitForExitAsync(patience.Token);
            }
            catch (OperationCanceledException)
            {
                logger.KillingServer(manifest.Id);
            }
        }
        try
        {
            child.Kill(entireProcessTree: true);
        }
        catch (Exception exception) when (exception is InvalidOperationException or System.ComponentModel.Win32Exception or AggregateException)
        {
            logger.KillFailed(manifest.Id, exception.GetType().Name);
        }
        await stopping.CancelAsync();
        await Task.WhenAll(reading, draining);
        child.Dispose();
        process = null;
    }

    private async Task ReadAsync(Stream output, MessageSink sink)
    {
        var reader = PipeReader.Create(output, new StreamPipeReaderOptions(bufferSize: 16 * 1024));
        var reason = "exited";
        try
        {
            while (true)
            {
                var read = await reader.ReadAsync(stopping.Token);
                var buffer = read.Buffer;
                while (buffer.PositionOf((byte)'\n') is { } end)
                {
                    await DeliverAsync(buffer.Slice(0, end), sink);
                    buffer = buffer.Slice(buffer.GetPosition(1, end));
                }
                if (buffer.Length > manifest.MaxMessageBytes)
                {
                    reason = "message_too_large";
                    break;
                }
                reader.AdvanceTo(buffer.Start, buffer.End);
                if (read.IsCompleted)
                {
                    break;
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            reason = "broken";
        }
        await reader.CompleteAsync();
        lost.TrySetResult(reason);
    }

    private async ValueTask DeliverAsync(ReadOnlySequence<byte> text, MessageSink sink)
    {
        if (text.Length > manifest.MaxMessageBytes)
        {
            logger.MessageTooLarge(manifest.Id, text.Length);
            return;
        }
        var message = text.IsSingleSegment ? text.First : text.ToArray();
        if (message.Span.Trim(" \t\r"u8).IsEmpty)
        {
            return;
        }
        // Some servers print to their standard output what belongs to the other stream.
        if (message.Span.TrimStart(" \t"u8)[0] is not ((byte)'{' or (byte)'['))
        {
            if (garbage++ < 5)
            {
                logger.NotJson(manifest.Id, message.Length);
            }
            return;
        }
        await sink(message);
    }

    /// <summary>Reads all that the server says about itself, so that it never blocks on it; keeps the end.</summary>
    private async Task DrainErrorsAsync(StreamReader reader)
    {
        var buffer = new char[4096];
        try
        {
            int read;
            while ((read = await reader.ReadAsync(buffer, stopping.Token)) > 0)
            {
                errors.Append(buffer, 0, read);
                if (errors.Length > KeptErrorChars)
                {
                    errors.Remove(0, errors.Length - KeptErrorChars);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The process ended; what it said last is kept.
        }
        if (errors.Length > 0)
        {
            logger.LastWords(manifest.Id, errors.ToString());
        }
    }
}
