using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using Shared.Pricing;

namespace LlmProxy.Tests.Recorded;

/// <summary>
/// Holds a decoder to the order of <see cref="IAnswerSink"/> and its spans to what they are said to hold, keeps what was said as text, one line each, and
/// tells it on.
/// </summary>
/// <param name="next">Who is told.</param>
/// <param name="isDamaged">Whether the answer is damaged, so that tools, media and blocks may lack the names that they have.</param>
internal sealed class CheckedSink(IAnswerSink? next = null, bool isDamaged = false) : IAnswerSink
{
    private static readonly JsonReaderOptions Options = new() { MaxDepth = 256 };

    private readonly StringBuilder log = new();
    private readonly List<Block> blocks = [];
    private readonly HashSet<int> finished = [];
    private bool started;
    private bool ended;

    /// <summary>What was said.</summary>
    public string Log => log.ToString();

    public bool IsEnded => ended;

    /// <summary>Why the answer failed; null: it did not.</summary>
    public AnswerError? Error { get; private set; }

    public IReadOnlyList<Block> Blocks => blocks;

    /// <summary>The last word on usage.</summary>
    public TokenUsage? LastUsage { get; private set; }

    /// <summary>How choices ended.</summary>
    public Dictionary<int, StopReason> Reasons { get; } = [];

    /// <summary>What is wrong with the order or the content; null: nothing.</summary>
    public string? Fault { get; private set; }

    public void Start(in AnswerStart start)
    {
        Check(!started, "started twice");
        Check(!ended && Error is null, "started after the end");
        started = true;
        CheckToken(start.IdToken, mayBeMissing: true, "the answer's id");
        CheckToken(start.ModelToken, mayBeMissing: true, "the model");
        Check(start.Created >= 0, "a time before 1970");
        Line($"start id {Text(start.IdToken)} model {Text(start.ModelToken)} created {start.Created}");
        next?.Start(start);
    }

