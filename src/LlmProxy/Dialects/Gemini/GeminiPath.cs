using Microsoft.AspNetCore.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>What is asked of a model.</summary>
internal enum GeminiMethod
{
    /// <summary><c>:generateContent</c>.</summary>
    Generate,

    /// <summary><c>:streamGenerateContent</c>.</summary>
    Stream,

    /// <summary><c>:countTokens</c>.</summary>
    CountTokens,

    /// <summary><c>:embedContent</c>.</summary>
    Embed,

    /// <summary><c>:batchEmbedContents</c>.</summary>
    BatchEmbed,
}

/// <summary>
/// Addresses of Google's API: <c>/v1beta/models/{model}:{method}</c>, and the same below <c>/v1</c>. A model's name may hold slashes and percent-encoded characters; the
/// method stands after the last colon.
/// </summary>
/// <remarks>
/// Upstream, Google AI Studio has <c>https://generativelanguage.googleapis.com/v1beta/models/{model}:{method}</c> with the key in <c>x-goog-api-key</c>.
/// Vertex AI has <c>https://{location}-aiplatform.googleapis.com/v1/projects/{project}/locations/{location}/publishers/google/models/{model}:{method}</c>;
/// the global location's host has no prefix (<c>https://aiplatform.googleapis.com/v1/projects/{project}/locations/global/…</c>), the multi-regions
/// <c>us</c> and <c>eu</c> are <c>https://aiplatform.{location}.rep.googleapis.com</c>, and in express mode
/// (an API key without a project) the path is <c>/v1/publishers/google/models/{model}:{method}</c> (googleapis/js-genai:src/_api_client.ts). Vertex takes OAuth tokens as bearer, knows
/// <c>labels</c> in the body (at most 64, billed under them), and demands a <c>role</c> in each content; embeddings of its older models go through <c>:predict</c>.
/// </remarks>
internal static class GeminiPath
{
    /// <summary>Names longer than this are no models.</summary>
    public const int MaxModelLength = 512;

    // What else of Google's has these methods, or is a root of other addresses.
    private static readonly HashSet<string> Collections = ["models", "tunedModels", "dynamic", "publishers", "projects"];

    /// <summary>Reads what follows <c>models/</c>.</summary>
    /// <param name="rest">The rest of the path, percent-encoding resolved save for what the server leaves (<c>%2F</c>).</param>
    /// <param name="model">The model's name.</param>
    /// <param name="method">What is asked of it.</param>
    /// <returns>Whether it names a model and a method that is known here.</returns>
    public static bool TryParse(string rest, out string model, out GeminiMethod method)
    {
        (model, method) = ("", default);
        var colon = rest.LastIndexOf(':');
        if (colon <= 0 || colon > MaxModelLength * 3)
        {
            return false;
        }
        GeminiMethod? found = rest.AsSpan(colon + 1) switch
        {
            "generateContent" => GeminiMethod.Generate,
            "streamGenerateContent" => GeminiMethod.Stream,
            "countTokens" => GeminiMethod.CountTokens,
            "embedContent" => GeminiMethod.Embed,
            "batchEmbedContents" => GeminiMethod.BatchEmbed,
            _ => null,
        };
        if (found is null)
        {
            return false;
        }
        method = found.Value;
        model = Name(rest[..colon]);
        return model.Length is > 0 and <= MaxModelLength;
    }

    /// <summary>Reads an address that lacks <c>models/</c>: clients leave that out where the model's name holds a slash, as <c>tunedModels/x</c> does, and so <c>provider/model</c>.</summary>
    /// <param name="rest">What follows the API's version.</param>
    /// <returns>Whether it names a model of the gateway's and a method; tuned models are Google's.</returns>
    public static bool IsBareCall(string rest)
    {
        var name = Name(rest);
        var slash = name.IndexOf('/');
        return slash > 0 && !Collections.Contains(name[..slash]) && TryParse(rest, out _, out _);
    }

    /// <summary>A model's name as the address has it, encoding resolved.</summary>
    public static string Name(string encoded) => encoded.Contains('%', StringComparison.Ordinal) ? Uri.UnescapeDataString(encoded) : encoded;

    /// <summary>Whether a request's stream, or its error, is a JSON array: a stream is asked for, but not <c>alt=sse</c>.</summary>
    public static bool IsArrayStream(HttpRequest request) =>
        request.Path.Value is { } path && path.EndsWith(":streamGenerateContent", StringComparison.Ordinal) && !WantsSse(request.Query);

    /// <summary>The address of a provider's streams for those who want a JSON array: without <c>alt=sse</c>.</summary>
    public static Uri WithoutSse(Uri address)
    {
        var kept = address.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Where(pair => !pair.Equals("alt=sse", StringComparison.OrdinalIgnoreCase));
        return new UriBuilder(address) { Query = string.Join('&', kept) }.Uri;
    }

    /// <summary>Whether <c>alt=sse</c> is asked for.</summary>
    public static bool WantsSse(IQueryCollection query) => query.TryGetValue("alt", out var alt) && string.Equals(alt.ToString(), "sse", StringComparison.OrdinalIgnoreCase);
}
