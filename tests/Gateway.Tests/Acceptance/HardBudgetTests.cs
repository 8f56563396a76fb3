using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Shared.Pricing;
using TestSupport;

namespace Gateway.Tests.Acceptance;

/// <summary>A hard budget is never passed, whatever arrives at once, while providers spend all that they are allowed to.</summary>
public sealed class HardBudgetTests
{
    private static string Configuration(FakeProvider first, FakeProvider second) => $$"""
        providers:
          first: {baseUrl: "{{first.BaseAddress}}", models: [m], maxRetries: 0}
          second: {baseUrl: "{{second.BaseAddress}}", models: [m], maxRetries: 0}
        routes:
          mixed: {targets: [first/m, second/m]}
        prices:
          - {provider: first, model: m, input: 1, output: 10, maxOutputTokens: 1000, source: test}
          - {provider: second, model: m, input: 2, output: 20, maxOutputTokens: 1000, source: test}
        """;

    private static readonly ModelPrice First = Price("first", 1, 10), Second = Price("second", 2, 20);

    [Fact]
    public async Task TwoHundredAtOnce_ProvidersSpendTheWholeLimit_TotalStaysWithinTheBudgetAndUsesIt()
    {
        var token = TestContext.Current.CancellationToken;
        await using var first = await FakeProvider.StartAsync(token);
        await using var second = await FakeProvider.StartAsync(token);
        first.SpendTheLimit(First);
        second.SpendTheLimit(Second);
        var spend = first.Otherwise;
        var turn = 0;
        // Every third call of the first provider fails, so that the dearer one is asked.
        first.Otherwise = request => Interlocked.Increment(ref turn) % 3 == 0 ? FakeReply.Error(503) : spend(request);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = Configuration(first, second) }, token);
        var budget = Money.FromDollars(1);
        var key = await CreateKeyAsync(gateway, "1/30d");
        using var client = gateway.NewClient(key);

        var answers = await Task.WhenAll(Enumerable.Range(0, 200).Select(i => AskAsync(client, i)));

        Assert.Contains(HttpStatusCode.OK, answers);
        Assert.All(answers, status => Assert.True(status is HttpStatusCode.OK or HttpStatusCode.TooManyRequests or HttpStatusCode.ServiceUnavailable, $"{status}"));
        Assert.Contains(HttpStatusCode.TooManyRequests, answers);
        var billed = first.Billed + second.Billed;
        Assert.True(billed <= budget, $"{billed} of {budget} USD were billed.");
        var usage = await UsageAsync(gateway);
        Assert.Equal(billed, usage);

        // Now one after the other, until nothing fits any more: what is left is less than one reservation.
        while (await AskAsync(client, 0) == HttpStatusCode.OK)
        {
            Assert.True(first.Billed + second.Billed <= budget);
        }
        billed = first.Billed + second.Billed;
        Assert.True(billed <= budget, $"{billed} of {budget} USD were billed.");
        var reservation = First.UpperBound(Body(0).Length + 64, 16);
        Assert.True(budget - billed < reservation, $"{budget - billed} USD are left, and a call needs only {reservation}.");
    }

    [Fact]
    public async Task HundredEmbeddingsAtOnce_EveryByteIsAToken_TotalStaysWithinTheBudgetAndUsesIt()
    {
        var token = TestContext.Current.CancellationToken;
        await using var provider = await FakeProvider.StartAsync(token);
        long tokens = 0;
        // The worst that a tokenizer can do, and no more than the bound: a token for each byte of a text, one for each number.
        provider.Otherwise = request =>
        {
            var used = TokensOf(request.Json.GetProperty("input"));
            Interlocked.Add(ref tokens, used);
            return FakeReply.Json(200, $$"""{"object":"list","data":[],"model":"m","usage":{"prompt_tokens":{{used}},"total_tokens":{{used}} } }""");
        };
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = Configuration(provider, provider) }, token);
        var budget = Money.FromDollars(0.01m); // 10,000 tokens at 1 dollar per million; the calls together would use more than twice that
        using var client = gateway.NewClient(await CreateKeyAsync(gateway, "0.01/30d"));

        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(EmbedAsync));

        Assert.All(answers, status => Assert.True(status is HttpStatusCode.OK or HttpStatusCode.TooManyRequests, $"{status}"));
        Assert.Contains(HttpStatusCode.OK, answers);
        Assert.Contains(HttpStatusCode.TooManyRequests, answers);
        Assert.True(Billed() <= budget, $"{Billed()} of {budget} USD were billed.");
        while (await EmbedAsync(0) == HttpStatusCode.OK)
        {
            Assert.True(Billed() <= budget);
        }
        Assert.Equal(Billed(), await UsageAsync(gateway));
        Assert.True(budget - Billed() < new Money(EmbeddingBody(0).Length * 1000L), $"{budget - Billed()} USD are left, and a call needs no more than a token for each byte.");

        Money Billed() => new(Interlocked.Read(ref tokens) * 1000);

        async Task<HttpStatusCode> EmbedAsync(int i)
        {
            using var content = new StringContent(EmbeddingBody(i), System.Text.Encoding.UTF8, "application/json");
            using var response = await client.PostAsync(new Uri("v1/embeddings", UriKind.Relative), content, token);
            await response.Content.ReadAsByteArrayAsync(token);
            return response.StatusCode;
        }

        static string EmbeddingBody(int i) => JsonSerializer.Serialize(new
        {
            model = "first/m",
            input = (i % 3) switch
            {
                0 => (object)new string('z', 300),
                1 => new[] { new string('y', 150), new string('x', 50) },
                _ => Enumerable.Range(100_000, 200).ToArray(),
            },
        });

        static long TokensOf(JsonElement input) => input.ValueKind switch
        {
            JsonValueKind.String => System.Text.Encoding.UTF8.GetByteCount(input.GetString()!),
            JsonValueKind.Number => 1,
            _ => input.EnumerateArray().Sum(TokensOf),
        };
    }

    [Fact]
    public async Task LimitAbsent_GatewayLowersItToWhatTheBudgetAffordsAndSaysSo()
    {
        var token = TestContext.Current.CancellationToken;
        await using var first = await FakeProvider.StartAsync(token);
        first.SpendTheLimit(First);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = Configuration(first, first) }, token);
        using var client = gateway.NewClient(await CreateKeyAsync(gateway, "0.004/30d"));

        using var response = await client.PostAsync(new Uri("v1/chat/completions", UriKind.Relative), JsonContent.Create(new { model = "first/m", messages = new[] { new { role = "user", content = "Hi" } } }), token);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var limit = long.Parse(Assert.Single(response.Headers.GetValues("x-gateway-output-limit")), CultureInfo.InvariantCulture);
        Assert.InRange(limit, 300, 400);
        Assert.Equal(limit, Assert.Single(first.Requests).Json.GetProperty("max_tokens").GetInt64());
        Assert.True(first.Billed <= Money.FromDollars(0.004m));
    }

    internal static async Task<string> CreateKeyAsync(TestGateway gateway, string budget)
    {
        var (limit, per) = budget.Split('/') is [var amount, var unit] ? (amount, unit) : throw new ArgumentException(budget);
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative),
            new { name = "test", models = new[] { "*" }, tools = new[] { "*" }, budgets = new[] { new { limit, per } } }, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.Created, text);
        using var created = JsonDocument.Parse(text);
        return created.RootElement.GetProperty("token").GetString()!;
    }

    private static ModelPrice Price(string provider, long input, long output) => new()
    {
        Provider = provider,
        Model = "m",
        Version = "test",
        Rates = new TokenRates { Input = input * Money.NanoPerDollar, Output = output * Money.NanoPerDollar },
    };

    private static string Body(int i)
    {
        Dictionary<string, object> body = (i % 5) switch
        {
            0 => [],
            1 => new() { ["max_tokens"] = 300 },
            2 => new() { ["n"] = 4 },
            3 => new() { ["n"] = 4, ["max_completion_tokens"] = 100 },
            _ => new() { ["stream"] = true },
        };
        body["model"] = "mixed";
        body["messages"] = new[] { new { role = "user", content = $"Request {i}" } };
        return JsonSerializer.Serialize(body);
    }

    private static async Task<HttpStatusCode> AskAsync(HttpClient client, int i)
    {
        using var content = new StringContent(Body(i), System.Text.Encoding.UTF8, "application/json");
        using var response = await client.PostAsync(new Uri("v1/chat/completions", UriKind.Relative), content, TestContext.Current.CancellationToken);
        await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        return response.StatusCode;
    }

    private static async Task<Money> UsageAsync(TestGateway gateway)
    {
        await gateway.IdleAsync();
        using var usage = JsonDocument.Parse(await gateway.AdminClient.GetStringAsync(new Uri("admin/v1/usage?groupBy=model", UriKind.Relative), TestContext.Current.CancellationToken));
        return usage.RootElement.GetProperty("rows").EnumerateArray().Aggregate(Money.Zero, (sum, row) => sum + Money.FromDollars(row.GetProperty("costDollars").GetDecimal()));
    }
}
