using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

/// <summary>Decodes a request. The first thing that is wrong is kept as the error; the rest is read on.</summary>
internal sealed partial class ResponsesRequestReader
{
    private readonly NeutralRequest request = new() { Source = DialectIds.OpenAiResponses };
    private readonly ResponsesForm form = new();
    private readonly Stack<JsonMembers> spare = [];
    private GatewayError? error;

    private ResponsesRequestReader() => request.SourceForm = form;

    /// <summary>Decodes a body.</summary>
    public static GatewayError? Read(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request)
    {
        var reader = new ResponsesRequestReader();
        try
        {
            reader.Read(body, stream);
        }
        catch (JsonException exception)
        {
            reader.error = OpenAiErrors.MalformedJson(exception);
        }
        request = reader.error is null ? reader.request : null;
        return reader.error;
    }

    private void Read(ReadOnlyMemory<byte> body, bool stream)
    {
        KeepMembers(body);
        var members = Open(body);
        members.Take("model"u8);
        members.Take("stream"u8);
        request.Stream = stream;
        RefuseKeptElsewhere(members);
        ReadInstructions(members.Take("instructions"u8));
        ReadInput(members.Take("input"u8));
        ReadTools(members.Take("tools"u8));
        ReadToolChoice(members);
        ReadText(members);
        ReadReasoning(members);
        ReadInclude(members.Take("include"u8));
        request.MaxOutputTokens = Whole(members, "max_output_tokens"u8, "max_output_tokens", RequestScanner.MaxOutputLimit);
        request.Sampling.Temperature = Number(members, "temperature"u8, "temperature");
        request.Sampling.TopP = Number(members, "top_p"u8, "top_p");
        request.TopLogProbs = (int?)Whole(members, "top_logprobs"u8, "top_logprobs", int.MaxValue);
        request.ParallelToolCalls = Boolean(members, "parallel_tool_calls"u8, "parallel_tool_calls");
        request.Store = Boolean(members, "store"u8, "store");
        request.ServiceTier = Text(members, "service_tier"u8, "service_tier");
        request.CacheKey = Text(members, "prompt_cache_key"u8, "prompt_cache_key");
        var (user, identifier) = (Text(members, "user"u8, "user"), Text(members, "safety_identifier"u8, "safety_identifier"));
        request.EndUser = identifier.Exists ? identifier : user;
        var metadata = members.Take("metadata"u8);
        Expect(!metadata.Exists || metadata.IsObject, "metadata", "an object of strings");
        request.Metadata = metadata.Raw;
        ReadCacheOptions(members);
        TakeDefaults(members);
        members.LeaveTo(request.Extensions);
        Close(members);
    }

