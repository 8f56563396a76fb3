using System.Globalization;
using System.Text;
using System.Text.Json;
using Shared.Tools;

namespace McpHub.Catalog.Pins;

/// <summary>What differs between two definitions of a tool, for people: texts line by line, parameters and annotations one by one.</summary>
internal static class DefinitionDiff
{
    /// <summary>The most differences that are told.</summary>
    public const int MaxChanges = 500;

    private const int MaxValue = 2_000;
    private const int MaxDepth = 128;
    private static readonly JsonDocumentOptions Deep = new() { MaxDepth = MaxDepth };
    private static readonly JsonElement Empty = JsonDocument.Parse("{}").RootElement;
    private static readonly string[] Subjects = ["name", "title", "description", "annotation", "parameter", "schema", "member"];

    /// <summary>What differs.</summary>
    /// <param name="before">A canonical definition.</param>
    /// <param name="after">Another one.</param>
    public static IReadOnlyList<DefinitionChange> Between(string before, string after)
    {
        using var old = JsonDocument.Parse(before, Deep);
        using var present = JsonDocument.Parse(after, Deep);
        var changes = new List<DefinitionChange>();
        Compare(old.RootElement, present.RootElement, [], changes);
        return [.. changes.OrderBy(change => Array.IndexOf(Subjects, change.Subject)).Take(MaxChanges)];
    }

    /// <summary>A JSON text with everything but printable ASCII escaped: what stands in it can be seen, and shown anywhere.</summary>
    public static string Escape(string json)
    {
        var escaped = new StringBuilder(json.Length);
        foreach (var c in json)
        {
            // Outside of strings a JSON text is ASCII, so that an escape never stands where none may.
            _ = c is (>= ' ' and <= '~') or '\n' or '\r' or '\t' ? escaped.Append(c) : escaped.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
        }
        return escaped.ToString();
    }

    private static void Compare(JsonElement before, JsonElement after, List<string> path, List<DefinitionChange> changes)
    {
        if (changes.Count > MaxChanges)
        {
            return;
        }
        if (before.ValueKind == JsonValueKind.Object && after.ValueKind == JsonValueKind.Object)
        {
            foreach (var name in before.EnumerateObject().Concat(after.EnumerateObject()).Select(member => member.Name).Distinct(StringComparer.Ordinal).Order(StringComparer.Ordinal))
            {
                JsonElement? old = before.TryGetProperty(name, out var one) ? one : null;
                JsonElement? present = after.TryGetProperty(name, out var other) ? other : null;
                path.Add(name);
                CompareMembers(old, present, path, changes);
                path.RemoveAt(path.Count - 1);
            }
            return;
        }
        if (before.ValueKind == JsonValueKind.Array && after.ValueKind == JsonValueKind.Array && CompareArrays(before, after, path, changes))
        {
            return;
        }
        if (before.GetRawText() != after.GetRawText())
        {
            changes.Add(Change(path, "changed", before, after));
        }
    }

    private static void CompareMembers(JsonElement? before, JsonElement? after, List<string> path, List<DefinitionChange> changes)
    {
        // So that each annotation and each parameter is a change of its own where there were none at all.
        var isSet = path is ["annotations"] || path[^1] == "properties";
        if (before is { } old && after is { } present)
        {
            Compare(old, present, path, changes);
        }
        else if (isSet && (before ?? after)!.Value.ValueKind == JsonValueKind.Object)
        {
            Compare(before ?? Empty, after ?? Empty, path, changes);
        }
        else
        {
            changes.Add(Change(path, before is null ? "added" : "removed", before, after));
        }
    }

