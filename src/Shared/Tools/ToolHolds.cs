using Shared.Storage;
using Shared.Stored;

namespace Shared.Tools;

/// <summary>Something that an admin holds back: a tool, or a whole server. State, not declaration: no manifest changes by it.</summary>
/// <param name="Server">The manifest's id.</param>
/// <param name="Tool">The upstream's own name of the tool; "": the server as a whole.</param>
/// <param name="Reason">Why, in the admin's words.</param>
/// <param name="By">Who.</param>
/// <param name="Since">Since when.</param>
public sealed record ToolHold(string Server, string Tool, string Reason, string By, DateTimeOffset Since);

/// <summary>What admins hold back, kept in the database; each change with its audit record, both or neither.</summary>
public sealed class ToolHolds(GatewayDatabase database, TimeProvider clock)
{
    /// <summary>All holds.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<ToolHold> Read() => database.Use(session =>
    {
        using var select = session.Prepare("SELECT server, tool, reason, held_by, held_at FROM tools_held ORDER BY server, tool");
        var holds = new List<ToolHold>();
        while (select.Read())
        {
            holds.Add(new ToolHold(select.Text(0), select.Text(1), select.Text(2), select.Text(3), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(4))));
        }
        return holds;
    });

    /// <summary>Holds something back, or gives another reason for it.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public ToolHold Hold(string server, string tool, string reason, ChangedBy by) => database.Use(session =>
    {
        var now = DateTimeOffset.FromUnixTimeMilliseconds(clock.GetUtcNow().ToUnixTimeMilliseconds());
        session.InOneTransaction(() =>
        {
            using var upsert = session.Prepare("""
                INSERT INTO tools_held VALUES (?, ?, ?, ?, ?)
                ON CONFLICT DO UPDATE SET reason = excluded.reason, held_by = excluded.held_by, held_at = excluded.held_at
                """);
            upsert.Add(server).Add(tool).Add(reason).Add(by.Actor).Add(now.ToUnixTimeMilliseconds()).Run();
            AuditLog.Write(session, now, by, Change(tool.Length == 0 ? "disabled" : "quarantined", server, tool, reason), null);
        });
        return new ToolHold(server, tool, reason, by.Actor, now);
    });

    /// <summary>Lets it go. False: it was not held.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Release(string server, string tool, ChangedBy by) => database.Use(session =>
    {
        var released = false;
        session.InOneTransaction(() =>
        {
            using var delete = session.Prepare("DELETE FROM tools_held WHERE server = ? AND tool = ?");
            delete.Add(server).Add(tool).Run();
            released = session.Changes > 0;
            if (released)
            {
                AuditLog.Write(session, clock.GetUtcNow(), by, Change(tool.Length == 0 ? "enabled" : "released", server, tool, null), null);
            }
        });
        return released;
    });

    private static AuditChange Change(string action, string server, string tool, string? reason) => new(
        action, tool.Length == 0 ? "toolServer" : "tool", tool.Length == 0 ? server : $"{server}/{tool}", null,
        reason is null ? null : $"{{\"reason\":{System.Text.Json.JsonSerializer.Serialize(reason)}}}");
}
