using Microsoft.Extensions.Logging;

namespace McpHub.Serving;

internal static partial class ServingLog
{
    [LoggerMessage(LogLevel.Information, "MCP session {SessionId} ends: virtual key {KeyId} is no longer valid.")]
    public static partial void KeyNoLongerValid(this ILogger logger, string sessionId, string keyId);

    [LoggerMessage(LogLevel.Debug, "MCP session {SessionId} ends: there are many idle ones, and it was idle longest.")]
    public static partial void SessionPruned(this ILogger logger, string sessionId);

    [LoggerMessage(LogLevel.Debug, "MCP session {SessionId} could not be told that its tools changed.")]
    public static partial void NotificationFailed(this ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Warning, "MCP session {SessionId} could not be ended.")]
    public static partial void CloseFailed(this ILogger logger, string sessionId, Exception exception);

    [LoggerMessage(LogLevel.Error, "A tools/call failed inside the gateway.")]
    public static partial void CallFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Key {Key}: its client takes {Cap} tools, and is shown {Count}. Grant it fewer, give it a toolset, or let it connect with '?mode=search'.")]
    public static partial void TooManyTools(this ILogger logger, string key, int cap, int count);
}
