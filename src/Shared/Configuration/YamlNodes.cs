using YamlDotNet.Core;
using YamlDotNet.Core.Events;

namespace Shared.Configuration;

/// <summary>
/// Reads one YAML document into nodes. Stricter than YAML: a key that stands twice, an anchor, an alias, a tag and a second document are errors, since
/// each of them makes a file mean something else than it seems to.
/// </summary>
internal sealed class YamlNodes
{
    private const int DeepestNesting = 32;

    private readonly string file;
    private readonly Parser parser;
    private readonly ICollection<ConfigError> errors;

    private YamlNodes(string file, string text, ICollection<ConfigError> errors)
    {
        this.file = file;
        this.errors = errors;
        parser = new Parser(new Scanner(new StringReader(text), skipComments: true));
    }

    /// <summary>The root of the document (an empty mapping for an empty file), or null where it cannot be read; the reasons are then among the errors.</summary>
    public static ConfigNode? Read(string file, string text, ICollection<ConfigError> errors)
    {
        var nodes = new YamlNodes(file, text, errors);
        try
        {
            return nodes.ReadDocument();
        }
        catch (YamlException exception)
        {
            errors.Add(new ConfigError(file, (int)exception.Start.Line, (int)exception.Start.Column, "", $"not valid YAML: {exception.Message}"));
            return null;
        }
        catch (Exception exception) when (exception is InvalidOperationException or ArgumentException or FormatException or OverflowException)
        {
            // The parser gives up on some broken texts without a place; the last thing it understood is near.
            var end = nodes.parser.Current?.End ?? Mark.Empty;
            errors.Add(new ConfigError(file, (int)end.Line, (int)end.Column, "", "not valid YAML from here on, or in the lines after"));
            return null;
        }
        catch (NestingException exception)
        {
            errors.Add(exception.Error);
            return null;
        }
    }

    // On some broken texts the parser ends early instead of failing.
    private ParsingEvent Current => parser.Current ?? throw new InvalidOperationException("The parser ended within a value.");

    private ConfigNode ReadDocument()
    {
        parser.MoveNext();
        parser.MoveNext();
        if (Current is StreamEnd)
        {
            return new ConfigMapping(file, 1, 1, "", []);
        }
        parser.MoveNext();
        var root = ReadNode("", 0);
        parser.MoveNext();
        if (parser.Current is DocumentStart second)
        {
            errors.Add(new ConfigError(file, (int)second.Start.Line, (int)second.Start.Column, "", "a second document begins here; a file holds one"));
        }
        return root;
    }

    // Reads the node whose first event is current, and moves past its last one.
    private ConfigNode ReadNode(string path, int depth)
    {
        var start = Current;
        var (line, column) = ((int)start.Start.Line, (int)start.Start.Column);
        if (depth > DeepestNesting)
        {
            throw new NestingException(new ConfigError(file, line, column, path, $"nested deeper than {DeepestNesting} levels"));
        }
        CheckPlainNode(start, line, column, path);
        parser.MoveNext();
        switch (start)
        {
            case MappingStart:
                return ReadMapping(line, column, path, depth);
            case SequenceStart:
                List<ConfigNode> items = [];
                while (Current is not SequenceEnd)
                {
                    items.Add(ReadNode($"{path}[{items.Count}]", depth + 1));
                }
                parser.MoveNext();
                return new ConfigSequence(file, line, column, path, items);
            case Scalar scalar:
                return new ConfigScalar(file, line, column, path, StyleOf(scalar), scalar.Value);
            default:
                return new ConfigScalar(file, line, column, path, ScalarStyle.Null, "");
        }
    }

    private ConfigMapping ReadMapping(int line, int column, string path, int depth)
    {
        List<ConfigMember> members = [];
        Dictionary<string, int> lines = [];
        while (Current is not MappingEnd)
        {
            var start = Current.Start;
            var (keyLine, keyColumn) = ((int)start.Line, (int)start.Column);
            var key = ReadNode(path, depth + 1) as ConfigScalar;
            if (key is null)
            {
                errors.Add(new ConfigError(file, keyLine, keyColumn, path, "a key must be a plain text"));
            }
            var name = key?.Text ?? "";
            var value = ReadNode(ConfigNode.Join(path, name), depth + 1);
            if (!lines.TryAdd(name, keyLine))
            {
                errors.Add(new ConfigError(file, keyLine, keyColumn, ConfigNode.Join(path, name), $"this key stands already in line {lines[name]}"));
            }
            else if (key is not null)
            {
                members.Add(new ConfigMember(name, keyLine, keyColumn, value));
            }
        }
        parser.MoveNext();
        return new ConfigMapping(file, line, column, path, members);
    }

    private void CheckPlainNode(ParsingEvent start, int line, int column, string path)
    {
        if (start is AnchorAlias || (start is NodeEvent { Anchor.IsEmpty: false }))
        {
            errors.Add(new ConfigError(file, line, column, path, "anchors and aliases are not supported; write the value out"));
        }
        else if (start is NodeEvent { Tag.IsEmpty: false })
        {
            errors.Add(new ConfigError(file, line, column, path, "tags are not supported"));
        }
    }

    private static ScalarStyle StyleOf(Scalar scalar) =>
        scalar.Style != YamlDotNet.Core.ScalarStyle.Plain ? ScalarStyle.Quoted
            : scalar.Value is "" or "~" or "null" ? ScalarStyle.Null : ScalarStyle.Plain;

    private sealed class NestingException(ConfigError error) : Exception
    {
        public ConfigError Error { get; } = error;
    }
}
