using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace McpHub.OpenApi;

/// <summary>
/// Reads YAML as the JSON that it stands for (YAML 1.2, core schema; keys are texts). Anchors, aliases and merge keys are allowed, as real documents use
/// them, but what they multiply is counted, so that a small text cannot become a large document.
/// </summary>
internal sealed partial class YamlJson
{
    /// <summary>The most values of a document, with those that aliases repeat.</summary>
    public const int MaxValues = 2_000_000;

    private const string TextTag = "tag:yaml.org,2002:str";

    private readonly Parser parser;
    private readonly Dictionary<string, (JsonNode? Value, int Values, int Depth)> anchors = new(StringComparer.Ordinal);
    private int values;

    private YamlJson(string text) => parser = new Parser(new Scanner(new StringReader(text), skipComments: true));

    private ParsingEvent Current => parser.Current ?? throw new InvalidOperationException("The parser ended within a value.");

    /// <summary>The root of the only document of a text.</summary>
    /// <exception cref="DocumentException">The text is not YAML, or too much.</exception>
    public static JsonNode? Parse(string text)
    {
        var reader = new YamlJson(text);
        try
        {
            return reader.ReadDocument();
        }
        catch (YamlException exception)
        {
            throw new DocumentException(FormattableString.Invariant($"It is not valid YAML in line {exception.Start.Line}, column {exception.Start.Column}."));
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException or OverflowException)
        {
            // The parser gives up on some broken texts without a place; the last thing it understood is near.
            throw new DocumentException(FormattableString.Invariant($"It is not valid YAML from line {(reader.parser.Current?.End ?? Mark.Empty).Line} on."));
        }
    }

    private JsonNode? ReadDocument()
    {
        parser.MoveNext();
        parser.MoveNext();
        if (Current is StreamEnd)
        {
            return null;
        }
        parser.MoveNext();
        var root = Read(0).Value;
        parser.MoveNext();
        return parser.Current is DocumentStart ? throw new DocumentException("It holds more than one YAML document.") : root;
    }

    // Reads the value whose first event is current, and moves past its last one. The depth is that of what is below it.
    private (JsonNode? Value, int Depth) Read(int depth)
    {
        if (depth > DocumentText.MaxDepth)
        {
            throw TooDeep();
        }
        var start = Current;
        var before = values;
        Count(1);
        parser.MoveNext();
        if (start is AnchorAlias alias)
        {
            return Repeat(alias.Value.Value, depth);
        }
        var (value, below) = start switch
        {
            MappingStart => ReadMapping(depth),
            SequenceStart => ReadSequence(depth),
            Scalar scalar => (ValueOf(scalar), 0),
            _ => throw new InvalidOperationException("No value begins here."),
        };
        if (start is NodeEvent { Anchor.IsEmpty: false } anchored)
        {
            anchors[anchored.Anchor.Value] = (value?.DeepClone(), values - before, below);
        }
        return (value, below);
    }

    private (JsonNode? Value, int Depth) Repeat(string anchor, int depth)
    {
        // An anchor is known once its value is read, so that no value can hold itself.
        if (!anchors.TryGetValue(anchor, out var known))
        {
            throw new DocumentException($"The alias {DocumentException.Show(anchor)} stands for nothing before it, or for what it stands in.");
        }
        if (depth + known.Depth > DocumentText.MaxDepth)
        {
            throw TooDeep();
        }
        Count(known.Values);
        return (known.Value?.DeepClone(), known.Depth);
    }

    private (JsonNode? Value, int Depth) ReadSequence(int depth)
    {
        var list = new JsonArray();
        var below = 0;
        while (Current is not SequenceEnd)
        {
            var (item, itemDepth) = Read(depth + 1);
            list.Add(item);
            below = Math.Max(below, itemDepth + 1);
        }
        parser.MoveNext();
        return (list, below);
    }

    private (JsonNode? Value, int Depth) ReadMapping(int depth)
    {
        var map = new JsonObject();
        List<JsonNode?> merged = [];
        var below = 0;
        while (Current is not MappingEnd)
        {
            if (Current is not Scalar key)
            {
                throw new DocumentException(FormattableString.Invariant($"The key in line {Current.Start.Line} is no text."));
            }
            Count(1);
            parser.MoveNext();
            var (value, valueDepth) = Read(depth + 1);
            below = Math.Max(below, valueDepth + 1);
            if (key is { Value: "<<", Style: ScalarStyle.Plain })
            {
                merged.AddRange(value is JsonArray several ? several : [value]);
            }
            else if (!map.TryAdd(key.Value, value))
            {
                throw new DocumentException(FormattableString.Invariant($"The key {DocumentException.Show(key.Value)} in line {key.Start.Line} stands twice."));
            }
        }
        parser.MoveNext();
        foreach (var (name, value) in merged.SelectMany(source => source as JsonObject ?? throw new DocumentException("A merge key ('<<') holds no mapping.")))
        {
            map.TryAdd(name, value?.DeepClone());
        }
        return (map, below);
    }

    private void Count(int more)
    {
        values += more;
        if (values > MaxValues)
        {
            throw new DocumentException(FormattableString.Invariant($"It holds more than {MaxValues} values, with those that its aliases repeat."));
        }
    }

    private static JsonValue? ValueOf(Scalar scalar)
    {
        var text = scalar.Value;
        if (scalar.Style != ScalarStyle.Plain || (!scalar.Tag.IsEmpty && scalar.Tag.Value == TextTag))
        {
            return JsonValue.Create(text);
        }
        return text switch
        {
            "" or "~" or "null" or "Null" or "NULL" => null,
            "true" or "True" or "TRUE" => JsonValue.Create(true),
            "false" or "False" or "FALSE" => JsonValue.Create(false),
            _ when JsonNumber().IsMatch(text) => (JsonValue)JsonNode.Parse(text)!,
            _ when Hexadecimal().IsMatch(text) && long.TryParse(text.AsSpan(2), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
            _ when OtherNumber().IsMatch(text) && decimal.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) => JsonValue.Create(number),
            _ => JsonValue.Create(text),
        };
    }

    private static DocumentException TooDeep() => new(FormattableString.Invariant($"It is nested deeper than {DocumentText.MaxDepth} levels."));

    [GeneratedRegex(@"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$")]
    private static partial Regex JsonNumber();

    [GeneratedRegex("^0x[0-9a-fA-F]+$")]
    private static partial Regex Hexadecimal();

    [GeneratedRegex(@"^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$")]
    private static partial Regex OtherNumber();
}
