using System.Text;
using System.Text.Json;
using CsCheck;
using McpHub.Catalog.Rules;
using Shared.Snapshots;

namespace McpHub.Tests.Catalog.Rules;

/// <summary>What people are shown, and what is left of results.</summary>
public sealed class TextTests
{
    [Theory]
    [InlineData("plain text, é 漢 😀", "plain text, é 漢 😀")]
    [InlineData("a\u200bb\u202ec", "a\\u{200B}b\\u{202E}c")]
    [InlineData("\U000E0041\ufe0f\u3164\u00a0", "\\u{E0041}\\u{FE0F}\\u{3164}\\u{00A0}")]
    [InlineData("\"\\\n\r\t\u001b", "\\\"\\\\\\n\\r\\t\\u{001B}")]
    [InlineData("0123456789abcdefghijk", "0123456789abcdefghij… [1 more characters]")]
    public void Visible_WhatCannotBeSeen_IsSpelledOut(string text, string expected) => Assert.Equal(expected, VisibleText.Of(text, 20));

    [Theory]
    [InlineData("", "(no arguments)")]
    [InlineData("{}", "(no arguments)")]
    [InlineData("""{"path":"/a\u202eb","n":1.50,"deep":{"x":[true,null,"y"]}}""", "path: \"/a\\u{202E}b\"\nn: 1.50\ndeep: {x: [true, null, \"y\"]}")]
    [InlineData("""{"\u200b":"\ud800"}""", "\\u{200B}: \"\\\\ud800\"")]
    public void Arguments_AreShownLineByLine(string arguments, string expected) => Assert.Equal(expected, ShownArguments.Of(Encoding.UTF8.GetBytes(arguments)));

    [Fact]
    public void Arguments_TooMany_AreCutWithAWord()
    {
        var many = $"{{{string.Join(',', Enumerable.Range(0, 100).Select(i => $"\"a{i}\":{i}"))}}}";
        var large = $$"""{"a":[{{string.Join(',', Enumerable.Repeat("\"0123456789\"", 1000))}}],"b":1}""";

        Assert.EndsWith("a39: 39\n… [60 more arguments are not shown]", ShownArguments.Of(Encoding.UTF8.GetBytes(many)), StringComparison.Ordinal);
        var shown = ShownArguments.Of(Encoding.UTF8.GetBytes(large));
        Assert.InRange(shown.Length, 3000, 3200);
        Assert.EndsWith("[the rest is not shown: the arguments have 13013 bytes]", shown, StringComparison.Ordinal);
    }

    [Fact]
    public void Cut_Texts_AreShortenedWithANoticeAndTheRestStays()
    {
        var result = Encoding.UTF8.GetBytes($$$"""{"x-first":1.50,"content":[{"type":"text","text":"short"},{"type":"text","text":"{{{new string('é', 3000)}}}"},{"type":"image","data":"AAAA"}],"structuredContent":{"a":1},"_meta":{"k":1}}""");

        var cut = Encoding.UTF8.GetString(ResultSize.Cut(result, new ResultLimit(1024, ResultExcess.Cut))!.Value.Span);

        Assert.InRange(Encoding.UTF8.GetByteCount(cut), 700, 1024);
        using var read = JsonDocument.Parse(cut);
        var content = read.RootElement.GetProperty("content").EnumerateArray().ToList();
        Assert.Equal("short", content[0].GetProperty("text").GetString());
        Assert.Matches("^é+$", content[1].GetProperty("text").GetString());
        Assert.Equal($"[The gateway shortened this result: it has {result.Length} bytes, and 1024 are the limit here. The text above ends early. Items left out: 1.]", content[2].GetProperty("text").GetString());
        Assert.EndsWith(",\"x-first\":1.50,\"_meta\":{\"k\":1}}", cut, StringComparison.Ordinal);
        Assert.False(read.RootElement.TryGetProperty("structuredContent", out _));
        Assert.False(read.RootElement.TryGetProperty("isError", out _));
    }

    [Fact]
    public void Cut_AnyText_FitsAndIsValid() => Gen.String[Gen.Char["a\"\\\n\u0001é\u200b😀"[..7]], 0, 4000].Sample(text =>
    {
        var result = JsonSerializer.SerializeToUtf8Bytes(new { content = new[] { new { type = "text", text }, new { type = "text", text = new string('x', 2000) } } });

        if (ResultSize.Cut(result, new ResultLimit(1500, ResultExcess.Cut)) is not { } cut)
        {
            Assert.Fail("It could not be cut.");
            return;
        }
        Assert.InRange(cut.Length, 1, 1500);
        using var read = JsonDocument.Parse(cut);
        Assert.All(read.RootElement.GetProperty("content").EnumerateArray(), item => Assert.Equal("text", item.GetProperty("type").GetString()));
    }, iter: 500);

    [Theory]
    [InlineData("""{"content":[],"_meta":{"k":"LONG"}}""")]
    [InlineData("""{"x":"LONG"}""")]
    [InlineData("""{"content":[{"type":"text","text":"\ud800LONG"}]}""")]
    public void Cut_WhatCannotBe_IsRefused(string result) =>
        Assert.Null(ResultSize.Cut(Encoding.UTF8.GetBytes(result.Replace("LONG", new string('x', 3000), StringComparison.Ordinal)), new ResultLimit(1024, ResultExcess.Cut)));
}
