using System.Net;
using System.Text;
using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using TestSupport;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

/// <summary>Clients of chat before a provider of another format, and the other way round, over HTTP.</summary>
public sealed class ChatThroughTheDoorTests
{
    private static readonly string AnthropicStream = string.Concat(new[]
    {
        """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":5,"cache_read_input_tokens":20,"cache_creation_input_tokens":3,"output_tokens":1}}}""",
        """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}""", """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm \"é\""}}""",
        """{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"SIG"}}""", """{"type":"content_block_stop","index":0}""",
        """{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}""", """{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Let me see."}}""", """{"type":"content_block_stop","index":1}""",
        """{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"toolu_1","name":"f","input":{}}}""", """{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{\"a\":"}}""",
        """{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"1}"}}""", """{"type":"content_block_stop","index":2}""",
        """{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_2","name":"g","input":{}}}""", """{"type":"content_block_stop","index":3}""",
        """{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"output_tokens":12}}""", """{"type":"message_stop"}""",
    }.Select(data => $"event: {JsonDocument.Parse(data).RootElement.GetProperty("type").GetString()}\ndata: {data}\n\n"));

    private static CancellationToken Ended => TestContext.Current.CancellationToken;

    [Fact]
    public async Task ChatClient_AnthropicProvider_StreamsThoughtsTextAndCalls()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake, "anthropic");
        fake.Otherwise = _ => FakeReply.Stream(AnthropicStream);

        using var response = await host.PostAsync("""{"model":"fake/claude","stream":true,"stream_options":{"include_usage":true},"max_completion_tokens":99,"messages":[{"role":"system","content":"S"},{"role":"user","content":[{"type":"text","text":"U"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBORw0KGgo="}}]}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}],"logit_bias":{"5":1}}""");
        var events = ChatCodec.Events(await response.TextAsync());

        Assert.Equal("text/event-stream", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal("logit_bias", response.Header("x-gateway-dropped"));
        Assert.Equal("[DONE]", events[^1]);
        Assert.Equal([
            """{"role":"assistant","content":null}""", """{"reasoning_content":"Hm \"é\""}""", """{"thinking_blocks":[{"index":0,"type":"thinking","thinking":"Hm \"é\"","signature":"SIG"}]}""", """{"content":"Let me see."}""",
            """{"tool_calls":[{"index":0,"id":"toolu_1","type":"function","function":{"name":"f","arguments":""}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\":"}}]}""", """{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}""",
            """{"tool_calls":[{"index":1,"id":"toolu_2","type":"function","function":{"name":"g","arguments":""}}]}""", """{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}""", "{}",
        ], events.SkipLast(2).Select(data => JsonDocument.Parse(data).RootElement.GetProperty("choices")[0].GetProperty("delta").GetRawText()));
        var usage = JsonDocument.Parse(events[^2]).RootElement.GetProperty("usage");
        Assert.Equal((28, 12, 20), (usage.GetProperty("prompt_tokens").GetInt32(), usage.GetProperty("completion_tokens").GetInt32(), usage.GetProperty("prompt_tokens_details").GetProperty("cached_tokens").GetInt32()));
        var sent = fake.Requests[0].Json;
        Assert.Equal(("claude", 99), (sent.GetProperty("model").GetString(), sent.GetProperty("max_tokens").GetInt32()));
        Assert.Equal("iVBORw0KGgo=", sent.GetProperty("messages")[0].GetProperty("content")[1].GetProperty("source").GetProperty("data").GetString());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, 5L, 20L, 3L, 12L), (row.Result.Outcome, row.Result.Usage.Input, row.Result.Usage.CacheRead, row.Result.Usage.CacheWrite, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task ChatClient_AnthropicProvider_SecondTurnGoesBackWithItsSignature()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake, "anthropic");
        fake.Otherwise = _ => FakeReply.Json(200, """{"id":"msg_2","type":"message","role":"assistant","model":"claude","content":[{"type":"text","text":"Done."}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":5,"output_tokens":2}}""");

        using var response = await host.PostAsync("""{"model":"fake/claude","max_tokens":9,"messages":[{"role":"user","content":"U"},{"role":"assistant","content":"Let me see.","reasoning_content":"Hm","thinking_blocks":[{"index":0,"type":"thinking","thinking":"Hm","signature":"SIG"}],"tool_calls":[{"id":"toolu_1","type":"function","function":{"name":"f","arguments":"{\"a\": 1}"}}]},{"role":"tool","tool_call_id":"toolu_1","content":"R"}]}""");

        var answer = JsonDocument.Parse(await response.TextAsync()).RootElement;
        Assert.Equal(("Done.", "stop"), (answer.GetProperty("choices")[0].GetProperty("message").GetProperty("content").GetString(), answer.GetProperty("choices")[0].GetProperty("finish_reason").GetString()));
        var turn = fake.Requests[0].Json.GetProperty("messages")[1].GetProperty("content");
        Assert.Equal(["thinking", "text", "tool_use"], turn.EnumerateArray().Select(block => block.GetProperty("type").GetString()));
        Assert.Equal(("Hm", "SIG"), (turn[0].GetProperty("thinking").GetString(), turn[0].GetProperty("signature").GetString()));
        Assert.Equal(1, turn[2].GetProperty("input").GetProperty("a").GetInt32());
        Assert.Null(response.Header("x-gateway-dropped"));
    }

    [Theory]
    [InlineData("""{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}""", 529, "server_error", "Busy")]
    [InlineData("""{"type":"error","error":{"type":"invalid_request_error","message":"max_tokens: too many"}}""", 400, "invalid_request_error", "max_tokens: too many")]
    public async Task ChatClient_AnthropicProviderRefuses_ErrorInTheClientsFormat(string body, int status, string type, string message)
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake, "anthropic");
        fake.Otherwise = _ => FakeReply.Json(status, body);

        using var response = await host.PostAsync("""{"model":"fake/claude","messages":[{"role":"user","content":"U"}]}""");

        var error = JsonDocument.Parse(await response.TextAsync()).RootElement.GetProperty("error");
        Assert.Equal((status, type, message), ((int)response.StatusCode, error.GetProperty("type").GetString(), error.GetProperty("message").GetString()));
    }

    [Fact]
    public async Task ChatClient_AnthropicProviderBreaksOff_StreamEndsWithAnError()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake, "anthropic");
        fake.Otherwise = _ => FakeReply.Stream(AnthropicStream[..AnthropicStream.IndexOf("event: message_delta", StringComparison.Ordinal)]);

        using var response = await host.PostAsync("""{"model":"fake/claude","stream":true,"messages":[{"role":"user","content":"U"}]}""");
        var events = ChatCodec.Events(await response.TextAsync());

        Assert.Equal("upstream_stream_broken", JsonDocument.Parse(events[^1]).RootElement.GetProperty("error").GetProperty("code").GetString());
        Assert.DoesNotContain("[DONE]", events);
    }

    [Fact]
    public async Task AnthropicClient_ChatProvider_StreamsInItsOwnFormat()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake, "openai-chat");
        fake.Otherwise = _ => FakeReply.Stream(
            FakeReply.Role(), "data: {\"id\":\"c\",\"model\":\"gpt\",\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"Hm\"}}]}\n\n", FakeReply.Content("Hé"),
            "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]}}]}\n\n",
            FakeReply.Finish("tool_calls"), FakeReply.Usage(11, 4), FakeReply.Done);

        using var response = await host.PostAsync(
            """{"model":"fake/gpt","max_tokens":50,"stream":true,"system":[{"type":"text","text":"S"}],"messages":[{"role":"user","content":"U"},{"role":"assistant","content":[{"type":"tool_use","id":"t0","name":"f","input":{"a":"é"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t0","content":[{"type":"text","text":"R"}]},{"type":"text","text":"More"}]}],"tools":[{"name":"f","input_schema":{"type":"object"}}]}""",
            path: "/v1/messages");
        var text = await response.TextAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Contains("event: message_start", text, StringComparison.Ordinal);
        Assert.Contains("\"thinking_delta\",\"thinking\":\"Hm\"", text, StringComparison.Ordinal);
        Assert.Contains("\"text_delta\",\"text\":\"H", text, StringComparison.Ordinal);
        Assert.Contains("\"stop_reason\":\"tool_use\"", text, StringComparison.Ordinal);
        Assert.EndsWith("event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n", text, StringComparison.Ordinal);
        Assert.Equal("""{"model":"gpt","messages":[{"role":"system","content":"S"},{"role":"user","content":"U"},{"role":"assistant","content":null,"tool_calls":[{"id":"t0","type":"function","function":{"name":"f","arguments":"{\"a\":\"é\"}"}}]},{"role":"tool","tool_call_id":"t0","content":"R"},{"role":"user","content":"More"}],"max_completion_tokens":50,"stream":true,"stream_options":{"include_usage":true},"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}""",
            Encoding.UTF8.GetString(fake.Requests[0].Body));
        Assert.Equal((11L, 4L), ((await host.Ledger.RowsAsync(1))[0].Result.Usage.Input, (await host.Ledger.RowsAsync(1))[0].Result.Usage.Output));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, string dialect) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake) with { Dialect = dialect, Models = [] }] });
}
