using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Usage;

/// <summary>A client that leaves ends the provider's call at once, and what was produced is charged: for each pair of formats, relayed and translated, streamed or not.</summary>
public sealed class CancelledClientTests
{
    private static readonly ModelPrice price = ProxyHost.Price(3, 15) with { MaxOutputTokens = 4096 };

    public static TheoryData<string, string, bool, UnknownUsagePolicy> Ways
    {
        get
        {
            var ways = new TheoryData<string, string, bool, UnknownUsagePolicy>();
            foreach (var dialect in RecordedTraffic.Dialects)
            {
                foreach (var client in RecordedTraffic.Dialects)
                {
                    foreach (var stream in (bool[])[false, true])
                    {
                        ways.Add(dialect, client, stream, UnknownUsagePolicy.Reserved);
                        ways.Add(dialect, client, stream, UnknownUsagePolicy.Observed);
                    }
                }
            }
            return ways;
        }
    }

    [Theory]
    [MemberData(nameof(Ways))]
    public async Task Call_ClientLeaves_TheProvidersCallEndsAndWhatWasProducedIsCharged(string dialect, string client, bool stream, UnknownUsagePolicy policy)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(Vendor.Setup(fake, dialect) with { Prices = [price], HardBudget = Money.FromDollars(100), Settings = new GatewaySettings { UnknownUsage = policy } });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        // What vendors say at the beginning: the input, and hardly any output.
        var first = dialect == RecordedTraffic.Gemini ? """{"promptTokenCount":12,"totalTokenCount":12}""" : """{"input_tokens":12,"output_tokens":1}""";
        if (stream)
        {
            fake.Enqueue(Vendor.Stream(dialect, Vendor.Events(dialect, first, "{}", null, 0).Begin) with { Ending = FakeEnding.Hang });
            using var response = await host.PostAsync(Vendor.Ask(client, stream), leaving.Token, path: Vendor.PathOf(client, stream));
            await using var content = await response.Content.ReadAsStreamAsync(leaving.Token);
            Assert.NotEqual(0, await content.ReadAsync(new byte[4096], leaving.Token));
            await leaving.CancelAsync();
        }
        else
        {
            var half = Vendor.Answer(dialect, "{}", null, 0)[..60];
            fake.Enqueue(FakeReply.Json(200, half) with { ContentLength = null, Ending = FakeEnding.Hang });
            var asked = host.PostAsync(Vendor.Ask(client, stream), leaving.Token, path: Vendor.PathOf(client, stream));
            await fake.WaitForRequestsAsync(1);
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        }

        await fake.Requests[0].AbortedAsync();

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, "cancelled"), (row.Result.Outcome, row.Result.Error));
        if (policy == UnknownUsagePolicy.Reserved)
        {
            Assert.Equal((UsageSource.Reserved, row.Reserved), (row.Result.Source, row.Charged!.Value));
        }
        else
        {
            Assert.Equal(UsageSource.Observed, row.Result.Source);
            // Twelve tokens went in, and two bytes of text came out at the least.
            var least = stream ? new Money((12 * 3_000) + (2 * 15_000)) : new Money(12 * 3_000);
            Assert.InRange(row.Charged!.Value.Nano, least.Nano, row.Reserved.Nano);
        }
    }

    /// <summary>What was reported to its end before the client left is charged as that.</summary>
    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Stream_ClientLeavesAfterTheUsageWasSaid_ItIsChargedAsReported(bool translated)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(Vendor.Setup(fake, RecordedTraffic.Anthropic) with { Prices = [price], HardBudget = Money.FromDollars(100) });
        using var leaving = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        var (begin, end) = Vendor.Events(RecordedTraffic.Anthropic, """{"input_tokens":12,"output_tokens":1}""", """{"output_tokens":7}""", null, 0);
        fake.Enqueue(Vendor.Stream(RecordedTraffic.Anthropic, [.. begin, .. end[..^1]]) with { Ending = FakeEnding.Hang });
        var client = translated ? RecordedTraffic.OpenAiChat : RecordedTraffic.Anthropic;

        using (var response = await host.PostAsync(Vendor.Ask(client, true), leaving.Token, path: Vendor.PathOf(client, true)))
        {
            await using var content = await response.Content.ReadAsStreamAsync(leaving.Token);
            using var reader = new StreamReader(content);
            var last = translated ? "\"finish_reason\":\"stop\"" : "message_delta";
            while (await reader.ReadLineAsync(leaving.Token) is { } line && !line.Contains(last, StringComparison.Ordinal))
            {
            }
            await leaving.CancelAsync();
        }
        await fake.Requests[0].AbortedAsync();

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, UsageSource.Reported, new Money((12 * 3_000) + (7 * 15_000))), (row.Result.Outcome, row.Result.Source, row.Charged!.Value));
    }
}
