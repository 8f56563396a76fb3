using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>The parts of a turn: text, thoughts, media, calls and their results.</content>
internal sealed partial class GeminiRequestEncoder
{
    private void WritePart(NeutralPart part, Turn place, string where, ref bool isFirstCall)
    {
        DropMarks(part);
        switch (part)
        {
            case TextPart text:
                if (text.Citations.Count > 0)
                {
                    Drop("messages[].content[].citations");
                }
                if (IsOwn || IsWritten(text))
                {
                    WriteText(text);
                }
                break;
            case RefusalPart refusal:
                json.WriteStartObject();
                WriteMember("text"u8, refusal.Text);
                json.WriteEndObject();
                break;
            case ReasoningPart reasoning:
                WriteReasoning(reasoning);
                break;
            case MediaPart medium:
                WriteMedium(medium, where);
                break;
            case ToolCallPart call:
                WriteCall(call, where, isFirstCall);
                isFirstCall = false;
                break;
            case ToolResultPart result when place == Turn.Results:
                WriteResult(result, where);
                break;
            case NativePart native when IsOwn:
                WriteRaw(native.Raw);
                break;
            case NativePart native:
                Drop("messages[].content[]." + native.Type);
                break;
            default:
                Drop("messages[].content[]." + Describe(part));
                break;
        }
    }

    private void WriteText(TextPart text)
    {
        json.WriteStartObject();
        WriteMember("text"u8, text.Text);
        if (text.Signature is { Family: SignatureFamilies.Google } signature)
        {
            WriteMember("thoughtSignature"u8, signature.Data);
        }
        WriteOwn(text.Extensions);
        json.WriteEndObject();
    }

    private void WriteReasoning(ReasoningPart reasoning)
    {
        if (!IsOwn && (reasoning.IsRedacted || reasoning.Signature is not { Family: SignatureFamilies.Google }))
        {
            Drop("messages[].content[].reasoning"); // thoughts of another provider's model, or of nobody knows whose
            return;
        }
        var texts = reasoning.Summaries.Count > 0 ? JsonText.Join(reasoning.Summaries, "\\n\\n"u8) : reasoning.Text;
        json.WriteStartObject();
        if (texts.Exists || !IsOwn)
        {
            WriteMember("text"u8, texts.Exists ? texts : JsonText.Empty);
        }
        json.WriteBoolean("thought"u8, true);
        if (reasoning.Signature is { Family: SignatureFamilies.Google } signature)
        {
            WriteMember("thoughtSignature"u8, signature.Data);
        }
        WriteOwn(reasoning.Extensions);
        json.WriteEndObject();
    }

    private void WriteMedium(MediaPart medium, string where)
    {
        if (medium.Text.Exists)
        {
            json.WriteStartObject();
            WriteMember("text"u8, medium.Text);
            json.WriteEndObject();
            return;
        }
        json.WriteStartObject();
        WriteMediumMembers(medium, where);
        if (medium.Detail.Exists && !medium.Detail.Is("auto"u8))
        {
            Drop("messages[].content[].detail");
        }
        foreach (var member in medium.Extensions.Members)
        {
            if (IsOwn && !IsOfBlob(member.Key))
            {
                WriteMember(member.Key, member.Value);
            }
        }
        json.WriteEndObject();
    }

    /// <summary>Whether a member stands within <c>inlineData</c> or <c>fileData</c> rather than beside it.</summary>
    private static bool IsOfBlob(JsonText name) =>
        !(name.Is("thoughtSignature"u8) || name.Is("videoMetadata"u8) || name.Is("mediaResolution"u8) || name.Is("partMetadata"u8));

    private void WriteMediumMembers(MediaPart medium, string where)
    {
        var isInline = medium.Data.Exists;
        var address = medium.Url.Exists ? medium.Url : medium.FileId;
        if (!isInline && !(medium.Url.Exists ? GeminiFiles.IsFetched(address) : GeminiFiles.IsGoogles(address)) && !IsOwn)
        {
            Refuse(where, medium.Url.Exists
                ? "refers to an address that Google does not fetch: it takes https:// and gs:// addresses. Send the medium itself in base64."
                : "refers to a file of another provider. Send the medium itself in base64.");
            return;
        }
        var type = medium.MediaType;
        if (!type.Exists && !(IsOwn && !isInline) && !GeminiFiles.IsYouTube(address))
        {
            type = isInline ? GeminiFiles.TypeByContent(medium.Data) : GeminiFiles.TypeByName(address);
            // Google looks at an image itself; of anything else it must be told what it is.
            type = type.Exists ? type : medium.Kind == MediaKind.Image ? JsonText.From("image/jpeg") : default;
            if (!type.Exists && !IsOwn)
            {
                Refuse(where, "is a medium of unknown type, and Google needs its media type (e.g. application/pdf).");
                return;
            }
        }
        json.WriteStartObject(isInline ? "inlineData"u8 : "fileData"u8);
        if (type.Exists)
        {
            WriteMember("mimeType"u8, type);
        }
        if (!isInline)
        {
            WriteMember("fileUri"u8, address);
        }
        if (medium.Name.Exists)
        {
            // The developer API knows no names of media outside of results; it refuses them.
            if (IsOwn || IsVertex)
            {
                WriteMember("displayName"u8, medium.Name);
            }
            else
            {
                Drop("messages[].content[].filename");
            }
        }
        foreach (var member in medium.Extensions.Members)
        {
            if (IsOwn && IsOfBlob(member.Key))
            {
                WriteMember(member.Key, member.Value);
            }
        }
        if (isInline)
        {
            // The last member, and past the JSON writer: base64 can be large, and is not to be put together first.
            json.WritePropertyName("data"u8);
            json.Flush();
            output.WriteText(medium.Data);
        }
        json.WriteEndObject();
    }

