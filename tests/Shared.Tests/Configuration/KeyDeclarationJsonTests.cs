using System.Text;
using Shared.Configuration;

namespace Shared.Tests.Configuration;

public sealed class KeyDeclarationJsonTests
{
    [Fact]
    public void Write_ParsedDeclaration_IsReadBackTheSame()
    {
        const string Json = """
            {"name":"ci","user":"ada","expiresAt":"2030-12-31T00:00:00.0000000+00:00","models":["openai/*"],"tools":[],
             "toolAnnotations":{"readOnlyHint":true},"budgets":[{"limit":"5","per":"day","timeZone":"Europe/Berlin","name":"d"}],
             "rateLimits":[{"tokens":5000,"per":"5m"}],"concurrency":[{"limit":3,"models":["a/b"]}]}
            """;

        var (first, errors) = KeyDeclarationJson.Parse(Encoding.UTF8.GetBytes(Json), "request body");
        var written = KeyDeclarationJson.Write(first!);
        var (second, errorsAgain) = KeyDeclarationJson.Parse(Encoding.UTF8.GetBytes(written), "request body");

        Assert.Empty(errors);
        Assert.Empty(errorsAgain);
        Assert.Equal(written, KeyDeclarationJson.Write(second!));
        Assert.Empty(second!.Tools!);
        Assert.Equal("Europe/Berlin", Assert.Single(second.Budgets).TimeZone);
        Assert.Equal(TimeSpan.FromMinutes(5), Assert.Single(second.RateLimits).Per.Length);
        Assert.Equal(3, Assert.Single(second.Concurrency).Limit);
    }

    [Theory]
    [InlineData("""{"budgts":[]}""", "request body:1:2: budgts: unknown key; did you mean 'budgets'?")]
    [InlineData("{\"name\":\"a\",\n\"name\":\"b\"}", "request body:2:1: name: this member stands twice")]
    [InlineData("""{"name":5}""", "request body:1:9: name: expected a text, found '5'")]
    [InlineData("""{"name":""", "request body:1:9: not valid JSON")]
    [InlineData("[]", "request body:1:1: expected an object, found a list")]
    [InlineData("{} {}", "request body:1:4: not valid JSON")]
    [InlineData("""{"key":"${env:HOME}"}""", "request body:1:8: key: references are not allowed here")]
    [InlineData("""{"key":"sk-gw-abc"}""", "request body:1:8: key: is for files; the gateway makes the tokens of keys that are created through the API")]
    [InlineData("""{"rateLimits":[{"requests":0}]}""", "request body:1:28: rateLimits[0].requests: expected 1 to 1000000000000, found '0'")]
    public void Parse_BadBody_SaysWhere(string json, string expected)
    {
        var (_, errors) = KeyDeclarationJson.Parse(Encoding.UTF8.GetBytes(json), "request body");

        Assert.Equal(expected, errors[0].ToString());
    }
}
