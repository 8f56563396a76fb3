using Shared.Pricing;

namespace LlmProxy.Neutral;

/// <summary>
/// Takes a model's answer in no vendor's format, piece by piece: every dialect's decoder calls one, every dialect's encoder is one. A complete answer
/// is a stream whose pieces all come at once. Spans named <c>…Token</c> or <c>text</c> are JSON string tokens, quotes and escapes included, valid for the call alone;
/// those named <c>raw</c> are raw JSON values.
/// </summary>
/// <remarks>
/// The order, which decoders keep whatever came in: <see cref="Start"/>, then for each block <see cref="BeginBlock"/>, its deltas and
/// <see cref="EndBlock"/>, then <see cref="Finish"/> for each choice, then <see cref="End"/>; <see cref="Usage"/> at any time after the start, the
/// last word counts; <see cref="Fail"/> at any time, nothing after it. Blocks have numbers from 0 that rise by 1 in the order they begin; several may be open at once (parallel tool calls).
/// </remarks>
internal interface IAnswerSink
{
    /// <summary>The answer begins.</summary>
    void Start(in AnswerStart start);

    /// <summary>A block begins.</summary>
    void BeginBlock(int block, in BlockStart start);

    /// <summary>More of a block: text, a refusal, thoughts, a tool call's arguments (whose pieces make up JSON together) or input.</summary>
    /// <param name="block">Its number.</param>
    /// <param name="text">The piece, a JSON string token. For a function's arguments: the piece of their JSON text, as a string token.</param>
    void Delta(int block, ReadOnlySpan<byte> text);

    /// <summary>A signature of an open block: of its thoughts, or of its tool call.</summary>
    /// <param name="block">Its number.</param>
    /// <param name="family">Whose it is: <see cref="NeutralSignature.Family"/>.</param>
    /// <param name="dataToken">The data.</param>
    void Signature(int block, string family, ReadOnlySpan<byte> dataToken);

    /// <summary>A source of an open text block.</summary>
    void Citation(int block, NeutralCitation citation);

    /// <summary>Log probabilities of an open block: OpenAI's array of <c>{token, logprob, bytes, top_logprobs}</c>.</summary>
    void LogProbs(int block, ReadOnlySpan<byte> raw);

    /// <summary>A block is complete.</summary>
    void EndBlock(int block);

    /// <summary>What was used so far, all of it.</summary>
    void Usage(in AnswerUsage usage);

    /// <summary>A choice has ended.</summary>
    void Finish(in AnswerFinish finish);

    /// <summary>A member of the answer that only the source dialect knows.</summary>
    /// <param name="path">Where it stands, for reports, e.g. <c>container</c>.</param>
    /// <param name="raw">Its value.</param>
    void Extension(string path, ReadOnlySpan<byte> raw);

    /// <summary>The upstream is alive and has nothing to say.</summary>
    void Ping();

    /// <summary>The answer is complete.</summary>
    void End();

    /// <summary>The answer breaks off: the upstream says so, or the gateway does. A stream's encoder writes its dialect's error event.</summary>
    void Fail(AnswerError error);
}

/// <summary>How an answer begins.</summary>
internal readonly ref struct AnswerStart
{
    /// <summary>The dialect that it is decoded from: <see cref="Dialects.DialectIds"/>. Native blocks, extensions and raw usage go back to that dialect alone; null: to none.</summary>
    public string? Source { get; init; }

    /// <summary>The answer's id; empty: the dialect gave none.</summary>
    public ReadOnlySpan<byte> IdToken { get; init; }

    /// <summary>The model that answers; empty: not said.</summary>
    public ReadOnlySpan<byte> ModelToken { get; init; }

    /// <summary>When it was made, seconds since 1970; 0: not said.</summary>
    public long Created { get; init; }
}

/// <summary>What a block of an answer is.</summary>
internal enum BlockKind
{
    Text,
    Refusal,

    /// <summary>Thoughts.</summary>
    Reasoning,

    /// <summary>A summary of thoughts.</summary>
    ReasoningSummary,

    /// <summary>Thoughts that nobody can read: only <see cref="IAnswerSink.Signature"/> follows.</summary>
    RedactedReasoning,

    /// <summary>A call of a function or of a custom tool.</summary>
    ToolCall,

