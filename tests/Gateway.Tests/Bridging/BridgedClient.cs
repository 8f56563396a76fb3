using System.IO.Pipelines;
using System.Text;
using System.Text.Json;
using Gateway.Bridging;

namespace Gateway.Tests.Bridging;

/// <summary>A client's side of a bridge that runs in this process: lines in, lines out.</summary>
internal sealed class BridgedClient : IAsyncDisposable
{
    public const string Initialize = """{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"x","version":"1"}}}""";
    public const string Initialized = """{"jsonrpc":"2.0","method":"notifications/initialized"}""";

    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    private readonly Pipe input = new();
    private readonly Pipe output = new();
    private readonly StreamReader lines;
    private readonly StringWriter error = new();
    private readonly CancellationTokenSource stop = new();
    private bool isClosed;

    public BridgedClient(string url, string? key = "sk-gw-test", Func<BridgeOptions, BridgeOptions>? adjust = null, TimeProvider? clock = null)
    {
        lines = new StreamReader(output.Reader.AsStream(), Encoding.UTF8);
        var options = new BridgeOptions { Url = url, Environment = name => name == BridgeOptions.KeyVariable ? key : null };
        options = adjust?.Invoke(options) ?? options;
        Ended = Task.Run(() => Bridge.RunAsync(options, input.Reader.AsStream(), output.Writer.AsStream(), error, clock ?? TimeProvider.System, stop.Token));
    }

    /// <summary>The bridge's end and exit code.</summary>
    public Task<int> Ended { get; }

    /// <summary>What it wrote to its log.</summary>
    public string Log => error.ToString();

    /// <summary>Sends a line.</summary>
    public async Task SendAsync(string line) => await input.Writer.WriteAsync(Encoding.UTF8.GetBytes(line + "\n"));

    /// <summary>The next line that the bridge writes.</summary>
    public async Task<string> NextAsync() => await lines.ReadLineAsync().WaitAsync(HangGuard) ?? throw new InvalidOperationException("The bridge ended its output. " + Log);

    /// <summary>The next line, as JSON.</summary>
    public async Task<JsonElement> NextJsonAsync() => JsonDocument.Parse(await NextAsync()).RootElement.Clone();

    /// <summary>Shakes hands, and takes the answer.</summary>
    public async Task ShakeHandsAsync()
    {
        await SendAsync(Initialize);
        Assert.Equal("2025-11-25", (await NextJsonAsync()).GetProperty("result").GetProperty("protocolVersion").GetString());
        await SendAsync(Initialized);
    }

    /// <summary>Ends the input, as a client that goes away does.</summary>
    public async Task<int> CloseAsync()
    {
        isClosed = true;
        await input.Writer.CompleteAsync();
        return await Ended.WaitAsync(HangGuard);
    }

    /// <inheritdoc/>
    public async ValueTask DisposeAsync()
    {
        if (!isClosed)
        {
            await stop.CancelAsync();
            await input.Writer.CompleteAsync();
        }
        await Ended.WaitAsync(HangGuard);
        stop.Dispose();
    }
}
