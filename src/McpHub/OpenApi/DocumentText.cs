using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Unicode;

namespace McpHub.OpenApi;

/// <summary>Reads the text of an OpenAPI document, JSON or YAML.</summary>
internal static class DocumentText
{
    /// <summary>How deep a document may be nested. What walks through it by recursion relies on this.</summary>
    public const int MaxDepth = 96;

    /// <summary>The document's root.</summary>
    /// <exception cref="DocumentException">It is none.</exception>
    public static JsonObject Parse(ReadOnlySpan<byte> utf8)
    {
        utf8 = utf8.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;
        if (!Utf8.IsValid(utf8))
        {
            throw new DocumentException("It is not valid UTF-8.");
        }
        var start = utf8.IndexOfAnyExcept(" \t\r\n"u8);
        if (start < 0)
        {
            throw new DocumentException("It is empty.");
        }
        var root = utf8[start] == (byte)'{' ? ParseJson(utf8) : YamlJson.Parse(Encoding.UTF8.GetString(utf8));
        return root as JsonObject ?? throw new DocumentException("It is not an object.");
    }

    private static JsonNode? ParseJson(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return JsonNode.Parse(utf8, documentOptions: new JsonDocumentOptions { MaxDepth = MaxDepth, AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            // Its message may quote the text.
            throw new DocumentException(FormattableString.Invariant($"It is not valid JSON in line {(exception.LineNumber ?? 0) + 1}, or a member stands twice there, or it is nested deeper than {MaxDepth} levels."));
        }
    }
}
