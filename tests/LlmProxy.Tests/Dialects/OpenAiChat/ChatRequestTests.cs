using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using JsonValue = System.Text.Json.Nodes.JsonValue;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

public sealed class ChatRequestTests
{
    [Fact]
    public void Decode_EveryMember_FindsItsPlace()
    {
        var request = ChatCodec.Decode("""
            {"model":"m","messages":[{"role":"system","content":"S","name":"n"},{"role":"developer","content":[{"type":"text","text":"D","cache_control":{"type":"ephemeral","ttl":"1h"}}]},
            {"role":"user","content":[{"type":"text","text":"U\n"},{"type":"image_url","image_url":{"url":"data:image/png;base64,iVBO+/=","detail":"low"}},{"type":"image_url","image_url":{"url":"https://e.org/i.png"}},
            {"type":"input_audio","input_audio":{"data":"QUJD","format":"mp3"}},{"type":"file","file":{"file_data":"data:application/pdf;base64,JVBE","filename":"a.pdf"}},{"type":"file","file":{"file_id":"file-1"}},{"type":"hologram","x":1}]},
            {"role":"assistant","content":null,"refusal":"No","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":"{\"a\":\"\\u00e9\"}"}},{"id":"c2","type":"custom","custom":{"name":"g","input":"free"}},{"id":"c3","type":"function","function":{"name":"f","arguments":"{broken"}},{"id":"c4","type":"function","function":{"name":"f","arguments":""}}]},
            {"role":"tool","tool_call_id":"c1","content":[{"type":"text","text":"R"}]},{"role":"tool","tool_call_id":"c2","content":"R2"}],
            "tools":[{"type":"function","function":{"name":"f","description":"d","parameters":{"type":"object"},"strict":true,"x":1},"cache_control":{"type":"ephemeral"}},{"type":"custom","custom":{"name":"g","format":{"type":"text"}}},{"type":"web_search"}],
            "tool_choice":{"type":"allowed_tools","allowed_tools":{"mode":"required","tools":[{"type":"function","function":{"name":"f"}}]}},"parallel_tool_calls":false,
            "max_tokens":5,"max_completion_tokens":7,"n":2,"temperature":0.70,"top_p":1,"top_k":40,"frequency_penalty":-1,"presence_penalty":2,"seed":12345678901234567890,"stop":"END",
            "response_format":{"type":"json_schema","json_schema":{"name":"r","schema":{"type":"object"},"strict":true}},"reasoning_effort":"high","logprobs":true,"top_logprobs":3,"service_tier":"flex","safety_identifier":"who",
            "prompt_cache_key":"k","prompt_cache_options":{"mode":"implicit","ttl":"30m"},"metadata":{"a":"b"},"store":true,"modalities":["text","audio"],"audio":{"voice":"x"},"verbosity":"low","logit_bias":{"1":2},"web_search_options":{},"moderation":{},"stream_options":{"include_usage":true,"include_obfuscation":false},"future":[1]}
            """, stream: true);

        Assert.Equal([NeutralRole.System, NeutralRole.Developer, NeutralRole.User, NeutralRole.Assistant, NeutralRole.Tool, NeutralRole.Tool], request.Messages.Select(message => message.Role));
        Assert.Equal(("S", "n"), (Text(request.Messages[0].Parts[0]), request.Messages[0].Name.ToString()));
        Assert.Equal("1h", request.Messages[1].Parts[0].Cache!.Ttl.ToString());
        var media = request.Messages[2].Parts.OfType<MediaPart>().ToList();
        Assert.Equal((MediaKind.Image, "image/png", "iVBO+/=", "low"), (media[0].Kind, media[0].MediaType.ToString(), media[0].Data.ToString(), media[0].Detail.ToString()));
        Assert.Equal("\"iVBO+/=\"", Encoding.UTF8.GetString(media[0].Data.Token.Span));
        Assert.Equal((MediaKind.Image, "https://e.org/i.png", false), (media[1].Kind, media[1].Url.ToString(), media[1].Data.Exists));
        Assert.Equal((MediaKind.Audio, "audio/mpeg", "QUJD"), (media[2].Kind, media[2].MediaType.ToString(), media[2].Data.ToString()));
        Assert.Equal((MediaKind.Document, "application/pdf", "JVBE", "a.pdf"), (media[3].Kind, media[3].MediaType.ToString(), media[3].Data.ToString(), media[3].Name.ToString()));
        Assert.Equal((MediaKind.Document, "file-1"), (media[4].Kind, media[4].FileId.ToString()));
        Assert.Equal("messages[].content[].hologram", Assert.IsType<NativePart>(request.Messages[2].Parts[^1]).Type);
        Assert.Equal("No", Assert.IsType<RefusalPart>(request.Messages[3].Parts[0]).Text.ToString());
        var calls = request.Messages[3].Parts.OfType<ToolCallPart>().ToList();
        Assert.Equal("""{"a":"\u00e9"}""", Encoding.UTF8.GetString(calls[0].Arguments.Span));
        Assert.Equal((ToolKind.Custom, "free"), (calls[1].Kind, calls[1].Text.ToString()));
        Assert.Equal((true, "{broken"), (calls[2].Arguments.IsEmpty, calls[2].Text.ToString()));
        Assert.Equal("{}", Encoding.UTF8.GetString(calls[3].Arguments.Span));
        var result = Assert.IsType<ToolResultPart>(request.Messages[4].Parts[0]);
        Assert.Equal(("c1", "R", ToolKind.Function), (result.CallId.ToString(), Text(result.Content[0]), result.Kind));
        Assert.Equal(ToolKind.Custom, Assert.IsType<ToolResultPart>(request.Messages[5].Parts[0]).Kind);
        Assert.Equal([ToolKind.Function, ToolKind.Custom, ToolKind.Provider], request.Tools.Select(tool => tool.Kind));
        Assert.True(request.Tools[0].Strict);
        Assert.NotNull(request.Tools[0].Cache);
        Assert.Equal((ToolChoiceMode.Allowed, true, "f"), (request.ToolChoice!.Mode, request.ToolChoice.IsRequired, request.ToolChoice.Names[0].ToString()));
        Assert.False(request.ParallelToolCalls);
        Assert.Equal((7L, 2), (request.MaxOutputTokens!.Value, request.Choices));
        Assert.Equal(["0.70", "1", "40", "-1", "2", "12345678901234567890"], new[] { request.Sampling.Temperature, request.Sampling.TopP, request.Sampling.TopK, request.Sampling.FrequencyPenalty, request.Sampling.PresencePenalty, request.Sampling.Seed }
            .Select(number => Encoding.UTF8.GetString(number.Span)));
        Assert.Equal("END", request.StopSequences[0].ToString());
        Assert.Equal(("r", true), (request.OutputFormat!.Name.ToString(), request.OutputFormat.Strict));
        Assert.Equal("high", request.Reasoning!.Effort.ToString());
        Assert.Equal((true, 3), (request.LogProbs!.Value, request.TopLogProbs!.Value));
        Assert.Equal(("flex", "who", "k", "low"), (request.ServiceTier.ToString(), request.EndUser.ToString(), request.CacheKey.ToString(), request.Verbosity.ToString()));
        Assert.Equal("30m", request.Cache!.Ttl.ToString());
        Assert.Equal(["audio"], request.OutputModalities);
        Assert.True(request.WantsUsage && request.Stream && request.Store == true);
        Assert.Equal(["stream_options.include_obfuscation", "audio", "logit_bias", "web_search_options", "moderation", "future"], request.Extensions.Members.Select(member => member.Key.ToString()));
    }

