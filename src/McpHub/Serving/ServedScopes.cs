using McpHub.Catalog;
using Microsoft.AspNetCore.Http;
using Shared.Http;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>The endpoints that serve a part of the hub: each is there for those who may use something of it, and unknown to everybody else.</summary>
internal sealed class ServedScopes(ToolScopes scopes)
{
    /// <summary>Notes which part of the hub a request is for. False: there is no such part for its caller.</summary>
    public bool TryEnter(HttpContext context, ToolScope scope)
    {
        var caller = GatewayRequest.Of(context);
        if (caller.Key is not { } key || !scopes.Exists(caller.Snapshot, key, scope))
        {
            return false;
        }
        caller.ToolScope = scope;
        return true;
    }

    /// <summary>Refuses a request for a part that there is not.</summary>
    public static Task RefuseAsync(HttpContext context) => McpErrorFormat.Instance.WriteAsync(context, new GatewayError(
        StatusCodes.Status404NotFound, "unknown_endpoint", "There is no tool server or toolset of this name that the key may use. '/mcp' serves all that it may."));
}
