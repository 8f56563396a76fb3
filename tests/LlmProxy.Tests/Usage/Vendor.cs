using LlmProxy.Tests.Hosting;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Usage;

/// <summary>The five formats as clients ask in them and as vendors answer in them, each answer with a usage object that a test writes.</summary>
internal static class Vendor
{
    /// <summary>The name under which <see cref="Setup"/> has the model.</summary>
    public const string Model = "small";

    public static TheoryData<string> All => [.. RecordedTraffic.Dialects];

    /// <summary>A proxy with one route to one provider of a dialect.</summary>
    public static ProxySetup Setup(FakeProvider fake, string dialect) => new()
    {
        Providers = [ProxyHost.Provider(fake) with { Dialect = dialect }],
        Routes = [new Route { Name = Model, Targets = [new Target("fake", Model)] }],
    };

    /// <summary>Where a client of a dialect asks.</summary>
    public static string PathOf(string dialect, bool stream) => dialect switch
    {
        RecordedTraffic.OpenAiChat => "/v1/chat/completions",
        RecordedTraffic.OpenAiResponses => "/v1/responses",
        RecordedTraffic.Anthropic => "/v1/messages",
        RecordedTraffic.Gemini => $"/v1beta/models/{Model}:{(stream ? "streamGenerateContent?alt=sse" : "generateContent")}",
        _ => $"/bedrock/model/{Model}/{(stream ? "converse-stream" : "converse")}",
    };

    /// <summary>What a client of a dialect sends.</summary>
    public static string Ask(string dialect, bool stream)
    {
        var streams = stream ? ",\"stream\":true" : "";
        return dialect switch
        {
            RecordedTraffic.OpenAiChat => $$"""{"model":"{{Model}}","messages":[{"role":"user","content":"Hi"}],"max_completion_tokens":50{{streams}}}""",
            RecordedTraffic.OpenAiResponses => $$"""{"model":"{{Model}}","input":"Hi","store":false,"max_output_tokens":50{{streams}}}""",
            RecordedTraffic.Anthropic => $$"""{"model":"{{Model}}","max_tokens":50,"messages":[{"role":"user","content":"Hi"}]{{streams}}}""",
            RecordedTraffic.Gemini => """{"contents":[{"role":"user","parts":[{"text":"Hi"}]}],"generationConfig":{"maxOutputTokens":50}}""",
            _ => """{"messages":[{"role":"user","content":[{"text":"Hi"}]}],"inferenceConfig":{"maxTokens":50}}""",
        };
    }

    /// <summary>A complete answer.</summary>
    /// <param name="dialect">The vendor's dialect.</param>
    /// <param name="usage">Its usage object.</param>
    /// <param name="tier">The service tier that it names; null: it names none.</param>
    /// <param name="searches">Searches of the vendor's own, where its answers hold them as items.</param>
    public static string Answer(string dialect, string usage, string? tier, int searches) => dialect switch
    {
        RecordedTraffic.OpenAiChat =>
            $$$"""{"id":"c1","object":"chat.completion","created":1,"model":"small","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{{{usage}}}{{{Tier(tier)}}}}""",
        RecordedTraffic.OpenAiResponses => Response("completed", Items(searches), usage, tier),
        RecordedTraffic.Anthropic =>
            $$"""{"id":"m1","type":"message","role":"assistant","model":"small","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{{usage}}}""",
        RecordedTraffic.Gemini => $$$"""{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{{{usage}}},"modelVersion":"small","responseId":"r1"}""",
        _ => $$$"""{"output":{"message":{"role":"assistant","content":[{"text":"Hi"}]}},"stopReason":"end_turn","usage":{{{usage}}},"metrics":{"latencyMs":1}{{{BedrockTier(tier)}}}}""",
    };

