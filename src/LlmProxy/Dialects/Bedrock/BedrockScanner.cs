using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Relay;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Reads a Converse request once for what bills it; the model and whether to stream stand in the address.</summary>
internal ref struct BedrockScanner
{
    private static readonly string[] Members = ["messages", "system", "inferenceConfig", "toolConfig", "guardrailConfig", "additionalModelRequestFields", "promptVariables", "serviceTier"];

    // Members of a model's own by which output or its price goes beyond what inferenceConfig says.
    private static readonly string[] Escapes =
        ["max_tokens", "maxTokens", "max_new_tokens", "maxTokenCount", "max_gen_len", "max_completion_tokens", "max_tokens_to_sample", "inferenceConfig", "tools", "mcp_servers", "n", "num_generations", "speed"];

    private Utf8JsonReader reader;

    private BedrockScanner(ReadOnlySpan<byte> body) => reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });

    /// <summary>Scans a body.</summary>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        fields.Choices = Math.Max(1, fields.Choices);
        try
        {
            return new BedrockScanner(body).Run(ref fields);
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
        catch (InvalidOperationException)
        {
            return OpenAiErrors.NotAnObject; // a member's name that is not text: escapes that make no character
        }
    }

    /// <summary>Puts the output limit in.</summary>
    public static void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        var inserted = edit.BesideLimit ?? [];
        if (edit.OutputLimit is { } limit)
        {
            var digits = Encoding.ASCII.GetBytes(limit.ToString(CultureInfo.InvariantCulture));
            if (!fields.MaxTokens.Value.Exists)
            {
                inserted = [.. "\"maxTokens\":"u8, .. digits, .. inserted.Length > 0 ? ","u8 : ""u8, .. inserted];
            }
            else if (fields.MaxTokens.Tokens is null || fields.MaxTokens.Tokens > limit)
            {
                edits.Add(fields.MaxTokens.Value.Offset, fields.MaxTokens.Value.Length, digits);
            }
        }
        if (inserted.Length > 0)
        {
            RouteDefaults.AddTo(body, fields.LimitContainer, "inferenceConfig"u8, inserted, body.IndexOf((byte)'{') + 1, edits);
        }
    }

    private GatewayError? Run(ref RoutedFields fields)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.NotAnObject;
        }
        var seen = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = IndexOf(Members);
            reader.Read();
            if (member < 0)
            {
                reader.Skip();
                continue;
            }
            var name = Members[member];
            if ((seen & (1 << member)) != 0)
            {
                return OpenAiErrors.Duplicated(name);
            }
            seen |= 1 << member;
            if (Take(name, ref fields) is { } error)
            {
                return error;
            }
        }
        return reader.Read() ? OpenAiErrors.NotAnObject : null;
    }

    private int IndexOf(string[] names)
    {
        for (var i = 0; i < names.Length; i++)
        {
            if (reader.ValueIsEscaped ? MemberNames.Is(ref reader, Encoding.UTF8.GetBytes(names[i])) : reader.ValueTextEquals(names[i]))
            {
                return i;
            }
        }
        return -1;
    }

    private GatewayError? Take(string name, ref RoutedFields fields)
    {
        var isNull = reader.TokenType == JsonTokenType.Null;
        switch (name)
        {
            case "messages":
                return isNull || TryTakeMessages(ref fields) ? null : OpenAiErrors.Invalid(name, "an array of objects");
            case "system":
                if (isNull || reader.TokenType == JsonTokenType.StartArray)
                {
                    TakeContent("system[]", ref fields);
                    return null;
                }
                return OpenAiErrors.Invalid(name, "an array of objects");
            case "inferenceConfig":
                return TakeConfig(ref fields);
            case "toolConfig":
                return isNull || TryTakeTools(ref fields) ? null : OpenAiErrors.Invalid(name, "an object with 'tools', an array of objects");
            case "additionalModelRequestFields":
                return isNull || TryTakeAdditional(ref fields) ? null : OpenAiErrors.Invalid(name, "an object");
            case "serviceTier":
                return isNull || TryTakeTier(ref fields) ? null : OpenAiErrors.Invalid(name, "an object with 'type', a string");
            default:
                // A guardrail is billed by what it reads, and a managed prompt's text does not stand in the request.
                fields.UnboundedMember ??= isNull ? null : name;
                reader.Skip();
                return null;
        }
    }

    private GatewayError? TakeConfig(ref RoutedFields fields)
    {
        var start = (int)reader.TokenStartIndex;
        if (reader.TokenType == JsonTokenType.Null)
        {
            fields.LimitContainer = new JsonSlice(start, 4);
            return null;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.Invalid("inferenceConfig", "an object");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isLimit = MemberNames.Is(ref reader, "maxTokens"u8);
            var name = new JsonSlice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2);
            reader.Read();
            if (!isLimit)
            {
                reader.Skip();
                continue;
            }
            if (fields.MaxTokens.Value.Exists)
            {
                return OpenAiErrors.Duplicated("inferenceConfig.maxTokens");
            }
            var value = new JsonSlice((int)reader.TokenStartIndex, (int)(reader.BytesConsumed - reader.TokenStartIndex));
            long? limit = null;
            if (reader.TokenType != JsonTokenType.Null)
            {
                if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var tokens) || tokens is < 1 or > RequestScanner.MaxOutputLimit)
                {
                    return OpenAiErrors.Invalid("inferenceConfig.maxTokens", $"a whole number from 1 to {RequestScanner.MaxOutputLimit}");
                }
                limit = tokens;
            }
            fields.MaxTokens = new OutputLimitField(name, value, limit);
        }
        fields.LimitContainer = new JsonSlice(start, (int)reader.BytesConsumed - start);
        return null;
    }

    private bool TryTakeMessages(ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isContent = MemberNames.Is(ref reader, "content"u8);
                reader.Read();
                if (isContent)
                {
                    TakeContent("messages[].content[]", ref fields);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        return true;
    }

    /// <summary>Counts what stands in an array of blocks besides text. The reader is on its start; afterwards on its end.</summary>
    private void TakeContent(string path, ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isResult = MemberNames.Is(ref reader, "toolResult"u8);
                var isImage = MemberNames.Is(ref reader, "image"u8);
                var isPlain = MemberNames.Is(ref reader, "text"u8) || MemberNames.Is(ref reader, "toolUse"u8) || MemberNames.Is(ref reader, "json"u8) || MemberNames.Is(ref reader, "reasoningContent"u8)
                    || MemberNames.Is(ref reader, "cachePoint"u8) || MemberNames.Is(ref reader, "citationsContent"u8) || MemberNames.Is(ref reader, "searchResult"u8);
                var isGuard = MemberNames.Is(ref reader, "guardContent"u8);
                var name = isResult || isImage || isPlain ? "" : Known();
                reader.Read();
                if (reader.TokenType == JsonTokenType.Null)
                {
                    continue;
                }
                if (isResult && reader.TokenType == JsonTokenType.StartObject)
                {
                    TakeResult(path, ref fields);
                    continue;
                }
                if (isGuard)
                {
                    fields.ImageParts++; // it may hold one image
                }
                else if (isImage)
                {
                    fields.ImageParts++;
                }
                else if (!isPlain && !isResult)
                {
                    // The pages of a document and the frames of a film count as more tokens than they have bytes; what is not known here may, too.
                    fields.UnboundedMember ??= $"{path}.{name}";
                }
                reader.Skip();
            }
        }
    }

    private readonly string Known() =>
        reader.ValueTextEquals("document"u8) ? "document" : reader.ValueTextEquals("video"u8) ? "video" : reader.ValueTextEquals("audio"u8) ? "audio" : "(unknown)";

    private void TakeResult(string path, ref RoutedFields fields)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isContent = MemberNames.Is(ref reader, "content"u8);
            reader.Read();
            if (isContent)
            {
                TakeContent(path + ".toolResult.content[]", ref fields);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>Tools that the provider runs (<c>systemTool</c>) are billed beyond tokens.</summary>
    private bool TryTakeTools(ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isTools = MemberNames.Is(ref reader, "tools"u8);
            reader.Read();
            if (!isTools || reader.TokenType == JsonTokenType.Null)
            {
                reader.Skip();
                continue;
            }
            if (reader.TokenType != JsonTokenType.StartArray)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (reader.TokenType != JsonTokenType.StartObject)
                {
                    return false;
                }
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var isOurs = MemberNames.Is(ref reader, "toolSpec"u8) || MemberNames.Is(ref reader, "cachePoint"u8);
                    reader.Read();
                    fields.UnboundedUntranslated ??= isOurs || reader.TokenType == JsonTokenType.Null ? null : "toolConfig.tools";
                    reader.Skip();
                }
            }
        }
        return true;
    }

    private bool TryTakeAdditional(ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var escape = IndexOf(Escapes);
            reader.Read();
            if (escape >= 0 && reader.TokenType != JsonTokenType.Null)
            {
                fields.UnboundedMember ??= "additionalModelRequestFields." + Escapes[escape];
            }
            reader.Skip();
        }
        return true;
    }

    private bool TryTakeTier(ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = MemberNames.Is(ref reader, "type"u8);
            reader.Read();
            if (isType && reader.TokenType != JsonTokenType.Null)
            {
                if (reader.TokenType != JsonTokenType.String)
                {
                    return false;
                }
                fields.ServiceTier = reader.ValueIsEscaped || !Ascii.IsValid(reader.ValueSpan) ? "?" : reader.GetString();
            }
            reader.Skip();
        }
        return true;
    }
}
