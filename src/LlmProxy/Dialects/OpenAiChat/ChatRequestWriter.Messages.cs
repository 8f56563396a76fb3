using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestWriter
{
    private readonly List<NeutralPart> pending = [];
    private bool hasMessages;

    private void WriteMessages()
    {
        output.WriteByte((byte)'[');
        foreach (var message in request.Messages)
        {
            if (message.Role == NeutralRole.Tool)
            {
                foreach (var part in message.Parts)
                {
                    WriteResult(message, part);
                }
                continue;
            }
            WritePending();
            BeginMessage();
            WriteMessage(message);
        }
        WritePending();
        output.WriteByte((byte)']');
    }

    private void BeginMessage()
    {
        if (hasMessages)
        {
            output.WriteByte((byte)',');
        }
        hasMessages = true;
    }

    private void WriteMessage(NeutralMessage message)
    {
        var json = new JsonObjectWriter(output);
        json.Text("role"u8, RoleOf(message.Role));
        json.Text("name"u8, message.Name);
        if (message.Role == NeutralRole.Assistant)
        {
            WriteThoughts(ref json, message);
        }
        json.Name("content"u8);
        WriteContent(message);
        if (message.Role == NeutralRole.Assistant)
        {
            WriteAssistant(ref json, message);
        }
        if (form?.InPlace.Contains(message) == true)
        {
            WriteCacheMark(ref json, message.Parts[^1].Cache, "");
        }
        if (IsOurs)
        {
            json.Members(message.Extensions);
        }
        json.End();
    }

    /// <summary>Few providers know the role <c>developer</c>, and those that want it take <c>system</c> for it.</summary>
    private string RoleOf(NeutralRole role) => role switch
    {
        NeutralRole.User => "user",
        NeutralRole.Assistant => "assistant",
        NeutralRole.Developer when IsOurs => "developer",
        _ => "system",
    };

    /// <summary>Whether a part stands in the content, rather than in a member of its message.</summary>
    private bool IsContent(NeutralPart part, NeutralRole role) => part switch
    {
        TextPart => true,
        ToolCallPart or ToolResultPart => false,
        MediaPart when role == NeutralRole.Assistant => form?.InPlace.Contains(part) == true || form?.Files.Contains(part) == true,
        MediaPart => true,
        RefusalPart => form is null ? role != NeutralRole.Assistant : form.InPlace.Contains(part),
        ReasoningPart => form?.InPlace.Contains(part) == true,
        NativePart native => IsOurs && native.Type.StartsWith("messages[].content[]", StringComparison.Ordinal),
        _ => false,
    };

    private void WriteContent(NeutralMessage message)
    {
        var parts = message.Parts.Where(part => IsContent(part, message.Role)).ToList();
        if (form is not null)
        {
            WriteAsItCame(message, parts);
            return;
        }
        DropInContent(message, parts);
        if (message.Role == NeutralRole.Assistant)
        {
            WriteJoined(message, parts);
            return;
        }
        WriteParts(parts);
    }

    private void WriteAsItCame(NeutralMessage message, List<NeutralPart> parts)
    {
        if (!message.IsShort)
        {
            WriteArray(parts);
        }
        else if (parts is [TextPart text, ..])
        {
            output.WriteText(text.Text);
        }
        else
        {
            output.Write("null"u8);
        }
    }

    private void WriteJoined(NeutralMessage message, List<NeutralPart> parts)
    {
        if (parts.Count == 0)
        {
            output.Write(message.Parts.Exists(part => part is ToolCallPart) ? "null"u8 : "\"\""u8);
            return;
        }
        output.WriteByte((byte)'"');
        foreach (var part in parts)
        {
            output.Write(((TextPart)part).Text.Escaped.Span);
            DropIf(part.Cache is not null, SourcePaths.CacheMark(request.Source));
        }
        output.WriteByte((byte)'"');
    }

    private void WriteParts(List<NeutralPart> parts)
    {
        var writable = parts.Where(CanWrite).ToList();
        if (writable.Count == 0)
        {
            output.Write("\"\""u8);
        }
        else if (writable is [TextPart { Cache: null } text])
        {
            output.WriteText(text.Text);
        }
        else if (writable is [TextPart only] && !provider.TakesCacheMarks)
        {
            Drop(SourcePaths.CacheMark(request.Source));
            output.WriteText(only.Text);
        }
        else
        {
            WriteArray(writable);
        }
    }

    /// <summary>Names what cannot stand in a message of this role.</summary>
    private void DropInContent(NeutralMessage message, List<NeutralPart> kept)
    {
        foreach (var part in message.Parts)
        {
            if (part is TextPart { Citations.Count: > 0 })
            {
                Drop(SourcePaths.Part(request.Source) + ".citations");
            }
            if (part is NativePart native)
            {
                Drop(UnknownMembers.PathOf(native, message.Role));
            }
            else if (part is MediaPart media && !kept.Contains(part) && media.Kind != MediaKind.Image)
            {
                Drop($"{SourcePaths.Part(request.Source)}.{media.Kind.ToString().ToLowerInvariant()}");
            }
        }
    }

    private void WriteArray(List<NeutralPart> parts)
    {
        output.WriteByte((byte)'[');
        for (var i = 0; i < parts.Count; i++)
        {
            if (i > 0)
            {
                output.WriteByte((byte)',');
            }
            WritePart(parts[i]);
        }
        output.WriteByte((byte)']');
    }

    private void WriteAssistant(ref JsonObjectWriter json, NeutralMessage message)
    {
        WriteRefusal(ref json, message);
        WriteImages(ref json, message);
        if (IsOurs && message.Parts.OfType<NativePart>().FirstOrDefault(part => part.Type == "messages[].audio") is { } audio)
        {
            json.Raw("audio"u8, audio.Raw);
        }
        if (message.Parts.OfType<TextPart>().LastOrDefault(part => part.Signature is not null)?.Signature is { } signature)
        {
            WriteGoogleSignature(ref json, signature);
        }
        var calls = message.Parts.Where(part => part is ToolCallPart call ? !IsFunctionCall(call) : part is NativePart { Type: "messages[].tool_calls[]" } && IsOurs).ToList();
        if (calls.Count > 0)
        {
            json.Name("tool_calls"u8);
            for (var i = 0; i < calls.Count; i++)
            {
                output.WriteByte(i == 0 ? (byte)'[' : (byte)',');
                if (calls[i] is ToolCallPart call)
                {
                    WriteCall(call);
                }
                else
                {
                    output.Write(((NativePart)calls[i]).Raw.Span);
                }
            }
            output.WriteByte((byte)']');
        }
        if (message.Parts.OfType<ToolCallPart>().FirstOrDefault(IsFunctionCall) is { } function)
        {
            json.Name("function_call"u8);
            WriteFunctionCall(function, "function."u8);
        }
    }

    private void WriteRefusal(ref JsonObjectWriter json, NeutralMessage message)
    {
        var refusals = message.Parts.OfType<RefusalPart>().Where(part => !IsContent(part, message.Role)).Select(part => part.Text).ToList();
        if (refusals.Count > 0)
        {
            json.Text("refusal"u8, refusals.Count == 1 ? refusals[0] : JsonText.Join(refusals, default));
        }
    }

    private void WriteImages(ref JsonObjectWriter json, NeutralMessage message)
    {
        var images = message.Parts.OfType<MediaPart>().Where(part => part.Kind == MediaKind.Image && !IsContent(part, message.Role)).ToList<NeutralPart>();
        if (images.Count == 0)
        {
            return;
        }
        if (IsOurs || provider.IsOpenRouter)
        {
            json.Name("images"u8);
            WriteArray(images);
        }
        else
        {
            Drop(SourcePaths.Part(request.Source) + ".image");
        }
    }

    private bool IsFunctionCall(ToolCallPart call) => IsOurs && ChatIds.IsFunctionCall(call.Id);

    private void WriteGoogleSignature(ref JsonObjectWriter json, NeutralSignature? signature)
    {
        if (signature?.Family == SignatureFamilies.Google && (IsOurs || provider.TakesGoogleSignatures))
        {
            json.Name("extra_content"u8);
            output.Write("{\"google\":{\"thought_signature\":"u8);
            output.WriteText(signature.Data);
            output.Write("}}"u8);
        }
    }

    private void WriteCall(ToolCallPart call)
    {
        var isCustom = call.Kind == ToolKind.Custom;
        var json = new JsonObjectWriter(output);
        json.Text("id"u8, call.Id);
        json.Text("type"u8, isCustom ? "custom" : "function");
        json.Name(isCustom ? "custom"u8 : "function"u8);
        if (isCustom)
        {
            var inner = new JsonObjectWriter(output);
            inner.Text("name"u8, call.Name);
            inner.Text("input"u8, call.Text);
            if (IsOurs)
            {
                WriteMembers(ref inner, call.Extensions, "custom."u8, within: true);
            }
            inner.End();
        }
        else
        {
            WriteFunctionCall(call, "function."u8);
        }
        WriteGoogleSignature(ref json, call.Signature);
        WriteCacheMark(ref json, call.Cache, SourcePaths.CacheMark(request.Source));
        if (IsOurs)
        {
            WriteMembers(ref json, call.Extensions, isCustom ? "custom."u8 : "function."u8, within: false);
        }
        json.End();
    }

    private void WriteFunctionCall(ToolCallPart call, ReadOnlySpan<byte> prefix)
    {
        var json = new JsonObjectWriter(output);
        json.Text("name"u8, call.Name);
        json.Name("arguments"u8);
        if (call.Text.Exists)
        {
            output.WriteText(call.Text);
        }
        else
        {
            output.WriteAsToken(call.Arguments.IsEmpty ? "{}"u8 : call.Arguments.Span);
        }
        if (IsOurs)
        {
            WriteMembers(ref json, call.Extensions, prefix, within: true);
        }
        json.End();
    }

    /// <summary>One tool message for each result. Images, which such a message cannot carry, follow in a user message once all results of the turn are there.</summary>
    private void WriteResult(NeutralMessage message, NeutralPart part)
    {
        if (part is not ToolResultPart result)
        {
            pending.Add(part);
            return;
        }
        BeginMessage();
        var isFunction = IsOurs && ChatIds.IsFunctionCall(result.CallId);
        var json = new JsonObjectWriter(output);
        json.Text("role"u8, isFunction ? "function" : "tool");
        if (!isFunction)
        {
            json.Text("tool_call_id"u8, result.CallId);
        }
        if (IsOurs)
        {
            json.Text("name"u8, result.Name);
        }
        json.Name("content"u8);
        WriteResultContent(result);
        WriteCacheMark(ref json, result.Cache, SourcePaths.CacheMark(request.Source));
        if (IsOurs)
        {
            json.Members(message.Extensions);
        }
        else
        {
            DropIf(result.IsError, SourcePaths.ToolError(request.Source));
        }
        json.End();
    }

    private void WriteResultContent(ToolResultPart result)
    {
        if (!result.Json.IsEmpty)
        {
            output.WriteAsToken(result.Json.Span);
            return;
        }
        if (form is not null)
        {
            if (!result.IsShort)
            {
                WriteArray(result.Content);
            }
            else
            {
                output.WriteText(result.Content is [TextPart text, ..] ? text.Text : default);
            }
            return;
        }
        var texts = new List<NeutralPart>();
        var media = pending.Count;
        foreach (var part in result.Content)
        {
            if (part is TextPart)
            {
                texts.Add(part);
            }
            else if (part is NativePart native)
            {
                Drop(UnknownMembers.PathOf(native, NeutralRole.Tool));
            }
            else if (CanWrite(part))
            {
                pending.Add(new TextPart { Text = JsonText.FromEscaped([.. "From the result of tool call "u8, .. result.CallId.Escaped.Span, (byte)':']) });
                pending.Add(part);
            }
        }
        if (texts.Count == 0)
        {
            output.Write(pending.Count > media ? "\"The result is in the message that follows.\""u8 : "\"\""u8);
            return;
        }
        WriteParts(texts);
    }

    private void WritePending()
    {
        if (pending.Count == 0)
        {
            return;
        }
        BeginMessage();
        output.Write("{\"role\":\"user\",\"content\":"u8);
        WriteArray(pending);
        output.WriteByte((byte)'}');
        pending.Clear();
    }
}
