using Microsoft.Extensions.Logging;

namespace Shared.Http;

internal static partial class GatewayRequestsLog
{
    [LoggerMessage(LogLevel.Error, "Request {RequestId} ({Route}) failed.")]
    public static partial void RequestFailed(this ILogger logger, Exception exception, string requestId, string route);

    [LoggerMessage(LogLevel.Debug, "Request {RequestId} ({Route}): the client left. {Reason}")]
    public static partial void ClientLeft(this ILogger logger, string requestId, string route, string reason);

    [LoggerMessage(LogLevel.Debug, "Request {RequestId} ({Route}) was refused with {Status} {Code}.")]
    public static partial void RequestRefused(this ILogger logger, string requestId, string route, int status, string code);

    [LoggerMessage(LogLevel.Information, "Request {RequestId} ({Route}) broke off with {Status}: {Reason}")]
    public static partial void BadRequest(this ILogger logger, string requestId, string route, int status, string reason);
}
