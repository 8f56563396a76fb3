using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatAnswerDecoder
{
    private readonly ArrayBufferWriter<byte> scratch = new();

    /// <summary>Reads a message, or what has come of it. Its members may stand in any order; thoughts go first, then what is said, then calls.</summary>
    private void ReadMessage(ReadOnlySpan<byte> raw, ChatChoiceState choice)
    {
        ReadOnlySpan<byte> content = default, refusal = default, reasoningContent = default, reasoning = default, details = default, thinking = default;
        ReadOnlySpan<byte> calls = default, function = default, annotations = default, images = default, audio = default, extra = default;
        var reader = NewReader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            if (MemberNames.Is(ref reader, "content"u8))
            {
                content = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "tool_calls"u8))
            {
                calls = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "role"u8))
            {
                ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "refusal"u8))
            {
                refusal = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "reasoning_content"u8))
            {
                reasoningContent = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "reasoning"u8))
            {
                reasoning = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "reasoning_details"u8))
            {
                details = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "thinking_blocks"u8))
            {
                thinking = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "function_call"u8))
            {
                function = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "annotations"u8))
            {
                annotations = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "images"u8))
            {
                images = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "audio"u8))
            {
                audio = ValueOf(ref reader, raw);
            }
            else if (MemberNames.Is(ref reader, "extra_content"u8))
            {
                extra = ValueOf(ref reader, raw);
            }
            else
            {
                Extend(name, choice.Index, inMessage: true, ValueOf(ref reader, raw));
            }
        }
        ReadThoughts(choice, IsText(reasoningContent) ? reasoningContent : reasoning, details, thinking);
        ReadContent(content, choice);
        if (IsText(refusal))
        {
            sink.Delta(RefusalOf(choice), refusal);
        }
        ReadExtra(extra, choice);
        ReadAnnotations(annotations, choice);
        ReadImages(images, choice);
        ReadAudio(audio, choice);
        ReadCalls(calls, choice);
        if (!function.IsEmpty && function[0] == (byte)'{')
        {
            ReadFunctionCall(function, choice);
        }
    }

    /// <summary>Whether a value is a text that is not empty.</summary>
    private static bool IsText(ReadOnlySpan<byte> value) => value.Length > 2 && value[0] == (byte)'"';

    private void ReadContent(ReadOnlySpan<byte> content, ChatChoiceState choice)
    {
        if (IsText(content))
        {
            sink.Delta(TextOf(choice), content);
        }
        else if (!content.IsEmpty && content[0] == (byte)'[')
        {
            ReadContentParts(content, choice);
        }
    }

    /// <summary>Content in parts, as Mistral answers: texts, and thoughts whose own content is parts again.</summary>
    private void ReadContentParts(ReadOnlySpan<byte> parts, ChatChoiceState choice, bool isThought = false)
    {
        var reader = NewReader(parts);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> text = default, thinking = default;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (isText, isThinking) = (MemberNames.Is(ref reader, "text"u8), MemberNames.Is(ref reader, "thinking"u8));
                var value = ValueOf(ref reader, parts);
                text = isText ? value : text;
                thinking = isThinking ? value : thinking;
            }
            if (IsText(thinking))
            {
                Think(choice, thinking);
            }
            else if (!thinking.IsEmpty && thinking[0] == (byte)'[' && !isThought)
            {
                ReadContentParts(thinking, choice, isThought: true);
            }
            if (!IsText(text))
            {
                continue;
            }
            if (isThought)
            {
                Think(choice, text);
            }
            else
            {
                sink.Delta(TextOf(choice), text);
            }
        }
    }

    private void ReadAnnotations(ReadOnlySpan<byte> annotations, ChatChoiceState choice)
    {
        if (annotations.IsEmpty || annotations[0] != (byte)'[' || IsEmptyContainer(annotations))
        {
            return;
        }
        var copy = annotations.ToArray();
        var elements = new JsonArrayReader(new JsonValue(copy));
        while (elements.Next(out var annotation))
        {
            var outer = JsonMembers.Of(annotation.Raw);
            var value = outer.Take("url_citation"u8);
            var inner = JsonMembers.Of(value.IsObject ? value.Raw : annotation.Raw);
            sink.Citation(TextOf(choice), new NeutralCitation
            {
                Url = inner.Take("url"u8).Text,
                Title = inner.Take("title"u8).Text,
                Start = inner.Take("start_index"u8).TryGetWhole(out var start) ? start : null,
                End = inner.Take("end_index"u8).TryGetWhole(out var end) ? end : null,
                Raw = annotation.Raw,
            });
        }
    }

    private void ReadImages(ReadOnlySpan<byte> images, ChatChoiceState choice)
    {
        if (images.IsEmpty || images[0] != (byte)'[')
        {
            return;
        }
        var reader = NewReader(images);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
        {
            ReadOnlySpan<byte> link = default;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isLink = MemberNames.Is(ref reader, "image_url"u8);
                var value = ValueOf(ref reader, images);
                link = isLink ? value : link;
            }
            ReadImage(link, choice);
        }
    }

    private void ReadImage(ReadOnlySpan<byte> link, ChatChoiceState choice)
    {
        if (!link.IsEmpty && link[0] == (byte)'{')
        {
            var reader = NewReader(link);
            reader.Read();
            var outer = link;
            link = default;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isUrl = MemberNames.Is(ref reader, "url"u8);
                var value = ValueOf(ref reader, outer);
                link = isUrl ? value : link;
            }
        }
        var comma = link.IndexOf((byte)',');
        if (!IsText(link) || !link.StartsWith("\"data:"u8) || comma < 0 || link.IndexOf(";base64"u8) is not (var marker and > 0) || marker > comma)
        {
            if (IsText(link))
            {
                // An address instead of the image: nobody fetches it here, so it is said.
                sink.Delta(TextOf(choice), link);
            }
            return;
        }
        EndSpoken(choice);
        var block = Begin(new BlockStart { Kind = BlockKind.Media, Choice = choice.Index, MediaTypeToken = Token(link[6..marker]).ToArray() });
        sink.Delta(block, Token(link[(comma + 1)..^1]));
        End(block);
    }

    private void ReadAudio(ReadOnlySpan<byte> audio, ChatChoiceState choice)
    {
        if (audio.IsEmpty || audio[0] != (byte)'{')
        {
            return;
        }
        ReadOnlySpan<byte> id = default, data = default, transcript = default;
        var reader = NewReader(audio);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "id"u8))
            {
                id = ValueOf(ref reader, audio);
            }
            else if (MemberNames.Is(ref reader, "data"u8))
            {
                data = ValueOf(ref reader, audio);
            }
            else if (MemberNames.Is(ref reader, "transcript"u8))
            {
                transcript = ValueOf(ref reader, audio);
            }
            else
            {
                var name = reader.ValueSpan;
                Extend([.. "audio."u8, .. name], choice.Index, inMessage: true, ValueOf(ref reader, audio));
            }
        }
        if (choice.Audio < 0)
        {
            EndSpoken(choice);
            choice.Audio = Begin(new BlockStart { Kind = BlockKind.Media, Choice = choice.Index, IdToken = id, MediaTypeToken = "\"audio/*\""u8, Raw = transcript });
        }
        else if (IsText(transcript))
        {
            Extend("audio.transcript"u8, choice.Index, inMessage: true, transcript);
        }
        if (IsText(data))
        {
            sink.Delta(choice.Audio, data);
        }
    }

    private int TextOf(ChatChoiceState choice)
    {
        if (choice.Text < 0)
        {
            EndSpoken(choice);
            choice.Text = Begin(new BlockStart { Kind = BlockKind.Text, Choice = choice.Index });
        }
        return choice.Text;
    }

    private int RefusalOf(ChatChoiceState choice)
    {
        if (choice.Refusal < 0)
        {
            EndSpoken(choice);
            choice.HasRefusal = true;
            choice.Refusal = Begin(new BlockStart { Kind = BlockKind.Refusal, Choice = choice.Index });
        }
        return choice.Refusal;
    }

    private int ReasoningOf(ChatChoiceState choice, bool isSummary)
    {
        if (choice.Reasoning < 0 || choice.IsSummary != isSummary)
        {
            EndSpoken(choice);
            choice.Reasoning = Begin(new BlockStart { Kind = isSummary ? BlockKind.ReasoningSummary : BlockKind.Reasoning, Choice = choice.Index });
            (choice.IsSummary, choice.ReasoningBytes) = (isSummary, 0);
        }
        return choice.Reasoning;
    }

    private int Begin(in BlockStart start)
    {
        ContentBegun = true;
        sink.BeginBlock(blocks, start);
        return blocks++;
    }

    private int End(int block)
    {
        if (block >= 0)
        {
            sink.EndBlock(block);
        }
        return -1;
    }

    /// <summary>Ends what another block of the same choice ends: what is said or thought, and calls to which nothing can be added.</summary>
    private void EndSpoken(ChatChoiceState choice)
    {
        choice.Reasoning = End(choice.Reasoning);
        choice.Text = End(choice.Text);
        choice.Refusal = End(choice.Refusal);
        foreach (var call in choice.Calls)
        {
            if (call is { IsEnded: false, Block: >= 0, IsCustom: false, IsComplete: true })
            {
                call.IsEnded = true;
                End(call.Block);
            }
        }
    }

    private void EndAll(ChatChoiceState choice)
    {
        foreach (var call in choice.Calls)
        {
            if (call.Block < 0)
            {
                BeginCall(choice, call, "\"\""u8); // its name never came
            }
        }
        EndSpoken(choice);
        choice.Audio = End(choice.Audio);
        foreach (var call in choice.Calls)
        {
            if (!call.IsEnded)
            {
                if (call is { IsCustom: false, HasContent: false })
                {
                    sink.Delta(call.Block, "\"{}\""u8);
                }
                call.IsEnded = true;
                End(call.Block);
            }
        }
    }

    /// <summary>The signature in <c>{"google":{"thought_signature":"…"}}</c>, or empty.</summary>
    private static ReadOnlySpan<byte> GoogleSignatureOf(ReadOnlySpan<byte> extra)
    {
        if (extra.IsEmpty || extra[0] != (byte)'{')
        {
            return default;
        }
        var reader = NewReader(extra);
        ReadOnlySpan<byte> signature = default;
        while (reader.Read())
        {
            if (reader.TokenType == JsonTokenType.PropertyName && reader.CurrentDepth == 2 && MemberNames.Is(ref reader, "thought_signature"u8))
            {
                var value = ValueOf(ref reader, extra);
                signature = IsText(value) ? value : signature;
            }
        }
        return signature;
    }

    /// <summary>A token of what stands between quotes; valid until the next one is made.</summary>
    private ReadOnlySpan<byte> Token(ReadOnlySpan<byte> escaped)
    {
        scratch.ResetWrittenCount();
        scratch.WriteByte((byte)'"');
        scratch.Write(escaped);
        scratch.WriteByte((byte)'"');
        return scratch.WrittenSpan;
    }
}
