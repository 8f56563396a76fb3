using System.Globalization;
using LlmProxy.Errors;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

internal sealed partial class ChatRequestReader
{
    private readonly List<JsonText> customCalls = [];
    private JsonText lastFunctionCall;
    private int functionCalls;

    private void ReadMessages(JsonValue messages)
    {
        if (!messages.Exists)
        {
            error ??= OpenAiErrors.Missing("messages");
            return;
        }
        Expect(messages.IsArray, "messages", "an array of objects");
        var elements = new JsonArrayReader(messages);
        for (var i = 0; elements.Next(out var message); i++)
        {
            if (Expect(message.IsObject, $"messages[{i}]", "an object"))
            {
                var members = Open(message.Raw);
                ReadMessage(members, $"messages[{i}]");
                Close(members);
            }
        }
    }

    private void ReadMessage(JsonMembers members, string path)
    {
        var role = members.Take("role"u8);
        if (role.Is("tool"u8) || role.Is("function"u8))
        {
            ReadToolMessage(members, path, isFunction: role.Is("function"u8));
            return;
        }
        NeutralRole? known = role.Is("user"u8) ? NeutralRole.User
            : role.Is("assistant"u8) ? NeutralRole.Assistant
            : role.Is("system"u8) ? NeutralRole.System
            : role.Is("developer"u8) ? NeutralRole.Developer
            : null;
        if (!Expect(known is not null, path + ".role", "'system', 'developer', 'user', 'assistant', 'tool' or 'function'"))
        {
            return;
        }
        var message = new NeutralMessage { Role = known!.Value, Name = Text(members, "name"u8, path + ".name") };
        if (known == NeutralRole.Assistant)
        {
            ReadThoughts(members, message);
        }
        message.IsShort = ReadContent(members.Take("content"u8), message.Parts, path);
        if (known == NeutralRole.Assistant)
        {
            ReadAssistant(members, message, path);
        }
        TakeMessageCache(members, message, message.Parts);
        members.LeaveTo(message.Extensions);
        request.Messages.Add(message);
    }

    /// <summary>A mark on the whole message stands after its last part.</summary>
    private void TakeMessageCache(JsonMembers members, NeutralMessage message, List<NeutralPart> parts)
    {
        if (parts.Count > 0 && parts[^1].Cache is null && TakeCache(members) is { } mark)
        {
            parts[^1].Cache = mark;
            form.InPlace.Add(message);
        }
    }

    private void ReadAssistant(JsonMembers members, NeutralMessage message, string path)
    {
        if (members.Take("refusal"u8) is { Exists: true } refusal && Expect(refusal.IsText, path + ".refusal", "a string"))
        {
            message.Parts.Add(new RefusalPart { Text = refusal.Text });
        }
        if (members.Take("audio"u8) is { Exists: true } audio)
        {
            message.Parts.Add(new NativePart { Type = "messages[].audio", Raw = audio.Raw });
        }
        ReadImages(members, message, path);
        var extra = members.Take("extra_content"u8);
        if (extra.Exists)
        {
            if (message.Parts.OfType<TextPart>().LastOrDefault() is { } text && GoogleSignatureOf(extra) is { } signature)
            {
                text.Signature = signature;
            }
            else
            {
                members.Return("extra_content"u8);
            }
        }
        var calls = members.Take("tool_calls"u8);
        Expect(!calls.Exists || calls.IsArray, path + ".tool_calls", "an array of objects");
        var elements = new JsonArrayReader(calls);
        for (var i = 0; elements.Next(out var call); i++)
        {
            if (Expect(call.IsObject, $"{path}.tool_calls[{i}]", "an object"))
            {
                ReadToolCall(call, message, $"{path}.tool_calls[{i}]");
            }
        }
        var function = members.Take("function_call"u8);
        if (function.Exists && Expect(function.IsObject, path + ".function_call", "an object"))
        {
            var inner = Open(function.Raw);
            lastFunctionCall = JsonText.From(string.Create(CultureInfo.InvariantCulture, $"function_call_{functionCalls++}"));
            AddFunctionCall(inner, message, lastFunctionCall, path + ".function_call");
            Close(inner);
        }
    }

