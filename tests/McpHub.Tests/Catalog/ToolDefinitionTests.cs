using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using McpHub.Catalog;

namespace McpHub.Tests.Catalog;

public sealed class ToolDefinitionTests
{
    [Theory]
    [InlineData("""[1]""", "not an object")]
    [InlineData("""null""", "not an object")]
    [InlineData("""{"inputSchema":{"type":"object"}}""", "no 'name'")]
    [InlineData("""{"name":"","inputSchema":{"type":"object"}}""", "no 'name'")]
    [InlineData("""{"name":7,"inputSchema":{"type":"object"}}""", "'name' is not a string")]
    [InlineData("""{"name":"a","n\u0061me":"b","inputSchema":{"type":"object"}}""", "stands twice")]
    [InlineData("""{"name":"\ud800","inputSchema":{"type":"object"}}""", "text that is none")]
    [InlineData("""{"name":"a"}""", "no 'inputSchema'")]
    [InlineData("""{"name":"a","inputSchema":true}""", "'inputSchema' is not an object")]
    [InlineData("""{"name":"a","inputSchema":{"type":"string"}}""", "no \"type\": \"object\"")]
    [InlineData("""{"name":"a","inputSchema":{"anyOf":[{"type":"object"}]}}""", "no \"type\": \"object\"")]
    [InlineData("""{"name":"a","inputSchema":{"type":"object"},"description":1}""", "'description' is not a string")]
    [InlineData("""{"name":"a","inputSchema":{"type":"object"},"annotations":[]}""", "'annotations' is not an object")]
    [InlineData("""{"name":"a","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":"yes"}}""", "'readOnlyHint' is neither true nor false")]
    [InlineData("""{"name":"a","inputSchema":{"type":"object"},"outputSchema":[]}""", "'outputSchema' is not an object")]
    public void Read_UnusableDefinition_SaysWhy(string json, string reason) =>
        Assert.Contains(reason, ToolDefinition.Read(Encoding.UTF8.GetBytes(json), out _)!, StringComparison.Ordinal);

    [Fact]
    public void Read_TooLargeTooDeepOrNotUtf8_SaysWhy()
    {
        Assert.Contains("are the limit", ReadWith($"\"{new string('x', 300_000)}\""), StringComparison.Ordinal);
        Assert.Contains("deeper than", ReadWith(new string('[', 200) + new string(']', 200)), StringComparison.Ordinal);
        var broken = Encoding.UTF8.GetBytes("""{"name":"a","inputSchema":{"type":"object"},"x":"?"}""");
        broken[^3] = 0xFF;
        Assert.Contains("UTF-8", ToolDefinition.Read(broken, out _)!, StringComparison.Ordinal);

        static string ReadWith(string value) => ToolDefinition.Read(Encoding.UTF8.GetBytes($$"""{"name":"a","inputSchema":{"type":"object"},"x":{{value}}}"""), out _)!;
    }

    [Fact]
    public void Write_NameOnly_LeavesEveryOtherByte()
    {
        const string json = """{ "x-vendor" : {"z":1.50,"a":[ ]}, "name" : "caf\u00e9" ,"description":"é \/ \ud83d\ude00","inputSchema":{"type":"object","x":1.0e2},"annotations":{"title":"T","x-risk":"low"}}""";

        Assert.Equal(json.Replace("\"caf\\u00e9\"", "\"p__cafe\"", StringComparison.Ordinal), Write(json, "p__cafe"));
    }

    [Fact]
    public void Write_DescriptionAndAnnotations_AreReplacedOrAdded()
    {
        var overrides = ImmutableDictionary<string, bool>.Empty.Add("readOnlyHint", true);

        Assert.Equal("""{"description":"new \"text\"","name":"n","annotations":{"title":"T","readOnlyHint":true},"inputSchema":{"type":"object"}}""",
            Write("""{"description":"old","name":"a","annotations":{"readOnlyHint":false,"title":"T"},"inputSchema":{"type":"object"}}""", "n", "new \"text\"", overrides));
        Assert.Equal("""{"name":"n","description":"d","annotations":{"readOnlyHint":true},"inputSchema":{"type":"object"}}""",
            Write("""{"name":"a","inputSchema":{"type":"object"}}""", "n", "d", overrides));
    }

    [Fact]
    public void Write_DeepAnnotations_AreKept()
    {
        var deep = new string('[', 90) + new string(']', 90);

        Assert.Contains(deep, Write($$$"""{"name":"a","inputSchema":{"type":"object"},"annotations":{"x":{{{deep}}}}}""", "n", null, ImmutableDictionary<string, bool>.Empty.Add("readOnlyHint", true)), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"outputSchema":{"type":"array"},"name":"a","inputSchema":{"type":"object"}}""")]
    [InlineData("""{"name":"a", "outputSchema":{"type":"array"},"inputSchema":{"type":"object"}}""")]
    [InlineData("""{"name":"a","inputSchema":{"type":"object"},"outputSchema":{"$ref":"#/x"}}""")]
    public void Write_OutputSchemaThatIsNotOfObjects_IsLeftOut(string json) =>
        Assert.Equal("""{"name":"n","inputSchema":{"type":"object"}}""", Write(json, "n"));

    [Fact]
    public void Write_SeveralLines_BecomeOne()
    {
        var line = Write("{\n  \"name\": \"a\",\r\n  \"description\": \"two\\nlines  kept\",\n\t\"inputSchema\": {\"type\": \"object\"}\n}", "n");

        Assert.Equal("""{"name":"n","description":"two\nlines  kept","inputSchema":{"type":"object"}}""", line);
    }

    private static string Write(string json, string name, string? description = null, ImmutableDictionary<string, bool>? overrides = null)
    {
        Assert.Null(ToolDefinition.Read(Encoding.UTF8.GetBytes(json), out var definition));
        var written = definition.Write(name, description, overrides ?? ImmutableDictionary<string, bool>.Empty);
        using var parsed = JsonDocument.Parse(written, new JsonDocumentOptions { MaxDepth = 200 });
        return Encoding.UTF8.GetString(written);
    }
}
