using System.Text.Json;
using Microsoft.Extensions.Logging;
using Shared.Tools;

namespace McpHub.Upstreams;

/// <summary>The <c>params</c> of a progress notification, in which one token is put in the place of another.</summary>
internal static class ProgressReport
{
    /// <summary>Our token in it, or -1.</summary>
    public static long TokenOf(ReadOnlySpan<byte> parameters) => Find(parameters, out _, out _);

    /// <summary>The same report under the caller's own token.</summary>
    public static ReadOnlyMemory<byte> For(byte[] parameters, ReadOnlySpan<byte> callerToken)
    {
        Find(parameters, out var start, out var end);
        return (byte[])[.. parameters.AsSpan(0, start), .. callerToken, .. parameters.AsSpan(end)];
    }

    private static long Find(ReadOnlySpan<byte> parameters, out int start, out int end)
    {
        var token = -1L;
        (start, end) = (0, 0);
        var reader = new Utf8JsonReader(parameters, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        if (parameters.IsEmpty || !reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return token;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isToken = reader.ValueTextEquals("progressToken"u8);
            reader.Read();
            if (isToken && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number))
            {
                (token, start, end) = (number, (int)reader.TokenStartIndex, (int)reader.BytesConsumed);
            }
            reader.Skip();
        }
        return token;
    }
}

/// <summary>Hands what a server says to the caller while its call runs: in order, all of it before the result, at the caller's own pace.</summary>
internal static class WordRelay
{
    public static async ValueTask<ToolCallOutcome> RunAsync(UpstreamCall call, PendingRequest request, ValueTask<ToolCallOutcome> exchange, ILogger logger, CancellationToken cancellationToken)
    {
        using var ended = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        var relaying = RelayAsync(call, request, logger, ended.Token);
        try
        {
            var outcome = await exchange;
            await relaying.WaitAsync(cancellationToken);
            return outcome;
        }
        catch
        {
            // Nothing may reach the caller after its call has ended.
            await ended.CancelAsync();
            throw;
        }
    }

    private static async Task RelayAsync(UpstreamCall call, PendingRequest request, ILogger logger, CancellationToken cancellationToken)
    {
        try
        {
            while (await request.Words!.WaitToReadAsync(cancellationToken))
            {
                while (!cancellationToken.IsCancellationRequested && request.Words.TryRead(out var word))
                {
                    if (word.Method is { } method)
                    {
                        await (call.Peer?.NotifyAsync(method, word.Params, cancellationToken) ?? ValueTask.CompletedTask);
                    }
                    else if (call.OnProgress is { } onProgress)
                    {
                        await onProgress(ProgressReport.For(word.Params, call.Params.ProgressToken.Span));
                    }
                }
            }
        }
        catch (OperationCanceledException)
        {
            // The call has ended.
        }
        catch (Exception exception)
        {
            // Whatever is wrong with one caller's connection ends what that caller hears, not the call, and nobody else's.
            logger.ProgressNotTaken(exception.GetType().Name);
        }
    }
}
