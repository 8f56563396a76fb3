using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Usage;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Checks that a body is one complete message and notes its usage.</summary>
internal static class AnthropicAnswerReader
{
    /// <summary>False: the body is garbage, or only half there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts)
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
                    var figures = new AnthropicFigures();
                    figures.Read(ref reader, out _);
                    facts.Usage = figures.HasCounts ? figures.Usage : facts.Usage;
                    facts.ServiceTier = figures.ServiceTier ?? facts.ServiceTier;
                }
                else if (MemberNames.Is(ref reader, "model"u8))
                {
                    reader.Read();
                    facts.Model = CompletionReader.ModelOf(ref reader, expectedModel);
                }
                else
                {
                    var (isError, isAnswer) = (MemberNames.Is(ref reader, "error"u8), MemberNames.Is(ref reader, "content"u8));
                    reader.Read();
                    hasError |= isError && reader.TokenType != JsonTokenType.Null;
                    hasAnswer |= isAnswer;
                    reader.Skip();
                }
            }
            facts.IsError = hasError && !hasAnswer;
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }
}
