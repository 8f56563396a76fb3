using System.Net.Http.Json;
using Microsoft.Data.Sqlite;
using Shared.Pricing;
using Shared.VirtualKeys;
using TestSupport;

namespace Gateway.Tests.Acceptance;

/// <summary>A process that dies under load loses no record, and its successor overruns nothing.</summary>
public sealed class CrashTests
{
    private static readonly ModelPrice Price = new()
    {
        Provider = "fake",
        Model = "m",
        Version = "test",
        Rates = new TokenRates { Input = 1 * Money.NanoPerDollar, Output = 10 * Money.NanoPerDollar },
    };

    [Fact]
    public async Task KilledUnderLoad_EveryServedCallHasARow_AndTheNextProcessKeepsTheBudget()
    {
        var token = TestContext.Current.CancellationToken;
        await using var provider = await FakeProvider.StartAsync(token);
        provider.SpendTheLimit(Price);
        using var folder = new TemporaryFolder();
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"), $$"""
            providers:
              fake: {baseUrl: "{{provider.BaseAddress}}", models: [m], maxRetries: 0}
            prices:
              - {provider: fake, model: m, input: 1, output: 10, maxOutputTokens: 1000, source: test}
            keys:
              loaded:
                key: ${env:CRASH_TEST_KEY}
                models: ["*"]
                budgets: [{limit: 5, per: 30d}]
            """, token);
        var key = KeyToken.NewVirtualKey().Token;
        var environment = new Dictionary<string, string?> { ["CRASH_TEST_KEY"] = key };

        var served = 0;
        await using (var first = await GatewayProcess.ServeAsync(folder.Path, environment, token))
        {
            using var load = CancellationTokenSource.CreateLinkedTokenSource(token);
            var callers = Enumerable.Range(0, 16).Select(_ => CallUntilGoneAsync(first.BaseAddress, key, () => Interlocked.Increment(ref served), load.Token)).ToList();
            await provider.WaitForRequestsAsync(200);
            await first.KillAsync();
            await load.CancelAsync();
            await Task.WhenAll(callers);
        }

        var seen = provider.Requests.Count;
        Assert.True(served > 0 && seen >= served);
        var billed = provider.Billed;
        await using var second = await GatewayProcess.ServeAsync(folder.Path, environment, token);
        var (rows, cost) = ReadLedger(folder.Path);
        Assert.True(rows >= seen, $"The provider served {seen} calls, and {rows} have a row.");
        Assert.True(cost >= billed, $"{billed} USD were billed, and the ledger knows of {cost}.");

        // The key has 5 dollars. Whatever is left of them, and no more, can still be spent.
        await CallUntilGoneAsync(second.BaseAddress, key, () => { }, token);
        Assert.True(provider.Billed <= Money.FromDollars(5), $"{provider.Billed} USD were billed of 5.");
    }

    private static async Task CallUntilGoneAsync(Uri address, string key, Action answered, CancellationToken cancellationToken)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = address };
        client.DefaultRequestHeaders.Authorization = new("Bearer", key);
        try
        {
            for (var i = 0; i < 10_000; i++)
            {
                using var response = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative),
                    new { model = "fake/m", max_completion_tokens = 200, messages = new[] { new { role = "user", content = "Hi" } } }, cancellationToken);
                if (!response.IsSuccessStatusCode)
                {
                    return;
                }
                answered();
            }
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException)
        {
            // The process was killed.
        }
    }

    private static (long Rows, Money Cost) ReadLedger(string folder)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "data", "gateway.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT COUNT(*), SUM(CASE settled WHEN 0 THEN reserved_nano ELSE cost_nano END) FROM attempts";
        using var reader = command.ExecuteReader();
        reader.Read();
        return (reader.GetInt64(0), new Money(reader.GetInt64(1)));
    }
}
