using System.Collections.Concurrent;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Gateway.Tests.Media;

/// <summary>A provider's realtime endpoint: it keeps what it receives, to the byte, and answers <c>response.create</c> with a response that uses so many tokens.</summary>
internal sealed class FakeRealtime : IAsyncDisposable
{
    private readonly WebApplication app;
    private readonly Channel<string> received = Channel.CreateUnbounded<string>();

    private FakeRealtime(WebApplication app) => this.app = app;

    public string BaseUrl => app.Urls.Single() + "/v1";

    /// <summary>The requests that opened sessions.</summary>
    public ConcurrentQueue<(string Path, string Query, Dictionary<string, string> Headers)> Handshakes { get; } = new();

    /// <summary>What it answers to a response.create; each event in its order.</summary>
    public Func<int, IEnumerable<string>> Respond { get; set; } = number =>
    [
        $$$"""{"type":"response.created","event_id":"e1","response":{"id":"resp_{{{number}}}","status":"in_progress","usage":null}}""",
        $$"""{"type":"response.output_audio.delta","event_id":"e2","response_id":"resp_{{number}}","delta":"AAAA","unknown":1e400}""",
        $$$$$"""{"type":"response.done","event_id":"e3","response":{"id":"resp_{{{{{number}}}}}","status":"completed","usage":{"total_tokens":153,"input_tokens":100,"output_tokens":53,"input_token_details":{"text_tokens":40,"audio_tokens":60,"cached_tokens":30,"cached_tokens_details":{"text_tokens":10,"audio_tokens":20}},"output_token_details":{"text_tokens":13,"audio_tokens":40}}}}""",
    ];

    /// <summary>The status with which a handshake is refused; 0: it is not.</summary>
    public int RefuseWith { get; set; }

    /// <summary>How many handshakes are refused with it.</summary>
    public int Refusals { get; set; } = int.MaxValue;

    /// <summary>How the session was closed by the gateway.</summary>
    public TaskCompletionSource<WebSocketCloseStatus?> Closed { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static async Task<FakeRealtime> StartAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        var fake = new FakeRealtime(app);
        app.Urls.Add("http://127.0.0.1:0");
        app.UseWebSockets();
        app.Run(fake.AnswerAsync);
        await app.StartAsync(TestContext.Current.CancellationToken);
        return fake;
    }

    /// <summary>The next event that came up.</summary>
    public async Task<string> NextAsync() => await received.Reader.ReadAsync(TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    public bool HasMore => received.Reader.TryPeek(out _);

    public async ValueTask DisposeAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await app.StopAsync(now.Token);
        await app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Handshakes.Enqueue((context.Request.Path, context.Request.QueryString.ToString(), context.Request.Headers.ToDictionary(header => header.Key, header => header.Value.ToString(), StringComparer.OrdinalIgnoreCase)));
        if (RefuseWith != 0)
        {
            context.Response.StatusCode = RefuseWith;
            RefuseWith = --Refusals > 0 ? RefuseWith : 0;
            return;
        }
        using var socket = await context.WebSockets.AcceptWebSocketAsync(context.WebSockets.WebSocketRequestedProtocols.Contains("realtime") ? "realtime" : null);
        await SayAsync(socket, """{"type":"session.created","event_id":"e0","session":{"id":"sess_1"}}""");
        var (buffer, number) = (new byte[1 << 20], 0);
        try
        {
            while (true)
            {
                var (length, result) = (0, default(ValueWebSocketReceiveResult));
                do
                {
                    result = await socket.ReceiveAsync(buffer.AsMemory(length), context.RequestAborted);
                    length += result.Count;
                }
                while (!result.EndOfMessage);
                if (result.MessageType == WebSocketMessageType.Close)
                {
                    Closed.TrySetResult(socket.CloseStatus);
                    await socket.CloseOutputAsync(WebSocketCloseStatus.NormalClosure, null, context.RequestAborted);
                    return;
                }
                var text = Encoding.UTF8.GetString(buffer, 0, length);
                received.Writer.TryWrite(text);
                using var json = JsonDocument.Parse(text);
                if (json.RootElement.GetProperty("type").GetString() is "response.create" or "test.speak")
                {
                    foreach (var answer in Respond(++number))
                    {
                        await SayAsync(socket, answer);
                    }
                }
            }
        }
        catch (Exception exception) when (exception is WebSocketException or OperationCanceledException)
        {
            Closed.TrySetResult(null);
        }
    }

    private static Task SayAsync(WebSocket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, CancellationToken.None);
}
