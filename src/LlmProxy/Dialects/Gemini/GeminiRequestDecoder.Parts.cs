using System.Buffers;
using System.Text.Json;
using LlmProxy.Errors;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>The parts of a content: text, thoughts, media, calls and their results.</content>
internal sealed partial class GeminiRequestDecoder
{
    private void ReadPart(ref Utf8JsonReader reader, NeutralMessage message, NeutralMessage results)
    {
        var start = (int)reader.TokenStartIndex;
        var (kind, data) = (default(JsonText), default(ReadOnlyMemory<byte>));
        var (isThought, kinds) = (false, 0);
        var signature = default(JsonText);
        List<KeyValuePair<JsonText, ReadOnlyMemory<byte>>>? others = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            if (name.Is("thought"u8))
            {
                isThought = reader.TokenType == JsonTokenType.True;
                reader.Skip();
            }
            else if (name.Is("thoughtSignature"u8) && reader.TokenType == JsonTokenType.String)
            {
                signature = Text(ref reader);
            }
            else if (name.Is("videoMetadata"u8) || name.Is("mediaResolution"u8) || name.Is("partMetadata"u8))
            {
                (others ??= []).Add(new(name, Raw(ref reader)));
            }
            else
            {
                kinds++;
                (kind, data) = (name, Raw(ref reader));
            }
        }
        var whole = body[start..(int)reader.BytesConsumed];
        if (kinds > 1)
        {
            error = OpenAiErrors.Invalid($"{Where}.parts[{part}]", "an object with exactly one of 'text', 'inlineData', 'fileData', 'functionCall', 'functionResponse', …");
            return;
        }
        var (carried, isRedacted) = signature.Exists ? GeminiSignature.Unwrap(signature) : default;
        if (isRedacted && isThought)
        {
            message.Parts.Add(new ReasoningPart { Signature = carried, IsRedacted = true });
            return;
        }
        var made = Make(kind, data, isThought, carried, whole, message.Role);
        if (made is null)
        {
            return; // refused, or the rest of a call that came in pieces
        }
        if (made is not NativePart)
        {
            if (signature.Exists && made is MediaPart or ToolResultPart)
            {
                made.Extensions.Add(JsonText.From("thoughtSignature"), signature.Token);
            }
            foreach (var other in others ?? [])
            {
                made.Extensions.Add(other.Key, other.Value);
            }
        }
        (made is ToolResultPart ? results : message).Parts.Add(made);
    }

    private NeutralPart? Make(JsonText kind, ReadOnlyMemory<byte> data, bool isThought, NeutralSignature? signature, ReadOnlyMemory<byte> whole, NeutralRole role)
    {
        if (!kind.Exists && signature is not null)
        {
            // A signature alone, as some clients send an empty text.
            return isThought ? new ReasoningPart { IsSummary = true, Signature = signature } : new TextPart { Text = JsonText.Empty, Signature = signature };
        }
        if (kind.Is("text"u8))
        {
            if (data.Span[0] != (byte)'"')
            {
                error = OpenAiErrors.Invalid($"{Where}.parts[{part}].text", "a string");
                return null;
            }
            return isThought && role == NeutralRole.Assistant
                ? new ReasoningPart { Text = new JsonText(data), IsSummary = true, Signature = signature }
                : new TextPart { Text = new JsonText(data), Signature = signature };
        }
        if (kind.Is("inlineData"u8) || kind.Is("fileData"u8))
        {
            return MakeMedium(data, kind.Is("inlineData"u8), $"{Where}.parts[{part}].{kind}");
        }
        if (kind.Is("functionCall"u8) && role == NeutralRole.Assistant)
        {
            return MakeCall(data, signature);
        }
        if (kind.Is("functionResponse"u8) && role == NeutralRole.User)
        {
            return MakeResult(data);
        }
        return new NativePart { Type = kind.Exists ? kind.ToString() : "part", Raw = whole };
    }

    private MediaPart? MakeMedium(ReadOnlyMemory<byte> data, bool isInline, string where)
    {
        JsonText type = default, value = default, name = default;
        var reader = new Utf8JsonReader(data.Span);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            error = OpenAiErrors.Invalid(where, "an object");
            return null;
        }
        ExtensionBag? others = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = GeminiNames.CamelToken(ref reader, data);
            reader.Read();
            if (reader.TokenType != JsonTokenType.String)
            {
                (others ??= new ExtensionBag()).Add(member, Raw(ref reader, data));
            }
            else if (member.Is("mimeType"u8))
            {
                type = JsonText.Of(ref reader, data);
            }
            else if (member.Is(isInline ? "data"u8 : "fileUri"u8))
            {
                value = JsonText.Of(ref reader, data);
            }
            else if (member.Is("displayName"u8))
            {
                name = JsonText.Of(ref reader, data);
            }
            else
            {
                (others ??= new ExtensionBag()).Add(member, JsonText.Of(ref reader, data).Token);
            }
        }
        if (!value.Exists)
        {
            error = OpenAiErrors.Missing(where + (isInline ? ".data" : ".fileUri"));
            return null;
        }
        var isGoogles = !isInline && GeminiFiles.IsGoogles(value);
        var medium = new MediaPart
        {
            Kind = GeminiFiles.KindOf(type, value, isInline),
            MediaType = type,
            Data = isInline ? GeminiFiles.StandardBase64(value) : default,
            Url = !isInline && !isGoogles ? value : default,
            FileId = isGoogles ? value : default,
            Name = name,
        };
        foreach (var other in others?.Members ?? [])
        {
            medium.Extensions.Add(other.Key, other.Value);
        }
        return medium;
    }

    private ToolCallPart? MakeCall(ReadOnlyMemory<byte> data, NeutralSignature? signature)
    {
        JsonText id = default, name = default;
        ReadOnlyMemory<byte> args = default, pieces = default;
        var goesOn = false;
        ExtensionBag? others = null;
        var reader = new Utf8JsonReader(data.Span);
        var where = $"{Where}.parts[{part}].functionCall";
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            error = OpenAiErrors.Invalid(where, "an object");
            return null;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = GeminiNames.CamelToken(ref reader, data);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            if (member.Is("id"u8) && reader.TokenType == JsonTokenType.String)
            {
                id = JsonText.Of(ref reader, data);
            }
            else if (member.Is("name"u8) && reader.TokenType == JsonTokenType.String)
            {
                name = JsonText.Of(ref reader, data);
            }
            else if (member.Is("args"u8) && reader.TokenType == JsonTokenType.StartObject)
            {
                args = Raw(ref reader, data);
            }
            else if (member.Is("partialArgs"u8) && reader.TokenType == JsonTokenType.StartArray)
            {
                pieces = Raw(ref reader, data);
            }
            else if (member.Is("willContinue"u8))
            {
                goesOn = reader.TokenType == JsonTokenType.True;
            }
            else
            {
                (others ??= new ExtensionBag()).Add(member, Raw(ref reader, data));
            }
        }
        if (!name.Exists)
        {
            if (open is null)
            {
                error = OpenAiErrors.Missing(where + ".name");
                return null;
            }
            return Continue(pieces, goesOn, where);
        }
        if (!goesOn && pieces.IsEmpty)
        {
            return Note(new ToolCallPart
            {
                Id = id.IsBlank ? IdAt(content, part) : id,
                Name = name,
                Arguments = args.IsEmpty ? "{}"u8.ToArray() : args,
                Signature = signature,
            }, others);
        }
        open = (id.IsBlank ? IdAt(content, part) : id, name, signature, new GeminiPartialArgs(), new ArrayBufferWriter<byte>());
        return Continue(pieces, goesOn, where);
    }

    private (JsonText Id, JsonText Name, NeutralSignature? Signature, GeminiPartialArgs Args, ArrayBufferWriter<byte> Json)? open;

    /// <summary>Takes more of a call that was streamed, and kept by its client piece by piece; the call is complete with its last piece.</summary>
    private ToolCallPart? Continue(ReadOnlyMemory<byte> pieces, bool goesOn, string where)
    {
        var call = open!.Value;
        if (!pieces.IsEmpty && !call.Args.TryWrite(pieces.Span, call.Json))
        {
            error = OpenAiErrors.Invalid(where + ".partialArgs", "pieces of arguments in their order, each with a 'jsonPath'");
            return null;
        }
        if (goesOn)
        {
            return null;
        }
        call.Args.End(call.Json);
        open = null;
        return Note(new ToolCallPart { Id = call.Id, Name = call.Name, Arguments = call.Json.WrittenMemory, Signature = call.Signature }, null);
    }

    private ToolCallPart Note(ToolCallPart call, ExtensionBag? others)
    {
        foreach (var other in others?.Members ?? [])
        {
            call.Extensions.Add(other.Key, other.Value);
        }
        calls.Add(new Call(call.Name, call.Id));
        return call;
    }

    private ToolResultPart? MakeResult(ReadOnlyMemory<byte> data)
    {
        JsonText id = default, name = default;
        ReadOnlyMemory<byte> response = default;
        var media = new List<NeutralPart>();
        ExtensionBag? others = null;
        var reader = new Utf8JsonReader(data.Span);
        var where = $"{Where}.parts[{part}].functionResponse";
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            error = OpenAiErrors.Invalid(where, "an object");
            return null;
        }
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = GeminiNames.CamelToken(ref reader, data);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            if (member.Is("id"u8) && reader.TokenType == JsonTokenType.String)
            {
                id = JsonText.Of(ref reader, data);
            }
            else if (member.Is("name"u8) && reader.TokenType == JsonTokenType.String)
            {
                name = JsonText.Of(ref reader, data);
            }
            else if (member.Is("response"u8) && reader.TokenType == JsonTokenType.StartObject)
            {
                response = Raw(ref reader, data);
            }
            else if (member.Is("parts"u8) && reader.TokenType == JsonTokenType.StartArray)
            {
                ReadResultMedia(ref reader, data, media, where);
            }
            else
            {
                (others ??= new ExtensionBag()).Add(member, Raw(ref reader, data));
            }
        }
        if (error is not null)
        {
            return null;
        }
        var result = new ToolResultPart { CallId = CallOf(id, name), Name = name };
        SetResponse(result, response);
        result.Content.AddRange(media);
        foreach (var other in others?.Members ?? [])
        {
            result.Extensions.Add(other.Key, other.Value);
        }
        return result;
    }

    private void ReadResultMedia(ref Utf8JsonReader reader, ReadOnlyMemory<byte> data, List<NeutralPart> media, string where)
    {
        while (error is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var isObject = reader.TokenType == JsonTokenType.StartObject;
            var whole = Raw(ref reader, data);
            var inner = new Utf8JsonReader(whole.Span);
            inner.Read();
            NeutralPart? made = null;
            while (isObject && inner.Read() && inner.TokenType == JsonTokenType.PropertyName)
            {
                var (isInline, isFile) = (GeminiNames.Is(ref inner, "inlineData"u8), GeminiNames.Is(ref inner, "fileData"u8));
                inner.Read();
                var value = Raw(ref inner, whole);
                made ??= isInline || isFile ? MakeMedium(value, isInline, where + ".parts[]." + (isInline ? "inlineData" : "fileData")) : null;
            }
            media.Add(made ?? new NativePart { Type = "functionResponse.parts[]", Raw = whole });
        }
    }

    /// <summary>
    /// The response is an object whose <c>output</c> is the result and whose <c>error</c> says what went wrong; without either the whole object is the result
    /// (googleapis/js-genai:src/types.ts, FunctionResponse.response). A text alone under one of these names is taken as that text.
    /// </summary>
    private static void SetResponse(ToolResultPart result, ReadOnlyMemory<byte> response)
    {
        result.Json = response;
        if (response.IsEmpty)
        {
            return;
        }
        var reader = new Utf8JsonReader(response.Span);
        reader.Read();
        var (members, text) = (0, default(JsonText));
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isOutput, isError) = (reader.ValueTextEquals("output"u8), reader.ValueTextEquals("error"u8));
            reader.Read();
            members++;
            result.IsError |= isError && reader.TokenType is not (JsonTokenType.Null or JsonTokenType.False);
            text = (isOutput || isError) && reader.TokenType == JsonTokenType.String ? JsonText.Of(ref reader, response) : default;
            reader.Skip();
        }
        if (members == 1 && text.Exists)
        {
            result.Json = default;
            result.Content.Add(new TextPart { Text = text });
        }
    }

    /// <summary>The call that a result belongs to: by its id, else the first of its name that has no result yet.</summary>
    private JsonText CallOf(JsonText id, JsonText name)
    {
        var isNamed = !id.IsBlank;
        var at = calls.FindIndex(call => (isNamed ? call.Id : call.Name).Token.Span.SequenceEqual((isNamed ? id : name).Token.Span));
        if (at < 0)
        {
            return isNamed ? id : IdAt(content, part);
        }
        var found = calls[at].Id;
        calls.RemoveAt(at);
        return found;
    }
}
