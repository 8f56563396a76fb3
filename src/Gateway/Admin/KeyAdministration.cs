using Shared.Configuration;
using Shared.Http;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>Makes and revokes virtual keys so that the very next request sees the change.</summary>
internal sealed class KeyAdministration(KeyStore store, SnapshotStore snapshots, SnapshotLoader loader, RevokedKeys revoked, TimeProvider clock)
{
    /// <summary>What errors of a declaration call it.</summary>
    private const string Source = "request body";

    /// <summary>Makes a key, or says what is wrong with its declaration.</summary>
    /// <param name="declaration">What it may do: JSON of the form of an entry under <c>keys</c> in the configuration file, UTF-8.</param>
    /// <param name="by">Who makes it.</param>
    public async Task<(IssuedKey? Key, GatewayError? Error)> CreateAsync(ReadOnlyMemory<byte> declaration, ChangedBy by)
    {
        var (parsed, errors) = KeyDeclarationJson.Parse(declaration.Span, Source);
        if (parsed is null || errors.Count > 0)
        {
            return (null, Invalid(errors));
        }
        if (string.IsNullOrWhiteSpace(parsed.Name))
        {
            return (null, Invalid("'name' is missing: what people call the key.", "name"));
        }
        var key = KeyToken.NewVirtualKey();
        var made = new StoredKey { Id = key.Id, Secrets = [new KeySecret(key.SecretHash)], Declaration = KeyDeclarationJson.Write(parsed) };
        var outcome = await loader.ChangeAsync(stored => stored.With(made), by);
        return outcome.Succeeded ? (key, null)
            : (null, outcome.Errors.Count > 0 ? Invalid(outcome.Errors) : ConfigurationRefused(outcome.ElsewhereErrors));
    }

    /// <summary>Revokes a key. Revoking one twice is fine.</summary>
    public async Task<GatewayError?> RevokeAsync(string id, ChangedBy by)
    {
        if (snapshots.Current.Keys.GetValueOrDefault(id) is { DeclaredIn: { } file })
        {
            return new GatewayError(StatusCodes.Status409Conflict, "declared_in_file", $"The key is declared in {file}; remove it there.") { Field = "id" };
        }
        if (Find(id) is null)
        {
            return UnknownKey(id);
        }
        // A revocation waits for nobody, not even for files to be mended.
        store.Revoke(id, by);
        revoked.Add(id, clock.GetUtcNow());
        await loader.ReloadAsync(CancellationToken.None);
        return null;
    }

    /// <summary>How a stored key was made; null for one that a file declares, or none.</summary>
    public StoredKey? Find(string id) => List().GetValueOrDefault(id);

    /// <summary>All stored keys by id.</summary>
    public IReadOnlyDictionary<string, StoredKey> List() => store.ReadAll().ToDictionary(key => key.Id, StringComparer.Ordinal);

    public static GatewayError UnknownKey(string id) =>
        new(StatusCodes.Status404NotFound, "unknown_key", $"There is no virtual key '{id}'.") { Field = "id" };

    private static GatewayError Invalid(IReadOnlyList<ConfigError> errors) => Invalid(string.Join("; ", errors), errors[0].Path);

    private static GatewayError Invalid(string message, string? field) =>
        new(StatusCodes.Status400BadRequest, "invalid_key", message) { Field = string.IsNullOrEmpty(field) ? null : field };

    private static GatewayError ConfigurationRefused(IReadOnlyList<ConfigError> errors) =>
        new(StatusCodes.Status409Conflict, "configuration_refused", $"The configuration files have errors, so that no change can take effect; mend them first: {string.Join("; ", errors)}");
}
