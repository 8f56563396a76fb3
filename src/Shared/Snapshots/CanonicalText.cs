using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Shared.Configuration;
using Shared.Pricing;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>
/// The text that a snapshot's revision is the hash of: everything that was declared, one JSON array <c>[kind, id, declaration]</c> a line, the lines in
/// ordinal order, secrets as their hashes. The same declarations give the same text, however their files are laid out and whoever keeps them.
/// </summary>
internal static class CanonicalText
{
    private const int RevisionLength = 16;

    public static string Write(ConfigurationSources sources, IReadOnlyDictionary<string, ProviderDeclaration> detected, IEnumerable<ToolManifest> manifests)
    {
        var gateway = sources.Gateway;
        List<string> lines =
        [
            Line("catalog", "", json => json.WriteStringValue(PriceCatalog.Version)),
            Line("settings", "", json => ConfigWriter.Write(json, gateway with
            {
                Providers = new Dictionary<string, ProviderDeclaration>(),
                Routes = new Dictionary<string, RouteDeclaration>(),
                Keys = new Dictionary<string, KeyDeclaration>(),
                Users = new Dictionary<string, UserDeclaration>(),
                Teams = new Dictionary<string, TeamDeclaration>(),
                Customers = new Dictionary<string, CustomerDeclaration>(),
                Prices = [],
            })),
        ];
        if (LastPriceChange(sources) is { } day)
        {
            lines.Add(Line("pricesAsOf", "", json => json.WriteStringValue(day)));
        }
        AddAll(lines, "detected", detected);
        AddAll(lines, "provider", gateway.Providers);
        AddAll(lines, "route", gateway.Routes);
        AddAll(lines, "key", gateway.Keys);
        AddAll(lines, "user", gateway.Users);
        AddAll(lines, "team", gateway.Teams);
        AddAll(lines, "customer", gateway.Customers);
        AddPrices(lines, "priceFile", sources.PriceOverlay);
        AddPrices(lines, "price", gateway.Prices);
        foreach (var manifest in sources.Manifests)
        {
            lines.Add(Line(KindOf("manifest", manifest), manifest.Metadata.Id, json => ConfigWriter.Write(json, manifest)));
        }
        // Whether a server's command exists is no declaration, but decides as one does.
        foreach (var manifest in manifests.Where(manifest => manifest.Enabled))
        {
            lines.Add(Line("enabled", manifest.Id, json => json.WriteBooleanValue(true)));
        }
        foreach (var key in sources.StoredKeys)
        {
            lines.Add(key.Derivation.Line ??= Line("storedKey", key.Id, json => WriteKey(json, key)));
        }
        // Two declarations of one thing are refused elsewhere.
        lines.Sort(StringComparer.Ordinal);
        return string.Join('\n', lines);
    }

    public static string RevisionOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..RevisionLength];

    private static void AddAll<T>(List<string> lines, string kind, IReadOnlyDictionary<string, T> declarations) where T : Declaration
    {
        foreach (var (id, declaration) in declarations)
        {
            lines.Add(Line(KindOf(kind, declaration), id, json => ConfigWriter.Write(json, declaration)));
        }
    }

    // What may be reached depends on who declared it.
    private static string KindOf(string kind, Declaration declaration) => declaration.FromAdminApi ? "stored " + kind : kind;

    // Which of the dated prices hold is no declaration either.
    private static DateTimeOffset? LastPriceChange(ConfigurationSources sources) => sources.PriceOverlay.Concat(sources.Gateway.Prices)
        .Select(price => price.EffectiveFrom).OfType<DateTimeOffset>().Concat(PriceCatalog.Changes)
        .Where(day => day <= sources.AsOf).Max(day => (DateTimeOffset?)day);

    // Of two prices of one model the later wins, so their order counts.
    private static void AddPrices(List<string> lines, string kind, IReadOnlyList<PriceDeclaration> prices)
    {
        for (var i = 0; i < prices.Count; i++)
        {
            lines.Add(Line(kind, i.ToString("D6", System.Globalization.CultureInfo.InvariantCulture), json => ConfigWriter.Write(json, prices[i])));
        }
    }

    private static string Line(string kind, string id, Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartArray();
            json.WriteStringValue(kind);
            json.WriteStringValue(id);
            write(json);
            json.WriteEndArray();
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    private static void WriteKey(Utf8JsonWriter json, StoredKey key)
    {
        json.WriteStartObject();
        json.WriteStartArray("secrets");
        foreach (var secret in key.Secrets)
        {
            json.WriteStringValue(secret.ValidUntil is { } until ? $"{Convert.ToHexStringLower(secret.Hash)} until {until.UtcDateTime:O}" : Convert.ToHexStringLower(secret.Hash));
        }
        json.WriteEndArray();
        json.WriteString("declaration", key.Declaration);
        if (key.RevokedAt is { } revoked)
        {
            json.WriteString("revokedAt", revoked);
        }
        json.WriteEndObject();
    }
}
