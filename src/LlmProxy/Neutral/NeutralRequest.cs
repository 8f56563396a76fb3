namespace LlmProxy.Neutral;

/// <summary>
/// A request to a model in no vendor's format: what every dialect decodes into and is encoded from. Texts and raw values are slices of the client's
/// body and live no longer than it. What only one dialect knows stands in <see cref="ExtensionBag"/>s and goes back to that dialect alone.
/// </summary>
internal sealed class NeutralRequest
{
    /// <summary>The dialect that it was decoded from: <see cref="Dialects.DialectIds"/>.</summary>
    public required string Source { get; init; }

    /// <summary>The turns in their order, system and developer messages where they stood.</summary>
    public List<NeutralMessage> Messages { get; } = [];

    public List<NeutralTool> Tools { get; } = [];

    public NeutralToolChoice? ToolChoice { get; set; }

    /// <summary>Whether the model may call several tools at once; null: not said.</summary>
    public bool? ParallelToolCalls { get; set; }

    /// <summary>Whether the answer is wanted as a stream.</summary>
    public bool Stream { get; set; }

    /// <summary>Whether a stream's client wants the usage, where its dialect lets it choose (OpenAI Chat); true elsewhere.</summary>
    public bool WantsUsage { get; set; } = true;

    /// <summary>The most tokens of output; null: not said.</summary>
    public long? MaxOutputTokens { get; set; }

    /// <summary>How many answers are wanted, at least 1.</summary>
    public int Choices { get; set; } = 1;

    public NeutralSampling Sampling { get; } = new();

    public List<JsonText> StopSequences { get; } = [];

    /// <summary>The form that the answer must have; null: any.</summary>
    public NeutralOutputFormat? OutputFormat { get; set; }

    public NeutralReasoning? Reasoning { get; set; }

    /// <summary>Whether log probabilities are wanted, and of how many alternatives.</summary>
    public bool? LogProbs { get; set; }

    public int? TopLogProbs { get; set; }

    /// <summary>The service tier as its dialect names it, quotes included.</summary>
    public JsonText ServiceTier { get; set; }

    /// <summary>Whose request it is (<c>user</c>, <c>safety_identifier</c>, <c>metadata.user_id</c>).</summary>
    public JsonText EndUser { get; set; }

    /// <summary>The key by which the provider finds a prompt cache (<c>prompt_cache_key</c>).</summary>
    public JsonText CacheKey { get; set; }

    /// <summary>A cache mark for the whole prompt (Anthropic's top-level <c>cache_control</c>, <c>prompt_cache_options</c>); null: none.</summary>
    public CacheMark? Cache { get; set; }

    /// <summary>The client's labels (<c>metadata</c>), a raw JSON object; empty: none.</summary>
    public ReadOnlyMemory<byte> Metadata { get; set; }

    /// <summary>Whether the provider may keep the answer (<c>store</c>); null: not said.</summary>
    public bool? Store { get; set; }

    /// <summary>The kinds of output that are wanted besides text, such as <c>audio</c> or <c>image</c>, in lower case.</summary>
    public List<string> OutputModalities { get; } = [];

    /// <summary>How long an answer should be: <c>low</c>, <c>medium</c>, <c>high</c> (<c>verbosity</c>).</summary>
    public JsonText Verbosity { get; set; }

    /// <summary>Members of the request that only <see cref="Source"/> knows.</summary>
    public ExtensionBag Extensions { get; } = new();

    /// <summary>Members that the route adds to requests, in the names of OpenAI Chat; they go to that dialect alone, whatever the source.</summary>
    public ExtensionBag OfRoute { get; } = new();

    /// <summary>
    /// Which of several names or shapes for one thing the request used. <see cref="Source"/>'s own encoders look at it, to write as the client does; it
    /// means nothing to the others, and nothing is lost with it.
    /// </summary>
    public object? SourceForm { get; set; }
}

/// <summary>Numbers that steer the choice of tokens, as raw JSON numbers, so that none is rounded; empty: not given.</summary>
internal sealed class NeutralSampling
{
    public ReadOnlyMemory<byte> Temperature { get; set; }

    public ReadOnlyMemory<byte> TopP { get; set; }

    public ReadOnlyMemory<byte> TopK { get; set; }

    public ReadOnlyMemory<byte> FrequencyPenalty { get; set; }

    public ReadOnlyMemory<byte> PresencePenalty { get; set; }

    public ReadOnlyMemory<byte> Seed { get; set; }
}

/// <summary>Who speaks.</summary>
internal enum NeutralRole
{
    /// <summary>Instructions of whoever built the application, the strongest.</summary>
    System,

