using System.Reflection;
using System.Text;

namespace Shared.Configuration.Schemas;

/// <summary>Writes the reference of all members of all files as Markdown: one table for each record.</summary>
internal sealed class ReferenceWriter
{
    private readonly TypeDocumentation documentation;
    private readonly StringBuilder text = new();

    private ReferenceWriter(TypeDocumentation documentation) => this.documentation = documentation;

    /// <summary>The whole page.</summary>
    public static string Write(TypeDocumentation documentation)
    {
        var writer = new ReferenceWriter(documentation);
        writer.text.Append(
            """
            # Configuration reference

            Every member of every file, generated from the types that the files are read into. [Configuration](configuration.md) explains how they are used and
            how values such as durations, bytes, money and secrets are written. The same is in the JSON Schemas [gateway.schema.json](schemas/gateway.schema.json),
            [prices.schema.json](schemas/prices.schema.json) and [tool-manifests/schema.json](../tool-manifests/schema.json).

            A member that is not required may be left out, or have nothing after its key; then its default holds.

            """);
        writer.WriteDocuments();
        return writer.text.ToString().ReplaceLineEndings("\n");
    }

    private void WriteDocuments()
    {
        // A record that several files share is described once.
        HashSet<Type> seen = [];
        foreach (var kind in DocumentKind.All)
        {
            text.Append($"\n## {kind.Title}\n");
            Queue<TypeShape> open = new([TypeShape.Of(kind.Type)]);
            seen.Add(kind.Type);
            for (var first = true; open.TryDequeue(out var shape); first = false)
            {
                if (!first)
                {
                    text.Append($"\n### {SchemaWriter.NameOf(shape.Type)}\n");
                    if (documentation.Of(shape.Type) is { Length: > 0 } summary)
                    {
                        text.Append('\n').Append(summary).Append('\n');
                    }
                }
                WriteTable(shape);
                foreach (var record in shape.Members.Select(member => RecordOf(member.Type)).OfType<TypeShape>().Where(record => seen.Add(record.Type)))
                {
                    open.Enqueue(record);
                }
            }
        }
    }

    private void WriteTable(TypeShape shape)
    {
        text.Append("\n| Member | Type | Default | Limits | Meaning |\n|---|---|---|---|---|\n");
        foreach (var member in shape.Members)
        {
            text.Append($"| `{member.Name}` | {TypeOf(member)} | {DefaultOf(member)} | {LimitsOf(member)} | {MeaningOf(member)} |\n");
        }
    }

    private static string TypeOf(MemberShape member)
    {
        var shape = TypeShape.Of(member.Type);
        var (before, item) = shape.IsList ? (member.OneOrMany ? "one or a list of " : "list of ", TypeShape.Of(shape.Item!)) : shape.IsMap ? ("name to ", TypeShape.Of(shape.Item!)) : ("", shape);
        if (item.Scalar is not null || item.Type == typeof(Secret) || item.Type == typeof(RawJson))
        {
            return before + ScalarSchemas.NameOf(item.Type);
        }
        var name = SchemaWriter.NameOf(item.Type);
        var link = $"[{name}](#{name.ToLowerInvariant()})";
        return item.Shorthand is { } shorthand ? $"{before}{link} or its `{shorthand}`" : before + link;
    }

    private static TypeShape? RecordOf(Type type)
    {
        var shape = TypeShape.Of(type);
        return shape.IsList || shape.IsMap ? RecordOf(shape.Item!)
            : shape.Scalar is not null || shape.Type == typeof(Secret) || shape.Type == typeof(RawJson) ? null : shape;
    }

    private static string DefaultOf(MemberShape member)
    {
        if (member.Property.GetCustomAttribute<DefaultTextAttribute>() is { } described)
        {
            return described.Text;
        }
        var shape = TypeShape.Of(member.Type);
        return member.Required ? "required"
            : shape.Scalar is { } scalar && member.Default is { } value ? $"`{(scalar.Format is { } format ? format(value) : value is bool flag ? (flag ? "true" : "false") : string.Create(System.Globalization.CultureInfo.InvariantCulture, $"{value}"))}`"
            : shape.Scalar is null && !shape.IsList && !shape.IsMap && member.Default is not null and not Secret ? "as below"
            : "none";
    }

    private static string LimitsOf(MemberShape member)
    {
        var type = Nullable.GetUnderlyingType(member.Type) ?? member.Type;
        return member.Property.GetCustomAttribute<ChoicesAttribute>() is { } choices ? string.Join(", ", choices.Values.Select(value => $"`{value}`"))
            : type.IsEnum ? string.Join(", ", Enum.GetNames(type).Select(name => $"`{Scalars.CamelCase(name)}`"))
            : member.Bounds is { } bounds ? $"`{bounds.Least}` to `{bounds.Greatest}`"
            : "";
    }

    private string MeaningOf(MemberShape member)
    {
        var type = Nullable.GetUnderlyingType(member.Type) ?? member.Type;
        var meaning = new StringBuilder(documentation.Of(member.Property));
        if (type.IsEnum)
        {
            foreach (var name in Enum.GetNames(type))
            {
                meaning.Append($" `{Scalars.CamelCase(name)}`: {documentation.Of(type, name)}");
            }
        }
        return meaning.ToString().Trim().Replace("|", "\\|", StringComparison.Ordinal);
    }
}
