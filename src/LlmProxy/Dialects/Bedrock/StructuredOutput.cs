namespace LlmProxy.Dialects.Bedrock;

/// <summary>
/// Answers that must have a form, from models that Bedrock cannot hold to one: a tool whose arguments have that form, which the model must call. Its call is given to
/// the client as the answer's text.
/// </summary>
internal static class StructuredOutput
{
    /// <summary>The tool's name.</summary>
    public const string Tool = "gateway_structured_answer";

    /// <summary>The tool's name as a string token.</summary>
    public static ReadOnlySpan<byte> ToolToken => "\"gateway_structured_answer\""u8;
}
