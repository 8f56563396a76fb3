using System.Globalization;
using System.Text.Json;

namespace LlmProxy.Tests.Recorded;

/// <summary>What one JSON value says that another does not. The order of members counts for nothing, nor does how a number is written, nor whether a member without a value is there as <c>null</c>, nor one more that is empty.</summary>
internal static class JsonDifference
{
    /// <summary>The differences, each with its path, e.g. <c>messages[0].name: "x", then nothing</c>; at most 20.</summary>
    public static List<string> Between(JsonElement before, JsonElement after)
    {
        var found = new List<string>();
        Compare("", before, after, found);
        return found;
    }

    /// <summary>Fails where there are differences, and shows them.</summary>
    public static void AssertNone(IEnumerable<string> differences)
    {
        var found = differences.Take(20).ToList();
        Assert.True(found.Count == 0, "Differences:\n" + string.Join('\n', found));
    }

    /// <summary>Every value of a tree by its path without numbers, e.g. <c>choices[].delta.content = "x"</c>.</summary>
    public static IEnumerable<(string Path, string Value)> Leaves(JsonElement json, string path = "")
    {
        switch (json.ValueKind)
        {
            case JsonValueKind.Object:
                foreach (var leaf in json.EnumerateObject().SelectMany(member => Leaves(member.Value, path.Length == 0 ? member.Name : path + "." + member.Name)))
                {
                    yield return leaf;
                }
                break;
            case JsonValueKind.Array:
                foreach (var leaf in json.EnumerateArray().SelectMany(element => Leaves(element, path + "[]")))
                {
                    yield return leaf;
                }
                break;
            case JsonValueKind.Null:
                break;
            default:
                yield return (path, Text(json));
                break;
        }
    }

    private static void Compare(string path, JsonElement? before, JsonElement? after, List<string> found)
    {
        if (found.Count >= 20)
        {
            return;
        }
        var (left, right) = (Value(before), Value(after));
        if (left is null || right is null || left.Value.ValueKind != right.Value.ValueKind)
        {
            if (left is not null || (right is not null && !IsEmpty(right.Value)))
            {
                found.Add($"{path}: {Say(left)}, then {Say(right)}");
            }
            return;
        }
        var (one, other) = (left.Value, right.Value);
        switch (one.ValueKind)
        {
            case JsonValueKind.Object:
                var (members, others) = (Members(one), Members(other));
                foreach (var name in members.Keys.Union(others.Keys))
                {
                    Compare(path.Length == 0 ? name : path + "." + name, members.TryGetValue(name, out var member) ? member : null, others.TryGetValue(name, out var otherMember) ? otherMember : null, found);
                }
                break;
            case JsonValueKind.Array:
                for (var i = 0; i < Math.Max(one.GetArrayLength(), other.GetArrayLength()); i++)
                {
                    Compare($"{path}[{i}]", i < one.GetArrayLength() ? one[i] : null, i < other.GetArrayLength() ? other[i] : null, found);
                }
                break;
            default:
                if (Text(one) != Text(other))
                {
                    found.Add($"{path}: {Say(one)}, then {Say(other)}");
                }
                break;
        }
    }

    private static Dictionary<string, JsonElement> Members(JsonElement json)
    {
        var members = new Dictionary<string, JsonElement>(StringComparer.Ordinal);
        foreach (var member in json.EnumerateObject())
        {
            members[member.Name] = member.Value;
        }
        return members;
    }

    private static bool IsEmpty(JsonElement json) => json.GetRawText() is "{}" or "[]";

    private static JsonElement? Value(JsonElement? json) => json is { ValueKind: JsonValueKind.Null } ? null : json;

    private static string Text(JsonElement json) => json.ValueKind switch
    {
        JsonValueKind.String => '"' + Unescaped(json) + '"',
        JsonValueKind.Number when json.TryGetDecimal(out var number) => (number / 1.0000000000000000000000000000m).ToString(CultureInfo.InvariantCulture),
        _ => json.GetRawText(),
    };

    /// <summary>A text; as it is written, where its escapes make no characters.</summary>
    private static string Unescaped(JsonElement json)
    {
        try
        {
            return json.GetString()!;
        }
        catch (InvalidOperationException)
        {
            return json.GetRawText();
        }
    }

    private static string Say(JsonElement? json)
    {
        var text = json is { } value ? value.GetRawText() : "nothing";
        return text.Length > 160 ? text[..160] + "…" : text;
    }
}
