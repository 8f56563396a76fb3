using System.Text.Json;
using System.Text.Json.Nodes;
using LlmProxy.Relay;

namespace LlmProxy.Tests.Recorded;

/// <summary>What a decoded and encoded request or answer of the same dialect may say differently, and why that is no loss.</summary>
internal static class Explained
{
    /// <summary>Whether a recorded request may be refused: it was recorded to be, or its vendor took what no description of the format allows (tools that are no array, or have no type).</summary>
    public static bool IsBadRequest(string name, string refusal) =>
        name.Contains("bad-request", StringComparison.Ordinal) || (name.Contains('/', StringComparison.Ordinal) && refusal.StartsWith("400 invalid_type at tools", StringComparison.Ordinal));

    /// <summary>A request or a complete answer in one of several spellings that mean the same.</summary>
    public static JsonElement Normal(string dialect, JsonElement json)
    {
        var node = JsonSerializer.SerializeToNode(json)!;
        if (dialect == "gemini")
        {
            NormalGemini(node);
        }
        return JsonSerializer.SerializeToElement(node);
    }

    /// <summary>Whether a difference between requests is explained.</summary>
    public static bool InRequest(string dialect, string difference) =>
        // What is said is what goes without saying.
        Ends(difference, "stream: false, then nothing", "is_error: false, then nothing", ": [], then nothing", "n: 1, then nothing", "candidateCount: 1, then nothing", "responseModalities: [\"TEXT\"], then nothing")
        || Starts(difference, dialect switch
        {
            // Usage is always asked for, to bill it. The output limit has two names, of which the provider takes one.
            "openai-chat" => ["stream_options: nothing, then {\"include_usage\":true}", "max_tokens: ", "max_completion_tokens: "],
            // The role of system instructions means nothing. Arguments in pieces are told as a whole.
            "gemini" => difference.Contains(".functionCall.partialArgs: ", StringComparison.Ordinal) || difference.Contains(".functionCall.args: nothing", StringComparison.Ordinal) ? [difference] : ["systemInstruction.role: "],
            _ => [],
        });

    /// <summary>Whether a difference between complete answers is explained.</summary>
    public static bool InComplete(string dialect, string difference) => Ends(difference, ": [], then nothing", ": {}, then nothing", ": \"\", then nothing") || Starts(difference, dialect switch
    {
        // The client's own name of the model stands there, as it does in the stream.
        "openai-chat" => ["model: "],
        // The settings are those of the client's own request, and items have ids of the gateway's.
        "openai-responses" when difference.StartsWith("output[", StringComparison.Ordinal) && (difference.Contains("].id: ", StringComparison.Ordinal) || difference.Contains("].status: nothing", StringComparison.Ordinal)) => [difference],
        "openai-responses" => ["model: ", "reasoning.", "store: ", "presence_penalty: nothing", "frequency_penalty: nothing", "completed_at: nothing"],
        "anthropic" => ["model: "],
        // A candidate without content gets an empty one; usage without a count is none.
        "gemini" when difference.StartsWith("candidates[0].content", StringComparison.Ordinal) && difference.Contains(": nothing", StringComparison.Ordinal) => [difference],
        "gemini" when difference.StartsWith("usageMetadata: {\"trafficType\"", StringComparison.Ordinal) => [difference],
        // Times are kept in seconds; the first candidate's number and an id are put in where they are missing.
        "gemini" => ["modelVersion: ", "createTime: ", "responseId: nothing", "candidates[0].index: nothing"],
        _ => [],
    }) || IsMadeUpId(dialect, difference) || (dialect == "openai-chat" && IsOneOfManyForms(difference));

    /// <summary>Whether a value may be missing from a stream: what is said in pieces is compared as a whole, and what only numbers or pads events is made anew.</summary>
    public static bool InStream(string dialect, string path, string value, StreamStatus status) => IsNothing(path, value) || (status != StreamStatus.Completed && IsSaidAtTheEnd(path)) || dialect switch
    {
        // Some vendors give each chunk a time or an id of its own, of which the first counts; an error's code is told as a text.
        "openai-chat" => IsKnownLoss(path) || path is "id" or "created" or "system_fingerprint" or "service_tier" or "error.code" || Starts(path, "citations", "search_results") || (status == StreamStatus.Failed && path == "choices[].finish_reason") || Starts(path, "model", "choices[].delta.content", "choices[].delta.tool_calls[]", "choices[].delta.refusal", "choices[].delta.reasoning", "obfuscation", "usage", "x_groq.usage"),
        // Items have ids of the gateway's; what an item is at its beginning is told whole at its end.
        "openai-responses" => path is "item_id" or "item.id" or "item.encrypted_content" or "item.status" || Starts(path, "response.model", "delta", "sequence_number", "obfuscation", "response.", "text", "arguments", "input", "refusal", "type"),
        // A provider's tool call is one block, with its input in it; events and deltas that nobody knows are to be passed over, says the vendor's guide to versions.
        // Blocks that a message begins with are told like others.
        "anthropic" => IsKnownLoss(path) || Starts(path, "message.content", "content_block.input") || value is "\"compaction_delta\"" || value is "\"content_block_delta\"" or "\"something_to_come\"" or "\"delta_to_come\"" || path is "a" or "delta.z" || Starts(path, "message.model", "delta.text", "delta.partial_json", "delta.thinking", "delta.signature", "message.usage", "usage", "index") || (path == "delta.type" && value == "\"input_json_delta\""),
        "gemini" => Starts(path, "modelVersion", "createTime", "candidates[].content.parts[].text", "candidates[].content.parts[].functionCall", "usageMetadata"),
        // Blocks of text begin with their first delta; what the model's own server answered has become the error's kind.
        _ => path is "modelStreamErrorException.originalStatusCode" or "modelStreamErrorException.originalMessage" or "contentBlockStart.contentBlockIndex" || Starts(path, "contentBlockDelta.delta", "contentBlockDelta.contentBlockIndex", "metadata.usage"),
    };

