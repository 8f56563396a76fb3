using System.Text.Json;
using Shared.Snapshots;

namespace McpHub.Catalog;

/// <summary>What a server wrote about itself, without what its manifest gave it to keep.</summary>
internal static class MaskedWords
{
    private const string Mask = "***";

    /// <summary>Shorter values are in too many words to be told from them, and no secrets.</summary>
    private const int ShortestValue = 4;

    private const int ShortestArgument = 16;

    /// <summary>Masks the values of a manifest's headers, environment and arguments.</summary>
    /// <param name="words">What was written.</param>
    /// <param name="isCut">Whether its beginning was cut off, perhaps within a value.</param>
    /// <param name="manifest">The manifest.</param>
    public static string Of(string words, bool isCut, ToolManifest manifest)
    {
        if (words.Length == 0)
        {
            return words;
        }
        var values = Values(manifest).Distinct(StringComparer.Ordinal).OrderByDescending(value => value.Length).ToList();
        if (isCut)
        {
            // The rest of a value that was cut in two would not be known again.
            var line = words.IndexOf('\n', StringComparison.Ordinal);
            words = line >= 0 ? words[(line + 1)..] : words[Math.Min(words.Length, values.Count == 0 ? 0 : values[0].Length)..];
        }
        foreach (var value in values)
        {
            words = words.Replace(value, Mask, StringComparison.Ordinal);
        }
        return words;
    }

    private static IEnumerable<string> FixedSecrets(ToolManifest manifest) =>
        manifest.Tools.SelectMany(rule => rule.Set.Values).Where(value => value.IsSecret).Select(value => JsonSerializer.Deserialize<string>(value.Json) ?? "");

    private static IEnumerable<string> Values(ToolManifest manifest)
    {
        foreach (var value in manifest.Headers.Values.Concat(manifest.Environment.Values).Concat(FixedSecrets(manifest)))
        {
            // A scheme in front of a credential may be written without it.
            foreach (var part in value.Split(' ').Append(value).Concat(value.Split('\n')).Where(part => part.Length >= ShortestValue))
            {
                yield return part;
            }
        }
        foreach (var value in manifest.OpenApi is { } api ? OpenApi.Credentials.SecretsOf(api) : [])
        {
            yield return value;
        }
        foreach (var argument in manifest.Arguments)
        {
            var equals = argument.IndexOf('=', StringComparison.Ordinal);
            if (equals >= 0 && argument.Length - equals - 1 >= ShortestValue)
            {
                yield return argument[(equals + 1)..];
            }
            else if (argument.Length >= ShortestArgument && !argument.Contains('/', StringComparison.Ordinal))
            {
                yield return argument;
            }
        }
    }
}
