using System.Buffers;
using System.Buffers.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Writes the parts of messages as blocks.</summary>
/// <param name="isOwn">Whether they came in this very dialect.</param>
/// <param name="breakpoints">Which cache marks are written.</param>
/// <param name="dropped">Receives what could not be written.</param>
internal sealed class AnthropicPartWriter(bool isOwn, CacheBreakpoints breakpoints, DropReport dropped)
{
    private static readonly SearchValues<byte> IdBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"u8);

    /// <summary>Writes one part.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="part">The part.</param>
    /// <param name="isSystem">Whether it is an instruction that has to stand in a user's turn, and be marked there.</param>
    public void Write(IBufferWriter<byte> output, NeutralPart part, bool isSystem = false)
    {
        switch (part)
        {
            case NativePart native:
                output.Write(native.Raw.Span);
                return;
            case MediaPart media when isOwn && media.Extensions.Find("search_result"u8) is { IsEmpty: false } raw:
                output.Write(raw.Span);
                return;
        }
        var json = new JsonObjectWriter(output);
        switch (part)
        {
            case TextPart text:
                WriteText(ref json, output, text, isSystem);
                break;
            case RefusalPart refusal:
                json.Raw("type"u8, "\"text\""u8);
                json.Text("text"u8, refusal.Text);
                break;
            case MediaPart media:
                WriteMedia(ref json, output, media);
                break;
            case ToolCallPart call:
                WriteCall(ref json, output, call);
                break;
            case ToolResultPart result:
                WriteResult(ref json, output, result);
                break;
            case ReasoningPart { IsRedacted: true } redacted:
                json.Raw("type"u8, "\"redacted_thinking\""u8);
                json.Text("data"u8, redacted.Signature!.Data);
                break;
            case ReasoningPart thought:
                json.Raw("type"u8, "\"thinking\""u8);
                json.Text("thinking"u8, thought.Text.Exists ? thought.Text : JsonText.Join(thought.Summaries, "\\n"u8));
                json.Text("signature"u8, thought.Signature!.Data);
                break;
        }
        if (part.Cache is { } cache && breakpoints.Keeps(cache) && part is not ReasoningPart)
        {
            json.Name("cache_control"u8);
            AnthropicRequestEncoder.WriteCache(output, cache, dropped);
        }
        WriteExtensions(ref json, part);
        json.End();
    }

    private void WriteExtensions(ref JsonObjectWriter json, NeutralPart part)
    {
        foreach (var (name, value) in isOwn ? part.Extensions.Members : [])
        {
            if (part is not MediaPart || !name.Is("source"u8))
            {
                json.Raw(name.Escaped.Span, value);
            }
        }
    }

    private void WriteText(ref JsonObjectWriter json, IBufferWriter<byte> output, TextPart part, bool isSystem)
    {
        json.Raw("type"u8, "\"text\""u8);
        if (isSystem)
        {
            json.Name("text"u8);
            output.Write("\"<system>\\n"u8);
            output.Write(part.Text.Escaped.Span);
            output.Write("\\n</system>\""u8);
        }
        else
        {
            json.Text("text"u8, part.Text);
        }
        if (part.Signature is { Family: not SignatureFamilies.Anthropic })
        {
            dropped.Add("messages[].content[].signature");
        }
        if (part.Citations.Count == 0)
        {
            return;
        }
        if (!isOwn)
        {
            dropped.Add("messages[].annotations");
            return;
        }
        var own = part.Citations.Where(citation => !citation.Raw.IsEmpty && !IsMadeUp(citation)).ToList();
        if (own.Count == 0)
        {
            return;
        }
        json.Name("citations"u8);
        output.WriteByte((byte)'[');
        var first = true;
        foreach (var citation in own)
        {
            AnthropicRequestEncoder.Separate(output, ref first);
            output.Write(citation.Raw.Span);
        }
        output.WriteByte((byte)']');
    }

