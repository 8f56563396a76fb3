using McpHub.Upstreams.SignIn;

namespace McpHub.Tests.Upstreams.SignIn;

public sealed class ChallengeTests
{
    [Theory]
    [InlineData("Bearer resource_metadata=\"https://a.example/prm\", scope=\"a b\"", "https://a.example/prm", "a b", null)]
    [InlineData("bearer scope=single,error=insufficient_scope", null, "single", "insufficient_scope")]
    [InlineData("Basic realm=\"x, scope=\\\"no\\\"\", Bearer error=\"invalid_token\", scope=\"yes\"", null, "yes", "invalid_token")]
    [InlineData("Bearer realm=\"x\", scope=\"mine\", Basic realm=\"y\", scope=\"theirs\"", null, "mine", null)]
    [InlineData("Bearer", null, "", null)]
    [InlineData("Bearer scope = \"spaced\"", null, "spaced", null)]
    [InlineData("Bearer resource_metadata=\"file:///etc/passwd\"", null, "", null)]
    [InlineData("Bearer error_description=\"it's, \\\"odd\\\" = text\", error=\"e\"", null, "", "e")]
    public void Parse_TakesTheFirstBearerChallenge(string header, string? metadata, string scopes, string? error)
    {
        var challenge = Challenge.Parse(header)!;

        Assert.Equal(metadata, challenge.ResourceMetadata?.ToString());
        Assert.Equal(scopes, string.Join(' ', challenge.Scopes));
        Assert.Equal(error, challenge.Error);
    }

    [Theory]
    [InlineData("")]
    [InlineData("Basic realm=\"x\"")]
    [InlineData("DPoP algs=\"ES256\"")]
    [InlineData("\"\"\"")]
    [InlineData("=,=,=")]
    public void Parse_WithoutOne_FindsNone(string header) => Assert.Null(Challenge.Parse(header));

    [Fact]
    public void Parse_OfAnything_Ends()
    {
        var random = new Random(7);
        const string Alphabet = "Bearer scope=\"\\, \t=";
        for (var i = 0; i < 20_000; i++)
        {
            Challenge.Parse(string.Concat(Enumerable.Range(0, random.Next(40)).Select(_ => Alphabet[random.Next(Alphabet.Length)])));
        }
    }
}