    private void WriteCall(ToolCallPart call, string where, bool isFirst)
    {
        callNames[call.Id.ToString()] = call.Name;
        json.WriteStartObject();
        json.WriteStartObject("functionCall"u8);
        WriteId(call.Id);
        WriteMember("name"u8, call.Name);
        json.WritePropertyName("args"u8);
        if (call.Kind != ToolKind.Function)
        {
            Drop("messages[].content[].custom");
        }
        if (call.Text.Exists)
        {
            // Free text, or arguments that are no JSON: Google's are an object always.
            json.WriteStartObject();
            WriteMember(call.Kind == ToolKind.Custom ? "input"u8 : "arguments"u8, call.Text);
            json.WriteEndObject();
            if (call.Kind == ToolKind.Function)
            {
                Drop("messages[].tool_calls[].function.arguments");
            }
        }
        else
        {
            WriteObject(call.Arguments, "arguments"u8);
        }
        WriteOwn(call.Extensions);
        json.WriteEndObject();
        if (call.Signature is { Family: SignatureFamilies.Google } signature)
        {
            WriteMember("thoughtSignature"u8, signature.Data);
        }
        else if (isFirst && !IsOwn && model.IsThirdGeneration)
        {
            json.WritePropertyName("thoughtSignature"u8);
            json.WriteRawValue(NoSignature, skipInputValidation: true);
        }
        json.WriteEndObject();
    }

    /// <summary>Ids that were made up here, and those for Vertex AI, which knows none, stay out.</summary>
    private void WriteId(JsonText id)
    {
        if (!id.IsBlank && (IsOwn || !IsVertex) && !id.Escaped.Span.StartsWith(GeminiRequestDecoder.MadeUpId))
        {
            WriteMember("id"u8, id);
        }
    }

    private void WriteResult(ToolResultPart result, string where)
    {
        var id = result.CallId.ToString();
        var name = callNames.TryGetValue(id, out var known) ? known : result.Name;
        if (!name.Exists)
        {
            Refuse(where, $"holds the result of a tool call '{Shorten(id)}' that no earlier message makes, and Google needs the function's name. Send the assistant's message with the call as well.");
            return;
        }
        json.WriteStartObject();
        json.WriteStartObject("functionResponse"u8);
        WriteId(result.CallId);
        WriteMember("name"u8, IsOwn && result.Name.Exists ? result.Name : name);
        if (!(IsOwn && result.Json.IsEmpty && result.Content.Count == 0))
        {
            json.WritePropertyName("response"u8);
            WriteResponse(result);
        }
        if ((model.IsThirdGeneration || IsOwn) && result.Content.Exists(part => part is MediaPart { Text.Exists: false } or NativePart))
        {
            json.WriteStartArray("parts"u8);
            foreach (var part in result.Content)
            {
                switch (part)
                {
                    case MediaPart { Text.Exists: false } medium:
                        WriteMedium(medium, where);
                        break;
                    case NativePart native when IsOwn:
                        WriteRaw(native.Raw);
                        break;
                }
            }
            json.WriteEndArray();
        }
        foreach (var member in result.Extensions.Members)
        {
            if (IsOwn && !member.Key.Is("thoughtSignature"u8))
            {
                WriteMember(member.Key, member.Value);
            }
        }
        json.WriteEndObject();
        if (IsOwn && result.Extensions.Find("thoughtSignature"u8) is { IsEmpty: false } signature)
        {
            WriteMember(JsonText.From("thoughtSignature"), signature);
        }
        json.WriteEndObject();
        foreach (var part in result.Content)
        {
            if (part is not (TextPart or MediaPart) && !IsOwn)
            {
                Drop("messages[].content[]." + Describe(part));
            }
            DropMarks(part);
        }
    }

    private void WriteResponse(ToolResultPart result)
    {
        if (!result.Json.IsEmpty)
        {
            WriteObject(result.Json, result.IsError ? "error"u8 : "output"u8);
            return;
        }
        List<JsonText> texts = [.. result.Content.Select(part => part switch { TextPart text => text.Text, MediaPart medium => medium.Text, _ => default }).Where(text => text.Exists)];
        json.WriteStartObject();
        if (texts.Count > 0 || !IsOwn)
        {
            WriteMember(result.IsError ? "error"u8 : "output"u8, texts.Count == 1 ? texts[0] : JsonText.Join(texts, "\\n"u8));
        }
        json.WriteEndObject();
    }

    /// <summary>Models before Gemini 3 take no media within results: they follow, in the same turn.</summary>
    private void WriteResultMedia(NeutralMessage message, string where)
    {
        foreach (var part in message.Parts)
        {
            foreach (var inner in (part as ToolResultPart)?.Content ?? [])
            {
                if (inner is MediaPart { Text.Exists: false } medium && error is null)
                {
                    WriteMedium(medium, where);
                }
            }
        }
    }

    /// <summary>Writes a raw value that must be an object: anything else is put into one.</summary>
    private void WriteObject(ReadOnlyMemory<byte> raw, ReadOnlySpan<byte> name)
    {
        var trimmed = raw.Span.TrimStart(" \t\r\n"u8);
        if (trimmed.IsEmpty || trimmed.SequenceEqual("null"u8))
        {
            json.WriteStartObject();
            json.WriteEndObject();
        }
        else if (trimmed[0] == (byte)'{')
        {
            json.WriteRawValue(raw.Span, skipInputValidation: true);
        }
        else
        {
            json.WriteStartObject();
            json.WritePropertyName(name);
            json.WriteRawValue(raw.Span, skipInputValidation: true);
            json.WriteEndObject();
        }
    }
}
