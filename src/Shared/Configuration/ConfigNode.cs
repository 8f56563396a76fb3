using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Shared.Configuration;

/// <summary>A value of a parsed YAML or JSON document that knows where it stands.</summary>
internal abstract class ConfigNode(string file, int line, int column, string path)
{
    public string File { get; } = file;

    public int Line { get; } = line;

    public int Column { get; } = column;

    /// <summary>Where in the document, e.g. <c>routes.fast.targets[0]</c>; empty at the root.</summary>
    public string Path { get; } = path;

    /// <summary>What kind of value this is, for messages.</summary>
    public abstract string Describe();

    /// <summary>An error at this place.</summary>
    public ConfigError Error(string message) => new(File, Line, Column, Path, message);

    /// <summary>The node of a member of a mapping, or of an item of a sequence; this node where there is none.</summary>
    public ConfigNode At(string member) => this is ConfigMapping mapping ? mapping.Find(member)?.Value ?? this : this;

    /// <inheritdoc cref="At(string)"/>
    public ConfigNode At(int index) => this is ConfigSequence sequence && index < sequence.Items.Count ? sequence.Items[index] : this;

    /// <summary>The value as JSON on one line.</summary>
    public string ToJson()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            WriteTo(writer);
        }
        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }

    protected internal abstract void WriteTo(Utf8JsonWriter writer);

    internal static string Join(string path, string key) => path.Length == 0 ? key : $"{path}.{key}";
}

/// <summary>A member of a mapping, with the place of its key.</summary>
internal readonly record struct ConfigMember(string Key, int Line, int Column, ConfigNode Value);

internal sealed class ConfigMapping(string file, int line, int column, string path, IReadOnlyList<ConfigMember> members) : ConfigNode(file, line, column, path)
{
    public IReadOnlyList<ConfigMember> Members { get; } = members;

    public ConfigMember? Find(string key)
    {
        foreach (var member in Members)
        {
            if (member.Key == key)
            {
                return member;
            }
        }
        return null;
    }

    /// <summary>An error at the key of a member.</summary>
    public ConfigError KeyError(ConfigMember member, string message) => new(File, member.Line, member.Column, Join(Path, member.Key), message);

    public override string Describe() => "a mapping";

    protected internal override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartObject();
        foreach (var member in Members)
        {
            writer.WritePropertyName(member.Key);
            member.Value.WriteTo(writer);
        }
        writer.WriteEndObject();
    }
}

internal sealed class ConfigSequence(string file, int line, int column, string path, IReadOnlyList<ConfigNode> items) : ConfigNode(file, line, column, path)
{
    public IReadOnlyList<ConfigNode> Items { get; } = items;

    public override string Describe() => "a list";

    protected internal override void WriteTo(Utf8JsonWriter writer)
    {
        writer.WriteStartArray();
        foreach (var item in Items)
        {
            item.WriteTo(writer);
        }
        writer.WriteEndArray();
    }
}

/// <summary>How a scalar was written.</summary>
internal enum ScalarStyle
{
    /// <summary>A quoted or block string: text, whatever it looks like.</summary>
    Quoted,

    /// <summary>Unquoted: a number, a boolean or text, as the place it stands at expects.</summary>
    Plain,

    /// <summary>Nothing: <c>null</c>, <c>~</c> or empty.</summary>
    Null,
}

internal sealed class ConfigScalar(string file, int line, int column, string path, ScalarStyle style, string text) : ConfigNode(file, line, column, path)
{
    private const int LongestShown = 40;

    public ScalarStyle Style { get; } = style;

    public string Text { get; } = text;

    /// <summary>Whether this is one of JSON's bare words or numbers, in which nothing but that can be meant.</summary>
    public bool IsJsonLiteral { get; init; }

    public override string Describe() => Style == ScalarStyle.Null ? "nothing" : $"'{(Text.Length > LongestShown ? Text[..LongestShown] + "…" : Text)}'";

    protected internal override void WriteTo(Utf8JsonWriter writer)
    {
        if (Style == ScalarStyle.Null)
        {
            writer.WriteNullValue();
        }
        else if (Style == ScalarStyle.Plain && IsJsonNumberOrBoolean(Text))
        {
            writer.WriteRawValue(Text);
        }
        else
        {
            writer.WriteStringValue(Text);
        }
    }

    private static bool IsJsonNumberOrBoolean(string text)
    {
        if (text is "true" or "false")
        {
            return true;
        }
        if (text.Length == 0 || !(char.IsAsciiDigit(text[0]) || text[0] == '-') || !double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _))
        {
            return false;
        }
        // The grammar of JSON's numbers is narrower than that of the parser above: no leading zero, no bare point.
        var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text));
        try
        {
            return reader.Read() && reader.TokenType == JsonTokenType.Number && !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
    }
}