    /// <summary>Images that a model made (<c>images</c>, as OpenRouter and others have it).</summary>
    private void ReadImages(JsonMembers members, NeutralMessage message, string path)
    {
        var images = members.Take("images"u8);
        if (!images.IsArray)
        {
            if (images.Exists)
            {
                members.Return("images"u8);
            }
            return;
        }
        var elements = new JsonArrayReader(images);
        for (var i = 0; elements.Next(out var image); i++)
        {
            if (Expect(image.IsObject, $"{path}.images[{i}]", "an object"))
            {
                message.Parts.Add(ReadPart(image, $"{path}.images[{i}]", out _));
            }
        }
    }

    private void ReadToolCall(JsonValue call, NeutralMessage message, string path)
    {
        var members = Open(call.Raw);
        var type = members.Take("type"u8);
        var isCustom = type.Is("custom"u8);
        // Some clients leave the type out; a function is meant.
        if (type.Exists && !isCustom && !type.Is("function"u8))
        {
            Expect(type.IsText, path + ".type", "a string");
            message.Parts.Add(new NativePart { Type = "messages[].tool_calls[]", Raw = call.Raw });
            Close(members);
            return;
        }
        var id = Text(members, "id"u8, path + ".id");
        Expect(id.Exists, path + ".id", "a string");
        members.Take("index"u8); // what some clients keep of a stream
        var body = members.Take(isCustom ? "custom"u8 : "function"u8);
        if (Expect(body.IsObject, path + (isCustom ? ".custom" : ".function"), "an object"))
        {
            var inner = Open(body.Raw);
            var part = isCustom ? AddCustomCall(inner, message, id, path + ".custom") : AddFunctionCall(inner, message, id, path + ".function");
            var extra = members.Take("extra_content"u8);
            part.Signature = GoogleSignatureOf(extra);
            if (extra.Exists && part.Signature is null)
            {
                members.Return("extra_content"u8);
            }
            part.Cache = TakeCache(members);
            members.LeaveTo(part.Extensions);
            Close(inner);
        }
        Close(members);
    }

    private ToolCallPart AddFunctionCall(JsonMembers members, NeutralMessage message, JsonText id, string path)
    {
        var name = Text(members, "name"u8, path + ".name");
        Expect(name.Exists, path + ".name", "a string");
        var arguments = members.Take("arguments"u8);
        Expect(!arguments.Exists || arguments.IsText || arguments.IsObject, path + ".arguments", "JSON in a string");
        var isJson = JsonBytes.TryReadArguments(arguments.Text, out var json);
        var part = new ToolCallPart
        {
            Id = id,
            Name = name,
            Arguments = arguments.IsObject ? arguments.Raw : isJson ? json : default,
            Text = isJson ? default : arguments.Text,
        };
        members.LeaveTo(part.Extensions, "function."u8);
        message.Parts.Add(part);
        return part;
    }

    private ToolCallPart AddCustomCall(JsonMembers members, NeutralMessage message, JsonText id, string path)
    {
        var name = Text(members, "name"u8, path + ".name");
        Expect(name.Exists, path + ".name", "a string");
        var input = Text(members, "input"u8, path + ".input");
        var part = new ToolCallPart { Kind = ToolKind.Custom, Id = id, Name = name, Text = input.Exists ? input : JsonText.Empty };
        members.LeaveTo(part.Extensions, "custom."u8);
        message.Parts.Add(part);
        customCalls.Add(id);
        return part;
    }

    private void ReadToolMessage(JsonMembers members, string path, bool isFunction)
    {
        JsonText id;
        var name = Text(members, "name"u8, path + ".name");
        if (isFunction)
        {
            Expect(name.Exists, path + ".name", "a string");
            id = lastFunctionCall.Exists ? lastFunctionCall : JsonText.From("function_call_0");
        }
        else
        {
            id = Text(members, "tool_call_id"u8, path + ".tool_call_id");
            Expect(id.Exists, path + ".tool_call_id", "a string: the 'id' of the call that this is the result of");
        }
        var message = new NeutralMessage { Role = NeutralRole.Tool };
        var result = new ToolResultPart { CallId = id, Name = name, Kind = customCalls.Exists(call => call.Escaped.Span.SequenceEqual(id.Escaped.Span)) ? ToolKind.Custom : ToolKind.Function };
        result.IsShort = ReadContent(members.Take("content"u8), result.Content, path);
        result.Cache = TakeCache(members);
        message.Parts.Add(result);
        members.LeaveTo(message.Extensions);
        request.Messages.Add(message);
    }

