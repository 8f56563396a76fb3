using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using TestSupport;

namespace Gateway.Tests.Relay;

public sealed class GeminiCredentialTests
{
    private const string Body = """{"contents":[{"parts":[{"text":"hi"}]}]}""";

    [Fact]
    public async Task Post_KeyInTheQuery_IsTheCallersAndIsNeverLogged()
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);

        using var answer = await PostAsync(gateway.Anonymous, $"/v1beta/models/simulator/echo:generateContent?key={gateway.VirtualKey}");
        using var models = await gateway.Anonymous.GetAsync($"/v1beta/models?pageSize=3&key={gateway.VirtualKey}", TestContext.Current.CancellationToken);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (answer.StatusCode, models.StatusCode));
        Assert.NotNull((await JsonAsync(answer))["candidates"]![0]!["content"]!["parts"]![0]!["text"]);
        var secret = gateway.VirtualKey.Split('-')[^1];
        // The server's own line of a request is switched off in the process (LoggingFeature); nothing else may know the address.
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Category != "Microsoft.AspNetCore.Hosting.Diagnostics" && line.Message.Contains(secret, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Get_KeyInTheQueryElsewhere_IsNone()
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);

        using var response = await gateway.Anonymous.GetAsync($"/v1/models?key={gateway.VirtualKey}", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
    }

    [Fact]
    public async Task Post_NoOrAnotherKey_IsGooglesError()
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);

        using var none = await PostAsync(gateway.Anonymous, "/v1beta/models/simulator/echo:generateContent");
        using var two = await PostAsync(gateway.Client, "/v1beta/models/simulator/echo:generateContent?key=sk-gw-other");
        using var array = await PostAsync(gateway.Anonymous, "/v1beta/models/simulator/echo:streamGenerateContent");

        Assert.Equal("UNAUTHENTICATED", (await JsonAsync(none))["error"]!["status"]!.GetValue<string>());
        Assert.Equal("AMBIGUOUS_API_KEY", (await JsonAsync(two))["error"]!["details"]![0]!["reason"]!.GetValue<string>());
        Assert.Equal(401, (await JsonAsync(array))[0]!["error"]!["code"]!.GetValue<int>());
    }

    private static Task<HttpResponseMessage> PostAsync(HttpClient client, string path) =>
        client.PostAsync(path, new StringContent(Body, Encoding.UTF8, "application/json"), TestContext.Current.CancellationToken);

    private static async Task<JsonNode> JsonAsync(HttpResponseMessage response) => JsonNode.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken))!;
}
