using System.Text.Json;

namespace LlmProxy.Tests.Dialects.Responses;

/// <summary>Checks what clients of Responses' streams rely on: numbers without gaps, the order of events, and a last event that says all of it again.</summary>
internal static class ResponsesInvariants
{
    private static readonly string[] Terminal = ["response.completed", "response.incomplete", "response.failed"];

    /// <summary>Checks a whole stream.</summary>
    /// <returns>The last event's response; null: the stream broke off before it began.</returns>
    public static JsonElement? Check(string stream)
    {
        var frames = stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(frame => !frame.StartsWith(':')).ToList();
        Assert.Equal("data: [DONE]", frames[^1]);
        var events = frames[..^1].ConvertAll(Parse);
        for (var i = 0; i < events.Count; i++)
        {
            Assert.Equal(i, events[i].GetProperty("sequence_number").GetInt64());
        }
        if (Type(events[0]) == "error")
        {
            Assert.Single(events);
            return null;
        }
        Assert.Equal("response.created", Type(events[0]));
        Assert.Equal("response.in_progress", Type(events[1]));
        Assert.Single(events, one => Type(one) == "response.created");
        var last = Assert.Single(events, one => Terminal.Contains(Type(one)));
        Assert.Equal(events[^1].GetRawText(), last.GetRawText());
        var response = last.GetProperty("response");
        CheckResponse(response);
        Assert.Equal(response.GetProperty("id").GetString(), events[0].GetProperty("response").GetProperty("id").GetString());
        CheckItems(events, response);
        return response;
    }

    /// <summary>Checks a complete response, or the one in a last event.</summary>
    public static void CheckResponse(JsonElement response)
    {
        foreach (var name in (string[])["id", "object", "created_at", "completed_at", "status", "error", "incomplete_details", "instructions", "metadata", "model", "output", "parallel_tool_calls",
            "temperature", "tool_choice", "tools", "top_p", "text", "truncation", "reasoning", "usage", "store", "background", "previous_response_id", "max_output_tokens", "max_tool_calls",
            "service_tier", "top_logprobs", "user"])
        {
            Assert.True(response.TryGetProperty(name, out _), name);
        }
        Assert.True(response.GetProperty("text").TryGetProperty("format", out _));
        if (response.GetProperty("usage") is { ValueKind: JsonValueKind.Object } usage)
        {
            Assert.True(usage.GetProperty("input_tokens_details").TryGetProperty("cached_tokens", out _));
            Assert.True(usage.GetProperty("output_tokens_details").TryGetProperty("reasoning_tokens", out _));
            Assert.Equal(usage.GetProperty("total_tokens").GetInt64(), usage.GetProperty("input_tokens").GetInt64() + usage.GetProperty("output_tokens").GetInt64());
        }
        Assert.Equal(response.GetProperty("status").GetString() == "incomplete", response.GetProperty("incomplete_details").ValueKind == JsonValueKind.Object);
        Assert.Equal(response.GetProperty("status").GetString() == "failed", response.GetProperty("error").ValueKind == JsonValueKind.Object);
    }

    private static void CheckItems(List<JsonElement> events, JsonElement response)
    {
        var isComplete = response.GetProperty("status").GetString() != "failed";
        var added = new Dictionary<int, string>();
        var done = new Dictionary<int, string>();
        var parts = new Dictionary<(int, string, int), (string Text, bool IsDone)>();
        foreach (var one in events)
        {
            var type = Type(one);
            if (!one.TryGetProperty("output_index", out var at))
            {
                continue;
            }
            var index = at.GetInt32();
            if (type == "response.output_item.added")
            {
                Assert.Equal(added.Count, index);
                added.Add(index, one.GetProperty("item").GetProperty("id").GetString()!);
                continue;
            }
            Assert.True(added.ContainsKey(index), type + " before its item");
            Assert.False(done.ContainsKey(index), type + " after its item");
            if (type == "response.output_item.done")
            {
                Assert.Equal(added[index], one.GetProperty("item").GetProperty("id").GetString());
                done.Add(index, one.GetProperty("item").GetRawText());
                Assert.All(parts.Where(part => part.Key.Item1 == index), part => Assert.True(part.Value.IsDone));
                continue;
            }
            if (!one.TryGetProperty("item_id", out var id))
            {
                continue;
            }
            Assert.Equal(added[index], id.GetString());
            CheckPart(one, type, index, parts);
        }
        if (isComplete)
        {
            Assert.Equal(added.Count, done.Count);
            Assert.Equal(done.OrderBy(item => item.Key).Select(item => item.Value), response.GetProperty("output").EnumerateArray().Select(item => item.GetRawText()));
        }
    }

    private static void CheckPart(JsonElement one, string type, int index, Dictionary<(int, string, int), (string Text, bool IsDone)> parts)
    {
        var (member, number) = one.TryGetProperty("content_index", out var content) ? ("content", content.GetInt32())
            : one.TryGetProperty("summary_index", out var summary) ? ("summary", summary.GetInt32()) : ("call", 0);
        var key = (index, member, number);
        if (type.EndsWith("_part.added", StringComparison.Ordinal))
        {
            Assert.Equal(parts.Count(part => part.Key.Item1 == index && part.Key.Item2 == member), number);
            parts.Add(key, ("", false));
        }
        else if (type.EndsWith(".delta", StringComparison.Ordinal))
        {
            if (member == "call")
            {
                parts.TryAdd(key, ("", false));
            }
            Assert.False(parts[key].IsDone);
            parts[key] = (parts[key].Text + one.GetProperty("delta").GetRawText()[1..^1], false);
        }
        else if (type is "response.output_text.done" or "response.refusal.done" or "response.reasoning_text.done" or "response.reasoning_summary_text.done"
            or "response.function_call_arguments.done" or "response.custom_tool_call_input.done")
        {
            var whole = new[] { "text", "refusal", "arguments", "input" }.Where(name => one.TryGetProperty(name, out _)).Select(name => one.GetProperty(name).GetRawText()[1..^1]).Single();
            Assert.Equal(whole, parts.TryGetValue(key, out var known) ? known.Text : "");
            parts[key] = (whole, member == "call");
        }
        else if (type.EndsWith("_part.done", StringComparison.Ordinal))
        {
            parts[key] = (parts[key].Text, true);
        }
    }

    private static JsonElement Parse(string frame)
    {
        var lines = frame.Split('\n');
        Assert.Equal(2, lines.Length);
        var data = JsonDocument.Parse(lines[1]["data: ".Length..]).RootElement;
        Assert.Equal("event: " + Type(data), lines[0]);
        return data;
    }

    private static string Type(JsonElement data) => data.GetProperty("type").GetString()!;
}
