namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Names of what a translation leaves out, as the client's own dialect has them.</summary>
internal static class SourcePaths
{
    public static string Part(string source) => source switch
    {
        DialectIds.OpenAiResponses => "input[].content[]",
        DialectIds.Gemini => "contents[].parts[]",
        _ => "messages[].content[]",
    };

    public static string Thoughts(string source) => source switch
    {
        DialectIds.OpenAiResponses => "input[].reasoning",
        DialectIds.Gemini => "contents[].parts[].thought",
        DialectIds.Bedrock => "messages[].content[].reasoningContent",
        _ => "messages[].content[].thinking",
    };

    public static string CacheMark(string source) => source switch
    {
        DialectIds.Bedrock => "messages[].content[].cachePoint",
        DialectIds.OpenAiResponses => "input[].content[].prompt_cache_breakpoint",
        _ => "messages[].content[].cache_control",
    };

    public static string ToolCacheMark(string source) => source == DialectIds.Bedrock ? "toolConfig.tools[].cachePoint" : "tools[].cache_control";

    public static string PromptCache(string source) => source == DialectIds.OpenAiResponses ? "prompt_cache_options" : "cache_control";

    public static string ToolError(string source) => source == DialectIds.Bedrock ? "messages[].content[].toolResult.status" : "messages[].content[].is_error";

    public static string Tool(string source, string type) => source == DialectIds.Bedrock ? "toolConfig.tools[]." + type : "tools[]." + type;

    public static string ToolStrict(string source) => source == DialectIds.Bedrock ? "toolConfig.tools[].toolSpec.strict" : "tools[].strict";

    public static string TopK(string source) => source switch
    {
        DialectIds.Gemini => "generationConfig.topK",
        _ => "top_k",
    };

    public static string EndUser(string source) => source == DialectIds.Anthropic ? "metadata.user_id" : "user";

    public static string Metadata(string source) => source == DialectIds.Bedrock ? "requestMetadata" : "metadata";

    public static string Budget(string source) => source switch
    {
        DialectIds.Gemini => "generationConfig.thinkingConfig.thinkingBudget",
        _ => "thinking.budget_tokens",
    };

    public static string Reasoning(string source) => source switch
    {
        DialectIds.OpenAiResponses => "reasoning",
        DialectIds.Gemini => "generationConfig.thinkingConfig",
        _ => "thinking",
    };

    public static string ServiceTier(string source) => source switch
    {
        DialectIds.Gemini or DialectIds.Bedrock => "serviceTier",
        _ => "service_tier",
    };

    public static string Format(string source) => source switch
    {
        DialectIds.OpenAiResponses => "text.format",
        DialectIds.Gemini => "generationConfig.responseJsonSchema",
        DialectIds.Anthropic => "output_config.format",
        _ => "response_format",
    };
}
