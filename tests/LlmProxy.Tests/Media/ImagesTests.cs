using System.Net;
using System.Text;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;
using static LlmProxy.Tests.Media.Forms;

namespace LlmProxy.Tests.Media;

public sealed class ImagesTests
{
    private const string Generations = "/v1/images/generations";
    private const string Edits = "/v1/images/edits";

    private const string Pictures = """
        {"created":1,"background":"opaque","data":[{"b64_json":"AAAA"}],"quality":"low","size":"1024x1024","usage":{"input_tokens":50,"input_tokens_details":{"image_tokens":40,"text_tokens":10},"output_tokens":272,"total_tokens":322}}
        """;

    private static readonly ModelPrice tokens = ProxyHost.Price(5, 40) with
    {
        Rates = new TokenRates { Input = Money.FromDollars(5).Nano, Output = Money.FromDollars(40).Nano, ImageInput = Money.FromDollars(10).Nano },
        MaxOutputTokens = 6240,
        MaxImageTokens = 6500,
    };

    private static readonly ModelPrice perPicture = ProxyHost.Price(0, 0) with
    {
        UnitRates =
        [
            new UnitRate(UnitKind.Image, null, Money.FromDollars(40_000).Nano),
            new UnitRate(UnitKind.Image, "hd", Money.FromDollars(80_000).Nano),
            new UnitRate(UnitKind.Image, "hd/1024x1792", Money.FromDollars(120_000).Nano),
        ],
    };

    public static TheoryData<string, string> BadForms => new()
    {
        { "no model", Text(Field("prompt", "p")) },
        { "model twice", Text(Field("model", "fake/a"), Field("model", "fake/b")) },
        { "a model that is a file", Text(("model", "m.txt", "fake/m"u8.ToArray())) },
        { "a count that is no number", Text(Field("model", "fake/m"), Field("n", "2.5")) },
        { "no boundary at the start", "x" + Text(Field("model", "fake/m")) },
        { "no end", Text(Field("model", "fake/m"))[..^8] },
        { "something after the end", Text(Field("model", "fake/m")) + $"--{Boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nfake/dear\r\n--{Boundary}--" },
        { "a boundary that only some readers see", Text(Field("model", "fake/m"), Field("prompt", $"p\n--{Boundary}\nContent-Disposition: form-data; name=\"model\"\n\nfake/dear")) },
        { "a name in another charset", Text(Field("model", "fake/m")).Replace("name=\"model\"", "name*=utf-8''model", StringComparison.Ordinal) },
        { "two names", Text(Field("model", "fake/m")).Replace("name=\"model\"", "name=\"model\"; name=\"prompt\"", StringComparison.Ordinal) },
        { "an escaped name", Text(Field("model", "fake/m"), Field("mo\\del", "fake/dear")) },
        { "a folded header", Text(Field("model", "fake/m")).Replace("; name=", ";\r\n name=", StringComparison.Ordinal) },
        { "two dispositions", Text(Field("model", "fake/m")).Replace("\r\n\r\nfake", "\r\nContent-Disposition: form-data; name=\"x\"\r\n\r\nfake", StringComparison.Ordinal) },
        { "an encoded field", Text(Field("model", "fake/m")).Replace("\r\n\r\nfake", "\r\nContent-Transfer-Encoding: base64\r\n\r\nfake", StringComparison.Ordinal) },
    };

