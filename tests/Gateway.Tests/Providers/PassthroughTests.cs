using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>Paths below a vendor's root that are nobody else's: relayed as they are, for keys that may use all of the provider, and for nobody else.</summary>
public sealed class PassthroughTests : IAsyncLifetime
{
    private FakeApi vendor = null!;

    public async ValueTask InitializeAsync() => vendor = await FakeApi.StartAsync(TestContext.Current.CancellationToken);

    public async ValueTask DisposeAsync() => await vendor.DisposeAsync();

    [Theory]
    [InlineData("openai/v1/fine_tuning/jobs?limit=2&after=a%20b", "/v1/fine_tuning/jobs?limit=2&after=a%20b")]
    [InlineData("openai/fine_tuning/jobs", "/v1/fine_tuning/jobs")]
    [InlineData("openai/v1/evals/ft:gpt?key=x", "/v1/evals/ft:gpt")]
    public async Task Get_BelowARoot_ArrivesAtTheProvider(string path, string target)
    {
        await using var gateway = await StartAsync("passthrough: openai");
        vendor.Answer = (_, context) =>
        {
            context.Response.Headers["openai-processing-ms"] = "7";
            context.Response.Headers.SetCookie = "a=b";
            return FakeApi.JsonAsync(context, """{"object":"list","data":[]}""");
        };
        using var request = new HttpRequestMessage(HttpMethod.Get, new Uri(gateway.BaseAddress, path));
        request.Headers.Add("x-api-key", await KeyAsync(gateway, "openai/*"));
        request.Headers.Add("OpenAI-Beta", "assistants=v2");
        request.Headers.Add("OpenAI-Organization", "someone");
        request.Headers.Add("Cookie", "c=d");
        request.Headers.Add("X-New-Header", "stays");

        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal("""{"object":"list","data":[]}""", await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.Equal("7", Assert.Single(response.Headers.GetValues("openai-processing-ms")));
        Assert.Equal("openai", Assert.Single(response.Headers.GetValues("x-gateway-provider")));
        Assert.False(response.Headers.Contains("Set-Cookie"));
        var sent = Assert.Single(vendor.Requests);
        Assert.Equal(("GET", target), (sent.Method, sent.Target));
        Assert.Equal("Bearer of-the-provider", sent.Headers["Authorization"]);
        Assert.Equal("assistants=v2", sent.Headers["OpenAI-Beta"]);
        Assert.Equal("stays", sent.Headers["X-New-Header"]);
        Assert.All(["x-api-key", "OpenAI-Organization", "Cookie"], name => Assert.False(sent.Headers.ContainsKey(name)));
        Assert.All(sent.Headers.Values, value => Assert.DoesNotContain("sk-gw-", value, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("", "openai/*", "openai/v1/fine_tuning/jobs")]
    [InlineData("passthrough: anthropic", "openai/*", "openai/v1/fine_tuning/jobs")]
    [InlineData("passthrough: openai", "openai/gpt-4o", "openai/v1/fine_tuning/jobs")]
    [InlineData("passthrough: openai", "openai/*;!openai/o1", "openai/v1/fine_tuning/jobs")]
    [InlineData("passthrough: openai", "other/*", "openai/v1/fine_tuning/jobs")]
    public async Task Get_NotAgreedTo_IsNotFound(string declared, string granted, string path)
    {
        await using var gateway = await StartAsync(declared);

        var (status, text) = await SendAsync(gateway, HttpMethod.Get, path, await KeyAsync(gateway, granted.Split(';')));

        Assert.Equal(HttpStatusCode.NotFound, status);
        Assert.Contains("not_found", text, StringComparison.Ordinal);
        Assert.Empty(vendor.Requests);
    }

    [Fact]
    public async Task Get_WithoutAKey_IsRefused()
    {
        await using var gateway = await StartAsync("passthrough: openai");

        using var response = await gateway.Anonymous.GetAsync("openai/v1/fine_tuning/jobs", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        Assert.Empty(vendor.Requests);
    }

    [Theory]
    [InlineData("openai/v1/containers%2Fother")]
    [InlineData("openai/v1//containers")]
    [InlineData("openai/v1/a%255Cb")]
    public async Task Get_PathThatCanBeReadInTwoWays_IsRefused(string path)
    {
        await using var gateway = await StartAsync("passthrough: openai");

        var (status, text) = await SendAsync(gateway, HttpMethod.Get, path, await KeyAsync(gateway, "openai/*"));

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("encoded slash", text, StringComparison.Ordinal);
        Assert.Empty(vendor.Requests);
    }

    [Fact]
    public async Task Post_AnswerWithUsage_IsBilledAtTheModelsPrice()
    {
        await using var gateway = await StartAsync("passthrough: openai", "prices: [{provider: openai, model: tuned, input: 1, output: 10}]");
        vendor.Answer = (_, context) => FakeApi.JsonAsync(context, """{"id":"x","model":"tuned","usage":{"prompt_tokens":1000,"completion_tokens":100,"total_tokens":1100}}""");
        const string Body = """{"new":  {"shape":1}}""";

        var (status, _) = await SendAsync(gateway, HttpMethod.Post, "openai/v1/some/new/thing", await KeyAsync(gateway, "openai/*"), Body);

        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(Body, Assert.Single(vendor.Requests).Text);
        Assert.Equal("application/json; charset=utf-8", vendor.Last.Headers["Content-Type"]);
        Assert.Equal(0.002m, (await UsageAsync(gateway, "openai/tuned")).GetProperty("costDollars").GetDecimal());
    }

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"model":"\ud800","usage":{"prompt_tokens":1000}}""")]
    [InlineData("""{"usage":{"\ud800_tokens":1,"completion_tokens":100}}""")]
    public async Task Post_AnswerWithoutUsage_HasAnUnknownCost(string answer)
    {
        await using var gateway = await StartAsync("passthrough: openai");
        vendor.Answer = (_, context) => FakeApi.JsonAsync(context, answer);

        var (_, text) = await SendAsync(gateway, HttpMethod.Post, "openai/v1/some/new/thing", await KeyAsync(gateway, "openai/*"), "{}");

        Assert.Equal(answer, text);
        Assert.Equal(1, (await UsageAsync(gateway, "openai/passthrough")).GetProperty("unknownCostCalls").GetInt64());
    }

    [Fact]
    public async Task Post_UnderAHardBudget_IsRefused()
    {
        await using var gateway = await StartAsync("passthrough: openai");

        var (status, text) = await SendAsync(gateway, HttpMethod.Post, "openai/v1/some/new/thing", gateway.VirtualKey, "{}");
        var (read, _) = await SendAsync(gateway, HttpMethod.Get, "openai/v1/some/new/thing", gateway.VirtualKey);

        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains("unbounded_cost", text, StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.OK, read);
        Assert.Equal("GET", Assert.Single(vendor.Requests).Method);
    }

    [Fact]
    public async Task Post_AnswerIsAStream_ArrivesPieceByPieceAndIsBilled()
    {
        await using var gateway = await StartAsync("dialect: anthropic, passthrough: anthropic", "prices: [{provider: openai, model: claude, input: 1, output: 10}]");
        var first = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        vendor.Answer = async (_, context) =>
        {
            context.Response.ContentType = "text/event-stream";
            await context.Response.WriteAsync("event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude\",\"usage\":{\"input_tokens\":2000,\"output_tokens\":1}}}\n\n");
            await context.Response.Body.FlushAsync();
            await first.Task.WaitAsync(TimeSpan.FromSeconds(30));
            await context.Response.WriteAsync("event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":50}}\n\n");
        };
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseAddress, "anthropic/v1/some/stream")) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add("x-api-key", await KeyAsync(gateway, "openai/*"));

        using var response = await gateway.Anonymous.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, TestContext.Current.CancellationToken);
        using var reader = new StreamReader(await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken));
        Assert.Equal("event: message_start", await reader.ReadLineAsync(TestContext.Current.CancellationToken));
        first.SetResult();
        await reader.ReadToEndAsync(TestContext.Current.CancellationToken);

        Assert.Equal("/v1/some/stream", vendor.Last.Target);
        Assert.Equal("of-the-provider", vendor.Last.Headers["x-api-key"]);
        Assert.Equal(0.0025m, (await UsageAsync(gateway, "openai/claude")).GetProperty("costDollars").GetDecimal());
    }

    [Fact]
    public async Task Post_UploadToGoogle_ContinuesThroughTheGateway()
    {
        await using var gateway = await StartAsync("dialect: gemini, passthrough: genai");
        vendor.Answer = (_, context) =>
        {
            context.Response.Headers["x-goog-upload-url"] = $"{vendor.Address}/upload/v1/files?upload_id=7";
            context.Response.Headers.Location = "https://elsewhere.example/secret";
            return FakeApi.JsonAsync(context, "{}");
        };
        var key = await KeyAsync(gateway, "openai/*");
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseAddress, "genai/upload/v1/files")) { Content = new StringContent("{}", Encoding.UTF8, "application/json") };
        request.Headers.Add("x-goog-api-key", key);
        request.Headers.Add("X-Goog-Upload-Protocol", "resumable");

        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);

        Assert.Equal("resumable", vendor.Last.Headers["X-Goog-Upload-Protocol"]);
        Assert.Equal("of-the-provider", vendor.Last.Headers["x-goog-api-key"]);
        Assert.False(response.Headers.Contains("Location"));
        var next = Assert.Single(response.Headers.GetValues("x-goog-upload-url"));
        Assert.Equal($"{gateway.BaseAddress}genai/upload/v1/files?upload_id=7", next);
        await SendAsync(gateway, HttpMethod.Post, new Uri(next).PathAndQuery.TrimStart('/'), key, "bytes");
        Assert.Equal(("/upload/v1/files?upload_id=7", "bytes"), (vendor.Last.Target, vendor.Last.Text));
    }

    [Fact]
    public async Task Post_ClientLeaves_EndsTheProvidersRequest()
    {
        await using var gateway = await StartAsync("passthrough: openai");
        var left = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        vendor.Answer = async (_, context) =>
        {
            context.RequestAborted.Register(left.SetResult);
            await left.Task.WaitAsync(TimeSpan.FromSeconds(30));
        };
        var key = await KeyAsync(gateway, "openai/*");
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(gateway.BaseAddress, "openai/v1/some/thing")) { Content = new StringContent("{}") };
        request.Headers.Add("x-api-key", key);

        var asked = gateway.Anonymous.SendAsync(request, patience.Token);
        await vendor.ReceivedAsync(1);
        await patience.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await left.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task Post_ProviderFails_RelaysItsError()
    {
        await using var gateway = await StartAsync("passthrough: openai");
        vendor.Answer = (_, context) => FakeApi.JsonAsync(context, """{"error":{"message":"no such job"}}""", 422);

        var (status, text) = await SendAsync(gateway, HttpMethod.Post, "openai/v1/fine_tuning/jobs", await KeyAsync(gateway, "openai/*"), "{}");

        Assert.Equal((HttpStatusCode)422, status);
        Assert.Equal("""{"error":{"message":"no such job"}}""", text);
    }

    private Task<TestGateway> StartAsync(string members, string more = "") => TestGateway.StartAsync(
        new TestGatewayOptions { Configuration = $"providers: {{openai: {{baseUrl: '{vendor.Address}/v1', apiKey: of-the-provider{(members.Length > 0 ? ", " + members : "")}}}}}\n{more}\n" },
        TestContext.Current.CancellationToken);

    private static async Task<string> KeyAsync(TestGateway gateway, params string[] models)
    {
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), new { name = "caller", models }, TestContext.Current.CancellationToken);
        using var created = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return created.RootElement.GetProperty("token").GetString()!;
    }

    private static async Task<(HttpStatusCode Status, string Text)> SendAsync(TestGateway gateway, HttpMethod method, string path, string key, string? body = null)
    {
        using var request = new HttpRequestMessage(method, gateway.BaseAddress + path);
        request.Headers.Add("Authorization", "Bearer " + key);
        request.Content = body is null ? null : new StringContent(body, Encoding.UTF8, "application/json");
        using var response = await gateway.Anonymous.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    // The caller has its answer before the call is settled.
    private static async Task<JsonElement> UsageAsync(TestGateway gateway, string model)
    {
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            var usage = await gateway.AdminClient.GetFromJsonAsync<JsonElement>(new Uri("admin/v1/usage?groupBy=model", UriKind.Relative), patience.Token);
            foreach (var row in usage.GetProperty("rows").EnumerateArray())
            {
                if (row.GetProperty("model").GetString() == model && row.GetProperty("unsettledCalls").GetInt64() == 0)
                {
                    return row;
                }
            }
        }
    }
}
