using Microsoft.Extensions.Logging;
using Shared.Pricing;

namespace LlmProxy;

internal static partial class LlmProxyLog
{
    [LoggerMessage(LogLevel.Warning, "Request {RequestId}: {Provider}/{Model} gave no answer for {Requested} ({Reason}); trying the next target, if there is one.")]
    public static partial void FallingBack(this ILogger logger, string requestId, string provider, string model, string requested, string reason);

    [LoggerMessage(LogLevel.Debug, "Request {RequestId}: the client left; {Provider}/{Model} was cancelled.")]
    public static partial void ClientLeft(this ILogger logger, string requestId, string provider, string model);

    [LoggerMessage(LogLevel.Warning, "Request {RequestId}: the stream of {Provider}/{Model} broke after its first content ({Reason}).")]
    public static partial void StreamBroke(this ILogger logger, string requestId, string provider, string model, string reason);

    [LoggerMessage(LogLevel.Error, "Request {RequestId}: {Provider}/{Model} cost {Cost} USD, more than the {Reserved} USD reserved for it. It is charged in full; its price entry or the bound is wrong.")]
    public static partial void ReservationExceeded(this ILogger logger, string requestId, string provider, string model, Money cost, Money reserved);

    [LoggerMessage(LogLevel.Information, "A realtime session of {Model} was closed: {Reason}.")]
    public static partial void SessionSpent(this ILogger logger, string model, string reason);

    [LoggerMessage(LogLevel.Warning, "No {Credential} could be had for {Account} ({Reason}).")]
    public static partial void NoCredential(this ILogger logger, string credential, string account, string reason);

    [LoggerMessage(LogLevel.Error, "Request {RequestId} over WebSocket failed.")]
    public static partial void SocketRequestFailed(this ILogger logger, string requestId, Exception exception);
}
