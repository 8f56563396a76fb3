using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Decodes a Converse request.</summary>
internal sealed class BedrockRequestDecoder(NeutralRequest request, BedrockForm form)
{
    private static readonly (byte[] Name, ToolChoiceMode Mode)[] ToolChoices = [("any"u8.ToArray(), ToolChoiceMode.Required), ("tool"u8.ToArray(), ToolChoiceMode.Named), ("auto"u8.ToArray(), ToolChoiceMode.Auto)];

    private static readonly (byte[] Name, MediaKind Kind)[] Media =
        [("image"u8.ToArray(), MediaKind.Image), ("document"u8.ToArray(), MediaKind.Document), ("video"u8.ToArray(), MediaKind.Video), ("audio"u8.ToArray(), MediaKind.Audio)];

    /// <summary>Whether the block that was read last has another shape than its part.</summary>
    private bool isReshaped;

    /// <summary>Decodes a body.</summary>
    /// <param name="body">The body; the request refers to it.</param>
    /// <param name="stream">Whether a stream is wanted.</param>
    /// <param name="request">The request.</param>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request)
    {
        var form = new BedrockForm();
        request = new NeutralRequest { Source = DialectIds.Bedrock, Stream = stream, SourceForm = form };
        try
        {
            var error = new BedrockRequestDecoder(request, form).Run(JsonMembers.Of(body));
            request = error is null ? request : null;
            return error;
        }
        catch (JsonException exception)
        {
            request = null;
            return OpenAiErrors.MalformedJson(exception);
        }
    }

    private GatewayError? Run(JsonMembers body)
    {
        ReadSystem(body);
        var messages = body.Take("messages"u8);
        if (messages.Exists && !messages.IsArray)
        {
            return OpenAiErrors.Invalid("messages", "an array of objects");
        }
        var elements = new JsonArrayReader(messages);
        while (elements.Next(out var element))
        {
            if (!element.IsObject)
            {
                return OpenAiErrors.Invalid("messages[]", "an object");
            }
            if (ReadMessage(JsonMembers.Of(element.Raw)) is { } error)
            {
                return error;
            }
        }
        ReadConfig(TakeObject(body, "inferenceConfig"u8));
        if (ReadTools(TakeObject(body, "toolConfig"u8)) is { } wrong)
        {
            return wrong;
        }
        ReadAdditional(TakeObject(body, "additionalModelRequestFields"u8));
        ReadOutputConfig(TakeObject(body, "outputConfig"u8));
        ReadTier(TakeObject(body, "serviceTier"u8));
        request.Metadata = TakeObject(body, "requestMetadata"u8).Raw;
        body.LeaveTo(request.Extensions);
        return null;
    }

    /// <summary>Takes a member that is an object; any other value stays where it is.</summary>
    private static JsonValue TakeObject(JsonMembers members, ReadOnlySpan<byte> name)
    {
        var value = members.Take(name);
        if (value.Exists && !value.IsObject)
        {
            members.Return(name);
        }
        return value.IsObject ? value : default;
    }

    /// <summary>The members of an object; of any other value, none.</summary>
    private static JsonMembers MembersOf(JsonValue value) => value.IsObject ? JsonMembers.Of(value.Raw) : new JsonMembers();

    private void ReadTier(JsonValue tier)
    {
        var members = MembersOf(tier);
        request.ServiceTier = members.Take("type"u8).Text;
        form.ServiceTier = members.IsEmpty ? default : tier.Raw;
        Lose(members, "serviceTier.");
    }

    /// <summary>Tells that other dialects lose what is left.</summary>
    private void Lose(JsonMembers members, string path)
    {
        var left = new ExtensionBag();
        members.LeaveTo(left);
        foreach (var member in left.Members)
        {
            request.Extensions.Lose(path + member.Key);
        }
    }

    private void ReadSystem(JsonMembers body)
    {
        var system = body.Take("system"u8);
        if (!system.IsArray)
        {
            body.Return("system"u8);
            return;
        }
        var message = new NeutralMessage { Role = NeutralRole.System };
        ReadBlocks(system, message.Parts);
        if (message.Parts.Count > 0)
        {
            request.Messages.Add(message);
        }
    }

