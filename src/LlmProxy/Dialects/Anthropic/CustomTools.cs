namespace LlmProxy.Dialects.Anthropic;

/// <summary>Tools that take free text, which Anthropic does not have: functions with one argument.</summary>
internal static class CustomTools
{
    /// <summary>The schema of such a function's arguments.</summary>
    public static byte[] Schema { get; } = "{\"type\":\"object\",\"properties\":{\"input\":{\"type\":\"string\"}},\"required\":[\"input\"]}"u8.ToArray();
}
