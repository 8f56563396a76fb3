using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestWriter
{
    /// <summary>Whether a part can be said in a message of this dialect at this provider; if not, it is named as dropped.</summary>
    private bool CanWrite(NeutralPart part)
    {
        if (part is not MediaPart media)
        {
            return part is TextPart or RefusalPart || IsOurs;
        }
        var isOurFile = media.FileId.Exists && request.Source is DialectIds.OpenAiChat or DialectIds.OpenAiResponses && media.Kind != MediaKind.Image;
        var can = IsOurs || media.Kind switch
        {
            MediaKind.Image => media.Data.Exists || media.Url.Exists,
            MediaKind.Audio => media.Data.Exists || (media.Url.Exists && !provider.IsStrict),
            MediaKind.Video => (media.Data.Exists || media.Url.Exists) && !provider.IsStrict,
            _ => media.Data.Exists || media.Text.Exists || isOurFile || (media.Url.Exists && provider.IsOpenRouter),
        };
        if (!can)
        {
            Drop($"{SourcePaths.Part(request.Source)}.{media.Kind.ToString().ToLowerInvariant()}");
        }
        return can;
    }

    private void WritePart(NeutralPart part)
    {
        if (part is NativePart native)
        {
            output.Write(native.Raw.Span);
            return;
        }
        var json = new JsonObjectWriter(output);
        switch (part)
        {
            case TextPart text:
                json.Text("type"u8, "text");
                json.Text("text"u8, text.Text);
                break;
            case RefusalPart refusal when IsOurs:
                json.Text("type"u8, "refusal");
                json.Text("refusal"u8, refusal.Text);
                break;
            case RefusalPart refusal:
                json.Text("type"u8, "text");
                json.Text("text"u8, refusal.Text);
                break;
            case ReasoningPart { IsRedacted: true } reasoning:
                json.Text("type"u8, "redacted_thinking");
                json.Text("data"u8, reasoning.Signature!.Data);
                break;
            case ReasoningPart reasoning:
                json.Text("type"u8, "thinking");
                json.Text("thinking"u8, reasoning.Text);
                json.Text("signature"u8, reasoning.Signature?.Data ?? default);
                break;
            case MediaPart media:
                WriteMedia(ref json, media);
                break;
        }
        if (IsOurs || provider.TakesCacheMarks)
        {
            WriteCacheMark(ref json, IsMarkOfMessage(part) ? null : part.Cache, "");
        }
        else if (part.Cache is not null)
        {
            Drop(SourcePaths.CacheMark(request.Source));
        }
        if (IsOurs)
        {
            WriteMembers(ref json, part.Extensions, MemberOf(part), within: false);
        }
        json.End();
    }

    private bool IsMarkOfMessage(NeutralPart part) => form is not null && part.Cache is not null && request.Messages.Exists(message => form.InPlace.Contains(message) && message.Parts[^1] == part);

    /// <summary>Where the unknown members of the object within a part are kept.</summary>
    private ReadOnlySpan<byte> MemberOf(NeutralPart part) => part is not MediaPart media ? "\0"u8
        : IsFile(media) ? "file."u8
        : media.Kind switch
        {
            MediaKind.Image => "image_url."u8,
            MediaKind.Video => "video_url."u8,
            _ => media.Url.Exists ? "audio_url."u8 : "input_audio."u8,
        };

    private bool IsFile(MediaPart media) => form is null ? media.Kind == MediaKind.Document : form.Files.Contains(media);

    private void WriteMedia(ref JsonObjectWriter json, MediaPart media)
    {
        if (media.Text.Exists && !IsOurs)
        {
            // A document that is plain text is text.
            json.Text("type"u8, "text");
            json.Text("text"u8, media.Name.IsBlank ? media.Text : JsonText.Join([media.Name, media.Text], "\\n"u8));
        }
        else if (IsFile(media))
        {
            WriteFile(ref json, media);
        }
        else if (media.Kind == MediaKind.Audio && media.Data.Exists)
        {
            json.Text("type"u8, "input_audio");
            json.Name("input_audio"u8);
            var inner = new JsonObjectWriter(output);
            inner.Text("data"u8, media.Data);
            inner.Text("format"u8, media.MediaType.Exists || !IsOurs ? ChatIds.AudioFormatOf(media.MediaType) : default);
            if (IsOurs)
            {
                WriteMembers(ref inner, media.Extensions, "input_audio."u8, within: true);
            }
            inner.End();
        }
        else
        {
            WriteLinked(ref json, media, media.Kind switch { MediaKind.Image => "image_url."u8, MediaKind.Video => "video_url."u8, _ => "audio_url."u8 });
        }
    }

    private void WriteLinked(ref JsonObjectWriter json, MediaPart media, ReadOnlySpan<byte> prefix)
    {
        json.Name("type"u8);
        output.WriteAsToken(prefix[..^1]);
        json.Name(prefix[..^1]);
        var inner = new JsonObjectWriter(output);
        inner.Name("url"u8);
        WriteUrl(media);
        inner.Text("detail"u8, media.Detail);
        if (IsOurs)
        {
            WriteMembers(ref inner, media.Extensions, prefix, within: true);
        }
        inner.End();
    }

    private void WriteUrl(MediaPart media)
    {
        if (!media.Data.Exists)
        {
            output.WriteText(media.Url);
            return;
        }
        output.Write("\"data:"u8);
        output.Write(media.MediaType.Escaped.Span);
        output.Write(";base64,"u8);
        output.Write(media.Data.Escaped.Span);
        output.WriteByte((byte)'"');
    }

    private void WriteFile(ref JsonObjectWriter json, MediaPart media)
    {
        json.Text("type"u8, "file");
        json.Name("file"u8);
        var inner = new JsonObjectWriter(output);
        inner.Text("filename"u8, media.Name.Exists || IsOurs ? media.Name : JsonText.From("document"));
        if (media.FileId.Exists)
        {
            inner.Text("file_id"u8, media.FileId);
        }
        else if (media.Data.Exists && !media.MediaType.Exists && IsOurs)
        {
            inner.Text("file_data"u8, media.Data);
        }
        else
        {
            inner.Name("file_data"u8);
            WriteUrl(media);
        }
        if (IsOurs)
        {
            WriteMembers(ref inner, media.Extensions, "file."u8, within: true);
        }
        inner.End();
    }

    /// <summary>Earlier thoughts: as they came, or, for a provider that takes them, as the text that they are. Signatures are of use to nobody else.</summary>
    private void WriteThoughts(ref JsonObjectWriter json, NeutralMessage message)
    {
        if (form is not null)
        {
            if (form.Thoughts.TryGetValue(message, out var members))
            {
                json.Raw("reasoning_content"u8, members.ReasoningContent);
                json.Raw("reasoning"u8, members.Reasoning);
                json.Raw("reasoning_details"u8, members.Details);
                json.Raw("thinking_blocks"u8, members.Blocks);
            }
            return;
        }
        var thoughts = message.Parts.OfType<ReasoningPart>().ToList();
        if (thoughts.Count == 0)
        {
            return;
        }
        var texts = thoughts.SelectMany(part => part.Summaries.Count > 0 ? part.Summaries : [part.Text]).Where(text => !text.IsBlank).ToList();
        if (texts.Count > 0 && provider.TakesThoughts)
        {
            json.Text(provider.IsOpenRouter ? "reasoning"u8 : "reasoning_content"u8, texts.Count == 1 ? texts[0] : JsonText.Join(texts, "\\n"u8));
        }
        if (provider.IsOpenRouter)
        {
            WriteDetails(ref json, thoughts);
        }
        else if (texts.Count == 0 || !provider.TakesThoughts || thoughts.Exists(part => part.IsRedacted))
        {
            Drop(SourcePaths.Thoughts(request.Source));
        }
    }

    private void WriteDetails(ref JsonObjectWriter json, List<ReasoningPart> thoughts)
    {
        json.Name("reasoning_details"u8);
        output.WriteByte((byte)'[');
        var count = 0;
        foreach (var part in thoughts)
        {
            if (count > 0)
            {
                output.WriteByte((byte)',');
            }
            ChatThoughts.WriteDetail(output, count++, part.IsSummary, part.Text, part.Signature, part.Id);
        }
        output.WriteByte((byte)']');
    }
}
