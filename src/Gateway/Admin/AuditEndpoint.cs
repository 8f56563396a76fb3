using System.Text.Json;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary><c>GET /admin/v1/audit</c>: who changed what and when, the newest first.</summary>
internal static class AuditEndpoint
{
    public static Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var records = context.Service<AuditLog>().Read(new AuditRequest
        {
            Kind = context.Text("kind"),
            Id = context.Text("id"),
            Actor = context.Text("actor"),
            From = context.Moment("from"),
            To = context.Moment("to"),
            Before = context.SequenceCursor(),
            Limit = Math.Min(limit + 1, 1000),
        });
        return AdminJson.WritePageAsync(context, "records", RevisionEndpoints.PageOf(records, limit, record => record.Sequence), Write);
    }

    private static void Write(Utf8JsonWriter json, AuditRecord record)
    {
        json.WriteStartObject();
        json.WriteNumber("sequence", record.Sequence);
        AdminJson.WriteMoment(json, "at", record.At);
        json.WriteString("actor", record.By.Actor);
        json.WriteString("requestId", record.By.RequestId);
        json.WriteString("action", record.Change.Action);
        json.WriteString("kind", record.Change.Kind);
        json.WriteString("id", record.Change.Id);
        WriteDeclaration("before", record.Change.Before);
        WriteDeclaration("after", record.Change.After);
        json.WriteString("revision", record.Revision);
        json.WriteEndObject();

        void WriteDeclaration(string name, string? declaration)
        {
            json.WritePropertyName(name);
            json.WriteRawValue(declaration ?? "null");
        }
    }
}
