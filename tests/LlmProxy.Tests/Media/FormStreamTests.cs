using System.Net;
using System.Net.Http.Headers;
using System.Text;
using CsCheck;
using LlmProxy.Media;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;
using static LlmProxy.Tests.Media.Forms;

namespace LlmProxy.Tests.Media;

/// <summary>Large forms go up while they come in.</summary>
public sealed class FormStreamTests
{
    private const string Transcriptions = "/v1/audio/transcriptions";
    private const string Edits = "/v1/images/edits";
    private const string Answer = """{"text":"Hallo"}""";
    private const string Pictures = """{"created":1,"data":[{"b64_json":"AAAA"}],"usage":{"input_tokens":10,"output_tokens":20,"total_tokens":30}}""";

    private static readonly byte[] sound = Random(3_000_000);

    [Fact]
    public async Task Send_LargeForm_ReachesTheProviderWhileItComesIn()
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await StartAsync(upstream);
        var form = Of(Field("model", "fake/m"), File("file", sound, "a.wav"), Field("language", "de"));
        using var content = new SlowContent(form, pauseAt: 2_000_000, upstream.ReceivedAsync(1_500_000));

        using var response = await SendAsync(host, Transcriptions, content);

        // The client sent its second half after the provider had received the first.
        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        Assert.Equal(form.Length - "fake/".Length, upstream.Received);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Send_FormThatIsLargerThanWhatMayBeHeld_PassesAndLittleOfItIsHeld(bool hasLength)
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await StartAsync(upstream, new GatewaySettings { MaxBodyBytes = 4 * 1024 * 1024, MaxUploadBytes = 64 * 1024 * 1024 });
        var form = Of(Field("model", "fake/m"), File("file", Random(40_000_000), "a.wav"));
        using var content = new SlowContent(form, 0, Task.CompletedTask) { HasLength = hasLength };

        using var response = await SendAsync(host, Transcriptions, content);

        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        await host.RequestEndedAsync();
        Assert.Equal(form.Length - "fake/".Length, upstream.Received);
        Assert.InRange(host.Memory.Peak, 1, 4 * 1024 * 1024 + 10_000);
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task Send_FormBeyondTheLimitOfUploads_IsA413()
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await StartAsync(upstream, new GatewaySettings { MaxBodyBytes = 2 * 1024 * 1024, MaxUploadBytes = 3 * 1024 * 1024 });
        var form = Of(Field("model", "fake/m"), File("file", Random(4_000_000), "a.wav"));

        using var known = await SendAsync(host, Transcriptions, new SlowContent(form, 0, Task.CompletedTask));
        using var unknown = await SendAsync(host, Transcriptions, new SlowContent(form, 0, Task.CompletedTask) { HasLength = false });