    /// <summary>Whether a citation was made by <see cref="AnthropicStreamEncoder"/> of another dialect's: Anthropic knows it not, and refuses it.</summary>
    private static bool IsMadeUp(NeutralCitation citation) =>
        JsonMembers.Of(citation.Raw) is var members && members.Take("type"u8).Is("web_search_result_location"u8) && members.Take("encrypted_index"u8).Text.IsBlank;

    private void WriteMedia(ref JsonObjectWriter json, IBufferWriter<byte> output, MediaPart media)
    {
        if (isOwn && media.Extensions.Find("source"u8) is { IsEmpty: false } raw)
        {
            json.Raw("type"u8, media.Kind == MediaKind.Image ? "\"image\""u8 : "\"document\""u8);
            json.Raw("source"u8, raw);
            json.Text("title"u8, media.Name);
            return;
        }
        var isImage = media.Kind == MediaKind.Image;
        if (Unsupported(media) is { } what)
        {
            dropped.Add(what);
            json.Raw("type"u8, "\"text\""u8);
            json.Text("text"u8, $"({media.Kind switch { MediaKind.Audio => "A sound", MediaKind.Video => "A film", MediaKind.Image => "An image", _ => "A document" }} stood here, in a form that this model does not take.)");
            return;
        }
        json.Raw("type"u8, isImage ? "\"image\""u8 : "\"document\""u8);
        json.Name("source"u8);
        WriteSource(output, media);
        if (!isImage)
        {
            json.Text("title"u8, media.Name);
        }
        if (media.Detail.Exists && !media.Detail.Is("auto"u8))
        {
            dropped.Add("messages[].content[].detail");
        }
    }

    private void WriteSource(IBufferWriter<byte> output, MediaPart media)
    {
        var source = new JsonObjectWriter(output);
        if (media.Data.Exists && media.Kind == MediaKind.Document && IsTextType(media.MediaType) && !isOwn)
        {
            source.Raw("type"u8, "\"text\""u8);
            source.Raw("media_type"u8, "\"text/plain\""u8);
            source.Text("data"u8, JsonText.FromUtf8(Decode(media.Data)));
        }
        else if (media.Data.Exists)
        {
            source.Raw("type"u8, "\"base64\""u8);
            source.Text("media_type"u8, media.MediaType.Exists ? media.MediaType : JsonText.From(Guess(media)));
            source.Text("data"u8, media.Data);
        }
        else if (media.Url.Exists)
        {
            source.Raw("type"u8, "\"url\""u8);
            source.Text("url"u8, media.Url);
            WriteOwnType(ref source, media);
        }
        else if (media.FileId.Exists)
        {
            source.Raw("type"u8, "\"file\""u8);
            source.Text("file_id"u8, media.FileId);
            WriteOwnType(ref source, media);
        }
        else
        {
            source.Raw("type"u8, "\"text\""u8);
            source.Text("media_type"u8, isOwn && media.MediaType.Exists ? media.MediaType : JsonText.From("text/plain"));
            source.Text("data"u8, media.Text);
        }
        source.End();
    }

    private void WriteOwnType(ref JsonObjectWriter source, MediaPart media)
    {
        if (isOwn)
        {
            source.Text("media_type"u8, media.MediaType);
        }
    }

    /// <summary>What of a medium has no place here, as a path; null: it can be written.</summary>
    private string? Unsupported(MediaPart media)
    {
        if (isOwn)
        {
            return null;
        }
        return media.Kind switch
        {
            MediaKind.Audio => "messages[].content[].input_audio",
            MediaKind.Video => "messages[].content[].video",
            _ when media.FileId.Exists => "messages[].content[].file_id", // another vendor's
            MediaKind.Document when media.Data.Exists && !IsTextType(media.MediaType) && Guess(media) != "application/pdf" => "messages[].content[].file",
            _ when media.Url.Exists && !media.Url.Escaped.Span.StartsWith("http"u8) => "messages[].content[].url",
            _ => null,
        };
    }

