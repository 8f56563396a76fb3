using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Tests.Dialects.OpenAiChat;

namespace LlmProxy.Tests.Dialects.Responses;

/// <summary>Requests: what is scanned of them, what they mean, and how they are written.</summary>
public sealed class ResponsesRequestTests
{
    private const string Rich = """
        {"model":"m","instructions":"be\u0020brief","input":[
          {"role":"developer","content":"rules"},
          {"type":"message","role":"user","content":[{"type":"input_text","text":"see \ud83d\ude00","extra":1},{"type":"input_image","image_url":"data:image/png;base64,AAAA","detail":"low"},{"type":"input_image","file_id":"file_1"},
            {"type":"input_file","filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERi0="},{"type":"input_file","file_url":"https://x.example/a.pdf"},{"type":"input_new","x":[1]}]},
          {"type":"reasoning","id":"rs_1","summary":[{"type":"summary_text","text":"one"},{"type":"summary_text","text":"two"}],"encrypted_content":"gAAAAx","status":null},
          {"type":"web_search_call","id":"ws_1","status":"completed","action":{"type":"search","query":"q"}},
          {"type":"message","id":"msg_1","status":"completed","role":"assistant","phase":"commentary","content":[{"type":"output_text","text":"looking","annotations":[{"type":"url_citation","start_index":0,"end_index":3,"url":"https://u.example","title":"t"}],"logprobs":[]},{"type":"refusal","refusal":"no"}]},
          {"type":"function_call","id":"fc_1","call_id":"call_1","name":"f","arguments":"{ \"a\" : 1.0 }","status":"completed"},
          {"type":"function_call","call_id":"call_2","name":"g","arguments":"not json"},
          {"type":"custom_tool_call","call_id":"call_3","name":"patch","input":"*** Begin"},
          {"type":"function_call_output","call_id":"call_1","output":"1"},
          {"type":"function_call_output","call_id":"call_2","output":[{"type":"input_text","text":"x"},{"type":"input_image","image_url":"https://i.example/a.png"}]},
          {"type":"custom_tool_call_output","call_id":"call_3","output":"done"},
          {"type":"compaction","encrypted_content":"zzz"},
          {"role":"assistant","content":[]},
          {"role":"system","content":"late"}],
         "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":null,"defer_loading":true},{"type":"custom","name":"patch","format":{"type":"grammar","syntax":"lark","definition":"x"}},{"type":"web_search","filters":{}}],
         "tool_choice":{"type":"allowed_tools","mode":"required","tools":[{"type":"function","name":"f"},{"type":"web_search"}]},
         "parallel_tool_calls":false,"max_output_tokens":100,"temperature":0.70,"top_p":1,"top_logprobs":2,"include":["reasoning.encrypted_content","message.output_text.logprobs","web_search_call.results"],
         "text":{"format":{"type":"json_schema","name":"n","schema":{"type":"object"},"strict":true},"verbosity":"low","later":0},"reasoning":{"effort":"low","summary":"auto","context":"all"},
         "store":false,"metadata":{"a":"b"},"service_tier":"flex","user":"u","safety_identifier":"s","prompt_cache_key":"k","truncation":"auto","max_tool_calls":3,"stream_options":{"include_obfuscation":false},"unknown":{"deep":[1,2]}}
        """;

    [Fact]
    public void DecodeEncode_SameFormat_LosesNothing()
    {
        var (body, dropped) = ResponsesCodec.Encode(ResponsesCodec.Decode(Rich));

        Assert.Empty(dropped);
        ResponsesCodec.Same(Rich, body);
    }

