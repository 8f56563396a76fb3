using Microsoft.Extensions.Logging;

namespace McpHub.Catalog.Rules;

/// <summary>What is logged of rules. Never arguments.</summary>
internal static partial class RulesLog
{
    [LoggerMessage(LogLevel.Information, "Call of tool {Tool} of server {Server} by key {Key} was refused: {Reason}.")]
    public static partial void Refused(this ILogger logger, string server, string tool, string key, string reason);
}
