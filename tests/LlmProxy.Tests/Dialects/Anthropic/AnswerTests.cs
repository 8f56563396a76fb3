using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Anthropic;

public sealed class AnswerTests
{
    private const string Start = """{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":1,"service_tier":"standard"}}}""";
    private const string Last = """{"type":"message_stop"}""";

    /// <summary>Everything that a stream can hold, as a vendor's server writes it.</summary>
    private static readonly string[] Everything =
    [
        Start,
        """{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}""",
        """{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Let \"me\" \\ think\n"}}""",
        """{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"c2ln"}}""",
        """{"type":"content_block_stop","index":0}""",
        """{"type":"content_block_start","index":1,"content_block":{"type":"redacted_thinking","data":"cmVk"}}""",
        """{"type":"content_block_stop","index":1}""",
        """{"type":"content_block_start","index":2,"content_block":{"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"news"}}}""",
        """{"type":"content_block_stop","index":2}""",
        """{"type":"content_block_start","index":3,"content_block":{"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com"}]}}""",
        """{"type":"content_block_stop","index":3}""",
        """{"type":"content_block_start","index":4,"content_block":{"type":"text","text":""}}""",
        """{"type":"content_block_delta","index":4,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","cited_text":"c","url":"https://example.com","title":"T","encrypted_index":"RQ=="}}}""",
        """{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"Ciao 漢"}}""",
        """{"type":"content_block_delta","index":4,"delta":{"type":"text_delta","text":"\ud83d\ude00"}}""",
        """{"type":"content_block_stop","index":4}""",
        """{"type":"content_block_start","index":5,"content_block":{"type":"tool_use","id":"toolu_1","name":"weather","input":{},"caller":{"type":"direct"}}}""",
        """{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"{\"city\": \"Ro"}}""",
        """{"type":"content_block_delta","index":5,"delta":{"type":"input_json_delta","partial_json":"me\"}"}}""",
        """{"type":"content_block_stop","index":5}""",
        """{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null,"container":{"id":"container_1","expires_at":"2026-12-01T00:00:00Z"}},"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":40,"output_tokens_details":{"thinking_tokens":8},"server_tool_use":{"web_search_requests":1}},"context_management":{"applied_edits":[]}}""",
        Last,
    ];

    [Fact]
    public void Stream_ToItsOwnDialect_ComesOutAsItWentIn()
    {
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();

        var status = Wire.Read(Wire.Events(Everything), new AnthropicStreamEncoder(Wire.Context(stream: true, dropped), output), out var decoder);

        Assert.Equal(StreamStatus.Completed, status);
        Wire.AssertSame(new JsonArray([.. Everything.Select(line => JsonNode.Parse(line))]), new JsonArray([.. Wire.Data(output.Text())]));
        Assert.All(Wire.Frames(output.Text()), frame => Assert.Equal(frame.Name, (string?)JsonNode.Parse(frame.Data)!["type"]));
        Assert.Empty(dropped.Names);
        Assert.Equal(new TokenUsage { Input = 10, CacheRead = 4, Output = 32, Reasoning = 8, Units = UnitUsage.Of(UnitKind.Search, 1) }, decoder.Usage);
        Assert.Equal("claude-opus-5", decoder.Model);
        Assert.Equal("standard", decoder.ServiceTier);
    }

