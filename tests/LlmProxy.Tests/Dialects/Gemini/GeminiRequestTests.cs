using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using CsCheck;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Neutral;
using Shared.Http;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiRequestTests
{
    private const string Full = """
        {"systemInstruction":{"parts":[{"text":"Be brief."},{"text":"Twice."}]},
         "contents":[
           {"role":"user","parts":[{"text":"a\u00e9\n\"b\""},{"inlineData":{"mimeType":"image/png","data":"aGk="},"mediaResolution":{"level":"MEDIA_RESOLUTION_LOW"}},
             {"fileData":{"mimeType":"video/mp4","fileUri":"https://youtu.be/x"},"videoMetadata":{"fps":2}},{"fileData":{"fileUri":"https://generativelanguage.googleapis.com/v1beta/files/1","mimeType":"application/pdf"}}]},
           {"role":"model","parts":[{"text":"hm","thought":true,"thoughtSignature":"dGg="},{"functionCall":{"name":"f","args":{"n":1.50,"o":{}}},"thoughtSignature":"c2ln"},{"functionCall":{"name":"g","args":{}}},{"functionCall":{"id":"x","name":"f","args":{}}}]},
           {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"one"}}},{"functionResponse":{"name":"g","response":{"a":[1,2]},"scheduling":"SILENT"}},
             {"functionResponse":{"id":"x","name":"f","response":{"error":"bad"},"parts":[{"inlineData":{"mimeType":"image/png","data":"aGk="}}]}},{"text":"and?"}]},
           {"role":"model","parts":[{"executableCode":{"language":"PYTHON","code":"1"}},{"codeExecutionResult":{"outcome":"OUTCOME_OK","output":"1"}},{"text":"","thoughtSignature":"ZW5k"}]},
           {"role":"user","parts":[{"text":"x"}]},{"role":"user","parts":[{"text":"y"}]}],
         "tools":[{"functionDeclarations":[{"name":"f","description":"d","parameters":{"type":"OBJECT","properties":{"n":{"type":"NUMBER","nullable":true},"l":{"type":"ARRAY","items":{"type":"STRING"},"minItems":"1"}},"required":["n"]}},
            {"name":"g","parametersJsonSchema":{"type":"object"},"behavior":"NON_BLOCKING"}]},{"googleSearch":{}}],
         "toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f","g"],"streamFunctionCallArguments":true},"retrievalConfig":{"languageCode":"de"}},
         "generationConfig":{"temperature":0.70,"topP":0.9,"topK":40,"candidateCount":2,"maxOutputTokens":500,"stopSequences":["END"],"seed":7,"presencePenalty":0.1,"frequencyPenalty":-0.1,
            "responseLogprobs":true,"logprobs":3,"responseMimeType":"application/json","responseSchema":{"type":"OBJECT","propertyOrdering":["a"],"properties":{"a":{"type":"STRING"}}},
            "thinkingConfig":{"includeThoughts":true,"thinkingBudget":1024},"responseModalities":["AUDIO"],"speechConfig":{"languageCode":"de"},"mediaResolution":"MEDIA_RESOLUTION_LOW"},
         "safetySettings":[{"category":"HARM_CATEGORY_HARASSMENT","threshold":"BLOCK_NONE"}],"cachedContent":"cachedContents/1","labels":{"team":"a"},"serviceTier":"flex","newMember":[1]}
        """;

    public static TheoryData<string> Bodies => new(
    [
        Full,
        """{"contents":[]}""",
        """{"contents":[{"parts":[{"text":"no role"}]}]}""",
        """{"contents":[{"role":"user","parts":[{"text":"t"}]}],"toolConfig":{"functionCallingConfig":{"mode":"VALIDATED"}},"generationConfig":{"thinkingConfig":{"thinkingLevel":"LOW"}}}""",
        """{"contents":[{"role":"user","parts":[{"text":"t"}]}],"toolConfig":{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}},"generationConfig":{"thinkingConfig":{"thinkingBudget":0}}}""",
        """{"contents":[{"role":"user","parts":[{"text":"t"}]}],"toolConfig":{"functionCallingConfig":{"mode":"NONE"}},"generationConfig":{"thinkingConfig":{"thinkingBudget":-1},"responseModalities":["TEXT","IMAGE"],"imageConfig":{"aspectRatio":"1:1"}}}""",
        """{"contents":[{"role":"user","parts":[{"text":"t"}]}],"generationConfig":{"responseMimeType":"text/x.enum","responseSchema":{"type":"STRING","enum":["a"]},"responseModalities":["IMAGE"]}}""",
        """{"contents":[{"role":"user","parts":[{"text":"t"}]}],"generationConfig":{"responseMimeType":"application/json","responseJsonSchema":{"type":"object","$defs":{"x":{}}}}}""",
    ]);

    [Theory]
    [MemberData(nameof(Bodies))]
    public void Encode_OwnRequest_ComesBackWhole(string body)
    {
        var expected = JsonNode.Parse(body)!.AsObject();
        foreach (var content in expected["contents"]!.AsArray())
        {
            content!["role"] ??= "user"; // as Google takes it
        }
        expected["generationConfig"] ??= new JsonObject();

        var actual = GeminiTestKit.Encode(GeminiTestKit.Decode(body), out var dropped);

        Assert.Equal(GeminiTestKit.Canonical(expected), GeminiTestKit.Canonical(actual));
        Assert.Empty(dropped.Names);
    }

    [Fact]
    public void Decode_SnakeCase_IsTheSameRequest()
    {
        var snake = JsonNode.Parse(Full)!;
        Rename(snake);

        var actual = GeminiTestKit.Encode(GeminiTestKit.Decode(snake.ToJsonString()), out _);

        var expected = JsonNode.Parse(Full)!.AsObject();
        // Parts that only Google knows, schemas and structures go back as they came.
        for (var i = 0; i < 3; i++)
        {
            Assert.Equal(GeminiTestKit.Canonical(expected["contents"]![i]), GeminiTestKit.Canonical(actual["contents"]![i]));
        }
        Assert.Equal(expected["generationConfig"]!["maxOutputTokens"]!.ToJsonString(), actual["generationConfig"]!["maxOutputTokens"]!.ToJsonString());
        Assert.Equal(expected["toolConfig"]!["functionCallingConfig"]!.ToJsonString(), actual["toolConfig"]!["functionCallingConfig"]!.ToJsonString());
    }

    [Fact]
    public void Decode_Conversation_IsNeutral()
    {
        var request = GeminiTestKit.Decode(Full, stream: true);

        Assert.Equal(
            [NeutralRole.System, NeutralRole.User, NeutralRole.Assistant, NeutralRole.Tool, NeutralRole.User, NeutralRole.Assistant, NeutralRole.User, NeutralRole.User],
            request.Messages.Select(message => message.Role));
        Assert.True(request.Stream);
        Assert.Equal(500, request.MaxOutputTokens);
        var calls = request.Messages[2].Parts.OfType<ToolCallPart>().ToList();
        Assert.Equal(["call_g1_1", "call_g1_2", "x"], calls.Select(call => call.Id.ToString()));
        Assert.Equal("c2ln", calls[0].Signature!.Data.ToString());
        var results = request.Messages[3].Parts.Cast<ToolResultPart>().ToList();
        Assert.Equal(["call_g1_1", "call_g1_2", "x"], results.Select(result => result.CallId.ToString()));
        Assert.Equal([false, false, true], results.Select(result => result.IsError));
        Assert.Equal("one", Assert.IsType<TextPart>(results[0].Content[0]).Text.ToString());
        Assert.Equal("""{"a":[1,2]}""", Encoding.UTF8.GetString(results[1].Json.Span));
        Assert.Equal("""{"type":"object","properties":{"n":{"type":["number","null"]},"l":{"type":"array","items":{"type":"string"},"minItems":1}},"required":["n"]}""",
            Encoding.UTF8.GetString(request.Tools[0].Parameters.Span));
        Assert.Equal(["audio"], request.OutputModalities);
        Assert.Equal((1024L, true), (request.Reasoning!.BudgetTokens, request.Reasoning.Visible));
    }

    [Fact]
    public void Decode_CallKeptInPieces_IsOneCall()
    {
        var request = GeminiTestKit.Decode("""
            {"contents":[{"role":"model","parts":[{"functionCall":{"name":"f","willContinue":true},"thoughtSignature":"c2ln"}]},
              {"role":"model","parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"x","willContinue":true}],"willContinue":true}}]},
              {"role":"model","parts":[{"functionCall":{"partialArgs":[{"jsonPath":"$.a","stringValue":"y"}],"willContinue":true}}]},
              {"role":"model","parts":[{"functionCall":{}}]},
              {"role":"user","parts":[{"functionResponse":{"name":"f","response":{}}}]}]}
            """);

        var call = Assert.Single(request.Messages.SelectMany(message => message.Parts).OfType<ToolCallPart>());
        Assert.Equal("""{"a":"xy"}""", Encoding.UTF8.GetString(call.Arguments.Span));
        Assert.Equal(call.Id, Assert.Single(request.Messages.SelectMany(message => message.Parts).OfType<ToolResultPart>()).CallId);
        Assert.NotNull(call.Signature);
    }

    [Theory]
    [InlineData("""{"contents":[{"role":"system","parts":[]}]}""", "contents[0].role")]
    [InlineData("""{"contents":[{"parts":[{"text":1}]}]}""", "contents[0].parts[0].text")]
    [InlineData("""{"contents":[{"parts":[{"text":"a","inlineData":{"data":""}}]}]}""", "contents[0].parts[0]")]
    [InlineData("""{"contents":[{"parts":[{"text":"a"},{"inlineData":{"mimeType":"image/png"}}]}]}""", "contents[0].parts[1].inlineData.data")]
    [InlineData("""{"contents":[{"role":"model","parts":[{"functionCall":{"args":{}}}]}]}""", "contents[0].parts[0].functionCall.name")]
    [InlineData("""{"contents":[{"parts":7}]}""", "contents[0].parts")]
    [InlineData("""{"tools":[{"functionDeclarations":[{}]}]}""", "tools[].functionDeclarations[].name")]
    [InlineData("""{"toolConfig":{"functionCallingConfig":{"mode":"MAYBE"}}}""", "toolConfig.functionCallingConfig.mode")]
    [InlineData("""{"generationConfig":{"temperature":"warm"}}""", "generationConfig.temperature")]
    [InlineData("""{"generationConfig":{"stopSequences":[1]}}""", "generationConfig.stopSequences")]
    public void Decode_WrongMember_IsNamed(string body, string field)
    {
        var error = GeminiDialect.Instance.Decode(Encoding.UTF8.GetBytes(body), false, out _);

        Assert.Equal(field, error?.Field);
    }

    [Fact]
    public void Encode_ForeignConversation_IsGoogles()
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.System, Text("S"));
        Add(request, NeutralRole.Developer, Text("D"));
        Add(request, NeutralRole.User, Text("u1"));
        Add(request, NeutralRole.User, Text("u2"));
        Add(request, NeutralRole.Assistant, new ReasoningPart { Text = JsonText.From("thoughts") }, Text(""), Call("c1", "f", """{"a":1}"""), Call("c2", "g", "{}"));
        Add(request, NeutralRole.System, Text("mid"));
        Add(request, NeutralRole.Tool, Result("c2", false, Text("r2")));
        Add(request, NeutralRole.Tool, Result("c1", true, Text("r"), Text("1")));
        Add(request, NeutralRole.User, Text("u3"));

        var body = GeminiTestKit.Encode(request, out var dropped);

        GeminiTestKit.AssertSame("""
            {"systemInstruction":{"parts":[{"text":"S"},{"text":"D"}]},
             "contents":[
               {"role":"user","parts":[{"text":"u1"},{"text":"u2"}]},
               {"role":"model","parts":[{"functionCall":{"id":"c1","name":"f","args":{"a":1}},"thoughtSignature":"skip_thought_signature_validator"},{"functionCall":{"id":"c2","name":"g","args":{}}}]},
               {"role":"user","parts":[{"functionResponse":{"id":"c2","name":"g","response":{"output":"r2"}}},{"functionResponse":{"id":"c1","name":"f","response":{"error":"r\n1"}}}]},
               {"role":"user","parts":[{"text":"mid"},{"text":"u3"}]}],
             "generationConfig":{}}
            """, body);
        Assert.Equal(["messages[].content[].reasoning", "messages[].role"], dropped.Names);
    }

    [Fact]
    public void Encode_ForVertexAndOlderModels_HasNoIdsAndNoStandInSignature()
    {
        var request = new NeutralRequest { Source = DialectIds.Anthropic, Metadata = """{"team":"a","Bad Key":"b","n":"ÄÖ"}"""u8.ToArray() };
        Add(request, NeutralRole.User, Text("u"));
        Add(request, NeutralRole.Assistant, Call("c1", "f", "{}"));
        Add(request, NeutralRole.Tool, Result("c1", false, Text("r"), new MediaPart { Kind = MediaKind.Image, MediaType = JsonText.From("image/png"), Data = JsonText.From("aGk=") }));

        var body = GeminiTestKit.Encode(request, out var dropped, model: "gemini-2.5-flash", provider: GeminiTestKit.Vertex);

        GeminiTestKit.AssertSame("""
            {"contents":[{"role":"user","parts":[{"text":"u"}]},{"role":"model","parts":[{"functionCall":{"name":"f","args":{}}}]},
              {"role":"user","parts":[{"functionResponse":{"name":"f","response":{"output":"r"}}},{"inlineData":{"mimeType":"image/png","data":"aGk="}}]}],
             "generationConfig":{},"labels":{"team":"a"}}
            """, body);
        Assert.Equal(["metadata.Bad Key", "metadata.n"], dropped.Names);
    }

    [Fact]
    public void Encode_InstructionsAlone_BecomeATurn()
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.System, Text("S"));

        var body = GeminiTestKit.Encode(request, out var dropped);

        Assert.Equal("""[{"role":"user","parts":[{"text":"S"}]}]""", body["contents"]!.ToJsonString());
        Assert.Equal(["messages[].role"], dropped.Names);
    }

    [Theory]
    [InlineData("https://a/b.png?x=1", null, """{"fileData":{"mimeType":"image/png","fileUri":"https://a/b.png?x=1"}}""")]
    [InlineData("https://a/b", null, """{"fileData":{"mimeType":"image/jpeg","fileUri":"https://a/b"}}""")]
    [InlineData("https://a/b", "image/webp", """{"fileData":{"mimeType":"image/webp","fileUri":"https://a/b"}}""")]
    [InlineData("gs://a/b.gif", null, """{"fileData":{"mimeType":"image/gif","fileUri":"gs://a/b.gif"}}""")]
    [InlineData("https://www.youtube.com/watch?v=1", null, """{"fileData":{"fileUri":"https://www.youtube.com/watch?v=1"}}""")]
    public void Encode_ImageByAddress_IsLeftToGoogle(string url, string? type, string expected)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.User, new MediaPart { Kind = MediaKind.Image, Url = JsonText.From(url), MediaType = JsonText.FromNullable(type) });

        GeminiTestKit.AssertSame(expected, GeminiTestKit.Encode(request, out _)["contents"]![0]!["parts"]![0]!);
    }

    [Fact]
    public void Encode_WhatGoogleCannotOpen_IsRefusedByName()
    {
        Assert.Equal("messages[0]", Refused(new MediaPart { Kind = MediaKind.Image, Url = JsonText.From("http://a/b.png") }));
        Assert.Equal("messages[0]", Refused(new MediaPart { Kind = MediaKind.Document, FileId = JsonText.From("file-abc") }));
        Assert.Equal("messages[0]", Refused(new MediaPart { Kind = MediaKind.Document, Url = JsonText.From("https://a/b") }));
        Assert.Equal("messages[0]", Refused(new MediaPart { Kind = MediaKind.Document, Data = JsonText.From("AAAA") }));
    }

    [Fact]
    public void Encode_ResultOfNoCall_IsRefused()
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.Tool, Result("c9", false, Text("r")));

        var error = TryEncode(request);

        Assert.Equal("messages[0]", error?.Field);
        Assert.Contains("c9", error!.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("iVBORw0KGgoAAAA", "image/png")]
    [InlineData("/9j/4AAQ", "image/jpeg")]
    [InlineData("UklGRiQAAABXRUJQVlA4", "image/webp")]
    public void Encode_InlineImageOfUnknownType_IsRecognised(string data, string expected)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.User, new MediaPart { Kind = MediaKind.Image, Data = JsonText.From(data) });

        Assert.Equal(expected, GeminiTestKit.Encode(request, out _)["contents"]![0]!["parts"]![0]!["inlineData"]!["mimeType"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("gemini-3-pro-preview", "high", """{"thinkingLevel":"HIGH"}""")]
    [InlineData("gemini-3-pro-preview", "medium", """{"thinkingLevel":"HIGH"}""")]
    [InlineData("gemini-3.1-pro-preview", "medium", """{"thinkingLevel":"MEDIUM"}""")]
    [InlineData("gemini-3-flash-preview", "minimal", """{"thinkingLevel":"MINIMAL"}""")]
    [InlineData("gemini-3-flash-preview", "none", """{"thinkingLevel":"MINIMAL"}""")]
    [InlineData("gemini-2.5-pro", "low", """{"thinkingBudget":1024}""")]
    [InlineData("gemini-2.5-pro", "none", """{"thinkingBudget":128}""")]
    [InlineData("gemini-2.5-flash", "none", """{"thinkingBudget":0}""")]
    [InlineData("gemini-2.5-flash", "xhigh", """{"thinkingBudget":24576}""")]
    [InlineData("gemini-2.0-flash", "high", null)]
    [InlineData("gemma-3-27b-it", "high", null)]
    public void Encode_Effort_IsWhatTheModelKnows(string model, string effort, string? expected)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat, Reasoning = new NeutralReasoning { Effort = JsonText.From(effort) } };
        Add(request, NeutralRole.User, Text("u"));

        var body = GeminiTestKit.Encode(request, out var dropped, model);

        Assert.Equal(expected, body["generationConfig"]!["thinkingConfig"]?.ToJsonString());
        Assert.Equal(expected is null, dropped.Names.Contains("reasoning"));
    }

    [Fact]
    public void Encode_ToolsAndChoice_AreGoogles()
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat, ParallelToolCalls = false, MaxOutputTokens = 100 };
        Add(request, NeutralRole.User, Text("u"));
        request.Tools.Add(new NeutralTool { Name = JsonText.From("f"), Description = JsonText.From("d"), Parameters = """{"type":"object"}"""u8.ToArray(), Strict = true });
        request.Tools.Add(new NeutralTool { Kind = ToolKind.Custom, Name = JsonText.From("sh") });
        request.Tools.Add(new NeutralTool { Name = JsonText.From("g") });

        var body = GeminiTestKit.Encode(request, out var dropped, limit: 50);

        GeminiTestKit.AssertSame("""[{"functionDeclarations":[{"name":"f","description":"d","parametersJsonSchema":{"type":"object"}},{"name":"g"}]}]""", body["tools"]!);
        GeminiTestKit.AssertSame("""{"functionCallingConfig":{"mode":"VALIDATED"}}""", body["toolConfig"]!);
        Assert.Equal(50, body["generationConfig"]!["maxOutputTokens"]!.GetValue<int>());
        Assert.Equal(["tools[].custom", "parallel_tool_calls"], dropped.Names);

        request.ToolChoice = new NeutralToolChoice { Mode = ToolChoiceMode.Named, Names = { JsonText.From("f") } };
        GeminiTestKit.AssertSame("""{"functionCallingConfig":{"mode":"ANY","allowedFunctionNames":["f"]}}""", GeminiTestKit.Encode(request, out _)["toolConfig"]!);
    }

    [Fact]
    public void Encode_WhatGoogleHasNoWordFor_IsReported()
    {
        var request = new NeutralRequest
        {
            Source = DialectIds.OpenAiChat,
            EndUser = JsonText.From("u"),
            CacheKey = JsonText.From("k"),
            Store = true,
            Verbosity = JsonText.From("low"),
            ServiceTier = JsonText.From("scale"),
            Metadata = """{"a":"b"}"""u8.ToArray(),
        };
        request.Extensions.Add(JsonText.From("prediction"), "{}"u8.ToArray());
        Add(request, NeutralRole.User, Text("u"));

        GeminiTestKit.Encode(request, out var dropped);

        Assert.Equal(["metadata", "prediction", "prompt_cache_key", "service_tier", "store", "user", "verbosity"], dropped.Names.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Decode_MutatedBodies_NeverThrow()
    {
        var whole = Encoding.UTF8.GetBytes(Full);
        Gen.Select(Gen.Int[0, whole.Length - 1].Array[0, 8], Gen.Byte.Array[8], Gen.Int[0, whole.Length]).Sample((places, values, cut) =>
        {
            var bytes = whole.ToArray();
            for (var i = 0; i < places.Length; i++)
            {
                bytes[places[i]] = values[i];
            }
            var body = cut % 4 == 0 ? bytes.AsMemory(0, cut) : bytes;
            var error = GeminiDialect.Instance.Decode(body, false, out var request);
            Assert.Equal(error is null, request is not null);
            if (request is not null)
            {
                GeminiDialect.Instance.Encode(request, new EncodeTarget { Provider = GeminiTestKit.Studio, Model = "gemini-3", Dropped = new DropReport() }, new ArrayBufferWriter<byte>());
            }
        }, iter: 3000);
    }

    private static string? Refused(MediaPart medium)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        Add(request, NeutralRole.User, medium);
        return TryEncode(request)?.Field;
    }

    private static GatewayError? TryEncode(NeutralRequest request) =>
        GeminiDialect.Instance.Encode(request, new EncodeTarget { Provider = GeminiTestKit.Studio, Model = "gemini-3-pro", Dropped = new DropReport() }, new ArrayBufferWriter<byte>());

    private static void Add(NeutralRequest request, NeutralRole role, params NeutralPart[] parts)
    {
        var message = new NeutralMessage { Role = role };
        message.Parts.AddRange(parts);
        request.Messages.Add(message);
    }

    private static TextPart Text(string text) => new() { Text = JsonText.From(text) };

    private static ToolCallPart Call(string id, string name, string arguments) => new() { Id = JsonText.From(id), Name = JsonText.From(name), Arguments = Encoding.UTF8.GetBytes(arguments) };

    private static ToolResultPart Result(string id, bool isError, params NeutralPart[] content)
    {
        var result = new ToolResultPart { CallId = JsonText.From(id), IsError = isError };
        result.Content.AddRange(content);
        return result;
    }

    private static void Rename(JsonNode? node)
    {
        if (node is JsonObject members)
        {
            foreach (var (name, value) in members.ToArray())
            {
                Rename(value);
                var snake = System.Text.Json.JsonNamingPolicy.SnakeCaseLower.ConvertName(name);
                if (snake != name)
                {
                    members.Remove(name);
                    members[snake] = value;
                }
            }
        }
        foreach (var item in node as JsonArray ?? [])
        {
            Rename(item);
        }
    }
}