    /// <summary>Instructions under the name <c>developer</c>; dialects without it take them for system instructions.</summary>
    Developer,

    User,

    Assistant,

    /// <summary>Results of tools. Dialects that put them into user messages decode such a message into one of this role and one of <see cref="User"/> for the rest.</summary>
    Tool,
}

/// <summary>One turn.</summary>
internal sealed class NeutralMessage
{
    public required NeutralRole Role { get; init; }

    /// <summary>What is said, in its order.</summary>
    public List<NeutralPart> Parts { get; } = [];

    /// <summary>The speaker's name.</summary>
    public JsonText Name { get; set; }

    /// <summary>The message's id in its dialect (Responses' items).</summary>
    public JsonText Id { get; set; }

    /// <summary>
    /// Whether the dialect wrote the content as a plain string rather than as an array of parts, or the whole message in another short form. Goes back
    /// to that dialect alone, so that a round trip changes nothing.
    /// </summary>
    public bool IsShort { get; set; }

    public ExtensionBag Extensions { get; } = new();
}

/// <summary>A piece of a message.</summary>
internal abstract class NeutralPart
{
    /// <summary>A cache mark after it; null: none.</summary>
    public CacheMark? Cache { get; set; }

    public ExtensionBag Extensions { get; } = new();
}

internal sealed class TextPart : NeutralPart
{
    public required JsonText Text { get; init; }

    /// <summary>Citations of an assistant's text.</summary>
    public List<NeutralCitation> Citations { get; } = [];

    /// <summary>A provider's signature that goes with it (Gemini's <c>thoughtSignature</c> on text).</summary>
    public NeutralSignature? Signature { get; set; }
}

/// <summary>An assistant's refusal.</summary>
internal sealed class RefusalPart : NeutralPart
{
    public required JsonText Text { get; init; }
}

/// <summary>What a medium is.</summary>
internal enum MediaKind
{
    Image,
    Audio,
    Video,

    /// <summary>A document: PDF, plain text, …</summary>
    Document,
}

/// <summary>An image, a sound, a film, a document. Exactly one of <see cref="Data"/>, <see cref="Url"/>, <see cref="FileId"/> and <see cref="Text"/> exists.</summary>
internal sealed class MediaPart : NeutralPart
{
    public required MediaKind Kind { get; init; }

    /// <summary>Its media type, e.g. <c>image/png</c>; none: not known.</summary>
    public JsonText MediaType { get; init; }

    /// <summary>Its bytes in base64 (RFC 4648 section 4).</summary>
    public JsonText Data { get; init; }

    /// <summary>Where it lies; never a <c>data:</c> URL, which is decoded into <see cref="Data"/>.</summary>
    public JsonText Url { get; init; }

    /// <summary>The provider's id of an uploaded file.</summary>
    public JsonText FileId { get; init; }

    /// <summary>A document that is plain text.</summary>
    public JsonText Text { get; init; }

    /// <summary>Its file name or title.</summary>
    public JsonText Name { get; set; }

    /// <summary>How closely to look at an image (<c>low</c>, <c>high</c>, <c>auto</c>).</summary>
    public JsonText Detail { get; set; }
}

/// <summary>What kind of tool is called.</summary>
internal enum ToolKind
{
    /// <summary>A function with JSON arguments.</summary>
    Function,

    /// <summary>A tool that takes free text (OpenAI's <c>custom</c>).</summary>
    Custom,

    /// <summary>A tool that the provider runs; only its own dialect knows it.</summary>
    Provider,
}

/// <summary>A call of a tool that the client runs.</summary>
internal sealed class ToolCallPart : NeutralPart
{
    public ToolKind Kind { get; init; } = ToolKind.Function;

    /// <summary>Its id. A dialect without ids makes one that is the same each time the history is sent.</summary>
    public required JsonText Id { get; init; }

    public required JsonText Name { get; init; }

    /// <summary>The arguments of a function: raw JSON, <c>{}</c> where there are none; where a model wrote no valid JSON, <see cref="Text"/> holds them instead.</summary>
    public ReadOnlyMemory<byte> Arguments { get; init; }

    /// <summary>The input of a custom tool, or arguments that are no valid JSON.</summary>
    public JsonText Text { get; init; }

    /// <summary>The item's own id where its dialect tells it from the call's (Responses' <c>id</c> beside <c>call_id</c>).</summary>
    public JsonText ItemId { get; set; }

    /// <summary>A provider's signature that must come back with it (Gemini's <c>thoughtSignature</c>).</summary>
    public NeutralSignature? Signature { get; set; }
}

