using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Neutral;
using LlmProxy.Tests.Recorded;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Bedrock;

/// <summary>Converse requests, decoded and encoded.</summary>
public sealed class RequestTests
{
    // A request with one of everything that Converse has; the tests put unknown things into each of its objects.
    private const string Everything = """
        {
          "system": [{"text": "Be brief."}, {"cachePoint": {"type": "default", "ttl": "1h"}}, {"guardContent": {"text": {"text": "ours", "qualifiers": ["grounding_source"]}}}],
          "messages": [
            {"role": "user", "content": [
              {"text": "look"}, {"cachePoint": {"type": "default"}},
              {"image": {"format": "png", "source": {"bytes": "aGk="}}},
              {"image": {"format": "jpeg", "source": {"s3Location": {"uri": "s3://b/k.jpg", "bucketOwner": "123456789012"}}}},
              {"document": {"format": "pdf", "name": "report", "source": {"bytes": "aGk="}, "context": "old", "citations": {"enabled": true}}},
              {"document": {"format": "txt", "name": "pieces", "source": {"content": [{"text": "one"}, {"text": "two"}]}}},
              {"document": {"format": "md", "name": "text", "source": {"text": "# hi"}}},
              {"video": {"format": "mp4", "source": {"s3Location": {"uri": "s3://b/film.mp4"}}}},
              {"audio": {"format": "wav", "source": {"bytes": "aGk="}}},
              {"guardContent": {"image": {"format": "png", "source": {"bytes": "aGk="}}}},
              {"searchResult": {"source": "https://example.com", "title": "t", "content": [{"text": "found"}], "citations": {"enabled": true}}}
            ]},
            {"role": "assistant", "content": [
              {"reasoningContent": {"reasoningText": {"text": "hm", "signature": "c2ln"}}},
              {"reasoningContent": {"redactedContent": "cmVk"}},
              {"citationsContent": {"content": [{"text": "cited"}, {"text": " twice"}], "citations": [{"title": "t", "location": {"documentChar": {"documentIndex": 0, "start": 1, "end": 2}}}]}},
              {"toolUse": {"toolUseId": "t1", "name": "f", "input": {"a": 1.10}}},
              {"toolUse": {"toolUseId": "t2", "name": "nova_grounding", "input": {}, "type": "server_tool_use"}}
            ]},
            {"role": "user", "content": [
              {"toolResult": {"toolUseId": "t1", "content": [{"json": {"b": [1]}}, {"text": "x"}, {"image": {"format": "gif", "source": {"bytes": "aGk="}}}], "status": "success"}},
              {"toolResult": {"toolUseId": "t3", "content": [{"json": {"c": 2}}], "status": "error"}},
              {"text": "go on"}
            ]}
          ],
          "inferenceConfig": {"maxTokens": 100, "temperature": 0.10, "topP": 1e-1, "stopSequences": ["END"]},
          "toolConfig": {
            "tools": [
              {"toolSpec": {"name": "f", "description": "does f", "inputSchema": {"json": {"type": "object"}}, "strict": true}},
              {"cachePoint": {"type": "default", "ttl": "5m"}},
              {"systemTool": {"name": "nova_grounding"}}
            ],
            "toolChoice": {"auto": {}}
          },
          "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1", "trace": "enabled"},
          "additionalModelRequestFields": {"top_k": 5, "thinking": {"type": "enabled", "budget_tokens": 2000}, "anthropic_beta": ["b"]},
          "additionalModelResponseFieldPaths": ["/stop_sequence"],
          "promptVariables": {"name": {"text": "x"}},
          "requestMetadata": {"team": "a"},
          "performanceConfig": {"latency": "optimized"},
          "serviceTier": {"type": "priority"},
          "outputConfig": {"textFormat": {"type": "json_schema", "structure": {"jsonSchema": {"schema": "{\"type\":\"object\"}", "name": "n", "description": "d"}}}}
        }
        """;

    public static TheoryData<string> Places
    {
        get
        {
            var places = new TheoryData<string>();
            Visit(JsonNode.Parse(Everything)!, "", path => places.Add(path));
            return places;
        }
    }

    [Fact]
    public void Encode_EverythingForItsOwnDialect_IsTheSame() => AssertKept(JsonNode.Parse(Everything)!);

    /// <summary>A member that nobody knows, in each object of the request in turn.</summary>
    [Theory]
    [MemberData(nameof(Places))]
    public void Encode_AnUnknownMemberAnywhere_IsKept(string place)
    {
        var request = JsonNode.Parse(Everything)!;
        Visit(request, "", (path, node) =>
        {
            if (path == place)
            {
                node["unknownYet"] = new JsonArray(1, "two", null);
            }
        });
        AssertKept(request);
    }

