using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

/// <summary>Reads a request's body once for what routes and bills it.</summary>
internal ref struct ResponsesScanner
{
    /// <summary>OpenAI takes no smaller limit, but other providers of the format do.</summary>
    private const long LeastLimit = 1;

    private Utf8JsonReader reader;
    private Member seen;

    [Flags]
    private enum Member
    {
        None = 0,
        Model = 1,
        Stream = 2,
        Limit = 4,
        Tier = 8,
        Tools = 16,
        Input = 32,
        Background = 64,

        /// <summary>Its presence makes the price boundless.</summary>
        Boundless = 128,

        /// <summary>A part of the prompt that is text.</summary>
        Text = 256,
    }

    private ResponsesScanner(ReadOnlySpan<byte> body) => reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });

    /// <summary>See <see cref="Dialect.Scan"/>.</summary>
    public static GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        fields.Choices = 1;
        try
        {
            return new ResponsesScanner(body).Run(ref fields);
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

    private GatewayError? Run(ref RoutedFields fields)
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
                    fields.UnboundedUntranslated ??= name;
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
        return fields.Model.Exists ? null : OpenAiErrors.Missing("model");
    }

    private (Member Member, string Name) Recognise()
    {
        if (!reader.ValueIsEscaped)
        {
            return Of(reader.ValueSpan);
        }
        Span<byte> name = stackalloc byte[reader.ValueSpan.Length <= 256 ? 256 : 0];
        return name.IsEmpty ? (Member.None, "") : Of(name[..reader.CopyString(name)]);
    }

    private static (Member Member, string Name) Of(ReadOnlySpan<byte> name) => name.Length switch
    {
        5 when name.SequenceEqual("model"u8) => (Member.Model, "model"),
        5 when name.SequenceEqual("input"u8) => (Member.Input, "input"),
        5 when name.SequenceEqual("tools"u8) => (Member.Tools, "tools"),
        6 when name.SequenceEqual("stream"u8) => (Member.Stream, "stream"),
        10 when name.SequenceEqual("background"u8) => (Member.Background, "background"),
        12 when name.SequenceEqual("service_tier"u8) => (Member.Tier, "service_tier"),
        12 when name.SequenceEqual("instructions"u8) => (Member.Text, "instructions"),
        17 when name.SequenceEqual("max_output_tokens"u8) => (Member.Limit, "max_output_tokens"),
        // What the provider keeps itself: nobody here knows how long it is. Compaction, too, makes tokens that the limit does not cover.
        6 when name.SequenceEqual("prompt"u8) => (Member.Boundless, "prompt"),
        12 when name.SequenceEqual("conversation"u8) => (Member.Boundless, "conversation"),
        18 when name.SequenceEqual("context_management"u8) => (Member.Boundless, "context_management"),
        20 when name.SequenceEqual("previous_response_id"u8) => (Member.Boundless, "previous_response_id"),
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
            case Member.Background:
                if (reader.TokenType == JsonTokenType.True)
                {
                    fields.Background = true;
                    fields.UnboundedUntranslated ??= "background"; // its usage is known when nobody waits for it any more
                }
                return reader.TokenType is JsonTokenType.True or JsonTokenType.False or JsonTokenType.Null;
            case Member.Limit:
                return TryTakeLimit(name, start, ref fields);
            case Member.Tier:
                if (reader.TokenType == JsonTokenType.String)
                {
                    // A tier that is not plain text has no price, which is all that matters here.
                    fields.ServiceTier = reader.ValueIsEscaped || !Ascii.IsValid(reader.ValueSpan) ? "?" : reader.GetString();
                }
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
            case Member.Text:
                if (reader.TokenType == JsonTokenType.StartArray)
                {
                    return TryTakeItems(ref fields, "instructions[]");
                }
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Null;
            case Member.Tools:
                return TryTakeTools(ref fields);
            default:
                return reader.TokenType is JsonTokenType.String or JsonTokenType.Null || TryTakeItems(ref fields, "input[]");
        }
    }

    private bool TryTakeLimit(JsonSlice name, int start, ref RoutedFields fields)
    {
        long? tokens = null;
        if (reader.TokenType == JsonTokenType.Number)
        {
            if (!reader.TryGetInt64(out var given) || given is < LeastLimit or > RequestScanner.MaxOutputLimit)
            {
                return false;
            }
            tokens = given;
        }
        else if (reader.TokenType != JsonTokenType.Null)
        {
            return false;
        }
        fields.MaxTokens = new OutputLimitField(name, new JsonSlice(start, (int)reader.BytesConsumed - start), tokens);
        return true;
    }

    /// <summary>Tools that the provider itself runs are billed beyond tokens; what the client runs is not.</summary>
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
                if (isType && !(reader.TokenType == JsonTokenType.String && IsRunByClient(reader.ValueSpan)))
                {
                    fields.UnboundedUntranslated ??= "tools";
                }
                reader.Skip();
            }
        }
        return true;
    }

    /// <summary>Namespaces hold functions alone. A search for tools and a shell may be run by either side, so only those that are surely the client's count.</summary>
    private static bool IsRunByClient(ReadOnlySpan<byte> type) =>
        type.SequenceEqual("function"u8) || type.SequenceEqual("custom"u8) || type.SequenceEqual("namespace"u8) || type.SequenceEqual("local_shell"u8)
        || type.SequenceEqual("apply_patch"u8) || type.SequenceEqual("computer"u8) || type.SequenceEqual("computer_use_preview"u8);

    private bool TryTakeItems(ref RoutedFields fields, string path)
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
            TakeItem(ref fields, path);
        }
        return true;
    }

    private void TakeItem(ref RoutedFields fields, string path)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = MemberNames.Is(ref reader, "type"u8);
            var isContent = !isType && (MemberNames.Is(ref reader, "content"u8) || MemberNames.Is(ref reader, "output"u8));
            reader.Read();
            if (isType && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("item_reference"u8))
            {
                fields.UnboundedUntranslated ??= path + ".type"; // an earlier item by its id: nobody here knows how long it is
            }
            if (isType && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("image_generation_call"u8))
            {
                fields.UnboundedMember ??= path + ".type"; // an image's size in tokens does not follow from its bytes
            }
            if (isContent && reader.TokenType == JsonTokenType.StartArray)
            {
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    TakePart(ref fields, path);
                }
            }
            else if (isContent && reader.TokenType == JsonTokenType.StartObject)
            {
                TakePart(ref fields, path); // a screenshot
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void TakePart(ref RoutedFields fields, string path)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = MemberNames.Is(ref reader, "type"u8);
            reader.Read();
            if (isType && reader.TokenType == JsonTokenType.String)
            {
                if (reader.ValueTextEquals("input_image"u8) || reader.ValueTextEquals("computer_screenshot"u8))
                {
                    fields.ImageParts++;
                }
                else if (reader.ValueTextEquals("input_audio"u8))
                {
                    fields.AudioParts++;
                }
                else if (reader.ValueTextEquals("input_file"u8) || reader.ValueTextEquals("input_video"u8))
                {
                    // A file's pages can count as more tokens than it has bytes, and one given by its id or address has no bytes here at all.
                    fields.UnboundedMember ??= path + ".content[]." + (reader.ValueTextEquals("input_file"u8) ? "input_file" : "input_video");
                }
            }
            reader.Skip();
        }
    }

    private static string Expectation(Member member) => member switch
    {
        Member.Model or Member.Tier => "a string",
        Member.Stream or Member.Background => "true or false",
        Member.Limit => $"a whole number from {LeastLimit} to {RequestScanner.MaxOutputLimit}",
        Member.Tools => "an array of objects",
        _ => "a string or an array of objects",
    };
}
