using Gateway.Admin.OpenApi;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>What was used, and the tool servers.</summary>
internal static class DataEndpoints
{
    public static void MapDataEndpoints(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/usage", UsageEndpoint.AnswerAsync, static () => new("readUsage", "Usage", "Sum the ledger up")
        {
            Query =
            [
                new("groupBy", "`key`, `model`, `tool`, `day`, `provider`, `user`, `team`, `customer`; several separated by commas.") { Repeatable = true },
                new("from", "Calls that began at or after this date or moment."),
                new("to", "Calls that began before this date or moment."),
                new("key", "Only this key's calls."),
                new("model", "Only this `provider/model`."),
                new("tool", "Only this `server/tool`."),
                new("limit", "The most rows.", """{"type":"integer","minimum":1,"maximum":10000}"""),
            ],
            Answers = [(Status200OK, "Usage")],
        });
        admin.MapOperation("GET", "/toolservers", ToolServerEndpoint.ListAsync, static () => new("listToolServers", "Tool servers", "List the tool servers and their states")
        {
            Answers = [(Status200OK, "ToolServerList")],
        });
    }
}