    private GatewayError? ReadMessage(JsonMembers message)
    {
        var role = message.Take("role"u8);
        var isUser = role.Is("user"u8);
        if (!isUser && !role.Is("assistant"u8))
        {
            return OpenAiErrors.Invalid("messages[].role", "\"user\" or \"assistant\"");
        }
        var content = message.Take("content"u8);
        if (!content.IsArray)
        {
            return OpenAiErrors.Invalid("messages[].content", "an array of objects");
        }
        var parts = new List<NeutralPart>();
        ReadBlocks(content, parts);
        NeutralMessage? first = null, current = null;
        foreach (var part in parts)
        {
            var wanted = !isUser ? NeutralRole.Assistant : part is ToolResultPart ? NeutralRole.Tool : NeutralRole.User;
            if (current?.Role != wanted)
            {
                current = new NeutralMessage { Role = wanted, IsShort = first is not null };
                first ??= current;
                request.Messages.Add(current);
            }
            current.Parts.Add(part);
        }
        if (first is null)
        {
            request.Messages.Add(first = new NeutralMessage { Role = isUser ? NeutralRole.User : NeutralRole.Assistant });
        }
        message.LeaveTo(first.Extensions);
        return null;
    }

    private void ReadBlocks(JsonValue content, List<NeutralPart> parts)
    {
        var blocks = new JsonArrayReader(content);
        while (blocks.Next(out var block))
        {
            if (!block.IsObject)
            {
                parts.Add(new NativePart { Type = "content[]", Raw = block.Raw });
                continue;
            }
            var members = JsonMembers.Of(block.Raw);
            var point = members.Take("cachePoint"u8);
            if (point.IsObject && parts.Count > 0 && parts[^1] is { Cache: null } and not NativePart && members.IsEmpty && IsUsual(point))
            {
                parts[^1].Cache = ReadMark(point);
                continue;
            }
            members.Return("cachePoint"u8);
            isReshaped = false;
            var part = ReadBlock(members);
            if (part is not null && isReshaped)
            {
                form.Blocks[part] = block.Raw;
            }
            parts.Add(part ?? new NativePart { Type = TypeOf(block), Raw = block.Raw });
        }
    }

    private static bool IsUsual(JsonValue point) => JsonMembers.Of(point.Raw).Take("type"u8) is var type && (!type.Exists || type.Is("default"u8));

    private static string TypeOf(JsonValue block)
    {
        var bag = new ExtensionBag();
        MembersOf(block).LeaveTo(bag);
        return bag.Members is [var first, ..] ? first.Key.ToString() : "content[]";
    }

    private static CacheMark ReadMark(JsonValue point)
    {
        var members = JsonMembers.Of(point.Raw);
        members.Take("type"u8);
        var mark = new CacheMark(members.Take("ttl"u8).Text);
        members.LeaveTo(mark.Extensions);
        return mark;
    }

    private NeutralPart? ReadBlock(JsonMembers members)
    {
        if (members.Take("text"u8) is { IsText: true } text)
        {
            return Whole(members, new TextPart { Text = text.Text });
        }
        foreach (var (name, kind) in Media)
        {
            if (members.Take(name) is { IsObject: true } media)
            {
                return Whole(members, BedrockMedia.Read(media, kind, name, out isReshaped));
            }
        }
        if (members.Take("toolUse"u8) is { IsObject: true } use)
        {
            var call = JsonMembers.Of(use.Raw);
            var input = call.Take("input"u8);
            var part = new ToolCallPart
            {
                Id = call.Take("toolUseId"u8).Text,
                Name = call.Take("name"u8).Text,
                Arguments = input.IsText ? default : input.Exists ? input.Raw : JsonBytes.EmptyObject,
                Text = input.Text,
            };
            if (call.Take("type"u8).Exists || !part.Id.Exists || !part.Name.Exists)
            {
                return null; // a tool that the provider runs, or nothing that anybody could
            }
            call.LeaveTo(part.Extensions, "toolUse."u8);
            return Whole(members, part);
        }
        if (members.Take("toolResult"u8) is { IsObject: true } result)
        {
            var inner = JsonMembers.Of(result.Raw);
            // What has a type came of a tool that the provider ran.
            return inner.Take("type"u8).Exists || ReadResult(inner) is not { CallId.Exists: true } read ? null : Whole(members, read);
        }
        if (members.Take("reasoningContent"u8) is { IsObject: true } reasoning)
        {
            return Whole(members, ReadReasoning(JsonMembers.Of(reasoning.Raw)));
        }
        if (members.Take("citationsContent"u8) is { IsObject: true } cited)
        {
            return Whole(members, ReadCited(JsonMembers.Of(cited.Raw)));
        }
        if (members.Take("guardContent"u8) is { IsObject: true } guarded)
        {
            return Whole(members, ReadGuarded(guarded));
        }
        if (members.Take("json"u8) is { Exists: true } json)
        {
            // Beside other results; alone it is the result.
            isReshaped = true;
            return Whole(members, new TextPart { Text = JsonText.From(System.Text.Encoding.UTF8.GetString(json.Raw.Span)) });
        }
        return null;
    }