    private static bool IsTextType(JsonText type) => type.Exists && (type.Escaped.Span.StartsWith("text/"u8) || type.Is("application/json"u8));

    /// <summary>The media type that a medium has, or by its first bytes must have.</summary>
    private static string Guess(MediaPart media)
    {
        if (media.MediaType.Exists)
        {
            return media.MediaType.ToString();
        }
        var data = media.Data.Escaped.Span;
        return data.StartsWith("JVBER"u8) ? "application/pdf"
            : data.StartsWith("/9j/"u8) || data.StartsWith("\\/9j\\/"u8) ? "image/jpeg"
            : data.StartsWith("R0lG"u8) ? "image/gif"
            : data.StartsWith("UklGR"u8) ? "image/webp"
            : media.Kind == MediaKind.Image ? "image/png" : "application/octet-stream";
    }

    private static byte[] Decode(JsonText base64)
    {
        var text = JsonBytes.Unescape(base64).Span;
        var bytes = new byte[Base64.GetMaxDecodedFromUtf8Length(text.Length)];
        return Base64.DecodeFromUtf8(text, bytes, out _, out var written) == OperationStatus.Done ? bytes[..written] : "(unreadable)"u8.ToArray();
    }

    private void WriteCall(ref JsonObjectWriter json, IBufferWriter<byte> output, ToolCallPart call)
    {
        json.Raw("type"u8, "\"tool_use\""u8);
        json.Name("id"u8);
        WriteId(output, call.Id);
        json.Text("name"u8, call.Name);
        json.Name("input"u8);
        if (call.Kind == ToolKind.Function && !call.Arguments.IsEmpty)
        {
            output.Write(call.Arguments.Span);
        }
        else if (call.Text.Exists)
        {
            // Free text, or arguments that are no JSON: there is only an object to put them in.
            var input = new JsonObjectWriter(output);
            input.Text(call.Kind == ToolKind.Custom ? "input"u8 : "arguments"u8, call.Text);
            input.End();
        }
        else
        {
            output.Write("{}"u8);
        }
        if (call.Signature is { Family: not SignatureFamilies.Anthropic })
        {
            dropped.Add("messages[].tool_calls[].signature");
        }
    }

    private void WriteResult(ref JsonObjectWriter json, IBufferWriter<byte> output, ToolResultPart result)
    {
        json.Raw("type"u8, "\"tool_result\""u8);
        json.Name("tool_use_id"u8);
        WriteId(output, result.CallId);
        var content = isOwn ? result.Content : [.. result.Content.Where(part => part is not TextPart { Text.IsBlank: true })];
        if (!result.Json.IsEmpty && content.Count == 0)
        {
            json.Name("content"u8);
            output.WriteAsToken(result.Json.Span);
        }
        else if (content is [TextPart { Cache: null, Text: var only }] && (result.IsShort || !isOwn))
        {
            json.Text("content"u8, only);
        }
        else if (content.Count > 0)
        {
            json.Name("content"u8);
            output.WriteByte((byte)'[');
            var first = true;
            foreach (var part in content)
            {
                AnthropicRequestEncoder.Separate(output, ref first);
                Write(output, part);
            }
            output.WriteByte((byte)']');
        }
        if (result.IsError)
        {
            json.Boolean("is_error"u8, true);
        }
    }

    /// <summary>Writes the id of a call. Anthropic takes letters, digits, <c>_</c> and <c>-</c>; anything else becomes <c>_</c>, in the call and in its result.</summary>
    private static void WriteId(IBufferWriter<byte> output, JsonText id)
    {
        var bytes = id.Escaped.Span;
        if (!bytes.IsEmpty && !bytes.ContainsAnyExcept(IdBytes))
        {
            output.WriteText(id);
            return;
        }
        output.WriteByte((byte)'"');
        foreach (var letter in bytes.IsEmpty ? "_"u8 : bytes)
        {
            output.WriteByte(IdBytes.Contains(letter) ? letter : (byte)'_');
        }
        output.WriteByte((byte)'"');
    }
}