/// <summary>What came of a tool call.</summary>
internal sealed class ToolResultPart : NeutralPart
{
    /// <summary>The id of its call.</summary>
    public required JsonText CallId { get; init; }

    public ToolKind Kind { get; init; } = ToolKind.Function;

    /// <summary>The tool's name where the dialect says it again (Gemini).</summary>
    public JsonText Name { get; set; }

    /// <summary>The result: text and media.</summary>
    public List<NeutralPart> Content { get; } = [];

    /// <summary>A result that is JSON rather than text (Gemini's and Bedrock's), raw; empty: it is in <see cref="Content"/>.</summary>
    public ReadOnlyMemory<byte> Json { get; set; }

    public bool IsError { get; set; }

    /// <summary>See <see cref="NeutralMessage.IsShort"/>.</summary>
    public bool IsShort { get; set; }
}

/// <summary>What a model thought. Its signature binds it to the provider that wrote it.</summary>
internal sealed class ReasoningPart : NeutralPart
{
    /// <summary>The thoughts; none where only a signature or redacted data came.</summary>
    public JsonText Text { get; init; }

    /// <summary>Whether <see cref="Text"/> is a summary rather than the thoughts themselves.</summary>
    public bool IsSummary { get; init; }

    /// <summary>Several summaries of one piece of reasoning (Responses); empty: <see cref="Text"/> holds all.</summary>
    public List<JsonText> Summaries { get; } = [];

    public NeutralSignature? Signature { get; set; }

    /// <summary>Whether <see cref="Signature"/> holds redacted thoughts (<c>redacted_thinking</c>) rather than a signature of <see cref="Text"/>.</summary>
    public bool IsRedacted { get; init; }

    /// <summary>The item's id (Responses).</summary>
    public JsonText Id { get; init; }
}

/// <summary>Anything that only one dialect has: server tools and their results, compaction, items to come. Goes back to that dialect alone, in its place.</summary>
internal sealed class NativePart : NeutralPart
{
    /// <summary>The dialect's own name of it, for reports of what was dropped.</summary>
    public required string Type { get; init; }

    /// <summary>The whole item or block, raw.</summary>
    public required ReadOnlyMemory<byte> Raw { get; init; }
}

/// <summary>Data by which a provider knows its own reasoning again: opaque, and of no use to any other.</summary>
/// <param name="Family">Whose it is: <c>anthropic</c>, <c>google</c>, <c>openai</c>, … (<see cref="Dialects.SignatureFamilies"/>).</param>
/// <param name="Data">The data.</param>
internal sealed record NeutralSignature(string Family, JsonText Data);

/// <summary>A mark up to which the prompt should be cached.</summary>
/// <param name="Ttl">How long, e.g. <c>5m</c> or <c>1h</c>; none: the provider's usual time.</param>
internal sealed record CacheMark(JsonText Ttl)
{
    /// <summary>Members that only its dialect knows.</summary>
    public ExtensionBag Extensions { get; } = new();
}

/// <summary>Where a text is from.</summary>
internal sealed class NeutralCitation
{
    public JsonText Url { get; init; }

    public JsonText Title { get; init; }

    public JsonText CitedText { get; init; }

    /// <summary>From which character of the text on it is meant; null: not said.</summary>
    public long? Start { get; init; }

    /// <summary>The character after the last; null: not said.</summary>
    public long? End { get; init; }

    /// <summary>The citation as its dialect wrote it, raw; it goes back to that dialect as it is.</summary>
    public ReadOnlyMemory<byte> Raw { get; init; }
}

/// <summary>A tool that may be called.</summary>
internal sealed class NeutralTool
{
    public ToolKind Kind { get; init; } = ToolKind.Function;

    public JsonText Name { get; init; }

    public JsonText Description { get; set; }

    /// <summary>The schema of the arguments, a raw JSON object; empty: none.</summary>
    public ReadOnlyMemory<byte> Parameters { get; set; }

    /// <summary>Whether the provider must hold the model to the schema; null: not said.</summary>
    public bool? Strict { get; set; }

    /// <summary>The format of a custom tool's input, raw; empty: any text.</summary>
    public ReadOnlyMemory<byte> Format { get; set; }

    /// <summary>The whole declaration of a tool of kind <see cref="ToolKind.Provider"/>, raw.</summary>
    public ReadOnlyMemory<byte> Raw { get; init; }

    /// <summary>The schema as its dialect wrote it, raw, where that is no JSON Schema (Gemini's <c>parameters</c>); goes back to that dialect instead of <see cref="Parameters"/>.</summary>
    public ReadOnlyMemory<byte> NativeParameters { get; init; }