    /// <summary>Compares arrays item by item. False: they can only be compared as a whole.</summary>
    private static bool CompareArrays(JsonElement before, JsonElement after, List<string> path, List<DefinitionChange> changes)
    {
        var (old, present) = (before.EnumerateArray().ToList(), after.EnumerateArray().ToList());
        if (old.Concat(present).All(item => item.ValueKind is not (JsonValueKind.Object or JsonValueKind.Array)))
        {
            var (oldTexts, newTexts) = (old.Select(item => item.GetRawText()).ToHashSet(StringComparer.Ordinal), present.Select(item => item.GetRawText()).ToHashSet(StringComparer.Ordinal));
            var (gone, added) = (old.Where(item => !newTexts.Contains(item.GetRawText())).ToList(), present.Where(item => !oldTexts.Contains(item.GetRawText())).ToList());
            changes.AddRange(gone.Select(item => Change(path, "removed", item, null)));
            changes.AddRange(added.Select(item => Change(path, "added", null, item)));
            return gone.Count + added.Count > 0;
        }
        if (old.Count != present.Count)
        {
            return false;
        }
        for (var i = 0; i < old.Count; i++)
        {
            path.Add(i.ToString(CultureInfo.InvariantCulture));
            Compare(old[i], present[i], path, changes);
            path.RemoveAt(path.Count - 1);
        }
        return true;
    }

    private static DefinitionChange Change(List<string> path, string kind, JsonElement? before, JsonElement? after)
    {
        var isText = before is not { ValueKind: not JsonValueKind.String } && after is not { ValueKind: not JsonValueKind.String };
        var (old, present) = isText ? (before?.GetString() ?? "", after?.GetString() ?? "") : ("", "");
        var place = "/" + string.Join('/', path.Select(part => VisibleText.Of(part, 80).Replace("~", "~0", StringComparison.Ordinal).Replace("/", "~1", StringComparison.Ordinal)));
        return new DefinitionChange(place, SubjectOf(path), kind, Shown(before), Shown(after), RiskOf(path, kind, before, after),
            isText && (old.Contains('\n', StringComparison.Ordinal) || present.Contains('\n', StringComparison.Ordinal)) ? LineDiff.Between(old, present) : []);
    }

    private static string? Shown(JsonElement? value) => value is not { } known ? null
        : Escape(known.GetRawText()) is { Length: > MaxValue } text ? text[..MaxValue] + "..." : Escape(known.GetRawText());

    private static string SubjectOf(List<string> path) => path switch
    {
        ["name"] => "name",
        ["title"] => "title",
        ["description"] => "description",
        ["annotations", ..] => "annotation",
        ["inputSchema", .. var inner] when inner.Contains("properties") || inner is ["required"] => "parameter",
        ["inputSchema" or "outputSchema", ..] => "schema",
        _ => "member",
    };

    private static string? RiskOf(List<string> path, string kind, JsonElement? before, JsonElement? after) => path switch
    {
        ["annotations", var hint] => RiskOfHint(hint, before, after),
        ["inputSchema", .., "properties", _] when kind == "added" => "a new parameter: models fill it with what they know",
        ["inputSchema", .., "required"] when kind == "added" => "models must fill it now",
        ["inputSchema", .., "additionalProperties"] when after?.ValueKind != JsonValueKind.False => "more arguments than the listed ones are taken",
        _ => null,
    };

    // Defaults: specification, ToolAnnotations.
    private static string? RiskOfHint(string hint, JsonElement? before, JsonElement? after)
    {
        bool Value(JsonElement? value, bool otherwise) => value?.ValueKind switch { JsonValueKind.True => true, JsonValueKind.False => false, _ => otherwise };
        return hint switch
        {
            "readOnlyHint" when Value(before, false) && !Value(after, false) => "it no longer says that it only reads",
            "destructiveHint" when !Value(before, true) && Value(after, true) => "it no longer says that it destroys nothing",
            "idempotentHint" when Value(before, false) && !Value(after, false) => "it no longer says that repeating a call changes nothing more",
            "openWorldHint" when !Value(before, true) && Value(after, true) => "it no longer says that it stays within a closed domain",
            "readOnlyHint" when !Value(before, false) && Value(after, false) => "it now says that it only reads: clients may stop asking before they call it",
            "destructiveHint" when Value(before, true) && !Value(after, true) => "it now says that it destroys nothing: clients may stop asking before they call it",
            _ => null,
        };
    }
}