    /// <summary>What a guardrail shall look at is part of the prompt all the same.</summary>
    private NeutralPart? ReadGuarded(JsonValue guarded)
    {
        var members = JsonMembers.Of(guarded.Raw);
        NeutralPart? part = members.Take("text"u8) is { IsObject: true } text && JsonMembers.Of(text.Raw).Take("text"u8) is { IsText: true } words ? new TextPart { Text = words.Text }
            : members.Take("image"u8) is { IsObject: true } image ? BedrockMedia.Read(image, MediaKind.Image, "image"u8, out _)
            : null;
        part?.Extensions.Lose("guardContent");
        isReshaped = true;
        return part;
    }

    /// <summary>The part, with what else its block holds.</summary>
    private static NeutralPart? Whole(JsonMembers members, NeutralPart? part)
    {
        if (part is not null)
        {
            members.LeaveTo(part.Extensions);
        }
        return part;
    }

    private ToolResultPart ReadResult(JsonMembers result)
    {
        var (id, content, status) = (result.Take("toolUseId"u8).Text, result.Take("content"u8), result.Take("status"u8));
        var part = new ToolResultPart { CallId = id, IsError = status.Is("error"u8) };
        var (count, json) = (0, default(ReadOnlyMemory<byte>));
        var elements = new JsonArrayReader(content);
        while (elements.Next(out var element))
        {
            count++;
            json = element.IsObject && JsonMembers.Of(element.Raw) is var only && only.Take("json"u8) is { Exists: true } value && only.IsEmpty ? value.Raw : default;
        }
        if (count == 1 && !json.IsEmpty)
        {
            part.Json = json;
        }
        else
        {
            ReadBlocks(content, part.Content);
        }
        isReshaped = false; // what the blocks in it have is kept with them
        if (status.Exists && !part.IsError)
        {
            part.Extensions.Keep(JsonText.From("toolResult.status"), status.Raw);
        }
        result.LeaveTo(part.Extensions, "toolResult."u8);
        return part;
    }

    private static ReasoningPart? ReadReasoning(JsonMembers reasoning)
    {
        if (reasoning.Take("redactedContent"u8) is { IsText: true } redacted)
        {
            var hidden = new ReasoningPart { IsRedacted = true, Signature = new NeutralSignature(SignatureFamilies.Anthropic, redacted.Text) };
            reasoning.LeaveTo(hidden.Extensions, "reasoningContent."u8);
            return hidden;
        }
        if (reasoning.Take("reasoningText"u8) is not { IsObject: true } text)
        {
            return null;
        }
        var members = JsonMembers.Of(text.Raw);
        var (thoughts, signature) = (members.Take("text"u8).Text, members.Take("signature"u8).Text);
        var part = new ReasoningPart { Text = thoughts, Signature = signature.Exists ? new NeutralSignature(SignatureFamilies.Anthropic, signature) : null };
        reasoning.LeaveTo(part.Extensions, "reasoningContent."u8);
        members.LeaveTo(part.Extensions, "reasoningContent.reasoningText."u8);
        return part;
    }