    /// <summary>An image, a sound: <see cref="BlockStart.MediaTypeToken"/> says which; the deltas are its base64 (for a sound also its transcript: <see cref="BlockStart.Raw"/>).</summary>
    Media,

    /// <summary>Something that only the source dialect has, whole in <see cref="BlockStart.Raw"/>; no deltas.</summary>
    Native,
}

/// <summary>How a block begins.</summary>
internal readonly ref struct BlockStart
{
    public required BlockKind Kind { get; init; }

    /// <summary>Which of several answers it belongs to, from 0.</summary>
    public int Choice { get; init; }

    /// <summary>A tool call's id, or the item's.</summary>
    public ReadOnlySpan<byte> IdToken { get; init; }

    /// <summary>The name of the tool that is called.</summary>
    public ReadOnlySpan<byte> NameToken { get; init; }

    public ToolKind ToolKind { get; init; }

    public ReadOnlySpan<byte> MediaTypeToken { get; init; }

    /// <summary>The source dialect's own name of a native block, for reports.</summary>
    public string? NativeType { get; init; }

    /// <summary>A native block, raw.</summary>
    public ReadOnlySpan<byte> Raw { get; init; }

    /// <summary>The same with another id.</summary>
    public BlockStart WithId(ReadOnlySpan<byte> idToken) => new()
    {
        Kind = Kind, Choice = Choice, IdToken = idToken, NameToken = NameToken, ToolKind = ToolKind, MediaTypeToken = MediaTypeToken, NativeType = NativeType, Raw = Raw,
    };
}

/// <summary>Why a choice ended.</summary>
internal enum StopReason
{
    /// <summary>It said all.</summary>
    EndTurn,

    /// <summary>The output limit.</summary>
    MaxTokens,

    /// <summary>A stop sequence: <see cref="AnswerFinish.StopSequenceToken"/>.</summary>
    StopSequence,

    /// <summary>It calls tools.</summary>
    ToolUse,

    /// <summary>It pauses in a long turn, and goes on when it is sent back.</summary>
    PauseTurn,

    /// <summary>The model refused.</summary>
    Refusal,

    /// <summary>A filter held the answer back.</summary>
    ContentFilter,

    /// <summary>The context is full.</summary>
    ContextExceeded,

    /// <summary>The model made a call that is no call.</summary>
    MalformedToolCall,

    /// <summary>Anything else: <see cref="AnswerFinish.NativeToken"/>.</summary>
    Other,
}

/// <summary>The end of a choice.</summary>
internal readonly ref struct AnswerFinish
{
    public int Choice { get; init; }

    public required StopReason Reason { get; init; }

    /// <summary>The reason as the upstream named it; empty: it did not.</summary>
    public ReadOnlySpan<byte> NativeToken { get; init; }

    /// <summary>The stop sequence that was met; empty: not said.</summary>
    public ReadOnlySpan<byte> StopSequenceToken { get; init; }
}

/// <summary>What an answer used.</summary>
internal readonly ref struct AnswerUsage
{
    public required TokenUsage Tokens { get; init; }

    /// <summary>The tier that served it; null: not said.</summary>
    public string? ServiceTier { get; init; }

    /// <summary>Calls of tools that the provider ran, such as web searches; raw JSON object as Anthropic's <c>server_tool_use</c>; empty: none.</summary>
    public ReadOnlySpan<byte> ServerTools { get; init; }

    /// <summary>The figures as they came, raw, for an encoder of the same dialect.</summary>
    public ReadOnlySpan<byte> Raw { get; init; }
}

/// <summary>Why an answer broke off.</summary>
/// <param name="Status">The HTTP status that it would have been.</param>
/// <param name="Type">Its type in the neutral vocabulary: <c>invalid_request</c>, <c>authentication</c>, <c>permission</c>, <c>not_found</c>, <c>rate_limit</c>, <c>overloaded</c>, <c>timeout</c>, <c>content_filter</c>, <c>server</c>.</param>
/// <param name="Code">The upstream's code; null: none.</param>
/// <param name="Message">What is wrong, in words that may be shown.</param>
internal sealed record AnswerError(int Status, string Type, string? Code, string Message)
{
    /// <summary>The request member at fault; null: not said.</summary>
    public string? Field { get; init; }

    /// <summary>When to try again; null: not said.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
