using Gateway.Admin.OpenApi;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>The part of the admin API that is about data: what was used, the ledger, the states of tool servers, backups.</summary>
internal static class DataEndpoints
{
    private const string Usage = "Usage and ledger";
    private const string ToolServers = "Tool servers";
    private const string Reason = """{"reason":"deletes without asking"}""";

    private static readonly QueryParameter[] Filters =
    [
        new("from", "Calls that began at or after this date or moment."),
        new("to", "Calls that began before this date or moment."),
        new("key", "Only this key's calls."),
        new("user", "Only this user's calls."),
        new("team", "Only this team's calls."),
        new("customer", "Only this customer's calls."),
        new("provider", "Only calls of this provider's models."),
        new("model", "Only this `provider/model`."),
        new("server", "Only calls of this tool server's tools."),
        new("tool", "Only this `server/tool`."),
        new("outcome", "Only calls that ended so; `started`: those that are not settled.", """{"type":"string","enum":["started","succeeded","failed","broken","cancelled","refused"]}"""),
        new("format", "CSV in place of JSON; `Accept: text/csv` does as well.", """{"type":"string","enum":["json","csv"],"default":"json"}"""),
    ];

    /// <summary>Maps it into the group of the admin API.</summary>
    public static void MapDataEndpoints(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/usage", UsageEndpoint.AnswerAsync, static () => new("readUsage", Usage, "Sum the ledger up, as a table or a time series")
        {
            Query =
            [
                new("groupBy", "`key`, `model`, `tool`, `day`, `provider`, `server`, `user`, `team`, `customer`, `outcome`, `operation`; several separated by commas.") { Repeatable = true },
                .. Filters,
                new("operation", "Only calls of models, or of tools.", """{"type":"string","enum":["model","tool"]}"""),
                new("interval", "Makes a time series, of at most 2,000 points.", """{"type":"string","enum":["minute","hour","day","week","month"]}"""),
                new("timeZone", "Where days, weeks and months begin, as `Europe/Berlin`; only with `interval`.", """{"type":"string","default":"UTC"}"""),
                new("fill", "`zero`: a row of nothing where a group has no calls; only with `interval`.", """{"type":"string","enum":["zero"]}"""),
                new("orderBy", "By the group in ascending order, or the largest first.", """{"type":"string","enum":["group","cost","calls","failed","tokens","duration"],"default":"group"}"""),
                new("top", "Only so many groups, the largest over the whole span.", """{"type":"integer","minimum":1,"maximum":100}"""),
                new("limit", "The most rows.", """{"type":"integer","minimum":1,"maximum":10000,"default":10000}"""),
            ],
            Answers = [(Status200OK, "Usage")],
        });
        admin.MapOperation("GET", "/ledger", LedgerEndpoints.SearchAsync, static () => new("searchLedger", Usage, "Search the attempts, the newest first")
        {
            Description = "A page with few attempts, or none, can still have a next one: a search that finds little stops after two seconds.",
            Query =
            [
                .. Filters,
                new("status", "Only calls that the upstream answered with this HTTP status; 0: none was received.", """{"type":"integer","minimum":0,"maximum":999}"""),
                new("error", "Only calls with this short code of an error."),
                new("minCost", "Only calls that cost at least so many dollars.", """{"type":"number","minimum":0}"""),
                new("requestId", "Only the attempts of this request."),
                new("traceId", "Only the attempts in this trace, 32 hex digits."),
                new("cursor", "The `nextCursor` of the page before."),
                new("limit", "The most attempts: 100 by default, at most 1,000; as CSV at most, and by default, 1,000,000.", """{"type":"integer","minimum":1,"maximum":1000000}"""),
            ],
            Answers = [(Status200OK, "LedgerPage")],
        });
        admin.MapOperation("GET", "/ledger/{id}", LedgerEndpoints.FindAsync, static () => new("getAttempt", Usage, "Read one attempt, with all attempts of its request") { Answers = [(Status200OK, "AttemptOfRequest")] });

        admin.MapOperation("GET", "/toolservers", ToolServerEndpoints.ListAsync, static () => new("listToolServers", ToolServers, "List the tool servers and their states") { Answers = [(Status200OK, "ToolServerList")] });
        admin.MapOperation("GET", "/toolservers/{id}", ToolServerEndpoints.FindAsync, static () => new("getToolServer", ToolServers, "Read all that is known of a tool server") { Answers = [(Status200OK, "ToolServer")] });
        admin.MapOperation("POST", "/toolservers/{id}/reconnect", ToolServerEndpoints.ReconnectAsync, static () => new("reconnectToolServer", ToolServers, "Drop a tool server's connection and connect anew") { Answers = [(Status202Accepted, "ToolServer")] });
        admin.MapOperation("POST", "/toolservers/{id}/disable", ToolServerEndpoints.DisableAsync, static () => new("disableToolServer", ToolServers, "Hold a tool server back")
        {
            Body = "HoldReason",
            Example = Reason,
            Answers = [(Status200OK, "ToolServer")],
        });
        admin.MapOperation("POST", "/toolservers/{id}/enable", ToolServerEndpoints.EnableAsync, static () => new("enableToolServer", ToolServers, "Let a tool server go that was held back") { Answers = [(Status200OK, "ToolServer")] });
        admin.MapOperation("PUT", "/toolservers/{id}/tools/{tool}/quarantine", ToolServerEndpoints.QuarantineAsync, static () => new("quarantineTool", ToolServers, "Hold a tool back, at once")
        {
            Description = "The tool is named as its server names it; a slash in the name is written `%2F`.",
            Body = "HoldReason",
            Example = Reason,
            Answers = [(Status200OK, "ToolServer")],
        });
        admin.MapOperation("DELETE", "/toolservers/{id}/tools/{tool}/quarantine", ToolServerEndpoints.UnquarantineAsync, static () => new("releaseTool", ToolServers, "Let a tool go that was held back") { Answers = [(Status200OK, "ToolServer")] });
        admin.MapOperation("GET", "/toolservers/{id}/sign-in", SignInEndpoints.ListAsync, static () => new("listSignIns", ToolServers, "List who has signed in at a tool server") { Answers = [(Status200OK, "SignInList")] });
        admin.MapOperation("POST", "/toolservers/{id}/sign-in", SignInEndpoints.StartAsync, static () => new("startSignIn", ToolServers, "Make a link by which somebody signs in at a tool server")
        {
            Description = "Without a body the link is for the sign-in that everybody shares. It works once, in one browser, and for ten minutes; while it is unused, the same one is given again.",
            Body = "SignInRequest",
            BodyOptional = true,
            Example = """{"subject":"shared"}""",
            Answers = [(Status200OK, "SignInLink")],
        });
        admin.MapOperation("DELETE", "/toolservers/{id}/sign-in", SignInEndpoints.EndAsync, static () => new("endSignIn", ToolServers, "Forget what somebody was granted at a tool server")
        {
            Query = [new("subject", "Whose: `shared`, `user:<id>` or `key:<id>`.", """{"type":"string","default":"shared"}""")],
            Answers = [(Status204NoContent, null)],
        });

        admin.MapOperation("POST", "/backup", BackupEndpoint.AnswerAsync, static () => new("makeBackup", "Backup", "Back up the data while the gateway works")
        {
            Description = "The answer is a gzipped tar: `manifest.json`, `gateway.db` and, where it is asked for, `secrets.key`.",
            Query = [new("includeSecretsKey", "Pack the key of the stored secrets as well.", """{"type":"boolean","default":false}""")],
            Answers = [(Status200OK, "BackupArchive")],
            AnswerType = "application/gzip",
        });
    }
}