    [Fact]
    public void Stream_ToACompleteMessageAndBack_SaysTheSame()
    {
        var body = new ArrayBufferWriter<byte>();
        Wire.Read(Wire.Events(Everything), new AnthropicBodyEncoder(Wire.Context(stream: false), body), out _);
        var again = new ArrayBufferWriter<byte>();
        var log = new SinkLog();

        Assert.Equal(StreamStatus.Completed, Wire.Dialect.NewDecoder().ReadComplete(body.WrittenSpan, new AnthropicBodyEncoder(Wire.Context(stream: false), again)));
        Assert.Equal(StreamStatus.Completed, Wire.Dialect.NewDecoder().ReadComplete(body.WrittenSpan, log));

        Wire.AssertSame(JsonNode.Parse("""
            {"id":"msg_1","type":"message","role":"assistant","model":"claude-opus-5","content":[
              {"type":"thinking","thinking":"Let \"me\" \\ think\n","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},
              {"type":"server_tool_use","id":"srvtoolu_1","name":"web_search","input":{"query":"news"}},
              {"type":"web_search_tool_result","tool_use_id":"srvtoolu_1","content":[{"type":"web_search_result","url":"https://example.com"}]},
              {"type":"text","text":"Ciao 漢😀","citations":[{"type":"web_search_result_location","cited_text":"c","url":"https://example.com","title":"T","encrypted_index":"RQ=="}]},
              {"type":"tool_use","id":"toolu_1","name":"weather","input":{"city": "Rome"},"caller":{"type":"direct"}}],
             "stop_reason":"tool_use","stop_sequence":null,"context_management":{"applied_edits":[]},"container":{"id":"container_1","expires_at":"2026-12-01T00:00:00Z"},
             "usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":40,"output_tokens_details":{"thinking_tokens":8},"server_tool_use":{"web_search_requests":1}}}
            """), JsonNode.Parse(body.WrittenSpan));
        Wire.AssertSame(JsonNode.Parse(body.WrittenSpan), JsonNode.Parse(again.WrittenSpan));
        Assert.Equal(
            [
                "start \"msg_1\" \"claude-opus-5\"", "extension", "extension", "begin 0 Reasoning", "delta 0 \"Let \\\"me\\\" \\\\ think\\n\"", "signature 0 anthropic \"c2ln\"", "end 0",
                "begin 1 RedactedReasoning", "signature 1 anthropic \"cmVk\"", "end 1", "begin 2 Native", "end 2", "begin 3 Native", "end 3", "begin 4 Text", "delta 4", "citation 4 https://example.com T c", "end 4",
                "begin 5 ToolCall \"toolu_1\" \"weather\"", "delta 5 \"{\\\"city\\\": \\\"Rome\\\"}\"", "end 5", "finish ToolUse", "end",
            ],
            log.Lines, (expected, actual) => actual == expected || actual.StartsWith(expected + " ", StringComparison.Ordinal));
    }

