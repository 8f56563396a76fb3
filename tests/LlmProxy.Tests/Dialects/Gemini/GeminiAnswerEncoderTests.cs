using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiAnswerEncoderTests
{
    [Fact]
    public void End_CompleteAnswerOfAnotherDialect_IsOneBody()
    {
        var output = new ArrayBufferWriter<byte>();
        var context = GeminiTestKit.Context(stream: false);
        WriteForeign(GeminiDialect.Instance.NewEncoder(context, output));

        GeminiTestKit.AssertSame("""
            {"candidates":[{"content":{"parts":[
                {"text":"hm","thought":true},
                {"text":"Hello"},
                {"functionCall":{"name":"f","args":{"a":"\ud83d\ude00"},"id":"t1"}},
                {"functionCall":{"name":"g","args":{},"id":"t2"}}],"role":"model"},
              "finishReason":"STOP","index":0,"citationMetadata":{"citations":[{"uri":"https://a","title":"A","startIndex":0,"endIndex":5}]}}],
             "usageMetadata":{"promptTokenCount":10,"candidatesTokenCount":5,"totalTokenCount":17,"cachedContentTokenCount":4,"thoughtsTokenCount":2},
             "modelVersion":"claude","responseId":"msg_1"}
            """, JsonNode.Parse(output.WrittenSpan)!);
        Assert.Equal(["container", "content[].server_tool_use"], context.Dropped.Names.Order());
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void End_StreamOfAnotherDialect_SaysTheSameInPieces(bool array)
    {
        var output = new ArrayBufferWriter<byte>();
        WriteForeign(GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: true, array), output));
        var text = Encoding.UTF8.GetString(output.WrittenSpan);

        var events = GeminiTestKit.Events(output.WrittenSpan, array ? new GeminiArrayFramer() : new SseFramer());

        if (array)
        {
            Assert.Equal(events.Count, JsonNode.Parse(text)!.AsArray().Count);
        }
        Assert.Equal(6, events.Count);
        Assert.Equal("""{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"modelVersion":"claude","responseId":"msg_1"}""", events[1]);
        var sink = new ScriptSink();
        Assert.Equal(StreamStatus.Completed, GeminiTestKit.Play(events, sink));
        Assert.Equal("""
            start gemini "msg_1" "claude" 0
            begin 0 ReasoningSummary
            delta 0 "hm"
            end 0
            begin 1 Text
            delta 1 "Hel"
            delta 1 "lo"
            end 1
            begin 2 ToolCall "t1" "f"
            delta 2 "{\"a\":\"😀\"}"
            end 2
            begin 3 ToolCall "t2" "g"
            delta 3 "{}"
            end 3
            """, string.Join('\n', sink.Lines.Take(14)), ignoreLineEndingDifferences: true);
        Assert.Contains("finish 0 ToolUse \"STOP\"", sink.Lines);
        Assert.Contains("usage 10/7", sink.Lines);
    }

    [Theory]
    [InlineData(StopReason.EndTurn, "STOP")]
    [InlineData(StopReason.ToolUse, "STOP")]
    [InlineData(StopReason.StopSequence, "STOP")]
    [InlineData(StopReason.MaxTokens, "MAX_TOKENS")]
    [InlineData(StopReason.ContextExceeded, "MAX_TOKENS")]
    [InlineData(StopReason.Refusal, "SAFETY")]
    [InlineData(StopReason.ContentFilter, "SAFETY")]
    [InlineData(StopReason.MalformedToolCall, "MALFORMED_FUNCTION_CALL")]
    [InlineData(StopReason.PauseTurn, "OTHER")]
    [InlineData(StopReason.Other, "OTHER")]
    internal void Finish_Reason_IsGoogles(StopReason reason, string expected)
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: false), output);
        encoder.Start(new AnswerStart { Source = DialectIds.Anthropic });
        encoder.Finish(new AnswerFinish { Reason = reason });
        encoder.End();

        Assert.Equal(expected, JsonNode.Parse(output.WrittenSpan)!["candidates"]![0]!["finishReason"]!.GetValue<string>());
    }

    [Fact]
    public void Delta_ArgumentsThatAreNoObject_AreKeptAndReported()
    {
        var output = new ArrayBufferWriter<byte>();
        var context = GeminiTestKit.Context(stream: false);
        var encoder = GeminiDialect.Instance.NewEncoder(context, output);
        encoder.Start(new AnswerStart { Source = DialectIds.OpenAiChat });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.ToolCall, NameToken = "\"f\""u8, IdToken = "\"c\""u8 });
        encoder.Delta(0, "\"{\\\"a\\\": \""u8);
        encoder.EndBlock(0);
        encoder.BeginBlock(1, new BlockStart { Kind = BlockKind.ToolCall, NameToken = "\"sh\""u8, ToolKind = ToolKind.Custom });
        encoder.Delta(1, "\"ls \\\"a\\\"\""u8);
        encoder.EndBlock(1);
        encoder.Finish(new AnswerFinish { Reason = StopReason.ToolUse });
        encoder.End();

        var parts = JsonNode.Parse(output.WrittenSpan)!["candidates"]![0]!["content"]!["parts"]!;
        Assert.Equal("{\"a\": ", parts[0]!["functionCall"]!["args"]!["arguments"]!.GetValue<string>());
        Assert.Equal("ls \"a\"", parts[1]!["functionCall"]!["args"]!["input"]!.GetValue<string>());
        Assert.Equal(["arguments"], context.Dropped.Names);
    }

    [Theory]
    [InlineData(SignatureFamilies.Anthropic, false)]
    [InlineData(SignatureFamilies.OpenAi, false)]
    [InlineData(SignatureFamilies.Anthropic, true)]
    public void Signature_OfAnotherFamily_ComesBackFromAClientOfGoogles(string family, bool isRedacted)
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: false), output);
        encoder.Start(new AnswerStart { Source = DialectIds.Anthropic });
        encoder.BeginBlock(0, new BlockStart { Kind = isRedacted ? BlockKind.RedactedReasoning : BlockKind.Reasoning });
        if (!isRedacted)
        {
            encoder.Delta(0, "\"thoughts\""u8);
        }
        encoder.Signature(0, family, "\"abc+/=_-\""u8);
        encoder.EndBlock(0);
        encoder.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
        encoder.End();
        var content = JsonNode.Parse(output.WrittenSpan)!["candidates"]![0]!["content"]!.ToJsonString();

        var request = GeminiTestKit.Decode($$"""{"contents":[{{content}}]}""");

        var part = Assert.IsType<ReasoningPart>(Assert.Single(request.Messages[0].Parts));
        Assert.Equal((family, "abc+/=_-", isRedacted), (part.Signature!.Family, part.Signature.Data.ToString(), part.IsRedacted));
        var again = GeminiTestKit.Encode(request, out _);
        Assert.DoesNotContain("thoughtSignature\":\"abc", again.ToJsonString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Fail_InAStream_IsGooglesError()
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: true, array: true), output);
        encoder.Start(new AnswerStart { Source = DialectIds.Anthropic });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
        encoder.Delta(0, "\"a\""u8);
        encoder.Ping();
        encoder.Fail(new AnswerError(529, "overloaded", null, "Overloaded") { RetryAfter = TimeSpan.FromSeconds(2.5) });

        var elements = JsonNode.Parse(output.WrittenSpan)!.AsArray();
        Assert.Equal(2, elements.Count);
        Assert.Equal("UNAVAILABLE", elements[1]!["error"]!["status"]!.GetValue<string>());
        Assert.Equal("2.5s", elements[1]!["error"]!["details"]![1]!["retryDelay"]!.GetValue<string>());
    }

    public static TheoryData<string> OwnAnswers => new(
    [
        """{"candidates":[{"content":{"parts":[{"text":"hm","thought":true,"thoughtSignature":"c2ln"},{"text":"a\u0041"},{"executableCode":{"language":"PYTHON","code":"1"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK"}},{"inlineData":{"mimeType":"image/png","data":"aGk="}}],"role":"model"},"finishReason":"OTHER","finishMessage":"m","index":0,"safetyRatings":[{"category":"X"}],"avgLogprobs":-0.5}],"usageMetadata":{"promptTokenCount":3,"newCount":4},"modelVersion":"gemini-3","responseId":"r","modelStatus":{"modelStage":"STABLE"}}""",
        """{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":[1.0,{"b":null}]},"id":"x"},"thoughtSignature":"c2ln"}],"role":"model"},"finishReason":"STOP","index":0,"groundingMetadata":{"webSearchQueries":["q"],"groundingChunks":[{"web":{"uri":"u"}}]},"citationMetadata":{"citations":[{"uri":"v"}]}},{"content":{"parts":[{"text":"b"}],"role":"model"},"finishReason":"MAX_TOKENS","index":1,"logprobsResult":{"chosenCandidates":[{"token":"b","logProbability":-1,"tokenId":7}]}}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":1,"totalTokenCount":4},"modelVersion":"gemini-3","responseId":"r"}""",
        """{"promptFeedback":{"blockReason":"SAFETY","safetyRatings":[]},"usageMetadata":{"promptTokenCount":3},"modelVersion":"gemini-3","responseId":"r"}""",
    ]);

    [Theory]
    [MemberData(nameof(OwnAnswers))]
    public void ReadComplete_OwnAnswer_ComesBackWhole(string answer)
    {
        var output = new ArrayBufferWriter<byte>();

        var status = GeminiDialect.Instance.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(answer), GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: false), output));

        Assert.Equal(StreamStatus.Completed, status);
        GeminiTestKit.AssertSame(answer, JsonNode.Parse(output.WrittenSpan)!);
    }

    [Fact]
    public void Read_MutatedAnswers_NeverThrow()
    {
        var whole = OwnAnswers.Select(row => Encoding.UTF8.GetBytes(row.Data)).ToArray();
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Int[0, 2000].Array[0, 12], Gen.Byte.Array[12], Gen.Int[0, 2000]).Sample((which, places, values, cut) =>
        {
            var bytes = whole[which].ToArray();
            for (var i = 0; i < places.Length; i++)
            {
                bytes[places[i] % bytes.Length] = values[i];
            }
            var data = bytes.AsSpan(0, cut % 3 == 0 ? cut % bytes.Length : bytes.Length);
            var output = new ArrayBufferWriter<byte>();
            var status = GeminiDialect.Instance.NewDecoder().ReadComplete(data, GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: false), output));
            Assert.NotEqual(StreamStatus.Open, status);
            GeminiDialect.Instance.NewWatch("m").Read(default, data);
            GeminiDialect.Instance.TryReadAnswer(data, "m", out _);
            Assert.NotEmpty(GeminiDialect.Instance.ReadError(500, data).Message);
        }, iter: 4000);
    }

    private static void WriteForeign(AnswerEncoder encoder)
    {
        encoder.Start(new AnswerStart { Source = DialectIds.Anthropic, IdToken = "\"msg_1\""u8, ModelToken = "\"claude\""u8 });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.Reasoning });
        encoder.Delta(0, "\"hm\""u8);
        encoder.EndBlock(0);
        encoder.BeginBlock(1, new BlockStart { Kind = BlockKind.Text });
        encoder.Delta(1, "\"Hel\""u8);
        encoder.Delta(1, "\"lo\""u8);
        encoder.Citation(1, new NeutralCitation { Url = JsonText.From("https://a"), Title = JsonText.From("A"), Start = 0, End = 5 });
        encoder.EndBlock(1);
        // Two calls at once, and a surrogate pair in two pieces.
        encoder.BeginBlock(2, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t1\""u8, NameToken = "\"f\""u8 });
        encoder.BeginBlock(3, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t2\""u8, NameToken = "\"g\""u8 });
        encoder.Delta(2, "\"{\\\"a\\\":\\\"\\ud83d\""u8);
        encoder.Delta(3, "\"\""u8);
        encoder.Delta(2, "\"\\ude00\\\"}\""u8);
        encoder.EndBlock(2);
        encoder.EndBlock(3);
        encoder.BeginBlock(4, new BlockStart { Kind = BlockKind.Native, NativeType = "server_tool_use", Raw = "{}"u8 });
        encoder.EndBlock(4);
        encoder.Extension("container", "{}"u8);
        encoder.Usage(new AnswerUsage { Tokens = new TokenUsage { Input = 6, CacheRead = 4, Output = 5, Reasoning = 2 }, Raw = "{\"input_tokens\":6}"u8 });
        encoder.Finish(new AnswerFinish { Reason = StopReason.ToolUse, NativeToken = "\"tool_use\""u8 });
        encoder.End();
    }
}
