using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Stop reasons: Bedrock's names and the neutral ones.</summary>
internal static class BedrockStops
{
    /// <summary>What a name means.</summary>
    /// <param name="token">The name, quotes included.</param>
    public static StopReason Of(ReadOnlySpan<byte> token) => token switch
    {
        _ when token.SequenceEqual("\"end_turn\""u8) => StopReason.EndTurn,
        _ when token.SequenceEqual("\"max_tokens\""u8) => StopReason.MaxTokens,
        _ when token.SequenceEqual("\"stop_sequence\""u8) => StopReason.StopSequence,
        _ when token.SequenceEqual("\"tool_use\""u8) => StopReason.ToolUse,
        _ when token.SequenceEqual("\"guardrail_intervened\""u8) || token.SequenceEqual("\"content_filtered\""u8) => StopReason.ContentFilter,
        _ when token.SequenceEqual("\"model_context_window_exceeded\""u8) => StopReason.ContextExceeded,
        _ when token.SequenceEqual("\"malformed_tool_use\""u8) || token.SequenceEqual("\"malformed_model_output\""u8) => StopReason.MalformedToolCall,
        _ when token.SequenceEqual("\"refusal\""u8) => StopReason.Refusal,
        _ => StopReason.Other,
    };

    /// <summary>The name of a reason, quotes included.</summary>
    public static ReadOnlySpan<byte> TokenOf(StopReason reason, bool callsTools) => reason switch
    {
        StopReason.MaxTokens => "\"max_tokens\""u8,
        StopReason.StopSequence => "\"stop_sequence\""u8,
        StopReason.ToolUse => "\"tool_use\""u8,
        StopReason.ContentFilter or StopReason.Refusal => "\"content_filtered\""u8,
        StopReason.ContextExceeded => "\"model_context_window_exceeded\""u8,
        StopReason.MalformedToolCall => "\"malformed_tool_use\""u8,
        _ => callsTools ? "\"tool_use\""u8 : "\"end_turn\""u8,
    };
}
