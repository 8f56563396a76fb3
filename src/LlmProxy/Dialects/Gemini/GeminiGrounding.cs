using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>What an answer is grounded on: <c>groundingMetadata</c> of Google's search tools, and <c>citationMetadata</c>.</summary>
internal readonly struct GeminiGrounding
{
    private const int MaxCitations = 256;

    /// <summary>How many searches were made.</summary>
    public int Searches { get; private init; }

    /// <summary>The sources, each with the text that it supports, where that is said.</summary>
    public IReadOnlyList<NeutralCitation> Citations { get; private init; }

    /// <summary>Reads <c>groundingMetadata</c>.</summary>
    /// <param name="raw">The object, raw.</param>
    /// <param name="placesAreCharacters">Whether places, which Google counts in bytes, are places in characters as well; otherwise they are left out.</param>
    public static GeminiGrounding Read(ReadOnlySpan<byte> raw, bool placesAreCharacters)
    {
        using var document = JsonDocument.Parse(raw.ToArray(), new JsonDocumentOptions { MaxDepth = 256 });
        var root = document.RootElement;
        List<(JsonText Url, JsonText Title)> sources = [];
        foreach (var chunk in Items(root, "groundingChunks"))
        {
            var source = Member(chunk, "web") ?? Member(chunk, "retrievedContext") ?? Member(chunk, "maps");
            sources.Add(source is { } found ? (Text(found, "uri"), Text(found, "title")) : default);
        }
        List<NeutralCitation> citations = [];
        HashSet<int> cited = [];
        foreach (var support in Items(root, "groundingSupports"))
        {
            var segment = Member(support, "segment");
            foreach (var index in Items(support, "groundingChunkIndices"))
            {
                if (citations.Count < MaxCitations && index.ValueKind == JsonValueKind.Number && index.TryGetInt32(out var at) && at >= 0 && at < sources.Count && sources[at].Url.Exists)
                {
                    cited.Add(at);
                    citations.Add(new NeutralCitation
                    {
                        Url = sources[at].Url,
                        Title = sources[at].Title,
                        Start = placesAreCharacters ? Number(segment, "startIndex") ?? 0 : null,
                        End = placesAreCharacters ? Number(segment, "endIndex") : null,
                    });
                }
            }
        }
        for (var i = 0; i < sources.Count && citations.Count < MaxCitations; i++)
        {
            if (sources[i].Url.Exists && !cited.Contains(i))
            {
                citations.Add(new NeutralCitation { Url = sources[i].Url, Title = sources[i].Title });
            }
        }
        return new GeminiGrounding { Searches = Items(root, "webSearchQueries").Count(), Citations = citations };
    }

    /// <summary>Reads <c>citationMetadata</c>.</summary>
    public static IEnumerable<NeutralCitation> ReadCitations(ReadOnlySpan<byte> raw, bool placesAreCharacters)
    {
        using var document = JsonDocument.Parse(raw.ToArray(), new JsonDocumentOptions { MaxDepth = 256 });
        var sources = Items(document.RootElement, "citations").Concat(Items(document.RootElement, "citationSources")).Take(MaxCitations);
        return [.. sources.Select(source => new NeutralCitation
        {
            Url = Text(source, "uri"),
            Title = Text(source, "title"),
            Start = placesAreCharacters ? Number(source, "startIndex") : null,
            End = placesAreCharacters ? Number(source, "endIndex") : null,
        }).Where(citation => citation.Url.Exists)];
    }

    private static IEnumerable<JsonElement> Items(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Array } list ? list.EnumerateArray() : [];

    private static JsonElement? Member(JsonElement? element, string name) =>
        element is { ValueKind: JsonValueKind.Object } present
        && (present.TryGetProperty(name, out var value) || present.TryGetProperty(JsonNamingPolicy.SnakeCaseLower.ConvertName(name), out value)) ? value : null;

    private static JsonText Text(JsonElement element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.String } text ? new JsonText(RawOf(text)) : default;

    private static byte[] RawOf(JsonElement element) => System.Runtime.InteropServices.JsonMarshal.GetRawUtf8Value(element).ToArray();

    private static long? Number(JsonElement? element, string name) =>
        Member(element, name) is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) && value >= 0 ? value : null;
}

