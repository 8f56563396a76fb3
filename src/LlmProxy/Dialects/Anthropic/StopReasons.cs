using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Why an answer ended, in Anthropic's words.</summary>
internal static class StopReasons
{
    /// <summary>The reason that a token names.</summary>
    public static StopReason Of(ReadOnlySpan<byte> token) => token switch
    {
        _ when token.IsEmpty || token.SequenceEqual("\"end_turn\""u8) => StopReason.EndTurn,
        _ when token.SequenceEqual("\"max_tokens\""u8) => StopReason.MaxTokens,
        _ when token.SequenceEqual("\"stop_sequence\""u8) => StopReason.StopSequence,
        _ when token.SequenceEqual("\"tool_use\""u8) => StopReason.ToolUse,
        _ when token.SequenceEqual("\"pause_turn\""u8) || token.SequenceEqual("\"compaction\""u8) => StopReason.PauseTurn,
        _ when token.SequenceEqual("\"refusal\""u8) => StopReason.Refusal,
        _ when token.SequenceEqual("\"model_context_window_exceeded\""u8) => StopReason.ContextExceeded,
        _ => StopReason.Other,
    };

    /// <summary>The token of a reason.</summary>
    /// <param name="reason">The reason.</param>
    /// <param name="callsTools">Whether the answer calls tools: some providers then say that the turn has ended.</param>
    public static ReadOnlySpan<byte> TokenOf(StopReason reason, bool callsTools) => reason switch
    {
        StopReason.MaxTokens => "\"max_tokens\""u8,
        StopReason.StopSequence => "\"stop_sequence\""u8,
        StopReason.PauseTurn => "\"pause_turn\""u8,
        StopReason.Refusal or StopReason.ContentFilter => "\"refusal\""u8,
        StopReason.ContextExceeded => "\"model_context_window_exceeded\""u8,
        StopReason.ToolUse => "\"tool_use\""u8,
        _ => callsTools ? "\"tool_use\""u8 : "\"end_turn\""u8,
    };
}
