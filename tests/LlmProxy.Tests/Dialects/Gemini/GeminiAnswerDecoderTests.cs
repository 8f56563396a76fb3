using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Relay;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiAnswerDecoderTests
{
    [Fact]
    public void Read_ThoughtsThenText_AreTwoBlocks()
    {
        var sink = new ScriptSink();

        var status = GeminiTestKit.Play(
        [
            """{"candidates":[{"content":{"parts":[{"text":"hm","thought":true}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"totalTokenCount":5,"thoughtsTokenCount":2},"modelVersion":"gemini-3","responseId":"r1"}""",
            """{"candidates":[{"content":{"parts":[{"text":"He"}]}}],"modelVersion":"gemini-3","responseId":"r1"}""",
            """{"candidates":[{"content":{"parts":[{"text":"llo \"é\"\n"}]}}]}""",
            """{"candidates":[{"content":{"parts":[{"text":"","thoughtSignature":"c2ln"}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":4,"thoughtsTokenCount":2,"totalTokenCount":9}}""",
        ], sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal("""
            start gemini "r1" "gemini-3" 0
            begin 0 ReasoningSummary
            delta 0 "hm"
            usage 3/2
            end 0
            begin 1 Text
            delta 1 "He"
            delta 1 "llo \"é\"\n"
            sign 1 google "c2ln"
            usage 3/6
            end 1
            finish 0 EndTurn "STOP"
            done
            """, sink.Script, ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Read_ParallelCalls_AreToolUseWithIdsOfTheirOwn()
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play(
        [
            """{"candidates":[{"content":{"parts":[{"functionCall":{"name":"a","args":{"x": "\"1\\\""}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"b"}},{"functionCall":{"id":"given","name":"c","args":{}}}]},"finishReason":"STOP"}],"responseId":"r-1"}""",
        ], sink);

        Assert.Equal("""
            start gemini "r-1"  0
            begin 0 ToolCall "call_r-1_0" "a"
            sign 0 google "c2ln"
            delta 0 "{\"x\": \"\\\"1\\\\\\\"\"}"
            end 0
            begin 1 ToolCall "call_r-1_1" "b"
            delta 1 "{}"
            end 1
            begin 2 ToolCall "given" "c"
            delta 2 "{}"
            end 2
            finish 0 ToolUse "STOP"
            done
            """, sink.Script, ignoreLineEndingDifferences: true);
    }

    [Fact]
    public void Read_StreamedArguments_MakeTheirJson()
    {
        var sink = new ScriptSink();

        var status = GeminiTestKit.Play(
        [
            Call("""{"name":"add","willContinue":true}"""),
            Call("""{"partialArgs":[{"jsonPath":"$.items[0].name","stringValue":"Red ","willContinue":true}],"willContinue":true}"""),
            Call("""{"partialArgs":[{"jsonPath":"$.items[0].name","stringValue":"\"app\\le"}],"willContinue":true}"""),
            Call("""{"partialArgs":[{"jsonPath":"$.items[0].price","numberValue":0.5},{"jsonPath":"$.items[1].name","stringValue":"b","willContinue":true}],"willContinue":true}"""),
            Call("""{"willContinue":true}"""),
            Call("""{"partialArgs":[{"jsonPath":"$.items[1].name","stringValue":""},{"jsonPath":"$.tags[1]","boolValue":true},{"jsonPath":"$['a key']","nullValue":"NULL_VALUE"}],"willContinue":true}"""),
            Call("{}"),
            Call("""{"name":"none","willContinue":true}"""),
            Call("{}"),
            """{"candidates":[{"content":{"parts":[{"text":""}]},"finishReason":"STOP"}]}""",
        ], sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal("""{"items":[{"name":"Red \"app\\le","price":0.5},{"name":"b"}],"tags":[null,true],"a key":null}""", Arguments(sink, 0));
        Assert.Equal("{}", Arguments(sink, 1));
        Assert.Contains("finish 0 ToolUse \"STOP\"", sink.Lines);
    }

    [Fact]
    public void Read_StreamedArgumentsWithoutAnEnd_AreClosedWithTheAnswer()
    {
        var sink = new ScriptSink();

        var status = GeminiTestKit.Play(
        [
            Call("""{"name":"add","willContinue":true}"""),
            Call("""{"partialArgs":[{"jsonPath":"$.a.b","stringValue":"x","willContinue":true}],"willContinue":true}"""),
            """{"candidates":[{"finishReason":"STOP"}]}""",
        ], sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal("""{"a":{"b":"x"}}""", Arguments(sink, 0));
    }

    [Theory]
    [InlineData("""[{"jsonPath":"$.a","numberValue":1},{"jsonPath":"$.b","numberValue":1},{"jsonPath":"$.a","numberValue":2}]""")]
    [InlineData("""[{"jsonPath":"$.a.x","numberValue":1},{"jsonPath":"$.b","numberValue":1},{"jsonPath":"$.a.y","numberValue":2}]""")]
    [InlineData("""[{"jsonPath":"$.a[1]","numberValue":1},{"jsonPath":"$.a[0]","numberValue":2}]""")]
    [InlineData("""[{"jsonPath":"$.a[0]","numberValue":1},{"jsonPath":"$.a.b","numberValue":2}]""")]
    [InlineData("""[{"jsonPath":"$[0]","numberValue":1}]""")]
    [InlineData("""[{"jsonPath":"$.a[99999999]","numberValue":1}]""")]
    [InlineData("""[{"numberValue":1}]""")]
    [InlineData("""[1]""")]
    public void Read_StreamedArgumentsThatMakeNoJson_AreInvalid(string pieces) =>
        Assert.Equal(StreamStatus.Invalid, GeminiTestKit.Play([Call($$"""{"name":"f","partialArgs":{{pieces}},"willContinue":true}""")], new ScriptSink()));

    [Fact]
    public void Read_BlockedPrompt_IsAFilteredAnswer()
    {
        var sink = new ScriptSink();

        var status = GeminiTestKit.Play(["""{"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},"usageMetadata":{"promptTokenCount":7,"totalTokenCount":7},"modelVersion":"m"}"""], sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal(["usage 7/0", "finish 0 ContentFilter \"PROHIBITED_CONTENT\"", "done"], sink.Lines.TakeLast(3));
    }

    [Fact]
    public void Read_BlockedPromptAfterSomeOfTheAnswer_FinishesEveryCandidate()
    {
        var sink = new ScriptSink();

        var status = GeminiTestKit.Play(
        [
            """{"candidates":[{"content":{"parts":[{"text":"a"}]},"index":1}]}""",
            """{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}],"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"}}""",
        ], sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal(["finish 0 ContentFilter \"PROHIBITED_CONTENT\"", "finish 1 ContentFilter \"PROHIBITED_CONTENT\"", "done"], sink.Lines.TakeLast(3));
    }

    [Theory]
    [InlineData("MAX_TOKENS", "MaxTokens")]
    [InlineData("SAFETY", "ContentFilter")]
    [InlineData("RECITATION", "ContentFilter")]
    [InlineData("IMAGE_SAFETY", "ContentFilter")]
    [InlineData("MALFORMED_FUNCTION_CALL", "MalformedToolCall")]
    [InlineData("UNEXPECTED_TOOL_CALL", "MalformedToolCall")]
    [InlineData("SOMETHING_NEW", "Other")]
    public void Read_FinishReason_IsInTheGatewaysWords(string native, string expected)
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play([$$"""{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"{{native}}"}]}"""], sink);

        Assert.Contains($"finish 0 {expected} \"{native}\"", sink.Lines);
    }

    [Fact]
    public void Read_SeveralCandidates_EachHasItsBlocksAndItsEnd()
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play(
        [
            """{"candidates":[{"index":0,"content":{"parts":[{"text":"a"}]}},{"index":1,"content":{"parts":[{"text":"b"}]}}]}""",
            """{"candidates":[{"index":1,"content":{"parts":[{"text":"B"}]},"finishReason":"MAX_TOKENS"},{"index":0,"content":{"parts":[{"text":"A"}]},"finishReason":"STOP"}]}""",
        ], sink);

        Assert.Equal(
            ["begin 0 Text", "delta 0 \"a\"", "begin 1 Text choice=1", "delta 1 \"b\"", "delta 1 \"B\"", "delta 0 \"A\"", "end 0", "end 1", "finish 0 EndTurn \"STOP\"", "finish 1 MaxTokens \"MAX_TOKENS\"", "done"],
            sink.Lines.Skip(1));
    }

    [Fact]
    public void Read_StopInEveryPiece_EndsWithTheStream()
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play(["""{"candidates":[{"content":{"parts":[{"text":"a"}]},"finishReason":"STOP"}]}""", """{"candidates":[{"content":{"parts":[{"text":"b"}]},"finishReason":"STOP"}]}"""], sink);

        Assert.Equal(["begin 0 Text", "delta 0 \"a\"", "delta 0 \"b\"", "end 0", "finish 0 EndTurn \"STOP\"", "done"], sink.Lines.Skip(1));
    }

    [Fact]
    public void Read_ImageCodeAndGrounding_KeepTheirPlaces()
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play(
        [
            """{"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="},"thoughtSignature":"c2ln"},{"executableCode":{"language":"PYTHON","code":"1"}}]}}],"modelStatus":{"modelStage":"STABLE"}}""",
            """{"candidates":[{"content":{"parts":[{"text":"so"}]},"finishReason":"STOP","groundingMetadata":{"webSearchQueries":["q","r"],"groundingChunks":[{"web":{"uri":"https://a","title":"A"}},{"web":{"uri":"https://b"}}],"groundingSupports":[{"segment":{"endIndex":2,"text":"so"},"groundingChunkIndices":[0]}]}}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":1}}""",
        ], sink);

        Assert.Equal("""
            begin 0 Media "image/png"
            delta 0 "aGk="
            sign 0 google "c2ln"
            end 0
            begin 1 Native executableCode {"executableCode":{"language":"PYTHON","code":"1"}}
            end 1
            extension modelStatus {"modelStage":"STABLE"}
            begin 2 Text
            delta 2 "so"
            cite 2 https://a A 0-2
            cite 2 https://b  -
            """, string.Join('\n', sink.Lines.Skip(1).Take(11)), ignoreLineEndingDifferences: true);
        Assert.Contains("usage 1/1  {\"web_search_requests\":2}", sink.Lines);
    }

    [Fact]
    public void Read_LogProbs_AreOpenAisArray()
    {
        var sink = new ScriptSink();

        GeminiTestKit.Play(["""{"candidates":[{"content":{"parts":[{"text":"a"}]},"logprobsResult":{"chosenCandidates":[{"token":"a","tokenId":5,"logProbability":-0.25}],"topCandidates":[{"candidates":[{"token":"b","logProbability":-1.5}]}]},"finishReason":"STOP"}]}"""], sink);

        Assert.Contains("""logprobs 0 [{"token":"a","logprob":-0.25,"bytes":null,"top_logprobs":[{"token":"b","logprob":-1.5,"bytes":null}]}]""", sink.Lines);
    }

    [Fact]
    public void LogProbs_WithANameThatIsNoText_LoseThatMemberOnly()
    {
        const string Odd = "\"\\ud800token\":\"x\"";
        var (openAi, google) = (new ArrayBufferWriter<byte>(), new ArrayBufferWriter<byte>());

        Assert.True(GeminiLogProbs.TryWriteOpenAi(Encoding.UTF8.GetBytes($$$"""{"chosenCandidates":[{{{{Odd}}},"token":"a","logProbability":-0.25}]}"""), openAi));
        using (var json = new Utf8JsonWriter(google))
        {
            GeminiLogProbs.WriteGoogle(Encoding.UTF8.GetBytes($$$"""[{{{{Odd}}},"token":"a","logprob":-0.25,"top_logprobs":[{{{{Odd}}},"logprob":-1}]}]"""), json);
        }

        Assert.Equal("""[{"token":"a","logprob":-0.25,"bytes":null,"top_logprobs":[]}]""", Encoding.UTF8.GetString(openAi.WrittenSpan));
        Assert.Equal("""{"chosenCandidates":[{"token":"a","logProbability":-0.25}],"topCandidates":[{"candidates":[{"logProbability":-1}]}]}""", Encoding.UTF8.GetString(google.WrittenSpan));
    }

    [Theory]
    [InlineData("""{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}""")]
    [InlineData("""[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]""")]
    public void Read_Error_Fails(string chunk)
    {
        var sink = new ScriptSink();

        Assert.Equal(StreamStatus.Failed, GeminiTestKit.Play([chunk], sink));

        Assert.Equal(["fail 503 overloaded The model is overloaded."], sink.Lines);
    }

    [Fact]
    public void End_WithoutAReason_IsTruncated()
    {
        var sink = new ScriptSink();

        Assert.Equal(StreamStatus.Truncated, GeminiTestKit.Play(["""{"candidates":[{"content":{"parts":[{"text":"a"}]}}]}"""], sink));

        Assert.DoesNotContain("done", sink.Lines);
    }

    [Theory]
    [InlineData("")]
    [InlineData("null")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("""{"candidates":{}}""")]
    [InlineData("""{"candidates":[1]}""")]
    [InlineData("""{"candidates":[{"index":99999}]}""")]
    [InlineData("""{"candidates":[{"content":{"parts":[1]}}]}""")]
    [InlineData("""{"candidates":[]} {}""")]
    public void ReadComplete_NoAnswer_IsInvalid(string body) =>
        Assert.Equal(StreamStatus.Invalid, GeminiDialect.Instance.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(body), new ScriptSink()));

    [Fact]
    public void ReadComplete_ThoughtsAteTheLimit_IsAnEmptyAnswer()
    {
        var sink = new ScriptSink();

        var status = GeminiDialect.Instance.NewDecoder().ReadComplete(
            """{"candidates":[{"content":{"role":"model"},"finishReason":"MAX_TOKENS","index":0}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":30,"thoughtsTokenCount":26},"responseId":"r"}"""u8, sink);

        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal(["usage 4/26", "finish 0 MaxTokens \"MAX_TOKENS\"", "done"], sink.Lines.Skip(1));
    }

    private static string Call(string call) => $$$"""{"candidates":[{"content":{"role":"model","parts":[{"functionCall":{{{call}}}}]}}],"usageMetadata":{"trafficType":"ON_DEMAND"},"responseId":"r"}""";

    private static string Arguments(ScriptSink sink, int block) =>
        string.Concat(sink.Lines.Where(line => line.StartsWith($"delta {block} ", StringComparison.Ordinal)).Select(line => System.Text.Json.JsonSerializer.Deserialize<string>(line[8..])));
}
