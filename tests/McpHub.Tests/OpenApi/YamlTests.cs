using System.Text;
using System.Text.Json.Nodes;
using McpHub.OpenApi;

namespace McpHub.Tests.OpenApi;

public sealed class YamlTests
{
    [Fact]
    public void Yaml_IsTheJsonThatItStandsFor()
    {
        const string Text = """
            openapi: 3.1.0
            paths:
              /a:
                get: &get
                  responses: {200: {description: 'yes'}, default: {description: "200"}}
                  n: [1, -2.50, 1e3, 0x1F, +7, 01, .5, 1_000, true, False, ~, null, yes, 2020-01-01, !!str 5]
                post:
                  <<: *get
                  n: |
                    two
                    lines
            """;

        var root = DocumentText.Parse(Encoding.UTF8.GetBytes(Text));

        var expected = """
            {"openapi":"3.1.0","paths":{"/a":{"get":{"responses":{"200":{"description":"yes"},"default":{"description":"200"}},
            "n":[1,-2.50,1e3,31,7,1,0.5,"1_000",true,false,null,null,"yes","2020-01-01","5"]},
            "post":{"n":"two\nlines","responses":{"200":{"description":"yes"},"default":{"description":"200"}}}}}}
            """;
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), root), root.ToJsonString());
    }

    [Fact]
    public void Bomb_IsRefused()
    {
        var text = new StringBuilder("openapi: 3.1.0\na: &a [x,x,x,x,x,x,x,x,x,x]\n");
        for (var c = 'b'; c <= 'k'; c++)
        {
            text.Append($"{c}: &{c} [{string.Join(',', Enumerable.Repeat($"*{(char)(c - 1)}", 10))}]\n");
        }

        Assert.Contains("more than 2000000 values", Refusal(text.ToString()), StringComparison.Ordinal);
    }

    [Fact]
    public void NestedBomb_IsRefused()
    {
        var text = new StringBuilder("openapi: 3.1.0\na0: &a0 {x: 1}\n");
        for (var i = 1; i < 200; i++)
        {
            text.Append($"a{i}: &a{i} {{x: *a{i - 1}}}\n");
        }

        Assert.Contains("nested deeper", Refusal(text.ToString()), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("openapi: 3.1.0\na: &a [*a]", "stands for nothing")]
    [InlineData("openapi: 3.1.0\nopenapi: 3.0.0", "stands twice")]
    [InlineData("openapi: 3.1.0\n---\nb: 1", "more than one YAML document")]
    [InlineData("a: [1, 2", "not valid YAML")]
    [InlineData("? [a]\n: b", "no text")]
    [InlineData("just text", "not an object")]
    [InlineData("", "empty")]
    [InlineData("{\"a\":1,\"a\":2}", "not valid JSON")]
    [InlineData("{\"a\":", "not valid JSON in line 1")]
    public void Broken_IsRefusedWithAReason(string text, string reason) => Assert.Contains(reason, Refusal(text), StringComparison.Ordinal);

    [Fact]
    public void DeepNesting_IsRefused()
    {
        Assert.Contains("nested deeper", Refusal("openapi: 3.1.0\na: " + new string('[', 50_000)), StringComparison.Ordinal);
        Assert.Contains("nested deeper", Refusal("{\"a\":" + new string('[', 50_000)), StringComparison.Ordinal);
        Assert.Contains("UTF-8", Assert.Throws<DocumentException>(() => DocumentText.Parse([0x7b, 0xff, 0x7d])).Message, StringComparison.Ordinal);
    }

    private static string Refusal(string text) => Assert.Throws<DocumentException>(() => DocumentText.Parse(Encoding.UTF8.GetBytes(text))).Message;
}