    [Theory]
    [InlineData("""{"auto":{}}""")]
    [InlineData("""{"any":{}}""")]
    [InlineData("""{"tool":{"name":"f"}}""")]
    [InlineData("""{"none":{}}""")]
    public void Encode_EachToolChoice_IsKept(string choice) =>
        AssertKept(JsonNode.Parse("""{"messages":[],"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{}}}}],"toolChoice":CHOICE}}""".Replace("CHOICE", choice, StringComparison.Ordinal))!);

    [Theory]
    [InlineData("""{"messages":[{"role":"user","content":[]},{"role":"assistant","content":[{"text":"a"}],"x":1},{"role":"assistant","content":[{"text":" "}]}]}""")]
    [InlineData("""{"messages":[],"toolConfig":{"tools":[]}}""")]
    [InlineData("""{"messages":[],"toolConfig":{"toolChoice":{"any":{}}}}""")]
    [InlineData("""{"messages":[{"role":"user","content":[{"cachePoint":{"type":"default"}},{"text":"a"},{"cachePoint":{"type":"default"}},{"cachePoint":{"type":"later"}}]}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":[{"toolResult":{"toolUseId":"a","content":[]}},{"text":"x"},{"toolResult":{"toolUseId":"b","content":[{"text":""}]}}],"x":{}}]}""")]
    [InlineData("""{"messages":[{"role":"user","content":[{"image":{"format":"avif","source":{"bytes":"aGk="}}}]}]}""")]
    [InlineData("""{"messages":[],"system":"text","inferenceConfig":7,"toolConfig":"none","serviceTier":"flex","requestMetadata":[],"outputConfig":1,"additionalModelRequestFields":[]}""")]
    [InlineData("""{"messages":[],"additionalModelRequestFields":{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}}""")]
    public void Encode_OddThings_AreKept(string request)
    {
        var node = JsonNode.Parse(request)!;
        Assert.Null(Decode(request, out var decoded));
        AssertSame(node, Encode(decoded!, DialectIds.Bedrock, out _));
    }

    [Fact]
    public void Encode_WhatIsUnderstood_IsNotReported()
    {
        Decode("""{"messages":[{"role":"user","content":[{"text":"x"}]}],"inferenceConfig":{"maxTokens":4000},"additionalModelRequestFields":{"thinking":{"type":"enabled","budget_tokens":2000}},"serviceTier":{"type":"default"}}""", out var request);
        Encode(request!, DialectIds.Anthropic, out var dropped);
        Assert.Empty(dropped.Names);
    }

    [Fact]
    public void Encode_WhatOthersCannotSay_IsReported()
    {
        Decode("""{"messages":[{"role":"user","content":[{"text":"x"}]}],"additionalModelRequestFields":{"anthropic_beta":["b"]},"guardrailConfig":{"guardrailIdentifier":"g"},"performanceConfig":{"latency":"optimized"}}""", out var request);
        Encode(request!, DialectIds.OpenAiChat, out var dropped);
        Assert.Equal(["additionalModelRequestFields.anthropic_beta", "guardrailConfig", "performanceConfig"], dropped.Names.Order(StringComparer.Ordinal));
    }

    /// <summary>A name that JSON has to escape stays escaped.</summary>
    [Theory]
    [InlineData("inferenceConfig", """{"inferenceConfig":{"a\u0000\"b":[1]},"messages":[{"role":"user","content":[{"text":"x"}]}]}""")]
    [InlineData("toolConfig", """{"toolConfig":{"tools":[{"toolSpec":{"name":"f","inputSchema":{"json":{"type":"object"}}}}],"a\u0000\"b":[1]},"messages":[{"role":"user","content":[{"text":"x"}]}]}""")]
    public void Encode_MembersWithStrangeNames_AreTheSameAgain(string container, string body)
    {
        Assert.Null(Decode(body, out var request));

        Assert.Equal("[1]", Encode(request!, DialectIds.Bedrock, out _)[container]!["a\u0000\"b"]!.ToJsonString());
    }

