using System.Net;
using System.Net.Http.Json;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>Google's endpoints in OpenAI's shape, which hang below a root of their own and want the key as a bearer token.</summary>
public sealed class GeminiCompatibleTests
{
    [Theory]
    [InlineData("v1/embeddings", """{"model":"gemini/m","input":"a"}""", "/v1beta/openai/embeddings")]
    [InlineData("v1/images/generations", """{"model":"gemini/m","prompt":"a fox","n":1}""", "/v1beta/openai/images/generations")]
    [InlineData("openai/v1/images/generations", """{"model":"gemini/m","prompt":"a fox"}""", "/v1beta/openai/images/generations")]
    public async Task Endpoint_OfOpenAisShape_IsGooglesOwn(string path, string body, string upstream)
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (_, context) => FakeApi.JsonAsync(context, """{"object":"list","created":1,"data":[{"object":"embedding","index":0,"embedding":[0.5],"b64_json":"AAAA"}],"usage":{"prompt_tokens":1,"total_tokens":1}}""");
        await using var gateway = await TestGateway.StartAsync(
            new TestGatewayOptions { Configuration = $"providers:\n  gemini: {{baseUrl: '{api.Address}/v1beta', apiKey: g-key, maxRetries: 0}}\n" }, TestContext.Current.CancellationToken);
        using var made = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), new { name = "no budget", models = new[] { "*" } }, TestContext.Current.CancellationToken);
        using var client = gateway.NewClient((await made.JsonAsync()).GetProperty("token").GetString());
        using var content = new StringContent(body, System.Text.Encoding.UTF8, "application/json");

        using var response = await client.PostAsync(new Uri(path, UriKind.Relative), content, TestContext.Current.CancellationToken);

        Assert.True(response.StatusCode == HttpStatusCode.OK, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var asked = Assert.Single(api.Requests);
        Assert.Equal(upstream, asked.Target);
        Assert.Equal("Bearer g-key", asked.Headers["Authorization"]);
        Assert.False(asked.Headers.ContainsKey("x-goog-api-key"));
        Assert.Contains("\"model\":\"m\"", asked.Text, StringComparison.Ordinal);
    }
}