    /// <summary>The events of a stream: what comes until the first text is there, and the rest.</summary>
    /// <param name="dialect">The vendor's dialect.</param>
    /// <param name="first">The usage object of the first event that has one, where the vendor sends it twice.</param>
    /// <param name="usage">The last usage object.</param>
    /// <param name="tier">The service tier that it names.</param>
    /// <param name="searches">Searches of the vendor's own.</param>
    public static (string[] Begin, string[] End) Events(string dialect, string first, string usage, string? tier, int searches) => dialect switch
    {
        RecordedTraffic.OpenAiChat =>
            ([Chunk("""{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}""", "null", null)],
            [Chunk("""{"index":0,"delta":{},"finish_reason":"stop"}""", "null", tier), Chunk("", usage, tier), "[DONE]"]),
        RecordedTraffic.OpenAiResponses => Responses(usage, tier, searches),
        RecordedTraffic.Anthropic =>
            ([
                $$$"""{"type":"message_start","message":{"id":"m1","type":"message","role":"assistant","model":"small","content":[],"stop_reason":null,"stop_sequence":null,"usage":{{{first}}}}}""",
                """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""",
                """{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hi"}}""",
            ],
            [
                """{"type":"content_block_stop","index":0}""",
                $$"""{"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{{usage}}}""",
                """{"type":"message_stop"}""",
            ]),
        RecordedTraffic.Gemini =>
            ([$$$"""{"candidates":[{"content":{"parts":[{"text":"Hi"}],"role":"model"},"index":0}],"usageMetadata":{{{first}}},"modelVersion":"small","responseId":"r1"}"""],
            [$$$"""{"candidates":[{"content":{"parts":[{"text":"!"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{{{usage}}},"modelVersion":"small","responseId":"r1"}"""]),
        _ =>
            ([
                """{"messageStart":{"role":"assistant"}}""",
                """{"contentBlockDelta":{"contentBlockIndex":0,"delta":{"text":"Hi"}}}""",
            ],
            [
                """{"contentBlockStop":{"contentBlockIndex":0}}""",
                """{"messageStop":{"stopReason":"end_turn"}}""",
                $$$"""{"metadata":{"usage":{{{usage}}},"metrics":{"latencyMs":1}{{{BedrockTier(tier)}}}}}""",
            ]),
    };

    /// <summary>A stream as the vendor sends it.</summary>
    public static FakeReply Stream(string dialect, IEnumerable<string> events) => new()
    {
        ContentType = dialect == RecordedTraffic.Bedrock ? "application/vnd.amazon.eventstream" : "text/event-stream",
        Pieces = [.. events.Select(text => new FakePiece(WireFormat.Frame(dialect, text)))],
    };

    private static string Tier(string? tier) => tier is null ? "" : $",\"service_tier\":\"{tier}\"";

    private static string BedrockTier(string? tier) => tier is null ? "" : $",\"serviceTier\":{{\"type\":\"{tier}\"}}";

    private static string Chunk(string choice, string usage, string? tier) =>
        $$$"""{"id":"c1","object":"chat.completion.chunk","created":1,"model":"small","choices":[{{{choice}}}],"usage":{{{usage}}}{{{Tier(tier)}}}}""";

    private static string[] Items(int searches) =>
    [
        .. Enumerable.Range(0, searches).Select(i => $$$"""{"id":"ws_{{{i}}}","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}"""),
        """{"id":"msg_1","type":"message","role":"assistant","status":"completed","content":[{"type":"output_text","annotations":[],"logprobs":[],"text":"Hi"}]}""",
    ];

    private static string Response(string status, string[] items, string usage, string? tier) =>
        $$"""{"id":"resp_1","object":"response","created_at":1,"status":"{{status}}","error":null,"incomplete_details":null,"model":"small","output":[{{string.Join(',', items)}}],"parallel_tool_calls":true,"tools":[],"usage":{{usage}}{{Tier(tier)}}}""";

    private static (string[], string[]) Responses(string usage, string? tier, int searches)
    {
        var number = 0;
        var items = Items(searches);
        List<string> begin = [], end = [];
        string Event(string type, string rest) => $$"""{"type":"response.{{type}}","sequence_number":{{number++}},{{rest}}}""";
        begin.Add(Event("created", "\"response\":" + Response("in_progress", [], "null", null)));
        for (var i = 0; i < searches; i++)
        {
            begin.Add(Event("output_item.added", $"\"output_index\":{i},\"item\":{items[i].Replace("completed", "in_progress", StringComparison.Ordinal)}"));
            begin.Add(Event("output_item.done", $"\"output_index\":{i},\"item\":{items[i]}"));
        }
        begin.Add(Event("output_item.added", $"\"output_index\":{searches},\"item\":{{\"id\":\"msg_1\",\"type\":\"message\",\"role\":\"assistant\",\"status\":\"in_progress\",\"content\":[]}}"));
        var place = $"\"item_id\":\"msg_1\",\"output_index\":{searches},\"content_index\":0";
        begin.Add(Event("content_part.added", place + ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"\"}"));
        begin.Add(Event("output_text.delta", place + ",\"delta\":\"Hi\",\"logprobs\":[]"));
        end.Add(Event("output_text.done", place + ",\"text\":\"Hi\",\"logprobs\":[]"));
        end.Add(Event("content_part.done", place + ",\"part\":{\"type\":\"output_text\",\"annotations\":[],\"logprobs\":[],\"text\":\"Hi\"}"));
        end.Add(Event("output_item.done", $"\"output_index\":{searches},\"item\":{items[^1]}"));
        end.Add(Event("completed", "\"response\":" + Response("completed", items, usage, tier)));
        return ([.. begin], [.. end]);
    }
}