    /// <summary>What a block says beyond what others know is no reason to lose its words.</summary>
    [Theory]
    [InlineData("""{"text":"the words","unknown":1}""")]
    [InlineData("""{"guardContent":{"text":{"text":"the words","qualifiers":["query"]}}}""")]
    [InlineData("""{"document":{"format":"txt","name":"d","source":{"content":[{"text":"the words"}]}}}""")]
    [InlineData("""{"toolResult":{"toolUseId":"t","content":[{"json":{"a":"the words"}},{"text":"more"}]}}""")]
    public void Encode_BlocksWithMore_TheirWordsReachOtherDialects(string block)
    {
        foreach (var dialect in new[] { DialectIds.Anthropic, DialectIds.Gemini, DialectIds.OpenAiResponses })
        {
            const string Call = """{"role":"assistant","content":[{"toolUse":{"toolUseId":"t","name":"f","input":{}}}]}""";
            Assert.Null(Decode($$"""{"messages":[{"role":"user","content":[{"text":"q"}]},{{Call}},{"role":"user","content":[{{block}}]}]}""", out var request));
            var encoded = Encode(request!, dialect, out _).ToJsonString();
            Assert.True(encoded.Contains("the words", StringComparison.Ordinal) || encoded.Contains(Convert.ToBase64String("the words"u8), StringComparison.Ordinal), $"{dialect}: {encoded}");
        }
    }

    [Fact]
    public void Encode_AChoiceThatNamesNoTool_IsRefused()
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat, ToolChoice = new NeutralToolChoice { Mode = ToolChoiceMode.Named }, Tools = { new NeutralTool { Name = JsonText.From("f") } } };
        request.Messages.Add(new NeutralMessage { Role = NeutralRole.User, Parts = { new TextPart { Text = JsonText.From("x") } } });
        var error = BedrockDialect.Instance.Encode(request, Target(DialectIds.Bedrock, new DropReport()), new ArrayBufferWriter<byte>());
        Assert.Equal((400, "tool_choice"), (error!.Status, error.Field));
    }

    [Theory]
    [InlineData("amazon.nova-2-lite-v1:0", """{"reasoningConfig":{"type":"enabled","maxReasoningEffort":"low"}}""")]
    [InlineData("openai.gpt-oss-120b-1:0", """{"reasoning_effort":"low"}""")]
    [InlineData("meta.llama3-3-70b-instruct-v1:0", null)]
    public void Encode_Effort_StandsWhereTheModelWantsIt(string model, string? expected)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat, Reasoning = new NeutralReasoning { Effort = JsonText.From("low") } };
        request.Messages.Add(new NeutralMessage { Role = NeutralRole.User, Parts = { new TextPart { Text = JsonText.From("x") } } });
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        Assert.Null(BedrockDialect.Instance.Encode(request, new EncodeTarget { Provider = new Provider { Id = "p", Dialect = DialectIds.Bedrock, Origin = "test" }, Model = model, Dropped = dropped }, output));
        Assert.Equal(expected, JsonNode.Parse(output.WrittenSpan)!["additionalModelRequestFields"]?.ToJsonString());
        Assert.Equal(expected is null ? ["reasoning"] : [], dropped.Names);
    }

    private static void AssertKept(JsonNode request)
    {
        Assert.Null(Decode(request.ToJsonString(), out var decoded));
        var encoded = Encode(decoded!, DialectIds.Bedrock, out var dropped);
        Assert.Empty(dropped.Names);
        AssertSame(request, encoded);
    }

    private static void AssertSame(JsonNode expected, JsonNode actual) => JsonDifference.AssertNone(JsonDifference.Between(
        Explained.Normal(RecordedTraffic.Bedrock, System.Text.Json.JsonSerializer.SerializeToElement(expected)), Explained.Normal(RecordedTraffic.Bedrock, System.Text.Json.JsonSerializer.SerializeToElement(actual))));

    private static Shared.Http.GatewayError? Decode(string body, out NeutralRequest? request) => BedrockDialect.Instance.Decode(Encoding.UTF8.GetBytes(body), stream: false, out request);

    private static JsonNode Encode(NeutralRequest request, string dialect, out DropReport dropped)
    {
        var output = new ArrayBufferWriter<byte>();
        dropped = new DropReport();
        var error = DialectSet.Find(dialect)!.Encode(request, Target(dialect, dropped), output);
        Assert.True(error is null, error?.Message);
        return JsonNode.Parse(output.WrittenSpan)!;
    }

    private static EncodeTarget Target(string dialect, DropReport dropped) =>
        new() { Provider = new Provider { Id = "p", Dialect = dialect, Origin = "test" }, Model = "claude-sonnet-4-5", MaxOutputTokens = 4096, Dropped = dropped };

    private static void Visit(JsonNode node, string path, Action<string> found) => Visit(node, path, (at, _) => found(at));

    private static void Visit(JsonNode node, string path, Action<string, JsonObject> found)
    {
        if (node is JsonObject members)
        {
            foreach (var (name, value) in members.ToList())
            {
                if (value is not null)
                {
                    Visit(value, $"{path}/{name}", found);
                }
            }
            found(path, members);
        }
        else if (node is JsonArray elements)
        {
            for (var i = 0; i < elements.Count; i++)
            {
                Visit(elements[i]!, $"{path}/{i}", found);
            }
        }
    }
}
