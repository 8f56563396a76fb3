using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesRequestReader
{
    /// <summary>Signatures of calls that came in items of their own.</summary>
    private readonly List<CarriedSignature> callSignatures = [];

    private void ReadItems(JsonValue items, string path)
    {
        var elements = new JsonArrayReader(items);
        for (var i = 0; elements.Next(out var item); i++)
        {
            var at = $"{path}[{i}]";
            if (Expect(item.IsObject, at, "an object"))
            {
                var members = Open(item.Raw);
                ReadItem(members, item, at);
                Close(members);
            }
        }
    }

    private void ReadItem(JsonMembers members, JsonValue item, string path)
    {
        var type = members.Take("type"u8);
        Expect(!type.Exists || type.IsText, path + ".type", "a string");
        if (!type.Exists || type.Is("message"u8))
        {
            ReadMessage(members, item, path);
        }
        else if (type.Is("function_call"u8))
        {
            ReadCall(members, item, path, ToolKind.Function);
        }
        else if (type.Is("custom_tool_call"u8))
        {
            ReadCall(members, item, path, ToolKind.Custom);
        }
        else if (type.Is("function_call_output"u8))
        {
            ReadOutput(members, item, path, ToolKind.Function);
        }
        else if (type.Is("custom_tool_call_output"u8))
        {
            ReadOutput(members, item, path, ToolKind.Custom);
        }
        else if (type.Is("reasoning"u8))
        {
            ReadReasoningItem(members, item, path);
        }
        else if (type.Is("item_reference"u8))
        {
            error ??= new GatewayError(StatusCodes.Status400BadRequest, "item_not_found",
                $"Item with id '{Short(members.Take("id"u8))}' not found. Send the item itself, or an id of this key's that was answered in the last hours.")
            { Field = path + ".id" };
        }
        else
        {
            AddToTurn(NeutralRole.Assistant, new NativePart { Type = type.Text.ToString(), Raw = item.Raw }, item.Raw);
        }
    }

    private void ReadMessage(JsonMembers members, JsonValue item, string path)
    {
        var role = members.Take("role"u8);
        var content = members.Take("content"u8);
        NeutralRole? known = role.Is("user"u8) ? NeutralRole.User
            : role.Is("assistant"u8) ? NeutralRole.Assistant
            : role.Is("system"u8) ? NeutralRole.System
            : role.Is("developer"u8) ? NeutralRole.Developer
            : null;
        if (!Expect(known is not null, path + ".role", "'user', 'assistant', 'system' or 'developer'") || !Expect(content.IsText || content.IsArray, path + ".content", "a string or an array of objects"))
        {
            return;
        }
        var id = members.Take("id"u8).Text;
        members.Take("status"u8);
        // What an assistant did in one turn are several items here and one message elsewhere.
        var message = known == NeutralRole.Assistant && !(content.IsArray && content.Raw.Span[1..^1].Trim(" \t\r\n"u8).IsEmpty) && request.Messages is [.., { Role: NeutralRole.Assistant } last] ? last
            : new NeutralMessage { Role = known!.Value, IsShort = content.IsText, Id = id };
        if (request.Messages.Count == 0 || request.Messages[^1] != message)
        {
            request.Messages.Add(message);
        }
        members.LeaveTo(message.Extensions);
        var raw = new RawItem(item.Raw);
        if (content.IsText)
        {
            raw.Parts.Add(new TextPart { Text = content.Text });
        }
        else
        {
            var parts = new JsonArrayReader(content);
            for (var i = 0; parts.Next(out var part); i++)
            {
                if (Expect(part.IsObject, $"{path}.content[{i}]", "an object"))
                {
                    raw.Parts.Add(ReadPart(part, $"{path}.content[{i}]"));
                }
            }
        }
        message.Parts.AddRange(raw.Parts);
        foreach (var part in raw.Parts)
        {
            form.Items[part] = raw;
        }
        if (raw.Parts.Count == 0)
        {
            form.Items.TryAdd(message, raw);
        }
    }

    private NeutralPart ReadPart(JsonValue part, string path)
    {
        var members = Open(part.Raw);
        try
        {
            var type = members.Take("type"u8);
            NeutralPart? read = type switch
            {
                _ when type.Is("input_text"u8) || type.Is("output_text"u8) || type.Is("text"u8) => ReadTextPart(members, path),
                _ when type.Is("refusal"u8) => new RefusalPart { Text = Required(members, "refusal"u8, path + ".refusal") },
                _ when type.Is("input_image"u8) => ReadImage(members, path),
                _ when type.Is("input_file"u8) => ReadFile(members, path),
                _ when type.Is("input_audio"u8) => ReadAudio(members, path),
                _ => null,
            };
            if (read is null)
            {
                Expect(type.IsText, path + ".type", "a string");
                return new NativePart { Type = type.Text.ToString(), Raw = part.Raw };
            }
            if (members.Take("prompt_cache_breakpoint"u8) is { IsObject: true } mark)
            {
                var inner = Open(mark.Raw);
                read.Cache = new CacheMark(inner.Take("ttl"u8).Text);
                inner.Take("mode"u8);
                inner.LeaveTo(read.Cache.Extensions);
                Close(inner);
            }
            members.LeaveTo(read.Extensions);
            return read;
        }
        finally
        {
            Close(members);
        }
    }

    private TextPart ReadTextPart(JsonMembers members, string path)
    {
        var part = new TextPart { Text = Required(members, "text"u8, path + ".text") };
        var annotations = new JsonArrayReader(members.Take("annotations"u8));
        while (annotations.Next(out var annotation))
        {
            if (annotation.IsObject)
            {
                part.Citations.Add(ResponsesCitations.Read(annotation));
            }
        }
        members.Take("logprobs"u8); // the answer's own, which no provider wants back
        return part;
    }

    private MediaPart ReadImage(JsonMembers members, string path)
    {
        var (url, id) = (Text(members, "image_url"u8, path + ".image_url"), Text(members, "file_id"u8, path + ".file_id"));
        Expect(url.Exists || id.Exists, path + ".image_url", "a URL in a string");
        var (mediaType, data) = DataUrls.Split(url);
        return new MediaPart
        {
            Kind = MediaKind.Image, MediaType = mediaType, Data = data, Url = data.Exists ? default : url, FileId = url.Exists ? default : id, Detail = Text(members, "detail"u8, path + ".detail"),
        };
    }

    private MediaPart ReadFile(JsonMembers members, string path)
    {
        var id = Text(members, "file_id"u8, path + ".file_id");
        var content = Text(members, "file_data"u8, path + ".file_data");
        var url = Text(members, "file_url"u8, path + ".file_url");
        Expect(id.Exists || content.Exists || url.Exists, path, "an object with 'file_data', 'file_url' or 'file_id'");
        var (mediaType, data) = DataUrls.Split(content);
        var type = mediaType.Escaped.Span;
        return new MediaPart
        {
            Kind = type.StartsWith("image/"u8) ? MediaKind.Image : type.StartsWith("audio/"u8) ? MediaKind.Audio : type.StartsWith("video/"u8) ? MediaKind.Video : MediaKind.Document,
            MediaType = mediaType,
            Data = data.Exists ? data : content,
            Url = content.Exists ? default : url,
            FileId = content.Exists || url.Exists ? default : id,
            Name = Text(members, "filename"u8, path + ".filename"),
            Detail = Text(members, "detail"u8, path + ".detail"),
        };
    }

    private MediaPart ReadAudio(JsonMembers members, string path)
    {
        var audio = members.Take("input_audio"u8);
        Expect(audio.IsObject, path + ".input_audio", "an object");
        var inner = Open(audio.IsObject ? audio.Raw : JsonBytes.EmptyObject);
        var part = new MediaPart
        {
            Kind = MediaKind.Audio,
            Data = Required(inner, "data"u8, path + ".input_audio.data"),
            MediaType = OpenAiChat.ChatIds.AudioTypeOf(Text(inner, "format"u8, path + ".input_audio.format")),
        };
        inner.LeaveTo(part.Extensions, "input_audio."u8);
        Close(inner);
        return part;
    }

    private void ReadCall(JsonMembers members, JsonValue item, string path, ToolKind kind)
    {
        var id = Required(members, "call_id"u8, path + ".call_id");
        var name = Required(members, "name"u8, path + ".name");
        var text = Required(members, kind == ToolKind.Custom ? "input"u8 : "arguments"u8, path + (kind == ToolKind.Custom ? ".input" : ".arguments"));
        ReadOnlyMemory<byte> arguments = default;
        var isJson = kind == ToolKind.Function && JsonBytes.TryReadArguments(text, out arguments);
        var part = new ToolCallPart { Kind = kind, Id = id, Name = name, Arguments = isJson ? arguments : default, Text = isJson ? default : text, ItemId = members.Take("id"u8).Text };
        members.Take("status"u8);
        members.LeaveTo(part.Extensions);
        AddToTurn(NeutralRole.Assistant, part, item.Raw);
    }

    private void ReadOutput(JsonMembers members, JsonValue item, string path, ToolKind kind)
    {
        var output = members.Take("output"u8);
        Expect(output.IsText || output.IsArray, path + ".output", "a string or an array of objects");
        var part = new ToolResultPart { Kind = kind, CallId = Required(members, "call_id"u8, path + ".call_id"), IsShort = output.IsText };
        if (output.IsText)
        {
            part.Content.Add(new TextPart { Text = output.Text });
        }
        else
        {
            var elements = new JsonArrayReader(output);
            for (var i = 0; elements.Next(out var element); i++)
            {
                if (Expect(element.IsObject, $"{path}.output[{i}]", "an object"))
                {
                    part.Content.Add(ReadPart(element, $"{path}.output[{i}]"));
                }
            }
        }
        members.Take("id"u8);
        members.Take("status"u8);
        members.LeaveTo(part.Extensions);
        AddToTurn(NeutralRole.Tool, part, item.Raw);
    }

    private void ReadReasoningItem(JsonMembers members, JsonValue item, string path)
    {
        var id = Text(members, "id"u8, path + ".id");
        var content = Text(members, "encrypted_content"u8, path + ".encrypted_content");
        var others = new ExtensionBag();
        var summaries = TextsOf(members.Take("summary"u8), path + ".summary", others);
        var thoughts = TextsOf(members.Take("content"u8), path + ".content", others);
        CarriedSignature? carried = content.IsBlank ? null : CarriedSignature.Read(content);
        if (carried is { Call.Exists: true } call)
        {
            callSignatures.Add(call);
            return;
        }
        var isForeign = carried is { Signature.Family: not SignatureFamilies.OpenAi };
        var texts = thoughts.Count > 0 ? thoughts : summaries;
        var part = new ReasoningPart
        {
            Id = id,
            Signature = carried?.Signature,
            IsRedacted = carried?.IsRedacted == true,
            Text = texts.Count switch { 0 => default, 1 => texts[0], _ => JsonText.Join(texts, "\\n\\n"u8) },
            // What another family signed are the thoughts themselves, which were given to the client as a summary since it shows no other.
            IsSummary = thoughts.Count == 0 && summaries.Count > 0 && !isForeign,
        };
        if (summaries.Count > 1 || thoughts.Count > 0)
        {
            part.Summaries.AddRange(summaries);
        }
        members.Take("status"u8);
        members.LeaveTo(part.Extensions);
        foreach (var name in others.Losses)
        {
            part.Extensions.Lose(name); // to this dialect the item goes back as it came
        }
        AddToTurn(NeutralRole.Assistant, part, item.Raw);
    }

    private List<JsonText> TextsOf(JsonValue array, string path, ExtensionBag others)
    {
        List<JsonText> texts = [];
        Expect(!array.Exists || array.IsArray, path, "an array of objects");
        var elements = new JsonArrayReader(array);
        for (var i = 0; elements.Next(out var element); i++)
        {
            if (Expect(element.IsObject, $"{path}[{i}]", "an object"))
            {
                var members = Open(element.Raw);
                texts.Add(Required(members, "text"u8, $"{path}[{i}].text"));
                members.Take("type"u8);
                members.LeaveTo(others);
                Close(members);
            }
        }
        return texts;
    }

    private void AddToTurn(NeutralRole role, NeutralPart part, ReadOnlyMemory<byte> raw)
    {
        if (request.Messages.Count == 0 || request.Messages[^1].Role != role)
        {
            request.Messages.Add(new NeutralMessage { Role = role });
        }
        request.Messages[^1].Parts.Add(part);
        var item = new RawItem(raw);
        item.Parts.Add(part);
        form.Items[part] = item;
    }

    private void SignCalls()
    {
        foreach (var carried in callSignatures)
        {
            foreach (var part in request.Messages.SelectMany(message => message.Parts))
            {
                if (part is ToolCallPart call && call.Id.Escaped.Span.SequenceEqual(carried.Call.Escaped.Span))
                {
                    call.Signature = carried.Signature;
                }
            }
        }
    }
}
