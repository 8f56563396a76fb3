using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Dialects.Responses;

/// <summary>Notes what bills a response object, be it a whole answer or in the last event of a stream.</summary>
internal static class ResponsesAnswerReader
{
    /// <summary>False: the body is garbage, or only half there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts)
    {
        facts = default;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            return reader.Read() && reader.TokenType == JsonTokenType.StartObject && ReadObject(ref reader, expectedModel, ref facts, out _) && !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Reads the object that the reader stands on the start of.</summary>
    /// <param name="reader">Ends on the object's end.</param>
    /// <param name="expectedModel">The model's name as it was asked for.</param>
    /// <param name="facts">Receives what it says.</param>
    /// <param name="hasOutput">Whether its output has items.</param>
    public static bool ReadObject(ref Utf8JsonReader reader, string expectedModel, ref CompletionFacts facts, out bool hasOutput)
    {
        hasOutput = false;
        var (hasError, hasAnswer, searches) = (false, false, 0);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "usage"u8))
            {
                reader.Read();
                facts.Usage = ResponsesUsage.TryRead(ref reader, out var usage) ? usage : facts.Usage;
            }
            else if (MemberNames.Is(ref reader, "service_tier"u8))
            {
                reader.Read();
                facts.ServiceTier = CompletionReader.TextOf(ref reader, facts.ServiceTier);
            }
            else if (MemberNames.Is(ref reader, "model"u8))
            {
                reader.Read();
                facts.Model = CompletionReader.ModelOf(ref reader, expectedModel);
            }
            else if (MemberNames.Is(ref reader, "status"u8))
            {
                reader.Read();
                facts.IsRunning = reader.TokenType == JsonTokenType.String && (reader.ValueTextEquals("queued"u8) || reader.ValueTextEquals("in_progress"u8));
                reader.Skip();
            }
            else if (MemberNames.Is(ref reader, "id"u8))
            {
                reader.Read();
                facts.AnswerId = reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length <= 256 ? reader.GetString() : null;
                reader.Skip();
            }
            else
            {
                var (isError, isAnswer) = (MemberNames.Is(ref reader, "error"u8), MemberNames.Is(ref reader, "output"u8));
                reader.Read();
                hasError |= isError && reader.TokenType != JsonTokenType.Null;
                hasAnswer |= isAnswer;
                if (isAnswer && reader.TokenType == JsonTokenType.StartArray)
                {
                    hasOutput = CountItems(ref reader, ref searches);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        if (searches > 0 && facts.Usage is { } used)
        {
            facts.Usage = used with { Units = UnitUsage.Of(UnitKind.Search, searches) };
        }
        facts.IsError = hasError && !hasAnswer;
        return reader.TokenType == JsonTokenType.EndObject;
    }

    /// <summary>Whether there are items in the array that the reader stands on the start of, and how many of them are searches, which are billed by themselves.</summary>
    private static bool CountItems(ref Utf8JsonReader reader, ref int searches)
    {
        var any = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            any = true;
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isType = MemberNames.Is(ref reader, "type"u8);
                reader.Read();
                searches += isType && reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("web_search_call"u8) ? 1 : 0;
                reader.Skip();
            }
        }
        return any;
    }
}
