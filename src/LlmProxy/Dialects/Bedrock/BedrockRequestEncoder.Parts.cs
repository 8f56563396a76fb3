using System.Buffers;
using System.Globalization;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <content>What messages consist of.</content>
internal sealed partial class BedrockRequestEncoder
{
    /// <summary>Whether a part has a place here; what has none is reported.</summary>
    private bool IsWritten(NeutralPart part)
    {
        switch (part)
        {
            case TextPart text:
                if (IsBlank(text.Text) && !isOwn)
                {
                    return false; // refused, and says nothing
                }
                if (text.Signature is not null)
                {
                    dropped.Add("messages[].content[].signature");
                }
                return true;
            case NativePart native when !isOwn:
                dropped.Add("messages[].content[]." + native.Type);
                return false;
            case ReasoningPart reasoning when !isOwn && !TakesBack(reasoning):
                // Claude refuses thoughts that it did not sign, and the others take back none.
                dropped.Add("messages[].content[].reasoning");
                return false;
            case MediaPart { FileId.Exists: true }:
                error ??= Inexpressible("messages[].content[].file_id", "A file that another provider keeps cannot be read by Amazon Bedrock. Send its bytes.");
                return false;
            case MediaPart { Url.Exists: true } media when !media.Url.ToString().StartsWith("s3://", StringComparison.Ordinal):
                error ??= Inexpressible("messages[].content[].url", "Amazon Bedrock fetches nothing from the web. Send the bytes in base64, or an address that begins with s3://.");
                return false;
            case MediaPart media when BedrockMedia.FormatOf(media) is null && !isOwn:
                error ??= Inexpressible("messages[].content[]", $"Amazon Bedrock takes no {media.Kind.ToString().ToLowerInvariant()} of the type '{media.MediaType}'. Send another type, or the text in it.");
                return false;
            default:
                return true;
        }
    }

    private bool TakesBack(ReasoningPart reasoning) => isClaude && reasoning.Signature?.Family == SignatureFamilies.Anthropic;

    /// <summary>Whether the last messages answer calls of an assistant's that does not begin with the thoughts that led to them.</summary>
    private bool LacksThoughts()
    {
        var called = request.Messages.FindLastIndex(message => message.Role == NeutralRole.Assistant);
        return called >= 0 && request.Messages.FindIndex(called, message => message.Role == NeutralRole.Tool) >= 0
            && !request.Messages[called].Parts.Exists(part => part is ReasoningPart reasoning && TakesBack(reasoning));
    }

    private static bool IsBlank(JsonText text) => text.IsBlank || string.IsNullOrWhiteSpace(text.ToString());

    private void WritePart(ref BlockList blocks, NeutralPart part)
    {
        blocks.Next();
        if (form is not null && form.Blocks.TryGetValue(part, out var raw))
        {
            output.Write(raw.Span);
            WriteMark(ref blocks, part.Cache);
            return;
        }
        var whole = output;
        var held = isOwn && !part.Extensions.IsEmpty ? new ArrayBufferWriter<byte>() : null;
        output = held ?? output;
        WriteBlock(part);
        output = whole;
        if (held is not null)
        {
            // What the block has beside its one member goes in before its end.
            var json = new JsonObjectWriter(output);
            json.Inner(held.WrittenSpan[1..^1]);
            WriteOwn(ref json, part.Extensions, "");
            json.End();
        }
        WriteMark(ref blocks, part.Cache);
    }

    private void WriteBlock(NeutralPart part)
    {
        switch (part)
        {
            case TextPart { Citations.Count: > 0 } cited when cited.Citations.Exists(citation => citation.Url.Exists || (isOwn && !citation.Raw.IsEmpty)):
                WriteCited(cited);
                break;
            case TextPart text:
                if (text.Citations.Count > 0)
                {
                    dropped.Add("messages[].content[].citations");
                }
                WriteText(text.Text);
                break;
            case RefusalPart refusal:
                WriteText(refusal.Text);
                break;
            case MediaPart media:
                WriteMedia(media);
                break;
            case ToolCallPart call:
                WriteCall(call);
                break;
            case ToolResultPart result:
                WriteResult(result);
                break;
            case ReasoningPart reasoning:
                WriteReasoning(reasoning);
                break;
            case NativePart native:
                output.Write(native.Raw.Span);
                break;
            default:
                output.Write("{\"text\":\"-\"}"u8);
                dropped.Add("messages[].content[]");
                break;
        }
    }

    private void WriteText(JsonText text)
    {
        output.Write("{\"text\":"u8);
        output.WriteText(text);
        output.WriteByte((byte)'}');
    }

    private void WriteCited(TextPart text)
    {
        output.Write("{\"citationsContent\":{\"content\":["u8);
        WriteText(text.Text);
        output.Write("],\"citations\":["u8);
        var list = new BlockList(output);
        foreach (var citation in text.Citations)
        {
            if (!citation.Url.Exists && !(isOwn && !citation.Raw.IsEmpty))
            {
                dropped.Add("messages[].content[].citations");
                continue;
            }
            list.Next();
            BedrockCitations.TryWrite(output, citation, isOwn);
        }
        output.Write("]}}"u8);
    }

