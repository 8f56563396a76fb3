using System.Buffers;
using System.Text;
using System.Text.Json;
using Shared.Configuration;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>An entity as it is declared, by a file or through the admin API.</summary>
/// <param name="Name">What it is called.</param>
/// <param name="Origin">Where: <c>file:line</c>, <c>environment</c>, or <c>admin API</c>.</param>
/// <param name="FromAdminApi">Whether it can be changed through the admin API.</param>
/// <param name="Declaration">Its declaration as JSON of the form that the files use; members at their defaults are left out, secrets are shown as the references that they were written as, or masked.</param>
public sealed record DeclaredEntity(EntityName Name, string Origin, bool FromAdminApi, string Declaration)
{
    internal static IReadOnlyList<DeclaredEntity> ListAll(ConfigurationSources sources)
    {
        var gateway = sources.Gateway;
        var prices = sources.PriceOverlay.Concat(gateway.Prices);
        return
        [
            .. All(EntityKind.Provider, gateway.Providers),
            .. All(EntityKind.Route, gateway.Routes),
            .. All(EntityKind.User, gateway.Users),
            .. All(EntityKind.Team, gateway.Teams),
            .. All(EntityKind.Customer, gateway.Customers),
            .. prices.Select(price => Of(EntityKind.Price, $"{price.Provider}/{price.Model}", price)),
            .. sources.Manifests.Select(manifest => Of(EntityKind.Manifest, manifest.Metadata.Id, manifest)),
        ];
    }

    private static IEnumerable<DeclaredEntity> All<T>(EntityKind kind, IReadOnlyDictionary<string, T> declarations) where T : Declaration =>
        declarations.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => Of(kind, pair.Key, pair.Value));

    private static DeclaredEntity Of(EntityKind kind, string id, Declaration declaration)
    {
        return new DeclaredEntity(new EntityName(kind, id), OriginOf(declaration), declaration.FromAdminApi, TextOf(declaration));
    }

    internal static string OriginOf(Declaration declaration) =>
        declaration.FromAdminApi ? "admin API" : declaration.Node is { } node ? $"{node.File}:{node.Line}" : "environment";

    internal static string TextOf(Declaration declaration)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            ConfigWriter.WriteShown(json, declaration);
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}

/// <summary>A virtual key that a file declares.</summary>
/// <param name="Id">Its id, as its token names it.</param>
/// <param name="Origin">Where: <c>file:line</c>.</param>
/// <param name="Declaration">Its declaration as JSON, without its token.</param>
public sealed record DeclaredKey(string Id, string Origin, string Declaration)
{
    internal static IReadOnlyDictionary<string, DeclaredKey> ListAll(ConfigurationSources sources)
    {
        var keys = new Dictionary<string, DeclaredKey>(StringComparer.Ordinal);
        Span<byte> hash = stackalloc byte[System.Security.Cryptography.SHA256.HashSizeInBytes];
        foreach (var declaration in sources.Gateway.Keys.Values)
        {
            if (declaration.Key is { } token && KeyToken.TryParse(token.Reveal(), KeyToken.VirtualKeyPrefix, out var id, hash))
            {
                keys[id] = new DeclaredKey(id, DeclaredEntity.OriginOf(declaration), DeclaredEntity.TextOf(declaration with { Key = null }));
            }
        }
        return keys;
    }
}
