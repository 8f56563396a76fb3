using System.Buffers;
using System.Text;
using System.Text.Json;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Responses;

/// <summary>Answers: decoded, encoded, watched.</summary>
public sealed class ResponsesAnswerTests
{
    private const string Output = """[{"id":"rs_1","type":"reasoning","status":"completed","summary":[{"type":"summary_text","text":"why"},{"type":"summary_text","text":"so"}],"encrypted_content":"gAAA"},{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","text":"Hi \ud83d\ude00","annotations":[{"type":"url_citation","start_index":0,"end_index":2,"url":"https://u.example","title":"t"}],"logprobs":[]}],"role":"assistant","phase":"commentary"},{"id":"fc_1","type":"function_call","status":"completed","call_id":"c1","name":"f","arguments":"{\"a\":1}"},{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}]""";

    private const string Usage = """{"input_tokens":100,"input_tokens_details":{"cached_tokens":40,"cache_write_tokens":10},"output_tokens":50,"output_tokens_details":{"reasoning_tokens":20},"total_tokens":150}""";

    private static readonly string[] Stream =
    [
        """{"type":"response.created","sequence_number":0,"response":{"id":"resp_1","object":"response","created_at":1700000001,"model":"gpt-5","status":"in_progress","output":[]}}""",
        """{"type":"response.in_progress","sequence_number":1,"response":{"id":"resp_1","output":[]}}""",
        """{"type":"response.output_item.added","sequence_number":2,"output_index":0,"item":{"id":"rs_1","type":"reasoning","summary":[]}}""",
        """{"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":""}}""",
        """{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":0,"delta":"why","obfuscation":"xx"}""",
        """{"type":"response.reasoning_summary_text.done","item_id":"rs_1","output_index":0,"summary_index":0,"text":"why"}""",
        """{"type":"response.reasoning_summary_part.done","item_id":"rs_1","output_index":0,"summary_index":0,"part":{"type":"summary_text","text":"why"}}""",
        """{"type":"response.reasoning_summary_part.added","item_id":"rs_1","output_index":0,"summary_index":1,"part":{"type":"summary_text","text":""}}""",
        """{"type":"response.reasoning_summary_text.delta","item_id":"rs_1","output_index":0,"summary_index":1,"delta":"so"}""",
        """{"type":"response.output_item.done","output_index":0,"item":{"id":"rs_1","type":"reasoning","encrypted_content":"gAAA","summary":[{"type":"summary_text","text":"why"},{"type":"summary_text","text":"so"}]}}""",
        """{"type":"response.output_item.added","output_index":1,"item":{"id":"msg_1","type":"message","status":"in_progress","content":[],"role":"assistant","phase":"commentary"}}""",
        """{"type":"response.content_part.added","item_id":"msg_1","output_index":1,"content_index":0,"part":{"type":"output_text","annotations":[],"logprobs":[],"text":""}}""",
        """{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"Hi \ud83d","logprobs":[]}""",
        """{"type":"response.output_text.delta","item_id":"msg_1","output_index":1,"content_index":0,"delta":"\ude00","logprobs":[]}""",
        """{"type":"response.output_text.annotation.added","item_id":"msg_1","output_index":1,"content_index":0,"annotation_index":0,"annotation":{"type":"url_citation","start_index":0,"end_index":2,"url":"https://u.example","title":"t"}}""",
        """{"type":"response.output_text.done","item_id":"msg_1","output_index":1,"content_index":0,"text":"Hi \ud83d\ude00"}""",
        """{"type":"response.output_item.done","output_index":1,"item":{"id":"msg_1","type":"message","status":"completed","content":[{"type":"output_text","text":"Hi \ud83d\ude00","annotations":[{"type":"url_citation","start_index":0,"end_index":2,"url":"https://u.example","title":"t"}]}],"role":"assistant","phase":"commentary"}}""",
        """{"type":"response.output_item.added","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"c1","name":"f"}}""",
        """{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"{\"a\":"}""",
        """{"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":2,"delta":"1}"}""",
        """{"type":"response.function_call_arguments.done","item_id":"fc_1","output_index":2,"arguments":"{\"a\":1}"}""",
        """{"type":"response.output_item.done","output_index":2,"item":{"id":"fc_1","type":"function_call","status":"completed","arguments":"{\"a\":1}","call_id":"c1","name":"f"}}""",
        """{"type":"response.output_item.added","output_index":3,"item":{"id":"ws_1","type":"web_search_call","status":"in_progress"}}""",
        """{"type":"response.web_search_call.searching","output_index":3,"item_id":"ws_1"}""",
        """{"type":"response.output_item.done","output_index":3,"item":{"id":"ws_1","type":"web_search_call","status":"completed","action":{"type":"search","query":"q"}}}""",
        $$"""{"type":"response.completed","response":{"id":"resp_1","object":"response","created_at":1700000001,"status":"completed","model":"gpt-5","service_tier":"flex","error":null,"incomplete_details":null,"output":{{Output}},"usage":{{Usage}},"moderation":{"new":1} } }""",
    ];

