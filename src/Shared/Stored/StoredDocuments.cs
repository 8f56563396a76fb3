using System.Text;
using System.Text.Json.Nodes;
using Shared.Configuration;

namespace Shared.Stored;

/// <summary>Declarations as they come in through the admin API, before they are bound.</summary>
public static class StoredDocuments
{
    /// <summary>What errors call a stored entity; <see cref="ConfigError.File"/> of an error in it.</summary>
    public static string SourceOf(EntityName name) => $"{name} of the admin API";

    /// <summary>What errors call a stored key; <see cref="ConfigError.File"/> of an error in it.</summary>
    public static string SourceOf(string keyId) => $"key {keyId} in the database";

    /// <summary>Reads an object; a member that stands twice is an error, as is anything but an object.</summary>
    /// <param name="source">What errors call the text.</param>
    /// <param name="utf8">JSON, or YAML.</param>
    /// <param name="yaml">Whether it is YAML.</param>
    /// <returns>The object; usable only when there are no errors.</returns>
    public static (JsonObject? Document, IReadOnlyList<ConfigError> Errors) Read(string source, ReadOnlySpan<byte> utf8, bool yaml = false)
    {
        List<ConfigError> errors = [];
        var node = yaml ? YamlNodes.Read(source, Encoding.UTF8.GetString(utf8), errors) : JsonNodes.Read(source, utf8, errors);
        if (node is not null and not ConfigMapping)
        {
            errors.Add(node.Error($"expected an object, found {node.Describe()}"));
        }
        return (errors.Count == 0 && node is ConfigMapping ? JsonNode.Parse(node.ToJson())!.AsObject() : null, errors);
    }

    /// <summary>Whether a text holds a reference such as <c>${secret:name}</c>.</summary>
    public static bool HoldsReference(string text) => SecretReferences.Occur(text);

    /// <summary>A reference to a secret of the encrypted store.</summary>
    public static string ReferenceTo(string secret) => $"${{secret:{secret}}}";

    /// <summary>Reads a duration such as <c>30s</c>, <c>24h</c> or <c>7d</c>.</summary>
    public static bool TryDuration(string text, out TimeSpan duration)
    {
        var parsed = Scalars.Find(typeof(TimeSpan))!.Parse(new ConfigScalar("", 0, 0, "", ScalarStyle.Quoted, text));
        duration = parsed is TimeSpan known ? known : default;
        return parsed is not null;
    }

    /// <summary>Reads a date such as <c>2027-01-31</c>, or a moment such as <c>2027-01-31T12:00:00Z</c>.</summary>
    public static bool TryMoment(string text, out DateTimeOffset moment)
    {
        var parsed = Scalars.Find(typeof(DateTimeOffset))!.Parse(new ConfigScalar("", 0, 0, "", ScalarStyle.Quoted, text));
        moment = parsed is DateTimeOffset known ? known : default;
        return parsed is not null;
    }

    /// <summary>An entity's declaration in the one form that equal declarations share: members in their order, defaults left out, secrets masked or as references.</summary>
    /// <returns>The form; null where the document is none of the kind, for the reasons given.</returns>
    public static (JsonObject? Document, IReadOnlyList<ConfigError> Errors) Canonical(EntityName name, JsonObject document)
    {
        List<ConfigError> errors = [];
        var node = JsonNodes.Read(SourceOf(name), Encoding.UTF8.GetBytes(document.ToJsonString()), errors);
        if (node is null)
        {
            return (null, errors);
        }
        // Whether a secret exists is no matter of form.
        var binder = new ConfigBinder(errors, new SecretReferences(_ => null, _ => null, _ => null) { Lenient = true });
        Declaration? declaration = name.Kind switch
        {
            EntityKind.Provider => binder.Bind<ProviderDeclaration>(node),
            EntityKind.Route => binder.Bind<RouteDeclaration>(node),
            EntityKind.User => binder.Bind<UserDeclaration>(node),
            EntityKind.Team => binder.Bind<TeamDeclaration>(node),
            EntityKind.Customer => binder.Bind<CustomerDeclaration>(node),
            EntityKind.Price => binder.Bind<PriceDeclaration>(node),
            _ => binder.Bind<ManifestDeclaration>(node),
        };
        return (errors.Count == 0 ? JsonNode.Parse(Snapshots.DeclaredEntity.TextOf(declaration!))!.AsObject() : null, errors);
    }
}
