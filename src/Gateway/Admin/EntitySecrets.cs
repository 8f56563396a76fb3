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

    /// <summary>The configuration with an entity added or replaced, its credentials in the encrypted store.</summary>
    /// <exception cref="AdminProblem">A credential is the mask that answers show, or would be sent to an address that it was not given for.</exception>
    public static StoredConfiguration Put(StoredConfiguration stored, EntityName name, JsonObject document)
    {
        var declaration = document.DeepClone().AsObject();
        RequireNoUserInfo(name, declaration);
        var before = stored;
        HashSet<string> used = [];
        HashSet<string> given = [];
        foreach (var (node, path, secret) in Places(name, declaration))
        {
            var text = node.GetValue<string>();
            if (text == Mask)
            {
                throw AdminProblem.BadBody(EntityEndpoints.InvalidCode(name.Kind), path, $"{path}: '{Mask}' is what answers show instead of a credential; send the credential itself, or a reference such as ${{secret:name}}");
            }
            if (text.Length > 0 && !StoredDocuments.HoldsReference(text))
            {
                stored = stored.WithSecret(secret, new Secret(text));
                node.ReplaceWith(StoredDocuments.ReferenceTo(secret));
                given.Add(secret);
            }
            used.Add(secret);
        }
        var written = declaration.ToJsonString(AdminJson.Compact);
        RequireGivenAnew(before, name, declaration, written, given);
        foreach (var secret in OwnOf(stored, name))
        {
            // One that was set by name and is referred to elsewhere in the declaration stays as well.
            if (!used.Contains(secret) && !Mentions(written, secret))
            {
                stored = stored.WithoutSecret(secret);
            }
        }
        return stored.With(name, written);
    }

    /// <summary>The configuration without an entity and its secrets.</summary>
    public static StoredConfiguration Remove(StoredConfiguration stored, EntityName name)
    {
        foreach (var secret in OwnOf(stored, name))
        {
            stored = stored.WithoutSecret(secret);
        }
        return stored.Without(name);
    }

    /// <summary>The credentials that a declaration has: where each stands, and the secret of the encrypted store that it is, if it is one.</summary>
    public static IEnumerable<(string Member, string? Secret)> Read(EntityName name, JsonObject declaration)
    {
        foreach (var (node, path, _) in Places(name, declaration))
        {
            var text = node.GetValue<string>();
            yield return (path, ReferredOf(text));
        }
    }

    /// <summary>Whether a declaration refers to a secret.</summary>
    public static bool Mentions(string declaration, string secret) => declaration.Contains(StoredDocuments.ReferenceTo(secret), StringComparison.Ordinal);

    private static IEnumerable<string> OwnOf(StoredConfiguration stored, EntityName name)
    {
        var prefix = SecretNames.PrefixOf(name);
        return stored.Secrets.Keys.Where(secret => secret.StartsWith(prefix, StringComparison.Ordinal));
    }

    // Whoever may change an address may not have the credential sent there that somebody else gave for another one.
    private static void RequireGivenAnew(StoredConfiguration before, EntityName name, JsonObject declaration, string written, HashSet<string> given)
    {
        if (!before.Entities.TryGetValue(name, out var present))
        {
            return;
        }
        var (old, becomes) = (DestinationOf(name, JsonNode.Parse(present.Declaration)!.AsObject()), DestinationOf(name, declaration));
        if (old == becomes || OwnOf(before, name).FirstOrDefault(secret => !given.Contains(secret) && Mentions(written, secret)) is not { } kept)
        {
            return;
        }
        var path = Places(name, declaration).Where(place => Mentions(place.Node.GetValue<string>(), kept)).Select(place => place.Path).FirstOrDefault();
        throw AdminProblem.BadBody("credential_required", path,
            $"{path ?? kept}: the stored credential was given for {old}, and {name} would now send it to {becomes}; send the credential itself along with the change");
    }

    private static string DestinationOf(EntityName name, JsonObject declaration)
    {
        var upstream = declaration["upstream"] as JsonObject;
        var address = TextOf(name.Kind == EntityKind.Provider ? declaration["baseUrl"] : upstream?["url"] ?? upstream?["baseUrl"] ?? upstream?["document"]);
        return address is null ? TextOf(upstream?["command"]) is { } command ? $"the command '{command}'" : "the usual address"
            : (Uri.TryCreate(address, UriKind.Absolute, out var uri) ? uri.GetLeftPart(UriPartial.Authority) : address) + AuthorityOf(upstream?["auth"] as JsonObject);
    }

    // A client's secret is for the authorization server, wherever that is said to be.
    private static string AuthorityOf(JsonObject? auth)
    {
        string?[] named = [TextOf(auth?["issuer"]), TextOf(auth?["tokenUrl"]), TextOf((auth?["identityProvider"] as JsonObject)?["tokenUrl"])];
        return string.Concat(named.OfType<string>().Select(text => $" and {(Uri.TryCreate(text, UriKind.Absolute, out var uri) ? uri.GetLeftPart(UriPartial.Authority) : text)}"));
    }

    private static void RequireNoUserInfo(EntityName name, JsonObject declaration)
    {
        var (path, node) = name.Kind switch
        {
            EntityKind.Provider => ("baseUrl", declaration["baseUrl"]),
            EntityKind.Manifest => ("upstream.url", (declaration["upstream"] as JsonObject)?["url"]),
            _ => ("", null),
        };
        if (Uri.TryCreate(TextOf(node), UriKind.Absolute, out var address) && address.UserInfo.Length > 0)
        {
            throw AdminProblem.BadBody(EntityEndpoints.InvalidCode(name.Kind), path, $"{path}: an address is shown as it is and may hold no user name or password; send them as a header, such as Authorization");
        }
    }

    private static List<(JsonNode Node, string Path, string Secret)> Places(EntityName name, JsonObject declaration)
    {
        List<(JsonNode, string, string)> places = [];
        var prefix = SecretNames.PrefixOf(name);
        if (name.Kind == EntityKind.Provider)
        {
            if (TextOf(declaration["apiKey"]) is not null)
            {
                places.Add((declaration["apiKey"]!, "apiKey", prefix + "apiKey"));
            }
            AddAll(declaration["headers"], "headers", "header");
        }
        else if (name.Kind == EntityKind.Manifest)
        {
            var upstream = declaration["upstream"] as JsonObject;
            AddAuth(upstream?["auth"] as JsonObject);
            AddAll(upstream?["headers"], "upstream.headers", "header");
            AddAll(upstream?["env"], "upstream.env", "env");
            AddArguments(upstream?["args"] as JsonArray ?? []);
            AddAll(upstream?["credentials"], "upstream.credentials", "credential");
            foreach (var (scheme, parts) in upstream?["credentials"] as JsonObject ?? [])
            {
                AddAll(parts, $"upstream.credentials.{scheme}", $"credential.{scheme}");
            }
            AddFixed((declaration["expose"] as JsonObject)?["tools"] as JsonArray ?? []);
        }
        return places;

        void AddAuth(JsonObject? auth)
        {
            foreach (var (holder, path, member) in new[] { (auth, "upstream.auth", "clientSecret"), (auth, "upstream.auth", "privateKey"), (auth?["identityProvider"] as JsonObject, "upstream.auth.identityProvider", "clientSecret") })
            {
                if (TextOf(holder?[member]) is not null)
                {
                    places.Add((holder![member]!, $"{path}.{member}", $"{prefix}{path["upstream.".Length..]}.{member}"));
                }
            }
        }

        void AddAll(JsonNode? map, string path, string kind)
        {
            foreach (var (member, value) in map as JsonObject ?? [])
            {
                if (TextOf(value) is not null)
                {
                    places.Add((value!, $"{path}.{member}", $"{prefix}{kind}.{member}"));
                }
            }
        }

        // A rule has no name of its own, and its place may change: numbered by what is free, too.
        void AddFixed(JsonArray rules)
        {
            var written = rules.ToJsonString(AdminJson.Compact);
            var number = 0;
            for (var i = 0; i < rules.Count; i++)
            {
                foreach (var (member, value) in (rules[i] as JsonObject)?["setSecret"] as JsonObject ?? [])
                {
                    if (TextOf(value) is not { } text)
                    {
                        continue;
                    }
                    var (path, referred) = ($"expose.tools[{i}].setSecret.{member}", ReferredOf(text));
                    if (referred is null)
                    {
                        do
                        {
                            number++;
                        }
                        while (Mentions(written, $"{prefix}set.{number}"));
                    }
                    places.Add((value!, path, referred ?? $"{prefix}set.{number}"));
                }
            }
        }

        // An argument has no name, and its place may change: it is numbered by what is free.
        void AddArguments(JsonArray arguments)
        {
            var written = arguments.ToJsonString(AdminJson.Compact);
            var number = 0;
            for (var i = 0; i < arguments.Count; i++)
            {
                if (TextOf(arguments[i]) is not { } text)
                {
                    continue;
                }
                var (path, referred) = ($"upstream.args[{i}]", ReferredOf(text));
                if (referred is not null)
                {
                    places.Add((arguments[i]!, path, referred));
                }
                else if (text == Mask || (!StoredDocuments.HoldsReference(text) && CredentialArguments.IsOne(i == 0 ? null : TextOf(arguments[i - 1]), text)))
                {
                    do
                    {
                        number++;
                    }
                    while (Mentions(written, $"{prefix}arg.{number}"));
                    places.Add((arguments[i]!, path, $"{prefix}arg.{number}"));
                }
            }
        }
    }

    private static string? ReferredOf(string text) =>
        text.StartsWith("${secret:", StringComparison.Ordinal) && text.IndexOf('}', StringComparison.Ordinal) == text.Length - 1 ? text["${secret:".Length..^1] : null;

    private static string? TextOf(JsonNode? node) => node is JsonValue value && value.TryGetValue<string>(out var text) ? text : null;
}
