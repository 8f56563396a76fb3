namespace LlmProxy.ChatCompletions;

/// <summary>A run of bytes in a request body. Length 0: the thing is not there.</summary>
internal readonly record struct JsonSlice(int Offset, int Length)
{
    public bool Exists => Length > 0;

    public int End => Offset + Length;
}

/// <summary>An output limit as the client wrote it.</summary>
/// <param name="Name">The member's name, quotes included.</param>
/// <param name="Value">The member's value.</param>
/// <param name="Tokens">The limit; null where the value is <c>null</c> or the member is absent.</param>
internal readonly record struct OutputLimitField(JsonSlice Name, JsonSlice Value, long? Tokens);

/// <summary>
/// What routes and bills a request, and where it stands in the body. Everything else in the body is nobody's business here and goes on as it is.
/// </summary>
internal struct RoutedFields
{
    /// <summary>The value of <c>model</c>, quotes included.</summary>
    public JsonSlice Model;

    public bool Stream;

    /// <summary>Whether the answer is made while nobody waits for it (Responses).</summary>
    public bool Background;

    /// <summary>The value of <c>stream_options</c>.</summary>
    public JsonSlice StreamOptions;

    /// <summary>Whether <see cref="StreamOptions"/> is <c>null</c>.</summary>
    public bool StreamOptionsIsNull;

    /// <summary>Whether <see cref="StreamOptions"/> is <c>{}</c>.</summary>
    public bool StreamOptionsIsEmpty;

    /// <summary>The value of <c>stream_options.include_usage</c>.</summary>
    public JsonSlice IncludeUsage;

    /// <summary>Whether the client asked for the usage chunk.</summary>
    public bool WantsUsage;

    public OutputLimitField MaxTokens;

    public OutputLimitField MaxCompletionTokens;

    /// <summary>The object in which the output limit stands or would stand, where that is not the body itself (Gemini, Bedrock).</summary>
    public JsonSlice LimitContainer;

    /// <summary>How many answers are billed, at least 1: choices or candidates, for each prompt.</summary>
    public int Choices;

    /// <summary>The service tier asked for; null: the provider's usual one.</summary>
    public string? ServiceTier;

    /// <summary>Bytes of input that may be billed as output of each answer: of <c>prediction</c>, whose rejected parts are, or of a prompt that <c>echo</c> repeats.</summary>
    public int PredictionBytes;

    /// <summary>Whether audio is asked for in the output (<c>modalities</c>).</summary>
    public bool AudioOutput;

    public int ImageParts;

    /// <summary>Bytes of the body that surely are no tokens: what the digits of token numbers take up beyond one byte for each.</summary>
    public int SpareBytes;

    public int AudioParts;

    /// <summary>The first member that makes the price boundless whatever the model costs; null: there is none.</summary>
    public string? UnboundedMember;

    /// <summary>
    /// The first member that makes the price boundless at a provider of the request's own format alone: a tool that it runs itself, for a price of its own, or a reference to what it
    /// keeps. Others do not get it. Null: there is none.
    /// </summary>
    public string? UnboundedUntranslated;

    /// <summary>The larger of the two output limits; null: there is none.</summary>
    public readonly long? OutputLimit => (MaxTokens.Tokens, MaxCompletionTokens.Tokens) switch
    {
        ({ } left, { } right) => Math.Max(left, right),
        var (left, right) => left ?? right,
    };
}
