namespace Gateway.Admin;

/// <summary>The part of the admin API that is about data: what was used, the ledger, the states of tool servers, backups.</summary>
internal static class DataEndpoints
{
    /// <summary>Maps it into the group of the admin API.</summary>
    public static void MapDataEndpoints(this RouteGroupBuilder admin)
    {
        admin.MapGet("/usage", UsageEndpoint.AnswerAsync);
        admin.MapGet("/ledger", LedgerEndpoints.SearchAsync);
        admin.MapGet("/ledger/{id}", LedgerEndpoints.FindAsync);
        admin.MapGet("/toolservers", ToolServerEndpoints.ListAsync);
        admin.MapGet("/toolservers/{id}", ToolServerEndpoints.FindAsync);
        admin.MapPost("/toolservers/{id}/reconnect", ToolServerEndpoints.ReconnectAsync);
        admin.MapPost("/toolservers/{id}/disable", ToolServerEndpoints.DisableAsync);
        admin.MapPost("/toolservers/{id}/enable", ToolServerEndpoints.EnableAsync);
        admin.MapPut("/toolservers/{id}/tools/{tool}/quarantine", ToolServerEndpoints.QuarantineAsync);
        admin.MapDelete("/toolservers/{id}/tools/{tool}/quarantine", ToolServerEndpoints.UnquarantineAsync);
        admin.MapPost("/backup", BackupEndpoint.AnswerAsync);
    }
}