    /// <summary>Names may be written in two ways; declarations may stand in one tool or in several, texts in one part or in several; base64 has two alphabets.</summary>
    private static void NormalGemini(JsonNode node)
    {
        switch (node)
        {
            case JsonObject json:
                foreach (var (name, value) in json.ToList())
                {
                    json.Remove(name);
                    json[Camel(name)] = value;
                    if (value is not null)
                    {
                        NormalGemini(value);
                    }
                }
                if (json["data"] is JsonValue data && json.ContainsKey("mimeType"))
                {
                    json["data"] = data.GetValue<string>().Replace('-', '+').Replace('_', '/').TrimEnd('=');
                }
                if (json["tools"] is JsonArray tools)
                {
                    MergeDeclarations(tools);
                }
                if (json["parts"] is JsonArray parts && json["role"] is JsonValue role && role.GetValueKind() == JsonValueKind.String && role.GetValue<string>() == "model")
                {
                    MergeTexts(parts);
                }
                break;
            case JsonArray array:
                foreach (var element in array.OfType<JsonNode>())
                {
                    NormalGemini(element);
                }
                break;
        }
    }

    private static void MergeDeclarations(JsonArray tools)
    {
        var all = new JsonArray();
        foreach (var tool in tools.OfType<JsonObject>().Where(tool => tool["functionDeclarations"] is JsonArray).ToList())
        {
            foreach (var declaration in tool["functionDeclarations"]!.AsArray())
            {
                all.Add(declaration?.DeepClone());
            }
            tool.Remove("functionDeclarations");
            if (tool.Count == 0)
            {
                tools.Remove(tool);
            }
        }
        if (all.Count > 0)
        {
            tools.Add(new JsonObject { ["functionDeclarations"] = all });
        }
    }

    private static void MergeTexts(JsonArray parts)
    {
        for (var i = parts.Count - 1; i > 0; i--)
        {
            if (parts[i] is JsonObject { Count: 1 } text && text["text"] is JsonValue later && parts[i - 1] is JsonObject { Count: 1 } before && before["text"] is JsonValue earlier)
            {
                before["text"] = earlier.GetValue<string>() + later.GetValue<string>();
                parts.RemoveAt(i);
            }
        }
    }

    private static string Camel(string name) =>
        name.Length == 0 || name[0] == '_' || !name.Contains('_', StringComparison.Ordinal) || name.Any(char.IsUpper) ? name
            : string.Concat(name.Split('_').Select((word, i) => i == 0 || word.Length == 0 ? word : char.ToUpperInvariant(word[0]) + word[1..]));

    /// <summary>
    /// What does get lost, and matters little: members of a choice that come with its end, members of an error that only one vendor has, and where the details of a refusal stand in an
    /// answer without any content (they come at its beginning).
    /// </summary>
    private static bool IsKnownLoss(string path) =>
        path is "choices[].matched_stop" || path.StartsWith("error.", StringComparison.Ordinal) || path.StartsWith("delta.stop_details.", StringComparison.Ordinal);

    /// <summary>
    /// Sources that a vendor names beside the choices become annotations. Vendors of this format tell thoughts in many ways, of which one is written, and leave out what a call must have. An array as a message's content holds thoughts and text;
    /// a call's number means nothing in a complete answer.
    /// </summary>
    private static bool IsOneOfManyForms(string difference) =>
        difference.StartsWith("citations: ", StringComparison.Ordinal) || difference.StartsWith("choices[0].message.annotations: nothing", StringComparison.Ordinal) || difference.Contains(".message.reasoning", StringComparison.Ordinal) || difference.Contains(".message.thinking_blocks", StringComparison.Ordinal)
        || difference.Contains(".message.extra_content.google.thought", StringComparison.Ordinal) || difference.Contains(".message.content: [", StringComparison.Ordinal)
        || (difference.Contains(".tool_calls[", StringComparison.Ordinal) && (difference.Contains("].index: ", StringComparison.Ordinal) || difference.Contains(": nothing, then ", StringComparison.Ordinal) || difference.Contains("].id: \"\"", StringComparison.Ordinal)));

    /// <summary>Calls get ids where Gemini gave none: every client needs them, and Gemini takes them back.</summary>
    private static bool IsMadeUpId(string dialect, string difference) => dialect == "gemini" && difference.Contains(".functionCall.id: nothing, then ", StringComparison.Ordinal);

    /// <summary>What an answer that breaks off has not come to: the tier is told with the usage.</summary>
    private static bool IsSaidAtTheEnd(string path) => path is "service_tier";

    /// <summary>Members that are there and hold nothing, such as the id of a chunk that comes before the answer has one.</summary>
    private static bool IsNothing(string path, string value) => value == "\"\"" || (path == "created" && value == "0");

    private static bool Starts(string text, params ReadOnlySpan<string> starts)
    {
        foreach (var start in starts)
        {
            if (text.StartsWith(start, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }

    private static bool Ends(string text, params ReadOnlySpan<string> ends)
    {
        foreach (var end in ends)
        {
            if (text.EndsWith(end, StringComparison.Ordinal))
            {
                return true;
            }
        }
        return false;
    }
}
