using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Gateway.Commands;
using Gateway.Tests.Acceptance;
using TestSupport;

namespace Gateway.Tests;

/// <summary>What calls are charged at, and what the command line tells of it.</summary>
public sealed class PricesTests
{
    // A call of 1,000 tokens in and 100 out.
    private static readonly FakeReply Answer = FakeReply.Completion("Hello", 1000, 100);

    [Theory]
    [InlineData("", true, "unknown_price", null)]
    [InlineData("", false, null, "unknown")]
    [InlineData("pricing: {unknown: denyUnderHardBudget}", true, "unknown_price", null)]
    [InlineData("pricing: {unknown: deny}", true, "unknown_price", null)]
    [InlineData("pricing: {unknown: deny}", false, "unknown_price", null)]
    [InlineData("pricing: {unknown: allow}", true, null, "unknown")]
    [InlineData("pricing: {unknown: allow}", false, null, "unknown")]
    [InlineData("pricing: {unknown: default, default: {input: 2, output: 10}}", true, null, "0.003")]
    [InlineData("pricing: {unknown: default, default: {input: 2, output: 10}}", false, null, "0.003")]
    [InlineData("pricing: {unknown: default, default: {input: 2, output: 10}, adjustments: [{discount: 50%, margin: 10%}]}", true, null, "0.0033")]
    public async Task UnknownPrice_EachPolicy_DecidesWithAndWithoutAHardBudget(string pricing, bool hardBudget, string? refusal, string? cost)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        fake.Otherwise = _ => Answer;
        await using var gateway = await StartAsync(fake, pricing);
        using var client = gateway.NewClient(await KeyAsync(gateway, hardBudget));

        var (status, text) = await AskAsync(client);

