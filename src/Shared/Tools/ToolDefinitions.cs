using System.Text.Json;
using Shared.Storage;
using Shared.Stored;

namespace Shared.Tools;

/// <summary>What was decided of one definition of a tool.</summary>
/// <param name="Hash">The definition: <c>sha256-</c> and 64 hex digits.</param>
/// <param name="Shape">Hash of its description and schemas alone, by which a renamed tool is known again.</param>
/// <param name="IsApproved">Whether it may be served; false: an admin rejected it.</param>
/// <param name="By">Who decided; <see cref="FirstUse"/>: nobody, it was the first one seen.</param>
/// <param name="At">When.</param>
/// <param name="Reason">Why, in the admin's words; null: none was given.</param>
public sealed record DefinitionDecision(string Hash, string Shape, bool IsApproved, string By, DateTimeOffset At, string? Reason)
{
    /// <summary>Who is named where a definition is trusted because it was the first.</summary>
    public const string FirstUse = "first-use";

    /// <summary>Whether a person decided.</summary>
    public bool IsByAdmin => By != FirstUse;
}

/// <summary>What is remembered of one tool. State, not declaration: no manifest changes by it.</summary>
/// <param name="Server">The manifest's id.</param>
/// <param name="Tool">The upstream's own name of the tool.</param>
/// <param name="FirstHash">The first definition seen.</param>
/// <param name="FirstSeen">When it was.</param>
/// <param name="Decisions">What was decided, the newest last; of one definition there is one decision.</param>
public sealed record KnownDefinition(string Server, string Tool, string FirstHash, DateTimeOffset FirstSeen, IReadOnlyList<DefinitionDecision> Decisions)
{
    /// <summary>The decision on a definition; null: there is none.</summary>
    public DefinitionDecision? On(string hash) => Decisions.LastOrDefault(decision => decision.Hash == hash);

    /// <summary>The definition approved last; null: none is.</summary>
    public DefinitionDecision? Approved => Decisions.LastOrDefault(decision => decision.IsApproved);
}

/// <summary>A definition that is to be remembered.</summary>
/// <param name="Tool">The upstream's own name of the tool.</param>
/// <param name="Hash">The definition.</param>
/// <param name="Shape">Hash of its description and schemas alone.</param>
/// <param name="Text">Its canonical text; null: it is too long to be kept.</param>
public sealed record DefinitionText(string Tool, string Hash, string Shape, string? Text);

/// <summary>
/// Definitions of tools that were seen, approved and rejected, kept in the database by the manifest's id and the upstream's own tool name; each change with its audit record, both or neither.
/// </summary>
public sealed class ToolDefinitions(GatewayDatabase database, TimeProvider clock)
{
    /// <summary>The longest canonical text that is kept, in characters; of a longer one the hash alone.</summary>
    public const int MaxTextLength = 64 * 1024;

    /// <summary>The most decisions that are kept of one tool; the oldest go first, the newest approval stays.</summary>
    public const int MaxDecisions = 20;

