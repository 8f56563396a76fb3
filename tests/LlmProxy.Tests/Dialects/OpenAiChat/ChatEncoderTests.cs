using System.Buffers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using Shared.Pricing;
using JsonValue = System.Text.Json.Nodes.JsonValue;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

public sealed class ChatEncoderTests
{
    [Fact]
    public void Recode_MemberNamedAlmostLikeAChoice_StaysAtTheTop()
    {
        var stream = ChatCodec.Recode(["""{"id":"c1","object":"chat.completion.chunk","created":5,"model":"m1","choices[":1,"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":"stop"}]}""", "[DONE]"], ChatCodec.Context(true));

        Assert.Contains("\"choices[\":1", stream, StringComparison.Ordinal);
    }

    private static readonly TokenUsage Used = new() { Input = 5, CacheRead = 10, CacheWrite = 2, Output = 3, Reasoning = 4 };

    [Fact]
    public void Stream_TextAndCalls_OrderThatClientsRelyOn()
    {
        var written = Write(stream: true, Wants(usage: true), sink =>
        {
            sink.Start(new AnswerStart { IdToken = "\"msg_1\""u8, ModelToken = "\"claude\""u8 });
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
            sink.Delta(0, "\"Hi\""u8);
            sink.EndBlock(0);
            // The numbers of calls count calls alone, whatever stands between them.
            sink.BeginBlock(1, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t1\""u8, NameToken = "\"f\""u8 });
            sink.BeginBlock(2, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t2\""u8, NameToken = "\"g\""u8 });
            sink.Delta(2, "\"{\\\"a\\\":1}\""u8);
            sink.EndBlock(2);
            sink.EndBlock(1);
            sink.Usage(new AnswerUsage { Tokens = Used, ServiceTier = "priority" });
            sink.Finish(new AnswerFinish { Reason = StopReason.ToolUse });
            sink.End();
        });

        var events = ChatCodec.Events(written);
        Assert.Equal("[DONE]", events[^1]);
        var chunks = events.SkipLast(1).Select(data => JsonNode.Parse(data)!.AsObject()).ToList();
        Assert.All(chunks, chunk => Assert.Equal(("msg_1", "chat.completion.chunk", 1700000000L, "claude"),
            ((string)chunk["id"]!, (string)chunk["object"]!, (long)chunk["created"]!, (string)chunk["model"]!)));
        Assert.All(chunks.SkipLast(1), chunk => Assert.True(chunk.TryGetPropertyValue("usage", out var usage) && usage is null));
        Assert.Equal([
            """{"role":"assistant","content":"","refusal":null}""", """{"content":"Hi"}""",
            """{"tool_calls":[{"index":0,"id":"t1","type":"function","function":{"name":"f","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"id":"t2","type":"function","function":{"name":"g","arguments":""}}]}""",
            """{"tool_calls":[{"index":1,"function":{"arguments":"{\"a\":1}"}}]}""",
            """{"tool_calls":[{"index":0,"function":{"arguments":"{}"}}]}""",
            "{}",
        ], chunks.SkipLast(1).Select(chunk => chunk["choices"]![0]!["delta"]!.ToJsonString(Plain)));
        Assert.Equal("tool_calls", (string?)chunks[^2]["choices"]![0]!["finish_reason"]);
        Assert.All(chunks.SkipLast(2), chunk => Assert.Null(chunk["choices"]![0]!["finish_reason"]));
        Assert.Empty(chunks[^1]["choices"]!.AsArray());
        Assert.Equal("""{"prompt_tokens":17,"completion_tokens":7,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}""",
            chunks[^1]["usage"]!.ToJsonString(Plain));
        Assert.Equal("priority", (string?)chunks[^1]["service_tier"]);
    }

    [Fact]
    public void Stream_UsageNotWanted_NoneIsSent()
    {
        var written = Write(stream: true, Wants(usage: false), sink =>
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
            sink.Delta(0, "\"x\""u8);
            sink.EndBlock(0);
            sink.Usage(new AnswerUsage { Tokens = Used });
            sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
            sink.End();
        });

        Assert.DoesNotContain("usage", written, StringComparison.Ordinal);
        Assert.Contains("\"id\":\"chatcmpl-req1\"", written, StringComparison.Ordinal);
        Assert.Contains("\"model\":\"asked-model\"", written, StringComparison.Ordinal);
    }

    [Fact]
    public void Stream_Fails_EndsWithTheErrorAndNoLastEvent()
    {
        var written = Write(stream: true, Wants(usage: true), sink =>
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
            sink.Delta(0, "\"x\""u8);
            sink.Fail(new AnswerError(529, "overloaded", null, "Busy"));
        });

        Assert.Equal("""{"error":{"message":"Busy","type":"server_error","param":null,"code":"overloaded"}}""", ChatCodec.Events(written)[^1]);
    }

    [Fact]
    public void Complete_Fails_WritesNothing()
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = ChatCodec.Dialect.NewEncoder(ChatCodec.Context(stream: false), output);
        encoder.Start(default);
        encoder.Fail(new AnswerError(500, "server", null, "Broken"));

        Assert.Equal("Broken", encoder.Error!.Message);
        Assert.Equal(0, output.WrittenCount);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void Write_SignedThoughts_ComeBackTheSameWhenTheClientSendsThemBack(bool stream)
    {
        var context = ChatCodec.Context(stream);
        var written = Write(stream, context, sink =>
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Reasoning });
            sink.Delta(0, "\"one \""u8);
            sink.Delta(0, "\"two\""u8);
            sink.Signature(0, SignatureFamilies.Anthropic, "\"SIG\""u8);
            sink.EndBlock(0);
            sink.BeginBlock(1, new BlockStart { Kind = BlockKind.RedactedReasoning });
            sink.Signature(1, SignatureFamilies.Anthropic, "\"RED\""u8);
            sink.EndBlock(1);
            sink.BeginBlock(2, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t\""u8, NameToken = "\"f\""u8 });
            sink.Signature(2, SignatureFamilies.Google, "\"GOO\""u8);
            sink.EndBlock(2);
            sink.Finish(new AnswerFinish { Reason = StopReason.ToolUse });
            sink.End();
        });

        // What a client keeps of the answer and sends back with the next request.
        var message = stream ? Accumulate(written) : JsonNode.Parse(written)!["choices"]![0]!["message"]!.AsObject();
        Assert.Equal("one two", (string?)message["reasoning_content"]);
        var request = ChatCodec.Decode(new JsonObject { ["model"] = "m", ["messages"] = new JsonArray(message.DeepClone()) }.ToJsonString());
        var parts = request.Messages[0].Parts;
        var thoughts = Assert.IsType<ReasoningPart>(parts[0]);
        Assert.Equal(("one two", "anthropic", "SIG", false), (thoughts.Text.ToString(), thoughts.Signature!.Family, thoughts.Signature.Data.ToString(), thoughts.IsRedacted));
        var redacted = Assert.IsType<ReasoningPart>(parts[1]);
        Assert.Equal(("RED", true), (redacted.Signature!.Data.ToString(), redacted.IsRedacted));
        var call = Assert.IsType<ToolCallPart>(parts[^1]);
        Assert.Equal(("google", "GOO"), (call.Signature!.Family, call.Signature.Data.ToString()));
        Assert.True(context.Dropped.IsEmpty);
    }

    [Fact]
    public void Stream_EncryptedReasoningOfOpenAi_IsADetail()
    {
        var written = Write(stream: true, Wants(usage: false), sink =>
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.ReasoningSummary, IdToken = "\"rs_1\""u8 });
            sink.Delta(0, "\"sum\""u8);
            sink.Signature(0, SignatureFamilies.OpenAi, "\"ENC\""u8);
            sink.EndBlock(0);
            sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
            sink.End();
        });

        var details = Accumulate(written)["reasoning_details"]!.AsArray();
        Assert.Equal(["reasoning.summary", "reasoning.encrypted"], details.Select(detail => (string)detail!["type"]!));
        Assert.Equal(("ENC", "rs_1", "openai-responses-v1"), ((string)details[1]!["data"]!, (string)details[1]!["id"]!, (string)details[1]!["format"]!));
    }

    [Theory]
    [InlineData(StopReason.EndTurn, "stop", null)]
    [InlineData(StopReason.StopSequence, "stop", null)]
    [InlineData(StopReason.MaxTokens, "length", null)]
    [InlineData(StopReason.ContextExceeded, "length", "context_exceeded")]
    [InlineData(StopReason.ContentFilter, "content_filter", null)]
    [InlineData(StopReason.Refusal, "content_filter", "refusal")]
    [InlineData(StopReason.PauseTurn, "stop", "pause_turn")]
    [InlineData(StopReason.MalformedToolCall, "stop", "malformed_tool_call")]
    public void Finish_Reason_IsOneOfTheFive(object reason, string expected, string? native)
    {
        var choice = JsonNode.Parse(Write(stream: false, Wants(usage: false), sink =>
        {
            sink.Start(default);
            sink.Finish(new AnswerFinish { Reason = (StopReason)reason });
            sink.End();
        }))!["choices"]![0]!;

        Assert.Equal((expected, native), ((string?)choice["finish_reason"], (string?)choice["native_finish_reason"]));
    }

    [Fact]
    public void Complete_HasAllKeysThatClientsNeed()
    {
        var written = Write(stream: false, Wants(usage: false), sink =>
        {
            sink.Start(new AnswerStart { IdToken = "\"i\""u8 });
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
            sink.Delta(0, "\"a\""u8);
            sink.Citation(0, new NeutralCitation { Url = JsonText.From("https://e.org"), Title = JsonText.From("E") });
            sink.Delta(0, "\"\\u00e9😀\""u8);
            sink.EndBlock(0);
            sink.Usage(new AnswerUsage { Tokens = Used, ServerTools = "{\"web_search_requests\":1}"u8 });
            sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
            sink.End();
        });

        var expected = """
            {"id":"i","object":"chat.completion","created":1700000000,"model":"asked-model","choices":[{"index":0,"message":{"role":"assistant","content":"aé😀","refusal":null,"annotations":[{"type":"url_citation","url_citation":{"start_index":0,"end_index":3,"url":"https://e.org","title":"E"}}]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":17,"completion_tokens":7,"total_tokens":24,"prompt_tokens_details":{"cached_tokens":10,"cache_write_tokens":2,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":4,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0},"server_tool_use":{"web_search_requests":1}},"system_fingerprint":null}
            """;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(written)), written);
    }

    [Fact]
    public void Write_ClientWithFunctions_GetsAFunctionCall()
    {
        var request = ChatCodec.Decode("""{"model":"m","messages":[],"functions":[{"name":"f"}]}""", stream: true);
        void Answer(IAnswerSink sink)
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.ToolCall, IdToken = "\"t\""u8, NameToken = "\"f\""u8 });
            sink.Delta(0, "\"{}\""u8);
            sink.EndBlock(0);
            sink.Finish(new AnswerFinish { Reason = StopReason.ToolUse });
            sink.End();
        }

        var streamed = Accumulate(Write(stream: true, ChatCodec.Context(true, request), Answer));
        var complete = JsonNode.Parse(Write(stream: false, ChatCodec.Context(false, request), Answer))!["choices"]![0]!;

        Assert.Equal("""{"name":"f","arguments":"{}"}""", streamed["function_call"]!.ToJsonString());
        Assert.Equal("""{"name":"f","arguments":"{}"}""", complete["message"]!["function_call"]!.ToJsonString());
        Assert.Equal("function_call", (string?)complete["finish_reason"]);
    }

    [Fact]
    public void Write_WhatChatCannotSay_IsReported()
    {
        var context = ChatCodec.Context(stream: true);
        Write(true, context, sink =>
        {
            sink.Start(new AnswerStart { Source = DialectIds.Anthropic });
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Native, NativeType = "server_tool_use", Raw = "{}"u8 });
            sink.EndBlock(0);
            sink.Extension("container", "{\"id\":\"c\"}"u8);
            sink.BeginBlock(1, new BlockStart { Kind = BlockKind.Text });
            sink.Citation(1, new NeutralCitation { CitedText = JsonText.From("x") });
            sink.EndBlock(1);
            sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
            sink.End();
        });

        Assert.Equal(["content[].server_tool_use", "container", "choices[].message.annotations"], context.Dropped.Names);
    }

    [Fact]
    public void Stream_Media_ImageWholeAndSoundInPieces()
    {
        var message = Accumulate(Write(stream: true, Wants(usage: false), sink =>
        {
            sink.Start(default);
            sink.BeginBlock(0, new BlockStart { Kind = BlockKind.Media, MediaTypeToken = "\"image/webp\""u8 });
            sink.Delta(0, "\"AA\""u8);
            sink.Delta(0, "\"BB\""u8);
            sink.EndBlock(0);
            sink.BeginBlock(1, new BlockStart { Kind = BlockKind.Media, MediaTypeToken = "\"audio/wav\""u8, Raw = "\"said\""u8 });
            sink.Delta(1, "\"CC\""u8);
            sink.EndBlock(1);
            sink.Finish(new AnswerFinish { Reason = StopReason.EndTurn });
            sink.End();
        }));

        Assert.Equal("data:image/webp;base64,AABB", (string?)message["images"]![0]!["image_url"]!["url"]);
        Assert.Equal(("CC", "said", "audio_req1"), ((string?)message["audio"]!["data"], (string?)message["audio"]!["transcript"], (string?)message["audio"]!["id"]));
    }

    [Theory]
    [InlineData("""{"content":" word"}""")]
    [InlineData("""{"tool_calls":[{"index":0,"function":{"arguments":"{\"a\""}}]}""")]
    public void Recode_FurtherChunks_AllocateNothing(string delta)
    {
        var output = new ArrayBufferWriter<byte>(1 << 20);
        var encoder = ChatCodec.Dialect.NewEncoder(ChatCodec.Context(stream: true), output);
        var decoder = ChatCodec.Dialect.NewDecoder();
        var first = Encoding.UTF8.GetBytes("""{"id":"i","created":1,"model":"m","choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"t","function":{"name":"f","arguments":""}}]}}]}""");
        var further = Encoding.UTF8.GetBytes("{\"id\":\"i\",\"created\":1,\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":" + delta + ",\"finish_reason\":null}],\"usage\":null}");
        decoder.Read(default, first, encoder);
        for (var i = 0; i < 100; i++)
        {
            decoder.Read(default, further, encoder); // compiles what it needs
        }

        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 200; i++)
        {
            decoder.Read(default, further, encoder);
        }

        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void Recode_AnyAnswer_MeansTheSame()
    {
        var text = Gen.String[Gen.Char["aé\"\\\n漢 {}"], 1, 8];
        var call = Gen.Select(text, Gen.Char['a', 'd'].Array[1, 3], (argument, name) => new JsonObject { ["name"] = new string(name), ["arguments"] = new JsonObject { ["x"] = argument }.ToJsonString() });
        var choice = Gen.Select(text, Gen.Bool, text, call.Array[0, 3], Gen.Bool, Gen.Bool).Select(made =>
        {
            var (content, hasContent, thought, calls, thinks, refuses) = made;
            var message = new JsonObject { ["role"] = "assistant", ["content"] = hasContent && !refuses ? content : null, ["refusal"] = refuses ? content : null, ["annotations"] = new JsonArray() };
            if (thinks)
            {
                message["reasoning_content"] = thought;
            }
            if (calls.Length > 0)
            {
                message["tool_calls"] = new JsonArray([.. calls.Select((function, at) => new JsonObject { ["id"] = "call" + at, ["type"] = "function", ["function"] = function.DeepClone(), })]);
            }
            message["mood"] = "unknown";
            return (message, finish: calls.Length > 0 ? "tool_calls" : "stop");
        });

        choice.Array[1, 3].Sample(choices =>
        {
            var body = new JsonObject { ["id"] = "i", ["object"] = "chat.completion", ["created"] = 5, ["model"] = "m", ["provider"] = "P" };
            body["choices"] = new JsonArray([.. choices.Select((made, at) => new JsonObject { ["index"] = at, ["message"] = made.message.DeepClone(), ["logprobs"] = null, ["finish_reason"] = made.finish, ["native_finish_reason"] = "x" })]);
            body["usage"] = new JsonObject { ["prompt_tokens"] = 4, ["completion_tokens"] = 2, ["total_tokens"] = 6, ["cost"] = 0.5 };
            body["system_fingerprint"] = null;

            var complete = ChatCodec.RecodeComplete(body.ToJsonString(), ChatCodec.Context(stream: false));
            Assert.True(JsonNode.DeepEquals(body, JsonNode.Parse(complete)), body.ToJsonString() + "\n" + complete);

            // The same answer as a stream, decoded and encoded once more, adds up to the same messages.
            var streamed = ChatCodec.RecodeComplete(body.ToJsonString(), ChatCodec.Context(stream: true));
            var again = ChatCodec.Recode(ChatCodec.Events(streamed), ChatCodec.Context(stream: true));
            for (var i = 0; i < choices.Length; i++)
            {
                var expected = choices[i].message.DeepClone().AsObject();
                expected.Remove("annotations");
                var (first, second) = (Accumulate(streamed, i), Accumulate(again, i));
                Assert.True(JsonNode.DeepEquals(Sorted(expected), Sorted(first)), expected.ToJsonString() + "\n" + first.ToJsonString());
                Assert.True(JsonNode.DeepEquals(Sorted(first), Sorted(second)), first.ToJsonString() + "\n" + second.ToJsonString());
            }
        }, iter: 300);
    }

    private static readonly JsonSerializerOptions Plain = new() { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static UsageWish Wants(bool usage) => new(usage);

    private static string Write(bool stream, UsageWish wish, Action<IAnswerSink> answer) =>
        Write(stream, ChatCodec.Context(stream, new NeutralRequest { Source = DialectIds.OpenAiChat, WantsUsage = wish.Usage }), answer);

    private static string Write(bool stream, AnswerContext context, Action<IAnswerSink> answer)
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = ChatCodec.Dialect.NewEncoder(context, output);
        answer(encoder);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    private static JsonObject Sorted(JsonObject message) =>
        new(message.Where(member => member.Value is not null).OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone())));

    /// <summary>Adds the deltas of a choice up as the vendors' SDKs do: texts are joined, list entries found by their index.</summary>
    private static JsonObject Accumulate(string stream, int choice = 0)
    {
        var message = new JsonObject();
        foreach (var data in ChatCodec.Events(stream).Where(data => data != "[DONE]"))
        {
            foreach (var chunk in JsonNode.Parse(data)!["choices"]!.AsArray().Where(one => (int)one!["index"]! == choice))
            {
                Merge(message, chunk!["delta"]!.AsObject());
            }
        }
        return Strip(message);
    }

    private static void Merge(JsonObject into, JsonObject delta)
    {
        foreach (var (name, value) in delta)
        {
            if (value is JsonValue text && text.GetValueKind() == JsonValueKind.String && into[name] is JsonValue before && before.GetValueKind() == JsonValueKind.String && name is not ("type" or "id" or "role"))
            {
                into[name] = (string)before! + (string)text!;
            }
            else if (value is JsonObject inner && into[name] is JsonObject outer)
            {
                Merge(outer, inner);
            }
            else if (value is JsonArray list)
            {
                if (into[name] is not JsonArray known)
                {
                    into[name] = known = [];
                }
                foreach (var element in list)
                {
                    var index = (int?)element!.AsObject()["index"];
                    if (index is { } at && known.FirstOrDefault(one => (int?)one!["index"] == at) is { } same)
                    {
                        Merge(same.AsObject(), element.AsObject());
                    }
                    else
                    {
                        known.Add(element.DeepClone());
                    }
                }
            }
            else if (value is not null || !into.ContainsKey(name))
            {
                into[name] = value?.DeepClone();
            }
        }
    }

    private static JsonObject Strip(JsonObject message)
    {
        foreach (var call in message["tool_calls"]?.AsArray() ?? [])
        {
            call!.AsObject().Remove("index");
        }
        if ((string?)message["content"] == "")
        {
            message["content"] = null;
        }
        return message;
    }

    private sealed record UsageWish(bool Usage);
}
