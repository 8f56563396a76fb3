using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestReader
{
    /// <summary>Reads a message's content into parts.</summary>
    /// <returns>Whether it was a text, or not there at all, rather than an array.</returns>
    private bool ReadContent(JsonValue content, List<NeutralPart> parts, string path)
    {
        if (content.IsText)
        {
            parts.Add(new TextPart { Text = content.Text });
            return true;
        }
        Expect(!content.Exists || content.IsArray || content.IsObject, path + ".content", "a string or an array of parts");
        if (content.IsObject)
        {
            parts.Add(ReadPart(content, path + ".content", out _));
            return false;
        }
        var elements = new JsonArrayReader(content);
        for (var i = 0; elements.Next(out var element); i++)
        {
            if (element.IsText)
            {
                parts.Add(new TextPart { Text = element.Text });
                continue;
            }
            if (Expect(element.IsObject, $"{path}.content[{i}]", "an object"))
            {
                var part = ReadPart(element, $"{path}.content[{i}]", out var isUsual);
                parts.Add(part);
                if (!isUsual)
                {
                    form.InPlace.Add(part);
                }
            }
        }
        return !content.Exists;
    }

    /// <param name="value">The part.</param>
    /// <param name="path">Where it stands.</param>
    /// <param name="isUsual">Whether such a part can stand nowhere but in a content.</param>
    private NeutralPart ReadPart(JsonValue value, string path, out bool isUsual)
    {
        var members = Open(value.Raw);
        var type = members.Take("type"u8);
        Expect(type.IsText, path + ".type", "a string");
        isUsual = type.Is("text"u8);
        var part = ReadKnown(type, members, path)
            ?? new NativePart { Type = "messages[].content[]." + (type.Text.Exists ? type.Text.ToString() : "?"), Raw = value.Raw };
        if (part is not NativePart)
        {
            part.Cache = TakeCache(members);
            members.LeaveTo(part.Extensions);
        }
        Close(members);
        return part;
    }

    private NeutralPart? ReadKnown(JsonValue type, JsonMembers members, string path)
    {
        if (type.Is("text"u8))
        {
            var text = Text(members, "text"u8, path + ".text");
            Expect(text.Exists, path + ".text", "a string");
            return new TextPart { Text = text };
        }
        if (type.Is("refusal"u8))
        {
            var refusal = Text(members, "refusal"u8, path + ".refusal");
            Expect(refusal.Exists, path + ".refusal", "a string");
            return new RefusalPart { Text = refusal };
        }
        if (type.Is("image_url"u8))
        {
            return ReadLinked(members, MediaKind.Image, "image_url"u8, path + ".image_url");
        }
        if (type.Is("input_audio"u8))
        {
            return ReadAudio(members, path + ".input_audio");
        }
        if (type.Is("file"u8))
        {
            return ReadFile(members, path + ".file");
        }
        if (type.Is("audio_url"u8))
        {
            return ReadLinked(members, MediaKind.Audio, "audio_url"u8, path + ".audio_url");
        }
        if (type.Is("video_url"u8))
        {
            return ReadLinked(members, MediaKind.Video, "video_url"u8, path + ".video_url");
        }
        return type.Is("thinking"u8) || type.Is("redacted_thinking"u8) ? ReadThinkingPart(members) : null;
    }

    private static ReasoningPart? ReadThinkingPart(JsonMembers members)
    {
        members.Return("type"u8);
        return ReadThinkingBlock(members);
    }

    private MediaPart ReadLinked(JsonMembers members, MediaKind kind, ReadOnlySpan<byte> member, string path)
    {
        var value = members.Take(member);
        var inner = Open(value.IsObject ? value.Raw : JsonBytes.EmptyObject);
        var url = value.IsText ? value.Text : Text(inner, "url"u8, path + ".url");
        Expect(!url.IsBlank, value.IsText ? path : path + ".url", "a URL in a string");
        var detail = inner.Take("detail"u8).Text;
        var (mediaType, data) = DataUrls.Split(url);
        var part = new MediaPart { Kind = kind, MediaType = mediaType, Data = data, Url = data.Exists ? default : url, Detail = detail };
        inner.LeaveTo(part.Extensions, [.. member, (byte)'.']);
        Close(inner);
        return part;
    }

    private MediaPart ReadAudio(JsonMembers members, string path)
    {
        var value = members.Take("input_audio"u8);
        Expect(value.IsObject, path, "an object");
        var inner = Open(value.IsObject ? value.Raw : JsonBytes.EmptyObject);
        var data = Text(inner, "data"u8, path + ".data");
        Expect(data.Exists, path + ".data", "base64 in a string");
        var part = new MediaPart { Kind = MediaKind.Audio, Data = data, MediaType = ChatIds.AudioTypeOf(Text(inner, "format"u8, path + ".format")) };
        inner.LeaveTo(part.Extensions, "input_audio."u8);
        Close(inner);
        return part;
    }

    private MediaPart ReadFile(JsonMembers members, string path)
    {
        var value = members.Take("file"u8);
        Expect(value.IsObject, path, "an object");
        var inner = Open(value.IsObject ? value.Raw : JsonBytes.EmptyObject);
        var id = Text(inner, "file_id"u8, path + ".file_id");
        var content = Text(inner, "file_data"u8, path + ".file_data");
        Expect(id.Exists || content.Exists, path, "an object with 'file_data' or 'file_id'");
        var (mediaType, data) = DataUrls.Split(content);
        var isUrl = !data.Exists && (content.Escaped.Span.StartsWith("http://"u8) || content.Escaped.Span.StartsWith("https:"u8));
        if (id.Exists && content.Exists)
        {
            inner.Return("file_id"u8); // the content itself says all
            id = default;
        }
        var part = new MediaPart
        {
            Kind = KindOf(mediaType),
            MediaType = mediaType,
            Data = data.Exists || isUrl ? data : content,
            Url = isUrl ? content : default,
            FileId = id,
            Name = Text(inner, "filename"u8, path + ".filename"),
        };
        inner.LeaveTo(part.Extensions, "file."u8);
        Close(inner);
        form.Files.Add(part);
        return part;
    }

    private static MediaKind KindOf(JsonText mediaType)
    {
        var type = mediaType.Escaped.Span;
        return type.StartsWith("image/"u8) ? MediaKind.Image
            : type.StartsWith("audio/"u8) ? MediaKind.Audio
            : type.StartsWith("video/"u8) ? MediaKind.Video
            : MediaKind.Document;
    }
}