    public void BeginBlock(int block, in BlockStart start)
    {
        Running("a block began");
        Check(block == blocks.Count, $"block {block} began where {blocks.Count} was due");
        Check(start.Choice >= 0, "a choice below 0");
        Check(!finished.Contains(start.Choice), $"a block of choice {start.Choice}, which has ended");
        if (!isDamaged || start.Kind != BlockKind.Media)
        {
            CheckToken(start.IdToken, mayBeMissing: isDamaged || start.Kind != BlockKind.ToolCall, "a block's id");
        }
        CheckToken(start.NameToken, mayBeMissing: isDamaged || start.Kind != BlockKind.ToolCall, "a tool's name");
        CheckToken(start.MediaTypeToken, mayBeMissing: isDamaged || start.Kind != BlockKind.Media, "a media type");
        if (start.Kind == BlockKind.Native)
        {
            Check(isDamaged || !string.IsNullOrEmpty(start.NativeType), "a native block without a type");
            CheckJson(start.Raw, "a native block");
        }
        if (start.Kind == BlockKind.ToolCall)
        {
            Check(isDamaged || (start.IdToken.Length > 2 && start.NameToken.Length > 2), "a tool call without id or name");
            Check(start.ToolKind != ToolKind.Provider, "a tool call of a provider's tool: those are native blocks");
        }
        blocks.Add(new Block(start.Kind, start.Choice, start.ToolKind, Text(start.NameToken)));
        Line($"begin {block} {start.Kind} choice {start.Choice}{Named("id", start.IdToken)}{Named("name", start.NameToken)}{Named("media", start.MediaTypeToken)}"
            + (start.Kind == BlockKind.Native ? $" {start.NativeType} {Text(start.Raw)}" : start.Raw.IsEmpty ? "" : $" raw {Text(start.Raw)}"));
        next?.BeginBlock(block, start);
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (Open(block, "a delta") is { } open)
        {
            Check(open.Kind is not (BlockKind.Native or BlockKind.RedactedReasoning), $"a delta of a {open.Kind} block");
            if (CheckToken(text, mayBeMissing: false, "a delta"))
            {
                open.Escaped.Append(Encoding.UTF8.GetString(text[1..^1]));
            }
        }
        Line($"delta {block} {Text(text)}");
        next?.Delta(block, text);
    }

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        var open = Open(block, "a signature");
        Check(open is null or { Kind: BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning or BlockKind.ToolCall or BlockKind.Text or BlockKind.Media },
            "a signature of a block that has none");
        Check(!string.IsNullOrEmpty(family), "a signature of nobody's");
        CheckToken(dataToken, mayBeMissing: false, "a signature");
        open?.Signatures.Add(Text(dataToken));
        Line($"signature {block} {family} {Text(dataToken)}");
        next?.Signature(block, family, dataToken);
    }

    public void Citation(int block, NeutralCitation citation)
    {
        var open = Open(block, "a citation");
        Check(open is null or { Kind: BlockKind.Text }, "a citation outside of text");
        Line($"citation {block} url {citation.Url} title {citation.Title} {citation.Start}-{citation.End} {Text(citation.Raw.Span)}");
        next?.Citation(block, citation);
    }

    public void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
        Open(block, "log probabilities");
        CheckJson(raw, "log probabilities");
        Line($"logprobs {block} {Text(raw)}");
        next?.LogProbs(block, raw);
    }

    public void EndBlock(int block)
    {
        if (Open(block, "an end") is { } open)
        {
            open.IsOpen = false;
            if (open is { Kind: BlockKind.ToolCall, ToolKind: ToolKind.Function })
            {
                Check(isDamaged || open.Escaped.Length > 0, "a function call without arguments: none are '{}'");
            }
        }
        Line($"end {block}");
        next?.EndBlock(block);
    }

    public void Usage(in AnswerUsage usage)
    {
        Running("usage came");
        var tokens = usage.Tokens;
        Check(tokens is { Input: >= 0, CacheRead: >= 0, CacheWrite: >= 0, CacheWrite1h: >= 0, AudioInput: >= 0, ImageInput: >= 0, Output: >= 0, Reasoning: >= 0, AudioOutput: >= 0, ImageOutput: >= 0 },
            $"usage below 0: {tokens}");
        if (!usage.ServerTools.IsEmpty)
        {
            CheckJson(usage.ServerTools, "server tools");
        }
        if (!usage.Raw.IsEmpty)
        {
            CheckJson(usage.Raw, "raw usage");
        }
        LastUsage = tokens;
        Line($"usage {Figures(tokens)}{(usage.ServiceTier is { } tier ? " tier " + tier : "")}{(usage.ServerTools.IsEmpty ? "" : " tools " + Text(usage.ServerTools))}");
        next?.Usage(usage);
    }

    public void Finish(in AnswerFinish finish)
    {
        Running("a choice ended");
        var choice = finish.Choice;
        Check(finished.Add(choice), $"choice {choice} ended twice");
        Check(!blocks.Exists(block => block.Choice == choice && block.IsOpen), $"choice {choice} ended with open blocks");
        CheckToken(finish.NativeToken, mayBeMissing: true, "a stop reason");
        CheckToken(finish.StopSequenceToken, mayBeMissing: true, "a stop sequence");
        Reasons[choice] = finish.Reason;
        Line($"finish {choice} {finish.Reason}{Named("native", finish.NativeToken)}{Named("sequence", finish.StopSequenceToken)}");
        next?.Finish(finish);
    }

    public void Extension(string path, ReadOnlySpan<byte> raw)
    {
        Running("an extension came");
        Check(isDamaged || !string.IsNullOrEmpty(path), "an extension without a path");
        CheckJson(raw, "an extension");
        Line($"extension {path} {Text(raw)}");
        next?.Extension(path, raw);
    }

    public void Ping()
    {
        Check(!ended && Error is null, "a ping after the end");
        Line("ping");
        next?.Ping();
    }

    public void End()
    {
        Running("the answer ended");
        Check(!blocks.Exists(block => block.IsOpen), "the answer ended with open blocks");
        foreach (var block in blocks)
        {
            Check(finished.Contains(block.Choice), $"the answer ended before choice {block.Choice} did");
        }
        Check(finished.Count > 0, "the answer ended without a word on why");
        ended = true;
        Line("end");
        next?.End();
    }

    public void Fail(AnswerError error)
    {
        Check(!ended && Error is null, "a failure after the end");
        Check(error.Status is >= 400 and < 600, $"a failure of status {error.Status}");
        Check(error.Type is "invalid_request" or "authentication" or "permission" or "not_found" or "rate_limit" or "overloaded" or "timeout" or "content_filter" or "server",
            $"a failure of the unknown type '{error.Type}'");
        Check(!string.IsNullOrEmpty(error.Message), "a failure without a message");
        Error = error;
        Line($"fail {error.Status} {error.Type} {error.Code ?? "-"} {error.Message}{(error.RetryAfter is { } after ? $" retry after {after.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s" : "")}");
        next?.Fail(error);
    }

    /// <summary>Figures that are not 0, by name.</summary>
    public static string Figures(TokenUsage usage)
    {
        (string Name, long Count)[] all =
        [
            ("input", usage.Input), ("cache-read", usage.CacheRead), ("cache-write", usage.CacheWrite), ("cache-write-1h", usage.CacheWrite1h), ("audio-in", usage.AudioInput), ("image-in", usage.ImageInput),
            ("output", usage.Output), ("reasoning", usage.Reasoning), ("audio-out", usage.AudioOutput), ("image-out", usage.ImageOutput),
        ];
        return string.Join(' ', all.Where(figure => figure.Count != 0).Select(figure => $"{figure.Name} {figure.Count}"));
    }

    private static string Text(ReadOnlySpan<byte> bytes) => bytes.IsEmpty ? "-" : Encoding.UTF8.GetString(bytes);

    private static string Named(string name, ReadOnlySpan<byte> token) => token.IsEmpty ? "" : $" {name} {Text(token)}";

    private void Line(string text) => log.Append(text).Append('\n');

    private Block? Open(int block, string what)
    {
        Running(what);
        if (block < 0 || block >= blocks.Count || !blocks[block].IsOpen)
        {
            Check(false, $"{what} of block {block}, which is not open");
            return null;
        }
        return blocks[block];
    }

    private void Running(string what)
    {
        Check(started, $"{what} before the start");
        Check(!ended, $"{what} after the end");
        Check(Error is null, $"{what} after the failure");
    }

    private bool CheckToken(ReadOnlySpan<byte> token, bool mayBeMissing, string what)
    {
        if (token.IsEmpty)
        {
            Check(mayBeMissing, $"{what} is missing");
            return false;
        }
        var isToken = TokenType(token) == JsonTokenType.String;
        Check(isToken, $"{what} is no JSON string: {Text(token)}");
        return isToken;
    }

    private void CheckJson(ReadOnlySpan<byte> json, string what) => Check(TokenType(json) is not (null or JsonTokenType.None), $"{what} is no JSON: {Text(json)}");

    /// <summary>What a text is, where it is one JSON value and nothing else.</summary>
    private static JsonTokenType? TokenType(ReadOnlySpan<byte> json)
    {
        try
        {
            var reader = new Utf8JsonReader(json, Options);
            if (!reader.Read())
            {
                return null;
            }
            var type = reader.TokenType;
            var isPadded = reader.TokenStartIndex > 0;
            reader.Skip();
            return isPadded || reader.BytesConsumed < json.Length ? null : type;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    private void Check(bool holds, string fault)
    {
        if (!holds)
        {
            Fault ??= fault;
            Line("FAULT: " + fault);
        }
    }

    /// <summary>What came of a block.</summary>
    internal sealed class Block(BlockKind kind, int choice, ToolKind toolKind, string name)
    {
        public BlockKind Kind => kind;

        public int Choice => choice;

        public ToolKind ToolKind => toolKind;

        /// <summary>The tool's name, a token; "-": none.</summary>
        public string Name => name;

        public bool IsOpen { get; set; } = true;

        public StringBuilder Escaped { get; } = new();

        public List<string> Signatures { get; } = [];

        /// <summary>Its text, escapes resolved.</summary>
        public string Text => JsonStrings.Unescape(Encoding.UTF8.GetBytes(Escaped.ToString()));
    }
}