    /// <summary>Everything that is remembered, ordered by server and tool.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<KnownDefinition> Read() => database.Use(session =>
    {
        var decisions = new Dictionary<(string, string), List<DefinitionDecision>>();
        using (var select = session.Prepare("SELECT server, tool, hash, shape, approved, decided_by, decided_at, reason FROM tool_decisions ORDER BY number"))
        {
            while (select.Read())
            {
                var tool = (select.Text(0), select.Text(1));
                if (!decisions.TryGetValue(tool, out var list))
                {
                    decisions[tool] = list = [];
                }
                list.Add(new DefinitionDecision(select.Text(2), select.Text(3), select.Int64(4) != 0, select.Text(5), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(6)), select.TextOrNull(7)));
            }
        }
        using var tools = session.Prepare("SELECT server, tool, first_hash, first_seen FROM tool_definitions ORDER BY server, tool");
        var known = new List<KnownDefinition>();
        while (tools.Read())
        {
            var tool = (tools.Text(0), tools.Text(1));
            known.Add(new KnownDefinition(tool.Item1, tool.Item2, tools.Text(2), DateTimeOffset.FromUnixTimeMilliseconds(tools.Int64(3)), decisions.GetValueOrDefault(tool, [])));
        }
        return known;
    });

    /// <summary>The canonical text of a definition that was decided on; null: it was not, or was too long to be kept.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public string? ReadText(string server, string tool, string hash) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT definition FROM tool_decisions WHERE server = ? AND tool = ? AND hash = ?");
        select.Add(server).Add(tool).Add(hash);
        // The next row must be read to make the statement end.
        string? text = null;
        while (select.Read())
        {
            text = select.TextOrNull(0);
        }
        return text;
    });

    /// <summary>Remembers that tools of a server were seen for the first time.</summary>
    /// <param name="server">The manifest's id.</param>
    /// <param name="seen">What they looked like.</param>
    /// <param name="approve">Whether they are trusted for being the first.</param>
    /// <exception cref="StorageException">The database cannot be written; nothing is remembered.</exception>
    public IReadOnlyList<KnownDefinition> AddFirst(string server, IReadOnlyList<DefinitionText> seen, bool approve) => database.Use(session =>
    {
        var now = Now();
        session.InOneTransaction(() =>
        {
            using var insert = session.Prepare("INSERT INTO tool_definitions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
            foreach (var definition in seen)
            {
                insert.Add(server).Add(definition.Tool).Add(definition.Hash).Add(now.ToUnixTimeMilliseconds()).Run();
                if (approve)
                {
                    Decide(session, server, definition, true, DefinitionDecision.FirstUse, now, null);
                }
                AuditLog.Write(session, now, new ChangedBy(DefinitionDecision.FirstUse, null), Change(approve ? "pinned" : "seen", server, definition.Tool, definition.Hash, null, null), null);
            }
        });
        return (IReadOnlyList<KnownDefinition>)[.. seen.Select(definition => Find(session, server, definition.Tool)!)];
    });

    /// <summary>Remembers what an admin decided, all or nothing.</summary>
    /// <param name="server">The manifest's id.</param>
    /// <param name="definitions">What was decided on.</param>
    /// <param name="approve">Whether they may be served.</param>
    /// <param name="reason">Why; null: the admin did not say.</param>
    /// <param name="by">Who.</param>
    /// <exception cref="StorageException">The database cannot be written; nothing has changed.</exception>
    public IReadOnlyList<KnownDefinition> Decide(string server, IReadOnlyList<DefinitionText> definitions, bool approve, string? reason, ChangedBy by) => database.Use(session =>
    {
        var now = Now();
        session.InOneTransaction(() =>
        {
            using var insert = session.Prepare("INSERT INTO tool_definitions VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
            foreach (var definition in definitions)
            {
                var before = Find(session, server, definition.Tool)?.Approved?.Hash;
                insert.Add(server).Add(definition.Tool).Add(definition.Hash).Add(now.ToUnixTimeMilliseconds()).Run();
                Decide(session, server, definition, approve, by.Actor, now, reason);
                AuditLog.Write(session, now, by, Change(approve ? "approved" : "rejected", server, definition.Tool, definition.Hash, before, reason), null);
            }
        });
        return (IReadOnlyList<KnownDefinition>)[.. definitions.Select(definition => Find(session, server, definition.Tool)!)];
    });

    /// <summary>Forgets a tool: when it is seen again, it is new. False: nothing was known of it.</summary>
    /// <exception cref="StorageException">The database cannot be written; nothing has changed.</exception>
    public bool Forget(string server, string tool, ChangedBy by) => database.Use(session =>
    {
        var forgotten = false;
        session.InOneTransaction(() =>
        {
            var before = Find(session, server, tool);
            if (before is null)
            {
                return;
            }
            foreach (var table in new[] { "tool_decisions", "tool_definitions" })
            {
                using var delete = session.Prepare($"DELETE FROM {table} WHERE server = ? AND tool = ?");
                delete.Add(server).Add(tool).Run();
            }
            AuditLog.Write(session, clock.GetUtcNow(), by, Change("forgotten", server, tool, null, before.Approved?.Hash, null), null);
            forgotten = true;
        });
        return forgotten;
    });

    private static void Decide(SqliteSession session, string server, DefinitionText definition, bool approve, string by, DateTimeOffset now, string? reason)
    {
        using (var delete = session.Prepare("DELETE FROM tool_decisions WHERE server = ? AND tool = ? AND hash = ?"))
        {
            delete.Add(server).Add(definition.Tool).Add(definition.Hash).Run();
        }
        using (var insert = session.Prepare("INSERT INTO tool_decisions (server, tool, hash, shape, definition, approved, decided_by, decided_at, reason) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"))
        {
            insert.Add(server).Add(definition.Tool).Add(definition.Hash).Add(definition.Shape).Add(definition.Text).Add(approve ? 1L : 0L).Add(by).Add(now.ToUnixTimeMilliseconds()).Add(reason).Run();
        }
        using var trim = session.Prepare($"""
            DELETE FROM tool_decisions WHERE server = ?1 AND tool = ?2
                AND number NOT IN (SELECT number FROM tool_decisions WHERE server = ?1 AND tool = ?2 ORDER BY number DESC LIMIT {MaxDecisions})
                AND number <> (SELECT coalesce(max(number), 0) FROM tool_decisions WHERE server = ?1 AND tool = ?2 AND approved)
            """);
        trim.Add(server).Add(definition.Tool).Run();
    }

    private static KnownDefinition? Find(SqliteSession session, string server, string tool)
    {
        KnownDefinition? found = null;
        using (var select = session.Prepare("SELECT first_hash, first_seen FROM tool_definitions WHERE server = ? AND tool = ?"))
        {
            select.Add(server).Add(tool);
            while (select.Read())
            {
                found = new KnownDefinition(server, tool, select.Text(0), DateTimeOffset.FromUnixTimeMilliseconds(select.Int64(1)), []);
            }
        }
        if (found is null)
        {
            return null;
        }
        var decisions = new List<DefinitionDecision>();
        using var all = session.Prepare("SELECT hash, shape, approved, decided_by, decided_at, reason FROM tool_decisions WHERE server = ? AND tool = ? ORDER BY number");
        all.Add(server).Add(tool);
        while (all.Read())
        {
            decisions.Add(new DefinitionDecision(all.Text(0), all.Text(1), all.Int64(2) != 0, all.Text(3), DateTimeOffset.FromUnixTimeMilliseconds(all.Int64(4)), all.TextOrNull(5)));
        }
        return found with { Decisions = decisions };
    }

    private DateTimeOffset Now() => DateTimeOffset.FromUnixTimeMilliseconds(clock.GetUtcNow().ToUnixTimeMilliseconds());

    private static AuditChange Change(string action, string server, string tool, string? hash, string? before, string? reason) => new(
        action, "toolDefinition", $"{server}/{tool}",
        before is null ? null : $"{{\"definition\":\"{before}\"}}",
        hash is null ? null : reason is null ? $"{{\"definition\":\"{hash}\"}}" : $"{{\"definition\":\"{hash}\",\"reason\":{JsonSerializer.Serialize(reason)}}}");
}