    private const string Told = """
        start "resp_1" "gpt-5" 1700000001
        0 ReasoningSummary of 0
        0 "why"
        0 ends
        1 ReasoningSummary of 0
        1 "so"
        1 signed openai "gAAA"
        1 ends
        extension output[].phase "commentary"
        2 Text of 0
        2 "Hi \ud83d\ude00"
        2 cites https://u.example 't' 0-2
        2 ends
        3 ToolCall of 0 Function "c1" "f"
        3 "{\"a\":1}"
        3 ends
        4 Native of 0
        4 ends
        extension moderation {"new":1}
        usage 100 50 {"web_search_requests":1}
        finish 0 ToolUse "completed"
        end
        """;

    [Fact]
    public void Read_Stream_TellsWhatACompleteAnswerTells()
    {
        var (status, trace) = ResponsesCodec.Read(Stream);
        var whole = JsonDocument.Parse(Stream[^1]).RootElement.GetProperty("response").GetRawText();
        var (completeStatus, complete) = ResponsesCodec.ReadComplete(whole);

        Assert.Equal((StreamStatus.Completed, StreamStatus.Completed), (status, completeStatus));
        Assert.Equal(Told.ReplaceLineEndings("\n"), complete.Text);
        var joined = trace.Text.Replace("2 \"Hi \\ud83d\"\n2 \"\\ude00\"", "2 \"Hi \\ud83d\\ude00\"", StringComparison.Ordinal)
            .Replace("3 \"{\\\"a\\\":\"\n3 \"1}\"", "3 \"{\\\"a\\\":1}\"", StringComparison.Ordinal);
        Assert.Equal(Told.ReplaceLineEndings("\n"), string.Join('\n', joined.Split('\n').Where(line => line != "ping")));
    }

    [Fact]
    public void Recode_Stream_HasTheSameOutputAndKeepsTheOrder()
    {
        var response = ResponsesInvariants.Check(ResponsesCodec.Recode(Stream))!.Value;

        var expected = Output.Replace("fc_1", response.GetProperty("output")[2].GetProperty("id").GetString(), StringComparison.Ordinal);
        ResponsesCodec.Same(expected, response.GetProperty("output").GetRawText());
        ResponsesCodec.Same(Usage, response.GetProperty("usage").GetRawText());
        Assert.Equal("resp_1", response.GetProperty("id").GetString());
        Assert.Equal(1, response.GetProperty("moderation").GetProperty("new").GetInt32());
    }

    [Fact]
    public void Read_OnlyTheLastEvent_TellsItAll()
    {
        var (status, trace) = ResponsesCodec.Read(Stream[0], Stream[^1]);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Contains("3 ToolCall of 0 Function \"c1\" \"f\"", trace.Lines);
    }

    [Theory]
    [InlineData("""{"type":"error","code":"rate_limit_exceeded","message":"slow","param":null,"sequence_number":3}""", "fail 429 rate_limit rate_limit_exceeded: slow")]
    [InlineData("""{"type":"error","sequence_number":2,"error":{"type":"invalid_request_error","code":"context_length_exceeded","message":"long","param":"input"}}""", "fail 400 invalid_request context_length_exceeded: long")]
    [InlineData("""{"type":"response.failed","response":{"id":"r","status":"failed","error":{"code":"server_error","message":"oops"},"output":[]}}""", "fail 502 server server_error: oops")]
    public void Read_Failure_IsTold(string data, string line)
    {
        var (status, trace) = ResponsesCodec.Read(Stream[0], data);

        Assert.Equal(StreamStatus.Failed, status);
        Assert.Equal(line, trace.Lines[^1]);
    }

