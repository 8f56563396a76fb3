using Microsoft.Extensions.Logging;

namespace McpHub.Catalog.Pins;

/// <summary>What the log says of definitions: never their texts, which are a stranger's.</summary>
internal static partial class PinsLog
{
    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: the definition of tool '{Tool}' is not the approved one ({State}, {Hash}); it is served, and 'gateway toolservers diff' shows the difference.")]
    public static partial void DefinitionPending(this ILogger logger, string server, string tool, string state, string hash);

    [LoggerMessage(LogLevel.Warning, "Tool server {Server}: {Findings} suspicious places in the definition of tool '{Tool}' ({Rules}), and it is {Consequence}.")]
    public static partial void DefinitionSuspicious(this ILogger logger, string server, string tool, int findings, string rules, string consequence);

    [LoggerMessage(LogLevel.Information, "Tool server {Server}: {Tools} tools were seen for the first time and are pinned to what they are now.")]
    public static partial void DefinitionsPinned(this ILogger logger, string server, int tools);

    [LoggerMessage(LogLevel.Error, "Tool server {Server}: the definitions of {Tools} new tools could not be written to the database: {Message}")]
    public static partial void DefinitionsNotWritten(this ILogger logger, string server, int tools, string message);

    [LoggerMessage(LogLevel.Error, "Tool server {Server}: {Tools} tools are remembered, which is the limit; new ones are not. 'gateway toolservers forget' makes room.")]
    public static partial void TooManyDefinitions(this ILogger logger, string server, int tools);

    [LoggerMessage(LogLevel.Warning, "{More} more definitions of tools are not the approved ones, or suspicious; 'gateway toolservers definitions' lists them.")]
    public static partial void MoreDefinitions(this ILogger logger, int more);
}
