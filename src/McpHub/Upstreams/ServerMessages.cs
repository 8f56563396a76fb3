using System.Text.Json;
using System.Text.Unicode;
using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

/// <summary>
/// Takes what a server says: completes the requests that it answers, and hands on progress, changes and the server's own requests. Never waits.
/// </summary>
internal sealed class ServerMessages(string server, PendingRequests pending, Func<byte[], bool, Task> answer, ILogger logger)
{
    // A server that asks faster than it reads answers would otherwise fill the memory with them.
    private const int MostAnswers = 64;
    private const int LoggedStrays = 5;

    private int strays;
    private int answering;

    public event Action? ToolsChanged;

    /// <summary>Messages that were not JSON-RPC, and answers that nobody waits for.</summary>
    public int Strays => Volatile.Read(ref strays);

    /// <summary>Takes one message, or a batch of them, as revision 2025-03-26 allows.</summary>
    public void Take(ReadOnlySpan<byte> message)
    {
        var start = message.IndexOfAnyExcept(" \t\r\n"u8);
        if (start >= 0 && message[start] == (byte)'[')
        {
            TakeBatch(message);
            return;
        }
        TakeOne(message);
    }

    private void TakeBatch(ReadOnlySpan<byte> batch)
    {
        try
        {
            var reader = new Utf8JsonReader(batch, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                TakeOne(batch[start..(int)reader.BytesConsumed]);
            }
        }
        catch (JsonException)
        {
            CountNoise(batch.Length);
        }
    }

    private void TakeOne(ReadOnlySpan<byte> message)
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
        switch (frame.Method)
        {
            case "notifications/progress":
                pending.Find(ProgressReport.TokenOf(frame.Params))?.Report(frame.Params);
                break;
            case "notifications/tools/list_changed":
                ToolsChanged?.Invoke();
                break;
            default:
                if (!frame.Id.IsEmpty)
                {
                    Answer(frame.Id.ToArray(), frame.Method == "ping");
                }
                break;
        }
    }

    private void Answer(byte[] id, bool isPing)
    {
        if (Interlocked.Increment(ref answering) > MostAnswers)
        {
            Interlocked.Decrement(ref answering);
            return;
        }
        _ = AnswerAsync();

        async Task AnswerAsync()
        {
            try
            {
                await answer(id, isPing);
            }
            finally
            {
                Interlocked.Decrement(ref answering);
            }
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
