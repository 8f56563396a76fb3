using System.Globalization;
using System.Text;
using System.Text.Json;
using Gateway.Tests.Tools;
using Microsoft.AspNetCore.Http;
using TestSupport;

namespace Gateway.Tests.OpenApi;

/// <summary>An OpenAPI 3.0 document in JSON, called through <c>/mcp</c>; what arrives is looked at on the other side of a real socket.</summary>
public sealed class LibraryTests : IAsyncLifetime
{
    private FakeApi api = null!;

    public async ValueTask InitializeAsync() => api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => api.DisposeAsync();

    [Fact]
    public async Task EveryOperation_IsATool()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);

        Assert.Equal(
            ["library__addBook", "library__attachFiles", "library__borrow", "library__getBook", "library__getCover", "library__getReport", "library__hasBook", "library__listBooks", "library__putCover", "library__removeBook"],
            (await ToolCaller.ListAsync(gateway.Client)).Where(name => name.StartsWith("library", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.Empty(api.Requests);
        using var response = await gateway.AdminClient.GetAsync(new Uri("admin/v1/toolservers/library", UriKind.Relative), TestContext.Current.CancellationToken);
        var server = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Contains("\"transport\":\"openapi\"", server, StringComparison.Ordinal);
        Assert.Contains("OpenAPI 3.0.3", server, StringComparison.Ordinal);
        Assert.Contains("City Library", server, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Parameters_ArriveAtTheirPlaces_WithTheCredentialAndTheTrace()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "headers: {X-Tenant: main}");
        api.Answer = (_, context) => FakeApi.JsonAsync(context, """{ "items": [ {"isbn":"1","title":"A","addedAt":"2026-01-01T00:00:00Z","price":1.50} ] }""");

        var result = await gateway.CallAsync("library__listBooks", """{"author":["Kafka, F.","Ö"],"genres":["a","b"],"published":{"from":"2020-01-01"},"limit":5,"X-Request-Source":"agent","session":"s;1"}""");

        Assert.False(result.IsError());
        Assert.Equal("""{ "items": [ {"isbn":"1","title":"A","addedAt":"2026-01-01T00:00:00Z","price":1.50} ] }""", result.Text());
        Assert.Equal(1.5m, result.GetProperty("structuredContent").GetProperty("items")[0].GetProperty("price").GetDecimal());
        Assert.Equal($"/api/v2/books?author=Kafka%2C%20F.&author=%C3%96&genres=a%7Cb&published%5Bfrom%5D=2020-01-01&limit=5&api_key={ApiGateway.Key}", api.Last.Target);
        Assert.Equal("GET", api.Last.Method);
        Assert.Equal("agent", api.Last.Headers["X-Request-Source"]);
        Assert.Equal("main", api.Last.Headers["X-Tenant"]);
        Assert.Equal("session=s%3B1", api.Last.Headers["Cookie"]);
        Assert.StartsWith("00-", api.Last.Headers["traceparent"], StringComparison.Ordinal);
        Assert.StartsWith("agent-gateway/", api.Last.Headers["User-Agent"], StringComparison.Ordinal);
        Assert.Equal("application/json, */*;q=0.1", api.Last.Headers["Accept"]);
        Assert.DoesNotContain("sk-gw-", api.Last.Target + string.Join(' ', api.Last.Headers.Values), StringComparison.Ordinal);
    }

    [Fact]
    public async Task JsonBody_IsMadeOfArguments_AndBasicAuthenticationIsSent()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);
        api.Answer = (request, context) => FakeApi.JsonAsync(context, request.Text, 201);

        var result = await gateway.CallAsync("library__addBook", """{"isbn":"978","title":"Ä \u00e9","purchasePrice":12.50,"subtitle":null,"editions":[{"isbn":"1"}]}""");

        Assert.Equal("POST", api.Last.Method);
        Assert.Equal("/api/v2/books", api.Last.Target);
        Assert.Equal("application/json", api.Last.Headers["Content-Type"]);
        Assert.Equal("Basic " + Convert.ToBase64String(Encoding.UTF8.GetBytes($"clerk:{ApiGateway.Password}")), api.Last.Headers["Authorization"]);
        Assert.Equal("""{"isbn":"978","title":"Ä \u00e9","subtitle":null,"purchasePrice":12.50,"editions":[{"isbn":"1"}]}""", api.Last.Text);
        Assert.Equal("978", result.GetProperty("structuredContent").GetProperty("isbn").GetString());
        Assert.Contains("'title' is required", (await gateway.CallAsync("library__addBook", """{"isbn":"978"}""")).Text(), StringComparison.Ordinal);
        Assert.Contains("no argument 'addedAt'", (await gateway.CallAsync("library__addBook", """{"isbn":"978","title":"A","addedAt":"now"}""")).Text(), StringComparison.Ordinal);
        Assert.Single(api.Requests);
    }

    [Fact]
    public async Task PathArgument_StaysInItsPlaceOnTheWire()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);

        await gateway.CallAsync("library__getBook", """{"isbn":"../../admin?x=1#y"}""");
        Assert.Equal($"/api/v2/books/..%2F..%2Fadmin%3Fx%3D1%23y?api_key={ApiGateway.Key}", api.Last.Target);
        foreach (var refused in new[] { "..", ".", "" })
        {
            var result = await gateway.CallAsync("library__getCover", $$"""{"isbn":"{{refused}}"}""");
            Assert.True(result.IsError());
            Assert.Contains("'isbn'", result.Text(), StringComparison.Ordinal);
        }
        Assert.True((await gateway.CallAsync("library__listBooks", """{"X-Request-Source":"a\r\nX-Evil: 1"}""")).IsError());
        Assert.Single(api.Requests);
    }

    [Fact]
    public async Task Form_AndMultipart_ArriveAsTheyShould()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);
        api.Answer = (_, context) => FakeApi.WriteAsync(context, "text/plain; charset=iso-8859-1", Encoding.Latin1.GetBytes("Geliehen für 14 Tage"));

        Assert.Equal("Geliehen für 14 Tage", (await gateway.CallAsync("library__borrow", """{"isbn":"1&2","days":14,"remind":["a","b c"],"address":{"street":"X/1"}}""")).Text());
        Assert.Equal("application/x-www-form-urlencoded", api.Last.Headers["Content-Type"]);
        Assert.Equal("isbn=1%262&days=14&remind=a&remind=b%20c&address%5Bstreet%5D=X%2F1", api.Last.Text);

        var files = """{"isbn":"1","note":"née","labels":["x","y"],"meta":{"pages":3},"files":[{"base64":"AP8=","fileName":"a\"\r\nX: 1.pdf"},{"text":"plain","mediaType":"text/plain","fileName":"ü.txt"}]}""";
        Assert.False((await gateway.CallAsync("library__attachFiles", files)).IsError());
        var form = await ReadFormAsync(api.Last);
        Assert.Equal("née", form["note"]);
        Assert.Equal(["x", "y"], form["labels"].ToArray());
        Assert.Equal("""{"pages":3}""", form["meta"]);
        Assert.Equal(2, form.Files.Count);
        Assert.All(form.Files, file => Assert.Equal("files", file.Name));
        Assert.Equal(["application/pdf", "text/plain"], form.Files.Select(file => file.ContentType));
        Assert.Equal("ü.txt", form.Files[1].FileName);
        Assert.Equal("a%22%0D%0AX%3A 1.pdf".Replace("%3A", ":", StringComparison.Ordinal), form.Files[0].FileName);
        using var bytes = new MemoryStream();
        await form.Files[0].CopyToAsync(bytes, TestContext.Current.CancellationToken);
        Assert.Equal([0x00, 0xff], bytes.ToArray());
        Assert.Contains("'files' is a file", (await gateway.CallAsync("library__attachFiles", """{"isbn":"1","files":[{"base64":"AA==","text":"x"}]}""")).Text(), StringComparison.Ordinal);
        Assert.Contains("'files.base64' must be base64", (await gateway.CallAsync("library__attachFiles", """{"isbn":"1","files":[{"base64":"%%"}]}""")).Text(), StringComparison.Ordinal);
        Assert.Contains("'files' is required", (await gateway.CallAsync("library__attachFiles", """{"isbn":"1"}""")).Text(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task BinaryAnswers_AreImagesBlobsOrDescribed()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "limits: {maxResultBytes: 1KiB}");
        api.Answer = (_, context) => FakeApi.WriteAsync(context, "image/png", [0x89, 0x50, 0x4e, 0x47]);

        var image = (await gateway.CallAsync("library__getCover", """{"isbn":"1"}""")).GetProperty("content")[0];
        Assert.Equal("""{"type":"image","data":"iVBORw==","mimeType":"image/png"}""", image.GetRawText());
        api.Answer = (_, context) => FakeApi.WriteAsync(context, "application/octet-stream", [1, 2, 3]);
        var blob = (await gateway.CallAsync("library__getReport", """{"name":"r"}""")).GetProperty("content")[0];
        Assert.Equal("""{"type":"resource","resource":{"uri":"library+openapi://library/getReport","mimeType":"application/octet-stream","blob":"AQID"}}""", blob.GetRawText());
        api.Answer = (_, context) => FakeApi.WriteAsync(context, "image/png", new byte[5_000]);
        var large = await gateway.CallAsync("library__getCover", """{"isbn":"1"}""");
        Assert.False(large.IsError());
        Assert.Contains("5000 bytes of image/png", large.Text(), StringComparison.Ordinal);
        api.Answer = (_, context) => { context.Response.StatusCode = 204; return Task.CompletedTask; };
        Assert.Contains("HTTP 204 No Content, no content.", (await gateway.CallAsync("library__putCover", """{"isbn":"1","body":"iVBORw=="}""")).Text(), StringComparison.Ordinal);
        Assert.Equal([0x89, 0x50, 0x4e, 0x47], api.Last.Body);
        Assert.Equal("image/png", api.Last.Headers["Content-Type"]);
        Assert.Equal("PUT", api.Last.Method);
        api.Answer = (_, context) => { context.Response.Headers.ETag = "\"v1\""; return Task.CompletedTask; };
        Assert.Contains("ETag: \"v1\"", (await gateway.CallAsync("library__hasBook", """{"isbn":"1"}""")).Text(), StringComparison.Ordinal);
        Assert.Equal("HEAD", api.Last.Method);
    }

    [Fact]
    public async Task LargeAnswers_AreCutOnACharacter_WithANotice()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "limits: {maxResultBytes: 1KiB}");
        api.Answer = (_, context) => FakeApi.WriteAsync(context, "text/plain; charset=utf-8", Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat("😀", 1_000)) + "x"));

        var cut = await gateway.CallAsync("library__borrow", """{"isbn":"1"}""");
        Assert.False(cut.IsError());
        Assert.StartsWith(string.Concat(Enumerable.Repeat("😀", 256)) + "\n\n[Cut here: the first 1024 bytes are shown of 4001.", cut.Text(), StringComparison.Ordinal);
        // A result that was announced by a schema cannot be half of one.
        api.Answer = (_, context) => FakeApi.JsonAsync(context, $$"""{"items":[],"next":"{{new string('é', 1_000)}}"}""");
        var half = await gateway.CallAsync("library__listBooks");
        Assert.True(half.IsError());
        Assert.Contains("[Cut here", half.Text(), StringComparison.Ordinal);
        Assert.DoesNotContain('\uFFFD', half.Text());
        Assert.False(half.TryGetProperty("structuredContent", out _));
    }

    [Fact]
    public async Task ErrorStatus_IsAnErrorWithItsBody_AndNoSecretComesBack()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "headers: {X-Internal-Token: \"${env:SHOP_TOKEN}\"}");
        api.Answer = (request, context) => FakeApi.WriteAsync(context, "application/problem+json", Encoding.UTF8.GetBytes(JsonSerializer.Serialize(new { title = "No such book", asked = request.Target, headers = request.Headers })), 404);

        var result = await gateway.CallAsync("library__getBook", """{"isbn":"404"}""");

        Assert.True(result.IsError());
        Assert.StartsWith("HTTP 404 Not Found.\n\n{\"title\":\"No such book\"", result.Text(), StringComparison.Ordinal);
        Assert.Contains("api_key=***", result.Text(), StringComparison.Ordinal);
        Assert.DoesNotContain(ApiGateway.Key, result.GetRawText(), StringComparison.Ordinal);
        Assert.DoesNotContain(ApiGateway.Token, result.GetRawText(), StringComparison.Ordinal);
        api.Answer = (request, context) => FakeApi.JsonAsync(context, JsonSerializer.Serialize(new { isbn = request.Headers["Authorization"], title = "t", addedAt = "x" }), 201);
        Assert.Equal("***", (await gateway.CallAsync("library__addBook", """{"isbn":"1","title":"t"}""")).GetProperty("structuredContent").GetProperty("isbn").GetString()!.Replace("Basic ", "", StringComparison.Ordinal));
        Assert.DoesNotContain(gateway.Logs.Lines, line => line.Message.Contains(ApiGateway.Key, StringComparison.Ordinal) || line.Message.Contains(ApiGateway.Password, StringComparison.Ordinal) || line.Message.Contains(ApiGateway.Token, StringComparison.Ordinal));
        using var response = await gateway.AdminClient.GetAsync(new Uri("admin/v1/toolservers/library", UriKind.Relative), TestContext.Current.CancellationToken);
        var shown = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.DoesNotContain(ApiGateway.Key, shown, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnswerThatIsNotAsAnnounced_IsAnError()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);
        foreach (var answer in new[] { "[1]", "{\"items\":", "\"x\"" })
        {
            api.Answer = (_, context) => FakeApi.JsonAsync(context, answer);
            var result = await gateway.CallAsync("library__listBooks");
            Assert.True(result.IsError());
            Assert.Contains("not the JSON object", result.Text(), StringComparison.Ordinal);
        }
        api.Answer = (_, context) => { context.Response.Headers.ContentEncoding = "gzip"; return FakeApi.JsonAsync(context, "{}"); };
        Assert.Contains("compressed", (await gateway.CallAsync("library__listBooks")).Text(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Redirects_AreFollowedWithinTheServerOnly()
    {
        await using var other = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await ApiGateway.StartLibraryAsync(api);
        api.Answer = (request, context) =>
        {
            if (request.Target.StartsWith("/moved", StringComparison.Ordinal))
            {
                return FakeApi.JsonAsync(context, """{"items":[]}""");
            }
            context.Response.StatusCode = 302;
            context.Response.Headers.Location = "/moved";
            return Task.CompletedTask;
        };

        Assert.False((await gateway.CallAsync("library__listBooks")).IsError());
        api.Answer = (_, context) =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = other.Address + "/steal";
            return Task.CompletedTask;
        };
        var refused = await gateway.CallAsync("library__listBooks");
        Assert.True(refused.IsError());
        Assert.Contains("HTTP 307 Temporary Redirect: a redirect that is not followed", refused.Text(), StringComparison.Ordinal);
        var before = api.Requests.Count;
        api.Answer = (_, context) =>
        {
            context.Response.StatusCode = 307;
            context.Response.Headers.Location = "/moved";
            return Task.CompletedTask;
        };
        Assert.True((await gateway.CallAsync("library__removeBook", """{"isbn":"1"}""")).IsError());
        Assert.Equal(before + 1, api.Requests.Count);
        Assert.True((await gateway.CallAsync("library__listBooks")).IsError());
        Assert.True(api.Requests.Count < before + 10);
        Assert.Empty(other.Requests);
    }

    [Fact]
    public async Task Selection_IsOfMethodTagAndPath_AndExposeDecidesTheRest()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, """
            operations:
              include:
                - {method: [get, HEAD]}
                - {tag: loans}
              exclude:
                - {path: "*/cover"}
              deprecated: omit
            """, """
            default: allow
            tools:
              - {name: hasBook, enabled: false}
              - {name: getBook, as: book, description: One book.}
            """);

        Assert.Equal(["library__book", "library__borrow", "library__listBooks"], (await ToolCaller.ListAsync(gateway.Client)).Where(name => name.StartsWith("library", StringComparison.Ordinal)).Order(StringComparer.Ordinal));
        Assert.False((await gateway.CallAsync("library__book", """{"isbn":"1"}""")).IsError());
    }

    [Fact]
    public async Task SlowApi_TimesOut_AndACallerWhoLeavesEndsTheRequest()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "limits: {callTimeout: 300ms}");
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        api.Answer = async (_, context) =>
        {
            context.RequestAborted.Register(() => ended.TrySetResult());
            await ended.Task;
        };

        var answer = await ToolCaller.CallAsync(gateway.Client, "library__listBooks");

        Assert.Contains("did not answer within 0.3 seconds", answer, StringComparison.Ordinal);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task CallerWhoLeaves_EndsTheRequest()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api);
        var ended = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        api.Answer = async (_, context) =>
        {
            context.RequestAborted.Register(() => ended.TrySetResult());
            await ended.Task;
        };
        using var leave = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);

        var call = ToolCaller.CallAsync(gateway.Client, "library__listBooks", cancellationToken: leave.Token);
        await api.ReceivedAsync(1);
        await leave.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await ended.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
    }

    [Fact]
    public async Task CallsAtOnce_AreBounded()
    {
        await using var gateway = await ApiGateway.StartLibraryAsync(api, "limits: {maxConcurrentCalls: 2}");
        var go = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var both = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var (running, most) = (0, 0);
        var gate = new Lock();
        api.Answer = async (_, context) =>
        {
            lock (gate)
            {
                most = Math.Max(most, ++running);
                if (running == 2)
                {
                    both.TrySetResult();
                }
            }
            await go.Task;
            lock (gate)
            {
                running--;
            }
            await FakeApi.JsonAsync(context, """{"items":[]}""");
        };

        var calls = Enumerable.Range(0, 8).Select(i => gateway.CallAsync("library__listBooks", string.Create(CultureInfo.InvariantCulture, $"{{\"limit\":{i + 1}}}"))).ToArray();
        await both.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        go.SetResult();

        Assert.All(await Task.WhenAll(calls), result => Assert.False(result.IsError()));
        Assert.Equal(8, api.Requests.Count);
        Assert.Equal(2, most);
    }

    [Fact]
    public async Task ApiThatIsDown_IsAClearError()
    {
        var gone = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await ApiGateway.StartLibraryAsync(gone);
        await gone.DisposeAsync();

        Assert.Contains("Tool server 'library' cannot be reached", await ToolCaller.CallAsync(gateway.Client, "library__listBooks"), StringComparison.Ordinal);
    }

    private static async Task<IFormCollection> ReadFormAsync(FakeApiRequest request)
    {
        var context = new DefaultHttpContext();
        context.Request.ContentType = request.Headers["Content-Type"];
        context.Request.Body = new MemoryStream(request.Body);
        return await context.Request.ReadFormAsync(TestContext.Current.CancellationToken);
    }
}
