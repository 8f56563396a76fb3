using Microsoft.Extensions.Logging;

namespace McpHub.Serving;

internal static partial class ServingLog
{
    [LoggerMessage(LogLevel.Information, "MCP session {SessionId} ends: virtual key {KeyId} is no longer valid.")]
    public static partial void KeyNoLongerValid(this ILogger logger, string sessionId, string keyId);

    [LoggerMessage(LogLevel.Debug, "MCP session {SessionId} could not be told that its tools changed.")]
    public static partial void NotificationFailed(this ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Warning, "MCP session {SessionId} could not be ended.")]
    public static partial void CloseFailed(this ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Error, "A tools/call failed inside the gateway.")]
    public static partial void CallFailed(this ILogger logger, Exception exception);
}
