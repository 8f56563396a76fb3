using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>The names of why a choice ended.</summary>
internal static class ChatStop
{
    /// <summary>The reason that a name means.</summary>
    /// <param name="token">The name, quotes included; empty: none was given.</param>
    /// <param name="hasCalls">Whether the choice calls tools. Some providers then still say <c>stop</c>, as does OpenAI where the call was demanded.</param>
    /// <param name="hasRefusal">Whether the choice holds a refusal, which OpenAI ends by <c>stop</c> as well.</param>
    public static StopReason ReasonOf(ReadOnlySpan<byte> token, bool hasCalls, bool hasRefusal)
    {
        var name = token.Length < 2 ? default : token[1..^1];
        return name.SequenceEqual("length"u8) || name.SequenceEqual("max_tokens"u8) || name.SequenceEqual("model_length"u8) ? StopReason.MaxTokens
            : name.SequenceEqual("tool_calls"u8) || name.SequenceEqual("function_call"u8) || name.SequenceEqual("tool_use"u8) ? StopReason.ToolUse
            : name.SequenceEqual("content_filter"u8) ? StopReason.ContentFilter
            : name.IsEmpty || name.SequenceEqual("stop"u8) || name.SequenceEqual("eos"u8) || name.SequenceEqual("end_turn"u8) || name.SequenceEqual("STOP"u8)
                ? hasCalls ? StopReason.ToolUse : hasRefusal ? StopReason.Refusal : StopReason.EndTurn
            : StopReason.Other;
    }

    /// <summary>The name of a reason: one of the five that clients know, who refuse any other.</summary>
    public static ReadOnlySpan<byte> NameOf(StopReason reason, bool hasRefusal, bool usesFunctions) => reason switch
    {
        StopReason.MaxTokens or StopReason.ContextExceeded => "\"length\""u8,
        StopReason.ToolUse => usesFunctions ? "\"function_call\""u8 : "\"tool_calls\""u8,
        StopReason.ContentFilter => "\"content_filter\""u8,
        StopReason.Refusal => hasRefusal ? "\"stop\""u8 : "\"content_filter\""u8,
        _ => "\"stop\""u8,
    };

    /// <summary>Whether the name says less than the reason, so that <c>native_finish_reason</c> must say the rest.</summary>
    public static bool IsLossy(StopReason reason) =>
        reason is StopReason.PauseTurn or StopReason.Refusal or StopReason.ContextExceeded or StopReason.MalformedToolCall or StopReason.Other;

    /// <summary>What <c>native_finish_reason</c> says where the upstream gave no name of its own.</summary>
    public static ReadOnlySpan<byte> NativeOf(StopReason reason) => reason switch
    {
        StopReason.PauseTurn => "\"pause_turn\""u8,
        StopReason.Refusal => "\"refusal\""u8,
        StopReason.ContextExceeded => "\"context_exceeded\""u8,
        StopReason.MalformedToolCall => "\"malformed_tool_call\""u8,
        _ => "\"other\""u8,
    };
}
