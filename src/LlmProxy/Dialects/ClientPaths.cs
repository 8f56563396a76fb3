namespace LlmProxy.Dialects;

/// <summary>Names of what a translation leaves out, as the client wrote them: the formats' encoders speak of requests in the words of OpenAI's or of their own.</summary>
internal static class ClientPaths
{
    /// <summary>For each format the beginnings of paths and what they are called there; of several that fit, the first counts.</summary>
    private static readonly Dictionary<string, (string Path, string Own)[]> Names = new(StringComparer.Ordinal)
    {
        [DialectIds.OpenAiChat] =
        [
            ("system[]", "messages[]"),
            ("messages[].content[].thinking", "messages[].reasoning"),
            ("messages[].content[].reasoning", "messages[].reasoning"),
            ("reasoning", "reasoning_effort"),
            ("thinking", "reasoning_effort"),
            ("stop_sequences", "stop"),
        ],
        [DialectIds.OpenAiResponses] =
        [
            ("system[]", "input[]"),
            ("messages[].content[].reasoning", "input[].reasoning"),
            ("messages[].content[].thinking", "input[].reasoning"),
            ("messages[].reasoning", "input[].reasoning"),
            ("messages[]", "input[]"),
            ("response_format", "text.format"),
            ("verbosity", "text.verbosity"),
            ("thinking", "reasoning"),
        ],
        [DialectIds.Anthropic] =
        [
            ("system[].content[]", "system[]"),
            ("messages[].content[].reasoning", "messages[].content[].thinking"),
            ("messages[].reasoning", "messages[].content[].thinking"),
            ("messages[].content[].filename", "messages[].content[].title"),
            ("response_format", "output_config.format"),
            ("reasoning", "thinking"),
            ("user", "metadata.user_id"),
            ("stop", "stop_sequences"),
            ("parallel_tool_calls", "tool_choice.disable_parallel_tool_use"),
        ],
        [DialectIds.Gemini] =
        [
            ("messages[].content[].reasoning", "contents[].parts[].thought"),
            ("messages[].content[].thinking", "contents[].parts[].thought"),
            ("messages[].reasoning", "contents[].parts[].thought"),
            ("messages[].tool_calls[].signature", "contents[].parts[].thoughtSignature"),
            ("messages[].content[].signature", "contents[].parts[].thoughtSignature"),
            ("messages[].content[].is_error", "contents[].parts[].functionResponse.response.error"),
            ("messages[].content[].filename", "contents[].parts[].inlineData.displayName"),
            ("messages[].content[]", "contents[].parts[]"),
            ("messages[]", "contents[]"),
            ("system[].content[]", "systemInstruction.parts[]"),
            ("system[]", "systemInstruction"),
            ("response_format", "generationConfig.responseJsonSchema"),
            ("reasoning", "generationConfig.thinkingConfig"),
            ("thinking", "generationConfig.thinkingConfig"),
            ("top_p", "generationConfig.topP"),
            ("top_k", "generationConfig.topK"),
            ("temperature", "generationConfig.temperature"),
            ("frequency_penalty", "generationConfig.frequencyPenalty"),
            ("presence_penalty", "generationConfig.presencePenalty"),
            ("seed", "generationConfig.seed"),
            ("stop", "generationConfig.stopSequences"),
            ("stop_sequences", "generationConfig.stopSequences"),
            ("logprobs", "generationConfig.responseLogprobs"),
            ("modalities", "generationConfig.responseModalities"),
            ("n", "generationConfig.candidateCount"),
            ("tool_choice", "toolConfig.functionCallingConfig"),
            ("service_tier", "serviceTier"),
            ("metadata", "labels"),
        ],
        [DialectIds.Bedrock] =
        [
            ("system[].content[].cache_control", "system[].cachePoint"),
            ("system[].content[]", "system[]"),
            ("messages[].content[].reasoning", "messages[].content[].reasoningContent"),
            ("messages[].content[].thinking", "messages[].content[].reasoningContent"),
            ("messages[].reasoning", "messages[].content[].reasoningContent"),
            ("messages[].content[].cache_control", "messages[].content[].cachePoint"),
            ("messages[].content[].is_error", "messages[].content[].toolResult.status"),
            ("messages[].content[].filename", "messages[].content[].document.name"),
            ("tools[].cache_control", "toolConfig.tools[].cachePoint"),
            ("tools[]", "toolConfig.tools[]"),
            ("tool_choice", "toolConfig.toolChoice"),
            ("response_format", "outputConfig.textFormat"),
            ("reasoning", "additionalModelRequestFields.thinking"),
            ("thinking", "additionalModelRequestFields.thinking"),
            ("top_k", "additionalModelRequestFields.top_k"),
            ("top_p", "inferenceConfig.topP"),
            ("temperature", "inferenceConfig.temperature"),
            ("stop", "inferenceConfig.stopSequences"),
            ("stop_sequences", "inferenceConfig.stopSequences"),
            ("service_tier", "serviceTier"),
            ("metadata", "requestMetadata"),
        ],
    };

    /// <summary>A path as a format's clients know it; the path itself where it has no other name there.</summary>
    /// <param name="dialect">The client's format.</param>
    /// <param name="path">The path, e.g. <c>top_p</c> or <c>messages[].content[].filename</c>.</param>
    public static string Of(string dialect, string path)
    {
        foreach (var (begin, own) in Names.GetValueOrDefault(dialect) ?? [])
        {
            if (path.StartsWith(begin, StringComparison.Ordinal) && (path.Length == begin.Length || path[begin.Length] is '.' or '['))
            {
                // What stands there already is no beginning of itself: "reasoning.summary" of a client that has "reasoning".
                return path.StartsWith(own, StringComparison.Ordinal) && own.Length > begin.Length ? path : string.Concat(own, path.AsSpan(begin.Length));
            }
        }
        return path;
    }
}
