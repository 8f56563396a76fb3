using System.Collections.Frozen;
using System.Security.Claims;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Http;

/// <summary>A virtual key with the identity that its requests run under.</summary>
/// <param name="Key">The key.</param>
/// <param name="Principal">Carries the key's id as <see cref="ClaimTypes.NameIdentifier"/>, which sessions are bound to.</param>
internal sealed record KeyEntry(VirtualKey Key, ClaimsPrincipal Principal);

/// <summary>The virtual keys of one snapshot by id.</summary>
internal sealed class KeyDirectory(FrozenDictionary<string, KeyEntry> entries)
{
    /// <summary>The key of an id, or null.</summary>
    public KeyEntry? Find(string id) => entries.GetValueOrDefault(id);
}

/// <summary>Compiles the <see cref="KeyDirectory"/>.</summary>
internal sealed class KeyDirectoryCompiler : ISnapshotCompiler
{
    /// <inheritdoc/>
    public object Compile(Snapshot snapshot, ICollection<string> errors) =>
        new KeyDirectory(snapshot.Keys.ToFrozenDictionary(pair => pair.Key, pair => new KeyEntry(pair.Value, CallerIdentity.Of(pair.Value))));
}

/// <summary>Identities of callers.</summary>
internal static class CallerIdentity
{
    /// <summary>The identity of a virtual key.</summary>
    public static ClaimsPrincipal Of(VirtualKey key) => New("VirtualKey", key.Id, key.Name);

    /// <summary>The identity of an admin key.</summary>
    public static ClaimsPrincipal OfAdmin(string id) => New("AdminKey", $"admin:{id}", "admin");

    private static ClaimsPrincipal New(string type, string id, string name) =>
        new(new ClaimsIdentity([new Claim(ClaimTypes.NameIdentifier, id), new Claim(ClaimTypes.Name, name)], type));
}
