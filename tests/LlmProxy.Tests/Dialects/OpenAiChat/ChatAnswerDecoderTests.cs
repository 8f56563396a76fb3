using System.Text;
using CsCheck;
using LlmProxy.Relay;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

public sealed class ChatAnswerDecoderTests
{
    private const string Head = """
        "id":"c1","object":"chat.completion.chunk","created":5,"model":"m1"
        """;

    [Fact]
    public void Read_TextWithUsage_OneBlock()
    {
        var (status, trace) = ChatCodec.Read(
            Chunk("""{"role":"assistant","content":"","refusal":null}"""), Chunk("""{"content":"Hé\n"}"""), Chunk("""{"content":"!"}"""), Chunk("{}", "stop"),
            "{" + Head + ""","choices":[],"usage":{"prompt_tokens":3,"completion_tokens":2}}""", "[DONE]");

        Assert.Equal(StreamStatus.Completed, status);
        AssertLines(trace,
            """start "c1" "m1" 5""", "0 Text of 0", """0 "Hé\n" """.TrimEnd(), """0 "!" """.TrimEnd(), "usage 3 2", "0 ends", "finish 0 EndTurn \"stop\"", "end");
    }

    [Fact]
    public void Read_ParallelCallsInterleaved_EachItsOwnBlock()
    {
        var (status, trace) = ChatCodec.Read(
            Chunk("""{"role":"assistant","content":null}"""),
            Chunk("""{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":""}}]}"""),
            Chunk("""{"tool_calls":[{"index":1,"id":"b","type":"function","function":{"name":"g","arguments":""}}]}"""),
            Chunk("""{"tool_calls":[{"index":0,"function":{"arguments":"{\"x\":"}}]}"""),
            Chunk("""{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]}"""),
            Chunk("""{"tool_calls":[{"index":0,"function":{"arguments":"1}"}}]}"""),
            Chunk("{}", "tool_calls"), "[DONE]");

        Assert.Equal(StreamStatus.Completed, status);
        AssertLines(trace, """start "c1" "m1" 5""", """0 ToolCall of 0 Function "a" "f" """.TrimEnd(), """1 ToolCall of 0 Function "b" "g" """.TrimEnd(),
            """0 "{\"x\":" """.TrimEnd(), """1 "{}" """.TrimEnd(), """0 "1}" """.TrimEnd(), "0 ends", "1 ends", "finish 0 ToolUse \"tool_calls\"", "end");
    }

    [Fact]
    public void Read_CallsThatAllHaveIndexZero_AreToldApartByTheirIds()
    {
        var (_, trace) = ChatCodec.Read(
            Chunk("""{"tool_calls":[{"index":0,"id":"a","type":"function","function":{"name":"f","arguments":"{}"}}]}"""),
            Chunk("""{"tool_calls":[{"index":0,"id":"b","type":"function","function":{"name":"f","arguments":"{\"y\":2}"}}]}"""), Chunk("{}", "stop"), "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", """0 ToolCall of 0 Function "a" "f" """.TrimEnd(), """0 "{}" """.TrimEnd(), "0 ends",
            """1 ToolCall of 0 Function "b" "f" """.TrimEnd(), """1 "{\"y\":2}" """.TrimEnd(), "1 ends", "finish 0 ToolUse \"stop\"", "end");
    }

    [Fact]
    public void Read_CallsWithoutIndexOrIds_AreToldApartByTheirNames()
    {
        var (_, trace) = ChatCodec.Read(
            Chunk("""{"tool_calls":[{"function":{"name":"f","arguments":"{\"a\":"}}]}"""), Chunk("""{"tool_calls":[{"function":{"arguments":"1}"}}]}"""),
            Chunk("""{"tool_calls":[{"function":{"name":"g","arguments":{"b":"\""}}}]}"""), Chunk("{}", "tool_calls"), "[DONE]");

        Assert.Equal(2, trace.Lines.Count(line => line.Contains("ToolCall", StringComparison.Ordinal)));
        Assert.Contains("""1 "{\"b\":\"\\\"\"}" """.TrimEnd(), trace.Lines);
        var ids = trace.Lines.Where(line => line.Contains("ToolCall", StringComparison.Ordinal)).Select(line => line.Split('"')[1]).ToList();
        Assert.Equal(2, ids.Distinct().Count());
        Assert.All(ids, id => Assert.StartsWith("call_", id, StringComparison.Ordinal));
    }

