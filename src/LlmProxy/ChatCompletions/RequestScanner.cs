using System.Text;
using System.Text.Json;
using LlmProxy.Completions;
using LlmProxy.Errors;
using LlmProxy.Routing;
using Shared.Http;

namespace LlmProxy.ChatCompletions;

/// <summary>
/// Reads a request body once, from its first byte to its last, for the few members that route and bill it. All else is only checked to be JSON.
/// </summary>
internal ref struct RequestScanner
{
    /// <summary>The deepest nesting that is accepted.</summary>
    public const int MaxDepth = 128;

    /// <summary>The largest output limit and number of choices that are taken seriously; their product times any price fits into <c>Money</c>.</summary>
    public const long MaxOutputLimit = 1_000_000_000;

    private const int MaxChoices = 1024;

    private Utf8JsonReader reader;
    private RoutedFields fields;
    private readonly OpenAiFamily family;
    private int seen;
    private int bestOf;
    private int prompts = 1;
    private bool echoes;

    private RequestScanner(ReadOnlySpan<byte> body, OpenAiFamily family)
    {
        this.family = family;
        reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        fields.Choices = 1;
    }

    /// <summary>Scans a body.</summary>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Scan(ReadOnlySpan<byte> body, OpenAiFamily family, out RoutedFields fields)
    {
        var scanner = new RequestScanner(body, family);
        try
        {
            var error = scanner.Run();
            if (scanner.echoes)
            {
                // Some servers bill the repeated prompt as output: together the answers repeat each prompt once for each of its candidates.
                scanner.fields.PredictionBytes = (body.Length / scanner.prompts) + 1;
            }
            fields = scanner.fields;
            return error;
        }
        catch (JsonException exception)
        {
            fields = default;
            return OpenAiErrors.MalformedJson(exception);
        }
    }

    /// <summary>Which of the given top-level members a body has; the body has been scanned before.</summary>
    public static void FindMembers(ReadOnlySpan<byte> body, ReadOnlySpan<byte[]> names, Span<bool> present)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = MaxDepth });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            for (var i = 0; i < names.Length; i++)
            {
                present[i] |= MemberNames.Is(ref reader, names[i]);
            }
            reader.Read();
            reader.Skip();
        }
    }

    private GatewayError? Run()
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.NotAnObject;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = MemberNames.Recognise(ref reader, family, out var name);
            var nameSlice = new JsonSlice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2); // its quotes with it
            reader.Read();
            if (member == RequestMember.Other)
            {
                reader.Skip();
                continue;
            }
            if (member == RequestMember.Boundless)
            {
                fields.UnboundedMember ??= reader.TokenType is JsonTokenType.Null ? null : name;
                reader.Skip();
                continue;
            }
            if ((seen & (1 << (int)member)) != 0)
            {
                return OpenAiErrors.Duplicated(name);
            }
            seen |= 1 << (int)member;
            if (!TryTake(member, nameSlice))
            {
                return OpenAiErrors.Invalid(name, Expectation(member));
            }
        }
        if (reader.Read())
        {
            return OpenAiErrors.NotAnObject;
        }
        return fields.Model.Exists ? CountAnswers() : OpenAiErrors.Missing("model");
    }

    /// <summary>Every candidate of every prompt is billed.</summary>
    private GatewayError? CountAnswers()
    {
        var answers = Math.Max(fields.Choices, bestOf) * (long)prompts;
        fields.Choices = (int)Math.Min(answers, CompletionMembers.MaxAnswers);
        return answers <= CompletionMembers.MaxAnswers ? null
            : OpenAiErrors.Invalid("prompt", $"so few prompts that, times 'n' or 'best_of', they make at most {CompletionMembers.MaxAnswers} answers");
    }

    private bool TryTake(RequestMember member, JsonSlice name)
    {
        var start = (int)reader.TokenStartIndex;
        switch (member)
        {
            case RequestMember.Model:
                fields.Model = Slice(start);
                return reader.TokenType == JsonTokenType.String;
            case RequestMember.Stream:
                fields.Stream = reader.TokenType == JsonTokenType.True;
                return reader.TokenType is JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null;
            case RequestMember.StreamOptions:
                return TryTakeStreamOptions(start);
            case RequestMember.MaxTokens:
                return TryTakeLimit(name, start, out fields.MaxTokens);
            case RequestMember.MaxCompletionTokens:
                return TryTakeLimit(name, start, out fields.MaxCompletionTokens);
            case RequestMember.Choices:
                return reader.TokenType == JsonTokenType.Null
                    || (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out fields.Choices) && fields.Choices is >= 1 and <= MaxChoices);
            case RequestMember.ServiceTier:
                return TryTakeServiceTier();
            case RequestMember.Prediction:
                var isPrediction = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.Null;
                var isNull = reader.TokenType == JsonTokenType.Null;
                reader.Skip();
                fields.PredictionBytes = isNull ? 0 : Slice(start).Length;
                return isPrediction;
            case RequestMember.Modalities:
                return TryTakeModalities();
            case RequestMember.Audio:
                var isAudio = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.Null;
                reader.Skip();
                return isAudio;
            case RequestMember.Tools:
                return TryTakeTools();
            case RequestMember.Prompt:
                return CompletionMembers.TryTakePrompt(ref reader, ref fields, out prompts);
            case RequestMember.BestOf:
                return reader.TokenType == JsonTokenType.Null
                    || (reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out bestOf) && bestOf is >= 1 and <= MaxChoices);
            case RequestMember.Echo:
                echoes = reader.TokenType == JsonTokenType.True;
                return reader.TokenType is JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null;
            case RequestMember.EmbeddingInput:
                return TextInput.TryTake(ref reader, ref fields, allowsParts: true, out _);
            case RequestMember.ModerationInput:
                return TextInput.TryTake(ref reader, ref fields, allowsParts: true, out _);
            default:
                return MessageScan.TryTake(ref reader, ref fields);
        }
    }

    /// <summary>A text completion may ask for none: with <c>echo</c>, the probabilities of its prompt.</summary>
    private readonly int LeastLimit => family == EndpointFamily.Completions ? 0 : 1;

    /// <summary>The slice from a value's start to the end of what has been read.</summary>
    private readonly JsonSlice Slice(int start) => new(start, (int)reader.BytesConsumed - start);

    private bool TryTakeLimit(JsonSlice name, int start, out OutputLimitField field)
    {
        field = new OutputLimitField(name, Slice(start), null);
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
        }
        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var tokens) || tokens > MaxOutputLimit || tokens < LeastLimit)
        {
            return false;
        }
        field = field with { Tokens = tokens };
        return true;
    }

    private bool TryTakeStreamOptions(int start)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            fields.StreamOptions = Slice(start);
            fields.StreamOptionsIsNull = true;
            return true;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        fields.StreamOptionsIsEmpty = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            fields.StreamOptionsIsEmpty = false;
            var isUsage = MemberNames.Is(ref reader, "include_usage"u8);
            reader.Read();
            if (!isUsage)
            {
                reader.Skip();
                continue;
            }
            if (fields.IncludeUsage.Exists || reader.TokenType is not (JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null))
            {
                return false;
            }
            fields.IncludeUsage = Slice((int)reader.TokenStartIndex);
            fields.WantsUsage = reader.TokenType == JsonTokenType.True;
        }
        fields.StreamOptions = Slice(start);
        return true;
    }

    private bool TryTakeServiceTier()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
        }
        if (reader.TokenType != JsonTokenType.String)
        {
            return false;
        }
        // A tier that is not plain text has no price, which is all that matters here.
        fields.ServiceTier = reader.ValueIsEscaped || !Ascii.IsValid(reader.ValueSpan) ? "?" : reader.GetString();
        return true;
    }

    private bool TryTakeModalities()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.String)
            {
                return false;
            }
            // Whatever is not plainly text may be billed at another rate.
            fields.AudioOutput |= reader.ValueSpan.Length != 4 || !reader.ValueSpan.SequenceEqual("text"u8);
        }
        return true;
    }

    /// <summary>Tools that the provider itself runs are billed beyond tokens; functions are not run by it.</summary>
    private bool TryTakeTools()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
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
                var isType = MemberNames.Is(ref reader, "type"u8);
                reader.Read();
                if (isType && !(reader.TokenType == JsonTokenType.String && (reader.ValueSpan.SequenceEqual("function"u8) || reader.ValueSpan.SequenceEqual("custom"u8))))
                {
                    fields.UnboundedUntranslated ??= "tools";
                }
                reader.Skip();
            }
        }
        return true;
    }

    private readonly string Expectation(RequestMember member) => member switch
    {
        RequestMember.Model => "a string",
        RequestMember.Stream or RequestMember.Echo => "true, false or null",
        RequestMember.StreamOptions => "an object whose 'include_usage', given at most once, is true or false",
        RequestMember.MaxTokens or RequestMember.MaxCompletionTokens => $"a whole number from {LeastLimit} to {MaxOutputLimit}",
        RequestMember.Choices or RequestMember.BestOf => $"a whole number from 1 to {MaxChoices}",
        RequestMember.ServiceTier => "a string",
        RequestMember.Modalities => "an array of strings",
        RequestMember.Prompt => "a string, an array of strings, an array of token numbers, or an array of such arrays",
        RequestMember.EmbeddingInput => "a string, an array of strings, an array of token numbers, or an array of such arrays",
        RequestMember.ModerationInput => "a string, or an array of strings or of objects",
        RequestMember.Messages or RequestMember.Tools => "an array of objects",
        _ => "an object",
    };
}
