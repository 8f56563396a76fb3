using System.Collections.Immutable;
using Shared.Configuration;
using Shared.VirtualKeys;

namespace Shared.Stored;

/// <summary>What can be declared through the admin API, beside virtual keys and secrets.</summary>
public enum EntityKind
{
    /// <summary>An entry of the form under <c>providers</c>; its id is the provider's.</summary>
    Provider,

    /// <summary>An entry of the form under <c>routes</c>; its id is the public model name.</summary>
    Route,

    /// <summary>An entry of the form under <c>users</c>.</summary>
    User,

    /// <summary>An entry of the form under <c>teams</c>.</summary>
    Team,

    /// <summary>An entry of the form under <c>customers</c>.</summary>
    Customer,

    /// <summary>An item of the form under <c>prices</c>; its id is <c>provider/model</c>.</summary>
    Price,

    /// <summary>A tool manifest; its id is <c>metadata.id</c>.</summary>
    Manifest,
}

/// <summary>The name of an entity within the configuration.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Id">Its id, unique within its kind.</param>
public readonly record struct EntityName(EntityKind Kind, string Id) : IComparable<EntityName>
{
    /// <inheritdoc/>
    public int CompareTo(EntityName other) => Kind != other.Kind ? Kind.CompareTo(other.Kind) : string.CompareOrdinal(Id, other.Id);

    /// <summary><c>provider 'openai'</c>.</summary>
    public override string ToString() => $"{Scalars.CamelCase(Kind.ToString())} '{Id}'";
}

/// <summary>An entity as the database holds it.</summary>
public sealed record StoredEntity
{
    /// <summary>What it is called.</summary>
    public required EntityName Name { get; init; }

    /// <summary>A JSON object of the form that the files use. Secrets stand in it as <c>${secret:name}</c>, never as they are.</summary>
    public required string Declaration { get; init; }

    /// <summary>Who made it.</summary>
    public string CreatedBy { get; init; } = "";

    /// <summary>When it was made.</summary>
    public DateTimeOffset CreatedAt { get; init; }

    /// <summary>Who changed it last.</summary>
    public string ChangedBy { get; init; } = "";

    /// <summary>When it was changed last.</summary>
    public DateTimeOffset ChangedAt { get; init; }
}

/// <summary>A secret of the encrypted store, opened.</summary>
/// <param name="Value">Its text; null where it cannot be decrypted.</param>
/// <param name="ChangedBy">Who set it last.</param>
/// <param name="ChangedAt">When it was set last.</param>
public sealed record StoredSecret(Secret? Value, string ChangedBy, DateTimeOffset ChangedAt);

/// <summary>
/// Everything that the database contributes to a snapshot. Immutable: a change makes another one, which is built into a snapshot before it is written.
/// </summary>
public sealed record StoredConfiguration
{
    /// <summary>Nothing.</summary>
    public static StoredConfiguration Empty { get; } = new();

    /// <summary>Virtual keys by id, revoked ones included.</summary>
    public ImmutableSortedDictionary<string, StoredKey> Keys { get; init; } = ImmutableSortedDictionary.Create<string, StoredKey>(StringComparer.Ordinal);

    /// <summary>Entities by name.</summary>
    public ImmutableSortedDictionary<EntityName, StoredEntity> Entities { get; init; } = ImmutableSortedDictionary<EntityName, StoredEntity>.Empty;

    /// <summary>Secrets by name.</summary>
    public ImmutableSortedDictionary<string, StoredSecret> Secrets { get; init; } = ImmutableSortedDictionary.Create<string, StoredSecret>(StringComparer.Ordinal);

    /// <summary>Entities of a kind that this version does not know, as messages call them; they stay in the database as they are.</summary>
    public ImmutableArray<string> Unknown { get; init; } = [];

    /// <summary>This configuration with an entity added or replaced. Who and when are filled in as it is written.</summary>
    public StoredConfiguration With(EntityName name, string declaration) => this with
    {
        Entities = Entities.SetItem(name, Entities.TryGetValue(name, out var known) ? known with { Declaration = declaration } : new StoredEntity { Name = name, Declaration = declaration }),
    };

    /// <summary>This configuration without an entity.</summary>
    public StoredConfiguration Without(EntityName name) => this with { Entities = Entities.Remove(name) };

    /// <summary>This configuration with a secret set.</summary>
    public StoredConfiguration WithSecret(string name, Secret value) => this with { Secrets = Secrets.SetItem(name, new StoredSecret(value, "", default)) };

    /// <summary>This configuration without a secret.</summary>
    public StoredConfiguration WithoutSecret(string name) => this with { Secrets = Secrets.Remove(name) };

    /// <summary>This configuration with a key added or replaced.</summary>
    public StoredConfiguration With(StoredKey key) => this with { Keys = Keys.SetItem(key.Id, key) };
}

/// <summary>Who changes the configuration, for the audit.</summary>
/// <param name="Actor">An admin key as <c>admin:id</c>, or a name such as <c>first-start</c> or <c>files</c>.</param>
/// <param name="RequestId">The request that changes it, or null.</param>
public sealed record ChangedBy(string Actor, string? RequestId = null);

/// <summary>The stored part of the configuration.</summary>
public interface IStoredConfiguration
{
    /// <summary>Raised after something changed that was not written by <see cref="Commit"/>; the snapshot is then built anew.</summary>
    event Action? Changed;

    /// <summary>All of it.</summary>
    /// <exception cref="Storage.StorageException">The database cannot be read.</exception>
    StoredConfiguration Read();

    /// <summary>Writes what is different, an audit record of each difference, and the revision, all or nothing.</summary>
    /// <returns>What is stored now: <paramref name="after"/> with who and when filled in.</returns>
    /// <exception cref="Storage.StorageException">The database cannot be written.</exception>
    StoredConfiguration Commit(StoredConfiguration before, StoredConfiguration after, ChangedBy by, PublishedRevision revision);

    /// <summary>Keeps the text of a revision that came from elsewhere, such as a changed file. One that is the newest already is not kept twice.</summary>
    /// <exception cref="Storage.StorageException">The database cannot be written.</exception>
    void Record(PublishedRevision revision, ChangedBy by);
}

/// <summary>A snapshot's revision with the text that it is the hash of.</summary>
/// <param name="Revision">16 hex digits.</param>
/// <param name="Text">One declaration a line; secrets stand in it as hashes.</param>
public sealed record PublishedRevision(string Revision, string Text);
