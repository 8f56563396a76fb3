using System.Buffers;
using System.Globalization;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>One JSON-RPC message a line on the standard streams of a child process.</summary>
internal sealed class StdioTransport(ToolManifest manifest, TimeProvider clock, ILogger logger) : IRpcTransport
{
    private const int QueuedLines = 256;
    private const int LoggedNoise = 5;

    private static readonly TimeSpan LastWordsPatience = TimeSpan.FromMilliseconds(250);
    private static readonly TimeSpan StreamPatience = TimeSpan.FromSeconds(2);

    private readonly TaskCompletionSource<UpstreamException> lost = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource stopping = new();
    private readonly ErrorTail errors = new(manifest.Id, clock, logger);

    // A server that does not read its input must hold up nobody but itself, so no caller writes to it directly.
    private readonly Channel<byte[]> lines = Channel.CreateBounded<byte[]>(new BoundedChannelOptions(QueuedLines) { SingleReader = true });

    private ServerProcess? process;
    private Task running = Task.CompletedTask;
    private int noise;

    public Task<UpstreamException> Lost => lost.Task;

    public bool HasExchanges => false;

    public string LastWords => errors.Text;

    public Task StartAsync(MessageSink sink, CancellationToken cancellationToken)
    {
        var child = process = ServerProcess.Start(manifest, logger);
        var draining = errors.DrainAsync(child.Errors, stopping.Token);
        running = Task.WhenAll(Task.Run(() => ReadAsync(child.Output, draining, sink), CancellationToken.None), Task.Run(() => WriteAsync(child.Input), CancellationToken.None), draining);
        return Task.CompletedTask;
    }

    public async ValueTask SendAsync(ReadOnlyMemory<byte> message, Outgoing about, CancellationToken cancellationToken)
    {
        var line = new ArrayBufferWriter<byte>(message.Length + 1);
        RawJson.WriteCompact(message.Span, line);
        line.Write("\n"u8);
        if (lines.Writer.TryWrite(line.WrittenSpan.ToArray()))
        {
            return;
        }
        try
        {
            await lines.Writer.WriteAsync(line.WrittenSpan.ToArray(), cancellationToken);
        }
        catch (ChannelClosedException)
        {
            throw (await Lost).Again(wasSent: false);
        }
    }

    public void Agreed(string protocolVersion, bool isModern)
    {
        // The streams carry every revision alike.
    }

    public void Listen()
    {
        // The server may write at any time.
    }

    public async ValueTask DisposeAsync()
    {
        if (process is not { } child)
        {
            return;
        }
        Lose(UpstreamReasons.Closed, $"The connection to tool server '{manifest.Id}' was closed.");
        await child.DisposeAsync();
        await stopping.CancelAsync();
        try
        {
            await running.WaitAsync(StreamPatience);
        }
        catch (TimeoutException)
        {
            // A process that left the tree holds the streams open; they are of no use to anybody any more.
            logger.StreamsHeld(manifest.Id);
        }
        process = null;
    }

    private void Lose(string reason, string message)
    {
        lost.TrySetResult(new UpstreamException(RpcError.UpstreamUnavailable, reason, message));
        lines.Writer.TryComplete();
    }

    private async Task ReadAsync(Stream output, Task draining, MessageSink sink)
    {
        try
        {
            var isWhole = await LineReader.ReadAsync(output, manifest.MaxMessageBytes, line => Take(line, sink), stopping.Token);
            if (!isWhole)
            {
                Lose(UpstreamReasons.TooLarge, string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' sent a message of more than {manifest.MaxMessageBytes} bytes."));
                return;
            }
            // Its last words come on the other stream and say why; a descendant that keeps that one open is not waited for.
            await Task.WhenAny(draining, Task.Delay(LastWordsPatience, clock, stopping.Token));
            Lose(UpstreamReasons.Exited, $"Tool server '{manifest.Id}' ended.");
        }
        catch (Exception exception)
        {
            Lose(UpstreamReasons.Broken, $"The connection to tool server '{manifest.Id}' broke.");
            if (exception is not (IOException or OperationCanceledException or ObjectDisposedException))
            {
                logger.ReadingFailed(manifest.Id, exception);
            }
        }
    }

    private async Task WriteAsync(Stream input)
    {
        try
        {
            await foreach (var line in lines.Reader.ReadAllAsync(stopping.Token))
            {
                await input.WriteAsync(line, stopping.Token);
                await input.FlushAsync(stopping.Token);
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            if (exception is IOException)
            {
                // Its end, if that is why, says more; and a server that only closed its input is of no more use.
                await Task.WhenAny(lost.Task, Task.Delay(LastWordsPatience, clock, CancellationToken.None));
                Lose(UpstreamReasons.Broken, $"The connection to tool server '{manifest.Id}' broke.");
            }
        }
    }

    private void Take(ReadOnlySpan<byte> line, MessageSink sink)
    {
        var start = line.IndexOfAnyExcept(" \t\r"u8);
        if (start < 0)
        {
            return;
        }
        // Some servers print to their standard output what belongs to the other stream.
        if (line[start] is not ((byte)'{' or (byte)'['))
        {
            if (noise++ < LoggedNoise)
            {
                logger.NotJson(manifest.Id, line.Length);
            }
            return;
        }
        sink(line, null);
    }
}
