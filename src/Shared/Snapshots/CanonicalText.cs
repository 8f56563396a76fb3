using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Shared.Configuration;
using Shared.Pricing;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>
/// The text that a snapshot's revision is the hash of: everything that was declared, in a fixed order, with secrets as their hashes. The same
/// declarations give the same text, however their files are laid out.
/// </summary>
internal static class CanonicalText
{
    private const int RevisionLength = 16;

    public static string Write(ConfigurationSources sources, IReadOnlyDictionary<string, ProviderDeclaration> detected, IEnumerable<ToolManifest> manifests)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text))
        {
            writer.WriteStartObject();
            writer.WriteString("catalog", PriceFile.Catalog[^1].Version);
            writer.WritePropertyName("gateway");
            ConfigWriter.Write(writer, sources.Gateway);
            writer.WriteStartObject("detected");
            foreach (var (id, provider) in detected)
            {
                writer.WritePropertyName(id);
                ConfigWriter.Write(writer, provider);
            }
            writer.WriteEndObject();
            writer.WriteStartArray("priceFile");
            foreach (var price in sources.PriceOverlay)
            {
                ConfigWriter.Write(writer, price);
            }
            writer.WriteEndArray();
            writer.WriteStartArray("manifests");
            foreach (var manifest in sources.Manifests.OrderBy(manifest => manifest.Metadata.Id, StringComparer.Ordinal))
            {
                ConfigWriter.Write(writer, manifest);
            }
            writer.WriteEndArray();
            // Whether a server's command exists is no declaration, but decides as one does.
            writer.WriteStartArray("enabled");
            foreach (var manifest in manifests.Where(manifest => manifest.Enabled))
            {
                writer.WriteStringValue(manifest.Id);
            }
            writer.WriteEndArray();
            writer.WriteStartArray("keys");
            foreach (var key in sources.StoredKeys.OrderBy(key => key.Id, StringComparer.Ordinal))
            {
                WriteKey(writer, key);
            }
            writer.WriteEndArray();
            writer.WriteEndObject();
        }
        return Encoding.UTF8.GetString(text.ToArray());
    }

    public static string RevisionOf(string text) => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..RevisionLength];

    private static void WriteKey(Utf8JsonWriter writer, StoredKey key)
    {
        writer.WriteStartObject();
        writer.WriteString("id", key.Id);
        writer.WriteStartArray("secrets");
        foreach (var hash in key.SecretHashes)
        {
            writer.WriteStringValue(Convert.ToHexStringLower(hash));
        }
        writer.WriteEndArray();
        writer.WriteString("declaration", key.Declaration);
        if (key.RevokedAt is { } revoked)
        {
            writer.WriteString("revokedAt", revoked);
        }
        writer.WriteEndObject();
    }
}
