using System.Buffers;
using System.Globalization;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>What stands beside the candidates and their contents: usage, feedback, log probabilities, sources.</content>
internal sealed partial class GeminiAnswerDecoder
{
    private void TakeFeedback(ReadOnlySpan<byte> raw, IAnswerSink sink)
    {
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isReason = GeminiNames.Is(ref reader, "blockReason"u8);
            reader.Read();
            var isText = reader.TokenType == JsonTokenType.String;
            var value = Value(ref reader, raw);
            if (isReason && isText && !value.EndsWith("_UNSPECIFIED\""u8))
            {
                isBlocked = true;
                ContentBegun = true;
                reasonLength = value.Length <= reason.Length ? value.Length : 0;
                value[..reasonLength].CopyTo(reason);
            }
        }
        sink.Extension("promptFeedback", raw);
    }

    private void TakeUsage(ReadOnlySpan<byte> raw, IAnswerSink sink)
    {
        var reader = Reader(raw);
        reader.Read();
        usage.Read(ref reader);
        ServiceTier = usage.ServiceTier;
        if (!usage.HasCounts)
        {
            return;
        }
        var tokens = usage.Disjoint();
        Usage = tokens;
        scratch.ResetWrittenCount();
        if (searches > 0)
        {
            scratch.Write("{\"web_search_requests\":"u8);
            Span<byte> digits = stackalloc byte[11];
            searches.TryFormat(digits, out var length, provider: CultureInfo.InvariantCulture);
            scratch.Write(digits[..length]);
            scratch.Write("}"u8);
        }
        sink.Usage(new AnswerUsage { Tokens = tokens, ServiceTier = usage.ServiceTier, ServerTools = scratch.WrittenSpan, Raw = raw });
    }

    private static void TakeOthers(ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        var reader = Reader(data);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isKnown = GeminiNames.Is(ref reader, "candidates"u8) || GeminiNames.Is(ref reader, "usageMetadata"u8) || GeminiNames.Is(ref reader, "promptFeedback"u8)
                || GeminiNames.Is(ref reader, "modelVersion"u8) || GeminiNames.Is(ref reader, "responseId"u8) || GeminiNames.Is(ref reader, "createTime"u8);
            var name = isKnown ? null : GeminiNames.Camel(ref reader);
            reader.Read();
            var isNull = reader.TokenType == JsonTokenType.Null;
            var value = Value(ref reader, data);
            if (name is not null && !isNull)
            {
                sink.Extension(name, value);
            }
        }
    }

    private static void TakeCandidateOthers(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        var reader = Reader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isKnown = GeminiNames.Is(ref reader, "content"u8) || GeminiNames.Is(ref reader, "finishReason"u8) || GeminiNames.Is(ref reader, "index"u8);
            var name = isKnown ? null : candidate.PathOf(GeminiNames.Camel(ref reader));
            reader.Read();
            var isNull = reader.TokenType == JsonTokenType.Null;
            var value = Value(ref reader, raw);
            if (name is not null && !isNull)
            {
                sink.Extension(name, value);
            }
        }
    }

    /// <summary>Google's two lists, of chosen tokens and of candidates for each place, as OpenAI's one.</summary>
    private void TakeLogProbs(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        if (candidate.Open < 0 || candidate.Kind != BlockKind.Text)
        {
            return;
        }
        scratch.ResetWrittenCount();
        if (TryWriteLogProbs(raw))
        {
            sink.LogProbs(candidate.Open, scratch.WrittenSpan);
        }
    }

    private bool TryWriteLogProbs(ReadOnlySpan<byte> raw)
    {
        try
        {
            return GeminiLogProbs.TryWriteOpenAi(raw, scratch);
        }
        catch (InvalidOperationException)
        {
            return false; // bytes that are no text; they still go back to Google's own clients
        }
    }

    private void TakeGrounding(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        var grounding = GeminiGrounding.Read(raw, candidate.IsAscii);
        searches = Math.Max(searches, grounding.Searches);
        if (candidate.Open >= 0 && candidate.Kind == BlockKind.Text)
        {
            foreach (var citation in grounding.Citations)
            {
                sink.Citation(candidate.Open, citation);
            }
        }
    }

    private static void TakeCitations(ReadOnlySpan<byte> raw, Candidate candidate, IAnswerSink sink)
    {
        if (candidate.Open >= 0 && candidate.Kind == BlockKind.Text)
        {
            foreach (var citation in GeminiGrounding.ReadCitations(raw, candidate.IsAscii))
            {
                sink.Citation(candidate.Open, citation);
            }
        }
    }
}
