using Microsoft.Extensions.Logging;

namespace McpHub.Upstreams;

internal static partial class UpstreamLog
{
    [LoggerMessage(LogLevel.Information, "Tool server {Server}: connected, protocol {Version}, {Tools} tools.")]
    public static partial void Connected(this ILogger logger, string server, string version, int tools);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: not connected ({Reason}): {Message} {Detail}")]
    public static partial void NotConnected(this ILogger logger, string server, string reason, string message, string? detail);

    [LoggerMessage(LogLevel.Error, "Tool server {Server}: not connected, for a reason that lies in the gateway.")]
    public static partial void ConnectingFailed(this ILogger logger, string server, Exception exception);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: gave no sign of life ({Reason}); it is asked once more.")]
    public static partial void NoSignOfLife(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Information, "Tool server {Server}: down ({Reason}); next try in {Seconds:0.##} s.")]
    public static partial void Reconnecting(this ILogger logger, string server, string reason, double seconds);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: its tools could not be read anew ({Reason}); those that it had are kept.")]
    public static partial void NotRefreshed(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: its list of tools is too long or never ends; {Tools} are taken.")]
    public static partial void ListCut(this ILogger logger, string server, int tools);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: what it wrote is no JSON-RPC message ({Bytes} bytes).")]
    public static partial void NotJson(this ILogger logger, string server, long bytes);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: answered a request that was never sent, or too late.")]
    public static partial void StrayAnswer(this ILogger logger, string server);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: could not be told ({Reason}).")]
    public static partial void NotTold(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Debug, "A caller could not be told of progress ({Reason}).")]
    public static partial void ProgressNotTaken(this ILogger logger, string reason);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: its session could not be ended ({Reason}).")]
    public static partial void FarewellFailed(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: its event stream broke ({Reason}).")]
    public static partial void ListeningBroke(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Information, "Tool server {Server}: speaks the older HTTP+SSE; 'transport: sse' in its manifest spares it the first question.")]
    public static partial void SpeaksOlderTransport(this ILogger logger, string server);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: refuses Streamable HTTP, and HTTP+SSE as well ({Reason}).")]
    public static partial void OlderTransportRefused(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: tells of no changes by itself; it is asked now and then.")]
    public static partial void NoSubscription(this ILogger logger, string server);

    [LoggerMessage(LogLevel.Error, "Tool server {Server}: reading what it wrote failed.")]
    public static partial void ReadingFailed(this ILogger logger, string server, Exception exception);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: does not end by itself and is killed.")]
    public static partial void KillingServer(this ILogger logger, string server);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: could not be killed ({Reason}).")]
    public static partial void KillFailed(this ILogger logger, string server, string reason);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: a process that it left behind holds its streams open.")]
    public static partial void StreamsHeld(this ILogger logger, string server);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server} wrote to its error stream, at last: {Text}")]
    public static partial void WroteErrors(this ILogger logger, string server, string text);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: tool {Tool} is quarantined: {Reason}")]
    public static partial void Quarantined(this ILogger logger, string server, string tool, string reason);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server} asks for {Method}, but it is not known whom; with 'session: perSession' in its manifest it would be.")]
    public static partial void NobodyToAsk(this ILogger logger, string server, string method);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server} asked for {Method}, and the client did not answer.")]
    public static partial void NotAnswered(this ILogger logger, string server, string method);

    [LoggerMessage(LogLevel.Error, "Tool server {Server} asked for {Method}, and asking the client failed.")]
    public static partial void AskingFailed(this ILogger logger, string server, string method, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: {Method} failed ({Reason}); what was known of it stays.")]
    public static partial void ListNotRead(this ILogger logger, string server, string method, string reason);

    [LoggerMessage(LogLevel.Debug, "Tool server {Server}: connection '{Scope}' is closed ({Reason}).")]
    public static partial void ScopeClosed(this ILogger logger, string server, string scope, string reason);

    [LoggerMessage(LogLevel.Error, "Someone who was told of changed tools failed.")]
    public static partial void ListenerFailed(this ILogger logger, Exception exception);
}
