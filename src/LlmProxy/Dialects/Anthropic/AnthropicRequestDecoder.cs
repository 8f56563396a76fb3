using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Decodes a Messages request.</summary>
internal sealed class AnthropicRequestDecoder
{
    private readonly NeutralRequest request;
    private GatewayError? error;

    private AnthropicRequestDecoder(bool stream) => request = new NeutralRequest { Source = DialectIds.Anthropic, Stream = stream };

    /// <summary>Decodes a body.</summary>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request, AnthropicHost host = AnthropicHost.Anthropic)
    {
        request = null;
        var decoder = new AnthropicRequestDecoder(stream);
        try
        {
            var members = JsonMembers.Of(body);
            if (host != AnthropicHost.Anthropic)
            {
                // Headers elsewhere, which say nothing to other formats.
                members.Take("anthropic_version"u8);
                members.Take("anthropic_beta"u8);
            }
            decoder.Read(members);
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
        if (decoder.error is null)
        {
            request = decoder.request;
        }
        return decoder.error;
    }

    private void Read(JsonMembers members)
    {
        members.Take("model"u8);
        members.Take("stream"u8);
        if (members.Take("max_tokens"u8) is { Exists: true } limit)
        {
            if (limit.TryGetWhole(out var tokens) && tokens >= 0)
            {
                request.MaxOutputTokens = tokens;
            }
            else
            {
                Fail("max_tokens", "a whole number, 0 or more");
            }
        }
        ReadSystem(members.Take("system"u8));
        ReadMessages(members.Take("messages"u8));
        ReadTools(members.Take("tools"u8));
        ReadToolChoice(members.Take("tool_choice"u8));
        ReadThinking(members.Take("thinking"u8));
        ReadOutputConfig(members.Take("output_config"u8));
        ReadOutputFormat(members.Take("output_format"u8), "output_format");
        ReadSampling(members);
        ReadStops(members.Take("stop_sequences"u8));
        ReadMetadata(members);
        request.ServiceTier = Text(members.Take("service_tier"u8), "service_tier");
        request.Cache = ReadCache(members, "");
        members.LeaveTo(request.Extensions);
    }

    private void ReadSystem(JsonValue value)
    {
        if (!value.Exists)
        {
            return;
        }
        var message = new NeutralMessage { Role = NeutralRole.System };
        if (value.IsText)
        {
            message.IsShort = true;
            message.Parts.Add(new TextPart { Text = value.Text });
        }
        else
        {
            ReadBlocks(value, message.Parts, "system");
        }
        request.Messages.Add(message);
    }

    private void ReadMessages(JsonValue value)
    {
        if (!value.IsArray)
        {
            Fail("messages", "an array of objects");
            return;
        }
        var elements = new JsonArrayReader(value);
        for (var i = 0; error is null && elements.Next(out var element); i++)
        {
            ReadMessage(element, $"messages[{i}]");
        }
    }

    private void ReadMessage(JsonValue value, string path)
    {
        if (!value.IsObject)
        {
            Fail(path, "an object");
            return;
        }
        var members = JsonMembers.Of(value.Raw);
        var roleValue = members.Take("role"u8);
        NeutralRole? known = roleValue.Is("user"u8) ? NeutralRole.User : roleValue.Is("assistant"u8) ? NeutralRole.Assistant : roleValue.Is("system"u8) ? NeutralRole.System : null;
        if (known is not { } role)
        {
            Fail(path + ".role", "'user', 'assistant' or 'system'");
            return;
        }
        var content = members.Take("content"u8);
        var message = new NeutralMessage { Role = role };
        members.LeaveTo(message.Extensions);
        if (content.IsText)
        {
            message.IsShort = true;
            message.Parts.Add(new TextPart { Text = content.Text });
            request.Messages.Add(message);
            return;
        }
        var parts = new List<NeutralPart>();
        ReadBlocks(content, parts, path + ".content");
        Split(message, parts);
    }

    /// <summary>Puts the results of tools, which stand in users' messages here, into messages of their own.</summary>
    private void Split(NeutralMessage message, List<NeutralPart> parts)
    {
        var current = message;
        foreach (var part in parts)
        {
            var role = message.Role == NeutralRole.User && part is ToolResultPart ? NeutralRole.Tool : message.Role;
            if (role != current.Role)
            {
                if (current.Parts.Count > 0)
                {
                    request.Messages.Add(current);
                }
                var next = new NeutralMessage { Role = role };
                foreach (var (name, value) in current.Parts.Count == 0 ? current.Extensions.Members : [])
                {
                    next.Extensions.Add(name, value);
                }
                current = next;
            }
            current.Parts.Add(part);
        }
        request.Messages.Add(current);
    }

    private void ReadBlocks(JsonValue value, List<NeutralPart> parts, string path)
    {
        if (!value.IsArray)
        {
            Fail(path, "a string or an array of blocks");
            return;
        }
        var elements = new JsonArrayReader(value);
        for (var i = 0; error is null && elements.Next(out var element); i++)
        {
            if (!element.IsObject)
            {
                Fail($"{path}[{i}]", "an object");
                return;
            }
            if (ReadBlock(element, $"{path}[{i}]") is { } part)
            {
                parts.Add(part);
            }
        }
    }

    private NeutralPart? ReadBlock(JsonValue block, string path)
    {
        var members = JsonMembers.Of(block.Raw);
        var type = members.Take("type"u8);
        if (!type.IsText)
        {
            Fail(path + ".type", "a string");
            return null;
        }
        NeutralPart? part = type switch
        {
            _ when type.Is("text"u8) => ReadText(members, path),
            _ when type.Is("image"u8) => ReadMedia(members, MediaKind.Image, path),
            _ when type.Is("document"u8) => ReadMedia(members, MediaKind.Document, path),
            _ when type.Is("search_result"u8) => ReadSearchResult(members, block),
            _ when type.Is("tool_use"u8) => ReadToolUse(members, path),
            _ when type.Is("tool_result"u8) => ReadToolResult(members, path),
            _ when type.Is("thinking"u8) => ReadThought(members),
            _ when type.Is("redacted_thinking"u8) => new ReasoningPart { IsRedacted = true, Signature = ForeignSignatures.Read(Required(members, "data"u8, path)) },
            _ => null,
        };
        if (part is null)
        {
            return error is null ? new NativePart { Type = type.Text.ToString(), Raw = block.Raw } : null;
        }
        part.Cache = ReadCache(members, path + ".");
        members.LeaveTo(part.Extensions);
        return part;
    }

    private TextPart ReadText(JsonMembers members, string path)
    {
        var part = new TextPart { Text = Required(members, "text"u8, path) };
        var citations = new JsonArrayReader(members.Take("citations"u8));
        while (citations.Next(out var citation))
        {
            part.Citations.Add(ReadCitation(citation.Raw));
        }
        return part;
    }

    /// <summary>A citation, with those of its members that others know.</summary>
    public static NeutralCitation ReadCitation(ReadOnlyMemory<byte> raw)
    {
        var members = JsonMembers.Of(raw);
        var url = members.Take("url"u8);
        return new NeutralCitation
        {
            Url = url.Exists ? url.Text : members.Take("source"u8).Text,
            Title = members.Take("title"u8) is { Exists: true } title ? title.Text : members.Take("document_title"u8).Text,
            CitedText = members.Take("cited_text"u8).Text,
            Raw = raw,
        };
    }

    private MediaPart? ReadMedia(JsonMembers members, MediaKind kind, string path)
    {
        var raw = members.Take("source"u8);
        if (!raw.IsObject)
        {
            Fail(path + ".source", "an object");
            return null;
        }
        var source = JsonMembers.Of(raw.Raw);
        var type = source.Take("type"u8);
        var mediaType = source.Take("media_type"u8).Text;
        var name = members.Take("title"u8).Text;
        var (isKnown, data) = (true, default(JsonValue));
        MediaPart part;
        if (type.Is("base64"u8))
        {
            data = source.Take("data"u8);
            part = new MediaPart { Kind = kind, MediaType = mediaType, Data = data.Text, Name = name };
        }
        else if (type.Is("url"u8))
        {
            data = source.Take("url"u8);
            part = new MediaPart { Kind = kind, MediaType = mediaType, Url = data.Text, Name = name };
        }
        else if (type.Is("file"u8))
        {
            data = source.Take("file_id"u8);
            part = new MediaPart { Kind = kind, MediaType = mediaType, FileId = data.Text, Name = name };
        }
        else if (type.Is("text"u8))
        {
            data = source.Take("data"u8);
            part = new MediaPart { Kind = kind, MediaType = mediaType, Text = data.Text, Name = name };
        }
        else if (type.Is("content"u8))
        {
            var content = source.Take("content"u8);
            part = new MediaPart { Kind = kind, Text = content.IsText ? content.Text : JoinTexts(content), Name = name };
            (isKnown, data) = (false, new JsonValue(part.Text.Token));
        }
        else
        {
            Fail(path + ".source.type", "'base64', 'url', 'file', 'text' or 'content'");
            return null;
        }
        if (!data.IsText)
        {
            Fail(path + ".source", "one whose data is a string");
            return null;
        }
        if (!isKnown || !source.IsEmpty)
        {
            members.Return("source"u8); // the neutral form does not hold all of it
        }
        return part;
    }

    private static JsonText JoinTexts(JsonValue blocks)
    {
        var texts = new List<JsonText>();
        var elements = new JsonArrayReader(blocks);
        while (elements.Next(out var element))
        {
            if (JsonMembers.Of(element.Raw).Take("text"u8).Text is { Exists: true } text)
            {
                texts.Add(text);
            }
        }
        return JsonText.Join(texts, "\\n"u8);
    }

    /// <summary>A search result is a document to others: its text under its title. The whole goes back to this dialect alone.</summary>
    private static MediaPart ReadSearchResult(JsonMembers members, JsonValue block)
    {
        var part = new MediaPart { Kind = MediaKind.Document, MediaType = JsonText.From("text/plain"), Text = JoinTexts(members.Take("content"u8)), Name = members.Take("title"u8).Text };
        members.Take("source"u8);
        members.Take("citations"u8);
        part.Extensions.Add(JsonText.From("search_result"), block.Raw);
        return part;
    }

    private ToolCallPart ReadToolUse(JsonMembers members, string path)
    {
        var input = members.Take("input"u8);
        if (input.Exists && !input.IsObject)
        {
            Fail(path + ".input", "an object");
        }
        return new ToolCallPart { Id = Required(members, "id"u8, path), Name = Required(members, "name"u8, path), Arguments = input.Exists ? input.Raw : JsonBytes.EmptyObject };
    }

    private ToolResultPart ReadToolResult(JsonMembers members, string path)
    {
        var part = new ToolResultPart { CallId = Required(members, "tool_use_id"u8, path), IsError = members.Take("is_error"u8).IsTrue };
        var content = members.Take("content"u8);
        if (content.IsText)
        {
            part.IsShort = true;
            part.Content.Add(new TextPart { Text = content.Text });
        }
        else if (content.Exists)
        {
            ReadBlocks(content, part.Content, path + ".content");
        }
        return part;
    }

    private static ReasoningPart ReadThought(JsonMembers members)
    {
        var text = members.Take("thinking"u8).Text;
        var signature = members.Take("signature"u8).Text;
        return new ReasoningPart { Text = text.Exists ? text : JsonText.Empty, Signature = signature.IsBlank ? null : ForeignSignatures.Read(signature) };
    }

    private CacheMark? ReadCache(JsonMembers members, string prefix)
    {
        var value = members.Take("cache_control"u8);
        if (!value.Exists)
        {
            return null;
        }
        if (!value.IsObject)
        {
            Fail(prefix + "cache_control", "an object");
            return null;
        }
        var mark = JsonMembers.Of(value.Raw);
        var type = mark.Take("type"u8);
        var ttl = mark.Take("ttl"u8);
        var cache = new CacheMark(ttl.Text);
        if (!type.Is("ephemeral"u8))
        {
            mark.Return("type"u8);
        }
        mark.LeaveTo(cache.Extensions);
        return cache;
    }

    private void ReadTools(JsonValue value)
    {
        if (value.Exists && !value.IsArray)
        {
            Fail("tools", "an array of objects");
            return;
        }
        var elements = new JsonArrayReader(value);
        for (var i = 0; error is null && elements.Next(out var element); i++)
        {
            if (!element.IsObject)
            {
                Fail($"tools[{i}]", "an object");
                return;
            }
            request.Tools.Add(ReadTool(element, $"tools[{i}]"));
        }
    }

    private NeutralTool ReadTool(JsonValue value, string path)
    {
        var members = JsonMembers.Of(value.Raw);
        var type = members.Take("type"u8);
        if (type.Exists && !type.Is("custom"u8))
        {
            return new NeutralTool { Kind = ToolKind.Provider, Name = members.Take("name"u8).Text, Raw = value.Raw };
        }
        var schema = members.Take("input_schema"u8);
        if (schema.Exists && !schema.IsObject)
        {
            Fail(path + ".input_schema", "an object");
        }
        var strict = members.Take("strict"u8);
        var tool = new NeutralTool
        {
            Name = Required(members, "name"u8, path),
            Description = members.Take("description"u8).Text,
            Parameters = schema.Raw,
            Strict = strict.Exists ? strict.IsTrue : null,
            Cache = ReadCache(members, path + "."),
        };
        members.LeaveTo(tool.Extensions);
        return tool;
    }

    private void ReadToolChoice(JsonValue value)
    {
        if (!value.Exists)
        {
            return;
        }
        var members = JsonMembers.Of(value.Raw);
        var type = members.Take("type"u8);
        ToolChoiceMode? known = type.Is("auto"u8) ? ToolChoiceMode.Auto : type.Is("any"u8) ? ToolChoiceMode.Required : type.Is("tool"u8) ? ToolChoiceMode.Named : type.Is("none"u8) ? ToolChoiceMode.None : null;
        if (known is not { } mode)
        {
            Fail("tool_choice.type", "'auto', 'any', 'tool' or 'none'");
            return;
        }
        var choice = new NeutralToolChoice { Mode = mode };
        if (mode == ToolChoiceMode.Named)
        {
            choice.Names.Add(Required(members, "name"u8, "tool_choice"));
        }
        if (members.Take("disable_parallel_tool_use"u8) is { IsBoolean: true } disabled)
        {
            request.ParallelToolCalls = !disabled.IsTrue;
        }
        members.LeaveTo(choice.Extensions);
        request.ToolChoice = choice;
    }

    private void ReadThinking(JsonValue value)
    {
        if (!value.Exists)
        {
            return;
        }
        var members = JsonMembers.Of(value.Raw);
        var type = members.Take("type"u8);
        var reasoning = request.Reasoning ??= new NeutralReasoning();
        if (type.Is("disabled"u8))
        {
            reasoning.Enabled = false;
        }
        else if (type.Is("enabled"u8) || type.Is("adaptive"u8))
        {
            reasoning.Enabled = true;
            reasoning.IsAdaptive = type.Is("adaptive"u8);
        }
        else
        {
            Fail("thinking.type", "'enabled', 'adaptive' or 'disabled'");
            return;
        }
        if (members.Take("budget_tokens"u8) is { Exists: true } budget)
        {
            if (!budget.TryGetWhole(out var tokens) || tokens < 0)
            {
                Fail("thinking.budget_tokens", "a whole number");
                return;
            }
            reasoning.BudgetTokens = tokens;
        }
        var display = members.Take("display"u8).Text;
        reasoning.Summary = display;
        reasoning.Visible = reasoning.Enabled == true ? !display.Is("omitted"u8) : null;
        members.LeaveTo(reasoning.Extensions);
    }

    private void ReadOutputConfig(JsonValue value)
    {
        if (!value.Exists)
        {
            return;
        }
        var members = JsonMembers.Of(value.Raw);
        if (Text(members.Take("effort"u8), "output_config.effort") is { Exists: true } effort)
        {
            (request.Reasoning ??= new NeutralReasoning()).Effort = effort;
        }
        ReadOutputFormat(members.Take("format"u8), "output_config.format");
        members.LeaveTo(request.Extensions, "output_config."u8);
    }

    private void ReadOutputFormat(JsonValue value, string path)
    {
        if (!value.Exists || error is not null)
        {
            return;
        }
        var members = JsonMembers.Of(value.Raw);
        var schema = members.Take("schema"u8);
        if (!members.Take("type"u8).Is("json_schema"u8) || !schema.IsObject)
        {
            Fail(path, "an object of type 'json_schema' with a 'schema'");
            return;
        }
        request.OutputFormat = new NeutralOutputFormat { Schema = schema.Raw, Strict = true };
        members.LeaveTo(request.OutputFormat.Extensions);
    }

    private void ReadSampling(JsonMembers members)
    {
        request.Sampling.Temperature = Number(members.Take("temperature"u8), "temperature");
        request.Sampling.TopP = Number(members.Take("top_p"u8), "top_p");
        request.Sampling.TopK = Number(members.Take("top_k"u8), "top_k");
    }

    private void ReadStops(JsonValue value)
    {
        var elements = new JsonArrayReader(value);
        while (elements.Next(out var element))
        {
            request.StopSequences.Add(Text(element, "stop_sequences"));
        }
    }

    private void ReadMetadata(JsonMembers members)
    {
        var value = members.Take("metadata"u8);
        if (!value.Exists)
        {
            return;
        }
        var metadata = JsonMembers.Of(value.Raw);
        request.EndUser = metadata.Take("user_id"u8).Text;
        if (!metadata.IsEmpty || !request.EndUser.Exists)
        {
            members.Return("metadata"u8); // the whole goes back as it is
        }
    }

    private JsonText Required(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        if (!value.IsText)
        {
            Fail($"{path}.{System.Text.Encoding.ASCII.GetString(name)}", "a string");
            return JsonText.Empty;
        }
        return value.Text;
    }

    private JsonText Text(JsonValue value, string path)
    {
        if (value.Exists && !value.IsText)
        {
            Fail(path, "a string");
        }
        return value.Text;
    }

    private ReadOnlyMemory<byte> Number(JsonValue value, string path)
    {
        if (value.Exists && !value.IsNumber)
        {
            Fail(path, "a number");
            return default;
        }
        return value.Raw;
    }

    private void Fail(string path, string expected) => error ??= OpenAiErrors.Invalid(path, expected);
}
