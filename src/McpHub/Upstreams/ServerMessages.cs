using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

/// <summary>
/// Takes what a server says: completes the requests that it answers, and hands on progress, changes and the server's own requests. Never waits.
/// </summary>
internal sealed class ServerMessages(string server, PendingRequests pending, ClientRelay clients, ILogger logger)
{
    private const int LoggedStrays = 5;

    private int strays;

    public event Action? ToolsChanged;

    public event Action<string>? ResourceUpdated;

    /// <summary>Messages that were not JSON-RPC, and answers that nobody waits for.</summary>
    public int Strays => Volatile.Read(ref strays);

    /// <summary>Takes one message, or a batch of them, as revision 2025-03-26 allows.</summary>
    public void Take(ReadOnlySpan<byte> message, PendingRequest? exchange)
    {
        var start = message.IndexOfAnyExcept(" \t\r\n"u8);
        if (start >= 0 && message[start] == (byte)'[')
        {
            TakeBatch(message, exchange);
            return;
        }
        TakeOne(message, exchange);
    }

    private void TakeBatch(ReadOnlySpan<byte> batch, PendingRequest? exchange)
    {
        try
        {
            var reader = new Utf8JsonReader(batch, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                TakeOne(batch[start..(int)reader.BytesConsumed], exchange);
            }
        }
        catch (JsonException)
        {
            CountNoise(batch.Length);
        }
    }

    private void TakeOne(ReadOnlySpan<byte> message, PendingRequest? exchange)
    {
        if (!RpcFrame.TryRead(message, out var frame) || !Utf8.IsValid(message))
        {
            CountNoise(message.Length);
            return;
        }
        if (frame.IsResponse)
        {
            if (pending.Take(frame.OwnId()) is { } request)
            {
                request.Complete(frame.ToOutcome());
            }
            else if (Interlocked.Increment(ref strays) <= LoggedStrays)
            {
                logger.StrayAnswer(server);
            }
            return;
        }
        if (!frame.Id.IsEmpty)
        {
            clients.Ask(frame, exchange);
            return;
        }
        switch (frame.Method)
        {
            case "notifications/progress":
                pending.Find(ProgressReport.TokenOf(frame.Params))?.Tell(null, frame.Params);
                break;
            case "notifications/tools/list_changed" or "notifications/prompts/list_changed" or "notifications/resources/list_changed":
                ToolsChanged?.Invoke();
                break;
            case "notifications/resources/updated":
                if (JsonMembers.FindString(frame.Params, "uri"u8) is { } uri)
                {
                    ResourceUpdated?.Invoke(uri);
                }
                break;
            case "notifications/cancelled":
                clients.Cancel(frame.Params);
                break;
            case "notifications/subscriptions/acknowledged":
                // The hub's own subscription; nobody else has one here.
                break;
            default:
                clients.Tell(frame.Method, frame.Params, exchange);
                break;
        }
    }

    private void CountNoise(int bytes)
    {
        if (Interlocked.Increment(ref strays) <= LoggedStrays)
        {
            logger.NotJson(server, bytes);
        }
    }
}
