using Gateway.Admin.OpenApi;
using Shared.Tools;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/keys/{id}/tools</c>: what a key's clients are shown.</summary>
internal static class KeyToolsEndpoint
{
    public static Operation Describe() => new("listKeyTools", "Virtual keys", "List the tools that a virtual key's clients are shown now")
    {
        Description = "Those that its grants and its owners' allow, of servers that are connected, under the names that clients see: at `/mcp`, or at the endpoint of a server or a toolset.",
        Query = [new("server", "At the endpoint of this tool server, `/mcp/{server}`."), new("toolset", "At the endpoint of this toolset, `/mcp/t/{toolset}`."), .. Operation.Paging],
        Answers = [(Status200OK, "KeyTools")],
    };

    public static Task AnswerAsync(HttpContext context)
    {
        var (id, snapshot) = (context.Id(), context.Snapshot());
        var key = snapshot.Keys.GetValueOrDefault(id) ?? throw AdminProblem.NotFound("key", id);
        var (server, toolset) = (context.Text("server"), context.Text("toolset"));
        if (server is not null && toolset is not null)
        {
            throw AdminProblem.BadParameter("toolset", "'server' and 'toolset' are different endpoints; give one of them.");
        }
        if (server is not null && context.Service<IToolServerStates>().ReadAll().All(state => state.Id != server))
        {
            throw AdminProblem.BadParameter("server", $"There is no tool server '{server}'.");
        }
        if (toolset is not null && !snapshot.Toolsets.ContainsKey(toolset))
        {
            throw AdminProblem.BadParameter("toolset", $"There is no toolset '{toolset}'.");
        }
        var shown = context.Service<IKeyTools>().Read(snapshot, key, new ToolScope(server, toolset));
        var (tools, next) = context.Page(shown.Tools, tool => tool.Name);
        return AdminJson.WriteAsync(context, Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteNumber("count", shown.Tools.Count);
            json.WriteNumber("definitionBytes", shown.Bytes);
            json.WriteStartArray("tooManyFor");
            foreach (var cap in shown.TooManyFor)
            {
                json.WriteStartObject();
                json.WriteString("client", cap.Client);
                json.WriteNumber("most", cap.Most);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("tools");
            foreach (var tool in tools)
            {
                json.WriteStartObject();
                json.WriteString("name", tool.Name);
                json.WriteString("server", tool.Server);
                json.WriteString("tool", tool.Tool);
                json.WriteNumber("bytes", tool.Bytes);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteString("nextCursor", next);
            json.WriteEndObject();
        });
    }
}
