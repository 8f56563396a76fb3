using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects.Gemini;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiSchemaTests
{
    [Fact]
    public void ToGoogle_NothingForeign_IsTheVeryBytes()
    {
        ReadOnlyMemory<byte> schema = """{"type":"object","properties":{"a":{"type":"string","format":"date"}},"additionalProperties":false}"""u8.ToArray();

        Assert.True(GeminiSchema.ToGoogle(schema).Span == schema.Span);
    }

    [Theory]
    [InlineData(
        """{"$schema":"x","type":"object","properties":{"a":{"$ref":"#/$defs/A","description":"mine"},"b":{"$ref":"#/definitions/B~1c"}},"$defs":{"A":{"type":"string","description":"theirs"}},"definitions":{"B/c":{"const":5}}}""",
        """{"type":"object","properties":{"a":{"type":"string","description":"mine"},"b":{"enum":[5]}}}""")]
    [InlineData(
        """{"allOf":[{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]},{"properties":{"b":{"type":"integer","exclusiveMinimum":0}},"required":["b","a"]}],"description":"d"}""",
        """{"type":"object","properties":{"a":{"type":"string"},"b":{"type":"integer","minimum":1}},"required":["a","b"],"description":"d"}""")]
    [InlineData(
        """{"type":"object","properties":{"tree":{"$ref":"#/$defs/Node"}},"$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"leaf":{"$ref":"#/$defs/Leaf"}}},"Leaf":{"type":"string"}}}""",
        """{"type":"object","properties":{"tree":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"leaf":{"type":"string"}}}},"$defs":{"Node":{"type":"object","properties":{"next":{"$ref":"#/$defs/Node"},"leaf":{"type":"string"}}}}}""")]
    [InlineData(
        """{"anyOf":[{"$ref":"#/nowhere"},{"$ref":"https://x/y"}]}""",
        """{"anyOf":[{"$ref":"#/nowhere"},{"$ref":"https://x/y"}]}""")]
    public void ToGoogle_ForeignWords_AreReplaced(string schema, string expected) =>
        GeminiTestKit.AssertSame(expected, JsonNode.Parse(GeminiSchema.ToGoogle(Encoding.UTF8.GetBytes(schema)).Span)!);

    [Fact]
    public void ToGoogle_ReferencesThatMultiply_AreBounded()
    {
        var definitions = new JsonObject { ["L40"] = new JsonObject { ["type"] = "string" } };
        for (var level = 0; level < 40; level++)
        {
            var next = $"#/$defs/L{level + 1}";
            definitions[$"L{level}"] = new JsonObject { ["properties"] = new JsonObject { ["a"] = new JsonObject { ["$ref"] = next }, ["b"] = new JsonObject { ["$ref"] = next } } };
        }
        var schema = Encoding.UTF8.GetBytes(new JsonObject { ["$ref"] = "#/$defs/L0", ["$defs"] = definitions }.ToJsonString());

        var converted = GeminiSchema.ToGoogle(schema);

        Assert.InRange(converted.Length, 1, 200_000);
        Assert.NotNull(JsonNode.Parse(converted.Span, documentOptions: new System.Text.Json.JsonDocumentOptions { MaxDepth = 512 }));
    }

    [Theory]
    [InlineData("""{"type":"STRING","nullable":true,"enum":["a"],"format":"enum"}""", """{"type":["string","null"],"enum":["a",null]}""")]
    [InlineData("""{"any_of":[{"type":"INTEGER"}],"nullable":true}""", """{"anyOf":[{"type":"integer"},{"type":"null"}]}""")]
    [InlineData("""{"type":"OBJECT","properties":{"any_of":{"type":"BOOLEAN","example":true}},"propertyOrdering":["any_of"],"maxProperties":"3"}""",
        """{"type":"object","properties":{"any_of":{"type":"boolean","examples":[true]}},"propertyOrdering":["any_of"],"maxProperties":3}""")]
    public void ToJsonSchema_GooglesSchema_IsOne(string native, string expected) =>
        GeminiTestKit.AssertSame(expected, JsonNode.Parse(GeminiSchema.ToJsonSchema(Encoding.UTF8.GetBytes(native)).Span)!);
}