    /// <summary>A mark stands after what it marks. Claude alone takes marks from other dialects here without fail; Nova does, too, but not in tools.</summary>
    private void WriteMark(ref BlockList blocks, CacheMark? mark)
    {
        if (mark is null)
        {
            return;
        }
        if (!isOwn && !isClaude && !target.Model.Contains("nova", StringComparison.OrdinalIgnoreCase))
        {
            dropped.Add("cache_control");
            return;
        }
        blocks.Next();
        output.Write("{\"cachePoint\":"u8);
        var json = new JsonObjectWriter(output);
        json.Raw("type"u8, "\"default\""u8);
        json.Text("ttl"u8, mark.Ttl);
        if (isOwn)
        {
            json.Members(mark.Extensions);
        }
        json.End();
        output.WriteByte((byte)'}');
    }

    private void WriteMedia(MediaPart media)
    {
        var block = media.Kind switch { MediaKind.Image => "image", MediaKind.Video => "video", MediaKind.Audio => "audio", _ => "document" };
        output.Write(Encoding.ASCII.GetBytes($"{{\"{block}\":"));
        var json = new JsonObjectWriter(output);
        json.Text("format"u8, BedrockMedia.FormatOf(media));
        if (media.Kind == MediaKind.Document)
        {
            if (isOwn)
            {
                json.Text("name"u8, media.Name);
            }
            else
            {
                json.Text("name"u8, NameOnce(BedrockMedia.NameOf(media.Name)));
            }
        }
        json.Name("source"u8);
        var source = new JsonObjectWriter(output);
        if (media.Data.Exists)
        {
            source.Text("bytes"u8, media.Data);
        }
        else if (media.Url.Exists)
        {
            source.Name("s3Location"u8);
            var place = new JsonObjectWriter(output);
            place.Text("uri"u8, media.Url);
            WriteOwn(ref place, media.Extensions, block + ".source.s3Location.");
            place.End();
        }
        else if (isOwn)
        {
            source.Text("text"u8, media.Text);
        }
        else
        {
            source.Name("bytes"u8); // not every model takes 'text', every one takes bytes
            output.WriteText(Convert.ToBase64String(media.Text.Decode()));
        }
        WriteOwn(ref source, media.Extensions, block + ".source.");
        source.End();
        if (media.Detail.Exists)
        {
            dropped.Add("messages[].content[].detail");
        }
        WriteOwn(ref json, media.Extensions, block + ".");
        json.End();
        output.WriteByte((byte)'}');
    }

    // Two documents of one name in a request are refused.
    private string NameOnce(string name)
    {
        var given = name;
        for (var count = 2; !documentNames.Add(given); count++)
        {
            given = string.Create(CultureInfo.InvariantCulture, $"{name} ({count})");
        }
        return given;
    }

    private void WriteCall(ToolCallPart call)
    {
        output.Write("{\"toolUse\":"u8);
        var json = new JsonObjectWriter(output);
        json.Text("toolUseId"u8, IdOf(call.Id));
        json.Text("name"u8, NameOf(call.Name));
        json.Name("input"u8);
        if (call.Kind != ToolKind.Function || (call.Text.Exists && !isOwn))
        {
            output.Write("{\"input\":"u8);
            output.WriteText(call.Text);
            output.WriteByte((byte)'}');
        }
        else if (call.Text.Exists)
        {
            output.WriteText(call.Text);
        }
        else
        {
            output.Write(call.Arguments.IsEmpty ? "{}"u8 : call.Arguments.Span);
        }
        WriteOwn(ref json, call.Extensions, "toolUse.");
        json.End();
        output.WriteByte((byte)'}');
        if (call.Signature is not null)
        {
            dropped.Add("messages[].content[].signature");
        }
    }

    private void WriteResult(ToolResultPart result)
    {
        output.Write("{\"toolResult\":"u8);
        var json = new JsonObjectWriter(output);
        json.Text("toolUseId"u8, IdOf(result.CallId));
        json.Name("content"u8);
        output.WriteByte((byte)'[');
        var blocks = new BlockList(output);
        if (!result.Json.IsEmpty)
        {
            blocks.Next();
            // Claude and others refuse JSON that is no object.
            output.Write("{\"json\":"u8);
            var isObject = isOwn || result.Json.Span[0] == (byte)'{';
            output.Write(isObject ? ""u8 : "{\"result\":"u8);
            output.Write(result.Json.Span);
            output.Write(isObject ? "}"u8 : "}}"u8);
        }
        foreach (var part in result.Content.Where(IsWritten))
        {
            WritePart(ref blocks, part);
        }
        if (!blocks.Any && !isOwn)
        {
            blocks.Next();
            output.Write("{\"text\":\"(no output)\"}"u8); // an empty result is refused
        }
        output.WriteByte((byte)']');
        if (result.IsError)
        {
            json.Raw("status"u8, "\"error\""u8);
        }
        WriteOwn(ref json, result.Extensions, "toolResult.");
        json.End();
        output.WriteByte((byte)'}');
    }

    private void WriteReasoning(ReasoningPart reasoning)
    {
        output.Write("{\"reasoningContent\":"u8);
        var json = new JsonObjectWriter(output);
        if (reasoning.IsRedacted)
        {
            json.Text("redactedContent"u8, reasoning.Signature!.Data);
        }
        else
        {
            json.Name("reasoningText"u8);
            var inner = new JsonObjectWriter(output);
            inner.Text("text"u8, reasoning.Text.Exists || isOwn ? reasoning.Text : JsonText.Empty);
            inner.Text("signature"u8, reasoning.Signature?.Data ?? default);
            WriteOwn(ref inner, reasoning.Extensions, "reasoningContent.reasoningText.");
            inner.End();
        }
        WriteOwn(ref json, reasoning.Extensions, "reasoningContent.");
        json.End();
        output.WriteByte((byte)'}');
    }
}
