using System.Text.Json.Nodes;
using McpHub.Features;
using Shared.Http;

namespace McpHub.Serving;

/// <summary>How the hub introduces itself to a caller: what it can do, and how its tools are to be used.</summary>
internal static class Introduction
{
    /// <summary>Puts the caller's view into a result of <c>initialize</c> or <c>server/discover</c>.</summary>
    /// <param name="result">What the SDK says.</param>
    /// <param name="caller">Who asks.</param>
    /// <param name="view">What the caller sees.</param>
    /// <param name="isHandshake">Whether the client opens a session.</param>
    public static void Write(JsonObject result, GatewayRequest caller, FeatureView view, bool isHandshake)
    {
        result["capabilities"] = Capabilities(caller, view);
        if (!isHandshake)
        {
            result["supportedVersions"] = new JsonArray([.. ProtocolEras.All.Select(version => (JsonNode)version)]);
        }
        if (view.Instructions is { } instructions)
        {
            result["instructions"] = instructions;
        }
        if (caller.ToolScope.Server is null || view.OwnInfo.IsEmpty || RawNodes.Parse(view.OwnInfo.Span) is not JsonObject info)
        {
            return;
        }
        // An endpoint that serves one server speaks in its name.
        if (isHandshake)
        {
            result["serverInfo"] = info;
        }
        else if (result["_meta"] is JsonObject meta)
        {
            meta["io.modelcontextprotocol/serverInfo"] = info;
        }
    }

    private static JsonObject Capabilities(GatewayRequest caller, FeatureView view)
    {
        if (caller.ToolScope.Server is null || view.OwnCapabilities.IsEmpty || RawNodes.Parse(view.OwnCapabilities.Span) is not JsonObject own)
        {
            return new JsonObject
            {
                ["tools"] = new JsonObject { ["listChanged"] = true },
                ["prompts"] = new JsonObject { ["listChanged"] = true },
                ["resources"] = new JsonObject { ["listChanged"] = true, ["subscribe"] = true },
                ["completions"] = new JsonObject(),
                ["logging"] = new JsonObject(),
            };
        }
        // The hub tells of changes whether the server does or is asked now and then.
        foreach (var list in (string[])["tools", "prompts", "resources"])
        {
            if (own[list] is JsonObject capability)
            {
                capability["listChanged"] = true;
            }
        }
        own["tools"] ??= new JsonObject { ["listChanged"] = true };
        return own;
    }
}