    [Theory]
    [InlineData("""{"model":"m"}""", "messages", "'messages' is missing.")]
    [InlineData("""{"model":"m","messages":[{"role":"king","content":"x"}]}""", "messages[0].role", "'messages[0].role' must be 'system', 'developer', 'user', 'assistant', 'tool' or 'function'.")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":7}]}""", "messages[0].content", "'messages[0].content' must be a string or an array of parts.")]
    [InlineData("""{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{}}]}]}""", "messages[0].content[0].image_url.url", "'messages[0].content[0].image_url.url' must be a URL in a string.")]
    [InlineData("""{"model":"m","messages":[{"role":"tool","content":"x"}]}""", "messages[0].tool_call_id", "'messages[0].tool_call_id' must be a string: the 'id' of the call that this is the result of.")]
    [InlineData("""{"model":"m","messages":[{"role":"assistant","tool_calls":[{"id":"a","type":"function"}]}]}""", "messages[0].tool_calls[0].function", "'messages[0].tool_calls[0].function' must be an object.")]
    [InlineData("""{"model":"m","messages":[],"tools":[{"type":"function","function":{"name":"f","parameters":[]}}]}""", "tools[0].function.parameters", "'tools[0].function.parameters' must be a JSON Schema, which is an object.")]
    [InlineData("""{"model":"m","messages":[],"temperature":"hot"}""", "temperature", "'temperature' must be a number.")]
    [InlineData("""{"model":"m","messages":[],"stop":[1]}""", "stop", "'stop' must be a string or an array of strings.")]
    public void Decode_WrongMember_IsNamed(string body, string field, string message)
    {
        var error = ChatCodec.Refuse(body);

        Assert.Equal((400, field, message), (error.Status, error.Field, error.Message));
    }

    [Fact]
    public void Decode_NoJson_SaysWhere() => Assert.Equal("invalid_json", ChatCodec.Refuse("""{"messages":[}""").Code);

    [Fact]
    public void Decode_DataUrlWithEscapedSlashes_IsTheSameData()
    {
        var request = ChatCodec.Decode("""{"model":"m","messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image\/png;base64,iV\/BO"}},{"type":"image_url","image_url":{"url":"data:,a%20b"}}]}]}""");

        var media = request.Messages[0].Parts.OfType<MediaPart>().ToList();
        Assert.Equal(("\"image/png\"", "\"iV/BO\""), (Encoding.UTF8.GetString(media[0].MediaType.Token.Span), Encoding.UTF8.GetString(media[0].Data.Token.Span)));
        Assert.Equal(("text/plain", Convert.ToBase64String("a b"u8)), (media[1].MediaType.ToString(), media[1].Data.ToString()));
    }

    [Fact]
    public void DecodeEncode_DeprecatedFunctions_StayAsTheyAre()
    {
        AssertSame("""
            {"model":"m","messages":[{"role":"user","content":"x"},{"role":"assistant","content":null,"function_call":{"name":"f","arguments":"{\"a\":1}"}},{"role":"function","name":"f","content":"r"},
            {"role":"assistant","content":null,"function_call":{"name":"g","arguments":"{}"}},{"role":"function","name":"g","content":"s"}],"functions":[{"name":"f","parameters":{"type":"object"},"x":1},{"name":"g"}],"function_call":{"name":"f"}}
            """);
    }

    [Fact]
    public void DecodeEncode_WhatCompatibleProvidersAdded_StaysAsItIs()
    {
        AssertSame("""
            {"model":"m","messages":[{"role":"system","content":"s","cache_control":{"type":"ephemeral","ttl":"1h"}},{"role":"user","content":[{"type":"text","text":"a","prompt_cache_breakpoint":{"mode":"explicit","ttl":"30m"}},{"type":"video_url","video_url":{"url":"https://e.org/v","fps":2}}]},
            {"role":"assistant","content":"b","reasoning":"t","reasoning_details":[{"type":"reasoning.text","text":"t","signature":"s","format":"anthropic-claude-v1","index":0,"new":1}],"annotations":[],"extra_content":{"google":{"thought_signature":"g"}},"audio":{"id":"x"},"images":[{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"},"index":0}]},
            {"role":"assistant","content":[{"type":"thinking","thinking":"q","signature":"z"},{"type":"refusal","refusal":"r"}],"reasoning_content":"u","thinking_blocks":[{"type":"thinking","thinking":"u","signature":"w"}],"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{ }","odd":1},"extra_content":{"google":{"thought_signature":"h"}},"cache_control":{"type":"ephemeral"}}]},
            {"role":"tool","tool_call_id":"a","content":[{"type":"image_url","image_url":{"url":"https://e.org/i"}}],"is_error":true,"cache_control":{"type":"ephemeral"}}],
            "reasoning":{"max_tokens":100,"exclude":true,"odd":1},"thinking":{"type":"enabled","budget_tokens":9},"user":"u","safety_identifier":"v","stop":["a","b"],"response_format":{"type":"text"},"prompt_cache_options":{"mode":"explicit"},"prompt_cache_retention":"24h","top_k":3,"modalities":["text"],"tool_choice":{"type":"mcp","x":1},
            "tools":[{"type":"function","function":{"name":"f","odd":true},"cache_control":{"type":"ephemeral"}},{"type":"custom","custom":{"name":"c","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"d"}},"odd":1},"more":2},{"type":"mcp","server":"s"}]}
            """);
    }

    [Fact]
    public void DecodeEncode_AnyRequest_MeansTheSame()
    {
        Requests.Sample(body =>
        {
            var text = body.ToJsonString();
            var (encoded, dropped) = ChatCodec.Encode(ChatCodec.Decode(text, stream: body["stream"] is not null));
            Assert.Empty(dropped);
            Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(text).RootElement, encoded), text + "\n" + encoded.GetRawText());
        }, iter: 2000);
    }

    [Fact]
    public void Encode_LimitAndUsage_AsTheProviderHasThem()
    {
        var request = ChatCodec.Decode("""{"model":"m","messages":[],"max_completion_tokens":100}""", stream: true);

        var (compatible, _) = ChatCodec.Encode(request, ChatCodec.Compatible with { StreamUsage = false }, "their-model", outputLimit: 60);
        var (openAi, _) = ChatCodec.Encode(request);

        Assert.Equal("""{"model":"their-model","messages":[],"max_tokens":60,"stream":true}""", compatible.GetRawText());
        Assert.Equal("""{"model":"m","messages":[],"max_completion_tokens":100,"stream":true,"stream_options":{"include_usage":true}}""", openAi.GetRawText());
    }

    [Fact]
    public void Encode_ToolResultsWithImages_FollowAfterAllResults()
    {
        var request = new NeutralRequest { Source = DialectIds.Anthropic };
        var turn = new NeutralMessage { Role = NeutralRole.Assistant };
        turn.Parts.Add(new ToolCallPart { Id = JsonText.From("a"), Name = JsonText.From("f"), Arguments = "{\"x\": \"\\\"\"}"u8.ToArray() });
        turn.Parts.Add(new ToolCallPart { Id = JsonText.From("b"), Name = JsonText.From("f"), Arguments = "{}"u8.ToArray() });
        var results = new NeutralMessage { Role = NeutralRole.Tool };
        var first = new ToolResultPart { CallId = JsonText.From("a"), IsError = true };
        first.Content.Add(new MediaPart { Kind = MediaKind.Image, MediaType = JsonText.From("image/png"), Data = JsonText.From("AAAA") });
        var second = new ToolResultPart { CallId = JsonText.From("b"), Json = "{\"k\":\"v\"}"u8.ToArray() };
        results.Parts.AddRange([first, second]);
        var more = new NeutralMessage { Role = NeutralRole.User };
        more.Parts.Add(new TextPart { Text = JsonText.From("go on") });
        request.Messages.AddRange([turn, results, more]);

        var (body, dropped) = ChatCodec.Encode(request);

        Assert.Equal("""
            [{"role":"assistant","content":null,"tool_calls":[{"id":"a","type":"function","function":{"name":"f","arguments":"{\"x\": \"\\\"\"}"}},{"id":"b","type":"function","function":{"name":"f","arguments":"{}"}}]},
            {"role":"tool","tool_call_id":"a","content":"The result is in the message that follows."},{"role":"tool","tool_call_id":"b","content":"{\"k\":\"v\"}"},
            {"role":"user","content":[{"type":"text","text":"From the result of tool call a:"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AAAA"}}]},{"role":"user","content":"go on"}]
            """.ReplaceLineEndings(""), body.GetProperty("messages").GetRawText());
        Assert.Equal(["messages[].content[].is_error"], dropped);
    }

    [Fact]
    public void Encode_AnthropicRequest_SaysWhatIsLeftOutAtEachProvider()
    {
        var request = new NeutralRequest { Source = DialectIds.Anthropic, Stream = true, MaxOutputTokens = 9, EndUser = JsonText.From(new string('u', 100)), Reasoning = new NeutralReasoning { Enabled = true, BudgetTokens = 5000 } };
        request.Sampling.TopK = "4"u8.ToArray();
        var system = new NeutralMessage { Role = NeutralRole.System };
        system.Parts.Add(new TextPart { Text = JsonText.From("S"), Cache = new CacheMark(default) });
        var turn = new NeutralMessage { Role = NeutralRole.Assistant };
        turn.Parts.Add(new ReasoningPart { Text = JsonText.From("th"), Signature = new NeutralSignature(SignatureFamilies.Anthropic, JsonText.From("sig")) });
        turn.Parts.Add(new TextPart { Text = JsonText.From("a") });
        turn.Parts.Add(new NativePart { Type = "server_tool_use", Raw = "{}"u8.ToArray() });
        turn.Parts.Add(new TextPart { Text = JsonText.From("b") });
        var question = new NeutralMessage { Role = NeutralRole.User };
        question.Parts.Add(new MediaPart { Kind = MediaKind.Document, Url = JsonText.From("https://e.org/a.pdf") });
        question.Parts.Add(new MediaPart { Kind = MediaKind.Document, Text = JsonText.From("plain"), Name = JsonText.From("note") });
        request.Messages.AddRange([system, turn, question]);
        request.Tools.Add(new NeutralTool { Name = JsonText.From("f"), Strict = true, Parameters = """{"type":"object","properties":{"a":{"type":"string"}},"additionalProperties":false}"""u8.ToArray() });
        request.Extensions.Add(JsonText.From("container"), "{}"u8.ToArray());

        var (openAi, dropped) = ChatCodec.Encode(request);
        var (router, droppedByRouter) = ChatCodec.Encode(request, ChatCodec.OpenRouter);

        Assert.Equal("""[{"role":"system","content":"S"},{"role":"assistant","content":"ab"},{"role":"user","content":[{"type":"text","text":"note\nplain"}]}]""", openAi.GetProperty("messages").GetRawText());
        Assert.Equal(["container", "messages[].content[].cache_control", "messages[].content[].document", "messages[].content[].server_tool_use", "messages[].content[].thinking", "thinking.budget_tokens", "tools[].strict", "top_k"], dropped.Order(StringComparer.Ordinal));
        Assert.Equal("medium", openAi.GetProperty("reasoning_effort").GetString());
        Assert.Equal(64, openAi.GetProperty("user").GetString()!.Length);
        Assert.Equal("""
            [{"role":"system","content":[{"type":"text","text":"S","cache_control":{"type":"ephemeral"}}]},{"role":"assistant","reasoning":"th","reasoning_details":[{"type":"reasoning.text","text":"th","signature":"sig","format":"anthropic-claude-v1","index":0}],"content":"ab"},
            {"role":"user","content":[{"type":"file","file":{"filename":"document","file_data":"https://e.org/a.pdf"}},{"type":"text","text":"note\nplain"}]}]
            """.ReplaceLineEndings(""), router.GetProperty("messages").GetRawText());
        Assert.Equal(["container", "messages[].content[].server_tool_use", "tools[].strict"], droppedByRouter.Order(StringComparer.Ordinal));
        Assert.Equal(5000, router.GetProperty("reasoning").GetProperty("max_tokens").GetInt32());
    }

    private static readonly Gen<string> Texts = Gen.String[Gen.Char["aZ é\"\\/\n\t漢\u2028<{[:,"], 0, 12];

    private static readonly Gen<JsonNode?> Anything = Gen.OneOf(
        Texts.Select(text => (JsonNode?)JsonValue.Create(text)), Gen.Int.Select(number => (JsonNode?)JsonValue.Create(number)), Gen.Bool.Select(yes => (JsonNode?)JsonValue.Create(yes)), Gen.Const((JsonNode?)null),
        Texts.Array[0, 2].Select(texts => (JsonNode?)new JsonArray([.. texts.Select(text => JsonValue.Create(text))])), Texts.Select(text => (JsonNode?)new JsonObject { ["k"] = text, [text] = 1 }));

    private static Gen<JsonObject> Requests { get; } = MakeRequests();

    private static Gen<JsonObject> MakeRequests()
    {
        var cache = Gen.OneOf(Gen.Const("{\"type\":\"ephemeral\"}"), Gen.Const("{\"type\":\"ephemeral\",\"ttl\":\"1h\"}"), Gen.Const("{\"type\":\"ephemeral\",\"odd\":1}"));
        var part = Gen.OneOf(
            Texts.Select(text => Made("text", "text", JsonValue.Create(text))),
            Texts.Select(text => Made("image_url", "image_url", new JsonObject { ["url"] = "https://e.org/" + text, ["detail"] = "high" })),
            Gen.Byte.Array[0, 20].Select(bytes => Made("image_url", "image_url", new JsonObject { ["url"] = "data:image/jpeg;base64," + Convert.ToBase64String(bytes) })),
            Gen.Byte.Array[1, 20].Select(bytes => Made("input_audio", "input_audio", new JsonObject { ["data"] = Convert.ToBase64String(bytes), ["format"] = "wav" })),
            Gen.Byte.Array[1, 20].Select(bytes => Made("file", "file", new JsonObject { ["filename"] = "a", ["file_data"] = "data:application/pdf;base64," + Convert.ToBase64String(bytes) })),
            Texts.Select(text => Made("file", "file", new JsonObject { ["file_id"] = text + "x" })),
            Texts.Select(text => Made("novelty", "payload", JsonValue.Create(text))));
        var marked = Gen.Select(part, cache, Gen.Int[0, 3], Anything, (made, mark, choice, extra) =>
        {
            var copy = made.DeepClone().AsObject();
            if (choice == 1)
            {
                copy["cache_control"] = JsonNode.Parse(mark);
            }
            if (choice == 2)
            {
                copy["x_" + choice] = extra?.DeepClone();
            }
            return copy;
        });
        var content = Gen.OneOf(Texts.Select(text => (JsonNode)JsonValue.Create(text)), marked.Array[0, 4].Select(parts => (JsonNode)new JsonArray([.. parts.Select(one => one.DeepClone())])));
        var said = Gen.Select(Gen.OneOf(Gen.Const("system"), Gen.Const("developer"), Gen.Const("user")), content, Anything, Gen.Bool, (role, what, extra, hasExtra) =>
        {
            var message = new JsonObject { ["role"] = role, ["content"] = what.DeepClone() };
            if (hasExtra)
            {
                message["name"] = "n";
                message["x_member"] = extra?.DeepClone();
            }
            return new JsonObject[] { message };
        });
        var arguments = Gen.OneOf(Texts.Select(text => new JsonObject { ["q"] = text }.ToJsonString()), Gen.Const("{ }"), Gen.Const("{\"unfinished"), Gen.Const("7"), Texts.Select(text => "{\"" + JsonEncodedText.Encode(text) + "\": [1.50, null]}"));
        var turn = Gen.Select(Gen.Select(Gen.Int[1, 3], arguments.Array[3, 3], Texts, Texts), Gen.Int[0, 3]).Select(made =>
        {
            var ((calls, texts, thought, result), shape) = made;
            var message = new JsonObject { ["role"] = "assistant", ["content"] = shape == 0 ? null : JsonValue.Create(thought + ".") };
            if (shape == 1)
            {
                message["reasoning_content"] = thought;
            }
            if (shape == 2)
            {
                message["thinking_blocks"] = new JsonArray(new JsonObject { ["type"] = "thinking", ["thinking"] = thought, ["signature"] = "s" });
                message["refusal"] = "r";
            }
            message["tool_calls"] = new JsonArray([.. Enumerable.Range(0, calls).Select(at => at == 2
                ? new JsonObject { ["id"] = "id" + at, ["type"] = "custom", ["custom"] = new JsonObject { ["name"] = "c", ["input"] = texts[at] } }
                : new JsonObject { ["id"] = "id" + at, ["type"] = "function", ["function"] = new JsonObject { ["name"] = "f", ["arguments"] = texts[at] } })]);
            return (JsonObject[])[message, .. Enumerable.Range(0, calls).Select(at => new JsonObject { ["role"] = "tool", ["tool_call_id"] = "id" + at, ["content"] = at == 1 ? new JsonArray(Made("text", "text", JsonValue.Create(result))) : JsonValue.Create(result) })];
        });
        var members = Gen.Select(Gen.OneOf(Pairs()), Anything, Gen.Int[0, 9]).Select(made => made.Item3 == 0 ? KeyValuePair.Create("x_" + made.Item1.Key, made.Item2) : made.Item1);
        return Gen.Select(Gen.OneOf(said, turn).Array[1, 5], members.Array[0, 12], Gen.Bool, (messages, options, streams) =>
        {
            var body = new JsonObject { ["model"] = "m", ["messages"] = new JsonArray([.. messages.SelectMany(some => some).Select(message => message.DeepClone())]) };
            foreach (var (name, value) in options)
            {
                body[name] = value?.DeepClone();
            }
            if (streams)
            {
                body["stream"] = true;
                body["stream_options"] = new JsonObject { ["include_usage"] = true, ["include_obfuscation"] = false };
            }
            return body;
        });
    }

    private static IGen<KeyValuePair<string, JsonNode?>>[] Pairs()
    {
        IEnumerable<string> fixedOnes =
        [
            "\"max_completion_tokens\":77", "\"n\":3", "\"temperature\":0.25", "\"top_p\":1e-1", "\"top_k\":7", "\"seed\":-5", "\"frequency_penalty\":1.5", "\"presence_penalty\":-2", "\"stop\":\"x\"", "\"stop\":[\"x\",\"y\"]",
            "\"logprobs\":true", "\"top_logprobs\":2", "\"parallel_tool_calls\":false", "\"tool_choice\":\"required\"", "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}}", "\"tool_choice\":{\"type\":\"custom\",\"custom\":{\"name\":\"c\"}}",
            "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}}",
            "\"tool_choice\":{\"type\":\"allowed_tools\",\"allowed_tools\":{\"mode\":\"auto\",\"tools\":[{\"type\":\"mcp\",\"server\":\"s\"}]}}",
            "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{}},\"strict\":true}},{\"type\":\"web_search\"}]", "\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"c\",\"description\":\"d\"}}]",
            "\"response_format\":{\"type\":\"json_object\"}", "\"response_format\":{\"type\":\"text\"}", "\"response_format\":{\"type\":\"json_schema\",\"json_schema\":{\"name\":\"r\",\"schema\":{\"type\":\"object\"},\"strict\":false,\"odd\":1}}", "\"response_format\":{\"type\":\"grammar\",\"grammar\":\"g\"}",
            "\"reasoning_effort\":\"xhigh\"", "\"reasoning\":{\"effort\":\"low\",\"odd\":[]}", "\"thinking\":{\"type\":\"disabled\"}", "\"metadata\":{\"a\":\"b\"}", "\"store\":false", "\"service_tier\":\"priority\"", "\"verbosity\":\"high\"", "\"user\":\"u\"", "\"safety_identifier\":\"i\"",
            "\"prompt_cache_key\":\"k\"", "\"prompt_cache_options\":{\"ttl\":\"30m\"}", "\"modalities\":[\"text\",\"audio\"]", "\"audio\":{\"voice\":\"v\",\"format\":\"mp3\"}", "\"logit_bias\":{\"5\":-100}", "\"prediction\":{\"type\":\"content\",\"content\":\"p\"}", "\"web_search_options\":{}", "\"moderation\":{}",
        ];
        return [.. fixedOnes.Select(pair => Gen.Const(JsonNode.Parse("{" + pair + "}")!.AsObject().Single()))];
    }

    private static JsonObject Made(string type, string member, JsonNode? value) => new() { ["type"] = type, [member] = value };

    private static string Text(NeutralPart part) => Assert.IsType<TextPart>(part).Text.ToString();

    private static void AssertSame(string body)
    {
        var (encoded, dropped) = ChatCodec.Encode(ChatCodec.Decode(body));
        Assert.Empty(dropped);
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(body).RootElement, encoded), JsonDocument.Parse(body).RootElement.ToString() + "\n" + encoded.GetRawText());
    }
}