    [Theory]
    [InlineData("max_output_tokens", "MaxTokens")]
    [InlineData("content_filter", "ContentFilter")]
    public void Read_Incomplete_SaysWhy(string reason, string told)
    {
        var (status, trace) = ResponsesCodec.ReadComplete($$"""{"id":"r","model":"m","status":"incomplete","incomplete_details":{"reason":"{{reason}}"},"output":[],"usage":{{Usage}}}""");

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Contains($"finish 0 {told} \"{reason}\"", trace.Lines);
    }

    [Fact]
    public void Read_UnknownEventWithSpaceAround_IsPassedOnWithoutTheSpace()
    {
        const string Unknown = """{"type":"response.new_thing","sequence_number":1,"x":1}""";

        var (_, trace) = ResponsesCodec.Read(Stream[0], "\n " + Unknown + "\r\n");

        Assert.EndsWith(" " + Unknown, trace.Lines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void Read_Cut_IsTruncated() => Assert.Equal(StreamStatus.Truncated, ResponsesCodec.Read(Stream[..^1]).Status);

    [Fact]
    public void Read_DamagedBytes_NeverThrows() =>
        Gen.Select(Gen.Int[0, Stream.Length - 1], Gen.Int[0, 2000], Gen.Byte, Gen.Bool).Sample((line, at, value, cut) =>
        {
            var sink = new Nobody();
            var decoder = ResponsesCodec.Dialect.NewDecoder();
            for (var i = 0; i < Stream.Length; i++)
            {
                var bytes = Encoding.UTF8.GetBytes(Stream[i]);
                if (i == line)
                {
                    bytes[at % bytes.Length] = value;
                    bytes = cut ? bytes[..(at % bytes.Length)] : bytes;
                }
                if (decoder.Read(default, bytes, sink) != StreamStatus.Open)
                {
                    break;
                }
            }
            decoder.End(sink);
            ResponsesCodec.Dialect.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(Stream[^1])[..Math.Min(at, Stream[^1].Length)], sink);
        }, iter: 2000);

    [Fact]
    public void Encode_AnyOrderOfBlocks_KeepsTheInvariants() =>
        Gen.Select(Gen.Int[0, 5].Array[0, 12], Gen.Int[0, 3].Array[12], Gen.Bool, Gen.Int[0, 9]).Sample((kinds, deltas, parallel, reason) =>
        {
            foreach (var stream in (bool[])[true, false])
            {
                var output = new ArrayBufferWriter<byte>();
                var encoder = ResponsesCodec.Dialect.NewEncoder(ResponsesCodec.Context(stream), output);
                encoder.Start(new AnswerStart { Source = DialectIds.Anthropic, ModelToken = "\"claude\""u8 });
                for (var i = 0; i < kinds.Length; i++)
                {
                    encoder.BeginBlock(i, new BlockStart { Kind = (BlockKind)kinds[i], IdToken = kinds[i] == (int)BlockKind.ToolCall ? "\"toolu_1\""u8 : default, NameToken = "\"f\""u8, ToolKind = i % 2 == 0 ? ToolKind.Function : ToolKind.Custom });
                    for (var n = 0; n < deltas[i] && kinds[i] != (int)BlockKind.RedactedReasoning; n++)
                    {
                        encoder.Delta(i, "\"x\\n\\\"\""u8);
                    }
                    if (kinds[i] is (int)BlockKind.Reasoning or (int)BlockKind.RedactedReasoning)
                    {
                        encoder.Signature(i, SignatureFamilies.Anthropic, "\"sig\""u8);
                    }
                    if (!parallel)
                    {
                        encoder.EndBlock(i);
                    }
                }
                encoder.Usage(new AnswerUsage { Tokens = new TokenUsage { Input = 5, CacheRead = 3, Output = 2, Reasoning = 4 } });
                encoder.Finish(new AnswerFinish { Reason = (StopReason)reason });
                encoder.End();
                var text = Encoding.UTF8.GetString(output.WrittenSpan);
                var response = stream ? ResponsesInvariants.Check(text)!.Value : JsonDocument.Parse(text).RootElement;
                ResponsesInvariants.CheckResponse(response);
                Assert.Equal(8, response.GetProperty("usage").GetProperty("input_tokens").GetInt64());
                Assert.Equal(6, response.GetProperty("usage").GetProperty("output_tokens").GetInt64());
            }
        }, iter: 500);

    [Fact]
    public void Encode_Failure_IsAnErrorAndOneLastEvent()
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = ResponsesCodec.Dialect.NewEncoder(ResponsesCodec.Context(stream: true), output);
        encoder.Start(new AnswerStart { Source = DialectIds.OpenAiChat });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
        encoder.Delta(0, "\"par\""u8);
        encoder.Fail(new AnswerError(502, "server", "upstream_stream_broken", "It broke."));

        var response = ResponsesInvariants.Check(Encoding.UTF8.GetString(output.WrittenSpan))!.Value;

        Assert.Equal(("failed", "upstream_stream_broken"), (response.GetProperty("status").GetString(), response.GetProperty("error").GetProperty("code").GetString()));
    }