    public CacheMark? Cache { get; set; }

    public ExtensionBag Extensions { get; } = new();
}

/// <summary>Whether and which tools are called.</summary>
internal enum ToolChoiceMode
{
    Auto,
    None,

    /// <summary>At least one.</summary>
    Required,

    /// <summary>The one that is named.</summary>
    Named,

    /// <summary>Only those that are named, as <see cref="NeutralToolChoice.IsRequired"/> says.</summary>
    Allowed,
}

/// <summary>The client's choice of tools.</summary>
internal sealed class NeutralToolChoice
{
    public required ToolChoiceMode Mode { get; init; }

    public List<JsonText> Names { get; } = [];

    /// <summary>Under <see cref="ToolChoiceMode.Allowed"/>: whether one of them must be called.</summary>
    public bool IsRequired { get; init; }

    /// <summary>The kind of the named tool.</summary>
    public ToolKind Kind { get; init; } = ToolKind.Function;

    public ExtensionBag Extensions { get; } = new();
}

/// <summary>A form that the answer must have.</summary>
internal sealed class NeutralOutputFormat
{
    /// <summary>The schema, a raw JSON object; empty: any JSON (<c>json_object</c>).</summary>
    public ReadOnlyMemory<byte> Schema { get; init; }

    /// <summary>The schema as its dialect wrote it, raw, where that is no JSON Schema (Gemini's <c>responseSchema</c>); goes back to that dialect instead of <see cref="Schema"/>.</summary>
    public ReadOnlyMemory<byte> NativeSchema { get; init; }

    public JsonText Name { get; init; }

    public JsonText Description { get; init; }

    public bool? Strict { get; init; }

    public ExtensionBag Extensions { get; } = new();
}

/// <summary>How much a model shall think.</summary>
internal sealed class NeutralReasoning
{
    /// <summary>Whether it shall think at all; null: as <see cref="Effort"/> and <see cref="BudgetTokens"/> say.</summary>
    public bool? Enabled { get; set; }

    /// <summary>Whether the model decides how much (<c>adaptive</c>, <c>dynamic</c>).</summary>
    public bool IsAdaptive { get; set; }

    /// <summary><c>none</c>, <c>minimal</c>, <c>low</c>, <c>medium</c>, <c>high</c>, <c>xhigh</c>, <c>max</c>.</summary>
    public JsonText Effort { get; set; }

    public long? BudgetTokens { get; set; }

    /// <summary>Whether thoughts or their summary come with the answer; null: not said.</summary>
    public bool? Visible { get; set; }

    /// <summary>The kind of summary (<c>auto</c>, <c>concise</c>, <c>detailed</c>, <c>summarized</c>, <c>omitted</c>).</summary>
    public JsonText Summary { get; set; }

    public ExtensionBag Extensions { get; } = new();
}

/// <summary>Members that only one dialect knows, by name, in their order; a name may stand more than once.</summary>
internal sealed class ExtensionBag
{
    private List<KeyValuePair<JsonText, ReadOnlyMemory<byte>>>? members;
    private List<string>? losses;

    public bool IsEmpty => members is null or { Count: 0 };

    public IReadOnlyList<KeyValuePair<JsonText, ReadOnlyMemory<byte>>> Members => members ?? (IReadOnlyList<KeyValuePair<JsonText, ReadOnlyMemory<byte>>>)[];

    /// <summary>What another dialect loses: the names of all members but those that are kept only for the wording, and what of these nothing else says.</summary>
    public IReadOnlyList<string> Losses => losses ?? (IReadOnlyList<string>)[];

    /// <summary>Adds a member.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value, raw JSON.</param>
    public void Add(JsonText name, ReadOnlyMemory<byte> value)
    {
        Keep(name, value);
        Lose(name.ToString());
    }

    /// <summary>Keeps a member for its own dialect that says nothing which the request does not say otherwise, or whose losses are told apart.</summary>
    /// <param name="name">Its name.</param>
    /// <param name="value">Its value, raw JSON.</param>
    public void Keep(JsonText name, ReadOnlyMemory<byte> value) => (members ??= []).Add(new(name, value));

    /// <summary>Tells that another dialect loses something.</summary>
    /// <param name="name">Its name.</param>
    public void Lose(string name) => (losses ??= []).Add(name);

    /// <summary>The value of a member, or empty.</summary>
    public ReadOnlyMemory<byte> Find(ReadOnlySpan<byte> name)
    {
        foreach (var member in Members)
        {
            if (member.Key.Is(name))
            {
                return member.Value;
            }
        }
        return default;
    }
}
