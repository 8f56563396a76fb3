using Shared.Configuration;
using Shared.Storage;
using Shared.Stored;

namespace Shared.Tools;

/// <summary>What somebody was granted at a tool server, as it is kept.</summary>
/// <param name="Server">The manifest's id.</param>
/// <param name="Subject">Whose it is: <c>shared</c>, <c>user:id</c> or <c>key:id</c>.</param>
/// <param name="Issuer">The authorization server that granted it.</param>
/// <param name="CreatedAt">When that subject signed in there first.</param>
/// <param name="ChangedAt">When it was renewed last.</param>
/// <param name="Content">Tokens, as whoever keeps them writes them; null: they were sealed with another key and are lost.</param>
public sealed record UpstreamGrantRow(string Server, string Subject, string Issuer, DateTimeOffset CreatedAt, DateTimeOffset ChangedAt, Secret? Content);

/// <summary>
/// Grants and client registrations of upstream tool servers in the database, sealed by the <see cref="SecretVault"/>. Each is kept under its authorization server, so that
/// none is ever sent to another one.
/// </summary>
public sealed class UpstreamGrants(GatewayDatabase database, SecretVault vault, TimeProvider clock)
{
    /// <summary>The grants of a server, the oldest first.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public IReadOnlyList<UpstreamGrantRow> Read(string server) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT subject, issuer, created_at, changed_at, sealed FROM upstream_grants WHERE server = ? ORDER BY created_at, subject");
        select.Add(server);
        var rows = new List<UpstreamGrantRow>();
        while (select.Read())
        {
            var (subject, issuer) = (select.Text(0), select.Text(1));
            rows.Add(new UpstreamGrantRow(server, subject, issuer, Moment(select.Int64(2)), Moment(select.Int64(3)),
                vault.TryOpen(GrantName(server, subject, issuer), select.Blob(4), out var content) ? content : null));
        }
        return rows;
    });

    /// <summary>Keeps a grant in place of the one that the subject had from that authorization server.</summary>
    /// <param name="server">The server.</param>
    /// <param name="subject">Whose it is.</param>
    /// <param name="issuer">The authorization server.</param>
    /// <param name="content">The grant.</param>
    /// <param name="by">Who signed in, for the audit; null: it was only renewed.</param>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public void Write(string server, string subject, string issuer, Secret content, ChangedBy? by = null)
    {
        var sealedBytes = vault.Seal(GrantName(server, subject, issuer), content);
        var now = clock.GetUtcNow().ToUnixTimeMilliseconds();
        database.Use(session =>
        {
            session.InOneTransaction(() =>
            {
                using var upsert = session.Prepare("""
                    INSERT INTO upstream_grants VALUES (?, ?, ?, ?, ?, ?)
                    ON CONFLICT DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at
                    """);
                upsert.Add(server).Add(subject).Add(issuer).Add(sealedBytes).Add(now).Add(now).Run();
                if (by is not null)
                {
                    AuditLog.Write(session, clock.GetUtcNow(), by, new AuditChange("signedIn", "toolServer", server, null, Describe(subject, issuer)), null);
                }
            });
            return true;
        });
    }

    /// <summary>Deletes what a subject was granted at a server. False: there was nothing.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public bool Delete(string server, string subject, ChangedBy by) => database.Use(session =>
    {
        var deleted = false;
        session.InOneTransaction(() =>
        {
            using var delete = session.Prepare("DELETE FROM upstream_grants WHERE server = ? AND subject = ?");
            delete.Add(server).Add(subject).Run();
            deleted = session.Changes > 0;
            if (deleted)
            {
                AuditLog.Write(session, clock.GetUtcNow(), by, new AuditChange("signedOut", "toolServer", server, null, Describe(subject, null)), null);
            }
        });
        return deleted;
    });

    /// <summary>As which client the gateway is registered at an authorization server for a tool server; null: as none.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public Secret? FindClient(string server, string issuer) => database.Use(session =>
    {
        using var select = session.Prepare("SELECT sealed FROM upstream_clients WHERE server = ? AND issuer = ?");
        select.Add(server).Add(issuer);
        var content = select.Read() && vault.TryOpen(ClientName(server, issuer), select.Blob(0), out var found) ? found : null;
        select.Reset();
        return content;
    });

    /// <summary>Keeps a registration, or forgets it.</summary>
    /// <exception cref="StorageException">The database cannot be written.</exception>
    public void WriteClient(string server, string issuer, Secret? content)
    {
        var sealedBytes = content is null ? null : vault.Seal(ClientName(server, issuer), content);
        database.Use(session =>
        {
            using var statement = session.Prepare(sealedBytes is null
                ? "DELETE FROM upstream_clients WHERE server = ? AND issuer = ?"
                : "INSERT INTO upstream_clients (server, issuer, sealed, changed_at) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET sealed = excluded.sealed, changed_at = excluded.changed_at");
            statement.Add(server).Add(issuer);
            if (sealedBytes is not null)
            {
                statement.Add(sealedBytes).Add(clock.GetUtcNow().ToUnixTimeMilliseconds());
            }
            statement.Run();
            return true;
        });
    }

    private static string Describe(string subject, string? issuer) =>
        new System.Text.Json.Nodes.JsonObject { ["subject"] = subject, ["issuer"] = issuer }.ToJsonString();

    private static DateTimeOffset Moment(long milliseconds) => DateTimeOffset.FromUnixTimeMilliseconds(milliseconds);

    // A sealed text opens under its own name only, so that a row cannot be moved to another server or subject.
    private static string GrantName(string server, string subject, string issuer) => $"upstream grant\n{server}\n{subject}\n{issuer}";

    private static string ClientName(string server, string issuer) => $"upstream client\n{server}\n{issuer}";
}
