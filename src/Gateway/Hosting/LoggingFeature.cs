using Microsoft.Extensions.Logging.Console;

namespace Gateway.Hosting;

/// <summary>Logs go to standard error: lines for people on a terminal, one JSON object a line elsewhere. What is printed for the user goes to standard output.</summary>
internal static class LoggingFeature
{
    public static WebApplicationBuilder AddGatewayLogging(this WebApplicationBuilder builder)
    {
        builder.Logging.ClearProviders();
        builder.Logging.AddConsole(console =>
        {
            console.LogToStandardErrorThreshold = LogLevel.Trace;
            console.FormatterName = Console.IsErrorRedirected ? ConsoleFormatterNames.Json : TerminalLogFormatter.FormatterName;
        });
        builder.Logging.AddConsoleFormatter<TerminalLogFormatter, ConsoleFormatterOptions>();
        builder.Services.Configure<JsonConsoleFormatterOptions>(json =>
        {
            json.UseUtcTimestamp = true;
            json.TimestampFormat = "yyyy-MM-ddTHH:mm:ss.fffZ";
        });
        builder.Services.Configure<LoggerFilterOptions>(filters =>
        {
            // In front of the rules from settings, so that those win. The server's own request log would make a span for each request: the gateway makes its own.
            filters.Rules.Insert(0, new LoggerFilterRule(null, "Microsoft", LogLevel.Warning, null));
            filters.Rules.Insert(1, new LoggerFilterRule(null, "System", LogLevel.Warning, null));
            filters.Rules.Insert(2, new LoggerFilterRule(null, "ModelContextProtocol", LogLevel.Warning, null));
            // It warns, with a stack, of each client that closes a stream, which is how a subscription ends.
            filters.Rules.Insert(3, new LoggerFilterRule(null, "ModelContextProtocol.Server.McpServer", LogLevel.Error, null));
            filters.Rules.Insert(4, new LoggerFilterRule(null, "Microsoft.AspNetCore.Hosting.Diagnostics", LogLevel.None, null));
            // A start that fails is told once, in a line for people; a background service that dies is logged as critical.
            filters.Rules.Insert(5, new LoggerFilterRule(null, "Microsoft.Extensions.Hosting.Internal.Host", LogLevel.Critical, null));
        });
        return builder;
    }
}
