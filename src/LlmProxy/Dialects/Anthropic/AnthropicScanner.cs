using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Reads a request body once for the few members that route and bill it. All else is only checked to be JSON.</summary>
internal ref struct AnthropicScanner
{
    /// <summary>
    /// More tokens than Anthropic puts before the prompt for tools (at most 804, by the table on its page on the price of tool use), for a tool that it has trained
    /// itself (at most 735, computer use) or for a form that the answer must have.
    /// </summary>
    public const int HiddenTokens = 1024;

    private Utf8JsonReader reader;
    private Member seen;

    private AnthropicScanner(ReadOnlySpan<byte> body) => reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });

    [Flags]
    private enum Member
    {
        None = 0,
        Model = 1,
        Stream = 2,
        MaxTokens = 4,
        ServiceTier = 8,
        Messages = 16,
        System = 32,
        Tools = 64,
        Speed = 128,
        OutputConfig = 256,
        OutputFormat = 512,
        Geography = 1024,

        /// <summary>Its presence makes the price boundless.</summary>
        Boundless = 2048,
    }

    /// <summary>Scans a body.</summary>
    /// <param name="body">The body.</param>
    /// <param name="modelInAddress">Whether the body need not name a model.</param>
    /// <param name="fields">Receives what routes and bills.</param>
    /// <param name="isCounted">Whether only its tokens are counted, so that it needs no output limit.</param>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Scan(ReadOnlySpan<byte> body, bool modelInAddress, ref RoutedFields fields, bool isCounted = false)
    {
        var scanner = new AnthropicScanner(body);
        fields.Choices = Math.Max(1, fields.Choices);
        try
        {
            return scanner.Run(modelInAddress, isCounted, ref fields);
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
        catch (InvalidOperationException)
        {
            return OpenAiErrors.NotAnObject; // a name that is no text: escapes that make no character
        }
    }

    private GatewayError? Run(bool modelInAddress, bool isCounted, ref RoutedFields fields)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.NotAnObject;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (member, name) = Recognise();
            var nameSlice = new JsonSlice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2); // its quotes with it
            reader.Read();
            if (member is Member.None or Member.Boundless)
            {
                if (member == Member.Boundless && reader.TokenType != JsonTokenType.Null)
                {
                    fields.UnboundedMember ??= name;
                }
                reader.Skip();
                continue;
            }
            if ((seen & member) != 0)
            {
                return OpenAiErrors.Duplicated(name);
            }
            seen |= member;
            if (!TryTake(member, nameSlice, ref fields))
            {
                return OpenAiErrors.Invalid(name, Expectation(member));
            }
        }
        if (reader.Read())
        {
            return OpenAiErrors.NotAnObject;
        }
        return !fields.Model.Exists && !modelInAddress ? OpenAiErrors.Missing("model")
            : (seen & Member.Messages) == 0 ? OpenAiErrors.Missing("messages")
            : fields.MaxTokens.Tokens is null && !isCounted ? OpenAiErrors.Missing("max_tokens")
            : null;
    }

    private (Member Member, string Name) Recognise()
    {
        if (!reader.ValueIsEscaped)
        {
            return Of(reader.ValueSpan);
        }
        Span<byte> name = stackalloc byte[reader.ValueSpan.Length];
        return Of(name[..reader.CopyString(name)]);
    }

    private static (Member Member, string Name) Of(ReadOnlySpan<byte> name) => name.Length switch
    {
        5 when name.SequenceEqual("model"u8) => (Member.Model, "model"),
        5 when name.SequenceEqual("tools"u8) => (Member.Tools, "tools"),
        5 when name.SequenceEqual("speed"u8) => (Member.Speed, "speed"),
        6 when name.SequenceEqual("stream"u8) => (Member.Stream, "stream"),
        6 when name.SequenceEqual("system"u8) => (Member.System, "system"),
        8 when name.SequenceEqual("messages"u8) => (Member.Messages, "messages"),
        10 when name.SequenceEqual("max_tokens"u8) => (Member.MaxTokens, "max_tokens"),
        12 when name.SequenceEqual("service_tier"u8) => (Member.ServiceTier, "service_tier"),
        13 when name.SequenceEqual("output_config"u8) => (Member.OutputConfig, "output_config"),
        13 when name.SequenceEqual("output_format"u8) => (Member.OutputFormat, "output_format"),
        13 when name.SequenceEqual("inference_geo"u8) => (Member.Geography, "inference_geo"),
        // Tools that the provider runs, a sandbox and other models: each is billed beyond what the body shows.
        9 when name.SequenceEqual("container"u8) => (Member.Boundless, "container"),
        9 when name.SequenceEqual("fallbacks"u8) => (Member.Boundless, "fallbacks"),
        11 when name.SequenceEqual("mcp_servers"u8) => (Member.Boundless, "mcp_servers"),
        _ => (Member.None, ""),
    };

    private bool TryTake(Member member, JsonSlice name, ref RoutedFields fields)
    {
        var start = (int)reader.TokenStartIndex;
        switch (member)
        {
            case Member.Model:
                fields.Model = new JsonSlice(start, (int)reader.BytesConsumed - start);
                return reader.TokenType == JsonTokenType.String;
            case Member.Stream:
                fields.Stream |= reader.TokenType == JsonTokenType.True;
                return reader.TokenType is JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null;
            case Member.MaxTokens:
                return TryTakeLimit(name, start, ref fields);
            case Member.ServiceTier:
                return TryTakeTier(ref fields);
            case Member.Speed:
                if (reader.TokenType == JsonTokenType.String && !reader.ValueTextEquals("standard"u8))
                {
                    fields.ServiceTier = PlainText();
                }
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
            case Member.Geography:
                if (reader.TokenType == JsonTokenType.String && !reader.ValueTextEquals("global"u8))
                {
                    fields.UnboundedMember ??= "inference_geo"; // dearer, and no price list says by how much
                }
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
            case Member.OutputConfig or Member.OutputFormat:
                fields.SpareBytes -= HiddenTokens;
                var isObject = reader.TokenType is JsonTokenType.StartObject or JsonTokenType.Null;
                reader.Skip();
                return isObject;
            case Member.Tools:
                return TryTakeTools(ref fields);
            case Member.System:
                if (reader.TokenType is JsonTokenType.String or JsonTokenType.Null)
                {
                    return true;
                }
                return AnthropicBlocks.TryTakeAll(ref reader, ref fields, "system[]");
            default:
                return AnthropicBlocks.TryTakeMessages(ref reader, ref fields);
        }
    }

    private bool TryTakeLimit(JsonSlice name, int start, ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.Number || !reader.TryGetInt64(out var tokens) || tokens is < 0 or > RequestScanner.MaxOutputLimit)
        {
            return false;
        }
        fields.MaxTokens = new OutputLimitField(name, new JsonSlice(start, (int)reader.BytesConsumed - start), tokens);
        return true;
    }

    private bool TryTakeTier(ref RoutedFields fields)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            // Both tiers that can be asked for cost what the standard one does; fast mode does not, and was perhaps seen before.
            fields.ServiceTier ??= reader.ValueTextEquals("standard_only"u8) ? "standard" : PlainText();
        }
        return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
    }

    /// <summary>A tier that is not plain text has no price, which is all that matters here.</summary>
    private readonly string PlainText() => reader.ValueIsEscaped || !Ascii.IsValid(reader.ValueSpan) ? "?" : Encoding.ASCII.GetString(reader.ValueSpan);

    /// <summary>Tools that the provider itself runs are billed beyond tokens. The client runs its own, and those whose use the models have learned.</summary>
    private bool TryTakeTools(ref RoutedFields fields)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        var any = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            any = true;
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isType = MemberNames.Is(ref reader, "type"u8);
                reader.Read();
                if (isType && reader.TokenType != JsonTokenType.Null && !(reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("custom"u8)))
                {
                    if (reader.TokenType != JsonTokenType.String || !IsRunByClient(reader.ValueSpan))
                    {
                        fields.UnboundedUntranslated ??= "tools";
                    }
                    fields.SpareBytes -= HiddenTokens;
                }
                reader.Skip();
            }
        }
        fields.SpareBytes -= any ? HiddenTokens : 0;
        return true;
    }

    private static bool IsRunByClient(ReadOnlySpan<byte> type) =>
        IsDated(type, "bash_"u8) || IsDated(type, "text_editor_"u8) || IsDated(type, "computer_"u8) || IsDated(type, "memory_"u8);

    private static bool IsDated(ReadOnlySpan<byte> type, ReadOnlySpan<byte> name) => type.StartsWith(name) && type.Length == name.Length + 8 && !type[name.Length..].ContainsAnyExceptInRange((byte)'0', (byte)'9');

    private static string Expectation(Member member) => member switch
    {
        Member.Model => "a string",
        Member.Stream => "true or false",
        Member.MaxTokens => $"a whole number from 0 to {RequestScanner.MaxOutputLimit}",
        Member.ServiceTier or Member.Speed or Member.Geography => "a string",
        Member.System => "a string or an array of objects",
        Member.Messages => "an array of objects whose 'content' is a string or an array of objects",
        Member.Tools => "an array of objects",
        _ => "an object",
    };
}
