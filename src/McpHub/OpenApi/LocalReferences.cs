using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace McpHub.OpenApi;

/// <summary>Finds what the references of a document stand for, within that document. Nothing else is ever read for one.</summary>
internal sealed class LocalReferences(JsonObject root)
{
    private const int MaxHops = 16;

    private readonly Dictionary<string, JsonNode?> known = new(StringComparer.Ordinal);

    /// <summary>The reference that a value is; null: it is none.</summary>
    public static string? Of(JsonNode? node) => node is JsonObject map && map.TryGetPropertyValue("$ref", out var reference) ? Text(reference) ?? throw new DocumentException("A '$ref' is no text.") : null;

    /// <summary>A value, or what it refers to, however many references that takes.</summary>
    /// <exception cref="DocumentException">A reference leads nowhere, in a circle or out of the document.</exception>
    public JsonNode? Follow(JsonNode? node)
    {
        for (var hop = 0; hop < MaxHops; hop++)
        {
            if (Of(node) is not { } reference)
            {
                return node;
            }
            node = Find(reference);
        }
        throw new DocumentException($"The reference {DocumentException.Show(Of(node) ?? "")} leads in a circle, or through more than {MaxHops} others.");
    }

    /// <summary>What a reference leads to at once.</summary>
    /// <exception cref="DocumentException">It leads nowhere or out of the document.</exception>
    public JsonNode? Find(string reference)
    {
        if (known.TryGetValue(reference, out var found))
        {
            return found;
        }
        if (reference is not ['#', ..])
        {
            throw new DocumentException($"The reference {DocumentException.Show(reference)} leads to another document, and none but this is read: bundle them into one.");
        }
        if (reference is not ("#" or ['#', '/', ..]))
        {
            throw new DocumentException($"The reference {DocumentException.Show(reference)} names an anchor; only paths such as '#/components/schemas/Pet' are supported.");
        }
        JsonNode? node = root;
        foreach (var part in reference.Length == 1 ? [] : Uri.UnescapeDataString(reference[2..]).Split('/'))
        {
            var name = part.Replace("~1", "/", StringComparison.Ordinal).Replace("~0", "~", StringComparison.Ordinal);
            node = node switch
            {
                JsonObject map when map.TryGetPropertyValue(name, out var member) => member,
                JsonArray list when int.TryParse(name, NumberStyles.None, CultureInfo.InvariantCulture, out var index) && index < list.Count => list[index],
                _ => throw new DocumentException($"The reference {DocumentException.Show(reference)} leads nowhere."),
            };
        }
        known[reference] = node;
        return node;
    }

    /// <summary>A text; null: the value is none.</summary>
    public static string? Text(JsonNode? node) => node is JsonValue value && value.GetValueKind() == JsonValueKind.String ? value.GetValue<string>() : null;

    /// <summary>Whether a value is <c>true</c>.</summary>
    public static bool IsTrue(JsonNode? node) => node?.GetValueKind() == JsonValueKind.True;
}
