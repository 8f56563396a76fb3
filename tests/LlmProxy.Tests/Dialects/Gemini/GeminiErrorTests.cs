using System.Text;
using LlmProxy.Dialects.Gemini;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiErrorTests
{
    [Theory]
    [InlineData("")]
    [InlineData("[")]
    public void ReadError_RateLimit_SaysWhenToTryAgain(string prefix)
    {
        var body = prefix + """
            {"error":{"code":429,"message":"You exceeded your current quota.","status":"RESOURCE_EXHAUSTED","details":[
              {"@type":"type.googleapis.com/google.rpc.QuotaFailure","violations":[{"quotaId":"q"}]},
              {"@type":"type.googleapis.com/google.rpc.RetryInfo","retryDelay":"34.4s"}]}}
            """ + (prefix.Length > 0 ? "]" : "");

        var error = GeminiDialect.Instance.ReadError(429, Encoding.UTF8.GetBytes(body));

        Assert.Equal((429, "rate_limit", "RESOURCE_EXHAUSTED", TimeSpan.FromSeconds(34.4)), (error.Status, error.Type, error.Code, error.RetryAfter));
        Assert.Equal("You exceeded your current quota.", error.Message);
    }

    [Fact]
    public void ReadError_BadField_IsNamed()
    {
        var error = GeminiDialect.Instance.ReadError(400, """{"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT","details":[{"fieldViolations":[{"field":"contents","description":"d"}]}]}}"""u8);

        Assert.Equal(("invalid_request", "contents"), (error.Type, error.Field));
    }

    [Fact]
    public void ReadError_BadKeyUnderStatus400_IsAuthentication()
    {
        var error = GeminiDialect.Instance.ReadError(400, """{"error":{"code":400,"message":"API key not valid.","status":"INVALID_ARGUMENT","details":[{"reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}"""u8);

        Assert.Equal(("authentication", "API_KEY_INVALID"), (error.Type, error.Code));
    }

    [Theory]
    [InlineData("")]
    [InlineData("<html>502</html>")]
    [InlineData("{\"error\":")]
    [InlineData("{\"error\":{\"message\":5}}")]
    public void ReadError_AnyBytes_MakeSomethingSensible(string body)
    {
        var error = GeminiDialect.Instance.ReadError(502, Encoding.UTF8.GetBytes(body));

        Assert.Equal((502, "server"), (error.Status, error.Type));
        Assert.NotEmpty(error.Message);
    }

    [Theory]
    [InlineData("34.4s", 34.4)]
    [InlineData("0s", 0.0)]
    [InlineData("3", null)]
    [InlineData("xs", null)]
    [InlineData("99999999999999s", null)]
    public void Duration_OfProto3_IsRead(string text, double? seconds) => Assert.Equal(seconds, GeminiErrorReader.Duration(text)?.TotalSeconds);
}
