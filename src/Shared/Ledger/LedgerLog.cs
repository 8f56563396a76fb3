using Microsoft.Extensions.Logging;

namespace Shared.Ledger;

internal static partial class LedgerLog
{
    [LoggerMessage(LogLevel.Warning, "The last run ended without its end: {Count} calls were under way or not yet written. They count at their reservations.")]
    public static partial void Recovered(this ILogger logger, int count);

    [LoggerMessage(LogLevel.Error, "The ledger could not write ({Failures} times in a row, {Waiting} records wait); it tries again in {Delay}.")]
    public static partial void WriteFailed(this ILogger logger, Exception exception, int failures, long waiting, TimeSpan delay);

    [LoggerMessage(LogLevel.Error, "A call of {Upstream}/{Name} cost {Charged} USD, more than its upper bound of {Bound} USD: the price or the bound is wrong (request {RequestId}).")]
    public static partial void BoundExceeded(this ILogger logger, string upstream, string name, Pricing.Money charged, Pricing.Money bound, string requestId);

    [LoggerMessage(LogLevel.Information, "The ledger writes again after {Failures} failures.")]
    public static partial void WritesAgain(this ILogger logger, int failures);

    [LoggerMessage(LogLevel.Error, "{Waiting} ledger records could not be written before the shutdown. Started calls are in the journal and will be charged at their reservations.")]
    public static partial void NotDrained(this ILogger logger, Exception? exception, long waiting);
}
