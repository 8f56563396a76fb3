using System.Text;
using Shared.Tools;

namespace Gateway.Admin;

/// <summary>Differences between two definitions as a text for people.</summary>
internal static class DefinitionDiffText
{
    public static string Of(IReadOnlyList<DefinitionChange> changes)
    {
        if (changes.Count == 0)
        {
            return "no difference\n";
        }
        var text = new StringBuilder();
        foreach (var change in changes)
        {
            text.Append(change.Kind switch { "added" => "+ ", "removed" => "- ", _ => "~ " }).Append(change.Subject).Append(' ').Append(change.Place).Append('\n');
            if (change.Risk is { } risk)
            {
                text.Append("  ! ").Append(risk).Append('\n');
            }
            if (change.Lines.Count > 0)
            {
                foreach (var line in change.Lines)
                {
                    text.Append("  ").Append(line.Kind).Append(' ').Append(line.Text).Append('\n');
                }
                continue;
            }
            Line(text, '-', change.Before);
            Line(text, '+', change.After);
        }
        return text.ToString();
    }

    private static void Line(StringBuilder text, char kind, string? value)
    {
        if (value is not null)
        {
            text.Append("  ").Append(kind).Append(' ').Append(value).Append('\n');
        }
    }
}
