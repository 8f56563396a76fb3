using System.Reflection;
using System.Text;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Shared.Configuration.Schemas;

/// <summary>The doc comments of the declarations, read from the file that the compiler writes beside the assembly.</summary>
internal sealed partial class TypeDocumentation
{
    private readonly Dictionary<string, string> summaries;

    private TypeDocumentation(Dictionary<string, string> summaries) => this.summaries = summaries;

    /// <summary>Reads the compiler's XML.</summary>
    public static TypeDocumentation Load(Stream xml)
    {
        var members = XDocument.Load(xml).Root!.Element("members")!.Elements("member");
        return new TypeDocumentation(members.Where(member => member.Element("summary") is not null)
            .ToDictionary(member => member.Attribute("name")!.Value, member => Text(member.Element("summary")!)));
    }

    /// <summary>A type's summary as Markdown on one line; empty where it has none.</summary>
    public string Of(Type type) => summaries.GetValueOrDefault($"T:{NameOf(type)}", "");

    /// <summary>A property's summary.</summary>
    public string Of(PropertyInfo property) => summaries.GetValueOrDefault($"P:{NameOf(property.DeclaringType!)}.{property.Name}", "");

    /// <summary>The summary of an enumeration's member.</summary>
    public string Of(Type type, string member) => summaries.GetValueOrDefault($"F:{NameOf(type)}.{member}", "");

    private static string NameOf(Type type) => type.FullName!.Replace('+', '.');

    private static string Text(XElement element)
    {
        var text = new StringBuilder();
        foreach (var node in element.DescendantNodes())
        {
            switch (node)
            {
                case XText plain when plain.Parent!.Name != "c":
                    text.Append(plain.Value);
                    break;
                case XElement { Name.LocalName: "c" } code:
                    text.Append('`').Append(code.Value).Append('`');
                    break;
                case XElement { Name.LocalName: "see" or "paramref" } reference:
                    text.Append('`').Append(TargetOf(reference)).Append('`');
                    break;
            }
        }
        return Spaces().Replace(text.ToString(), " ").Trim();
    }

    private static string TargetOf(XElement reference)
    {
        var target = (reference.Attribute("cref") ?? reference.Attribute("langword") ?? reference.Attribute("name"))?.Value ?? "";
        return Scalars.CamelCase(target[(target.LastIndexOf('.') + 1)..]);
    }

    [GeneratedRegex(@"\s+")]
    private static partial Regex Spaces();
}
