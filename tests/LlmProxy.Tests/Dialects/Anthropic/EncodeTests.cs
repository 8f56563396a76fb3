using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects;
using LlmProxy.Neutral;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>Requests of other dialects, as Anthropic gets them.</summary>
public sealed class EncodeTests
{
    [Fact]
    public void Messages_ToolTurn_ResultsComeFirstInOneUsersMessage()
    {
        var request = Foreign(
            Message(NeutralRole.System, Said("Be brief.")),
            Message(NeutralRole.User, Said("Weather?")),
            Message(NeutralRole.Assistant, Said("Looking."), Call("call_1", "weather", """{"city":"Rome"}"""), Call("call:2", "weather", "")),
            Message(NeutralRole.User, Said("Hurry!")),
            Message(NeutralRole.Tool, Result("call_1", "sunny")),
            Message(NeutralRole.Tool, Result("call:2", "", fails: true)));
        request.Tools.Add(new NeutralTool { Name = JsonText.From("weather"), Parameters = Json("""{"properties":{}}""") });

        var body = Wire.Encode(request, out var dropped);

        Wire.AssertSame(JsonNode.Parse("""
            {"model":"claude-opus-5","max_tokens":4096,"system":"Be brief.","messages":[
              {"role":"user","content":"Weather?"},
              {"role":"assistant","content":[{"type":"text","text":"Looking."},{"type":"tool_use","id":"call_1","name":"weather","input":{"city":"Rome"}},{"type":"tool_use","id":"call_2","name":"weather","input":{}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"call_1","content":"sunny"},{"type":"tool_result","tool_use_id":"call_2","is_error":true},{"type":"text","text":"Hurry!"}]}],
             "tools":[{"name":"weather","input_schema":{"type":"object","properties":{}}}]}
            """), body);
        Assert.Empty(dropped.Names);
    }

    [Fact]
    public void Messages_InstructionsAmidTheConversation_AreMarkedWhereTheyStoodOrSentAsSystemMessages()
    {
        NeutralRequest Request() => Foreign(
            Message(NeutralRole.User, Said("One")),
            Message(NeutralRole.Developer, Said("Speak French.")),
            Message(NeutralRole.Assistant, Said("Deux")),
            Message(NeutralRole.System, Said("Now German.")),
            Message(NeutralRole.User, Said("Three")));

        var older = Wire.Encode(Request(), out var olderDropped, Wire.OldModel);
        var newer = Wire.Encode(Request(), out var newerDropped);

        Wire.AssertSame(JsonNode.Parse("""
            [{"role":"user","content":[{"type":"text","text":"One"},{"type":"text","text":"<system>\nSpeak French.\n</system>"}]},{"role":"assistant","content":"Deux"},
             {"role":"user","content":[{"type":"text","text":"<system>\nNow German.\n</system>"},{"type":"text","text":"Three"}]}]
            """), older["messages"]);
        Wire.AssertSame(JsonNode.Parse("""
            [{"role":"user","content":"One"},{"role":"system","content":"Speak French."},{"role":"assistant","content":"Deux"},
             {"role":"user","content":[{"type":"text","text":"<system>\nNow German.\n</system>"},{"type":"text","text":"Three"}]}]
            """), newer["messages"]);
        Assert.Equal(["messages[].role"], olderDropped.Names);
        Assert.Equal(["messages[].role"], newerDropped.Names);
    }

    [Fact]
    public void Messages_OnlyInstructions_TheLastIsTheUsers()
    {
        var body = Wire.Encode(Foreign(Message(NeutralRole.System, Said("A")), Message(NeutralRole.System, Said("B"))), out var dropped);

        Assert.Equal("A", (string?)body["system"]);
        Wire.AssertSame(JsonNode.Parse("""[{"role":"user","content":[{"type":"text","text":"<system>\nB\n</system>"}]}]"""), body["messages"]);
        Assert.Equal(["messages[].role"], dropped.Names);
    }

    [Fact]
    public void Messages_AssistantBegins_AUserGoesBefore()
    {
        var body = Wire.Encode(Foreign(Message(NeutralRole.Assistant, Said("Welcome!")), Message(NeutralRole.User, Said("Hi"))), out var dropped);

        Assert.Equal(["user", "assistant", "user"], body["messages"]!.AsArray().Select(message => (string)message!["role"]!));
        Assert.Equal(["messages[0].role"], dropped.Names);
    }