    [Fact]
    public void Read_NameAfterArguments_IsWaitedFor()
    {
        var (_, trace) = ChatCodec.Read(
            Chunk("""{"tool_calls":[{"index":0,"id":"a","function":{"arguments":"{\"q\""}}]}"""), Chunk("""{"tool_calls":[{"index":0,"function":{"name":"f","arguments":":1}"}}]}"""), Chunk("{}", "tool_calls"), "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", """0 ToolCall of 0 Function "a" "f" """.TrimEnd(), """0 "{\"q\"" """.TrimEnd(), """0 ":1}" """.TrimEnd(), "0 ends", "finish 0 ToolUse \"tool_calls\"", "end");
    }

    [Fact]
    public void Read_CallWithoutArguments_HasAnEmptyObject()
    {
        var (_, trace) = ChatCodec.Read(Chunk("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":""}}]}"""), Chunk("{}", "tool_calls"), "[DONE]");

        Assert.Contains("""0 "{}" """.TrimEnd(), trace.Lines);
    }

    [Theory]
    [InlineData("""{"reasoning_content":"hm"}""")]
    [InlineData("""{"content":"","reasoning":"hm"}""")]
    [InlineData("""{"reasoning":"hm","reasoning_details":[{"type":"reasoning.text","text":"hm","index":0}]}""")]
    [InlineData("""{"reasoning_content":"hm","thinking_blocks":[{"type":"thinking","thinking":"hm","signature":null}]}""")]
    [InlineData("""{"content":[{"type":"thinking","thinking":[{"type":"text","text":"hm"}]}]}""")]
    public void Read_ThoughtsUnderAnyName_AreReasoning(string delta)
    {
        var (_, trace) = ChatCodec.Read(Chunk(delta), Chunk("""{"content":"so"}"""), Chunk("{}", "stop"), "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", "0 Reasoning of 0", """0 "hm" """.TrimEnd(), "0 ends", "1 Text of 0", """1 "so" """.TrimEnd(), "1 ends", "finish 0 EndTurn \"stop\"", "end");
    }

    [Fact]
    public void Read_SignedThoughts_KeepTheirBlocksApart()
    {
        var (_, trace) = ChatCodec.Read(
            Chunk("""{"reasoning_content":"a","thinking_blocks":[{"type":"thinking","thinking":"a","signature":null}]}"""), Chunk("""{"thinking_blocks":[{"type":"thinking","thinking":"","signature":"S1"}]}"""),
            Chunk("""{"thinking_blocks":[{"type":"redacted_thinking","data":"R"}]}"""),
            // As this gateway itself sends it: the text first, then the whole block with its signature.
            Chunk("""{"reasoning_content":"bcd"}"""), Chunk("""{"thinking_blocks":[{"index":1,"type":"thinking","thinking":"bcd","signature":"S2"}]}"""),
            Chunk("""{"reasoning_details":[{"type":"reasoning.encrypted","data":"E","format":"openai-responses-v1"}]}"""), Chunk("{}", "stop"), "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", "0 Reasoning of 0", """0 "a" """.TrimEnd(), """0 signed anthropic "S1" """.TrimEnd(), "0 ends",
            "1 RedactedReasoning of 0", """1 signed anthropic "R" """.TrimEnd(), "1 ends",
            "2 Reasoning of 0", """2 "bcd" """.TrimEnd(), """2 signed anthropic "S2" """.TrimEnd(), "2 ends",
            "3 Reasoning of 0", """3 signed openai "E" """.TrimEnd(), "3 ends", "finish 0 EndTurn \"stop\"", "end");
    }

    [Fact]
    public void Read_GoogleSignature_IsTheCalls()
    {
        var (_, trace) = ChatCodec.Read(
            Chunk("""{"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{}"},"extra_content":{"google":{"thought_signature":"G"}}}]}"""), Chunk("{}", "tool_calls"), "[DONE]");

        Assert.Contains("""0 signed google "G" """.TrimEnd(), trace.Lines);
    }

    [Fact]
    public void Read_SeveralChoicesInAnyMemberOrder_StayApart()
    {
        var (status, trace) = ChatCodec.Read(
            $$"""{"choices":[{"delta":{"content":"x"},"finish_reason":null,"index":1},{"delta":{"content":"y"},"index":0}],{{Head}}}""",
            $$"""{"choices":[{"delta":{},"finish_reason":"length","index":1},{"finish_reason":"stop","delta":{},"index":0}],{{Head}}}""");

        Assert.Equal(StreamStatus.Completed, status); // no last event, but both choices have ended
        AssertLines(trace, """start "c1" "m1" 5""", "0 Text of 1", """0 "x" """.TrimEnd(), "1 Text of 0", """1 "y" """.TrimEnd(),
            "1 ends", "0 ends", "finish 0 EndTurn \"stop\"", "finish 1 MaxTokens \"length\"", "end");
    }

    [Fact]
    public void Read_RefusalLogProbsCitations_GoWithTheirBlocks()
    {
        var (_, trace) = ChatCodec.Read(
            "{" + Head + ""","choices":[{"index":0,"delta":{"content":"a","annotations":[{"type":"url_citation","url_citation":{"url":"https://e.org","title":"E","start_index":0,"end_index":1}}]},"logprobs":{"content":[{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}],"refusal":null}}]}""",
            Chunk("""{"refusal":"no"}"""), Chunk("{}", "stop"), "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", "0 Text of 0", """0 "a" """.TrimEnd(), "0 cites https://e.org 'E' 0-1",
            """0 logprobs [{"token":"a","logprob":-0.5,"bytes":[97],"top_logprobs":[]}]""", "0 ends", "1 Refusal of 0", """1 "no" """.TrimEnd(), "1 ends", "finish 0 Refusal \"stop\"", "end");
    }

    [Fact]
    public void Read_UnknownMembers_AreExtensions()
    {
        var (_, trace) = ChatCodec.Read(
            """{"id":"","choices":[],"created":0,"model":"","prompt_filter_results":[{"prompt_index":0}]}""",
            "{" + Head + ""","system_fingerprint":"fp","obfuscation":"xyz","provider":"P","choices":[{"index":0,"delta":{"content":"a","mood":1},"content_filter_results":{},"native_finish_reason":"end","finish_reason":"stop"}]}""", "[DONE]");

        AssertLines(trace, """start "c1" "m1" 5""", """extension prompt_filter_results [{"prompt_index":0}]""", """extension system_fingerprint "fp" """.TrimEnd(), """extension provider "P" """.TrimEnd(),
            """extension choices[0].native_finish_reason "end" """.TrimEnd(), "extension choices[0].message.mood 1", "0 Text of 0", """0 "a" """.TrimEnd(), "0 ends", "finish 0 EndTurn \"stop\"", "end");
    }

    [Fact]
    public void Read_ErrorInTheMiddle_Fails()
    {
        var (status, trace) = ChatCodec.Read(Chunk("""{"content":"a"}"""), """{"error":{"message":"Too many","type":"rate_limit_error","param":null,"code":"rate_limit_exceeded"}}""");

        Assert.Equal(StreamStatus.Failed, status);
        Assert.Equal("fail 429 rate_limit rate_limit_exceeded: Too many", trace.Lines[^1]);
    }

    [Theory]
    [InlineData("{")]
    [InlineData("[]")]
    [InlineData("\"x\"")]
    [InlineData("""{"choices":[{"index":-1,"delta":{}}]}""")]
    [InlineData("""{"choices":[{"delta":{"content":"a"}}]} {}""")]
    public void Read_Garbage_IsInvalid(string data) => Assert.Equal(StreamStatus.Invalid, ChatCodec.Read(data).Status);

    [Fact]
    public void End_WithoutFinish_IsTruncated()
    {
        var (status, trace) = ChatCodec.Read(Chunk("""{"content":"a"}"""));

        Assert.Equal(StreamStatus.Truncated, status);
        Assert.DoesNotContain("end", trace.Lines);
    }

    [Fact]
    public void Read_StopSequence_IsSaid()
    {
        var (_, trace) = ChatCodec.Read(Chunk("""{"content":"a"}"""), "{" + Head + ""","choices":[{"index":0,"delta":{},"finish_reason":"stop","stop_reason":"END"}]}""", "[DONE]");

        Assert.Contains("""finish 0 StopSequence "stop" "END" """.TrimEnd(), trace.Lines);
    }

    [Fact]
    public void ReadComplete_EverythingAtOnce_InItsOrder()
    {
        var (status, trace) = ChatCodec.ReadComplete("""
            {"choices":[{"finish_reason":"tool_calls","index":0,"logprobs":null,"message":{"content":"Let me see.","tool_calls":[{"id":"a","type":"custom","custom":{"name":"sql","input":"select 1"}},
            {"id":"b","type":"function","function":{"name":"f","arguments":""}}],"role":"assistant","refusal":null,"annotations":[],"reasoning_content":"hm"}}],
            "usage":{"prompt_tokens":9,"completion_tokens":4,"num_search_queries":2},"id":"c2","created":7,"model":"m2","object":"chat.completion","service_tier":"flex","system_fingerprint":null}
            """);

        Assert.Equal(StreamStatus.Completed, status);
        AssertLines(trace, """start "c2" "m2" 7""", "0 Reasoning of 0", """0 "hm" """.TrimEnd(), "0 ends", "1 Text of 0", """1 "Let me see." """.TrimEnd(), "1 ends",
            """2 ToolCall of 0 Custom "a" "sql" """.TrimEnd(), """2 "select 1" """.TrimEnd(), """3 ToolCall of 0 Function "b" "f" """.TrimEnd(), """usage 9 4 {"web_search_requests":2}""",
            "2 ends", """3 "{}" """.TrimEnd(), "3 ends", "finish 0 ToolUse \"tool_calls\"", "end");
    }

    [Theory]
    [InlineData("""{"error":{"message":"No","type":"invalid_request_error","param":"messages","code":null}}""", "fail 400 invalid_request invalid_request_error: No")]
    [InlineData("""{"error":"boom"}""", "fail 502 server : boom")]
    [InlineData("""{"choices":[{"index":0,"message":{"content":""},"error":{"code":503,"message":"Busy"}}]}""", "fail 503 overloaded 503: Busy")]
    public void ReadComplete_Error_Fails(string body, string expected)
    {
        var (status, trace) = ChatCodec.ReadComplete(body);

        Assert.Equal(StreamStatus.Failed, status);
        Assert.Equal(expected, trace.Lines[^1]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("{}")]
    [InlineData("""{"choices":[]}""")]
    [InlineData("""{"choices":[{"message":{"content":"a"}}]""")]
    public void ReadComplete_NoAnswer_IsInvalid(string body) => Assert.Equal(StreamStatus.Invalid, ChatCodec.ReadComplete(body).Status);

    [Theory]
    [InlineData(429, """{"error":{"message":"Slow down","type":"tokens","param":null,"code":"rate_limit_exceeded"}}""", "rate_limit", "Slow down")]
    [InlineData(400, """[{"error":{"code":400,"message":"Bad","status":"INVALID_ARGUMENT"}}]""", "invalid_request", "Bad")]
    [InlineData(422, """{"detail":"Extra"}""", "invalid_request", "Extra")]
    [InlineData(503, "<html>secret</html>", "overloaded", "The model's provider answered with an error.")]
    [InlineData(401, "", "authentication", "The model's provider answered with an error.")]
    public void ReadError_AnyBody_SaysSomethingSensible(int status, string body, string type, string message)
    {
        var error = ChatCodec.Dialect.ReadError(status, Encoding.UTF8.GetBytes(body));

        Assert.Equal((status, type, message), (error.Status, error.Type, error.Message));
    }

    [Fact]
    public void ReadError_RetryDelay_IsKept() =>
        Assert.Equal(TimeSpan.FromSeconds(34.5), ChatCodec.Dialect.ReadError(429, """[{"error":{"code":429,"message":"Quota","details":[{"@type":"x"},{"retryDelay":"34.5s"}]}}]"""u8).RetryAfter);

    [Fact]
    public void Read_MutatedBytes_NeverThrows()
    {
        var recorded = Encoding.UTF8.GetBytes(Chunk("""{"role":"assistant","content":"aé\ud83d","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic"}],"thinking_blocks":[{"type":"thinking","thinking":"x"}],"images":[{"image_url":{"url":"data:image/png;base64,AA"}}],"audio":{"id":"i","data":"AA"},"tool_calls":[{"index":0,"id":"a","function":{"name":"f","arguments":"{\"a\":\"\\u00e9\"}"},"extra_content":{"google":{"thought_signature":"G"}}}],"annotations":[{"url_citation":{"url":"u"}}]}""", "stop"));
        var mutation = Gen.Select(Gen.Int[0, recorded.Length - 1], Gen.Byte, Gen.Int[0, recorded.Length]);

        mutation.Array[0, 6].Sample(changes =>
        {
            var bytes = (byte[])recorded.Clone();
            var length = bytes.Length;
            foreach (var (at, value, cut) in changes)
            {
                bytes[at] = value;
                length = cut % 3 == 0 ? Math.Min(length, cut) : length;
            }
            var decoder = ChatCodec.Dialect.NewDecoder();
            var sink = new AnswerTrace();
            var status = decoder.Read(default, bytes.AsSpan(0, length), sink);
            Assert.NotEqual(StreamStatus.OutOfMemory, status);
            _ = ChatCodec.Dialect.NewDecoder().ReadComplete(bytes.AsSpan(0, length), new AnswerTrace());
            _ = ChatCodec.Dialect.ReadError(500, bytes.AsSpan(0, length));
            _ = ChatCodec.Dialect.Decode(bytes.AsMemory(0, length), false, out _);
        }, iter: 3000);
    }

    private static string Chunk(string delta, string? finish = null) =>
        "{" + Head + ",\"choices\":[{\"index\":0,\"delta\":" + delta + ",\"logprobs\":null,\"finish_reason\":" + (finish is null ? "null" : $"\"{finish}\"") + "}]}";

    private static void AssertLines(AnswerTrace trace, params string[] expected) => Assert.Equal(string.Join('\n', expected), trace.Text);
}
