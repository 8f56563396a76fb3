using Shared.Egress;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>What a failure of HTTP means for a call.</summary>
internal static class HttpFailures
{
    /// <summary>The failure as callers may see it.</summary>
    /// <param name="manifest">The server.</param>
    /// <param name="exception">What was thrown; a cancellation is that of the handler, whose time for connecting has passed.</param>
    public static UpstreamException Of(ToolManifest manifest, Exception exception)
    {
        if (EgressRefusedException.Causes(exception))
        {
            return new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.RefusedByPolicy, $"Tool server '{manifest.Id}' is not connected: {EgressRefusedException.ForCallers}", wasSent: false, exception);
        }
        var wasReached = exception is not OperationCanceledException && exception is not HttpRequestException
        {
            HttpRequestError: HttpRequestError.ConnectionError or HttpRequestError.NameResolutionError or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError,
        };
        return wasReached
            ? new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Broken, $"The connection to tool server '{manifest.Id}' broke.", wasSent: true, exception)
            : new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.Unreachable, $"Tool server '{manifest.Id}' cannot be reached.", wasSent: false, exception);
    }
}
