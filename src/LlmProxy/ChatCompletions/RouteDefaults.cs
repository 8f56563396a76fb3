using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Shared.Http;

namespace LlmProxy.ChatCompletions;

/// <summary>
/// A route's defaults for requests in other formats than OpenAI's older one, in whose names they are written. Where a request is translated, they are put into its neutral form; where it
/// is relayed, they are written in its own format and spliced in. What that format has no word for is reported as left out; what OpenAI has no word for is taken for the format's own.
/// </summary>
/// <param name="members">The members with a comma before each, UTF-8.</param>
internal sealed class RouteDefaults(byte[] members)
{
    private static readonly JsonReaderOptions Reading = new() { MaxDepth = RequestScanner.MaxDepth };

    // Objects of settings, whose members are looked at one by one. Any other value that a request has stays as it is.
    private static readonly string[] Containers = ["generationConfig", "inferenceConfig", "additionalModelRequestFields", "output_config", "reasoning", "text"];

    // Members of OpenAI's format that others may lack; whatever else no dialect knows is passed on as it is (platform.openai.com/docs/api-reference/chat/create).
    private static readonly HashSet<string> OpenAiNames =
    [
        "audio", "frequency_penalty", "function_call", "functions", "logit_bias", "logprobs", "metadata", "modalities", "moderation", "parallel_tool_calls", "prediction", "presence_penalty",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "reasoning_effort", "response_format", "safety_identifier", "seed", "service_tier", "stop", "store", "temperature", "tool_choice", "tools",
        "top_logprobs", "top_p", "user", "verbosity", "web_search_options",
    ];

    /// <summary>Why the defaults are none that any request could have; null: they are right.</summary>
    public GatewayError? Check() => Read(null, withDefaults: true, out _);

    /// <summary>Puts the defaults into a request that lacks them.</summary>
    public void AddTo(NeutralRequest request)
    {
        if (Read(null, withDefaults: true, out var defaults) is not null)
        {
            return; // the snapshot was refused
        }
        var (own, given) = (request.Sampling, defaults!.Sampling);
        own.Temperature = own.Temperature.IsEmpty ? given.Temperature : own.Temperature;
        own.TopP = own.TopP.IsEmpty ? given.TopP : own.TopP;
        own.TopK = own.TopK.IsEmpty ? given.TopK : own.TopK;
        own.FrequencyPenalty = own.FrequencyPenalty.IsEmpty ? given.FrequencyPenalty : own.FrequencyPenalty;
        own.PresencePenalty = own.PresencePenalty.IsEmpty ? given.PresencePenalty : own.PresencePenalty;
        own.Seed = own.Seed.IsEmpty ? given.Seed : own.Seed;
        if (request.StopSequences.Count == 0)
        {
            request.StopSequences.AddRange(defaults.StopSequences);
        }
        if (request.Tools.Count == 0)
        {
            request.Tools.AddRange(defaults.Tools);
        }
        if (request.OutputModalities.Count == 0)
        {
            request.OutputModalities.AddRange(defaults.OutputModalities);
        }
        request.ToolChoice ??= request.Tools.Count > 0 ? defaults.ToolChoice : null;
        request.ParallelToolCalls ??= defaults.ParallelToolCalls;
        request.OutputFormat ??= defaults.OutputFormat;
        request.Reasoning ??= defaults.Reasoning;
        request.LogProbs ??= defaults.LogProbs;
        request.TopLogProbs ??= defaults.TopLogProbs;
        request.ServiceTier = request.ServiceTier.Exists ? request.ServiceTier : defaults.ServiceTier;
        request.EndUser = request.EndUser.Exists ? request.EndUser : defaults.EndUser;
        request.CacheKey = request.CacheKey.Exists ? request.CacheKey : defaults.CacheKey;
        request.Metadata = request.Metadata.IsEmpty ? defaults.Metadata : request.Metadata;
        request.Store ??= defaults.Store;
        request.Verbosity = request.Verbosity.Exists ? request.Verbosity : defaults.Verbosity;
        foreach (var (name, value) in defaults.Extensions.Members)
        {
            request.OfRoute.Add(name, value);
        }
    }

    /// <summary>Splices the defaults into a body that is relayed.</summary>
    /// <param name="body">The client's body.</param>
    /// <param name="target">Where it goes.</param>
    /// <param name="limit">The output limit that it will have; null: none.</param>
    /// <param name="edits">Receives the splices, but for what stands beside the output limit.</param>
    /// <param name="dropped">Receives the names of defaults that the format has no word for.</param>
    /// <returns>What stands beside the output limit, where that is in an object of its own: members with commas between them.</returns>
    public byte[]? AddTo(ReadOnlySpan<byte> body, TargetPlan target, long? limit, EditList edits, DropReport dropped)
    {
        var open = body.IndexOf((byte)'{') + 1;
        if (body[open..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..]) // asks for nothing, and would not with defaults either
        {
            return null;
        }
        if (Read(limit, withDefaults: true, out var defaults) is not null || Read(limit, withDefaults: false, out var nothing) is not null)
        {
            return null;
        }
        var mine = new DropReport();
        if (Encode(defaults!, target, mine) is not { } encoded || Encode(nothing!, target, new DropReport()) is not { } plain)
        {
            dropped.Add("defaults");
            return null;
        }
        byte[]? besideLimit = null;
        foreach (var (name, value) in Members(encoded))
        {
            var usual = plain.TryGetProperty(name, out var found) ? found : default;
            if (Containers.Contains(name) && value.ValueKind == JsonValueKind.Object)
            {
                var lacking = Lacking(body, name, Members(value).Where(member => usual.ValueKind != JsonValueKind.Object || !usual.TryGetProperty(member.Name, out var same) || same.GetRawText() != member.Value.GetRawText()), out var container);
                if (lacking.Length == 0)
                {
                    continue;
                }
                if (name is "generationConfig" or "inferenceConfig")
                {
                    besideLimit = lacking;
                }
                else
                {
                    AddTo(body, container, Encoding.UTF8.GetBytes(name), lacking, open, edits);
                }
            }
            else if ((usual.ValueKind == JsonValueKind.Undefined || usual.GetRawText() != value.GetRawText()) && !Find(body, name, out _))
            {
                edits.Add(open, 0, Encoding.UTF8.GetBytes($"{Quoted(name)}:{value.GetRawText()},"));
            }
        }
        AddOwn(body, defaults!, open, edits, mine, dropped);
        return besideLimit;
    }