/// <summary>Log probabilities: Google's <c>logprobsResult</c> and OpenAI's array.</summary>
internal static class GeminiLogProbs
{
    /// <summary>Writes OpenAI's array of <c>{token, logprob, bytes, top_logprobs}</c>. False: there is nothing to write.</summary>
    public static bool TryWriteOpenAi(ReadOnlySpan<byte> raw, IBufferWriter<byte> output)
    {
        using var document = JsonDocument.Parse(raw.ToArray(), new JsonDocumentOptions { MaxDepth = 256 });
        if (document.RootElement.ValueKind != JsonValueKind.Object
            || !TryFind(document.RootElement, "chosenCandidates"u8, out var chosen) || chosen.ValueKind != JsonValueKind.Array || chosen.GetArrayLength() == 0)
        {
            return false;
        }
        var top = TryFind(document.RootElement, "topCandidates"u8, out var places) && places.ValueKind == JsonValueKind.Array ? places : default;
        using var json = new Utf8JsonWriter(output);
        json.WriteStartArray();
        var at = 0;
        foreach (var token in chosen.EnumerateArray())
        {
            json.WriteStartObject();
            WriteToken(json, token);
            json.WriteStartArray("top_logprobs"u8);
            if (top.ValueKind == JsonValueKind.Array && at < top.GetArrayLength() && top[at].ValueKind == JsonValueKind.Object
                && TryFind(top[at], "candidates"u8, out var others) && others.ValueKind == JsonValueKind.Array)
            {
                foreach (var other in others.EnumerateArray())
                {
                    json.WriteStartObject();
                    WriteToken(json, other);
                    json.WriteEndObject();
                }
            }
            json.WriteEndArray();
            json.WriteEndObject();
            at++;
        }
        json.WriteEndArray();
        return true;
    }

    /// <summary>Writes Google's <c>logprobsResult</c> for OpenAI's array.</summary>
    public static void WriteGoogle(ReadOnlySpan<byte> raw, Utf8JsonWriter json)
    {
        using var document = JsonDocument.Parse(raw.ToArray(), new JsonDocumentOptions { MaxDepth = 256 });
        var tokens = document.RootElement.ValueKind == JsonValueKind.Array ? document.RootElement : default;
        json.WriteStartObject();
        json.WriteStartArray("chosenCandidates"u8);
        foreach (var token in tokens.ValueKind == JsonValueKind.Array ? tokens.EnumerateArray() : default)
        {
            WriteCandidate(json, token);
        }
        json.WriteEndArray();
        json.WriteStartArray("topCandidates"u8);
        foreach (var token in tokens.ValueKind == JsonValueKind.Array ? tokens.EnumerateArray() : default)
        {
            json.WriteStartObject();
            json.WriteStartArray("candidates"u8);
            if (token.ValueKind == JsonValueKind.Object && TryFind(token, "top_logprobs"u8, out var others) && others.ValueKind == JsonValueKind.Array)
            {
                foreach (var other in others.EnumerateArray())
                {
                    WriteCandidate(json, other);
                }
            }
            json.WriteEndArray();
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteToken(Utf8JsonWriter json, JsonElement candidate)
    {
        WriteAs(json, candidate, "token"u8, "token"u8);
        WriteAs(json, candidate, "logProbability"u8, "logprob"u8);
        json.WriteNull("bytes"u8); // Google does not say them
    }

    private static void WriteCandidate(Utf8JsonWriter json, JsonElement token)
    {
        json.WriteStartObject();
        WriteAs(json, token, "token"u8, "token"u8);
        WriteAs(json, token, "logprob"u8, "logProbability"u8);
        json.WriteEndObject();
    }

    private static void WriteAs(Utf8JsonWriter json, JsonElement element, ReadOnlySpan<byte> name, ReadOnlySpan<byte> writtenName)
    {
        if (element.ValueKind == JsonValueKind.Object && TryFind(element, name, out var value))
        {
            json.WritePropertyName(writtenName);
            json.WriteRawValue(JsonMarshal.GetRawUtf8Value(value), skipInputValidation: true); // as it came, even if it is no text
        }
    }

    /// <summary>Finds a member by the bytes of its name, beside names that are no text.</summary>
    private static bool TryFind(JsonElement element, ReadOnlySpan<byte> name, out JsonElement value)
    {
        value = default;
        foreach (var member in element.EnumerateObject())
        {
            if (JsonMarshal.GetRawUtf8PropertyName(member).SequenceEqual(name))
            {
                value = member.Value;
            }
        }
        return value.ValueKind != JsonValueKind.Undefined;
    }
}
