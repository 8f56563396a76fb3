using System.Text.Json;

namespace McpHub.Search;

/// <summary>Splits what is said of tools, and what is asked for, into words that can be compared.</summary>
internal static class ToolText
{
    /// <summary>The words of a text: split at everything that is no letter or digit and between lower and upper case, in lower case, without common English endings.</summary>
    public static IEnumerable<string> Words(string text)
    {
        var start = 0;
        for (var i = 0; i <= text.Length; i++)
        {
            var isEnd = i == text.Length || !char.IsLetterOrDigit(text[i]);
            var isBreak = !isEnd && i > start && ((char.IsUpper(text[i]) && char.IsLower(text[i - 1])) || (char.IsDigit(text[i]) != char.IsDigit(text[i - 1])));
            if (!isEnd && !isBreak)
            {
                continue;
            }
            if (i > start)
            {
                yield return Stem(text[start..i].ToLowerInvariant());
            }
            start = isEnd ? i + 1 : i;
        }
    }

    /// <summary>Takes common endings off, so that <c>files</c>, <c>listing</c> and <c>created</c> find <c>file</c>, <c>list</c> and <c>create</c>.</summary>
    public static string Stem(string word)
    {
        if (word.Length > 4 && word.EndsWith("ies", StringComparison.Ordinal))
        {
            return word[..^3] + "y";
        }
        if (word.Length > 5 && word.EndsWith("ing", StringComparison.Ordinal))
        {
            return WithoutE(word[..^3]);
        }
        if (word.Length > 4 && word.EndsWith("ed", StringComparison.Ordinal))
        {
            return WithoutE(word[..^2]);
        }
        if (word.Length > 4 && (word.EndsWith("ches", StringComparison.Ordinal) || word.EndsWith("shes", StringComparison.Ordinal) || word.EndsWith("sses", StringComparison.Ordinal) || word.EndsWith("xes", StringComparison.Ordinal)))
        {
            return word[..^2];
        }
        if (word.Length > 3 && word.EndsWith('s') && !word.EndsWith("ss", StringComparison.Ordinal) && !word.EndsWith("us", StringComparison.Ordinal))
        {
            return WithoutE(word[..^1]);
        }
        return WithoutE(word);
    }

    /// <summary>What a definition says of its tool, by field.</summary>
    public static (string Title, string Description, string Parameters) FieldsOf(ReadOnlyMemory<byte> definition)
    {
        using var document = JsonDocument.Parse(definition, new JsonDocumentOptions { MaxDepth = Upstreams.RpcFrame.MaxDepth });
        var root = document.RootElement;
        var parameters = new System.Text.StringBuilder();
        if (root.TryGetProperty("inputSchema", out var schema) && schema.ValueKind == JsonValueKind.Object && schema.TryGetProperty("properties", out var properties) && properties.ValueKind == JsonValueKind.Object)
        {
            foreach (var property in properties.EnumerateObject())
            {
                parameters.Append(property.Name).Append(' ').Append(TextOf(property.Value, "description")).Append(' ');
            }
        }
        return (TextOf(root, "title"), TextOf(root, "description"), parameters.ToString());
    }

    private static string TextOf(JsonElement element, string member) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(member, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";

    // "create" and "creat-ing", "move" and "mov-ed" meet here.
    private static string WithoutE(string word) => word.Length > 3 && word.EndsWith('e') ? word[..^1] : word;
}