    [Fact]
    public async Task Generate_TokensAreReported_AreBilledByModality()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, Pictures));

        using var response = await host.PostAsync("""{"model":"fake/m","prompt":"a cat","n":2,"quality":"low"}""", path: Generations);

        Assert.Equal((HttpStatusCode.OK, Pictures), (response.StatusCode, await response.TextAsync()));
        Assert.Equal("""{"model":"m","prompt":"a cat","n":2,"quality":"low"}""", Encoding.UTF8.GetString(Assert.Single(fake.Requests).Body));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((10L, 40L, 272L), (row.Result.Usage.Input, row.Result.Usage.ImageInput, row.Result.Usage.Output));
        Assert.Equal(new Money((10 * 5000L) + (40 * 10_000L) + (272 * 40_000L)), row.Charged);
        Assert.Equal(new Money((57 * 10_000L) + (2 * 6240 * 40_000L)), row.Reserved); // the body's bytes at the dearest input, two pictures at the most tokens
    }

    [Theory]
    [InlineData("""{"model":"fake/m","prompt":"x","n":2}""", 80_000_000L)]
    [InlineData("""{"model":"fake/m","prompt":"x","n":2,"quality":"hd"}""", 160_000_000L)]
    [InlineData("""{"model":"fake/m","prompt":"x","n":2,"quality":"hd","size":"1024x1792"}""", 240_000_000L)]
    [InlineData("""{"model":"fake/m","prompt":"x","n":2,"quality":"hd","size":"512x512"}""", 160_000_000L)]
    public async Task Generate_NoUsageIsReported_PicturesAreCountedAtTheirVariant(string body, long nano)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, perPicture, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, """{"created":1,"data":[{"url":"https://example.com/1"},{"url":"https://example.com/2"}]}"""));

        using var response = await host.PostAsync(body, path: Generations);

        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Observed, new Money(nano)), (row.Result.Source, row.Charged));
        Assert.Equal(new Money(240_000_000), row.Reserved);
    }

    [Fact]
    public async Task Generate_HardBudgetAndNoMaximumInThePrice_IsRefusedNamingTheModel()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens with { MaxOutputTokens = null }, Money.FromDollars(1));

        using var response = await host.PostAsync("""{"model":"fake/m","prompt":"x"}""", path: Generations);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        var text = await response.TextAsync();
        Assert.Contains("unbounded_cost", text, StringComparison.Ordinal);
        Assert.Contains("'model'", text, StringComparison.Ordinal);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task Generate_RouteFixesAReservation_IsServedUnderIt()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)],
            Routes = [new Route { Name = "painter", Targets = [new Target("fake", "m")], FixedReservation = Money.FromDollars(0.5m) }],
            Prices = [tokens with { MaxOutputTokens = null }],
            HardBudget = Money.FromDollars(1),
        });
        fake.Enqueue(FakeReply.Json(200, Pictures));

        using var response = await host.PostAsync("""{"model":"painter","prompt":"x"}""", path: Generations);

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Money.FromDollars(0.5m), Assert.Single(await host.Ledger.RowsAsync(1)).Reserved);
    }

    [Fact]
    public async Task Generate_Stream_EventsPassAsTheyComeAndTheLastOneIsBilled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        var more = new TaskCompletionSource();
        const string partial = "event: image_generation.partial_image\ndata: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\",\"partial_image_index\":0}\n\n";
        const string last = "event: image_generation.completed\ndata: {\"type\":\"image_generation.completed\",\"b64_json\":\"AAAA\",\"size\":\"1024x1024\",\"usage\":{\"input_tokens\":50,\"output_tokens\":372,\"total_tokens\":422,\"input_tokens_details\":{\"text_tokens\":10,\"image_tokens\":40}}}\n\n";
        fake.Enqueue(FakeReply.Stream(partial, new FakePiece(Encoding.UTF8.GetBytes(last), more.Task)));

        using var response = await host.PostAsync("""{"model":"fake/m","prompt":"x","stream":true,"partial_images":1}""", path: Generations);
        await using var stream = await response.Content.ReadAsStreamAsync(TestContext.Current.CancellationToken);
        var first = new byte[Encoding.UTF8.GetByteCount(partial)];
        await stream.ReadExactlyAsync(first, TestContext.Current.CancellationToken);
        more.SetResult();
        using var rest = new StreamReader(stream);

        Assert.Equal(partial, Encoding.UTF8.GetString(first));
        Assert.Equal(last, await rest.ReadToEndAsync(TestContext.Current.CancellationToken));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 372L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.Output));
        Assert.Equal(new Money((10 * 5000L) + (40 * 10_000L) + (372 * 40_000L)), row.Charged);
    }

    [Fact]
    public async Task Generate_StreamIsCutShort_EndsWithAnErrorEventAndIsChargedAsReserved()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Stream("data: {\"type\":\"image_generation.partial_image\",\"b64_json\":\"AA\"}\n\n"));

        using var response = await host.PostAsync("""{"model":"fake/m","prompt":"x","stream":true}""", path: Generations);

        Assert.Contains("event: error\ndata: {\"error\":", await response.TextAsync(), StringComparison.Ordinal);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Broken, UsageSource.Reserved, row.Reserved), (row.Result.Outcome, row.Result.Source, row.Charged!.Value));
    }

    [Fact]
    public async Task Generate_ClientLeaves_UpstreamIsCancelled()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, null);
        fake.Enqueue(FakeReply.Hang);
        using var cancel = new CancellationTokenSource();

        var asked = host.PostAsync("""{"model":"fake/m","prompt":"x"}""", cancel.Token, path: Generations);
        await fake.WaitForRequestsAsync(1);
        await cancel.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await fake.Requests[0].AbortedAsync();
        Assert.Equal(CallOutcome.Cancelled, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Outcome);
    }

    [Theory]
    [InlineData(Edits, "/v1/images/edits")]
    [InlineData("/v1/images/variations", "/v1/images/variations")]
    public async Task Edit_Form_PassesToTheByteSaveForTheModel(string path, string upstream)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, Money.FromDollars(1));
        fake.Enqueue(FakeReply.Json(200, Pictures));
        // The file comes first, holds line breaks and what looks like a field, and the model comes last: as some clients send it.
        byte[] picture = [.. "\x89PNG\r\n--\r\n--fence\r\nname=\"model\"\r\n\r\n\0"u8, .. Enumerable.Range(0, 5000).Select(i => (byte)(i * 31))];
        var form = Of(File("image[]", picture), File("image[]", picture), Field("prompt", "é漢😀"), Field("n", "2"), Field("model", "fake/m"));

        using var response = await host.PostFormAsync(path, form);

        Assert.Equal((HttpStatusCode.OK, Pictures), (response.StatusCode, await response.TextAsync()));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(Of(File("image[]", picture), File("image[]", picture), Field("prompt", "é漢😀"), Field("n", "2"), Field("model", "m")), received.Body);
        Assert.Equal((upstream, ContentType), (received.Path, received.Headers["Content-Type"]));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        // The fields' bytes and two pictures at the most tokens each, and two pictures out.
        Assert.Equal(new Money(((9 + 1 + 6 + (2 * 6500)) * 10_000L) + (2 * 6240 * 40_000L)), row.Reserved);
    }

    [Fact]
    public async Task Edit_NoModelToReplace_UpstreamReceivesTheVeryBytes()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)],
            Routes = [new Route { Name = "m", Targets = [new Target("fake", "m")] }],
        });
        fake.Enqueue(FakeReply.Json(200, Pictures));
        var form = Of(Field("model", "m"), File("image", new byte[70_000]), Field("stream", "false"));

        using var response = await host.PostFormAsync(Edits, form);

        Assert.Equal(form, Assert.Single(fake.Requests).Body);
    }

    [Fact]
    public async Task Edit_FirstTargetFails_TheNextOneGetsTheWholeForm()
    {
        await using var failing = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var healthy = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        failing.Otherwise = _ => FakeReply.Reset;
        healthy.Enqueue(FakeReply.Json(200, Pictures));
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(failing, "one"), ProxyHost.Provider(healthy, "two")],
            Routes = [new Route { Name = "painter", Targets = [new Target("one", "a"), new Target("two", "b")] }],
        });
        var picture = new byte[300_000];
        Random.Shared.NextBytes(picture);

        using var response = await host.PostFormAsync(Edits, Of(File("image", picture), Field("model", "painter")));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(Of(File("image", picture), Field("model", "b")), Assert.Single(healthy.Requests).Body);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Edit_TwentyMegabytes_AreHeldOnce(bool hasHardBudget)
    {
        await using var upstream = await Sink.StartAsync(Pictures);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [new Provider { Id = "fake", Dialect = "openai-chat", BaseAddress = upstream.BaseAddress, MaxRetries = 0, Origin = "test" }],
            Prices = [tokens],
            HardBudget = hasHardBudget ? Money.FromDollars(100) : null,
        });
        var form = Of(File("image", new byte[20_000_000]), Field("model", "fake/m"));

        using var response = await host.PostFormAsync(Edits, form);

        Assert.Equal(Pictures, await response.TextAsync());
        await host.RequestEndedAsync();
        Assert.Equal(form.Length - "fake/".Length, upstream.Received);
        // The form and the answer, each once.
        Assert.InRange(host.Memory.Peak, form.Length, form.Length + 10_000);
        Assert.Equal(0, host.Memory.Held);
    }

    [Theory]
    [MemberData(nameof(BadForms))]
    public async Task Edit_BadForm_IsA400AndNothingIsSent(string what, string form)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, null);

        using var response = await host.PostFormAsync(Edits, Encoding.Latin1.GetBytes(form));

        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, $"{what}: {response.StatusCode} {await response.TextAsync()}");
        Assert.Empty(fake.Requests);
        Assert.Empty(host.Ledger.Rows);
    }

    [Theory]
    [InlineData("multipart/form-data")]
    [InlineData("multipart/form-data; boundary=")]
    [InlineData("multipart/form-data; boundary=a; boundary=b")]
    [InlineData("multipart/form-data; boundary=\"a b\"")]
    public async Task Edit_BoundaryIsUnclear_IsA400(string contentType)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, tokens, null);

        using var response = await host.PostFormAsync(Edits, Of(Field("model", "fake/m")), contentType);

        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Contains("boundary", await response.TextAsync(), StringComparison.Ordinal);
    }

    private static string Text(params (string, string?, byte[])[] parts) => Encoding.Latin1.GetString(Of(parts));

    private static Task<ProxyHost> StartAsync(FakeProvider fake, ModelPrice price, Money? budget) =>
        ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Prices = [price], HardBudget = budget });
}
