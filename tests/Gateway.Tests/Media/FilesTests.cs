using System.ClientModel;
using System.ClientModel.Primitives;
using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using OpenAI;
using OpenAI.Files;
using TestSupport;

namespace Gateway.Tests.Media;

/// <summary>Files and batches, through the whole gateway, at an account that all keys share.</summary>
public sealed class FilesTests : IAsyncLifetime
{
    private FakeAccount account = null!;
    private TestGateway gateway = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        account = await FakeAccount.StartAsync();
        gateway = await StartAsync();
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await account.DisposeAsync();
    }

    [Fact]
    public async Task Files_OfficialClient_UploadsListsReadsAndDeletes()
    {
        var client = FilesOf(await KeyAsync(gateway, "*"));
        var content = Encoding.UTF8.GetBytes("{\"custom_id\":\"é漢😀\"}\n");

        OpenAIFile uploaded = await client.UploadFileAsync(BinaryData.FromBytes(content), "requests.jsonl", FileUploadPurpose.Batch);
        OpenAIFileCollection listed = await client.GetFilesAsync(Cancelled);
        OpenAIFile read = await client.GetFileAsync(uploaded.Id, Cancelled);
        BinaryData downloaded = await client.DownloadFileAsync(uploaded.Id, Cancelled);
        FileDeletionResult deleted = await client.DeleteFileAsync(uploaded.Id, Cancelled);
        OpenAIFileCollection after = await client.GetFilesAsync(Cancelled);

        Assert.Equal([uploaded.Id], listed.Select(file => file.Id));
        Assert.Equal(uploaded.Id, read.Id);
        // The account keeps the whole form, so that it shows that the file went up to the byte.
        Assert.True(downloaded.ToArray().AsSpan().IndexOf(content) > 0);
        Assert.True(deleted.Deleted);
        Assert.Empty(after);
        Assert.False(account.HasFile(uploaded.Id));
        Assert.All(account.Provider.Requests, request => Assert.Equal("Bearer sk-upstream", request.Headers["Authorization"]));
    }

    [Fact]
    public async Task Files_ProviderIsOverloadedOnce_LookingIsAskedAgainAndNothingElseIs()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "*"));
        using var form = new MultipartFormDataContent { { new StringContent("batch"), "purpose" }, { new ByteArrayContent("{}"u8.ToArray()), "file", "a.jsonl" } };
        using var uploaded = await client.PostAsync(new Uri("v1/files", UriKind.Relative), form, Cancelled);
        var file = (await uploaded.Content.ReadFromJsonAsync<JsonElement>(Cancelled)).GetProperty("id").GetString();
        var before = account.Provider.Requests.Count;
        var overloaded = FakeReply.Error(503) with { Headers = new Dictionary<string, string> { ["retry-after"] = "0" } };

        account.Provider.Enqueue(overloaded);
        using var read = await client.GetAsync(new Uri($"v1/files/{file}", UriKind.Relative), Cancelled);
        account.Provider.Enqueue(overloaded);
        using var listed = await client.GetAsync(new Uri("v1/files", UriKind.Relative), Cancelled);
        var afterLooking = account.Provider.Requests.Count;
        account.Provider.Enqueue(overloaded);
        using var deleted = await client.DeleteAsync(new Uri($"v1/files/{file}", UriKind.Relative), Cancelled);

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.ServiceUnavailable), (read.StatusCode, listed.StatusCode, deleted.StatusCode));
        Assert.Equal((before + 4, before + 5), (afterLooking, account.Provider.Requests.Count));
        Assert.True(account.HasFile(file!));
    }

    [Fact]
    public async Task Files_OfAnotherKey_AreNotThere()
    {
        var owner = FilesOf(await KeyAsync(gateway, "*"));
        OpenAIFile file = await owner.UploadFileAsync(BinaryData.FromString("secret"), "a.jsonl", FileUploadPurpose.Batch);
        var strangers = account.AddFile("theirs"u8.ToArray());
        using var other = gateway.NewClient(await KeyAsync(gateway, "*"));
        var before = account.Provider.Requests.Count;

        foreach (var id in new[] { file.Id, strangers, "file-does-not-exist", "..%2Fmodels", new string('x', 300) })
        {
            foreach (var (method, path) in new[] { ("GET", ""), ("GET", "/content"), ("DELETE", "") })
            {
                using var request = new HttpRequestMessage(new HttpMethod(method), new Uri($"v1/files/{id}{path}", UriKind.Relative));
                using var answer = await other.SendAsync(request, Cancelled);
                Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
            }
        }
        var list = await other.GetFromJsonAsync<JsonElement>("v1/files", Cancelled);

        Assert.Empty(list.GetProperty("data").EnumerateArray());
        Assert.Equal(before, account.Provider.Requests.Count);
        Assert.True(account.HasFile(file.Id));
    }

    [Fact]
    public async Task Files_KeyWithoutTheProvidersModels_ReachesNone()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "simulator/*"));

        using var answer = await client.PostAsync(new Uri("v1/files", UriKind.Relative), Form(), Cancelled);

        Assert.Equal(HttpStatusCode.NotFound, answer.StatusCode);
        Assert.Empty(account.Provider.Requests);
    }

    [Fact]
    public async Task Files_Pages_FollowEachOther()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "*"));
        var ids = new List<string>();
        for (var i = 0; i < 5; i++)
        {
            using var uploaded = await client.PostAsync(new Uri("v1/files", UriKind.Relative), Form(), Cancelled);
            ids.Add((await uploaded.JsonAsync()).GetProperty("id").GetString()!);
        }

        var first = await client.GetFromJsonAsync<JsonElement>("v1/files?limit=2&purpose=batch", Cancelled);
        var second = await client.GetFromJsonAsync<JsonElement>($"v1/files?limit=2&after={first.GetProperty("last_id").GetString()}", Cancelled);
        var last = await client.GetFromJsonAsync<JsonElement>($"v1/files?limit=2&after={second.GetProperty("last_id").GetString()}", Cancelled);
        var ascending = await client.GetFromJsonAsync<JsonElement>("v1/files?order=asc", Cancelled);
        var others = await client.GetFromJsonAsync<JsonElement>("v1/files?purpose=fine-tune", Cancelled);

        Assert.Equal([ids[4], ids[3]], Ids(first));
        Assert.Equal([ids[2], ids[1]], Ids(second));
        Assert.Equal([ids[0]], Ids(last));
        Assert.Equal([true, true, false], new[] { first, second, last }.Select(page => page.GetProperty("has_more").GetBoolean()));
        Assert.Equal(ids, Ids(ascending));
        Assert.Empty(Ids(others));
    }

    [Fact]
    public async Task Files_AfterARestart_AreStillTheKeys()
    {
        using var folder = new TemporaryFolder();
        await using var second = await FakeAccount.StartAsync();
        string key, id;
        await using (var before = await StartAsync(second, folder.Path))
        {
            key = await KeyAsync(before, "*");
            using var client = before.NewClient(key);
            using var uploaded = await client.PostAsync(new Uri("v1/files", UriKind.Relative), Form(), Cancelled);
            id = (await uploaded.JsonAsync()).GetProperty("id").GetString()!;
        }
        await using var after = await StartAsync(second, folder.Path);
        using var again = after.NewClient(key);

        var list = await again.GetFromJsonAsync<JsonElement>("v1/files", Cancelled);

        Assert.Equal([id], Ids(list));
    }

    [Fact]
    public async Task Upload_LargeFile_ReachesTheProviderWhileItIsStillSent()
    {
        var arrived = new TaskCompletionSource<int>(TaskCreationOptions.RunContinuationsAsynchronously);
        long total = 0;
        await using var upstream = await StartUpstreamAsync(async context =>
        {
            var buffer = new byte[16 * 1024];
            int read;
            while ((read = await context.Request.Body.ReadAsync(buffer, context.RequestAborted)) > 0)
            {
                total += read;
                arrived.TrySetResult(read);
            }
            await context.Response.WriteAsync("{\"id\":\"file-1\",\"object\":\"file\",\"purpose\":\"batch\"}", context.RequestAborted);
        });
        await using var host = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $"providers:\n  up: {{baseUrl: \"{upstream.Urls.Single()}/v1\", endpoints: [files]}}\nlimits: {{maxBodyBytes: 1MiB, bodyMemory: 1MiB}}\n",
        }, Cancelled);
        // More than may be held of all bodies together, and its second half only once the first has arrived.
        const int half = 8 * 1024 * 1024;
        using var client = host.NewClient(host.VirtualKey);
        using var content = new TwoHalves(new byte[half], arrived.Task, new byte[half]);

        using var answer = await client.PostAsync(new Uri("v1/files", UriKind.Relative), content, Cancelled);

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(2L * half, total);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Upload_LargerThanTheLimit_IsRefused(bool isChunked)
    {
        await using var host = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $"providers:\n  fake: {{baseUrl: \"{account.Provider.BaseAddress}\"}}\nlimits: {{maxUploadBytes: 64KiB}}\n",
        }, Cancelled);
        using var client = host.NewClient(host.VirtualKey);
        using var form = Form(new byte[200_000]);
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("v1/files", UriKind.Relative)) { Content = form };
        request.Headers.TransferEncodingChunked = isChunked;

        using var answer = await client.SendAsync(request, Cancelled);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, answer.StatusCode);
        Assert.Contains("limits.maxUploadBytes", await answer.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        Assert.Empty(account.Provider.Requests);
    }

    [Fact]
    public async Task Upload_SeveralProviders_OneHasToBeNamed()
    {
        await using var second = await FakeAccount.StartAsync();
        await using var host = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $"providers:\n  one: {{baseUrl: \"{account.Provider.BaseAddress}\"}}\n  two: {{baseUrl: \"{second.Provider.BaseAddress}\"}}\n",
        }, Cancelled);
        using var client = host.NewClient(host.VirtualKey);

        using var unnamed = await client.PostAsync(new Uri("v1/files", UriKind.Relative), Form(), Cancelled);
        using var byQuery = await client.PostAsync(new Uri("v1/files?provider=two", UriKind.Relative), Form(), Cancelled);
        using var unknown = await client.PostAsync(new Uri("v1/files?provider=three", UriKind.Relative), Form(), Cancelled);

        Assert.Equal((HttpStatusCode.BadRequest, "provider_required"), (unnamed.StatusCode, (await unnamed.JsonAsync()).GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal((HttpStatusCode.OK, "two"), (byQuery.StatusCode, byQuery.Header("x-gateway-provider")));
        Assert.Equal(HttpStatusCode.NotFound, unknown.StatusCode);
        Assert.Equal("", Assert.Single(second.Provider.Requests).Query);
        Assert.Empty(account.Provider.Requests);
    }

    [Fact]
    public async Task Batch_OwnFile_IsMadeListedAndCancelled()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "*"));
        var file = await UploadAsync(client);
        var body = $$"""{ "input_file_id":"{{file}}", "endpoint":"/v1/chat/completions", "completion_window":"24h", "metadata":{"x":"y"} }""";

        using var made = await client.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(body), Cancelled);
        var batch = (await made.JsonAsync()).GetProperty("id").GetString();
        var list = await client.GetFromJsonAsync<JsonElement>("v1/batches", Cancelled);
        using var cancelled = await client.PostAsync(new Uri($"v1/batches/{batch}/cancel", UriKind.Relative), null, Cancelled);
        using var other = gateway.NewClient(await KeyAsync(gateway, "*"));
        using var hidden = await other.GetAsync(new Uri($"v1/batches/{batch}", UriKind.Relative), Cancelled);

        Assert.Equal(body, Encoding.UTF8.GetString(account.Provider.Requests.Single(request => request.Path == "/v1/batches").Body));
        Assert.Equal([batch], Ids(list));
        Assert.Equal("cancelling", (await cancelled.JsonAsync()).GetProperty("status").GetString());
        Assert.Equal(HttpStatusCode.NotFound, hidden.StatusCode);
    }

    [Fact]
    public async Task Batch_FileOfAnotherKeyOrModelsThatAreNotGranted_IsRefused()
    {
        var strangers = account.AddFile("theirs"u8.ToArray());
        using var client = gateway.NewClient(await KeyAsync(gateway, "*"));
        using var limited = gateway.NewClient(await KeyAsync(gateway, "fake/m"));
        var own = await UploadAsync(limited);

        using var foreign = await client.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(strangers)), Cancelled);
        using var narrow = await limited.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(own)), Cancelled);
        using var twice = await client.PostAsync(new Uri("v1/batches", UriKind.Relative), Json("""{"input_file_id":"a","input_file_id":"b"}"""), Cancelled);

        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.Forbidden, HttpStatusCode.BadRequest), (foreign.StatusCode, narrow.StatusCode, twice.StatusCode));
        Assert.DoesNotContain(account.Provider.Requests, request => request.Path == "/v1/batches");
    }

    [Fact]
    public async Task Batch_HardBudget_IsRefusedUnlessTheProviderFixesAReservation()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "*", "5"));
        var file = await UploadAsync(client);
        using var refused = await client.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(file)), Cancelled);

        await using var host = await StartAsync(account, null, "batchReservation: 2");
        var key = await KeyAsync(host, "*", "5");
        using var other = host.NewClient(key);
        file = await UploadAsync(other);
        using var first = await other.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(file)), Cancelled);
        using var second = await other.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(file)), Cancelled);
        using var third = await other.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(file)), Cancelled);

        Assert.Equal(HttpStatusCode.BadRequest, refused.StatusCode);
        Assert.Contains("'input_file_id' makes the cost of this request boundless", await refused.Content.ReadAsStringAsync(Cancelled), StringComparison.Ordinal);
        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK, HttpStatusCode.TooManyRequests), (first.StatusCode, second.StatusCode, third.StatusCode));
    }

    [Fact]
    public async Task Batch_IsOver_ItsUsageIsChargedOnceAndItsOutputIsTheKeys()
    {
        using var client = gateway.NewClient(await KeyAsync(gateway, "*"));
        using var made = await client.PostAsync(new Uri("v1/batches", UriKind.Relative), Json(Batch(await UploadAsync(client))), Cancelled);
        var batch = (await made.JsonAsync()).GetProperty("id").GetString()!;
        account.Finish(batch, 1000, 2000);

        var over = await client.GetFromJsonAsync<JsonElement>($"v1/batches/{batch}", Cancelled);
        await client.GetFromJsonAsync<JsonElement>($"v1/batches/{batch}", Cancelled);
        await client.GetFromJsonAsync<JsonElement>("v1/batches", Cancelled);
        var output = await client.GetStringAsync(new Uri($"v1/files/{over.GetProperty("output_file_id").GetString()}/content", UriKind.Relative), Cancelled);

        Assert.Equal("{\"custom_id\":\"1\"}\n", output);
        var rows = await LedgerAsync(row => row.GetProperty("model").GetString() == "m");
        var row = Assert.Single(rows);
        Assert.Equal(0.005m, row.GetProperty("costDollars").GetDecimal()); // 1000 at 1 dollar, 2000 at 2 dollars per million
    }

    private async Task<IReadOnlyList<JsonElement>> LedgerAsync(Func<JsonElement, bool> matches)
    {
        await gateway.IdleAsync();
        var page = await gateway.AdminClient.GetFromJsonAsync<JsonElement>("admin/v1/ledger?limit=100", Cancelled);
        return [.. page.GetProperty("attempts").EnumerateArray().Where(matches)];
    }

    private Task<TestGateway> StartAsync() => StartAsync(account, null);

    private static Task<TestGateway> StartAsync(FakeAccount account, string? dataFolder, string more = "") => TestGateway.StartAsync(new TestGatewayOptions
    {
        DataFolder = dataFolder,
        Configuration = $$"""
            providers:
              fake:
                baseUrl: "{{account.Provider.BaseAddress}}"
                apiKey: sk-upstream
                models: [m]
                {{more}}
            prices:
              - {provider: fake, model: m, input: 1, output: 2}
            """,
    }, Cancelled);

    private static async Task<string> KeyAsync(TestGateway gateway, string models, string? budget = null)
    {
        object declaration = budget is null ? new { name = "a key", models = new[] { models } } : new { name = "a key", models = new[] { models }, budgets = new[] { new { limit = budget, per = "day" } } };
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), declaration, Cancelled);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(Cancelled));
        return (await response.JsonAsync()).GetProperty("token").GetString()!;
    }

    private static async Task<string> UploadAsync(HttpClient client)
    {
        using var uploaded = await client.PostAsync(new Uri("v1/files", UriKind.Relative), Form(), Cancelled);
        Assert.Equal(HttpStatusCode.OK, uploaded.StatusCode);
        return (await uploaded.JsonAsync()).GetProperty("id").GetString()!;
    }

    private OpenAIFileClient FilesOf(string key) =>
        new(new ApiKeyCredential(key), new OpenAIClientOptions { Endpoint = new Uri(gateway.BaseAddress, "v1"), RetryPolicy = new ClientRetryPolicy(0) });

    private static MultipartFormDataContent Form(byte[]? content = null) => new()
    {
        { new StringContent("batch"), "purpose" },
        { new ByteArrayContent(content ?? "{}"u8.ToArray()), "file", "requests.jsonl" },
    };

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static string Batch(string file) => $$"""{"input_file_id":"{{file}}","endpoint":"/v1/chat/completions","completion_window":"24h"}""";

    private static IEnumerable<string?> Ids(JsonElement page) => page.GetProperty("data").EnumerateArray().Select(item => item.GetProperty("id").GetString());

    private static async Task<WebApplication> StartUpstreamAsync(RequestDelegate answer)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        var app = builder.Build();
        app.Urls.Add("http://127.0.0.1:0");
        app.Run(answer);
        await app.StartAsync(Cancelled);
        return app;
    }

    private sealed class TwoHalves : HttpContent
    {
        private readonly byte[] first, second;
        private readonly Task between;

        public TwoHalves(byte[] first, Task between, byte[] second)
        {
            (this.first, this.between, this.second) = (first, between, second);
            Headers.TryAddWithoutValidation("Content-Type", "multipart/form-data; boundary=x");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            await stream.WriteAsync(first);
            await stream.FlushAsync();
            await between.WaitAsync(TimeSpan.FromSeconds(30));
            await stream.WriteAsync(second);
        }

        protected override bool TryComputeLength(out long length)
        {
            length = first.Length + second.Length;
            return true;
        }
    }
}
