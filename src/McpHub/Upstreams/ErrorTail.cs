using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

/// <summary>Reads all that a server writes to its error stream, so that it never blocks on it, and keeps the end.</summary>
internal sealed class ErrorTail(string server, TimeProvider clock, ILogger logger)
{
    /// <summary>Characters kept.</summary>
    public const int Kept = 4096;

    private static readonly TimeSpan LogPeriod = TimeSpan.FromSeconds(10);

    private readonly Lock gate = new();
    private readonly char[] kept = new char[Kept];
    private int length;
    private long? lastLogged;

    /// <summary>What was written last.</summary>
    public string Text
    {
        get
        {
            lock (gate)
            {
                return new string(kept, 0, length);
            }
        }
    }

    /// <summary>Reads to the end of the stream.</summary>
    public async Task DrainAsync(StreamReader errors, CancellationToken cancellationToken)
    {
        var buffer = new char[Kept];
        try
        {
            int read;
            while ((read = await errors.ReadAsync(buffer, cancellationToken)) > 0)
            {
                Append(buffer.AsSpan(0, read));
                if (logger.IsEnabled(LogLevel.Debug) && (lastLogged is not { } last || clock.GetElapsedTime(last) >= LogPeriod))
                {
                    lastLogged = clock.GetTimestamp();
                    logger.WroteErrors(server, Text);
                }
            }
        }
        catch (Exception exception) when (exception is IOException or OperationCanceledException or ObjectDisposedException)
        {
            // The process ended; what it said last is kept.
        }
    }

    private void Append(ReadOnlySpan<char> text)
    {
        lock (gate)
        {
            var keep = Math.Min(length, Kept - text.Length);
            kept.AsSpan(length - keep, keep).CopyTo(kept);
            text.CopyTo(kept.AsSpan(keep));
            length = keep + text.Length;
        }
    }
}
