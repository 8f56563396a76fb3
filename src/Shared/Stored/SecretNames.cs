namespace Shared.Stored;

/// <summary>
/// Whose a secret of the encrypted store is. A name such as <c>provider.openai.apiKey</c> belongs to the entity that it names, and nothing else that the admin
/// API declares may refer to it; any other name is for all of them.
/// </summary>
public static class SecretNames
{
    private static readonly string[] OwnerKinds = [ConfigurationStore.KindOf(EntityKind.Provider), ConfigurationStore.KindOf(EntityKind.Manifest)];

    /// <summary>The secrets that belong to an entity begin with this. A dot in its id becomes a slash, so that no id's prefix is the beginning of another's.</summary>
    public static string PrefixOf(EntityName name) => $"{ConfigurationStore.KindOf(name.Kind)}.{name.Id.Replace('.', '/')}.";

    /// <summary>The prefix that a secret's owner has; null: it has no owner.</summary>
    public static string? OwnerPrefixOf(string secret)
    {
        var kind = secret.IndexOf('.', StringComparison.Ordinal);
        var id = kind < 0 ? -1 : secret.IndexOf('.', kind + 1);
        return id < 0 || !OwnerKinds.Contains(secret[..kind]) ? null : secret[..(id + 1)];
    }

    /// <summary>Whether an entity that the admin API declares may refer to a secret.</summary>
    public static bool MayRefer(EntityName name, string secret) => OwnerPrefixOf(secret) is not { } owner || owner == PrefixOf(name);
}
