using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Routing;
using Shared.Pricing;

namespace LlmProxy.Usage;

/// <summary>What the gateway notes of a complete answer.</summary>
internal struct CompletionFacts
{
    /// <summary>What was used; null: not said.</summary>
    public TokenUsage? Usage;

    /// <summary>The service tier that it was served with.</summary>
    public string? ServiceTier;

    /// <summary>Whether the model's name differs from the expected one; then <see cref="Model"/> holds it.</summary>
    public string? Model;

    /// <summary>The answer's id, where its dialect's answers can be asked for again by it (Responses); null: not said.</summary>
    public string? AnswerId;

    /// <summary>Whether it says that it is still being made (Responses in the background).</summary>
    public bool IsRunning;

    /// <summary>Whether it is an error, although the status says otherwise.</summary>
    public bool IsError;
}

/// <summary>Checks that a body is one complete JSON object and notes its usage.</summary>
internal static class CompletionReader
{
    /// <summary>False: the body is garbage, or only half there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, OpenAiFamily family, string expectedModel, out CompletionFacts facts)
    {
        facts = default;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            var (hasError, hasAnswer) = (false, false);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "usage"u8))
                {
                    reader.Read();
                    facts.Usage = UsageReader.TryRead(ref reader, family.HasOutput, out var usage) ? usage : facts.Usage;
                }
                else if (MemberNames.Is(ref reader, "service_tier"u8))
                {
                    reader.Read();
                    facts.ServiceTier = TextOf(ref reader, facts.ServiceTier);
                }
                else if (MemberNames.Is(ref reader, "model"u8))
                {
                    reader.Read();
                    facts.Model = ModelOf(ref reader, expectedModel);
                }
                else
                {
                    var (isError, isAnswer) = (MemberNames.Is(ref reader, "error"u8), MemberNames.Is(ref reader, family.Member));
                    reader.Read();
                    hasError |= isError && reader.TokenType != JsonTokenType.Null;
                    hasAnswer |= isAnswer;
                    reader.Skip();
                }
            }
            facts.IsError = hasError && !hasAnswer;
            return !reader.Read();
        }
        catch (JsonException)
        {
            return false;
        }
        catch (InvalidOperationException)
        {
            // A member name that is not text: escapes that make no character.
            return false;
        }
    }

    internal static string? ModelOf(ref Utf8JsonReader reader, string expectedModel)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.ValueTextEquals(expectedModel) ? null : reader.GetString();
        }
        reader.Skip();
        return null;
    }

    internal static string? TextOf(ref Utf8JsonReader reader, string? otherwise)
    {
        if (reader.TokenType == JsonTokenType.String)
        {
            return reader.ValueTextEquals("default"u8) ? "default" : reader.GetString();
        }
        reader.Skip();
        return otherwise;
    }
}
