using System.Text.Json;
using Shared.Pricing;

namespace LlmProxy.Tests.Recorded;

/// <summary>What an answer says of its usage, read without any of the code under test: totals and the parts that all dialects name.</summary>
/// <param name="Input">All input tokens.</param>
/// <param name="Output">All output tokens.</param>
/// <param name="CacheRead">Those read from a cache.</param>
/// <param name="CacheWrite">Those written to a cache.</param>
internal sealed record StatedUsage(long Input, long Output, long CacheRead, long CacheWrite)
{
    /// <summary>The usage as the proxy counts it, in the same parts.</summary>
    public static StatedUsage Of(TokenUsage usage) => new(usage.TotalInput, usage.TotalOutput, usage.CacheRead, usage.CacheWrite + usage.CacheWrite1h);

    /// <summary>The last word of a stream, or of a complete answer, on its usage; null: it says nothing.</summary>
    public static StatedUsage? Of(string dialect, IEnumerable<JsonElement> events)
    {
        var members = new Dictionary<string, long>(StringComparer.Ordinal);
        JsonElement? iterations = null;
        foreach (var json in events)
        {
            foreach (var usage in UsageObjects(dialect, json))
            {
                Read(usage, "", members);
                iterations = usage.TryGetProperty("iterations", out var list) && list.ValueKind == JsonValueKind.Array ? list : iterations;
            }
        }
        if (members.Count == 0)
        {
            return null;
        }
        // Anthropic's totals leave out what compaction and other models' advice took; both are billed.
        foreach (var iteration in iterations?.EnumerateArray().ToList() ?? [])
        {
            if (iteration.GetProperty("type").GetString() is "compaction" or "advisor_message")
            {
                foreach (var name in (string[])["input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"])
                {
                    members[name] = members.GetValueOrDefault(name) + (iteration.TryGetProperty(name, out var count) ? count.GetInt64() : 0);
                }
            }
        }
        long Of(string name) => members.GetValueOrDefault(name);
        return dialect switch
        {
            "openai-chat" => new StatedUsage(Of("prompt_tokens"), Math.Max(Of("completion_tokens"), Of("total_tokens") - Of("prompt_tokens")),
                Of("prompt_tokens_details.cached_tokens"), Of("prompt_tokens_details.cache_write_tokens")),
            "openai-responses" => new StatedUsage(Of("input_tokens"), Of("output_tokens"), Of("input_tokens_details.cached_tokens"), Of("input_tokens_details.cache_write_tokens")),
            "anthropic" => new StatedUsage(Of("input_tokens") + Of("cache_creation_input_tokens") + Of("cache_read_input_tokens"), Of("output_tokens"), Of("cache_read_input_tokens"), Of("cache_creation_input_tokens")),
            "gemini" => new StatedUsage(Of("promptTokenCount") + Of("toolUsePromptTokenCount"), Of("candidatesTokenCount") + Of("thoughtsTokenCount"), Of("cachedContentTokenCount"), 0),
            _ => new StatedUsage(Of("inputTokens") + Of("cacheReadInputTokens") + Of("cacheWriteInputTokens"), Of("outputTokens"), Of("cacheReadInputTokens"), Of("cacheWriteInputTokens")),
        };
    }

    private static IEnumerable<JsonElement> UsageObjects(string dialect, JsonElement json)
    {
        string[][] places = dialect switch
        {
            "openai-chat" => [["usage"], ["x_groq", "usage"]],
            "openai-responses" => [["usage"], ["response", "usage"]],
            "anthropic" => [["usage"], ["message", "usage"]],
            "gemini" => [["usageMetadata"]],
            _ => [["usage"], ["metadata", "usage"]],
        };
        foreach (var place in places)
        {
            var found = json;
            if (place.All(name => found.ValueKind == JsonValueKind.Object && found.TryGetProperty(name, out found)) && found.ValueKind == JsonValueKind.Object)
            {
                yield return found;
            }
        }
    }

    private static void Read(JsonElement json, string prefix, Dictionary<string, long> members)
    {
        foreach (var member in json.EnumerateObject())
        {
            if (member.Value.ValueKind == JsonValueKind.Number && member.Value.TryGetInt64(out var count))
            {
                members[prefix + member.Name] = count;
            }
            else if (member.Value.ValueKind == JsonValueKind.Object)
            {
                Read(member.Value, prefix + member.Name + ".", members);
            }
        }
    }
}