    [Fact]
    public void Stream_FromAnotherDialect_HasTheVendorsOrder()
    {
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        var sink = new AnthropicStreamEncoder(Wire.Context(stream: true, dropped), output);

        sink.Start(new AnswerStart { Source = DialectIds.OpenAiChat, IdToken = "\"chatcmpl-1\""u8, ModelToken = "\"gpt-6\""u8 });
        sink.BeginBlock(0, new BlockStart { Kind = BlockKind.ReasoningSummary });
        sink.Delta(0, "\"Hm\""u8);
        sink.Signature(0, SignatureFamilies.OpenAi, "\"b3Bh\""u8);
        sink.EndBlock(0);
        sink.BeginBlock(1, new BlockStart { Kind = BlockKind.Text });
        sink.Delta(1, "\"Hi\""u8);
        sink.Citation(1, new NeutralCitation { Url = JsonText.From("https://example.com"), Title = JsonText.From("T"), Raw = "{\"type\":\"url_citation\"}"u8.ToArray() });
        sink.LogProbs(1, "[]"u8);
        sink.EndBlock(1);
        sink.BeginBlock(2, new BlockStart { Kind = BlockKind.Media, MediaTypeToken = "\"image/png\""u8 });
        sink.Delta(2, "\"AAAA\""u8);
        sink.EndBlock(2);
        sink.BeginBlock(3, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"call_1\""u8, NameToken = "\"f\""u8 });
        sink.BeginBlock(4, new BlockStart { Kind = BlockKind.ToolCall, NameToken = "\"g\""u8, ToolKind = ToolKind.Custom });
        sink.Delta(3, "\"{}\""u8);
        sink.Delta(4, "\"say \\\"x\\\"\\n\""u8);
        sink.Extension("system_fingerprint", "\"fp\""u8);
        sink.Usage(new AnswerUsage { Tokens = new TokenUsage { Input = 7, CacheRead = 3, Output = 5, Reasoning = 2 }, Raw = "{\"prompt_tokens\":10}"u8 });
        sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn, NativeToken = "\"stop\""u8 });
        sink.End();

        var expected = new JsonArray(
            JsonNode.Parse("""{"type":"message_start","message":{"id":"msg_req-1","type":"message","role":"assistant","model":"gpt-6","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":0,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":0}}}"""),
            JsonNode.Parse("""{"type":"content_block_start","index":0,"content_block":{"type":"thinking","thinking":"","signature":""}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":0,"delta":{"type":"thinking_delta","thinking":"Hm"}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":0,"delta":{"type":"signature_delta","signature":"openai#b3Bh"}}"""),
            JsonNode.Parse("""{"type":"content_block_stop","index":0}"""),
            JsonNode.Parse("""{"type":"content_block_start","index":1,"content_block":{"type":"text","text":""}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":1,"delta":{"type":"citations_delta","citation":{"type":"web_search_result_location","cited_text":"","url":"https://example.com","title":"T","encrypted_index":""}}}"""),
            JsonNode.Parse("""{"type":"content_block_stop","index":1}"""),
            JsonNode.Parse("""{"type":"content_block_start","index":2,"content_block":{"type":"tool_use","id":"call_1","name":"f","input":{}}}"""),
            JsonNode.Parse("""{"type":"content_block_start","index":3,"content_block":{"type":"tool_use","id":"toolu_req-1_4","name":"g","input":{}}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"{\"input\":\""}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":2,"delta":{"type":"input_json_delta","partial_json":"{}"}}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"say \\\"x\\\"\\n"}}"""),
            JsonNode.Parse("""{"type":"content_block_stop","index":2}"""),
            JsonNode.Parse("""{"type":"content_block_delta","index":3,"delta":{"type":"input_json_delta","partial_json":"\"}"}}"""),
            JsonNode.Parse("""{"type":"content_block_stop","index":3}"""),
            JsonNode.Parse("""{"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":7,"cache_creation_input_tokens":0,"cache_read_input_tokens":3,"output_tokens":7,"output_tokens_details":{"thinking_tokens":2}}}"""),
            JsonNode.Parse(Last));
        Wire.AssertSame(expected, new JsonArray([.. Wire.Data(output.Text())]));
        Assert.Equal(["logprobs", "content[].media", "system_fingerprint"], dropped.Names);
    }

    [Fact]
    public void ForeignSignature_ThroughAClientOfThisDialect_ComesBackToItsFamily()
    {
        var request = Wire.Decode("""{"max_tokens":1,"messages":[{"role":"assistant","content":[{"type":"thinking","thinking":"Hm","signature":"openai#b3Bh"},{"type":"redacted_thinking","data":"google#Zw=="},{"type":"thinking","thinking":"","signature":"c2ln"}]}]}""");

        var signatures = request.Messages[0].Parts.Cast<ReasoningPart>().Select(part => (part.Signature!.Family, part.Signature.Data.ToString()));

        Assert.Equal([("openai", "b3Bh"), ("google", "Zw=="), ("anthropic", "c2ln")], signatures);
    }

    [Fact]
    public void Stream_ToolWithoutArguments_HasAnEmptyObject()
    {
        var log = new SinkLog();

        Wire.Read(Wire.Events(Start, """{"type":"content_block_start","index":0,"content_block":{"type":"tool_use","id":"t","name":"f","input":{}}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":""}}""", """{"type":"content_block_stop","index":0}""",
            """{"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"u","name":"f","input":{"a":"\n"}}}""", """{"type":"content_block_stop","index":1}""",
            """{"type":"message_delta","delta":{"stop_reason":"tool_use"},"usage":{"output_tokens":5}}""", Last), log, out _);

        Assert.Equal("""delta 0 "{}" """.Trim(), log.Lines[2]);
        Assert.Equal("""delta 1 "{\"a\":\"\\n\"}" """.Trim(), log.Lines[5]);
    }

    [Fact]
    public void Stream_StartTwice_TheSecondChangesNothing()
    {
        var log = new SinkLog();

        Assert.Equal(StreamStatus.Completed, Wire.Read(Wire.Events(Start, Start, """{"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":5}}""", Last), log, out _));

        Assert.Equal(["start \"msg_1\" \"claude-opus-5\"", "finish EndTurn", "end"], log.Lines);
    }

    [Fact]
    public void Stream_AnotherMessageAmidTheFirst_IsInvalid()
    {
        var other = Start.Replace("msg_1", "msg_2", StringComparison.Ordinal);

        Assert.Equal(StreamStatus.Invalid, Wire.Read(Wire.Events(Start, """{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""", other), new SinkLog(), out _));
    }

    [Fact]
    public void Stream_CutAnywhere_IsNeverComplete()
    {
        for (var count = 0; count < Everything.Length - 2; count++)
        {
            Assert.Equal(StreamStatus.Truncated, Wire.Read(Wire.Events(Everything[..count]), new SinkLog(), out _));
        }
        // Once the reason to stop is known, only the last event is missing.
        Assert.Equal(StreamStatus.Completed, Wire.Read(Wire.Events(Everything[..^1]), new SinkLog(), out _));
    }

    [Theory]
    [InlineData("overloaded_error", 529, "overloaded")]
    [InlineData("rate_limit_error", 429, "rate_limit")]
    [InlineData("invalid_request_error", 400, "invalid_request")]
    [InlineData("of_the_future", 500, "server")]
    public void Stream_Error_Fails(string type, int status, string neutral)
    {
        var log = new SinkLog();
        var output = new ArrayBufferWriter<byte>();
        var error = $$$"""{"type":"error","error":{"type":"{{{type}}}","message":"No \"more\""}}""";

        Assert.Equal(StreamStatus.Failed, Wire.Read(Wire.Events(Start, error), log, out _));
        Assert.Equal(StreamStatus.Failed, Wire.Read(Wire.Events(Start, error), new AnthropicStreamEncoder(Wire.Context(stream: true), output), out _));

        Assert.Equal((status, neutral, type, "No \"more\""), (log.Error!.Status, log.Error.Type, log.Error.Code, log.Error.Message));
        Assert.EndsWith("event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"" + (type == "of_the_future" ? "api_error" : type) + "\",\"message\":\"No \\\"more\\\"\"},\"request_id\":\"req-1\"}\n\n", output.Text(), StringComparison.Ordinal);
    }

    [Fact]
    public void Stream_NativeBlockInPieces_IsPutTogether()
    {
        var log = new SinkLog();

        Wire.Read(Wire.Events(Start,
            """{"type":"content_block_start","index":0,"content_block":{"type":"server_tool_use","id":"s","name":"web_search","input":{}}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"{\"query\":"}}""",
            """{"type":"content_block_delta","index":0,"delta":{"type":"input_json_delta","partial_json":"\"q\"}"}}""",
            """{"type":"content_block_stop","index":0}""",
            """{"type":"content_block_start","index":1,"content_block":{"type":"compaction","content":null}}""",
            """{"type":"content_block_delta","index":1,"delta":{"type":"compaction_delta","content":"All of it"}}""",
            """{"type":"content_block_stop","index":1}"""), log, out _);

        Assert.Equal("""begin 0 Native   server_tool_use {"type":"server_tool_use","id":"s","name":"web_search","input":{"query":"q"}}""", log.Lines[1]);
        Assert.Equal("""begin 1 Native   compaction {"type":"compaction","content":"All of it"}""", log.Lines[3]);
    }

    [Theory]
    [InlineData("end_turn", nameof(StopReason.EndTurn))]
    [InlineData("max_tokens", nameof(StopReason.MaxTokens))]
    [InlineData("stop_sequence", nameof(StopReason.StopSequence))]
    [InlineData("tool_use", nameof(StopReason.ToolUse))]
    [InlineData("pause_turn", nameof(StopReason.PauseTurn))]
    [InlineData("compaction", nameof(StopReason.PauseTurn))]
    [InlineData("refusal", nameof(StopReason.Refusal))]
    [InlineData("model_context_window_exceeded", nameof(StopReason.ContextExceeded))]
    [InlineData("of_the_future", nameof(StopReason.Other))]
    public void StopReason_BothWays_IsTheVendors(string vendors, string neutral)
    {
        var log = new SinkLog();
        var output = new ArrayBufferWriter<byte>();
        var body = Encoding.UTF8.GetBytes($$$"""{"id":"msg_1","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"a"}],"stop_reason":"{{{vendors}}}","stop_sequence":null,"usage":{"input_tokens":1,"output_tokens":1}}""");

        Wire.Dialect.NewDecoder().ReadComplete(body, log);
        Wire.Dialect.NewDecoder().ReadComplete(body, new AnthropicBodyEncoder(Wire.Context(stream: false), output));

        Assert.Contains("finish " + neutral, log.Lines);
        Wire.AssertSame(JsonNode.Parse(body), JsonNode.Parse(output.WrittenSpan));
    }

    [Fact]
    public void CompleteMessage_AsAStream_IsOneLinePerEvent()
    {
        var output = new ArrayBufferWriter<byte>();

        Wire.Dialect.NewDecoder().ReadComplete("""
            {
              "id": "msg_1", "type": "message", "model": "m", "role": "assistant",
              "content": [
                { "type": "web_search_tool_result",
                  "content": [] }
              ],
              "stop_reason": "end_turn",
              "usage": {
                "input_tokens": 1,
                "output_tokens": 2
              }
            }
            """u8, new AnthropicStreamEncoder(Wire.Context(stream: true), output));

        Assert.All(Wire.Frames(output.Text()), frame => Assert.DoesNotContain('\n', frame.Data));
        Assert.Equal(["message_start", "content_block_start", "content_block_stop", "message_delta", "message_stop"], Wire.Frames(output.Text()).Select(frame => frame.Name));
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("[]")]
    [InlineData("<html>")]
    [InlineData("{\"content\":[{\"type\":\"text\"")]
    public void CompleteMessage_Garbage_IsInvalidAndSaysNothing(string body)
    {
        var log = new SinkLog();

        Assert.Equal(StreamStatus.Invalid, Wire.Dialect.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(body), log));
        Assert.Empty(log.Lines);
    }

    [Fact]
    public void Stream_AnyMutation_EndsInOrder() => Gen.Select(Gen.Int[0, Everything.Length - 1], Gen.Int[0, 400], Gen.Byte, Gen.Bool, (line, at, value, cut) => (line, at, value, cut)).Sample(sample =>
    {
        var output = new ArrayBufferWriter<byte>();
        var decoder = Wire.Dialect.NewDecoder();
        var sink = new AnthropicStreamEncoder(Wire.Context(stream: true), output);
        var status = StreamStatus.Open;
        for (var i = 0; i < Everything.Length && status == StreamStatus.Open; i++)
        {
            var data = Encoding.UTF8.GetBytes(Everything[i]);
            if (i == sample.line)
            {
                data[sample.at % data.Length] = sample.value;
                data = sample.cut ? data[..(sample.at % data.Length)] : data;
            }
            status = decoder.Read(default, data, sink);
        }
        if (status == StreamStatus.Completed)
        {
            foreach (var (_, data) in Wire.Frames(output.Text()))
            {
                using var parsed = JsonDocument.Parse(data);
            }
        }
    }, iter: 5000);

    [Theory]
    [InlineData(529, """{"type":"error","error":{"type":"overloaded_error","message":"Busy"},"request_id":"r"}""", "overloaded", "Busy")]
    [InlineData(400, """{"message":"Malformed input request"}""", "invalid_request", "Malformed input request")]
    [InlineData(404, """[{"error":{"code":404,"message":"No such model","status":"NOT_FOUND"}}]""", "not_found", "No such model")]
    [InlineData(502, "<html>Bad Gateway</html>", "server", "<html>Bad Gateway</html>")]
    [InlineData(403, "", "permission", "The provider answered with status 403 and no reason.")]
    public void ReadError_AnyBody_MakesSense(int status, string body, string type, string message)
    {
        var error = Wire.Dialect.ReadError(status, Encoding.UTF8.GetBytes(body));

        Assert.Equal((status, type, message), (error.Status, error.Type, error.Message));
    }
}