    private TextPart ReadCited(JsonMembers cited)
    {
        var (content, citations) = (cited.Take("content"u8), cited.Take("citations"u8));
        var texts = new JsonArrayReader(content);
        var (said, lost, count) = (new List<JsonText>(), new ExtensionBag(), 0);
        while (texts.Next(out var element))
        {
            count++;
            var members = MembersOf(element);
            if (members.Take("text"u8) is { IsText: true } text)
            {
                said.Add(text.Text);
            }
            isReshaped |= said.Count != count || !members.IsEmpty;
            members.LeaveTo(lost, "citationsContent.content[]."u8);
        }
        var part = new TextPart { Text = said.Count == 1 ? said[0] : JsonText.From(string.Concat(said.Select(text => text.ToString()))) };
        isReshaped |= count != 1 || !citations.IsArray || !cited.IsEmpty;
        cited.LeaveTo(lost, "citationsContent."u8);
        foreach (var member in lost.Members)
        {
            part.Extensions.Lose(member.Key.ToString());
        }
        var elements = new JsonArrayReader(citations);
        while (elements.Next(out var element))
        {
            part.Citations.Add(BedrockCitations.Read(element.Raw));
            if (!BedrockCitations.IsAllSaid(element))
            {
                part.Extensions.Lose("citationsContent.citations[]");
            }
        }
        isReshaped |= part.Citations.Count == 0;
        return part;
    }

    private void ReadConfig(JsonValue config)
    {
        var members = MembersOf(config);
        if (members.Take("maxTokens"u8).TryGetWhole(out var limit))
        {
            request.MaxOutputTokens = limit;
        }
        else
        {
            members.Return("maxTokens"u8);
        }
        request.Sampling.Temperature = members.Take("temperature"u8).Raw;
        request.Sampling.TopP = members.Take("topP"u8).Raw;
        var given = members.Take("stopSequences"u8);
        var stops = new JsonArrayReader(given);
        var isPlain = !given.Exists || given.IsArray;
        while (stops.Next(out var stop))
        {
            isPlain &= stop.IsText;
            if (stop.IsText)
            {
                request.StopSequences.Add(stop.Text);
            }
        }
        if (!isPlain)
        {
            request.StopSequences.Clear();
            members.Return("stopSequences"u8);
        }
        members.LeaveTo(request.Extensions, "inferenceConfig."u8);
    }

    private GatewayError? ReadTools(JsonValue config)
    {
        form.HasToolConfig = config.Exists;
        var members = MembersOf(config);
        var declared = members.Take("tools"u8);
        form.HasTools = declared.IsArray;
        if (!declared.IsArray)
        {
            members.Return("tools"u8);
        }
        var tools = new JsonArrayReader(declared);
        while (tools.Next(out var tool))
        {
            if (!ReadTool(tool))
            {
                return OpenAiErrors.Invalid("toolConfig.tools[].toolSpec.name", "a string");
            }
        }
        if (TakeObject(members, "toolChoice"u8) is { IsObject: true } choice)
        {
            request.ToolChoice = ReadChoice(JsonMembers.Of(choice.Raw));
            if (request.ToolChoice is null)
            {
                members.Return("toolChoice"u8); // a form of the future
            }
            if (request.ToolChoice is { Names: [{ Exists: false }] })
            {
                return OpenAiErrors.Invalid("toolConfig.toolChoice.tool.name", "a string");
            }
        }
        members.LeaveTo(request.Extensions, "toolConfig."u8);
        return null;
    }

    /// <returns>Whether it has a name, if it must have one.</returns>
    private bool ReadTool(JsonValue tool)
    {
        var members = tool.IsObject ? JsonMembers.Of(tool.Raw) : new JsonMembers();
        if (members.Take("cachePoint"u8) is { IsObject: true } point && members.IsEmpty && IsUsual(point) && request.Tools is [.., { Cache: null, Kind: ToolKind.Function } last])
        {
            last.Cache = ReadMark(point);
            return true;
        }
        if (members.Take("toolSpec"u8) is not { IsObject: true } spec)
        {
            request.Tools.Add(new NeutralTool { Kind = ToolKind.Provider, Name = JsonText.From(TypeOf(tool)), Raw = tool.Raw });
            return true;
        }
        var said = JsonMembers.Of(spec.Raw);
        var (name, schema, strict) = (said.Take("name"u8), said.Take("inputSchema"u8), said.Take("strict"u8));
        var held = MembersOf(schema);
        var description = said.Take("description"u8);
        var read = new NeutralTool
        {
            Name = name.Text,
            Description = description.Text,
            Parameters = held.Take("json"u8).Raw,
            Strict = strict.IsBoolean ? strict.IsTrue : null,
        };
        members.LeaveTo(read.Extensions);
        said.LeaveTo(read.Extensions, "toolSpec."u8);
        held.LeaveTo(read.Extensions, "toolSpec.inputSchema."u8);
        if (read.Parameters.IsEmpty || (description.Exists && description.Text.IsBlank) || (strict.Exists && !strict.IsBoolean))
        {
            form.Tools[read] = tool.Raw;
        }
        request.Tools.Add(read);
        return read.Name.Exists;
    }

