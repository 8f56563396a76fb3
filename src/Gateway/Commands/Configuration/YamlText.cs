using System.Globalization;
using System.Text;
using System.Text.RegularExpressions;

namespace Gateway.Commands.Configuration;

/// <summary>Writes texts so that YAML reads them back as they were.</summary>
internal static partial class YamlText
{
    private static readonly string[] Words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];

    /// <summary>The text as it is where that is plain in YAML, else in double quotes.</summary>
    public static string Write(string text) => IsPlain(text) ? text : Quote(text);

    /// <summary>The text in double quotes.</summary>
    public static string Quote(string text)
    {
        var quoted = new StringBuilder("\"");
        for (var i = 0; i < text.Length; i++)
        {
            var c = text[i];
            var isPair = char.IsHighSurrogate(c) && i + 1 < text.Length && char.IsLowSurrogate(text[i + 1]);
            quoted.Append(c switch
            {
                '"' => "\\\"",
                '\\' => @"\\",
                '\n' => "\\n",
                '\r' => "\\r",
                '\t' => "\\t",
                _ when isPair => text.Substring(i, 2),
                // Half of a pair is no character; nothing can stand for it.
                _ when char.IsSurrogate(c) => "\\uFFFD",
                _ when char.IsControl(c) || c is '\u2028' or '\u2029' or '\ufeff' => "\\u" + ((int)c).ToString("X4", CultureInfo.InvariantCulture),
                _ => c.ToString(),
            });
            i += isPair ? 1 : 0;
        }
        return quoted.Append('"').ToString();
    }

    private static bool IsPlain(string text) => Quantity().IsMatch(text) ||
        text.Length is > 0 and <= 200 && (char.IsAsciiLetter(text[0]) || text[0] == '/')
        && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-' or '/' or '@' or '+' or '=')
        && !Words.Contains(text, StringComparer.OrdinalIgnoreCase);

    // A number with a unit, which YAML takes for a text.
    [GeneratedRegex("^[0-9]{1,10}(ms|s|m|h|d|B|KiB|MiB|GiB)$")]
    private static partial Regex Quantity();
}
