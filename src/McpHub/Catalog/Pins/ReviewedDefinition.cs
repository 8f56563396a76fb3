using System.Collections.Immutable;
using Shared.Tools;

namespace McpHub.Catalog.Pins;

/// <summary>What depends on the bytes of a definition alone, found out once for them.</summary>
internal sealed class ReviewedDefinition
{
    private (ImmutableArray<ScanFinding> Findings, ImmutableArray<Mention> Mentions)? scan;

    private ReviewedDefinition(ReadOnlyMemory<byte> bytes, string name) => (Bytes, Name, Hash) = (bytes, name, DefinitionHash.Of(bytes));

    /// <summary>The definition as its server gave it.</summary>
    public ReadOnlyMemory<byte> Bytes { get; }

    /// <summary>The tool's own name.</summary>
    public string Name { get; }

    public DefinitionHash Hash { get; }

    /// <summary>Whether it was looked through.</summary>
    public bool IsScanned => scan is not null;

    /// <summary>What is suspicious in it, and what would be if another server had such a tool. Looked for when first asked.</summary>
    public (ImmutableArray<ScanFinding> Findings, ImmutableArray<Mention> Mentions) Scan() => scan ??= DefinitionScan.Of(Bytes);

    /// <summary>Text and hashes, to be kept.</summary>
    public DefinitionText ToText()
    {
        var text = DefinitionHash.TextOf(Bytes);
        return new DefinitionText(Name, Hash.Hash!, Hash.Shape, text is { Length: > ToolDefinitions.MaxTextLength } ? null : text);
    }

    /// <summary>The usable definitions of a list, by name; of what was there before with the same bytes, the same objects.</summary>
    public static Dictionary<string, ReviewedDefinition> Read(IReadOnlyList<ReadOnlyMemory<byte>> listed, IReadOnlyDictionary<string, ReviewedDefinition> before)
    {
        var read = new Dictionary<string, ReviewedDefinition>(listed.Count, StringComparer.Ordinal);
        foreach (var bytes in listed)
        {
            // Of a name that is listed twice the first one is served.
            if (ToolDefinition.Read(bytes, out var definition) is null && !read.ContainsKey(definition.Name))
            {
                read[definition.Name] = before.GetValueOrDefault(definition.Name) is { } known && known.Bytes.Span.SequenceEqual(bytes.Span) ? known : new ReviewedDefinition(bytes, definition.Name);
            }
        }
        return read;
    }
}
