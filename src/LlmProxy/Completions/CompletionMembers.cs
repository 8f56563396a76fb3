using System.Text.Json;
using LlmProxy.ChatCompletions;

namespace LlmProxy.Completions;

/// <summary>The members that route and bill a text completion.</summary>
internal static class CompletionMembers
{
    /// <summary>What OpenAI's reference says of a request without <c>max_tokens</c>.</summary>
    public const long UsualOutputTokens = 16;

    /// <summary>More answers than this to one request are refused; their number times any output limit fits into 64 bits.</summary>
    public const int MaxAnswers = 1_000_000;

    public static RequestMember Recognise(ReadOnlySpan<byte> name, out string text)
    {
        if (name.SequenceEqual("prompt"u8))
        {
            text = "prompt";
            return RequestMember.Prompt;
        }
        if (name.SequenceEqual("best_of"u8))
        {
            text = "best_of";
            return RequestMember.BestOf;
        }
        if (name.SequenceEqual("echo"u8))
        {
            text = "echo";
            return RequestMember.Echo;
        }
        return MemberNames.RecogniseCommon(name, hasOutput: true, out text);
    }

    /// <summary>Reads the <c>prompt</c> that the reader stands on. False: it is of a type that has no meaning.</summary>
    public static bool TryTakePrompt(ref Utf8JsonReader reader, ref RoutedFields fields, out int prompts)
    {
        prompts = 1;
        return reader.TokenType == JsonTokenType.Null || TextInput.TryTake(ref reader, ref fields, allowsParts: false, out prompts);
    }
}
