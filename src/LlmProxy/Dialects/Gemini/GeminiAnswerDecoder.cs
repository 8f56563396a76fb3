using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Decodes <c>GenerateContentResponse</c>, whole or in the pieces of a stream, each of which is a partial candidate. Consecutive texts continue one block,
/// up to a signature, which stays with what came before it. A call comes whole, or its arguments come piece by piece (<c>partialArgs</c>, <c>willContinue</c>).
/// Google has no last event, and older models say <c>STOP</c> in every piece, so a choice is finished when the stream ends.
/// </summary>
internal sealed partial class GeminiAnswerDecoder : AnswerDecoder
{
    private const int MaxCandidates = 1024;

    private readonly List<Candidate> candidates = [];
    private readonly ArrayBufferWriter<byte> scratch = new(256);
    private readonly ArrayBufferWriter<byte> token = new(256);
    private readonly byte[] reason = new byte[64];
    private GeminiUsage usage;
    private byte[] idBase = [];
    private int blocks, calls, searches, reasonLength;
    private bool started, isBlocked;

    /// <inheritdoc/>
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        if (data.IsEmpty)
        {
            if (name.SequenceEqual("]"u8))
            {
                return End(sink) is var status && status == StreamStatus.Truncated ? StreamStatus.Invalid : status;
            }
            return StreamStatus.Open; // a comment
        }
        return Take(data, sink);
    }

    /// <inheritdoc/>
    public override StreamStatus End(IAnswerSink sink)
    {
        if (!isBlocked && (candidates.Count == 0 || candidates.Exists(candidate => candidate is { IsBegun: true, HasReason: false })))
        {
            return StreamStatus.Truncated;
        }
        return Complete(sink);
    }

    /// <inheritdoc/>
    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        var status = Take(body, sink);
        if (status != StreamStatus.Open)
        {
            return status;
        }
        if (!started)
        {
            return StreamStatus.Invalid;
        }
        return Complete(sink);
    }

    private StreamStatus Complete(IAnswerSink sink)
    {
        ContentBegun = true;
        foreach (var candidate in candidates)
        {
            if (candidate.IsBegun)
            {
                Close(candidate, sink);
            }
        }
        var begun = candidates.Where(candidate => candidate.IsBegun).ToList();
        if (begun.Count == 0)
        {
            begun.Add(At(0));
        }
        foreach (var candidate in begun)
        {
            // A refusal of the prompt holds for every candidate, whatever came of it before.
            var native = isBlocked ? reason.AsSpan(0, reasonLength) : candidate.Reason.AsSpan(0, candidate.ReasonLength);
            var known = isBlocked ? StopReason.ContentFilter : candidate.IsBegun ? ReasonOf(native, candidate.HasCalls) : StopReason.Other;
            sink.Finish(new AnswerFinish { Choice = candidate.Index, Reason = known, NativeToken = native });
        }
        sink.End();
        return StreamStatus.Completed;
    }

    /// <summary>Google's reasons in the gateway's words. <c>STOP</c> says nothing of calls.</summary>
    internal static StopReason ReasonOf(ReadOnlySpan<byte> native, bool hasCalls) =>
        native.SequenceEqual("\"STOP\""u8) || native.IsEmpty ? hasCalls ? StopReason.ToolUse : StopReason.EndTurn
        : native.SequenceEqual("\"MAX_TOKENS\""u8) ? StopReason.MaxTokens
        : native.SequenceEqual("\"MALFORMED_FUNCTION_CALL\""u8) || native.SequenceEqual("\"UNEXPECTED_TOOL_CALL\""u8) ? StopReason.MalformedToolCall
        : native.SequenceEqual("\"SAFETY\""u8) || native.SequenceEqual("\"RECITATION\""u8) || native.SequenceEqual("\"BLOCKLIST\""u8)
            || native.SequenceEqual("\"PROHIBITED_CONTENT\""u8) || native.SequenceEqual("\"SPII\""u8) || native.SequenceEqual("\"MODEL_ARMOR\""u8)
            || native.SequenceEqual("\"IMAGE_SAFETY\""u8) || native.SequenceEqual("\"IMAGE_PROHIBITED_CONTENT\""u8) || native.SequenceEqual("\"IMAGE_RECITATION\""u8) ? StopReason.ContentFilter
        : StopReason.Other;

    private StreamStatus Take(ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        try
        {
            return TakeChunk(data, sink);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid; // a text that has to be understood, and is none
        }
    }

    private StreamStatus TakeChunk(ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        var chunk = new Chunk();
        if (!TryRead(data, ref chunk))
        {
            return StreamStatus.Invalid;
        }
        if (chunk.HasError)
        {
            sink.Fail(GeminiErrorReader.Read(0, data));
            return StreamStatus.Failed;
        }
        if (!chunk.IsAnswer)
        {
            return started ? StreamStatus.Open : StreamStatus.Invalid;
        }
        Start(data, chunk, sink);
        if (!chunk.Candidates.IsEmpty && !TakeCandidates(chunk.Candidates, sink))
        {
            return StreamStatus.Invalid;
        }
        if (!chunk.Feedback.IsEmpty)
        {
            TakeFeedback(chunk.Feedback, sink);
        }
        TakeOthers(data, sink);
        if (!chunk.Usage.IsEmpty)
        {
            TakeUsage(chunk.Usage, sink);
        }
        return StreamStatus.Open;
    }

    /// <summary>Finds the members of a chunk and checks all of it, before anybody is told anything.</summary>
    private static bool TryRead(ReadOnlySpan<byte> data, ref Chunk chunk)
    {
        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read())
            {
                return false;
            }
            var isArray = reader.TokenType == JsonTokenType.StartArray; // some errors come in one
            if (isArray)
            {
                reader.Read();
            }
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var member = GeminiNames.Is(ref reader, "candidates"u8) ? Member.Candidates
                    : GeminiNames.Is(ref reader, "usageMetadata"u8) ? Member.Usage
                    : GeminiNames.Is(ref reader, "promptFeedback"u8) ? Member.Feedback
                    : GeminiNames.Is(ref reader, "modelVersion"u8) ? Member.Model
                    : GeminiNames.Is(ref reader, "responseId"u8) ? Member.Id
                    : GeminiNames.Is(ref reader, "createTime"u8) ? Member.Time
                    : GeminiNames.Is(ref reader, "error"u8) ? Member.Error
                    : Member.Other;
                reader.Read();
                var type = reader.TokenType;
                var value = Value(ref reader, data);
                switch (member)
                {
                    case Member.Candidates when type == JsonTokenType.StartArray:
                        chunk.Candidates = value;
                        break;
                    case Member.Candidates when type != JsonTokenType.Null:
                        return false;
                    case Member.Usage when type == JsonTokenType.StartObject:
                        chunk.Usage = value;
                        break;
                    case Member.Feedback when type == JsonTokenType.StartObject:
                        chunk.Feedback = value;
                        break;
                    case Member.Model when type == JsonTokenType.String:
                        chunk.Model = value;
                        break;
                    case Member.Id when type == JsonTokenType.String:
                        chunk.Id = value;
                        break;
                    case Member.Time when type == JsonTokenType.String:
                        chunk.Time = value;
                        break;
                    case Member.Error:
                        chunk.HasError |= type != JsonTokenType.Null;
                        break;
                }
            }
            while (isArray && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                reader.Skip();
            }
            return (!isArray || chunk.HasError) && !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private void Start(ReadOnlySpan<byte> data, in Chunk chunk, IAnswerSink sink)
    {
        if (!chunk.Model.IsEmpty && Model is null)
        {
            Model = new JsonText(chunk.Model.ToArray()).ToString();
        }
        if (started)
        {
            return;
        }
        started = true;
        // Calls need ids that no other answer of the conversation has: the answer's own id has what it takes, else its first bytes.
        var id = chunk.Id.Length > 2 ? chunk.Id[1..^1] : default;
        idBase = !id.IsEmpty && id.Length <= 40 && IsPlain(id)
            ? id.ToArray()
            : Encoding.ASCII.GetBytes(Convert.ToHexStringLower(SHA256.HashData(data).AsSpan(0, 8)));
        var created = 0L;
        if (!chunk.Time.IsEmpty && DateTimeOffset.TryParse(Encoding.UTF8.GetString(chunk.Time[1..^1]), CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var time))
        {
            created = Math.Max(0, time.ToUnixTimeSeconds());
        }
        sink.Start(new AnswerStart { Source = DialectIds.Gemini, IdToken = chunk.Id, ModelToken = chunk.Model, Created = created });
    }

    private static bool IsPlain(ReadOnlySpan<byte> id)
    {
        foreach (var letter in id)
        {
            if (!char.IsAsciiLetterOrDigit((char)letter) && letter is not ((byte)'-' or (byte)'_'))
            {
                return false;
            }
        }
        return true;
    }

    private bool TakeCandidates(ReadOnlySpan<byte> raw, IAnswerSink sink)
    {
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var isObject = reader.TokenType == JsonTokenType.StartObject;
            if (!TakeCandidate(Value(ref reader, raw), sink) || !isObject)
            {
                return false;
            }
        }
        return true;
    }

    private bool TakeCandidate(ReadOnlySpan<byte> raw, IAnswerSink sink)
    {
        var reader = Reader(raw);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        ReadOnlySpan<byte> content = default, finish = default, logProbs = default, grounding = default, citations = default;
        var index = 0L;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isIndex, isContent, isFinish) = (GeminiNames.Is(ref reader, "index"u8), GeminiNames.Is(ref reader, "content"u8), GeminiNames.Is(ref reader, "finishReason"u8));
            var (isLogProbs, isGrounding, isCitations) =
                (GeminiNames.Is(ref reader, "logprobsResult"u8), GeminiNames.Is(ref reader, "groundingMetadata"u8), GeminiNames.Is(ref reader, "citationMetadata"u8));
            reader.Read();
            if (isIndex && !(GeminiNumbers.TryReadWhole(ref reader, out index) && index is >= 0 and < MaxCandidates))
            {
                return false;
            }
            var type = reader.TokenType;
            var value = Value(ref reader, raw);
            if (isFinish && type == JsonTokenType.String)
            {
                finish = value;
            }
            else if (type == JsonTokenType.StartObject)
            {
                content = isContent ? value : content;
                logProbs = isLogProbs ? value : logProbs;
                grounding = isGrounding ? value : grounding;
                citations = isCitations ? value : citations;
            }
        }
        var candidate = At((int)index);
        candidate.IsBegun = true;
        if (!content.IsEmpty && !TakeContent(content, candidate, sink))
        {
            return false;
        }
        if (!logProbs.IsEmpty)
        {
            TakeLogProbs(logProbs, candidate, sink);
        }
        if (!grounding.IsEmpty)
        {
            TakeGrounding(grounding, candidate, sink);
        }
        if (!citations.IsEmpty)
        {
            TakeCitations(citations, candidate, sink);
        }
        if (!finish.IsEmpty && !finish.SequenceEqual("\"FINISH_REASON_UNSPECIFIED\""u8))
        {
            candidate.HasReason = true;
            candidate.ReasonLength = 0;
            if (finish.Length <= candidate.Reason.Length)
            {
                finish.CopyTo(candidate.Reason);
                candidate.ReasonLength = finish.Length;
            }
            ContentBegun = true;
        }
        TakeCandidateOthers(raw, candidate, sink);
        return true;
    }

    private Candidate At(int index)
    {
        while (candidates.Count <= index)
        {
            candidates.Add(new Candidate(candidates.Count));
        }
        return candidates[index];
    }

    private static Utf8JsonReader Reader(ReadOnlySpan<byte> data) => new(data, new JsonReaderOptions { MaxDepth = 256 });

    /// <summary>The raw value that the reader stands on; afterwards it stands on its end.</summary>
    private static ReadOnlySpan<byte> Value(scoped ref Utf8JsonReader reader, ReadOnlySpan<byte> data)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return data[start..(int)reader.BytesConsumed];
    }

    private enum Member
    {
        Other,
        Candidates,
        Usage,
        Feedback,
        Model,
        Id,
        Time,
        Error,
    }

    private ref struct Chunk
    {
        public ReadOnlySpan<byte> Candidates, Usage, Feedback, Model, Id, Time;
        public bool HasError;

        public readonly bool IsAnswer => !Candidates.IsEmpty || !Usage.IsEmpty || !Feedback.IsEmpty || !Model.IsEmpty || !Id.IsEmpty;
    }

    /// <summary>One of the answers that are made at once.</summary>
    private sealed class Candidate(int index)
    {
        private readonly Dictionary<string, string> paths = new(StringComparer.Ordinal);

        public int Index => index;

        public bool IsBegun { get; set; }

        /// <summary>The number of its open block; -1: none is open.</summary>
        public int Open { get; set; } = -1;

        public BlockKind Kind { get; set; }

        /// <summary>Whether a signature ended the open block's text.</summary>
        public bool IsSigned { get; set; }

        public bool HasCalls { get; set; }

        public bool HasReason { get; set; }

        public byte[] Reason { get; } = new byte[64];

        public int ReasonLength { get; set; }

        /// <summary>Whether its text so far has as many bytes as characters, so that Google's places in bytes are places in characters.</summary>
        public bool IsAscii { get; set; } = true;

        /// <summary>The arguments of the open call, where they come in pieces.</summary>
        public GeminiPartialArgs? Args { get; set; }

        /// <summary>The path of one of its members; the same string for the same member.</summary>
        public string PathOf(string name)
        {
            if (!paths.TryGetValue(name, out var path))
            {
                path = $"candidates[{index}].{name}";
                if (paths.Count < 32)
                {
                    paths.Add(name, path);
                }
            }
            return path;
        }
    }
}