    /// <summary>Thoughts, which compatible providers put into members of several names.</summary>
    private void ReadThoughts(JsonMembers members, NeutralMessage message)
    {
        var (content, reasoning) = (members.Take("reasoning_content"u8), members.Take("reasoning"u8));
        var (details, blocks) = (members.Take("reasoning_details"u8), members.Take("thinking_blocks"u8));
        if (!content.Exists && !reasoning.Exists && !details.Exists && !blocks.Exists)
        {
            return;
        }
        form.Thoughts.Add(message, new ThoughtMembers { ReasoningContent = content.Raw, Reasoning = reasoning.Raw, Details = details.Raw, Blocks = blocks.Raw });
        ReadThinkingBlocks(blocks, message);
        if (message.Parts.Count == 0)
        {
            ReadReasoningDetails(details, message);
        }
        var text = content.IsText ? content.Text : reasoning.Text;
        if (message.Parts.Count == 0 && !text.IsBlank)
        {
            message.Parts.Add(new ReasoningPart { Text = text });
        }
    }

    /// <summary><c>{"type":"thinking","thinking","signature"}</c> and <c>{"type":"redacted_thinking","data"}</c>: Anthropic's blocks.</summary>
    private void ReadThinkingBlocks(JsonValue blocks, NeutralMessage message)
    {
        var elements = new JsonArrayReader(blocks);
        while (elements.Next(out var block))
        {
            var members = Open(block.Raw);
            if (ReadThinkingBlock(members) is { } part)
            {
                message.Parts.Add(part);
            }
            Close(members);
        }
    }

    private static ReasoningPart? ReadThinkingBlock(JsonMembers members)
    {
        var type = members.Take("type"u8);
        if (type.Is("redacted_thinking"u8) && members.Take("data"u8) is { IsText: true } data)
        {
            return new ReasoningPart { IsRedacted = true, Signature = new NeutralSignature(SignatureFamilies.Anthropic, data.Text) };
        }
        if (!type.Is("thinking"u8) || members.Take("thinking"u8) is not { IsText: true } thinking)
        {
            return null;
        }
        var signature = members.Take("signature"u8).Text;
        return new ReasoningPart { Text = thinking.Text, Signature = signature.IsBlank ? null : new NeutralSignature(SignatureFamilies.Anthropic, signature) };
    }

    /// <summary>OpenRouter's <c>reasoning.text</c>, <c>reasoning.summary</c> and <c>reasoning.encrypted</c>.</summary>
    private void ReadReasoningDetails(JsonValue details, NeutralMessage message)
    {
        var elements = new JsonArrayReader(details);
        while (elements.Next(out var detail))
        {
            var members = Open(detail.Raw);
            var type = members.Take("type"u8);
            var family = ChatIds.FamilyOf(members.Take("format"u8).Text);
            var id = members.Take("id"u8).Text;
            var signature = members.Take("signature"u8).Text;
            if (type.Is("reasoning.encrypted"u8) && members.Take("data"u8) is { IsText: true } data)
            {
                message.Parts.Add(new ReasoningPart { Id = id, IsRedacted = family == SignatureFamilies.Anthropic, Signature = new NeutralSignature(family, data.Text) });
            }
            else if (type.Is("reasoning.summary"u8) && members.Take("summary"u8) is { IsText: true } summary)
            {
                message.Parts.Add(new ReasoningPart { Id = id, Text = summary.Text, IsSummary = true });
            }
            else if (type.Is("reasoning.text"u8))
            {
                var text = members.Take("text"u8).Text;
                message.Parts.Add(new ReasoningPart { Id = id, Text = text, Signature = signature.IsBlank ? null : new NeutralSignature(family, signature) });
            }
            Close(members);
        }
    }

    /// <summary>The signature in exactly <c>{"google":{"thought_signature":"…"}}</c>; null: it is something else.</summary>
    private NeutralSignature? GoogleSignatureOf(JsonValue extra)
    {
        if (!extra.IsObject)
        {
            return null;
        }
        var outer = Open(extra.Raw);
        var google = outer.Take("google"u8);
        var inner = Open(google.IsObject ? google.Raw : JsonBytes.EmptyObject);
        var signature = inner.Take("thought_signature"u8).Text;
        var isPlain = outer.IsEmpty && inner.IsEmpty && signature.Exists;
        Close(inner);
        Close(outer);
        return isPlain ? new NeutralSignature(SignatureFamilies.Google, signature) : null;
    }
}
