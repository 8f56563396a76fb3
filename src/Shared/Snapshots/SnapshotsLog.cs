using Microsoft.Extensions.Logging;

namespace Shared.Snapshots;

internal static partial class SnapshotsLog
{
    [LoggerMessage(LogLevel.Information, "Configuration {Revision} is in force: {Keys} keys, {Providers} providers, {Routes} routes, {Manifests} tool servers.")]
    public static partial void Published(this ILogger logger, string revision, int keys, int providers, int routes, int manifests);

    [LoggerMessage(LogLevel.Error, "Configuration: {Error}")]
    public static partial void ConfigurationError(this ILogger logger, string error);

    [LoggerMessage(LogLevel.Error, "Left out, since it does not fit: {Part}: {Reasons}")]
    public static partial void LeavesOut(this ILogger logger, string part, string reasons);

    [LoggerMessage(LogLevel.Error, "A new configuration was refused for {Count} errors; {Revision} goes on serving.")]
    public static partial void Refused(this ILogger logger, int count, string revision);

    [LoggerMessage(LogLevel.Error, "The configuration could not be read anew; the last one goes on serving.")]
    public static partial void ReloadFailed(this ILogger logger, Exception exception);

    [LoggerMessage(LogLevel.Warning, "The text of configuration {Revision} could not be kept; it is tried again.")]
    public static partial void RevisionNotKept(this ILogger logger, string revision, Exception exception);

    [LoggerMessage(LogLevel.Warning, "Changes in {Folder} are noticed by polling only: {Reason}")]
    public static partial void CannotWatch(this ILogger logger, string folder, string reason);
}
