using System.Buffers;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace McpHub.Catalog.Pins;

/// <summary>The hash that a definition is pinned by.</summary>
/// <param name="Hash"><c>sha256-</c> and 64 hex digits, over the canonical form of the whole definition as its server gave it; null: it has none.</param>
/// <param name="Shape">The same over description and schemas alone, by which a renamed tool is known again; "": it has none.</param>
/// <param name="Wrong">Why there is no canonical form; null: there is one.</param>
internal sealed record DefinitionHash(string? Hash, string Shape, string? Wrong)
{
    public const string Prefix = "sha256-";

    /// <summary>Hashes a definition.</summary>
    public static DefinitionHash Of(ReadOnlyMemory<byte> definition) =>
        CanonicalJson.TryWrite(definition.Span, NumberForm.Exact, out var canonical) is { } wrong ? new DefinitionHash(null, "", wrong) : new DefinitionHash(Sha256(canonical), Sha256(ShapeOf(canonical)), null);

    /// <summary>The text that is hashed; null: the definition has no canonical form.</summary>
    public static string? TextOf(ReadOnlyMemory<byte> definition) => CanonicalJson.TryWrite(definition.Span, NumberForm.Exact, out var canonical) is null ? Encoding.UTF8.GetString(canonical) : null;

    private static string Sha256(ReadOnlySpan<byte> canonical) => Prefix + Convert.ToHexStringLower(SHA256.HashData(canonical));

    private static byte[] ShapeOf(byte[] canonical)
    {
        var shape = new ArrayBufferWriter<byte>(canonical.Length);
        var reader = new Utf8JsonReader(canonical, new JsonReaderOptions { MaxDepth = 128 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var counts = reader.ValueTextEquals("description"u8) || reader.ValueTextEquals("inputSchema"u8) || reader.ValueTextEquals("outputSchema"u8);
            var start = (int)reader.TokenStartIndex;
            reader.Read();
            reader.Skip();
            if (counts)
            {
                shape.Write(canonical.AsSpan(start..(int)reader.BytesConsumed));
                shape.Write("\n"u8);
            }
        }
        return shape.WrittenSpan.ToArray();
    }
}
