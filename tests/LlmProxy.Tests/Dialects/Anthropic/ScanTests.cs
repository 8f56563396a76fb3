using System.Text;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Anthropic;

public sealed class ScanTests
{
    private const string Hello = "\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}]";

    [Fact]
    public void Scan_PlainRequest_FindsWhatRoutesAndBills()
    {
        const string body = """{"max_tokens":64,"model":"claude-opus-5","stream":true,"service_tier":"standard_only","messages":[{"role":"user","content":"Hello"}],"unknown":{"a":[1]}}""";

        var fields = Wire.Scan(body);

        Assert.Equal("\"claude-opus-5\"", body.Substring(fields.Model.Offset, fields.Model.Length));
        Assert.True(fields.Stream);
        Assert.Equal(64, fields.OutputLimit);
        Assert.Equal("standard", fields.ServiceTier);
        Assert.Null(fields.UnboundedMember ?? fields.UnboundedUntranslated);
        Assert.Equal(0, fields.SpareBytes);
    }

    [Theory]
    [InlineData("""{"model":"a","messages":[]}""", "max_tokens")]
    [InlineData("""{"max_tokens":1,"messages":[]}""", "model")]
    [InlineData("""{"max_tokens":1,"model":"a"}""", "messages")]
    [InlineData("""{"max_tokens":-1,"model":"a","messages":[]}""", "max_tokens")]
    [InlineData("""{"max_tokens":"1","model":"a","messages":[]}""", "max_tokens")]
    [InlineData("""{"max_tokens":1,"model":7,"messages":[]}""", "model")]
    [InlineData("""{"max_tokens":1,"model":"a","messages":{}}""", "messages")]
    [InlineData("""{"max_tokens":1,"model":"a","messages":[{"role":"user","content":7}]}""", "messages")]
    [InlineData("""{"max_tokens":1,"model":"a","messages":[],"stream":"yes"}""", "stream")]
    [InlineData("""{"max_tokens":1,"model":"a","messages":[],"tools":{}}""", "tools")]
    [InlineData("""{"max_tokens":1,"model":"a","model":"b","messages":[]}""", "model")]
    [InlineData("""{"max_tokens":1,"max_\u0074okens":9,"model":"a","messages":[]}""", "max_tokens")]
    [InlineData("""{"max_tokens":1,"model":"a","messages":[],"messages":[]}""", "messages")]
    public void Scan_MemberMissingWrongOrTwice_IsRefusedByItsName(string body, string field)
    {
        var error = Wire.Refusal(body);

        Assert.Equal(400, error.Status);
        Assert.Equal(field, error.Field);
        Assert.Contains(field, error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("")]
    [InlineData("{")]
    [InlineData("""{"model":"a"}x""")]
    public void Scan_NoObject_IsRefused(string body) => Assert.Equal("invalid_json", Wire.Refusal(body).Code);

    [Fact]
    public void Scan_NoOutputWanted_IsTakenForWarmingTheCache()
    {
        var fields = Wire.Scan("""{"max_tokens":0,"model":"a","messages":[]}""");

        Assert.Equal(0, fields.OutputLimit);
    }

    [Fact]
    public void Scan_Images_CountsThemWhereverTheyStand()
    {
        var fields = Wire.Scan("""
            {"model":"a","max_tokens":1,"system":[{"type":"text","text":"s"}],"messages":[
              {"role":"user","content":[{"source":{"type":"url","url":"https://example.com/a.png"},"type":"image"},{"type":"text","text":"x"}]},
              {"role":"assistant","content":[{"type":"tool_use","id":"t","name":"n","input":{"type":"image"}}]},
              {"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"AA=="}}]},
                {"type":"document","source":{"type":"content","content":[{"type":"image","source":{"type":"file","file_id":"f"}}]}}]}]}
            """);

        Assert.Equal(3, fields.ImageParts);
        Assert.Null(fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    [Theory]
    [InlineData("""{"type":"document","source":{"type":"base64","media_type":"application/pdf","data":"JVBERi0="}}""", "messages[].content[].document")]
    [InlineData("""{"source":{"type":"url","url":"https://example.com/a.pdf"},"type":"document"}""", "messages[].content[].document")]
    [InlineData("""{"type":"tool_result","tool_use_id":"t","content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}""", "messages[].content[].document")]
    [InlineData("""{"type":"container_upload","file_id":"f"}""", "messages[].content[].type")]
    [InlineData("""{"type":"of_the_future"}""", "messages[].content[].type")]
    [InlineData("""{"text":"no type"}""", "messages[].content[].type")]
    public void Scan_PartThatNoBytesBound_IsNamed(string block, string member)
    {
        var fields = Wire.Scan($$"""{"model":"a","max_tokens":1,"messages":[{"role":"user","content":[{{block}}]}]}""");

        Assert.Equal(member, fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    [Theory]
    [InlineData("\"mcp_servers\":[{\"type\":\"url\",\"url\":\"https://example.com\",\"name\":\"m\"}]", "mcp_servers")]
    [InlineData("\"container\":\"c\"", "container")]
    [InlineData("\"fallbacks\":[{\"model\":\"b\"}]", "fallbacks")]
    [InlineData("\"inference_geo\":\"us\"", "inference_geo")]
    [InlineData("\"tools\":[{\"type\":\"web_search_20260318\",\"name\":\"web_search\"}]", "tools")]
    [InlineData("\"tools\":[{\"name\":\"f\",\"input_schema\":{}},{\"type\":\"bash_code_execution_20250825\",\"name\":\"b\"}]", "tools")]
    [InlineData("\"tools\":[{\"type\":\"computer_toolset_20260801\"}]", "tools")]
    [InlineData("\"tools\":[{\"type\":\"mcp_toolset\",\"mcp_server_name\":\"m\"}]", "tools")]
    public void Scan_WhatTheProviderRuns_IsBoundless(string member, string name) => Assert.Equal(name, Wire.Scan($$"""{"model":"a","max_tokens":1,{{Hello}},{{member}}}""") is var fields ? fields.UnboundedMember ?? fields.UnboundedUntranslated : null);

    [Theory]
    [InlineData("\"tools\":[{\"name\":\"f\",\"input_schema\":{}},{\"type\":\"custom\",\"name\":\"g\",\"input_schema\":{}}]", 1)]
    [InlineData("\"tools\":[{\"type\":\"bash_20250124\",\"name\":\"bash\"},{\"type\":\"text_editor_20250728\",\"name\":\"e\"}]", 3)]
    [InlineData("\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{}}}", 1)]
    [InlineData("\"tools\":[],\"mcp_servers\":null,\"container\":null,\"inference_geo\":\"global\"", 0)]
    public void Scan_WhatTheClientRuns_IsBoundedWithTheTokensThatTheProviderAdds(string member, int times)
    {
        var fields = Wire.Scan($$"""{"model":"a","max_tokens":1,{{Hello}},{{member}}}""");

        Assert.Null(fields.UnboundedMember ?? fields.UnboundedUntranslated);
        Assert.Equal(-times * AnthropicScanner.HiddenTokens, fields.SpareBytes);
    }

    [Fact]
    public void Scan_FastMode_IsATierOfItsOwn()
    {
        Assert.Equal("fast", Wire.Scan($$"""{"model":"a","max_tokens":1,"service_tier":"auto","speed":"fast",{{Hello}}}""").ServiceTier);
        Assert.Equal("fast", Wire.Scan($$"""{"model":"a","max_tokens":1,"speed":"fast","service_tier":"auto",{{Hello}}}""").ServiceTier);
        Assert.Equal("auto", Wire.Scan($$"""{"model":"a","max_tokens":1,"speed":"standard","service_tier":"auto",{{Hello}}}""").ServiceTier);
    }

    [Fact]
    public void Bound_AllInputWrittenToACacheForAnHour_IsNoLessThanTheBill()
    {
        var body = $$"""{"model":"a","max_tokens":50,"cache_control":{"type":"ephemeral","ttl":"1h"},{{Hello}}}""";
        var fields = Wire.Scan(body);
        var price = new ModelPrice
        {
            Provider = "anthropic",
            Model = "a",
            Version = "test:1",
            Rates = new TokenRates { Input = 3_000_000_000, Output = 15_000_000_000, CacheRead = 300_000_000, CacheWrite = 3_750_000_000, CacheWrite1h = 6_000_000_000 },
        };
        var most = price.UpperBound(Encoding.UTF8.GetByteCount(body) - fields.SpareBytes, fields.OutputLimit!.Value);

        Assert.True(price.CostOf(new TokenUsage { CacheWrite1h = body.Length, Output = 20, Reasoning = 30 }) <= most);
    }

    [Theory]
    [InlineData("""{"model":"old","max_tokens":100,"messages":[]}""", """{"model":"new","max_tokens":50,"messages":[]}""")]
    [InlineData("""{ "max_tokens" : 40 , "messages":[], "model" :"old" }""", """{ "max_tokens" : 40 , "messages":[], "model" :"new" }""")]
    public void Edit_ModelAndLimit_AreSplicedAndTheRestStays(string body, string expected) => Assert.Equal(expected, Edit(body, AnthropicDialect.Instance, 50));

    [Theory]
    [InlineData("""{"model":"old","max_tokens":100,"stream":true,"messages":[]}""", """{"anthropic_version":"vertex-2023-10-16","max_tokens":100,"stream":true,"messages":[]}""")]
    [InlineData("""{"max_tokens":100, "messages":[], "model":"old"}""", """{"anthropic_version":"vertex-2023-10-16","max_tokens":100, "messages":[]}""")]
    [InlineData("""{"anthropic_version":"vertex-2099-01-01","messages":[],"max_tokens":7}""", """{"anthropic_version":"vertex-2099-01-01","messages":[],"max_tokens":7}""")]
    public void Edit_ForVertex_TheModelLeavesTheBody(string body, string expected) => Assert.Equal(expected, Edit(body, AnthropicDialect.Vertex, null));

    [Theory]
    [InlineData("""{"model":"old","stream":true,"max_tokens":100,"messages":[]}""", """{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[]}""")]
    [InlineData("""{"max_tokens":100,"model":"old","messages":[],"stream":false}""", """{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[]}""")]
    [InlineData("""{"max_tokens":100,"messages":[],"model":"old","stream":false}""", """{"anthropic_version":"bedrock-2023-05-31","max_tokens":100,"messages":[]}""")]
    public void Edit_ForBedrock_ModelAndStreamLeaveTheBody(string body, string expected) => Assert.Equal(expected, Edit(body, AnthropicDialect.BedrockInvoke, null));

    private static string Edit(string body, AnthropicDialect dialect, long? limit)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        var fields = new RoutedFields { Choices = 1 };
        Assert.Null(dialect.Scan(bytes, ref fields));
        var edits = new EditList();
        dialect.Edit(bytes, fields, new LlmProxy.Dialects.BodyEdit { Model = "\"new\""u8.ToArray(), OutputLimit = limit }, edits);
        var text = new StringBuilder();
        var at = 0;
        foreach (var edit in edits.Edits)
        {
            text.Append(Encoding.UTF8.GetString(bytes.AsSpan(at, edit.Offset - at))).Append(Encoding.UTF8.GetString(edit.Replacement.Span));
            at = edit.Offset + edit.Length;
        }
        return text.Append(Encoding.UTF8.GetString(bytes.AsSpan(at))).ToString();
    }
}
