using System.Globalization;
using System.Text.Json;
using System.Text.Json.Nodes;
using CsCheck;
using McpHub.OpenApi;

namespace McpHub.Tests.OpenApi;

/// <summary>How parameters are written: the table of styles of the specification, and what no argument may do.</summary>
public sealed class ParameterTests
{
    private const string Colors = """["blue","black","brown"]""";
    private const string Mix = """{"R":100,"G":200,"B":150}""";

    // OpenAPI 3.1.1, Parameter Object, style examples.
    [Theory]
    [InlineData("path", "simple", false, "\"blue\"", "blue")]
    [InlineData("path", "simple", false, Colors, "blue,black,brown")]
    [InlineData("path", "simple", true, Colors, "blue,black,brown")]
    [InlineData("path", "simple", false, Mix, "R,100,G,200,B,150")]
    [InlineData("path", "simple", true, Mix, "R=100,G=200,B=150")]
    [InlineData("path", "label", false, "\"blue\"", ".blue")]
    [InlineData("path", "label", false, Colors, ".blue,black,brown")]
    [InlineData("path", "label", true, Colors, ".blue.black.brown")]
    [InlineData("path", "label", false, Mix, ".R,100,G,200,B,150")]
    [InlineData("path", "label", true, Mix, ".R=100.G=200.B=150")]
    [InlineData("path", "matrix", false, "\"blue\"", ";color=blue")]
    [InlineData("path", "matrix", false, Colors, ";color=blue,black,brown")]
    [InlineData("path", "matrix", true, Colors, ";color=blue;color=black;color=brown")]
    [InlineData("path", "matrix", false, Mix, ";color=R,100,G,200,B,150")]
    [InlineData("path", "matrix", true, Mix, ";R=100;G=200;B=150")]
    [InlineData("query", "form", false, "\"\"", "color=")]
    [InlineData("query", "form", false, "\"blue\"", "color=blue")]
    [InlineData("query", "form", false, Colors, "color=blue,black,brown")]
    [InlineData("query", "form", true, Colors, "color=blue&color=black&color=brown")]
    [InlineData("query", "form", false, Mix, "color=R,100,G,200,B,150")]
    [InlineData("query", "form", true, Mix, "R=100&G=200&B=150")]
    [InlineData("query", "form", false, "[]", "")]
    [InlineData("query", "form", true, "{}", "")]
    [InlineData("query", "spaceDelimited", false, Colors, "color=blue%20black%20brown")]
    [InlineData("query", "spaceDelimited", false, Mix, "color=R%20100%20G%20200%20B%20150")]
    [InlineData("query", "pipeDelimited", false, Colors, "color=blue%7Cblack%7Cbrown")]
    [InlineData("query", "pipeDelimited", false, Mix, "color=R%7C100%7CG%7C200%7CB%7C150")]
    [InlineData("query", "deepObject", true, Mix, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150")]
    [InlineData("query", "deepObject", true, """{"a":{"b":1},"c":["x","y"]}""", "color%5Ba%5D%5Bb%5D=1&color%5Bc%5D=x&color%5Bc%5D=y")]
    [InlineData("header", "simple", false, "\"blue\"", "blue")]
    [InlineData("header", "simple", false, Colors, "blue,black,brown")]
    [InlineData("header", "simple", false, Mix, "R,100,G,200,B,150")]
    [InlineData("header", "simple", true, Mix, "R=100,G=200,B=150")]
    [InlineData("cookie", "form", false, "\"blue\"", "color=blue")]
    [InlineData("cookie", "form", false, Colors, "color=blue,black,brown")]
    [InlineData("cookie", "form", true, Mix, "R=100; G=200; B=150")]
    public void Style_IsWrittenAsSpecified(string place, string style, bool explode, string value, string expected)
    {
        var operation = Operation(place, style, explode);

        using var request = operation.Build($$"""{"color":{{value}}}""");

        var found = place switch
        {
            "path" => request.RequestUri!.PathAndQuery["/v1/x/".Length..],
            "query" => request.RequestUri!.Query.TrimStart('?'),
            "header" => request.Headers.NonValidated["color"].ToString(),
            _ => request.Headers.NonValidated["Cookie"].ToString(),
        };
        Assert.Equal(expected, found);
    }

    [Theory]
    [InlineData("..")]
    [InlineData(".")]
    [InlineData("")]
    public void PathArgument_ThatWouldLeadElsewhere_IsRefused(string value)
    {
        var error = Assert.Throws<BadArgumentException>(() => Operation("path", "simple", false).Target(JsonSerializer.Serialize(new { color = value })));

        Assert.Contains("'color'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void PathArguments_ThatTogetherWouldLeadElsewhere_AreRefused()
    {
        var operation = Apis.Only("""{"parameters":[{"name":"a","in":"path","required":true,"schema":{"type":"string"}},{"name":"b","in":"path","required":true,"schema":{"type":"string"}}]}""", path: "/files/{a}{b}");

        Assert.Throws<BadArgumentException>(() => operation.Target("""{"a":".","b":"."}"""));
        Assert.Throws<BadArgumentException>(() => Operation("path", "label", false).Target("""{"color":"."}"""));
        Assert.Equal("/files/.x", operation.Target("""{"a":".","b":"x"}"""));
    }

    [Theory]
    [InlineData("a/b", "/x/a%2Fb")]
    [InlineData("../../admin", "/x/..%2F..%2Fadmin")]
    [InlineData("a?b=c#d", "/x/a%3Fb%3Dc%23d")]
    [InlineData("%2e%2e", "/x/%252e%252e")]
    [InlineData("a\\b", "/x/a%5Cb")]
    [InlineData("é 😀", "/x/%C3%A9%20%F0%9F%98%80")]
    [InlineData("\r\nX: 1", "/x/%0D%0AX%3A%201")]
    public void PathArgument_CannotChangeThePath(string value, string expected) =>
        Assert.Equal(expected, Operation("path", "simple", false).Target(JsonSerializer.Serialize(new { color = value })));

    [Theory]
    [InlineData("a\r\nX-Injected: 1")]
    [InlineData("a\nb")]
    [InlineData("a\0b")]
    [InlineData("é")]
    public void HeaderArgument_ThatAHeaderCannotCarry_IsRefused(string value)
    {
        var error = Assert.Throws<BadArgumentException>(() => Operation("header", "simple", false).Build(JsonSerializer.Serialize(new { color = value })));

        Assert.Contains("'color'", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void AllowReserved_KeepsWhatChangesNothing()
    {
        var operation = Apis.Only("""{"parameters":[{"name":"url","in":"query","allowReserved":true,"schema":{"type":"string"}}]}""");

        Assert.Equal("/x?url=https://h/a?b=c%26d%23e%20%2B%5B%5D%25", operation.Target("""{"url":"https://h/a?b=c&d#e +[]%"}"""));
    }

    [Fact]
    public void Content_IsWrittenAsJson()
    {
        var operation = Apis.Only("""{"parameters":[{"name":"filter","in":"query","content":{"application/json":{"schema":{"type":"object"}}}}]}""");

        Assert.Equal("/x?filter=%7B%22a%22%3A1.50%7D", operation.Target("""{"filter":{"a":1.50}}"""));
    }

    [Theory]
    [InlineData("""{}""", "'id' is required")]
    [InlineData("""{"id":"1"}""", "'id' must be of the type integer, and is a text")]
    [InlineData("""{"id":1.5}""", "'id' must be of the type integer")]
    [InlineData("""{"id":1,"kind":"z"}""", "'kind' must be one of 'a', 'b'")]
    [InlineData("""{"id":1,"other":true}""", "no argument 'other'; there is 'id', 'kind'")]
    [InlineData("""{"id":null}""", "'id' must be of the type integer, and is null")]
    public void WrongArgument_IsNamed(string arguments, string expected)
    {
        var operation = Apis.Only("""{"parameters":[{"name":"id","in":"query","required":true,"schema":{"type":"integer"}},{"name":"kind","in":"query","schema":{"type":"string","enum":["a","b"]}}]}""");

        Assert.Contains(expected, Assert.Throws<BadArgumentException>(() => operation.Target(arguments)).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"id":1}""", "/x?id=1")]
    [InlineData("""{"id":1.0}""", "/x?id=1.0")]
    [InlineData("""{"id":1,"kind":null}""", "/x?id=1")]
    public void RightArgument_IsSentAsWritten(string arguments, string expected)
    {
        var operation = Apis.Only("""{"parameters":[{"name":"id","in":"query","required":true,"schema":{"type":"integer"}},{"name":"kind","in":"query","schema":{"type":"string","enum":["a","b"]}}]}""");

        Assert.Equal(expected, operation.Target(arguments));
    }

    /// <summary>Whatever stands in the arguments, a reader of the request finds the same path, and exactly the parameters that were given.</summary>
    [Fact]
    public void AnyText_StaysWithinItsPlace()
    {
        var operation = Apis.Only("""
            {"parameters":[{"name":"p","in":"path","required":true,"schema":{"type":"string"}},{"name":"q","in":"query","schema":{"type":"string"}},
            {"name":"d","in":"query","style":"deepObject","schema":{"type":"object"}},{"name":"c","in":"cookie","schema":{"type":"string"}}]}
            """, path: "/a/{p}/b");
        var text = Gen.String[Gen.OneOf(Gen.Char, Gen.Char[" /?#&=;%.\\+[]{}\r\n\t\"'<>|,:@$!*()~^`\0é€"]), 1, 24].Where(IsText);

        Gen.Select(text, text, text, text, text).Sample((path, query, member, value, cookie) =>
        {
            if (path is "." or "..")
            {
                return;
            }
            var arguments = new JsonObject { ["p"] = path, ["q"] = query, ["d"] = new JsonObject { [member] = value }, ["c"] = cookie }.ToJsonString();
            using var request = operation.Build(arguments);

            var target = request.RequestUri!.PathAndQuery;
            Assert.DoesNotContain(target, c => c <= ' ' || c >= '\u007f');
            var (found, parameters) = (target.Split('?')[0].Split('/'), target.Split('?', 2)[1].Split('&'));
            Assert.Equal(["", "v1", "a", Uri.EscapeDataString(path), "b"], found);
            Assert.Equal(path, Uri.UnescapeDataString(found[3]));
            Assert.Equal(2, parameters.Length);
            Assert.Equal(query, Uri.UnescapeDataString(parameters[0]["q=".Length..]));
            Assert.Equal([$"d[{member}]", value], parameters[1].Split('=').Select(Uri.UnescapeDataString));
            var sent = request.Headers.NonValidated["Cookie"].ToString();
            Assert.DoesNotContain(sent, c => c <= ' ' || c == ';' || c >= '\u007f');
            Assert.Equal(cookie, Uri.UnescapeDataString(sent["c=".Length..]));
        }, iter: 5_000);
    }

    /// <summary>Whatever is sent in whatever style, it ends as a request of the same server and path, or as an error that names the argument.</summary>
    [Fact]
    public void AnyValueInAnyStyle_IsSentOrRefused()
    {
        (string Place, string Style)[] styles = [("path", "simple"), ("path", "label"), ("path", "matrix"), ("query", "form"), ("query", "spaceDelimited"), ("query", "pipeDelimited"), ("query", "deepObject"), ("header", "simple"), ("cookie", "form")];
        var operations = styles.SelectMany(style => new[] { Operation(style.Place, style.Style, false), Operation(style.Place, style.Style, true) }).ToList();
        var text = Gen.String[Gen.Char[" ./?#&=;%\\+[]\r\n\0é€ab1,"], 0, 6];
        var leaf = Gen.OneOf(text.Select(value => (JsonNode?)JsonValue.Create(value)), Gen.Int.Select(value => (JsonNode?)JsonValue.Create(value)), Gen.Bool.Select(value => (JsonNode?)JsonValue.Create(value)), Gen.Const((JsonNode?)null));
        var list = leaf.Array[0, 4].Select(items => (JsonNode?)new JsonArray([.. items.Select(item => item?.DeepClone())]));
        var map = Gen.Dictionary(text, Gen.OneOf(leaf, list))[0, 3].Select(members => (JsonNode?)new JsonObject(members.Select(member => KeyValuePair.Create(member.Key, member.Value?.DeepClone()))));

        Gen.Select(Gen.Int[0, operations.Count - 1], Gen.OneOf(leaf, list, map)).Sample((index, value) =>
        {
            try
            {
                using var request = operations[index].Build(new JsonObject { ["color"] = value?.DeepClone() }.ToJsonString());

                var target = request.RequestUri!.PathAndQuery;
                Assert.Equal("api.example.com", request.RequestUri.Host);
                Assert.DoesNotContain(target, c => c <= ' ' || c >= '\u007f' || c is '#' or '\\' or '"' or '<' or '>');
                Assert.True(target.Count(c => c == '?') <= 1, target);
                Assert.Equal(operations[index].Path.Any(part => part.IsParameter) ? 3 : 2, target.Split('?')[0].Count(c => c == '/'));
                Assert.DoesNotContain(target.Split('?')[0].Split('/'), segment => Uri.UnescapeDataString(segment) is "." or "..");
                Assert.All(request.Headers.NonValidated, header => Assert.DoesNotContain(header.Value.ToString(), char.IsControl));
            }
            catch (BadArgumentException exception)
            {
                Assert.Contains("'color'", exception.Message, StringComparison.Ordinal);
            }
        }, iter: 20_000);
    }

    private static bool IsText(string text)
    {
        for (var i = 0; i < text.Length; i++)
        {
            if (char.IsSurrogate(text[i]) && !(i + 1 < text.Length && char.IsSurrogatePair(text, i++)))
            {
                return false;
            }
        }
        return true;
    }

    private static ApiOperation Operation(string place, string style, bool explode) => Apis.Only(
        string.Create(CultureInfo.InvariantCulture, $$"""{"parameters":[{"name":"color","in":"{{place}}","required":{{(place == "path" ? "true" : "false")}},"style":"{{style}}","explode":{{(explode ? "true" : "false")}}}]}"""),
        path: place == "path" ? "/x/{color}" : "/x");
}
