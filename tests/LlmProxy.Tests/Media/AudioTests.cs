using System.Net;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using TestSupport;
using static LlmProxy.Tests.Media.Forms;

namespace LlmProxy.Tests.Media;

public sealed class AudioTests
{
    private const string Speech = "/v1/audio/speech";
    private const string Transcriptions = "/v1/audio/transcriptions";

    private static readonly ModelPrice perCharacter = ProxyHost.Price(0, 0) with { UnitRates = [new UnitRate(UnitKind.Character, null, Money.FromDollars(15).Nano)] };
    private static readonly ModelPrice perMinute = ProxyHost.Price(0, 0) with { UnitRates = [new UnitRate(UnitKind.AudioSecond, null, Money.FromDollars(0.006m * 1_000_000 / 60).Nano)] };

    private static readonly ModelPrice tokens = ProxyHost.Price(2.5m, 10) with
    {
        Rates = new TokenRates { Input = Money.FromDollars(2.5m).Nano, Output = Money.FromDollars(10).Nano, AudioInput = Money.FromDollars(6).Nano },
        MaxInputTokens = 16_000,
        MaxOutputTokens = 2000,
    };

    [Fact]
    public async Task Speak_Sound_StreamsAsItComesAndIsBilledByCharacters()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perCharacter, Money.FromDollars(1));
        var more = new TaskCompletionSource();
        fake.Enqueue(new FakeReply { ContentType = "audio/mpeg", Pieces = [new FakePiece([1, 2, 3]), new FakePiece([4, 5], more.Task)] });

        using var response = await host.PostAsync("""{"model":"fake/m","input":"Grüße \ud83d\ude00!","voice":"alloy","response_format":"mp3"}""", path: Speech);
        await using var sound = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var first = new byte[3];
        await sound.ReadExactlyAsync(first, TestContext.Current.CancellationToken);
        more.SetResult();
        using var rest = new MemoryStream();
        await sound.CopyToAsync(rest, TestContext.Current.CancellationToken);

        Assert.Equal("audio/mpeg", response.Content.Headers.ContentType!.MediaType);
        Assert.Equal<byte>([1, 2, 3, 4, 5], [.. first, .. rest.ToArray()]);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Observed, UnitUsage.Of(UnitKind.Character, 8), new Money(8 * 15_000)), (row.Result.Source, row.Result.Usage.Units, row.Charged!.Value));
        Assert.Equal(row.Charged, row.Reserved);
    }

    [Fact]
    public async Task Speak_Events_TheLastOneIsBilled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        const string events = "data: {\"type\":\"speech.audio.delta\",\"audio\":\"AAAA\"}\n\ndata: {\"type\":\"speech.audio.done\",\"usage\":{\"input_tokens\":14,\"output_tokens\":101,\"total_tokens\":115}}\n\n";
        fake.Enqueue(FakeReply.Stream(events));

        using var response = await host.PostAsync("""{"model":"fake/m","input":"hi","voice":"alloy","stream_format":"sse"}""", path: Speech);

        Assert.Equal(events, await response.TextAsync());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, new Money((14 * 2500) + (101 * 10_000))), (row.Result.Source, row.Charged!.Value));
    }

    [Fact]
    public async Task Speak_SoundBreaksOff_ConnectionBreaksForTheClientToo()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perCharacter, Money.FromDollars(1));
        var heard = new TaskCompletionSource();
        fake.Enqueue(new FakeReply { ContentType = "audio/mpeg", Pieces = [new FakePiece([1, 2, 3]), new FakePiece([4], heard.Task)], Ending = FakeEnding.Abort, ContentLength = 1000 });

        using var response = await host.PostAsync("""{"model":"fake/m","input":"hi","voice":"alloy"}""", path: Speech);
        await using var sound = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        await sound.ReadExactlyAsync(new byte[3], TestContext.Current.CancellationToken);
        heard.SetResult();

        await Assert.ThrowsAnyAsync<Exception>(() => sound.CopyToAsync(Stream.Null, TestContext.Current.CancellationToken));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Broken, UsageSource.Reserved), (row.Result.Outcome, row.Result.Source));
    }

    [Fact]
    public async Task Speak_HardBudgetTooSmallForTheText_IsRefused()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perCharacter, Money.FromDollars(0.001m));

        using var response = await host.PostAsync($$"""{"model":"fake/m","input":"{{new string('x', 100)}}"}""", path: Speech);

        Assert.Equal((HttpStatusCode)429, response.StatusCode);
        Assert.Empty(fake.Requests);
    }

    [Theory]
    [InlineData("json", "application/json", """{"text":"Hallo","usage":{"type":"tokens","input_tokens":14,"input_token_details":{"text_tokens":4,"audio_tokens":10},"output_tokens":45,"total_tokens":59}}""", (4 * 2500L) + (10 * 6000) + (45 * 10_000))]
    [InlineData("sse", "text/event-stream", "data: {\"type\":\"transcript.text.delta\",\"delta\":\"Ha\"}\n\ndata: {\"type\":\"transcript.text.done\",\"text\":\"Hallo\",\"usage\":{\"type\":\"tokens\",\"input_tokens\":14,\"input_token_details\":{\"text_tokens\":4,\"audio_tokens\":10},\"output_tokens\":45,\"total_tokens\":59}}\n\ndata: [DONE]\n\n", (4 * 2500L) + (10 * 6000) + (45 * 10_000))]
    public async Task Transcribe_Tokens_AreBilledByModality(string format, string type, string answer, long nano)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        fake.Enqueue(new FakeReply { ContentType = type, Pieces = [answer] });
        var sound = new byte[50_000];
        Random.Shared.NextBytes(sound);

        using var response = await host.PostFormAsync(Transcriptions, Of(File("file", sound, "a.wav"), Field("stream", format == "sse" ? "true" : "false"), Field("model", "fake/m")));

        Assert.Equal(answer, await response.TextAsync());
        Assert.Equal(Of(File("file", sound, "a.wav"), Field("stream", format == "sse" ? "true" : "false"), Field("model", "m")), Assert.Single(fake.Requests).Body);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, new Money(nano), (16_000 * 6000L) + (2000 * 10_000)), (row.Result.Source, row.Charged!.Value, row.Reserved.Nano));
    }

    [Theory]
    [InlineData("""{"text":"Hallo","usage":{"type":"duration","seconds":9}}""", 9000L)]
    [InlineData("""{"task":"transcribe","language":"german","duration":8.470000267028809,"text":"Hallo","segments":[{"id":0,"tokens":[1,2]}]}""", 8471L)]
    [InlineData("""{"duration":"3.5","text":"Hallo","usage":{"type":"duration","seconds":4}}""", 4000L)]
    public async Task Transcribe_Seconds_AreBilledByTheMinute(string answer, long milliseconds)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perMinute, null);
        fake.Enqueue(FakeReply.Json(200, answer));

        using var response = await host.PostFormAsync(Transcriptions, Of(Field("model", "fake/m"), File("file", [1, 2, 3], "a.mp3")));

        Assert.Equal(answer, await response.TextAsync());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, new UnitUsage(UnitKind.AudioSecond, milliseconds), new Money(milliseconds * 100)), (row.Result.Source, row.Result.Usage.Units, row.Charged!.Value));
    }

    [Theory]
    [InlineData("text/plain; charset=utf-8", "Hallo\n")]
    [InlineData("text/vtt", "WEBVTT\n\n00:00:00.000 --> 00:00:02.000\nHallo\n")]
    [InlineData("application/x-subrip", "1\n00:00:00,000 --> 00:00:02,000\nHallo\n")]
    [InlineData("text/plain", "")]
    public async Task Transcribe_PlainText_PassesAndItsCostIsUnknownAndNotZero(string type, string answer)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perMinute, null);
        fake.Enqueue(new FakeReply { ContentType = type, Pieces = [answer] });

        using var response = await host.PostFormAsync("/v1/audio/translations", Of(Field("model", "fake/m"), File("file", [1, 2, 3], "a.mp3"), Field("response_format", "text")));

        Assert.Equal((HttpStatusCode.OK, answer), (response.StatusCode, await response.TextAsync()));
        Assert.Equal("/v1/audio/translations", Assert.Single(fake.Requests).Path);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Observed, null), (row.Result.Outcome, row.Result.Source, row.Charged));
    }

    [Fact]
    public async Task Transcribe_HardBudgetAndAPriceByTheMinute_IsRefusedNamingTheFile()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perMinute, Money.FromDollars(1));

        using var response = await host.PostFormAsync(Transcriptions, Of(Field("model", "fake/m"), File("file", [1, 2, 3], "a.mp3")));

        var text = await response.TextAsync();
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("'file' makes the cost of this request boundless", text, StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Transcribe_UpstreamRefuses_ItsErrorPassesUnchanged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Error(400, "Audio file might be corrupted or unsupported"));

        using var response = await host.PostFormAsync(Transcriptions, Of(Field("model", "fake/m"), File("file", [1, 2, 3], "a.mp3")));

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("corrupted", await response.TextAsync(), StringComparison.Ordinal);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Failed, Money.Zero), (row.Result.Outcome, row.Charged));
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, ModelPrice price, Money? budget) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Prices = [price], HardBudget = budget });
}