        foreach (var response in (HttpResponseMessage[])[known, unknown])
        {
            Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
            Assert.Contains("limits.maxUploadBytes", await response.TextAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Send_ModelAfterAFileThatCannotBeHeld_IsA413ThatSaysWhatToDo()
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await StartAsync(upstream, new GatewaySettings { MaxBodyBytes = 2 * 1024 * 1024, MaxUploadBytes = 64 * 1024 * 1024 });

        using var response = await SendAsync(host, Transcriptions, new SlowContent(Of(File("file", Random(6_000_000), "a.wav"), Field("model", "fake/m")), 0, Task.CompletedTask));

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Contains("'model' comes before the file", await response.TextAsync(), StringComparison.Ordinal);
        await host.RequestEndedAsync();
        Assert.Equal((0, 0), (upstream.Received, host.Memory.Held));
    }

    [Fact]
    public async Task Send_ModelAfterTheFile_IsHeldAndPasses()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)] });
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostFormAsync(Transcriptions, Of(File("file", sound, "a.wav"), Field("model", "fake/m")));

        Assert.Equal(Answer, await response.TextAsync());
        Assert.Equal(Of(File("file", sound, "a.wav"), Field("model", "m")), Assert.Single(fake.Requests).Body);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    public async Task Send_FirstTargetFails_TheNextOneGetsTheWholeForm(int retries)
    {
        await using var failing = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var healthy = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        failing.Otherwise = _ => FakeReply.Error(503);
        healthy.Enqueue(FakeReply.Json(200, Answer));
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(failing, "one", retries), ProxyHost.Provider(healthy, "two")],
            Routes = [new Route { Name = "scribe", Targets = [new Target("one", "a"), new Target("two", "b")] }],
        });

        using var response = await host.PostFormAsync(Transcriptions, Of(Field("model", "scribe"), File("file", sound, "a.wav"), Field("language", "de")));

        Assert.Equal((HttpStatusCode.OK, "two"), (response.StatusCode, response.Header("x-gateway-provider")));
        Assert.Equal(retries + 1, failing.Requests.Count);
        Assert.Equal(Of(Field("model", "b"), File("file", sound, "a.wav"), Field("language", "de")), Assert.Single(healthy.Requests).Body);
        await host.RequestEndedAsync();
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task Send_TargetFailsAfterTheBeginningWasLetGo_ItsErrorIsTheAnswer()
    {
        await using var failing = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var other = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        failing.Otherwise = _ => FakeReply.Error(503, "Overloaded.");
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(failing, "one", retries: 2), ProxyHost.Provider(other, "two")],
            Routes = [new Route { Name = "scribe", Targets = [new Target("one", "a"), new Target("two", "b")] }],
            Settings = new GatewaySettings { MaxBodyBytes = 2 * 1024 * 1024, MaxUploadBytes = 64 * 1024 * 1024 },
        });

        using var response = await host.PostFormAsync(Transcriptions, Of(Field("model", "scribe"), File("file", Random(6_000_000), "a.wav")));

        Assert.Equal(HttpStatusCode.ServiceUnavailable, response.StatusCode);
        Assert.Contains("Overloaded.", await response.TextAsync(), StringComparison.Ordinal);
        Assert.Single(failing.Requests);
        Assert.Empty(other.Requests);
    }

    [Fact]
    public async Task Send_ConnectionIsRefused_TheNextTargetGetsEvenAFormThatCannotBeHeld()
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers =
            [
                new Provider { Id = "one", Dialect = "openai-chat", BaseAddress = new Uri($"http://127.0.0.1:{FreePort.Next()}/v1"), MaxRetries = 0, Origin = "test" },
                new Provider { Id = "two", Dialect = "openai-chat", BaseAddress = upstream.BaseAddress, MaxRetries = 0, Origin = "test" },
            ],
            Routes = [new Route { Name = "scribe", Targets = [new Target("one", "a"), new Target("two", "b")] }],
            Settings = new GatewaySettings { MaxBodyBytes = 2 * 1024 * 1024, MaxUploadBytes = 64 * 1024 * 1024 },
        });
        var form = Of(Field("model", "scribe"), File("file", Random(6_000_000), "a.wav"));

        using var response = await host.PostFormAsync(Transcriptions, form);

        Assert.Equal((HttpStatusCode.OK, "two"), (response.StatusCode, response.Header("x-gateway-provider")));
        Assert.Equal(form.Length - "scribe".Length + 1, upstream.Received);
    }

    [Theory]
    [InlineData("model", "fake/dear", "'model'")]
    [InlineData("stream", "x", "stream")]
    public async Task Send_FieldTwiceOnTheWay_IsA400AndTheProviderNeverGetsTheEnd(string name, string value, string named)
    {
        await using var upstream = await Sink.StartAsync(Pictures);
        await using var host = await StartAsync(upstream);
        var form = Of(Field("model", "fake/m"), Field("stream", "false"), File("image", sound), Field(name, value));

        using var response = await host.PostFormAsync(Edits, form);

        var text = await response.TextAsync();
        Assert.True(response.StatusCode == HttpStatusCode.BadRequest, text);
        Assert.Contains(named, text, StringComparison.Ordinal);
        await upstream.BrokenOffAsync();
        Assert.True(upstream.Received < form.Length - "fake/".Length);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal(("invalid_request", Money.Zero), (row.Result.Error, row.Charged));
    }

    [Fact]
    public async Task Send_HardBudget_WhatBillsIsKnownBeforeAnythingIsSent()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await ProxyHost.StartAsync(new ProxySetup
        {
            Providers = [ProxyHost.Provider(fake)], Prices = [ProxyHost.Price(5, 40) with { MaxOutputTokens = 1000, MaxImageTokens = 500 }], HardBudget = Money.FromDollars(10),
        });
        fake.Enqueue(FakeReply.Json(200, Pictures));

        using var response = await host.PostFormAsync(Edits, Of(Field("model", "fake/m"), File("image", sound), Field("n", "3")));

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        // The fields' bytes and one picture in, three pictures out.
        Assert.Equal(new Money(((6 + 1 + 500) * 5000L) + (3 * 1000 * 40_000L)), Assert.Single(await host.Ledger.RowsAsync(1)).Reserved);
    }

    [Fact]
    public async Task Send_ClientLeavesInTheMiddle_TheProvidersRequestEndsAndNothingIsCharged()
    {
        await using var upstream = await Sink.StartAsync(Answer);
        await using var host = await StartAsync(upstream);
        using var leaving = new CancellationTokenSource();
        using var content = new SlowContent(Of(Field("model", "fake/m"), File("file", sound, "a.wav")), pauseAt: 2_000_000, new TaskCompletionSource().Task);

        var asked = SendAsync(host, Transcriptions, content, leaving.Token);
        await upstream.ReceivedAsync(1_500_000);
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<Exception>(() => asked);
        await upstream.BrokenOffAsync();
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Cancelled, Money.Zero), (row.Result.Outcome, row.Charged));
    }

    /// <summary>A form says the same wherever it is cut.</summary>
    [Fact]
    public void Read_InPieces_SaysWhatTheWholeSays()
    {
        string[] forms =
        [
            Text(Field("model", "fake/m"), File("image", Random(5000)), Field("n", "2"), Field("prompt", "é漢😀"), Field("size", "1024x1024")),
            Text(File("image[]", Encoding.Latin1.GetBytes($"\r\n-\r\n--{Boundary[..^1]}\r\n{Boundary}")), Field("model", "a"), Field("prompt", new string('x', 2000))),
            .. ImagesTests.BadForms.Select(row => row.Data.Item2),
            Text(Field("prompt", "x"), Field("model", new string('m', 600)), Field("n", "1")),
        ];
        var bytes = forms.Select(Encoding.Latin1.GetBytes).ToArray();

        Gen.Select(Gen.Int[0, bytes.Length - 1], Gen.Int[1, 120].Array[1, 8]).Sample((which, sizes) =>
        {
            var expected = FormFields.Read(bytes[which], ContentType, MediaEndpoint.Edit, out var whole);
            var form = FormFields.TryBegin(ContentType, MediaEndpoint.Edit, out _)!;
            var (scanned, filled) = (0, 0);
            Shared.Http.GatewayError? error = null;
            for (var piece = 0; error is null && (filled < bytes[which].Length || piece == 0); piece++)
            {
                filled = Math.Min(bytes[which].Length, filled + sizes[piece % sizes.Length]);
                error = form.Read(bytes[which].AsSpan(scanned, filled - scanned), scanned, isLast: false, out var consumed);
                scanned += consumed;
                Assert.True(filled - scanned <= 8 * 1024);
            }
            error ??= form.Read(bytes[which].AsSpan(scanned), scanned, isLast: true, out _);

            Assert.Equal(expected?.Code, error?.Code);
            if (error is null)
            {
                var read = form.Fields;
                Assert.Equal((whole.ModelName, whole.Model, whole.Count, whole.Images, whole.TextBytes, whole.Size), (read.ModelName, read.Model, read.Count, read.Images, read.TextBytes, read.Size));
            }
        }, iter: 3000, threads: 1);
    }

    private static Task<ProxyHost> StartAsync(Sink upstream, GatewaySettings? settings = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [new Provider { Id = "fake", Dialect = "openai-chat", BaseAddress = upstream.BaseAddress, MaxRetries = 0, Origin = "test" }],
        Prices = [ProxyHost.Price(1, 2)],
        Settings = settings ?? new GatewaySettings(),
    });

    private static async Task<HttpResponseMessage> SendAsync(ProxyHost host, string path, HttpContent content, CancellationToken? leaving = null)
    {
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(host.Address, path)) { Content = content };
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", "sk-gw-client-secret");
        return await client.SendAsync(request, leaving ?? TestContext.Current.CancellationToken);
    }

    private static string Text(params (string, string?, byte[])[] parts) => Encoding.Latin1.GetString(Of(parts));

    private static byte[] Random(int length)
    {
        var bytes = new byte[length];
        new Random(7).NextBytes(bytes);
        return bytes;
    }

    /// <summary>A form that pauses on its way.</summary>
    private sealed class SlowContent : HttpContent
    {
        private readonly byte[] form;
        private readonly int pauseAt;
        private readonly Task until;

        public SlowContent(byte[] form, int pauseAt, Task until)
        {
            (this.form, this.pauseAt, this.until) = (form, pauseAt, until);
            Headers.TryAddWithoutValidation("Content-Type", ContentType);
        }

        public bool HasLength { get; init; } = true;

        protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
        {
            await stream.WriteAsync(form.AsMemory(0, pauseAt), cancellationToken);
            await stream.FlushAsync(cancellationToken);
            await until.WaitAsync(cancellationToken);
            await stream.WriteAsync(form.AsMemory(pauseAt), cancellationToken);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = form.Length;
            return HasLength;
        }
    }
}
