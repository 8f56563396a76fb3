using System.Text.Json.Nodes;
using Shared.Snapshots;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary>Judging manifests without keeping them.</summary>
internal static class ManifestEndpoints
{
    private const string Invalid = "invalid_manifest";

    /// <summary><c>POST /manifests/validate</c>: whether the whole configuration would hold with it.</summary>
    public static async Task ValidateAsync(HttpContext context)
    {
        var (name, document) = await ReadAsync(context);
        var source = StoredDocuments.SourceOf(name);
        var loader = context.Service<SnapshotLoader>();
        var outcome = await loader.ChangeAsync(stored =>
        {
            EntityEndpoints.RequireEditable(context, loader, stored, name);
            return EntitySecrets.Put(stored, name, document);
        }, context.By(), dryRun: true);
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteBoolean("valid", outcome.Succeeded);
            json.WriteStartArray("errors");
            foreach (var error in outcome.Errors.Concat(outcome.ElsewhereErrors))
            {
                json.WriteStartObject();
                json.WriteString("field", error.File == source && error.Path.Length > 0 ? error.Path : null);
                json.WriteString("message", error.File == source ? error.Message : error.ToString());
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    /// <summary><c>POST /manifests/diff</c>: what would be different from what serves, member by member.</summary>
    public static async Task DiffAsync(HttpContext context)
    {
        var (name, document) = await ReadAsync(context);
        var (canonical, errors) = StoredDocuments.Canonical(name, document);
        if (canonical is null)
        {
            throw AdminProblem.Invalid(Invalid, StoredDocuments.SourceOf(name), errors);
        }
        var present = context.Service<SnapshotLoader>().Declared.FirstOrDefault(known => known.Name == name);
        var before = Members(present is null ? [] : JsonNode.Parse(present.Declaration)!.AsObject());
        var after = Members(canonical);
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", name.Id);
            json.WriteBoolean("exists", present is not null);
            json.WriteStartArray("changes");
            foreach (var path in before.Keys.Union(after.Keys).Order(StringComparer.Ordinal))
            {
                var (was, becomes) = (before.GetValueOrDefault(path), after.GetValueOrDefault(path));
                if (was != becomes)
                {
                    json.WriteStartObject();
                    json.WriteString("path", path);
                    WriteValue("before", was);
                    WriteValue("after", becomes);
                    json.WriteEndObject();
                }
            }
            json.WriteEndArray();
            json.WriteEndObject();

            void WriteValue(string member, string? value)
            {
                json.WritePropertyName(member);
                json.WriteRawValue(value ?? "null");
            }
        });
    }

    private static async Task<(EntityName Name, JsonObject Document)> ReadAsync(HttpContext context)
    {
        var document = await context.ObjectAsync("request body", Invalid);
        return (document["metadata"] as JsonObject)?["id"] is JsonValue value && value.TryGetValue<string>(out var id)
            ? (new EntityName(EntityKind.Manifest, id), document)
            : throw AdminProblem.BadBody(Invalid, "metadata.id", "'metadata.id' is required: the manifest's id.");
    }

    // Every leaf by its path, as JSON.
    private static Dictionary<string, string> Members(JsonObject declaration)
    {
        Dictionary<string, string> members = new(StringComparer.Ordinal);
        Add("", declaration);
        return members;

        void Add(string path, JsonNode? node)
        {
            if (node is JsonObject record)
            {
                foreach (var (name, value) in record)
                {
                    Add(path.Length == 0 ? name : $"{path}.{name}", value);
                }
            }
            else if (node is JsonArray list)
            {
                for (var i = 0; i < list.Count; i++)
                {
                    Add($"{path}[{i}]", list[i]);
                }
            }
            else
            {
                members[path] = node?.ToJsonString(AdminJson.Compact) ?? "null";
            }
        }
    }
}
