using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Gateway.Commands.Configuration;

/// <summary>A value of the configuration with where it comes from, or a group of such values.</summary>
/// <param name="Name">Its key; empty for an item of a list.</param>
internal sealed record ShownValue(string Name)
{
    /// <summary>Where what nobody wrote comes from.</summary>
    public const string Default = "default";

    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The value; null for a group, and for nothing.</summary>
    public JsonNode? Value { get; init; }

    /// <summary>Where it comes from: <c>file:line</c>, a variable, <c>default</c>, <c>built-in</c>.</summary>
    public string Origin { get; init; } = "";

    /// <summary>The values of a group; null for a single value.</summary>
    public IReadOnlyList<ShownValue>? Children { get; init; }

    /// <summary>Whether the children are items of a list.</summary>
    public bool IsList { get; init; }

    /// <summary>Without what is at its default, and without the groups that are then empty.</summary>
    public ShownValue WithoutDefaults() => Children is null ? this : this with
    {
        Children = [.. Children.Select(child => child.WithoutDefaults()).Where(child => child.Children is null ? child.Origin != Default : child.Children.Count > 0 || child.Origin is not ("" or Default))],
    };

    /// <summary>Indented JSON in which each single value is <c>{"value": …, "origin": "…"}</c>.</summary>
    public string ToJson() => Node()!.ToJsonString(Layout);

    /// <summary>Lines in the manner of YAML, with the origin behind each value.</summary>
    public string ToText()
    {
        List<(string Text, string Origin)> lines = [];
        foreach (var child in Children ?? [])
        {
            child.AddLines(lines, "", "");
        }
        var width = Math.Min(60, lines.Where(line => line.Origin.Length > 0).Select(line => line.Text.Length).DefaultIfEmpty(0).Max());
        var text = new StringBuilder();
        foreach (var (line, origin) in lines)
        {
            text.Append(origin.Length == 0 ? line : $"{line.PadRight(width)}  # {origin}").Append('\n');
        }
        return text.ToString();
    }

    private JsonNode? Node()
    {
        if (Children is null)
        {
            return new JsonObject { ["value"] = Value?.DeepClone(), ["origin"] = Origin };
        }
        return IsList
            ? new JsonArray([.. Children.Select(child => child.Node())])
            : new JsonObject(Children.Select(child => KeyValuePair.Create(child.Name, child.Node())));
    }

    private void AddLines(List<(string Text, string Origin)> lines, string first, string indent)
    {
        var head = Name.Length == 0 ? first.TrimEnd() : $"{first}{YamlText.Write(Name)}:";
        if (Children is null)
        {
            lines.Add(($"{head}{(head.Length == 0 ? "" : " ")}{Text(Value)}", Origin));
        }
        else if (Children.Count == 0)
        {
            lines.Add(($"{head} {(IsList ? "[]" : "{}")}", Origin));
        }
        else if (Name.Length == 0)
        {
            // The first member of an item stands behind its dash.
            for (var i = 0; i < Children.Count; i++)
            {
                Children[i].AddLines(lines, i == 0 ? first : indent, indent);
            }
        }
        else
        {
            lines.Add((head, ""));
            foreach (var child in Children)
            {
                child.AddLines(lines, IsList ? $"{indent}  - " : $"{indent}  ", IsList ? $"{indent}    " : $"{indent}  ");
            }
        }
    }

    private static string Text(JsonNode? value) => value switch
    {
        null => "none",
        JsonValue text when text.TryGetValue<string>(out var plain) => YamlText.Write(plain),
        _ => value.ToJsonString(new JsonSerializerOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping }),
    };
}
