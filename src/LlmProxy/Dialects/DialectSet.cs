using LlmProxy.Dialects.Anthropic;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Dialects.Responses;

namespace LlmProxy.Dialects;

/// <summary>The dialects that there are.</summary>
internal static class DialectSet
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<Dialect> All { get; } =
    [
        new OpenAiChatDialect(),
        AnthropicDialect.Instance,
        GeminiDialect.Instance,
        new OpenAiResponsesDialect(),
        BedrockDialect.Instance,
        AnthropicDialect.BedrockInvoke,
        AnthropicDialect.Vertex,
    ];

    /// <summary>The dialect of an id, or null.</summary>
    public static Dialect? Find(string id) => All.FirstOrDefault(dialect => dialect.Id == id);
}
