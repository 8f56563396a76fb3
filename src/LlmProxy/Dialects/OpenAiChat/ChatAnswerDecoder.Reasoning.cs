using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <content>What a model thinks, in each of the ways that providers of this format say it.</content>
internal sealed partial class ChatAnswerDecoder
{
    private void ReadThoughts(ChatChoiceState choice, ReadOnlySpan<byte> plain, ReadOnlySpan<byte> details, ReadOnlySpan<byte> thinking)
    {
        var isSaid = false;
        if (!thinking.IsEmpty && thinking[0] == (byte)'[')
        {
            isSaid = ReadThinkingBlocks(thinking, choice, plain);
        }
        else if (!details.IsEmpty && details[0] == (byte)'[')
        {
            isSaid = ReadDetails(details, choice, plain);
        }
        if (!isSaid && IsText(plain))
        {
            Think(choice, plain);
        }
    }

    /// <summary>Anthropic's blocks. A block whose text was streamed already, and which comes whole with its signature, brings the signature alone.</summary>
    /// <returns>Whether they say what the plain thoughts say.</returns>
    private bool ReadThinkingBlocks(ReadOnlySpan<byte> blocksRaw, ChatChoiceState choice, ReadOnlySpan<byte> plain)
    {
        var isSaid = false;
        var reader = NewReader(blocksRaw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> text = default, signature = default, data = default;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (isText, isSignature, isData) = (MemberNames.Is(ref reader, "thinking"u8), MemberNames.Is(ref reader, "signature"u8), MemberNames.Is(ref reader, "data"u8));
                var value = ValueOf(ref reader, blocksRaw);
                text = isText ? value : text;
                signature = isSignature ? value : signature;
                data = isData ? value : data;
            }
            isSaid |= IsText(text);
            if (IsText(data))
            {
                Redacted(choice, SignatureFamilies.Anthropic, data);
                continue;
            }
            Signed(choice, SignatureFamilies.Anthropic, text, signature, isSummary: false, plain);
        }
        return isSaid;
    }

    private bool ReadDetails(ReadOnlySpan<byte> details, ChatChoiceState choice, ReadOnlySpan<byte> plain)
    {
        var isSaid = false;
        var reader = NewReader(details);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> text = default, summary = default, signature = default, data = default, format = default;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (isText, isSummary, isSignature) = (MemberNames.Is(ref reader, "text"u8), MemberNames.Is(ref reader, "summary"u8), MemberNames.Is(ref reader, "signature"u8));
                var (isData, isFormat) = (MemberNames.Is(ref reader, "data"u8), MemberNames.Is(ref reader, "format"u8));
                var value = ValueOf(ref reader, details);
                text = isText ? value : text;
                summary = isSummary ? value : summary;
                signature = isSignature ? value : signature;
                data = isData ? value : data;
                format = isFormat ? value : format;
            }
            var family = IsText(format) ? ChatIds.FamilyOf(new JsonText(format.ToArray())) : "unknown";
            isSaid |= IsText(text) || IsText(summary);
            if (!IsText(data))
            {
                Signed(choice, family, IsText(summary) ? summary : text, signature, IsText(summary), plain);
            }
            else if (family == SignatureFamilies.Anthropic)
            {
                Redacted(choice, family, data);
            }
            else
            {
                Signed(choice, family, default, data, isSummary: false, plain);
                isSaid |= IsText(plain);
            }
        }
        return isSaid;
    }

    /// <summary>A piece of thoughts with or without a signature, which ends them.</summary>
    private void Signed(ChatChoiceState choice, string family, ReadOnlySpan<byte> text, ReadOnlySpan<byte> signature, bool isSummary, ReadOnlySpan<byte> plain)
    {
        var isRepeated = IsText(signature) && choice.Reasoning >= 0 && choice.ReasoningBytes > 0 && choice.ReasoningBytes == text.Length - 2;
        if (IsText(text) && !isRepeated)
        {
            Think(choice, text, isSummary);
        }
        else if (!IsText(text) && IsText(signature) && IsText(plain))
        {
            Think(choice, plain, isSummary);
        }
        if (IsText(signature))
        {
            sink.Signature(ReasoningOf(choice, isSummary || choice.IsSummary), family, signature);
            choice.Reasoning = End(choice.Reasoning);
        }
    }

    private void Redacted(ChatChoiceState choice, string family, ReadOnlySpan<byte> data)
    {
        EndSpoken(choice);
        var block = Begin(new BlockStart { Kind = BlockKind.RedactedReasoning, Choice = choice.Index });
        sink.Signature(block, family, data);
        End(block);
    }

    private void Think(ChatChoiceState choice, ReadOnlySpan<byte> text, bool isSummary = false)
    {
        sink.Delta(ReasoningOf(choice, isSummary), text);
        choice.ReasoningBytes += text.Length - 2;
    }

    private void ReadExtra(ReadOnlySpan<byte> extra, ChatChoiceState choice)
    {
        if (GoogleSignatureOf(extra) is var signature && !signature.IsEmpty)
        {
            sink.Signature(TextOf(choice), SignatureFamilies.Google, signature);
        }
    }
}
