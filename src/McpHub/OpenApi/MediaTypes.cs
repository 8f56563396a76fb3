using System.Net.Http.Headers;

namespace McpHub.OpenApi;

/// <summary>What media types are.</summary>
internal static class MediaTypes
{
    /// <summary>JSON.</summary>
    public const string Json = "application/json";

    /// <summary>A type without its parameters, in small letters.</summary>
    public static string Plain(string type) => type.Split(';')[0].Trim().ToLowerInvariant();

    /// <summary>Whether it is one JSON value.</summary>
    public static bool IsJson(string type) => Plain(type) is Json or "text/json" || Plain(type).EndsWith("+json", StringComparison.Ordinal);

    /// <summary>Whether it is text for people or programs.</summary>
    public static bool IsText(string type)
    {
        var plain = Plain(type);
        return plain.StartsWith("text/", StringComparison.Ordinal) || plain.EndsWith("+xml", StringComparison.Ordinal) || plain.EndsWith("+yaml", StringComparison.Ordinal)
            || plain is "application/xml" or "application/yaml" or "application/x-yaml" or "application/x-ndjson" or "application/jsonl" or "application/json-seq" or "application/javascript" or "application/graphql"
                or "application/sql" or "application/toml" or "application/x-www-form-urlencoded" or "application/xml-dtd";
    }

    /// <summary>Whether it can be sent as the type of a body.</summary>
    public static bool CanBeSent(string type) => MediaTypeHeaderValue.TryParse(type, out var parsed) && parsed.MediaType?.Contains('*', StringComparison.Ordinal) == false;
}
