using System.Text.Json.Nodes;
using Shared.Configuration;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary>
/// The members of a declaration that hold credentials. What is sent there as plain text is moved into the encrypted store under a name of the entity's
/// own, and a reference stands in its place.
/// </summary>
internal static class EntitySecrets
{
    /// <summary>What answers show instead of a credential that stands in a file as plain text.</summary>
    private const string Mask = "***";

    /// <summary>The secrets that belong to an entity begin with this.</summary>
    public static string PrefixOf(EntityName name) => $"{ConfigurationStore.KindOf(name.Kind)}.{name.Id}.";

    /// <summary>The configuration with an entity added or replaced, its credentials in the encrypted store.</summary>
    /// <exception cref="AdminProblem">A credential is the mask that answers show.</exception>
    public static StoredConfiguration Put(StoredConfiguration stored, EntityName name, JsonObject document)
    {
        var declaration = document.DeepClone().AsObject();
        HashSet<string> used = [];
        foreach (var (holder, member, path, secret) in Places(name, declaration))
        {
            var text = TextOf(holder[member])!;
            if (text == Mask)
            {
                throw AdminProblem.BadBody(EntityEndpoints.InvalidCode(name.Kind), path, $"{path}: '{Mask}' is what answers show instead of a credential; send the credential itself, or a reference such as ${{secret:name}}");
            }
            if (text.Length > 0 && !StoredDocuments.HoldsReference(text))
            {
                stored = stored.WithSecret(secret, new Secret(text));
                holder[member] = StoredDocuments.ReferenceTo(secret);
            }
            used.Add(secret);
        }
        foreach (var secret in stored.Secrets.Keys.Where(secret => secret.StartsWith(PrefixOf(name), StringComparison.Ordinal)))
        {
            // One that was set by name and is referred to elsewhere in the declaration stays as well.
            if (!used.Contains(secret) && !Mentions(declaration.ToJsonString(AdminJson.Compact), secret))
            {
                stored = stored.WithoutSecret(secret);
            }
        }
        return stored.With(name, declaration.ToJsonString(AdminJson.Compact));
    }

    /// <summary>The configuration without an entity and its secrets.</summary>
    public static StoredConfiguration Remove(StoredConfiguration stored, EntityName name)
    {
        foreach (var secret in stored.Secrets.Keys.Where(secret => secret.StartsWith(PrefixOf(name), StringComparison.Ordinal)))
        {
            stored = stored.WithoutSecret(secret);
        }
        return stored.Without(name);
    }

    /// <summary>The credentials that a declaration has: where each stands, and the secret of the encrypted store that it is, if it is one.</summary>
    public static IEnumerable<(string Member, string? Secret)> Read(EntityName name, JsonObject declaration)
    {
        foreach (var (holder, member, path, _) in Places(name, declaration))
        {
            var text = TextOf(holder[member])!;
            yield return (path, text.StartsWith("${secret:", StringComparison.Ordinal) && text.EndsWith('}') ? text["${secret:".Length..^1] : null);
        }
    }

    /// <summary>Whether a declaration refers to a secret.</summary>
    public static bool Mentions(string declaration, string secret) => declaration.Contains(StoredDocuments.ReferenceTo(secret), StringComparison.Ordinal);

    private static List<(JsonObject Holder, string Member, string Path, string Secret)> Places(EntityName name, JsonObject declaration)
    {
        List<(JsonObject, string, string, string)> places = [];
        if (name.Kind == EntityKind.Provider)
        {
            if (TextOf(declaration["apiKey"]) is not null)
            {
                places.Add((declaration, "apiKey", "apiKey", PrefixOf(name) + "apiKey"));
            }
            AddAll(declaration["headers"], "headers", "header");
        }
        else if (name.Kind == EntityKind.Manifest)
        {
            AddAll((declaration["upstream"] as JsonObject)?["headers"], "upstream.headers", "header");
            AddAll((declaration["upstream"] as JsonObject)?["env"], "upstream.env", "env");
        }
        return places;

        void AddAll(JsonNode? map, string path, string kind)
        {
            foreach (var (member, value) in map as JsonObject ?? [])
            {
                if (TextOf(value) is not null)
                {
                    places.Add(((JsonObject)map!, member, $"{path}.{member}", $"{PrefixOf(name)}{kind}.{member}"));
                }
            }
        }
    }

    private static string? TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
