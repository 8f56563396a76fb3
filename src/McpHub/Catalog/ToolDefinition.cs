using System.Buffers;
using System.Collections.Immutable;
using System.Text.Json;
using System.Text.Unicode;
using McpHub.Upstreams;

namespace McpHub.Catalog;

/// <summary>A tool's definition as its server gave it, as places in its bytes. Only what the hub acts on is looked at; all else stays as it is.</summary>
internal sealed class ToolDefinition
{
    private const int MaxBytes = 256 * 1024;
    private const int MaxDepth = 100;
    private const int MaxNameLength = 256;

    private readonly ReadOnlyMemory<byte> json;
    private (int Start, int End) nameValue;
    private (int Start, int End) descriptionValue;
    private (int Start, int End) titleValue;
    private (int Start, int End) annotationsValue;
    private (int Start, int End) inputSchemaValue;
    private (int Start, int End) outputSchemaMember;
    private bool outputSchemaFits = true;

    private ToolDefinition(ReadOnlyMemory<byte> json) => this.json = json;

    /// <summary>The tool's own name.</summary>
    public string Name { get; private set; } = "";

    /// <summary>Its boolean annotations.</summary>
    public ImmutableDictionary<string, bool> Annotations { get; private set; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>The arguments that requests to its server repeat in headers; null: none.</summary>
    public ParameterHeaders? Headers { get; private set; }

    /// <summary>Its input schema, raw.</summary>
    public ReadOnlyMemory<byte> InputSchema => json[inputSchemaValue.Start..inputSchemaValue.End];

    /// <summary>Reads a definition.</summary>
    /// <param name="json">One JSON value.</param>
    /// <param name="definition">The definition; its name is set wherever one could be read.</param>
    /// <returns>Null, or why the tool cannot be served.</returns>
    public static string? Read(ReadOnlyMemory<byte> json, out ToolDefinition definition)
    {
        definition = new ToolDefinition(json);
        try
        {
            return json.Length > MaxBytes ? $"Its definition has {json.Length} bytes; {MaxBytes} are the limit."
                : !Utf8.IsValid(json.Span) ? "Its definition is not valid UTF-8."
                : definition.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return $"Its definition is nested deeper than {MaxDepth} levels, or holds text that is none.";
        }
    }

    /// <summary>Writes the definition with what is to be replaced, on one line.</summary>
    /// <param name="name">The name that clients see.</param>
    /// <param name="description">Replaces the description; null: it stays.</param>
    /// <param name="overrides">Annotations set or replaced.</param>
    /// <param name="title">Replaces the title; null: it stays.</param>
    /// <param name="inputSchema">Replaces the input schema; null: it stays.</param>
    /// <param name="keepsOutputSchema">Whether results will be as the output schema says.</param>
    public byte[] Write(string name, string? description, ImmutableDictionary<string, bool> overrides, string? title = null, byte[]? inputSchema = null, bool keepsOutputSchema = true)
    {
        var edits = new List<(int Start, int End, byte[] Text)> { (nameValue.Start, nameValue.End, RawJson.String(name)) };
        var added = new ArrayBufferWriter<byte>();
        if (description is not null)
        {
            Replace(descriptionValue, "description"u8, RawJson.String(description), edits, added);
        }
        if (title is not null)
        {
            Replace(titleValue, "title"u8, RawJson.String(title), edits, added);
        }
        if (inputSchema is not null)
        {
            Replace(inputSchemaValue, "inputSchema"u8, inputSchema, edits, added);
        }
        if (!overrides.IsEmpty)
        {
            Replace(annotationsValue, "annotations"u8, WriteAnnotations(overrides), edits, added);
        }
        edits.Add((nameValue.End, nameValue.End, added.WrittenSpan.ToArray()));
        if (outputSchemaMember != default && !(outputSchemaFits && keepsOutputSchema))
        {
            edits.Add((outputSchemaMember.Start, outputSchemaMember.End, []));
        }
        var output = new ArrayBufferWriter<byte>(json.Length + 256);
        var position = 0;
        foreach (var (start, end, text) in edits.OrderBy(edit => edit.Start))
        {
            output.Write(json.Span[position..start]);
            output.Write(text);
            position = end;
        }
        output.Write(json.Span[position..]);
        var line = new ArrayBufferWriter<byte>(output.WrittenCount);
        RawJson.WriteCompact(output.WrittenSpan, line);
        return line.WrittenSpan.ToArray();
    }

    private static void Replace((int Start, int End) value, ReadOnlySpan<byte> member, byte[] text, List<(int, int, byte[])> edits, ArrayBufferWriter<byte> added)
    {
        if (value != default)
        {
            edits.Add((value.Start, value.End, text));
            return;
        }
        added.Write(",\""u8);
        added.Write(member);
        added.Write("\":"u8);
        added.Write(text);
    }

    private string? Read()
    {
        var reader = new Utf8JsonReader(json.Span, new JsonReaderOptions { MaxDepth = MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return "Its definition is not an object.";
        }
        string? wrong = null;
        var hasSchema = false;
        var (previousEnd, cutsNext) = (0, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = reader.GetString()!;
            var memberStart = (int)reader.TokenStartIndex;
            if (cutsNext)
            {
                (outputSchemaMember, cutsNext) = ((outputSchemaMember.Start, memberStart), false);
            }
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (member == "name" && (Name.Length > 0 || reader.TokenType != JsonTokenType.String))
            {
                return "Its 'name' is not a string, or stands twice.";
            }
            wrong ??= CheckKind(member, reader.TokenType);
            switch (member)
            {
                case "name":
                    Name = reader.GetString()!;
                    nameValue = (start, (int)reader.BytesConsumed);
                    break;
                case "description":
                    descriptionValue = (start, (int)reader.BytesConsumed);
                    break;
                case "title":
                    titleValue = (start, (int)reader.BytesConsumed);
                    break;
                case "annotations":
                    wrong ??= ReadAnnotations(ref reader);
                    annotationsValue = (start, (int)reader.BytesConsumed);
                    break;
                case "inputSchema":
                    wrong ??= hasSchema ? "Its 'inputSchema' stands twice." : null;
                    hasSchema = true;
                    var isOfObjects = IsOfObjects(ref reader);
                    wrong ??= isOfObjects ? null : "Its 'inputSchema' has no \"type\": \"object\".";
                    reader.Skip();
                    inputSchemaValue = (start, (int)reader.BytesConsumed);
                    break;
                case "outputSchema":
                    // The newest revision allows any schema here; clients of the others refuse a whole list for it, and none needs it.
                    outputSchemaFits = IsOfObjects(ref reader);
                    reader.Skip();
                    cutsNext = previousEnd == 0;
                    outputSchemaMember = (cutsNext ? memberStart : previousEnd, (int)reader.BytesConsumed);
                    break;
                default:
                    break;
            }
            reader.Skip();
            previousEnd = (int)reader.BytesConsumed;
        }
        if (hasSchema && wrong is null)
        {
            wrong = ParameterHeaders.Read(InputSchema, out var headers);
            Headers = headers;
        }
        return string.IsNullOrWhiteSpace(Name) || Name.Length > MaxNameLength ? $"It has no 'name' of 1 to {MaxNameLength} characters."
            : !hasSchema ? "It has no 'inputSchema'."
            : wrong;
    }

    /// <summary>Clients that read definitions into types refuse a whole list for one known member that is of another kind.</summary>
    private static string? CheckKind(string member, JsonTokenType kind)
    {
        var wanted = member switch
        {
            "title" or "description" => JsonTokenType.String,
            "inputSchema" or "outputSchema" or "annotations" or "execution" or "_meta" => JsonTokenType.StartObject,
            "icons" => JsonTokenType.StartArray,
            _ => kind,
        };
        return kind == wanted ? null : $"Its '{member}' is not {wanted switch { JsonTokenType.String => "a string", JsonTokenType.StartObject => "an object", _ => "a list" }}.";
    }

    /// <summary>Whether a schema is of objects, as a tool's input always is (specification, server/tools). Leaves the reader at its end.</summary>
    private static bool IsOfObjects(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        var isObject = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = reader.ValueTextEquals("type"u8);
            reader.Read();
            isObject |= isType && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("object"u8);
            reader.Skip();
        }
        return isObject;
    }

    private string? ReadAnnotations(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return null;
        }
        string? wrong = null;
        var found = ImmutableDictionary.CreateBuilder<string, bool>();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.GetString()!;
            reader.Read();
            if (reader.TokenType is JsonTokenType.True or JsonTokenType.False)
            {
                found[name] = reader.TokenType == JsonTokenType.True;
            }
            else if (name.EndsWith("Hint", StringComparison.Ordinal))
            {
                wrong = $"Its annotation '{name}' is neither true nor false.";
            }
            reader.Skip();
        }
        Annotations = found.ToImmutable();
        return wrong;
    }

    private byte[] WriteAnnotations(ImmutableDictionary<string, bool> overrides)
    {
        var output = new ArrayBufferWriter<byte>();
        output.Write("{"u8);
        var first = true;
        if (annotationsValue != default && json.Span[annotationsValue.Start] == (byte)'{')
        {
            var old = json.Span[annotationsValue.Start..annotationsValue.End];
            var reader = new Utf8JsonReader(old, new JsonReaderOptions { MaxDepth = MaxDepth });
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (start, isReplaced) = ((int)reader.TokenStartIndex, overrides.ContainsKey(reader.GetString()!));
                reader.Read();
                reader.Skip();
                if (!isReplaced)
                {
                    output.Write(first ? ""u8 : ","u8);
                    output.Write(old[start..(int)reader.BytesConsumed]);
                    first = false;
                }
            }
        }
        foreach (var (name, value) in overrides.OrderBy(pair => pair.Key, StringComparer.Ordinal))
        {
            output.Write(first ? ""u8 : ","u8);
            output.Write(RawJson.String(name));
            output.Write(value ? ":true"u8 : ":false"u8);
            first = false;
        }
        output.Write("}"u8);
        return output.WrittenSpan.ToArray();
    }
}
