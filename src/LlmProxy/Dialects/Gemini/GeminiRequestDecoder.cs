using System.Globalization;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Decodes a <c>GenerateContentRequest</c>.</summary>
internal sealed partial class GeminiRequestDecoder
{
    private readonly ReadOnlyMemory<byte> body;
    private readonly NeutralRequest request;
    private readonly List<Call> calls = [];
    private GatewayError? error;
    private int content, part;

    // What together makes up the form of the answer.
    private ReadOnlyMemory<byte> mimeType, schema, jsonSchema;

    private GeminiRequestDecoder(ReadOnlyMemory<byte> body, bool stream)
    {
        this.body = body;
        request = new NeutralRequest { Source = DialectIds.Gemini, Stream = stream };
    }

    /// <summary>Ids that begin so were made up here, since Google's calls may have none; they never leave for Google.</summary>
    public static ReadOnlySpan<byte> MadeUpId => "call_g"u8;

    /// <summary>Decodes a body. The request refers to it.</summary>
    public static GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request)
    {
        request = null;
        var decoder = new GeminiRequestDecoder(body, stream);
        try
        {
            decoder.Run();
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
        catch (InvalidOperationException)
        {
            return OpenAiErrors.NotAnObject; // text that is none where a name is read
        }
        if (decoder.error is null)
        {
            request = decoder.request;
        }
        return decoder.error;
    }

    /// <summary>The id of a call or result without one: the same each time the history is sent, since turns keep their places.</summary>
    public static JsonText IdAt(int content, int part) => JsonText.From(string.Create(CultureInfo.InvariantCulture, $"call_g{content}_{part}"));

    private void Run()
    {
        var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            error = OpenAiErrors.NotAnObject;
            return;
        }
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            ReadMember(ref reader);
        }
        if (error is null && reader.Read())
        {
            error = OpenAiErrors.NotAnObject;
        }
        SetOutputFormat();
    }

    private void ReadMember(ref Utf8JsonReader reader)
    {
        var name = GeminiNames.CamelToken(ref reader, body);
        reader.Read();
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }
        if (name.Is("contents"u8))
        {
            ReadContents(ref reader);
        }
        else if (name.Is("systemInstruction"u8))
        {
            ReadSystem(ref reader);
        }
        else if (name.Is("tools"u8))
        {
            ReadTools(ref reader);
        }
        else if (name.Is("toolConfig"u8))
        {
            ReadToolConfig(ref reader);
        }
        else if (name.Is("generationConfig"u8))
        {
            ReadConfig(ref reader);
        }
        else if (name.Is("serviceTier"u8) && reader.TokenType == JsonTokenType.String)
        {
            request.ServiceTier = Text(ref reader);
        }
        else if (name.Is("labels"u8) && reader.TokenType == JsonTokenType.StartObject)
        {
            request.Metadata = Raw(ref reader);
        }
        else if (name.Is("model"u8))
        {
            reader.Skip(); // the address names the model
        }
        else
        {
            request.Extensions.Add(name, Raw(ref reader));
        }
    }

    private void ReadContents(ref Utf8JsonReader reader)
    {
        if (!Expect(ref reader, JsonTokenType.StartArray, "contents", "an array of objects"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!Expect(ref reader, JsonTokenType.StartObject, $"contents[{content}]", "an object"))
            {
                return;
            }
            ReadContent(ref reader);
            content++;
        }
    }

    private void ReadContent(ref Utf8JsonReader reader)
    {
        // The role may follow the parts, and decides what they are.
        var ahead = reader;
        var role = NeutralRole.User;
        while (ahead.Read() && ahead.TokenType == JsonTokenType.PropertyName)
        {
            var isRole = GeminiNames.Is(ref ahead, "role"u8);
            ahead.Read();
            if (!isRole)
            {
                ahead.Skip();
                continue;
            }
            if (ahead.TokenType != JsonTokenType.Null && !TryRole(ref ahead, out role))
            {
                error = OpenAiErrors.Invalid($"contents[{content}].role", "'user' or 'model'");
                return;
            }
            break;
        }
        var message = new NeutralMessage { Role = role };
        var results = new NeutralMessage { Role = NeutralRole.Tool };
        var others = new ExtensionBag();
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (name.Is("parts"u8))
            {
                ReadParts(ref reader, message, results);
            }
            else if (name.Is("role"u8))
            {
                reader.Skip();
            }
            else
            {
                others.Add(name, Raw(ref reader));
            }
        }
        foreach (var (name, value) in others.Members)
        {
            (results.Parts.Count > 0 ? results : message).Extensions.Add(name, value);
        }
        if (results.Parts.Count > 0)
        {
            request.Messages.Add(results);
            if (message.Parts.Count == 0)
            {
                return;
            }
            message.IsShort = true; // one content with the results before it
        }
        request.Messages.Add(message);
    }

    private static bool TryRole(ref Utf8JsonReader reader, out NeutralRole role)
    {
        role = NeutralRole.User;
        if (reader.TokenType != JsonTokenType.String)
        {
            return false;
        }
        if (reader.ValueTextEquals("model"u8) || reader.ValueTextEquals("assistant"u8))
        {
            role = NeutralRole.Assistant;
            return true;
        }
        return reader.ValueTextEquals("user"u8) || reader.ValueTextEquals("function"u8) || reader.ValueTextEquals("tool"u8) || reader.ValueTextEquals(""u8);
    }

    private void ReadSystem(ref Utf8JsonReader reader)
    {
        var message = new NeutralMessage { Role = NeutralRole.System };
        if (reader.TokenType == JsonTokenType.String)
        {
            message.Parts.Add(new TextPart { Text = Text(ref reader) });
            request.Messages.Insert(0, message);
            return;
        }
        if (!Expect(ref reader, JsonTokenType.StartObject, "systemInstruction", "an object with 'parts'"))
        {
            return;
        }
        var at = content;
        content = -1; // ids of its parts, if any, must not meet those of a content
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (name.Is("parts"u8))
            {
                ReadParts(ref reader, message, message);
            }
            else if (name.Is("role"u8))
            {
                reader.Skip(); // whatever it says, these are the instructions
            }
            else
            {
                message.Extensions.Add(name, Raw(ref reader));
            }
        }
        content = at;
        request.Messages.Insert(0, message);
    }

    /// <summary>Reads an array of parts, or what Google takes for one: a single part.</summary>
    private void ReadParts(ref Utf8JsonReader reader, NeutralMessage message, NeutralMessage results)
    {
        part = 0;
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            ReadPart(ref reader, message, results);
            return;
        }
        if (reader.TokenType == JsonTokenType.Null || !Expect(ref reader, JsonTokenType.StartArray, $"{Where}.parts", "an array of objects"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!Expect(ref reader, JsonTokenType.StartObject, $"{Where}.parts[{part}]", "an object"))
            {
                return;
            }
            ReadPart(ref reader, message, results);
            part++;
        }
    }

    private string Where => content < 0 ? "systemInstruction" : $"contents[{content}]";

    private void ReadTexts(ref Utf8JsonReader reader, List<JsonText> texts, string where)
    {
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (!Expect(ref reader, JsonTokenType.String, where, "an array of strings"))
            {
                return;
            }
            texts.Add(Text(ref reader));
        }
    }

    private ReadOnlyMemory<byte> Number(ref Utf8JsonReader reader, JsonText name)
    {
        if (!GeminiNumbers.TryRead(ref reader, out var value) && reader.TokenType != JsonTokenType.Number)
        {
            error = OpenAiErrors.Invalid($"generationConfig.{name}", "a number");
            return default;
        }
        return reader.TokenType == JsonTokenType.Number ? Raw(ref reader) : Encoding.ASCII.GetBytes(value.ToString(CultureInfo.InvariantCulture));
    }

    private long Whole(ref Utf8JsonReader reader, JsonText name, long least, long most)
    {
        if (GeminiNumbers.TryReadWhole(ref reader, out var value) && value >= least && value <= most)
        {
            return value;
        }
        error = OpenAiErrors.Invalid($"generationConfig.{name}", $"a whole number from {least} to {most}");
        return least;
    }

    private bool Expect(ref Utf8JsonReader reader, JsonTokenType type, string where, string expected)
    {
        if (reader.TokenType == type)
        {
            return true;
        }
        error = OpenAiErrors.Invalid(where, expected);
        return false;
    }

    private JsonText Text(ref Utf8JsonReader reader) => JsonText.Of(ref reader, body);

    private ReadOnlyMemory<byte> Raw(ref Utf8JsonReader reader) => Raw(ref reader, body);

    private static ReadOnlyMemory<byte> Raw(ref Utf8JsonReader reader, ReadOnlyMemory<byte> body)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return body[start..(int)reader.BytesConsumed];
    }

    private static JsonText Prefixed(string prefix, JsonText name) => JsonText.From(prefix + name);

    private readonly record struct Call(JsonText Name, JsonText Id);
}