    [Fact]
    public void Reasoning_OfItsOwnFamilyStaysInPlaceAndOthersIsReported()
    {
        var request = Foreign(
            Message(NeutralRole.User, Said("Hi")),
            Message(NeutralRole.Assistant,
                new ReasoningPart { Text = JsonText.From("Hm"), Signature = new NeutralSignature(SignatureFamilies.Anthropic, JsonText.From("c2ln")) },
                new ReasoningPart { IsRedacted = true, Signature = new NeutralSignature(SignatureFamilies.Anthropic, JsonText.From("cmVk")) },
                new ReasoningPart { Text = JsonText.From("Mm"), Signature = new NeutralSignature(SignatureFamilies.Google, JsonText.From("x")) },
                Said("Hello")));

        var body = Wire.Encode(request, out var dropped);

        Wire.AssertSame(JsonNode.Parse("""[{"type":"thinking","thinking":"Hm","signature":"c2ln"},{"type":"redacted_thinking","data":"cmVk"},{"type":"text","text":"Hello"}]"""), body["messages"]![1]!["content"]);
        Assert.Equal(["messages[].reasoning"], dropped.Names);
    }

    [Fact]
    public void Media_EachKind_IsASourceOrNamed()
    {
        var request = Foreign(Message(NeutralRole.User,
            new MediaPart { Kind = MediaKind.Image, Data = JsonText.From("/9j/4AAQ"), Detail = JsonText.From("low") },
            new MediaPart { Kind = MediaKind.Image, Url = JsonText.From("https://example.com/a.png") },
            new MediaPart { Kind = MediaKind.Document, MediaType = JsonText.From("application/pdf"), Data = JsonText.From("JVBERi0="), Name = JsonText.From("a.pdf") },
            new MediaPart { Kind = MediaKind.Document, MediaType = JsonText.From("text/markdown"), Data = JsonText.From("SGk=") },
            new MediaPart { Kind = MediaKind.Audio, MediaType = JsonText.From("audio/wav"), Data = JsonText.From("UklGRg==") },
            new MediaPart { Kind = MediaKind.Document, FileId = JsonText.From("file-1") }));

        var body = Wire.Encode(request, out var dropped);

        var blocks = body["messages"]![0]!["content"]!.AsArray();
        Wire.AssertSame(JsonNode.Parse("""{"type":"image","source":{"type":"base64","media_type":"image/jpeg","data":"/9j/4AAQ"}}"""), blocks[0]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"image","source":{"type":"url","url":"https://example.com/a.png"}}"""), blocks[1]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="},"title":"a.pdf"}"""), blocks[2]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"document","source":{"type":"text","media_type":"text/plain","data":"Hi"}}"""), blocks[3]);
        Assert.Equal("text", (string?)blocks[4]!["type"]);
        Assert.Equal("text", (string?)blocks[5]!["type"]);
        Assert.Equal(["messages[].content[].detail", "messages[].content[].input_audio", "messages[].content[].file_id"], dropped.Names);
    }

    [Fact]
    public void Limit_AlwaysStands()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));

        Assert.Equal(4096, (int?)Wire.Encode(request, out _)["max_tokens"]);
        Assert.Equal(8000, (int?)Wire.Encode(request, out _, most: 8000)["max_tokens"]);
        request.MaxOutputTokens = 700;
        Assert.Equal(700, (int?)Wire.Encode(request, out _, most: 8000)["max_tokens"]);
        Assert.Equal(70, (int?)Wire.Encode(request, out _, limit: 70, most: 8000)["max_tokens"]);
    }

    [Theory]
    [InlineData(Wire.NewModel, "high", null, """{"type":"adaptive"}""", "high")]
    [InlineData(Wire.NewModel, "minimal", null, """{"type":"adaptive"}""", "low")]
    [InlineData("claude-opus-4-6", "xhigh", null, """{"type":"adaptive"}""", "max")]
    [InlineData(Wire.NewModel, null, 20000L, """{"type":"adaptive"}""", "xhigh")]
    [InlineData(Wire.NewModel, "none", null, """{"type":"disabled"}""", null)]
    [InlineData(Wire.NewModel, null, 0L, """{"type":"disabled"}""", null)]
    [InlineData(Wire.OldModel, "medium", null, """{"type":"enabled","budget_tokens":8192}""", null)]
    [InlineData(Wire.OldModel, "max", null, """{"type":"enabled","budget_tokens":24000}""", null)]
    [InlineData(Wire.OldModel, null, 3000L, """{"type":"enabled","budget_tokens":3000}""", null)]
    [InlineData(Wire.OldModel, null, 100L, """{"type":"enabled","budget_tokens":1024}""", null)]
    [InlineData("us.anthropic.claude-3-7-sonnet-20250219-v1:0", "low", null, """{"type":"enabled","budget_tokens":2048}""", null)]
    public void Reasoning_EffortAndBudget_BecomeWhatTheModelKnows(string model, string? effort, long? budget, string thinking, string? expectedEffort)
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.Reasoning = new NeutralReasoning { Effort = JsonText.FromNullable(effort), BudgetTokens = budget };

        var body = Wire.Encode(request, out var dropped, model, limit: 30000);

        Wire.AssertSame(JsonNode.Parse(thinking), body["thinking"]);
        Assert.Equal(expectedEffort, (string?)body["output_config"]?["effort"]);
        Assert.Empty(dropped.Names);
    }

    [Fact]
    public void Reasoning_WhereItCannotBe_IsReported()
    {
        var small = Foreign(Message(NeutralRole.User, Said("Hi")));
        small.Reasoning = new NeutralReasoning { Effort = JsonText.From("high") };
        var unsigned = Foreign(Message(NeutralRole.User, Said("Hi")), Message(NeutralRole.Assistant, Call("c", "f", "{}")), Message(NeutralRole.Tool, Result("c", "r")));
        unsigned.Reasoning = new NeutralReasoning { Effort = JsonText.From("high") };
        unsigned.Tools.Add(new NeutralTool { Name = JsonText.From("f") });
        var forced = Foreign(Message(NeutralRole.User, Said("Hi")));
        forced.Reasoning = new NeutralReasoning { Effort = JsonText.From("high") };
        forced.Tools.Add(new NeutralTool { Name = JsonText.From("f") });
        forced.ToolChoice = new NeutralToolChoice { Mode = ToolChoiceMode.Required };

        Assert.Null(Wire.Encode(small, out var first, Wire.OldModel, limit: 1000)["thinking"]);
        Assert.Null(Wire.Encode(unsigned, out var second, Wire.OldModel, limit: 30000)["thinking"]);
        Assert.Null(Wire.Encode(forced, out var third)["thinking"]);

        Assert.Equal(["reasoning"], first.Names);
        Assert.Equal(["reasoning"], second.Names);
        Assert.Equal(["reasoning"], third.Names);
    }

    [Fact]
    public void Tools_StrictSchema_IsBroughtToTheSubset()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.Tools.Add(new NeutralTool
        {
            Name = JsonText.From("f"),
            Strict = true,
            Parameters = Json("""{"type":"object","properties":{"a":{"type":"integer","minimum":1,"description":"A"},"b":{"oneOf":[{"type":"string","format":"color"},{"$ref":"#/$defs/d"}]}},"required":["a"],"additionalProperties":true,"$defs":{"d":{"type":["object","null"],"properties":{}}}}"""),
        });
        request.ParallelToolCalls = false;

        var body = Wire.Encode(request, out var dropped);
        var older = Wire.Encode(request, out var olderDropped, "claude-sonnet-4-0");

        Wire.AssertSame(JsonNode.Parse("""
            {"type":"object","properties":{"a":{"type":"integer","description":"A\n(minimum: 1)"},"b":{"anyOf":[{"type":"string","description":"(format: color)"},{"$ref":"#/$defs/d"}]}},"required":["a"],"additionalProperties":false,
             "$defs":{"d":{"type":["object","null"],"properties":{},"additionalProperties":false}}}
            """), body["tools"]![0]!["input_schema"]);
        Assert.True((bool?)body["tools"]![0]!["strict"]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"auto","disable_parallel_tool_use":true}"""), body["tool_choice"]);
        Assert.Equal(["tools[].parameters.additionalProperties", "tools[].parameters.minimum", "tools[].parameters.format"], dropped.Names);
        Assert.Null(older["tools"]![0]!["strict"]);
        Assert.Equal(["tools[].strict"], olderDropped.Names);
    }

    [Fact]
    public void OutputFormat_Schema_GoesToOutputConfig()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.OutputFormat = new NeutralOutputFormat { Schema = Json("""{"type":"object","properties":{}}"""), Name = JsonText.From("answer"), Strict = true };

        var body = Wire.Encode(request, out var dropped);
        request.OutputFormat = new NeutralOutputFormat();
        var any = Wire.Encode(request, out var anyDropped);

        Wire.AssertSame(JsonNode.Parse("""{"format":{"type":"json_schema","schema":{"type":"object","properties":{},"additionalProperties":false}}}"""), body["output_config"]);
        Assert.Empty(dropped.Names);
        Assert.Null(any["output_config"]);
        Assert.Equal(["response_format"], anyDropped.Names);
    }

    [Fact]
    public void Tools_KindsAndChoices_BecomeAnthropics()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.Tools.Add(new NeutralTool { Name = JsonText.From("f") });
        request.Tools.Add(new NeutralTool { Kind = ToolKind.Custom, Name = JsonText.From("g"), Format = Json("""{"type":"grammar"}""") });
        request.Tools.Add(new NeutralTool { Kind = ToolKind.Provider, Name = JsonText.From("web_search"), Raw = Json("""{"type":"web_search"}""") });
        request.ToolChoice = new NeutralToolChoice { Mode = ToolChoiceMode.Allowed, IsRequired = true, Names = { JsonText.From("g") } };

        var body = Wire.Encode(request, out var dropped);

        Wire.AssertSame(JsonNode.Parse("""[{"name":"g","input_schema":{"type":"object","properties":{"input":{"type":"string"}},"required":["input"]}}]"""), body["tools"]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"any"}"""), body["tool_choice"]);
        Assert.Equal(["tools[].web_search", "tools[].format"], dropped.Names);
    }

    [Fact]
    public void Tools_NoneButCallsInTheHistory_AreDeclaredAndForbidden()
    {
        var body = Wire.Encode(Foreign(Message(NeutralRole.User, Said("Hi")), Message(NeutralRole.Assistant, Call("c", "f", "{}")), Message(NeutralRole.Tool, Result("c", "r"))), out _);

        Assert.Equal("f", (string?)body["tools"]![0]!["name"]);
        Wire.AssertSame(JsonNode.Parse("""{"type":"none"}"""), body["tool_choice"]);
    }

    [Fact]
    public void Cache_MoreThanFourMarks_TheFirstAndTheLastThreeStay()
    {
        var request = Foreign(
            Message(NeutralRole.System, Said("S", cached: true)),
            Message(NeutralRole.User, Said("1", cached: true), Said("2", cached: true), Said("3", cached: true), Said("4", cached: true), Said("5", cached: true)));

        var body = Wire.Encode(request, out var dropped);

        Assert.NotNull(body["system"]![0]!["cache_control"]);
        Assert.Equal([false, false, true, true, true], body["messages"]![0]!["content"]!.AsArray().Select(block => block!["cache_control"] is not null));
        Assert.Equal(["cache_control"], dropped.Names);
    }

    [Fact]
    public void Sampling_WhatTheModelRefuses_IsReported()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.Sampling.Temperature = Json("1.7");
        request.Sampling.TopP = Json("0.9");
        request.Sampling.Seed = Json("7");
        request.ServiceTier = JsonText.From("flex");
        request.CacheKey = JsonText.From("k");
        request.EndUser = JsonText.From("u");
        request.StopSequences.AddRange([JsonText.From("END"), JsonText.From("\n")]);

        var newer = Wire.Encode(request, out var dropped);
        var older = Wire.Encode(request, out var olderDropped, "claude-sonnet-4-0");

        Assert.Null(newer["temperature"]);
        Assert.Equal(["temperature", "top_p", "seed", "stop", "service_tier", "prompt_cache_key"], dropped.Names);
        Assert.Equal("1", older["temperature"]!.ToJsonString());
        Assert.Equal("0.9", older["top_p"]!.ToJsonString());
        Wire.AssertSame(JsonNode.Parse("""{"user_id":"u"}"""), older["metadata"]);
        Wire.AssertSame(JsonNode.Parse("""["END"]"""), older["stop_sequences"]);
        Assert.Equal(["temperature", "seed", "stop", "service_tier", "prompt_cache_key"], olderDropped.Names);
    }

    [Fact]
    public void Choices_MoreThanOne_CannotBeAsked()
    {
        var request = Foreign(Message(NeutralRole.User, Said("Hi")));
        request.Choices = 2;

        var error = Wire.Dialect.Encode(request, Wire.Target(new DropReport()), new System.Buffers.ArrayBufferWriter<byte>());

        Assert.Equal("n", error?.Field);
    }

    private static NeutralRequest Foreign(params ReadOnlySpan<NeutralMessage> messages)
    {
        var request = new NeutralRequest { Source = DialectIds.OpenAiChat };
        request.Messages.AddRange(messages);
        return request;
    }

    private static NeutralMessage Message(NeutralRole role, params ReadOnlySpan<NeutralPart> parts)
    {
        var message = new NeutralMessage { Role = role };
        message.Parts.AddRange(parts);
        return message;
    }

    private static TextPart Said(string text, bool cached = false) => new() { Text = JsonText.From(text), Cache = cached ? new CacheMark(default) : null };

    private static ToolCallPart Call(string id, string name, string arguments) => new() { Id = JsonText.From(id), Name = JsonText.From(name), Arguments = Json(arguments) };

    private static ToolResultPart Result(string id, string text, bool fails = false) => new() { CallId = JsonText.From(id), IsError = fails, Content = { Said(text) } };

    private static ReadOnlyMemory<byte> Json(string json) => Encoding.UTF8.GetBytes(json);
}
