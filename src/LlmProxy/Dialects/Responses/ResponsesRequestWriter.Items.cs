using System.Buffers;
using System.Security.Cryptography;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesRequestWriter
{
    /// <summary>OpenAI refuses longer ids of calls.</summary>
    private const int MaxCallId = 64;

    private bool hasItems;

    private void WriteInput()
    {
        if (form is { InputIsText: true } && request.Messages is [.., { IsShort: true, Role: NeutralRole.User, Parts: [TextPart only] }] && request.Messages.Count == (form.Instructions is null ? 1 : 2))
        {
            output.WriteText(only.Text);
            return;
        }
        output.Write("["u8);
        foreach (var message in request.Messages)
        {
            if (message != form?.Instructions)
            {
                WriteMessage(message);
            }
        }
        output.Write("]"u8);
    }

    private void WriteMessage(NeutralMessage message)
    {
        if (form?.Items.TryGetValue(message, out var empty) == true)
        {
            BeginItem();
            output.Write(empty.Json.Span);
        }
        if (!IsOurs)
        {
            DropIf(!message.Name.IsBlank, "messages[].name");
        }
        List<NeutralPart> said = [];
        for (var i = 0; i < message.Parts.Count;)
        {
            if (TryWriteRaw(message, i, said, out var taken))
            {
                i += taken;
                continue;
            }
            var part = message.Parts[i++];
            switch (part)
            {
                case ToolCallPart call:
                    Say(message, said);
                    WriteCall(call);
                    break;
                case ToolResultPart result:
                    Say(message, said);
                    WriteResult(result);
                    break;
                case ReasoningPart reasoning:
                    Say(message, said);
                    WriteReasoning(reasoning);
                    break;
                case NativePart native:
                    Drop(UnknownMembers.PathOf(native, message.Role));
                    break;
                default:
                    said.Add(part);
                    break;
            }
        }
        Say(message, said);
    }

    /// <summary>Writes an item as it came, where all its parts are still there.</summary>
    private bool TryWriteRaw(NeutralMessage message, int at, List<NeutralPart> said, out int taken)
    {
        taken = 0;
        if (form is null || !form.Items.TryGetValue(message.Parts[at], out var item) || item.Parts.Count > message.Parts.Count - at)
        {
            return false;
        }
        for (var i = 0; i < item.Parts.Count; i++)
        {
            if (item.Parts[i] != message.Parts[at + i])
            {
                return false;
            }
        }
        Say(message, said);
        BeginItem();
        output.Write(item.Json.Span);
        taken = item.Parts.Count;
        return true;
    }

    private void BeginItem()
    {
        if (hasItems)
        {
            output.WriteByte((byte)',');
        }
        hasItems = true;
    }

    /// <summary>Writes the message item of the parts collected so far.</summary>
    private void Say(NeutralMessage message, List<NeutralPart> said)
    {
        var isAssistant = message.Role == NeutralRole.Assistant;
        said.RemoveAll(part => !CanSay(part, isAssistant));
        if (said.Count == 0)
        {
            return;
        }
        BeginItem();
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "message");
        json.Text("role"u8, message.Role switch
        {
            NeutralRole.System => "system",
            NeutralRole.Developer => "developer",
            NeutralRole.Assistant => "assistant",
            _ => "user",
        });
        json.Name("content"u8);
        WriteParts(said, isAssistant);
        json.End();
        said.Clear();
    }

    /// <summary>Whether a part has a place in a message; where not, it is reported.</summary>
    private bool CanSay(NeutralPart part, bool isAssistant)
    {
        switch (part)
        {
            case TextPart text:
                DropIf(text.Signature is not null, SourcePaths.Thoughts(request.Source));
                return !isAssistant || !text.Text.IsBlank;
            case RefusalPart:
                return true;
            case MediaPart media when !isAssistant && media.Kind != MediaKind.Video:
                return true;
            default:
                Drop(SourcePaths.Part(request.Source) + (part is MediaPart { Kind: var kind } ? "." + kind.ToString().ToLowerInvariant() : ""));
                return false;
        }
    }

    private void WriteParts(List<NeutralPart> parts, bool isAssistant)
    {
        output.Write("["u8);
        for (var i = 0; i < parts.Count; i++)
        {
            if (i > 0)
            {
                output.WriteByte((byte)',');
            }
            WritePart(parts[i], isAssistant);
            if (!IsOurs)
            {
                DropIf(parts[i].Cache is not null, SourcePaths.CacheMark(request.Source));
            }
        }
        output.Write("]"u8);
    }

    private void WritePart(NeutralPart part, bool isAssistant)
    {
        var json = new JsonObjectWriter(output);
        switch (part)
        {
            case RefusalPart refusal:
                json.Text("type"u8, isAssistant ? "refusal" : "input_text");
                json.Text(isAssistant ? "refusal"u8 : "text"u8, refusal.Text);
                break;
            case MediaPart media:
                WriteMedia(ref json, media);
                break;
            default:
                json.Text("type"u8, isAssistant ? "output_text" : "input_text");
                json.Text("text"u8, ((TextPart)part).Text);
                if (isAssistant)
                {
                    json.Raw("annotations"u8, "[]"u8);
                }
                break;
        }
        if (IsOurs)
        {
            json.Members(part.Extensions);
        }
        json.End();
    }

    private void WriteMedia(ref JsonObjectWriter json, MediaPart media)
    {
        if (media.Text.Exists)
        {
            json.Text("type"u8, "input_text");
            json.Text("text"u8, media.Text);
            DropIf(!media.Name.IsBlank, SourcePaths.Part(request.Source) + ".title");
            return;
        }
        switch (media.Kind)
        {
            case MediaKind.Image:
                json.Text("type"u8, "input_image");
                json.Text("detail"u8, media.Detail.Exists ? media.Detail : JsonText.From("auto"));
                if (media.Data.Exists)
                {
                    json.Name("image_url"u8);
                    DataUrls.Write(output, media.MediaType, "image/png"u8, media.Data);
                }
                json.Text("image_url"u8, media.Url);
                json.Text("file_id"u8, media.FileId);
                break;
            case MediaKind.Audio:
                json.Text("type"u8, "input_audio");
                json.Name("input_audio"u8);
                var audio = new JsonObjectWriter(output);
                audio.Text("data"u8, media.Data.Exists ? media.Data : JsonText.Empty);
                audio.Text("format"u8, ChatIds.AudioFormatOf(media.MediaType));
                audio.End();
                DropIf(!media.Data.Exists, SourcePaths.Part(request.Source) + ".audio");
                break;
            default:
                json.Text("type"u8, "input_file");
                if (media.Data.Exists)
                {
                    json.Text("filename"u8, media.Name.IsBlank ? NameFor(media.MediaType) : media.Name);
                    json.Name("file_data"u8);
                    DataUrls.Write(output, media.MediaType, "application/pdf"u8, media.Data);
                }
                json.Text("file_url"u8, media.Url);
                json.Text("file_id"u8, media.FileId);
                break;
        }
    }

    /// <summary>OpenAI wants a name with data, and tells by its end what the data are.</summary>
    private static JsonText NameFor(JsonText mediaType) => JsonText.From(mediaType.ToString() switch
    {
        "text/plain" => "document.txt",
        "text/html" => "document.html",
        "text/csv" => "document.csv",
        "text/markdown" => "document.md",
        "application/json" => "document.json",
        _ => "document.pdf",
    });

    private void WriteCall(ToolCallPart call)
    {
        BeginItem();
        var isCustom = call.Kind == ToolKind.Custom;
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, isCustom ? "custom_tool_call" : "function_call");
        if (IsOurs)
        {
            json.Text("id"u8, call.ItemId);
        }
        json.Text("call_id"u8, CallIdOf(call.Id));
        json.Text("name"u8, call.Name);
        json.Name(isCustom ? "input"u8 : "arguments"u8);
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
            json.Members(call.Extensions);
        }
        else
        {
            DropIf(call.Cache is not null, SourcePaths.CacheMark(request.Source));
        }
        json.End();
    }

    private void WriteResult(ToolResultPart result)
    {
        BeginItem();
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, result.Kind == ToolKind.Custom ? "custom_tool_call_output" : "function_call_output");
        json.Text("call_id"u8, CallIdOf(result.CallId));
        json.Name("output"u8);
        if (!result.Json.IsEmpty)
        {
            output.WriteAsToken(result.Json.Span);
        }
        else if (result.Content is [TextPart only])
        {
            output.WriteText(only.Text);
            DropIf(only.Cache is not null && !IsOurs, SourcePaths.CacheMark(request.Source));
        }
        else
        {
            foreach (var native in result.Content.OfType<NativePart>())
            {
                Drop(UnknownMembers.PathOf(native, NeutralRole.Tool));
            }
            var content = result.Content.Where(part => part is not NativePart && CanSay(part, isAssistant: false)).ToList();
            if (content.Count == 0)
            {
                output.Write("\"\""u8);
            }
            else
            {
                WriteParts(content, isAssistant: false);
            }
        }
        if (IsOurs)
        {
            json.Members(result.Extensions);
        }
        else
        {
            DropIf(result.IsError, SourcePaths.ToolError(request.Source));
            DropIf(result.Cache is not null, SourcePaths.CacheMark(request.Source));
        }
        json.End();
    }

    /// <summary>OpenAI takes back its own reasoning alone, and only with what it encrypted.</summary>
    private void WriteReasoning(ReasoningPart reasoning)
    {
        if (reasoning.Signature is not { Family: SignatureFamilies.OpenAi } signature)
        {
            Drop(SourcePaths.Thoughts(request.Source));
            return;
        }
        BeginItem();
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "reasoning");
        if (reasoning.Id.Escaped.Span.StartsWith("rs_"u8))
        {
            json.Text("id"u8, reasoning.Id);
        }
        json.Name("summary"u8);
        output.Write("["u8);
        IReadOnlyList<JsonText> summaries = reasoning.Summaries.Count > 0 ? reasoning.Summaries : reasoning.Text.IsBlank ? [] : [reasoning.Text];
        for (var i = 0; i < summaries.Count; i++)
        {
            output.Write(i > 0 ? ",{\"type\":\"summary_text\",\"text\":"u8 : "{\"type\":\"summary_text\",\"text\":"u8);
            output.WriteText(summaries[i]);
            output.WriteByte((byte)'}');
        }
        output.Write("]"u8);
        json.Text("encrypted_content"u8, signature.Data);
        json.End();
    }

    /// <summary>A call's id that OpenAI takes: one that is too long is made shorter, the same way each time.</summary>
    private JsonText CallIdOf(JsonText id)
    {
        if (IsOurs || id.Escaped.Length <= MaxCallId)
        {
            return id;
        }
        return JsonText.From("call_" + Convert.ToHexStringLower(SHA256.HashData(id.Escaped.Span))[..32]);
    }
}