    [Theory]
    [InlineData("""{"model":"m","input":"hi"}""")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":"hi"}],"text":{"format":{"type":"text"}},"tool_choice":"required","tools":[]}""")]
    [InlineData("""{"model":"m","instructions":"i","input":"hi","tool_choice":{"type":"web_search"},"tools":[{"type":"web_search"}]}""")]
    [InlineData("""{"model":"m","input":[],"prompt_cache_options":{"mode":"implicit","ttl":"1h"}}""")]
    public void DecodeEncode_SmallForms_ComeBackAsTheyWere(string body) => ResponsesCodec.Same(body, ResponsesCodec.Encode(ResponsesCodec.Decode(body)).Body);

    [Fact]
    public void Decode_ItemsOfOneTurn_AreOneMessage()
    {
        var request = ResponsesCodec.Decode(Rich);

        Assert.Equal([NeutralRole.System, NeutralRole.Developer, NeutralRole.User, NeutralRole.Assistant, NeutralRole.Tool, NeutralRole.Assistant, NeutralRole.Assistant, NeutralRole.System], request.Messages.Select(message => message.Role));
        var turn = request.Messages[3].Parts;
        Assert.Equal(["ReasoningPart", "NativePart", "TextPart", "RefusalPart", "ToolCallPart", "ToolCallPart", "ToolCallPart"], turn.Select(part => part.GetType().Name));
        var reasoning = Assert.IsType<ReasoningPart>(turn[0]);
        Assert.Equal((SignatureFamilies.OpenAi, "gAAAAx", true, 2), (reasoning.Signature!.Family, reasoning.Signature.Data.ToString(), reasoning.IsSummary, reasoning.Summaries.Count));
        Assert.Equal("not json", Assert.IsType<ToolCallPart>(turn[5]).Text.ToString());
        var image = Assert.IsType<MediaPart>(request.Messages[2].Parts[1]);
        Assert.Equal(("image/png", "AAAA", "low"), (image.MediaType.ToString(), image.Data.ToString(), image.Detail.ToString()));
        Assert.Equal(["call_1", "call_2", "call_3"], request.Messages[4].Parts.Cast<ToolResultPart>().Select(part => part.CallId.ToString()));
    }

    [Fact]
    public void Encode_ForChat_NamesWhatItCannotSay()
    {
        var (_, dropped) = ResponsesCodec.Encode(ResponsesCodec.Decode(Rich), dialect: ChatCodec.Dialect);

        Assert.Contains("truncation", dropped);
        Assert.Contains("unknown", dropped);
        Assert.Contains(dropped, name => name.Contains("web_search", StringComparison.Ordinal));
        Assert.Contains(dropped, name => name.Contains("compaction", StringComparison.Ordinal));
    }

    [Fact]
    public void Encode_FromChat_KeepsNothingAndAsksForReasoning()
    {
        var request = ChatCodec.Decode("""
            {"model":"x","messages":[{"role":"system","content":"s"},{"role":"user","content":[{"type":"text","text":"t"},{"type":"image_url","image_url":{"url":"data:image/jpeg;base64,BBBB"}}]},
              {"role":"assistant","content":"a","tool_calls":[{"id":"c1","type":"function","function":{"name":"f","arguments":""}}]},{"role":"tool","tool_call_id":"c1","content":"r"}],
             "tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}},{"type":"custom","custom":{"name":"p","format":{"type":"grammar","grammar":{"syntax":"lark","definition":"d"}}}}],
             "tool_choice":{"type":"function","function":{"name":"f"}},"response_format":{"type":"json_schema","json_schema":{"name":"o","schema":{"type":"object"}}},"reasoning_effort":"high","stop":"x","seed":1}
            """);

        var (body, dropped) = ResponsesCodec.Encode(request, "gpt-5");

        ResponsesCodec.Same("""
            {"model":"gpt-5","input":[{"type":"message","role":"system","content":[{"type":"input_text","text":"s"}]},
              {"type":"message","role":"user","content":[{"type":"input_text","text":"t"},{"type":"input_image","detail":"auto","image_url":"data:image/jpeg;base64,BBBB"}]},
              {"type":"message","role":"assistant","content":[{"type":"output_text","text":"a","annotations":[]}]},{"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
              {"type":"function_call_output","call_id":"c1","output":"r"}],
             "tools":[{"type":"function","name":"f","parameters":{"type":"object","properties":{}},"strict":false},{"type":"custom","name":"p","format":{"type":"grammar","syntax":"lark","definition":"d"}}],
             "tool_choice":{"type":"function","name":"f"},"text":{"format":{"type":"json_schema","name":"o","schema":{"type":"object"}}},"reasoning":{"effort":"high"},
             "include":["reasoning.encrypted_content"],"store":false}
            """, body);
        Assert.Equal(["seed", "stop"], dropped.Order());
    }

    [Fact]
    public void Encode_ModelThatDoesNotThink_IsNotAskedForReasoning()
    {
        var (body, _) = ResponsesCodec.Encode(ChatCodec.Decode("""{"model":"x","messages":[{"role":"user","content":"t"}]}"""), "gpt-4o-mini");

        Assert.False(JsonDocument.Parse(body).RootElement.TryGetProperty("include", out _));
    }

    [Fact]
    public void Decode_SignaturesOfOtherFamilies_ComeBackToThem()
    {
        var request = ResponsesCodec.Decode("""
            {"model":"m","input":[{"type":"reasoning","summary":[{"type":"summary_text","text":"t"}],"encrypted_content":"anthropic#sig"},{"type":"reasoning","summary":[],"encrypted_content":"anthropic*#red"},
             {"type":"function_call","call_id":"c/1","name":"f","arguments":"{}"},{"type":"reasoning","summary":[],"encrypted_content":"google@c/1#gsig"}]}
            """);

        var parts = Assert.Single(request.Messages).Parts;
        var thoughts = Assert.IsType<ReasoningPart>(parts[0]);
        Assert.Equal(("anthropic", "sig", false, "t"), (thoughts.Signature!.Family, thoughts.Signature.Data.ToString(), thoughts.IsSummary, thoughts.Text.ToString()));
        Assert.True(Assert.IsType<ReasoningPart>(parts[1]).IsRedacted);
        Assert.Equal(("google", "gsig"), (Assert.IsType<ToolCallPart>(parts[2]).Signature!.Family, ((ToolCallPart)parts[2]).Signature!.Data.ToString()));
        Assert.Equal(3, parts.Count);
    }

    [Theory]
    [InlineData("""{"model":"m","input":"a","previous_response_id":"resp_1"}""", "previous_response_id", "previous_response_not_found")]
    [InlineData("""{"model":"m","input":"a","conversation":"conv_1"}""", "conversation", "not_expressible")]
    [InlineData("""{"model":"m","input":"a","background":true}""", "background", "not_expressible")]
    [InlineData("""{"model":"m","input":[{"type":"item_reference","id":"msg_1"}]}""", "input[0].id", "item_not_found")]
    [InlineData("""{"model":"m","input":[{"role":"user"}]}""", "input[0].content", "invalid_type")]
    [InlineData("""{"model":"m","input":[{"type":"function_call","name":"f","arguments":"{}"}]}""", "input[0].call_id", "invalid_type")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"type":"input_image"}]}]}""", "input[0].content[0].image_url", "invalid_type")]
    [InlineData("""{"model":"m","input":"a","tools":[{"type":"function"}]}""", "tools[0].name", "invalid_type")]
    public void Decode_Wrong_NamesTheField(string body, string field, string code)
    {
        var error = ResponsesCodec.Refuse(body);

        Assert.Equal((400, field, code), (error.Status, error.Field, error.Code));
    }

    [Theory]
    [InlineData("""{"model":"m","input":"a"}""", null)]
    [InlineData("""{"model":"m","input":"a","previous_response_id":null,"background":false}""", null)]
    [InlineData("""{"model":"m","input":"a","previous_response_id":"r"}""", "previous_response_id")]
    [InlineData("""{"model":"m","input":"a","conversation":{"id":"c"}}""", "conversation")]
    [InlineData("""{"model":"m","input":"a","prompt":{"id":"p"}}""", "prompt")]
    [InlineData("""{"model":"m","input":"a","background":true}""", "background")]
    [InlineData("""{"model":"m","input":"a","tools":[{"type":"function","name":"f"},{"name":"p","type":"custom"}]}""", null)]
    [InlineData("""{"model":"m","input":"a","tools":[{"type":"web_search"}]}""", "tools")]
    [InlineData("""{"model":"m","input":[{"role":"user","content":[{"file_id":"f","type":"input_file"}]}]}""", "input[].content[].input_file")]
    [InlineData("""{"model":"m","input":[{"type":"function_call_output","call_id":"c","output":[{"type":"input_file","file_id":"f"}]}]}""", "input[].content[].input_file")]
    [InlineData("""{"model":"m","input":[{"type":"item_reference","id":"i"}]}""", "input[].type")]
    [InlineData("""{"model":"m","input":"a","pr\u006fmpt":{"id":"p"}}""", "prompt")]
    public void Scan_MembersWithoutBound_AreNamed(string body, string? member)
    {
        var (error, fields) = ResponsesCodec.Scan(body);

        Assert.Null(error);
        Assert.Equal(member, fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    [Fact]
    public void Scan_Counts()
    {
        var (error, fields) = ResponsesCodec.Scan("""{"input":[{"role":"user","content":[{"type":"input_image","image_url":"u"},{"type":"input_image","file_id":"f"},{"type":"input_audio","input_audio":{}}]}],"service_tier":"flex","max_output_tokens":7,"stream":true,"model":"m"}""");

        Assert.Null(error);
        Assert.Equal((2, 1, "flex", 7L, true), (fields.ImageParts, fields.AudioParts, fields.ServiceTier, fields.OutputLimit, fields.Stream));
    }

    [Theory]
    [InlineData("""{"model":"m","model":"n"}""", "model")]
    [InlineData("""{"model":"m","max_output_tokens":1,"max_output_tokens":2}""", "max_output_tokens")]
    [InlineData("""{"model":"m","max_output_tokens":0}""", "max_output_tokens")]
    [InlineData("""{"model":"m","stream":1}""", "stream")]
    [InlineData("""{"model":"m","input":5}""", "input")]
    [InlineData("""{"model":"m","input":["a"]}""", "input")]
    [InlineData("""{"input":"a"}""", "model")]
    public void Scan_Wrong_NamesTheField(string body, string field) => Assert.Equal(field, ResponsesCodec.Scan(body).Error!.Field);
}
