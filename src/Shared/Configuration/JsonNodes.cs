using System.Text;
using System.Text.Json;

namespace Shared.Configuration;

/// <summary>Reads a JSON document into the same nodes as <see cref="YamlNodes"/>; a member that stands twice is an error.</summary>
internal static class JsonNodes
{
    private static readonly JsonReaderOptions Strict = new() { MaxDepth = 32 };
    private static readonly JsonReaderOptions Tolerant = new() { MaxDepth = 64, CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>The root, or null where the text is not JSON; the reason is then among the errors.</summary>
    /// <param name="name">What errors call the document.</param>
    /// <param name="utf8">The text.</param>
    /// <param name="errors">Receives what is wrong.</param>
    public static ConfigNode? Read(string name, ReadOnlySpan<byte> utf8, ICollection<ConfigError> errors) => Read(name, utf8, Strict, errors);

    /// <summary>The same for files of other programs, in which comments and trailing commas are usual.</summary>
    public static ConfigNode? ReadTolerantly(string name, ReadOnlySpan<byte> utf8, ICollection<ConfigError> errors) => Read(name, utf8, Tolerant, errors);

    private static ConfigNode? Read(string name, ReadOnlySpan<byte> utf8, JsonReaderOptions options, ICollection<ConfigError> errors)
    {
        var reader = new Utf8JsonReader(utf8, options);
        try
        {
            reader.Read();
            var source = new Source(name, utf8, errors);
            var root = ReadValue(ref reader, ref source, "");
            reader.Read();
            return root;
        }
        catch (JsonException exception)
        {
            // The message of a JsonException may quote the text; the place alone may not.
            errors.Add(new ConfigError(name, (int)(exception.LineNumber ?? 0) + 1, (int)(exception.BytePositionInLine ?? 0) + 1, "", "not valid JSON"));
            return null;
        }
        catch (InvalidOperationException)
        {
            errors.Add(new ConfigError(name, 1, 1, "", "not valid JSON: a text holds bytes or escapes that are no characters"));
            return null;
        }
    }

    private static ConfigNode ReadValue(ref Utf8JsonReader reader, ref Source source, string path)
    {
        var (line, column) = source.Position(reader.TokenStartIndex);
        switch (reader.TokenType)
        {
            case JsonTokenType.StartObject:
                return ReadObject(ref reader, ref source, line, column, path);
            case JsonTokenType.StartArray:
                List<ConfigNode> items = [];
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    items.Add(ReadValue(ref reader, ref source, $"{path}[{items.Count}]"));
                }
                return new ConfigSequence(source.Name, line, column, path, items);
            case JsonTokenType.String:
                return new ConfigScalar(source.Name, line, column, path, ScalarStyle.Quoted, reader.GetString()!);
            case JsonTokenType.Null:
                return new ConfigScalar(source.Name, line, column, path, ScalarStyle.Null, "");
            default:
                return new ConfigScalar(source.Name, line, column, path, ScalarStyle.Plain, Encoding.UTF8.GetString(reader.ValueSpan)) { IsJsonLiteral = true };
        }
    }

    private static ConfigMapping ReadObject(ref Utf8JsonReader reader, ref Source source, int line, int column, string path)
    {
        List<ConfigMember> members = [];
        HashSet<string> names = [];
        while (reader.Read() && reader.TokenType != JsonTokenType.EndObject)
        {
            var (keyLine, keyColumn) = source.Position(reader.TokenStartIndex);
            var name = reader.GetString()!;
            reader.Read();
            var value = ReadValue(ref reader, ref source, ConfigNode.Join(path, name));
            if (names.Add(name))
            {
                members.Add(new ConfigMember(name, keyLine, keyColumn, value));
            }
            else
            {
                source.Errors.Add(new ConfigError(source.Name, keyLine, keyColumn, ConfigNode.Join(path, name), "this member stands twice"));
            }
        }
        return new ConfigMapping(source.Name, line, column, path, members);
    }

    private ref struct Source(string name, ReadOnlySpan<byte> utf8, ICollection<ConfigError> errors)
    {
        private readonly ReadOnlySpan<byte> utf8 = utf8;
        private int seen;
        private int line = 1;
        private int lineStart;

        public string Name { get; } = name;

        public ICollection<ConfigError> Errors { get; } = errors;

        // Tokens come in order, so that each byte is looked at once.
        public (int Line, int Column) Position(long index)
        {
            for (; seen < index; seen++)
            {
                if (utf8[seen] == (byte)'\n')
                {
                    line++;
                    lineStart = seen + 1;
                }
            }
            return (line, seen - lineStart + 1);
        }
    }
}
