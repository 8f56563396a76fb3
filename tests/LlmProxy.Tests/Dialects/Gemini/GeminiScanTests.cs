using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Relay;
using Shared.Http;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiScanTests
{
    [Theory]
    [InlineData("""{"contents":[],"generationConfig":{"maxOutputTokens":100,"candidateCount":2}}""")]
    [InlineData("""{"contents":[],"generation_config":{"max_output_tokens":"100","candidate_count":"2"}}""")]
    [InlineData("""{"contents":[],"generation\u0043onfig":{"max_outputTokens":1e2,"candidateCount":2.0}}""")]
    public void Scan_LimitsInAnySpelling_AreFound(string body)
    {
        var fields = Scan(body);

        Assert.Equal(100, fields.OutputLimit);
        Assert.Equal(2, fields.Choices);
        Assert.Null(fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    [Theory]
    [InlineData("""{"generationConfig":{},"generation_config":{}}""", "generationConfig")]
    [InlineData("""{"generationConfig":{"maxOutputTokens":1,"max_output_tokens":2}}""", "generationConfig.maxOutputTokens")]
    [InlineData("""{"generationConfig":{"candidateCount":1,"candidate\u0043ount":2}}""", "generationConfig.candidateCount")]
    [InlineData("""{"cachedContent":"a","cached_content":"b"}""", "cachedContent")]
    [InlineData("""{"contents":[],"contents":[]}""", "contents")]
    [InlineData("""{"systemInstruction":{"parts":[]},"system_instruction":{"parts":[]}}""", "systemInstruction")]
    public void Scan_SameMemberTwice_IsRefused(string body, string field)
    {
        var error = TryScan(body, out _);

        Assert.Equal(("duplicate_member", field), (error?.Code, error?.Field));
    }

    [Theory]
    [InlineData("""{"generationConfig":{"maxOutputTokens":0}}""", "generationConfig.maxOutputTokens")]
    [InlineData("""{"generationConfig":{"maxOutputTokens":1.5}}""", "generationConfig.maxOutputTokens")]
    [InlineData("""{"generationConfig":{"maxOutputTokens":"many"}}""", "generationConfig.maxOutputTokens")]
    [InlineData("""{"generationConfig":{"candidateCount":0}}""", "generationConfig.candidateCount")]
    [InlineData("""{"generationConfig":[]}""", "generationConfig")]
    [InlineData("""{"contents":{}}""", "contents")]
    [InlineData("""{"tools":{}}""", "tools")]
    [InlineData("""{"serviceTier":1}""", "serviceTier")]
    public void Scan_WrongValue_NamesTheField(string body, string field)
    {
        var error = TryScan(body, out _);

        Assert.Equal(("invalid_type", field), (error?.Code, error?.Field));
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{} {}")]
    [InlineData("""{"contents":[""")]
    public void Scan_NoJsonObject_IsRefused(string body) => Assert.Equal("invalid_json", TryScan(body, out _)?.Code);

    [Theory]
    [InlineData("""{"tools":[{"functionDeclarations":[{"name":"f"}]}]}""", null)]
    [InlineData("""{"tools":[{"function_declarations":[{"name":"f"}]}]}""", null)]
    [InlineData("""{"tools":[{"functionDeclarations":[],"google_search":{}}]}""", "tools[].googleSearch")]
    [InlineData("""{"tools":[{"codeExecution":{}}]}""", "tools[].codeExecution")]
    [InlineData("""{"tools":[{"urlContext":null}]}""", null)]
    [InlineData("""{"cachedContent":"cachedContents/1"}""", "cachedContent")]
    [InlineData("""{"cachedContent":null}""", null)]
    [InlineData("""{"generationConfig":{"routingConfig":{}}}""", "generationConfig.routingConfig")]
    [InlineData("""{"contents":[{"parts":[{"inlineData":{"mimeType":"application/pdf","data":""}}]}]}""", "contents[].parts[].inlineData")]
    [InlineData("""{"contents":[{"parts":[{"file_data":{"mimeType":"video/mp4","fileUri":"gs://x"}}]}]}""", "contents[].parts[].fileData")]
    [InlineData("""{"contents":[{"parts":{"fileData":{"fileUri":"https://youtu.be/x"}}}]}""", "contents[].parts[].fileData")]
    [InlineData("""{"contents":[{"parts":[{"functionResponse":{"name":"f","parts":[{"inlineData":{"mimeType":"video/mp4"}}]}}]}]}""", "contents[].parts[].functionResponse.parts[].inlineData")]
    [InlineData("""{"contents":[{"parts":[{"inlineData":{"mimeType":"image/png","mime_type":"application/pdf","data":""}}]}]}""", "contents[].parts[].inlineData")]
    [InlineData("""{"contents":[{"parts":[{"inlineData":{"mimeType":"text/plain","data":""}}]}]}""", null)]
    public void Scan_WhatTheSizeDoesNotBound_IsNamed(string body, string? member) => Assert.Equal(member, Scan(body) is var fields ? fields.UnboundedMember ?? fields.UnboundedUntranslated : null);

    [Fact]
    public void Scan_ImagesAndSounds_AreCountedWhereverTheyStand()
    {
        var fields = Scan("""
            {"systemInstruction":{"parts":[{"inlineData":{"mimeType":"image/png","data":""}}]},
             "contents":[{"parts":[{"inline_data":{"mime_type":"IMAGE/JPEG","data":""}},{"fileData":{"mimeType":"image/webp","fileUri":"https://x/y"}},{"inlineData":{"mimeType":"audio/wav","data":""}}]},
                         {"parts":[{"functionResponse":{"name":"f","parts":[{"inlineData":{"mimeType":"image/png","data":""}}]}}]}]}
            """);

        Assert.Equal((4, 1), (fields.ImageParts, fields.AudioParts));
        Assert.Null(fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    [Theory]
    [InlineData("""["TEXT"]""", false)]
    [InlineData("""["TEXT","IMAGE"]""", true)]
    [InlineData("""["AUDIO"]""", true)]
    public void Scan_OutputOtherThanText_IsNoted(string modalities, bool expected) =>
        Assert.Equal(expected, Scan($$$"""{"generationConfig":{"responseModalities":{{{modalities}}}}}""").AudioOutput);

    [Theory]
    [InlineData("\"standard\"", null)]
    [InlineData("\"unspecified\"", null)]
    [InlineData("\"flex\"", "flex")]
    [InlineData("\"PRIORITY\"", "priority")]
    public void Scan_ServiceTier_IsInTheGatewaysWords(string tier, string? expected) => Assert.Equal(expected, Scan($$"""{"serviceTier":{{tier}}}""").ServiceTier);

    [Theory]
    [InlineData("{}", """{"generationConfig":{"maxOutputTokens":7}}""")]
    [InlineData(""" { "contents" : [] } """, """{"generationConfig":{"maxOutputTokens":7},"contents":[]}""")]
    [InlineData("""{"contents":[],"generationConfig":{}}""", """{"contents":[],"generationConfig":{"maxOutputTokens":7}}""")]
    [InlineData("""{"contents":[],"generationConfig":null}""", """{"contents":[],"generationConfig":{"maxOutputTokens":7}}""")]
    [InlineData("""{"contents":[],"generationConfig":{"topK":1}}""", """{"contents":[],"generationConfig":{"maxOutputTokens":7,"topK":1}}""")]
    [InlineData("""{"contents":[],"generation_config":{"max_output_tokens":"9"}}""", """{"contents":[],"generation_config":{"max_output_tokens":7}}""")]
    [InlineData("""{"contents":[],"generationConfig":{"maxOutputTokens":null}}""", """{"contents":[],"generationConfig":{"maxOutputTokens":7}}""")]
    [InlineData("""{"contents":[],"generationConfig":{"maxOutputTokens":5}}""", """{"contents":[],"generationConfig":{"maxOutputTokens":5}}""")]
    [InlineData("""{"model":"models/alias","contents":[],"generationConfig":{"maxOutputTokens":5}}""", """{"model":"models/real","contents":[],"generationConfig":{"maxOutputTokens":5}}""")]
    public void Edit_Limit_StandsWhereGoogleReadsIt(string body, string expected)
    {
        var bytes = Encoding.UTF8.GetBytes(body);
        var fields = Scan(body);
        var edits = new EditList();

        GeminiDialect.Instance.Edit(bytes, fields, new BodyEdit { Model = fields.Model.Exists ? "\"real\""u8.ToArray() : null, OutputLimit = 7 }, edits);

        Assert.Equal(JsonNode.Parse(expected)!.ToJsonString(), JsonNode.Parse(edits.Apply(bytes))!.ToJsonString());
    }

    private static RoutedFields Scan(string body)
    {
        Assert.Null(TryScan(body, out var fields));
        return fields;
    }

    private static GatewayError? TryScan(string body, out RoutedFields fields)
    {
        fields = new RoutedFields { Choices = 1 };
        return GeminiDialect.Instance.Scan(Encoding.UTF8.GetBytes(body), ref fields);
    }
}