    /// <summary>Inserts members into an object of a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="container">Where the object stands; not there: it is made.</param>
    /// <param name="name">Its name, UTF-8 without quotes.</param>
    /// <param name="inserted">The members, with commas between them.</param>
    /// <param name="open">Where a new member goes.</param>
    /// <param name="edits">Receives the splice.</param>
    public static void AddTo(ReadOnlySpan<byte> body, JsonSlice container, ReadOnlySpan<byte> name, ReadOnlySpan<byte> inserted, int open, EditList edits)
    {
        if (!container.Exists)
        {
            var isAlone = body[open..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..];
            edits.Add(open, 0, (byte[])[(byte)'"', .. name, .. "\":{"u8, .. inserted, .. isAlone ? "}"u8 : "},"u8]);
        }
        else if (body[container.Offset] != (byte)'{')
        {
            edits.Add(container.Offset, container.Length, (byte[])[(byte)'{', .. inserted, (byte)'}']);
        }
        else
        {
            var isEmpty = body[(container.Offset + 1)..].TrimStart(" \t\r\n"u8) is [(byte)'}', ..];
            edits.Add(container.Offset + 1, 0, (byte[])[.. inserted, .. isEmpty ? ""u8 : ","u8]);
        }
    }

    /// <summary>What no dialect of ours knows goes in as it is; what OpenAI alone has is reported.</summary>
    private static void AddOwn(ReadOnlySpan<byte> body, NeutralRequest defaults, int open, EditList edits, DropReport mine, DropReport dropped)
    {
        var own = new HashSet<string>(StringComparer.Ordinal);
        foreach (var (name, value) in defaults.Extensions.Members)
        {
            var text = name.ToString();
            if (OpenAiNames.Contains(text))
            {
                continue;
            }
            own.Add(text);
            if (!Find(body, text, out _))
            {
                edits.Add(open, 0, (byte[])[.. name.Token.Span, (byte)':', .. value.Span, (byte)',']);
            }
        }
        foreach (var name in mine.Names.Where(name => !own.Contains(name)))
        {
            dropped.Add(name);
        }
    }

    /// <summary>Those of the members that an object of the body lacks, with commas between them.</summary>
    private static byte[] Lacking(ReadOnlySpan<byte> body, string name, IEnumerable<(string Name, JsonElement Value)> members, out JsonSlice container)
    {
        var isThere = Find(body, name, out container);
        var lacking = new StringBuilder();
        foreach (var (member, value) in members)
        {
            if (!isThere || body[container.Offset] != (byte)'{' || !Find(body.Slice(container.Offset, container.Length), member, out _))
            {
                lacking.Append(lacking.Length > 0 ? "," : "").Append(Quoted(member)).Append(':').Append(value.GetRawText());
            }
        }
        return Encoding.UTF8.GetBytes(lacking.ToString());
    }

    /// <summary>Finds a member of an object, by its name or by that in Google's other spelling.</summary>
    private static bool Find(ReadOnlySpan<byte> json, string name, out JsonSlice value)
    {
        var (exact, snake) = (Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(Snake(name)));
        var reader = new Utf8JsonReader(json, Reading);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = MemberNames.Is(ref reader, exact) || MemberNames.Is(ref reader, snake);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            if (isIt)
            {
                value = new JsonSlice(start, (int)reader.BytesConsumed - start);
                return true;
            }
        }
        value = default;
        return false;
    }

    private static string Snake(string name) => string.Concat(name.Select(letter => char.IsAsciiLetterUpper(letter) ? "_" + char.ToLowerInvariant(letter) : letter.ToString()));

    private static string Quoted(string name) => $"\"{JsonEncodedText.Encode(name)}\"";

    private static IEnumerable<(string Name, JsonElement Value)> Members(JsonElement json) => json.EnumerateObject().Select(member => (member.Name, member.Value));

    private static JsonElement? Encode(NeutralRequest request, TargetPlan target, DropReport dropped)
    {
        var output = new ArrayBufferWriter<byte>();
        if (target.Family.Dialect!.Encode(request, new EncodeTarget { Provider = target.Provider, Model = target.Model, MaxOutputTokens = target.Price?.MaxOutputTokens, Dropped = dropped }, output) is not null)
        {
            return null;
        }
        using var document = JsonDocument.Parse(output.WrittenMemory);
        return document.RootElement.Clone();
    }

    /// <summary>The defaults as a request of their own: encoders know what goes together, and what a model takes.</summary>
    private GatewayError? Read(long? limit, bool withDefaults, out NeutralRequest? request)
    {
        byte[] body =
        [
            .. "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\".\"}]"u8,
            .. limit is { } tokens ? Encoding.UTF8.GetBytes($",\"max_tokens\":{tokens}") : [],
            .. withDefaults ? members : [],
            (byte)'}',
        ];
        return DialectSet.Find(DialectIds.OpenAiChat)!.Decode(body, stream: false, out request);
    }
}
