using System.Text;
using Gateway.Commands.Configuration;
using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>Writes an imported server as a manifest.</summary>
internal static class ManifestText
{
    private const int LongestPrefix = 24;

    /// <summary>The file's text.</summary>
    /// <param name="server">The server.</param>
    /// <param name="source">What it was read from.</param>
    /// <param name="enabled">Whether it is written switched on.</param>
    /// <param name="schema">The schema's path relative to the file; null: there is none.</param>
    public static string Write(ImportedServer server, string source, bool enabled, string? schema)
    {
        var text = new StringBuilder();
        if (schema is not null)
        {
            text.Append($"# yaml-language-server: $schema={schema}\n");
        }
        Comment(text, $"Imported from {source}.");
        if (!enabled)
        {
            Comment(text, server.OffBecause is { } reason ? $"Switched off: {reason}." : "Switched off until someone has looked at it: set enabled to true.");
        }
        foreach (var item in server.Checklist)
        {
            Comment(text, $"To do: {item}");
        }
        text.Append("apiVersion: hub/v1\nkind: ToolManifest\nmetadata:\n");
        Member(text, 1, "id", server.Id);
        Member(text, 1, "title", server.Title);
        Member(text, 1, "description", string.IsNullOrWhiteSpace(server.Description) ? $"{server.Name}, imported from {source}" : server.Description);
        text.Append($"enabled: {(enabled ? "true" : "false")}\nupstream:\n");
        Member(text, 1, "transport", server.IsStdio ? "stdio" : server.Document is not null ? "openapi" : server.Transport ?? "streamable-http");
        Member(text, 1, "document", server.Document);
        Member(text, 1, "baseUrl", server.BaseUrl);
        if (server.Credentials.Count > 0)
        {
            text.Append("  credentials:\n");
            foreach (var (scheme, (value, password)) in server.Credentials)
            {
                text.Append($"    {YamlText.Write(scheme)}: {(password is null ? YamlText.Quote(value) : $"{{username: {YamlText.Quote(value)}, password: {YamlText.Quote(password)}}}")}\n");
            }
        }
        if (server.Document is not null)
        {
            text.Append("  # Only what reads, until somebody has looked at the rest: widen or remove it.\n  operations:\n    include: [{method: [GET, HEAD]}]\n");
        }
        Member(text, 1, "command", server.Command);
        if (server.Arguments.Count > 0)
        {
            text.Append($"  args: [{string.Join(", ", server.Arguments.Select(YamlText.Quote))}]\n");
        }
        Member(text, 1, "cwd", server.WorkingDirectory);
        Map(text, "env", server.Environment);
        Member(text, 1, "url", server.Url);
        Map(text, "headers", server.Headers);
        if (server.ConnectTimeout is not null || server.CallTimeout is not null)
        {
            text.Append("  limits:\n");
            Member(text, 2, "connectTimeout", server.ConnectTimeout is { } connect ? Scalars.FormatDuration(connect) : null);
            Member(text, 2, "callTimeout", server.CallTimeout is { } call ? Scalars.FormatDuration(call) : null);
        }
        text.Append("expose:\n");
        Member(text, 1, "prefix", new string([.. server.Id.Select(c => char.IsAsciiLetterOrDigit(c) || c is '_' or '-' ? c : '_').Take(LongestPrefix)]));
        Member(text, 1, "default", server.OnlyListedTools ? "deny" : "allow");
        if (server.Tools.Count > 0)
        {
            text.Append("  tools:\n");
            foreach (var (tool, shown) in server.Tools)
            {
                text.Append($"    - {{{(tool.Contains('*', StringComparison.Ordinal) || tool.Contains('?', StringComparison.Ordinal) ? "match" : "name")}: {YamlText.Quote(tool)}, enabled: {(shown ? "true" : "false")}}}\n");
            }
        }
        return text.ToString();
    }

    private static void Comment(StringBuilder text, string line) =>
        text.Append("# ").Append(new string([.. line.Select(c => char.IsControl(c) || c is '\u2028' or '\u2029' or '\u0085' || char.IsSurrogate(c) ? ' ' : c)])).Append('\n');

    private static void Member(StringBuilder text, int depth, string name, string? value)
    {
        if (value is not null)
        {
            text.Append(' ', depth * 2).Append(name).Append(": ").Append(YamlText.Write(value)).Append('\n');
        }
    }

    private static void Map(StringBuilder text, string name, IReadOnlyDictionary<string, string> map)
    {
        if (map.Count == 0)
        {
            return;
        }
        text.Append("  ").Append(name).Append(":\n");
        foreach (var (key, value) in map)
        {
            text.Append("    ").Append(YamlText.Write(key)).Append(": ").Append(YamlText.Quote(value)).Append('\n');
        }
    }
}
