using Shared.Configuration;
using Shared.Http;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>Makes and revokes virtual keys so that the very next request sees the change.</summary>
internal sealed class KeyAdministration(KeyStore store, SnapshotStore snapshots, SnapshotLoader loader)
{
    /// <summary>Makes a key.</summary>
    /// <param name="declaration">What it may do, as JSON of the form of an entry under <c>keys</c> in the configuration file.</param>
    /// <param name="admin">Who makes it.</param>
    /// <param name="cancellationToken">Stops before the key is made, never between making and publishing it.</param>
    public async Task<(IssuedKey? Key, GatewayError? Error)> CreateAsync(string declaration, string admin, CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        var key = store.Create(declaration, admin);
        await loader.ReloadAsync(CancellationToken.None);
        return snapshots.Current.Keys.ContainsKey(key.Id) ? (key, null) : (null, NotPublished());
    }

    /// <summary>Revokes a key. Revoking one twice is fine.</summary>
    public async Task<GatewayError?> RevokeAsync(string id, string admin)
    {
        if (snapshots.Current.Keys.GetValueOrDefault(id) is { DeclaredIn: { } file })
        {
            return new GatewayError(StatusCodes.Status409Conflict, "declared_in_file", $"The key is declared in {file}; remove it there.") { Field = "id" };
        }
        if (!store.Revoke(id, admin) && Find(id) is null)
        {
            return UnknownKey(id);
        }
        await loader.ReloadAsync(CancellationToken.None);
        return snapshots.Current.Keys.GetValueOrDefault(id) is { RevokedAt: null } ? NotPublished() : null;
    }

    /// <summary>How a stored key was made; null for one that a file declares, or none.</summary>
    public KeyListing? Find(string id) => List().GetValueOrDefault(id);

    /// <summary>All stored keys by id.</summary>
    public IReadOnlyDictionary<string, KeyListing> List() => store.List().ToDictionary(key => key.Id, StringComparer.Ordinal);

    public static GatewayError UnknownKey(string id) =>
        new(StatusCodes.Status404NotFound, "unknown_key", $"There is no virtual key '{id}'.") { Field = "id" };

    private GatewayError NotPublished() =>
        new(StatusCodes.Status409Conflict, "configuration_refused", $"The change is stored, but the configuration as a whole is refused, so it does not serve yet: {string.Join("; ", snapshots.LastErrors)}");
}