    /// <summary>Keeps every member as it came, since the answer repeats most of them.</summary>
    private void KeepMembers(ReadOnlyMemory<byte> body)
    {
        var reader = new Utf8JsonReader(body.Span, JsonArrayReader.Options);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            error = OpenAiErrors.NotAnObject;
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = JsonStrings.Unescape(reader.ValueSpan);
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            var isNull = reader.TokenType == JsonTokenType.Null;
            reader.Skip();
            if (!isNull)
            {
                form.Members[name] = body[start..(int)reader.BytesConsumed];
            }
        }
    }

    /// <summary>What stands with a provider and not in the request cannot be given to another one.</summary>
    private void RefuseKeptElsewhere(JsonMembers members)
    {
        if (members.Take("previous_response_id"u8) is { Exists: true } previous)
        {
            error ??= new GatewayError(StatusCodes.Status400BadRequest, "previous_response_not_found",
                $"Previous response with id '{Short(previous)}' not found. Send the whole conversation in 'input', or an id of this key's that was answered in the last hours.")
            { Field = "previous_response_id" };
        }
        Refuse(members, "conversation"u8, "conversation", "Send the whole conversation in 'input'.");
        Refuse(members, "prompt"u8, "prompt", "Send the prompt itself in 'instructions' and 'input'.");
        var background = members.Take("background"u8);
        if (background.IsTrue)
        {
            error ??= new GatewayError(StatusCodes.Status400BadRequest, "not_expressible", "The model's provider cannot answer in the background. Leave 'background' out, and ask for a stream where the answer takes long.") { Field = "background" };
        }
    }

    private void Refuse(JsonMembers members, ReadOnlySpan<byte> name, string path, string fix)
    {
        if (members.Take(name).Exists)
        {
            error ??= new GatewayError(StatusCodes.Status400BadRequest, "not_expressible", $"'{path}' names what only OpenAI keeps, and the model's provider is another one. {fix}") { Field = path };
        }
    }

    private static string Short(JsonValue id) => id.IsText && id.Raw.Length <= 256 ? id.Text.ToString() : "?";

    private void ReadInstructions(JsonValue instructions)
    {
        if (!instructions.Exists)
        {
            return;
        }
        if (instructions.IsArray)
        {
            ReadItems(instructions, "instructions");
            form.Members.Remove("instructions"); // they stand in the input from now on
            return;
        }
        if (Expect(instructions.IsText, "instructions", "a string"))
        {
            var message = new NeutralMessage { Role = NeutralRole.System, IsShort = true };
            message.Parts.Add(new TextPart { Text = instructions.Text });
            request.Messages.Add(message);
            form.Instructions = message;
        }
    }

    private void ReadInput(JsonValue input)
    {
        if (input.IsText)
        {
            form.InputIsText = true;
            var message = new NeutralMessage { Role = NeutralRole.User, IsShort = true };
            message.Parts.Add(new TextPart { Text = input.Text });
            request.Messages.Add(message);
            return;
        }
        if (Expect(!input.Exists || input.IsArray, "input", "a string or an array of items"))
        {
            ReadItems(input, "input");
            SignCalls();
        }
    }

    private void ReadText(JsonMembers members)
    {
        var text = members.Take("text"u8);
        if (!text.Exists || !Expect(text.IsObject, "text", "an object"))
        {
            return;
        }
        var inner = Open(text.Raw);
        request.Verbosity = Text(inner, "verbosity"u8, "text.verbosity");
        var format = inner.Take("format"u8);
        if (format.Exists && Expect(format.IsObject, "text.format", "an object"))
        {
            ReadFormat(inner, format);
        }
        inner.LeaveTo(request.Extensions, "text."u8);
        Close(inner);
    }

    private void ReadFormat(JsonMembers outer, JsonValue format)
    {
        var members = Open(format.Raw);
        var type = members.Take("type"u8);
        if (type.Is("json_object"u8))
        {
            form.Format = request.OutputFormat = new NeutralOutputFormat();
            members.LeaveTo(request.OutputFormat.Extensions);
        }
        else if (type.Is("json_schema"u8))
        {
            var schema = members.Take("schema"u8);
            Expect(schema.IsObject, "text.format.schema", "a JSON Schema, which is an object");
            form.Format = request.OutputFormat = new NeutralOutputFormat
            {
                Schema = schema.Exists ? schema.Raw : JsonBytes.EmptyObject,
                Name = Text(members, "name"u8, "text.format.name"),
                Description = Text(members, "description"u8, "text.format.description"),
                Strict = Boolean(members, "strict"u8, "text.format.strict"),
            };
            members.LeaveTo(request.OutputFormat.Extensions);
        }
        else if (!type.Is("text"u8) || !members.IsEmpty)
        {
            outer.Return("format"u8);
        }
        Close(members);
    }

    private void ReadReasoning(JsonMembers members)
    {
        var reasoning = members.Take("reasoning"u8);
        if (!reasoning.Exists || !Expect(reasoning.IsObject, "reasoning", "an object"))
        {
            return;
        }
        var inner = Open(reasoning.Raw);
        var made = new NeutralReasoning { Effort = Text(inner, "effort"u8, "reasoning.effort") };
        var (summary, older) = (Text(inner, "summary"u8, "reasoning.summary"), Text(inner, "generate_summary"u8, "reasoning.generate_summary"));
        made.Summary = summary.Exists ? summary : older;
        made.Visible = made.Summary.Exists ? true : null;
        made.Enabled = made.Effort.Is("none"u8) ? false : made.Effort.Exists ? true : null;
        inner.LeaveTo(made.Extensions);
        Close(inner);
        form.Reasoning = request.Reasoning = made;
    }

    /// <summary>What the answer shall hold besides. Signed reasoning and log probabilities have a meaning elsewhere; the rest belongs to OpenAI's own tools.</summary>
    private void ReadInclude(JsonValue include)
    {
        if (!Expect(!include.Exists || include.IsArray, "include", "an array of strings"))
        {
            return;
        }
        var elements = new JsonArrayReader(include);
        while (elements.Next(out var element))
        {
            if (element.Is("reasoning.encrypted_content"u8))
            {
                form.WantsEncryptedContent = true;
            }
            else if (element.Is("message.output_text.logprobs"u8))
            {
                request.LogProbs = true;
            }
            else if (Expect(element.IsText, "include", "an array of strings"))
            {
                request.Extensions.Add(JsonText.FromEscaped([.. "include."u8, .. element.Text.Escaped.Span]), element.Raw);
            }
        }
    }

    private void ReadCacheOptions(JsonMembers members)
    {
        var options = members.Take("prompt_cache_options"u8);
        if (!options.Exists || !Expect(options.IsObject, "prompt_cache_options", "an object"))
        {
            return;
        }
        var inner = Open(options.Raw);
        if (inner.Take("mode"u8).Is("explicit"u8))
        {
            members.Return("prompt_cache_options"u8);
        }
        else
        {
            request.Cache = new CacheMark(Text(inner, "ttl"u8, "prompt_cache_options.ttl"));
            inner.LeaveTo(request.Cache.Extensions);
        }
        Close(inner);
    }

    /// <summary>Settings that ask for no more than what every provider does anyway need no report when they are left out.</summary>
    private static void TakeDefaults(JsonMembers members)
    {
        if (!members.Take("truncation"u8).Is("disabled"u8))
        {
            members.Return("truncation"u8);
        }
        var options = members.Take("stream_options"u8);
        if (options.Exists)
        {
            var inner = JsonMembers.Of(options.Raw);
            inner.Take("include_obfuscation"u8); // padding of the events, which the gateway never adds
            if (!inner.IsEmpty)
            {
                members.Return("stream_options"u8);
            }
        }
    }

    /// <summary>The members of an object, in a list that is used again once it is closed.</summary>
    private JsonMembers Open(ReadOnlyMemory<byte> json)
    {
        var members = spare.TryPop(out var used) ? used : new JsonMembers();
        members.Read(json);
        return members;
    }

    private void Close(JsonMembers members) => spare.Push(members);

    private bool Expect(bool isRight, string path, string expected)
    {
        if (!isRight)
        {
            error ??= OpenAiErrors.Invalid(path, expected);
        }
        return isRight;
    }

    private JsonText Text(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        Expect(!value.Exists || value.IsText, path, "a string");
        return value.Text;
    }

    private JsonText Required(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        Expect(value.IsText, path, "a string");
        return value.IsText ? value.Text : JsonText.Empty;
    }

    private bool? Boolean(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        Expect(!value.Exists || value.IsBoolean, path, "true or false");
        return value.IsBoolean ? value.IsTrue : null;
    }

    private ReadOnlyMemory<byte> Number(JsonMembers members, ReadOnlySpan<byte> name, string path)
    {
        var value = members.Take(name);
        return Expect(!value.Exists || value.IsNumber, path, "a number") ? value.Raw : default;
    }

    private long? Whole(JsonMembers members, ReadOnlySpan<byte> name, string path, long most)
    {
        var value = members.Take(name);
        if (!value.Exists)
        {
            return null;
        }
        return Expect(value.TryGetWhole(out var number) && number >= 0 && number <= most, path, $"a whole number from 0 to {most}") ? number : null;
    }
}