    [Fact]
    public void Encode_CallWithoutArguments_IsAnEmptyObject()
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = ResponsesCodec.Dialect.NewEncoder(ResponsesCodec.Context(stream: true), output);
        encoder.Start(new AnswerStart { Source = DialectIds.OpenAiChat });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"c\""u8, NameToken = "\"f\""u8 });
        encoder.EndBlock(0);
        encoder.Finish(new AnswerFinish { Reason = StopReason.ToolUse });
        encoder.End();

        var response = ResponsesInvariants.Check(Encoding.UTF8.GetString(output.WrittenSpan))!.Value;

        Assert.Equal("{}", response.GetProperty("output")[0].GetProperty("arguments").GetString());
    }

    [Fact]
    public void Watch_Stream_NotesWhatBillsIt()
    {
        var watch = ResponsesCodec.Dialect.NewWatch("gpt-5");
        var kinds = Stream.Select(data => watch.Read(default, Encoding.UTF8.GetBytes(data))).ToList();

        Assert.Equal([ChunkKind.Lifecycle, ChunkKind.Lifecycle, ChunkKind.Content], kinds[..3]);
        Assert.Equal(ChunkKind.Done, kinds[^1]);
        Assert.Equal(new TokenUsage { Input = 50, CacheRead = 40, CacheWrite = 10, Output = 30, Reasoning = 20, Units = UnitUsage.Of(UnitKind.Search, 1) }, watch.Usage);
        Assert.Equal(("flex", null, "resp_1"), (watch.ServiceTier, watch.Model, watch.AnswerId));
        Assert.True(watch.Finished);
    }

    [Theory]
    [InlineData("""{"type":"error","message":"m"}""")]
    [InlineData("""{"type":"error","error":{"message":"m"}}""")]
    [InlineData("""{"error":{"message":"m"}}""")]
    [InlineData("""{"type":"response.failed","response":{"id":"r","error":{"code":"c","message":"m"}}}""")]
    public void Watch_FailureBeforeContent_IsAnError(string data)
    {
        var watch = ResponsesCodec.Dialect.NewWatch("gpt-5");
        watch.Read(default, Encoding.UTF8.GetBytes(Stream[0]));

        Assert.Equal(ChunkKind.Error, watch.Read(default, Encoding.UTF8.GetBytes(data)));
    }

    [Fact]
    public void TryReadAnswer_NotesWhatBillsIt()
    {
        Assert.True(ResponsesCodec.Dialect.TryReadAnswer(Encoding.UTF8.GetBytes($$"""{"id":"r1","model":"n","output":[],"usage":{{Usage}},"error":null}"""), "m", out var facts));
        Assert.Equal((150L, "n", "r1", false), (facts.Usage!.Value.Total, facts.Model, facts.AnswerId, facts.IsError));
        Assert.False(ResponsesCodec.Dialect.TryReadAnswer("{\"id\":"u8, "m", out _));
    }

    private sealed class Nobody : IAnswerSink
    {
        public void Start(in AnswerStart start)
        {
        }

        public void BeginBlock(int block, in BlockStart start)
        {
        }

        public void Delta(int block, ReadOnlySpan<byte> text)
        {
        }

        public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
        {
        }

        public void Citation(int block, NeutralCitation citation)
        {
        }

        public void LogProbs(int block, ReadOnlySpan<byte> raw)
        {
        }

        public void EndBlock(int block)
        {
        }

        public void Usage(in AnswerUsage usage)
        {
        }

        public void Finish(in AnswerFinish finish)
        {
        }

        public void Extension(string path, ReadOnlySpan<byte> raw)
        {
        }

        public void Ping()
        {
        }

        public void End()
        {
        }

        public void Fail(AnswerError error)
        {
        }
    }
}
