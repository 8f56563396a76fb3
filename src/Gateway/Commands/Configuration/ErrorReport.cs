using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Configuration;

namespace Gateway.Commands.Configuration;

/// <summary>How commands tell what is wrong with files.</summary>
internal static class ErrorReport
{
    private static readonly JsonSerializerOptions Layout = new() { WriteIndented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>One line for each error, <c>file:line:column: path: message</c>, and a line that counts them.</summary>
    public static async Task WriteAsync(TextWriter writer, IReadOnlyList<ConfigError> errors)
    {
        foreach (var error in errors)
        {
            await writer.WriteLineAsync(Plain(error.ToString()));
        }
        await writer.WriteLineAsync($"gateway: {errors.Count} error{(errors.Count == 1 ? "" : "s")}.");
    }

    /// <summary>A text without characters that would steer a terminal.</summary>
    public static string Plain(string text) => new([.. text.Select(c => char.IsControl(c) ? '?' : c)]);

    /// <summary>The errors as JSON, with the revision that would serve.</summary>
    public static string Json(IReadOnlyList<ConfigError> errors, string? revision) => new JsonObject
    {
        ["ok"] = errors.Count == 0,
        ["revision"] = revision,
        ["errors"] = new JsonArray([.. errors.Select(error => (JsonNode)Node(error))]),
    }.ToJsonString(Layout);

    /// <summary>One error; file, line and column are null where it has none.</summary>
    public static JsonObject Node(ConfigError error) => new()
    {
        ["file"] = error.File.Length == 0 ? null : error.File,
        ["line"] = error.Line == 0 ? null : error.Line,
        ["column"] = error.Line == 0 ? null : error.Column,
        ["path"] = error.Path,
        ["message"] = error.Message,
    };
}