        if (refusal is not null)
        {
            Assert.Contains($"\"code\":\"{refusal}\"", text, StringComparison.Ordinal);
            Assert.Empty(fake.Requests);
            return;
        }
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal(cost, await CostAsync(gateway));
    }

    [Theory]
    [InlineData("", "0.003")]
    [InlineData("pricing: {adjustments: [{margin: 10%}]}", "0.0033")]
    [InlineData("pricing: {adjustments: [{provider: other, margin: 10%}]}", "0.003")]
    [InlineData("pricing: {adjustments: [{provider: fa*, model: m, margin: 0.01%}]}", "0.0030003")]
    public async Task Margin_OnAContractPrice_RaisesWhatTheKeyIsCharged(string pricing, string cost)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        fake.Otherwise = _ => Answer;
        await using var gateway = await StartAsync(fake, pricing + "\nprices: [{provider: fake, model: m, input: 2, output: 10, maxOutputTokens: 200, source: contract}]");
        using var client = gateway.NewClient(await KeyAsync(gateway, true));

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(client)).Status);

        Assert.Equal(cost, await CostAsync(gateway));
    }

    [Fact]
    public async Task Discount_OnAModelOfTheCatalog_LowersWhatTheKeyIsCharged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        fake.Otherwise = _ => Answer;
        // 2.50 and 10 dollars per million: 0.0035 for the call, 0.00297 less 15 %, 0.0032725 with 10 % on top.
        await using var gateway = await StartAsync(fake, "pricing: {pricedAs: {fake: openai}, adjustments: [{provider: fake, discount: 15%, margin: 10%}]}");
        using var client = gateway.NewClient(await KeyAsync(gateway, true));

        Assert.Equal(HttpStatusCode.OK, (await AskAsync(client, "fake/gpt-4o")).Status);

        Assert.Equal("0.0032725", await CostAsync(gateway));
    }

    [Fact]
    public async Task PerRequest_Fee_IsReservedAndCharged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        fake.Otherwise = _ => Answer;
        await using var gateway = await StartAsync(fake, "prices: [{provider: fake, model: m, input: 2, output: 10, maxOutputTokens: 200, perRequest: 0.02, source: contract}]");
        using var poor = gateway.NewClient(await HardBudgetTests.CreateKeyAsync(gateway, "0.01/day"));
        using var client = gateway.NewClient(await KeyAsync(gateway, true));

        Assert.Equal(HttpStatusCode.TooManyRequests, (await AskAsync(poor)).Status);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(client)).Status);

        Assert.Equal("0.023", await CostAsync(gateway));
    }

    [Fact]
    public async Task Unbounded_ModelUnderAHardBudget_IsRefusedAndNotOtherwise()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        fake.Otherwise = _ => Answer;
        await using var gateway = await StartAsync(fake, "prices: [{provider: fake, model: m, input: 2, output: 10, unbilled: [webSearch], bounded: false, source: contract}]");
        using var bounded = gateway.NewClient(await KeyAsync(gateway, true));
        using var free = gateway.NewClient(await KeyAsync(gateway, false));

        var (refused, text) = await AskAsync(bounded);
        Assert.Equal(HttpStatusCode.BadRequest, refused);
        Assert.Contains("model", text, StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
        Assert.Equal(HttpStatusCode.OK, (await AskAsync(free)).Status);
    }

    [Fact]
    public async Task Show_ModelWithAdjustments_TellsPriceSourceVersionAndWhatIsCharged()
    {
        using var folder = new TemporaryFolder();
        var config = Path.Combine(folder.Path, "gateway.yaml");
        await File.WriteAllTextAsync(config, """
            providers: {openai: {apiKey: "${env:NOT_SET_ANYWHERE}"}}
            priceFile: contract.yaml
            pricing: {adjustments: [{provider: openai, discount: 15%, margin: 10%}]}
            """, TestContext.Current.CancellationToken);
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "contract.yaml"), "prices: [{provider: openai, model: tuned, input: 1, output: 2, source: 'contract 4711'}]", TestContext.Current.CancellationToken);

        var (code, output, _) = await RunAsync("prices", "show", "openai/gpt-4o", "--config", config);
        Assert.Equal(0, code);
        Assert.Contains("openai/gpt-4o\n", output, StringComparison.Ordinal);
        Assert.Contains("input 2.5, output 10, cacheRead 1.25", output, StringComparison.Ordinal);
        Assert.Contains("charged           input 2.3375, output 9.35", output, StringComparison.Ordinal);
        Assert.Contains("output 16384", output, StringComparison.Ordinal);
        Assert.Matches(@"source            (models\.dev|genai-prices), 20\d\d-", output);
        Assert.Matches(@"version           catalog:20\d\d-\d\d-\d\d\.[0-9a-f]{6};discount=15%;margin=10%", output);

        var (_, json, _) = await RunAsync("prices", "show", "openai/tuned", "--config", config, "--json");
        using var document = JsonDocument.Parse(json);
        var price = Assert.Single(document.RootElement.EnumerateArray());
        Assert.Equal((1m, 1.1m, 0m, "contract 4711"), (price.GetProperty("input").GetDecimal(), price.GetProperty("charged").GetProperty("input").GetDecimal(), price.GetProperty("discountPercent").GetDecimal(), price.GetProperty("source").GetString()));
    }

    [Fact]
    public async Task Show_SecondName_TellsWhatItIsPricedAs()
    {
        var (_, output, _) = await RunAsync("prices", "show", "anthropic/claude-haiku-4-5-20251001");

        Assert.Contains("priced as         anthropic/claude-haiku-4-5\n", output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Show_UnknownModel_FailsAndSaysWhatFollows()
    {
        var (code, output, error) = await RunAsync("prices", "show", "openai/gpt-4o-imagined");

        Assert.Equal((1, ""), (code, output));
        Assert.Equal("gateway: No price of 'openai/gpt-4o-imagined' is known. Calls of it are refused under a hard budget, and allowed with an unknown cost otherwise (pricing.unknown: denyUnderHardBudget).", error.Trim());
    }

    [Fact]
    public async Task List_OfAProvider_HasALineForEachModel()
    {
        var (code, output, _) = await RunAsync("prices", "list", "--provider", "groq");
        var (_, json, _) = await RunAsync("prices", "list", "--provider", "groq", "--json");

        using var document = JsonDocument.Parse(json);
        var models = document.RootElement.EnumerateArray().Select(model => $"groq/{model.GetProperty("model").GetString()}").ToList();
        Assert.Equal(0, code);
        Assert.Contains("groq/llama-3.3-70b-versatile", models);
        Assert.Equal(models, output.Split('\n').Where(line => line.StartsWith("groq/", StringComparison.Ordinal)).Select(line => line.Split(' ')[0]));
    }

    [Fact]
    public async Task Show_WrongConfiguration_NamesFileAndLine()
    {
        using var folder = new TemporaryFolder();
        var config = Path.Combine(folder.Path, "gateway.yaml");
        await File.WriteAllTextAsync(config, "pricing: {adjustments: [{provider: openai, discount: 15}]}", TestContext.Current.CancellationToken);

        var (code, _, error) = await RunAsync("prices", "show", "openai/gpt-4o", "--config", config);

        Assert.Equal(1, code);
        Assert.Contains($"{config}:1:54: pricing.adjustments[0].discount: expected a percentage such as 15%", error, StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync(FakeProvider fake, string more) => TestGateway.StartAsync(
        new TestGatewayOptions { Configuration = $"providers: {{fake: {{baseUrl: '{fake.BaseAddress}', models: [m], maxRetries: 0}}}}\n{more}\n" }, TestContext.Current.CancellationToken);

    private static async Task<string> KeyAsync(TestGateway gateway, bool hardBudget)
    {
        if (hardBudget)
        {
            return await HardBudgetTests.CreateKeyAsync(gateway, "5/day");
        }
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), new { name = "no budget", models = new[] { "*" } }, TestContext.Current.CancellationToken);
        using var created = JsonDocument.Parse(await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        return created.RootElement.GetProperty("token").GetString()!;
    }

    private static async Task<(HttpStatusCode Status, string Text)> AskAsync(HttpClient client, string model = "fake/m")
    {
        using var response = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model, messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);
        return (response.StatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    // The ledger's sum; "unknown" where a call is in it whose cost nobody knows.
    private static async Task<string> CostAsync(TestGateway gateway)
    {
        await gateway.IdleAsync();
        using var usage = JsonDocument.Parse(await gateway.AdminClient.GetStringAsync(new Uri("admin/v1/usage?groupBy=model", UriKind.Relative), TestContext.Current.CancellationToken));
        var row = Assert.Single(usage.RootElement.GetProperty("rows").EnumerateArray());
        return row.GetProperty("unknownCostCalls").GetInt64() > 0 ? "unknown" : row.GetProperty("costDollars").GetDecimal().ToString("0.#########", System.Globalization.CultureInfo.InvariantCulture);
    }

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString().ReplaceLineEndings("\n"), error.ToString());
    }
}