    private static NeutralToolChoice? ReadChoice(JsonMembers choice)
    {
        foreach (var (name, mode) in ToolChoices)
        {
            if (choice.Take(name) is not { IsObject: true } said)
            {
                continue;
            }
            var read = new NeutralToolChoice { Mode = mode };
            var members = JsonMembers.Of(said.Raw);
            if (mode == ToolChoiceMode.Named)
            {
                read.Names.Add(members.Take("name"u8).Text);
            }
            members.LeaveTo(read.Extensions, [.. name, (byte)'.']);
            choice.LeaveTo(read.Extensions);
            return read;
        }
        return null;
    }

    /// <summary>What a model's own members say that other dialects know, too: Claude's thinking and <c>top_k</c>. The rest goes back as it is.</summary>
    private void ReadAdditional(JsonValue additional)
    {
        if (!additional.Exists)
        {
            return;
        }
        // The whole goes back to this dialect as it is; the parts are for the others.
        request.Extensions.Keep(JsonText.From("additionalModelRequestFields"), additional.Raw);
        var members = JsonMembers.Of(additional.Raw);
        request.Sampling.TopK = members.Take("top_k"u8) is { IsNumber: true } topK ? topK.Raw : default;
        if (members.Take("thinking"u8) is { IsObject: true } thinking)
        {
            var said = JsonMembers.Of(thinking.Raw);
            var type = said.Take("type"u8);
            request.Reasoning = new NeutralReasoning { Enabled = !type.Is("disabled"u8), IsAdaptive = type.Is("adaptive"u8), BudgetTokens = said.Take("budget_tokens"u8).TryGetWhole(out var budget) ? budget : null, Summary = said.Take("display"u8).Text };
            said.LeaveTo(request.Reasoning.Extensions);
        }
        if (members.Take("output_config"u8) is { IsObject: true } output && JsonMembers.Of(output.Raw).Take("effort"u8) is { IsText: true } effort)
        {
            (request.Reasoning ??= new NeutralReasoning()).Effort = effort.Text;
        }
        if (members.Take("reasoningConfig"u8) is { IsObject: true } nova)
        {
            var said = JsonMembers.Of(nova.Raw);
            request.Reasoning = new NeutralReasoning { Enabled = !said.Take("type"u8).Is("disabled"u8), Effort = said.Take("maxReasoningEffort"u8).Text };
            Lose(said, "additionalModelRequestFields.reasoningConfig.");
        }
        if (members.Take("reasoning_effort"u8) is { IsText: true } plain)
        {
            (request.Reasoning ??= new NeutralReasoning()).Effort = plain.Text;
        }
        Lose(members, "additionalModelRequestFields.");
    }

    private void ReadOutputConfig(JsonValue config)
    {
        if (!config.Exists)
        {
            return;
        }
        var isAllSaid = false;
        var outer = JsonMembers.Of(config.Raw);
        if (outer.Take("textFormat"u8) is { IsObject: true } format && JsonMembers.Of(format.Raw) is var formed && formed.Take("structure"u8) is { IsObject: true } structure
            && JsonMembers.Of(structure.Raw) is var structured && structured.Take("jsonSchema"u8) is { IsObject: true } held && JsonMembers.Of(held.Raw) is var schema
            && schema.Take("schema"u8) is { IsText: true } text && JsonBytes.TryReadArguments(text.Text, out var json))
        {
            request.OutputFormat = new NeutralOutputFormat { Schema = json, Name = schema.Take("name"u8).Text, Description = schema.Take("description"u8).Text, Strict = true };
            formed.Take("type"u8);
            isAllSaid = outer.IsEmpty && formed.IsEmpty && structured.IsEmpty && schema.IsEmpty;
        }
        request.Extensions.Keep(JsonText.From("outputConfig"), config.Raw);
        if (!isAllSaid)
        {
            request.Extensions.Lose("outputConfig");
        }
    }
}
