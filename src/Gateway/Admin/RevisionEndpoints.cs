using System.Globalization;
using System.Text.Json;
using Shared.Snapshots;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/configuration</c> and <c>/admin/v1/revisions</c>: what serves, and what served before.</summary>
internal static class RevisionEndpoints
{
    public static Task ConfigurationAsync(HttpContext context)
    {
        var (snapshots, loader) = (context.Service<SnapshotStore>(), context.Service<SnapshotLoader>());
        var snapshot = snapshots.Current;
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("revision", snapshot.Revision);
            AdminJson.WriteTexts(json, "errors", snapshots.LastErrors);
            json.WriteStartArray("leftOut");
            foreach (var part in snapshots.LeftOut)
            {
                json.WriteStartObject();
                json.WriteString("what", part.What);
                json.WriteString("kind", part.Entity is { } entity ? ConfigurationStore.KindOf(entity.Kind) : null);
                json.WriteString("id", part.Entity?.Id);
                AdminJson.WriteTexts(json, "reasons", part.Reasons);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteNumber("keys", snapshot.Keys.Count);
            json.WriteNumber("providers", snapshot.Providers.Count);
            json.WriteNumber("routes", snapshot.Routes.Count);
            json.WriteNumber("manifests", snapshot.Manifests.Length);
            json.WriteNumber("storedEntities", loader.Stored.Entities.Count);
            json.WriteEndObject();
        });
    }

    public static Task ListAsync(HttpContext context)
    {
        var limit = context.Limit();
        var entries = context.Service<RevisionLog>().List(context.SequenceCursor(), Math.Min(limit + 1, 1000));
        return AdminJson.WritePageAsync(context, "revisions", PageOf(entries, limit, entry => entry.Sequence), (json, entry) =>
        {
            json.WriteStartObject();
            json.WriteNumber("sequence", entry.Sequence);
            json.WriteString("revision", entry.Revision);
            AdminJson.WriteMoment(json, "publishedAt", entry.PublishedAt);
            json.WriteString("changedBy", entry.By);
            json.WriteEndObject();
        });
    }

    public static Task GetAsync(HttpContext context)
    {
        var (text, vault) = (TextOf(context, context.Id(), "id"), context.Service<SecretVault>());
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("revision", context.Id());
            json.WriteStartArray("lines");
            foreach (var line in text.Split('\n'))
            {
                WriteLine(json, vault.HideHashes(line));
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    /// <summary><c>GET /revisions/{id}/diff?to=…</c>: what was declared in the one and not in the other.</summary>
    public static Task DiffAsync(HttpContext context)
    {
        var to = context.Text("to") ?? context.Service<SnapshotStore>().Current.Revision;
        var vault = context.Service<SecretVault>();
        var before = TextOf(context, context.Id(), "id").Split('\n');
        var after = TextOf(context, to, "to").Split('\n');
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("from", context.Id());
            json.WriteString("to", to);
            Write("removed", before.Except(after, StringComparer.Ordinal));
            Write("added", after.Except(before, StringComparer.Ordinal));
            json.WriteEndObject();

            void Write(string name, IEnumerable<string> lines)
            {
                json.WriteStartArray(name);
                foreach (var line in lines)
                {
                    WriteLine(json, vault.HideHashes(line));
                }
                json.WriteEndArray();
            }
        });
    }

    /// <summary>A page of what comes newest first, from one more entry than was asked for.</summary>
    public static (IReadOnlyList<T> Items, string? Next) PageOf<T>(IReadOnlyList<T> entries, int limit, Func<T, long> sequenceOf)
    {
        // A page of 1,000 cannot be read with one more; that it is full says that there may be another.
        var more = entries.Count > limit || (limit == 1000 && entries.Count == 1000);
        IReadOnlyList<T> page = [.. entries.Take(limit)];
        return (page, more ? sequenceOf(page[^1]).ToString(CultureInfo.InvariantCulture) : null);
    }

    private static string TextOf(HttpContext context, string revision, string parameter)
    {
        var snapshots = context.Service<SnapshotStore>();
        var text = context.Service<RevisionLog>().Find(revision) ?? (snapshots.Current.Revision == revision ? context.Service<SecretVault>().HideGuessable(context.Service<SnapshotLoader>().CurrentText) : null);
        return text ?? (parameter == "id" ? throw AdminProblem.NotFound("revision", revision) : throw AdminProblem.BadParameter(parameter, $"There is no revision '{revision}', or no longer."));
    }

    private static void WriteLine(Utf8JsonWriter json, string line)
    {
        using var document = JsonDocument.Parse(line);
        json.WriteStartObject();
        json.WriteString("kind", document.RootElement[0].GetString());
        json.WriteString("id", document.RootElement[1].GetString());
        json.WritePropertyName("declaration");
        document.RootElement[2].WriteTo(json);
        json.WriteEndObject();
    }
}
