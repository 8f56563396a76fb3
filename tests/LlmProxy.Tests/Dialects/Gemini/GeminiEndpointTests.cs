using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiEndpointTests
{
    private const string Body = """{"contents":[{"role":"user","parts":[{"text":"hi"}]}]}""";

    private const string Answer =
        """{"candidates":[{"content":{"parts":[{"text":"Hello"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"g"}""";

    private static readonly string[] Chunks =
    [
        """{"candidates":[{"content":{"parts":[{"text":"Hel"}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"totalTokenCount":3},"modelVersion":"g"}""",
        """{"candidates":[{"content":{"parts":[{"text":"lo"}],"role":"model"},"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"modelVersion":"g"}""",
    ];

    [Theory]
    [InlineData("/v1beta/models/m:generateContent")]
    [InlineData("/v1/models/google/g:generateContent")]
    [InlineData("/v1beta/models/google%2Fg:generateContent")]
    [InlineData("/genai/v1beta/models/m:generateContent")]
    [InlineData("/genai/v1beta/models/g:generateContent")]
    [InlineData("/genai/v1beta/google/g:generateContent")]
    [InlineData("/genai/google/g:generateContent")]
    [InlineData("/v1beta/google/g:generateContent")]
    [InlineData("/v1beta1/projects/p/locations/global/publishers/google/models/m:generateContent")]
    public async Task Post_OwnProvider_BytesPassBothWays(string path)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync(Body, path: path);

        Assert.Equal((HttpStatusCode.OK, Answer), (response.StatusCode, await response.TextAsync()));
        var received = Assert.Single(fake.Requests);
        Assert.Equal(("/v1/models/g:generateContent", ""), (received.Path, received.Query));
        Assert.Equal(Body, Encoding.UTF8.GetString(received.Body));
        Assert.Equal("sk-upstream", received.Headers["x-goog-api-key"]);
        Assert.False(received.Headers.ContainsKey("Authorization"));
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, UsageSource.Reported, 3L, 2L), (row.Result.Outcome, row.Result.Source, row.Result.Usage.TotalInput, row.Result.Usage.TotalOutput));
    }

    [Fact]
    public async Task Post_StreamOfOwnProvider_IsRelayedInTheFormAskedFor()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var sse = Sse();
        fake.Enqueue(FakeReply.Stream(sse));
        var array = $"[{Chunks[0]}\n,\r\n{Chunks[1]}]";
        fake.Enqueue(new FakeReply { ContentType = "application/json; charset=UTF-8", Pieces = [array[..50], array[50..]] });

        using var events = await host.PostAsync(Body, path: "/v1beta/models/m:streamGenerateContent?alt=sse");
        Assert.Equal((sse, "text/event-stream"), (await events.TextAsync(), events.Content.Headers.ContentType!.MediaType));
        using var elements = await host.PostAsync(Body, path: "/v1beta/models/m:streamGenerateContent");
        Assert.Equal((array, "application/json"), (await elements.TextAsync(), elements.Content.Headers.ContentType!.MediaType));

        Assert.Equal(["?alt=sse", ""], fake.Requests.Select(request => request.Query));
        Assert.All(await host.Ledger.RowsAsync(2), row => Assert.Equal((CallOutcome.Succeeded, 5L), (row.Result.Outcome, row.Result.Usage.Total)));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Post_StreamThatBreaks_EndsWithGooglesError(bool array)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(array ? new FakeReply { Pieces = [$"[{Chunks[0]}"] } : FakeReply.Stream($"data: {Chunks[0]}\r\n\r\n"));

        using var response = await host.PostAsync(Body, path: "/v1beta/models/m:streamGenerateContent" + (array ? "" : "?alt=sse"));
        var text = await response.TextAsync();

        var last = array ? JsonNode.Parse(text)!.AsArray()[^1]! : JsonNode.Parse(text[(text.LastIndexOf("data: ", StringComparison.Ordinal) + 6)..])!;
        Assert.Equal(("UNAVAILABLE", 502), (last["error"]!["status"]!.GetValue<string>(), last["error"]!["code"]!.GetValue<int>()));
        Assert.StartsWith(array ? "[" + Chunks[0] : "data: " + Chunks[0], text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Post_HardBudget_LimitIsSplicedIn()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1), ProxyHost.Price(2, 50, "google"));
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var response = await host.PostAsync(Body, path: "/v1beta/models/m:generateContent");
        using var refused = await host.PostAsync("""{"contents":[],"cached_content":"c"}""", path: "/v1beta/models/m:generateContent");

        Assert.Equal(4096, Assert.Single(fake.Requests).Json.GetProperty("generationConfig").GetProperty("maxOutputTokens").GetInt32());
        var error = JsonNode.Parse(await refused.TextAsync())!["error"]!;
        Assert.Contains("cachedContent", error["message"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Equal((int)refused.StatusCode, error["code"]!.GetValue<int>());
    }

    [Theory]
    [InlineData("", false)]
    [InlineData("?alt=sse", false)]
    [InlineData("", true)]
    public async Task Post_ProviderOfAnotherFormat_IsTranslatedBothWays(string query, bool array)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        var isStream = query.Length > 0 || array;
        fake.Enqueue(isStream ? FakeReply.Stream(FakeReply.Role(), FakeReply.Content("Hel"), FakeReply.Content("lo"), FakeReply.Finish(), FakeReply.Usage(9, 3), FakeReply.Done) : FakeReply.Completion("Hello"));

        using var response = await host.PostAsync("""{"system_instruction":{"parts":[{"text":"S"}]},"contents":[{"parts":[{"text":"hi"}]}],"generationConfig":{"maxOutputTokens":50,"topK":3}}""",
            path: $"/v1beta/models/chat:{(isStream ? "streamGenerateContent" : "generateContent")}{query}");
        var text = await response.TextAsync();

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        var sent = Assert.Single(fake.Requests).Json;
        Assert.Equal("small", sent.GetProperty("model").GetString());
        Assert.Equal(["system", "user"], sent.GetProperty("messages").EnumerateArray().Select(message => message.GetProperty("role").GetString()!));
        var answers = !isStream ? [JsonNode.Parse(text)!]
            : array ? [.. JsonNode.Parse(text)!.AsArray().Select(element => element!)]
            : text.Split("\r\n\r\n", StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line[6..])!).ToArray();
        Assert.Equal("Hello", string.Concat(answers.Select(answer => answer["candidates"]![0]!["content"]!["parts"]![0]!["text"]!.GetValue<string>())));
        Assert.Equal("STOP", answers[^1]["candidates"]![0]!["finishReason"]!.GetValue<string>());
        Assert.Equal((9, 3), (answers[^1]["usageMetadata"]!["promptTokenCount"]!.GetValue<int>(), answers[^1]["usageMetadata"]!["candidatesTokenCount"]!.GetValue<int>()));
        Assert.Equal(isStream && !array ? "text/event-stream" : "application/json", response.Content.Headers.ContentType!.MediaType);
    }

    [Fact]
    public async Task Post_ChatClient_ReachesGeminiWithToolsAndBack()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, """{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{"a":1}},"thoughtSignature":"c2ln"}],"role":"model"},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5},"responseId":"r1"}"""));
        fake.Enqueue(FakeReply.Json(200, Answer));

        using var first = await host.PostAsync("""{"model":"m","messages":[{"role":"user","content":"hi"}],"tools":[{"type":"function","function":{"name":"f","parameters":{"type":"object"}}}]}""");
        var message = JsonNode.Parse(await first.TextAsync())!["choices"]![0]!;
        Assert.Equal("tool_calls", message["finish_reason"]!.GetValue<string>());
        var call = message["message"]!["tool_calls"]![0]!;
        Assert.Equal("""{"a":1}""", call["function"]!["arguments"]!.GetValue<string>());

        // A client that keeps nothing but the call itself: its signature comes back all the same.
        using var second = await host.PostAsync($$$"""
            {"model":"m","messages":[{"role":"user","content":"hi"},{"role":"assistant","content":null,"tool_calls":[{"id":"{{{call["id"]!.GetValue<string>()}}}","type":"function","function":{"name":"f","arguments":"{\"a\":1}"}}]},
              {"role":"tool","tool_call_id":"{{{call["id"]!.GetValue<string>()}}}","content":"42"}]}
            """);

        Assert.Equal("Hello", JsonNode.Parse(await second.TextAsync())!["choices"]![0]!["message"]!["content"]!.GetValue<string>());
        var contents = JsonNode.Parse(fake.Requests[1].Body)!["contents"]!;
        Assert.Equal("c2ln", contents[1]!["parts"]![0]!["thoughtSignature"]!.GetValue<string>());
        Assert.Equal("""{"output":"42"}""", contents[2]!["parts"]![0]!["functionResponse"]!["response"]!.ToJsonString());
    }

    [Fact]
    public async Task Post_CountTokens_IsRelayedAndFree()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, Money.FromDollars(1), ProxyHost.Price(2, 50, "google"));
        fake.Enqueue(FakeReply.Json(200, """{"totalTokens":11}"""));

        using var response = await host.PostAsync("""{"generateContentRequest":{"model":"models/m","contents":[{"parts":[{"fileData":{"fileUri":"gs://x"}}]}]}}""", path: "/v1beta/models/m:countTokens");

        Assert.Equal("""{"totalTokens":11}""", await response.TextAsync());
        var received = Assert.Single(fake.Requests);
        Assert.Equal("/v1/models/g:countTokens", received.Path);
        Assert.Equal("models/g", received.Json.GetProperty("generateContentRequest").GetProperty("model").GetString());
        Assert.Equal(Money.Zero, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Cost);
    }

    [Fact]
    public async Task Post_BatchEmbed_EveryRequestNamesTheProvidersModel()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, """{"embeddings":[{"values":[0.5]},{"values":[1]}]}"""));

        using var response = await host.PostAsync("""{"requests":[{"model":"models/m","content":{"parts":[{"text":"a"}]}},{"content":{"parts":[{"text":"b"}]},"model":"models/m"}]}""", path: "/v1beta/models/m:batchEmbedContents");

        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(["models/g", "models/g"], Assert.Single(fake.Requests).Json.GetProperty("requests").EnumerateArray().Select(request => request.GetProperty("model").GetString()!));
    }

    [Fact]
    public async Task Post_OpenAiEmbeddings_ReachGemini()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, """{"embeddings":[{"values":[0.5,-2]},{"values":[1,0]}],"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}"""));
        fake.Enqueue(FakeReply.Json(200, """{"embeddings":[{"values":[0.5,-2]}]}"""));

        using var response = await host.PostAsync("""{"model":"m","input":["a\"","b"],"dimensions":2,"task_type":"RETRIEVAL_QUERY","user":"u"}""", path: "/v1/embeddings");

        Assert.Equal("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-2]},{"object":"embedding","index":1,"embedding":[1,0]}],"model":"g","usage":{"prompt_tokens":4,"total_tokens":4}}""", await response.TextAsync());
        Assert.Equal("user", response.Header("x-gateway-dropped"));
        Assert.Equal("/v1/models/g:batchEmbedContents", fake.Requests[0].Path);
        GeminiTestKit.AssertSame("""
            {"requests":[{"model":"models/g","content":{"parts":[{"text":"a\""}]},"outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"},{"model":"models/g","content":{"parts":[{"text":"b"}]},"outputDimensionality":2,"taskType":"RETRIEVAL_QUERY"}]}
            """, JsonNode.Parse(fake.Requests[0].Body)!);
        using var base64 = await host.PostAsync("""{"model":"m","input":"a","encoding_format":"base64"}""", path: "/v1/embeddings");
        var bytes = Convert.FromBase64String(JsonNode.Parse(await base64.TextAsync())!["data"]![0]!["embedding"]!.GetValue<string>());
        Assert.Equal([0.5f, -2f], Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToSingle(bytes, i * 4)));
        using var numbers = await host.PostAsync("""{"model":"m","input":[1,2]}""", path: "/v1/embeddings");
        Assert.Equal((HttpStatusCode.BadRequest, "input"), (numbers.StatusCode, JsonNode.Parse(await numbers.TextAsync())!["error"]!["param"]!.GetValue<string>()));
        Assert.Equal(4, (await host.Ledger.RowsAsync(2))[0].Result.Usage.TotalInput);
    }

    [Fact]
    public async Task Post_GooglesEmbeddings_ReachOpenAi()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);
        fake.Enqueue(FakeReply.Json(200, """{"object":"list","data":[{"index":0,"embedding":[0.5]}],"model":"small","usage":{"prompt_tokens":4,"total_tokens":4}}"""));
        fake.Enqueue(FakeReply.Json(200, """{"object":"list","data":[{"index":1,"embedding":"AACAPw=="},{"index":0,"embedding":[0.5]}],"model":"small"}"""));

        using var one = await host.PostAsync("""{"content":{"parts":[{"text":"a"},{"text":"b"}]},"task_type":"X","output_dimensionality":3}""", path: "/v1beta/models/chat:embedContent");
        using var many = await host.PostAsync("""{"requests":[{"model":"models/chat","content":{"parts":[{"text":"a"}]}},{"model":"models/chat","content":{"parts":[{"text":"b"}]}}]}""", path: "/v1beta/models/chat:batchEmbedContents");

        Assert.Equal("""{"embedding":{"values":[0.5]},"usageMetadata":{"promptTokenCount":4,"totalTokenCount":4}}""", await one.TextAsync());
        Assert.Equal("taskType", one.Header("x-gateway-dropped"));
        Assert.Equal("""{"embeddings":[{"values":[0.5]},{"values":[1]}]}""", await many.TextAsync());
        Assert.Equal("""{"model":"small","input":["a\nb"],"encoding_format":"float","dimensions":3}""", Encoding.UTF8.GetString(fake.Requests[0].Body));
        Assert.Equal("""{"model":"small","input":["a","b"],"encoding_format":"float"}""", Encoding.UTF8.GetString(fake.Requests[1].Body));
    }

    [Fact]
    public async Task Get_Models_AreGooglesAndPaged()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        var names = new List<string>();
        for (var (token, pages) = ("", 0); pages == 0 || token.Length > 0; pages++)
        {
            using var page = await host.GetAsync($"/v1beta/models?pageSize=2&pageToken={Uri.EscapeDataString(token)}");
            var list = JsonNode.Parse(await page.TextAsync())!;
            names.AddRange(list["models"]!.AsArray().Select(model => model!["name"]!.GetValue<string>()));
            token = list["nextPageToken"]?.GetValue<string>() ?? "";
        }
        using var one = await host.GetAsync("/v1beta/models/google%2Fg");

        Assert.Equal(["models/chat", "models/google/small", "models/m", "models/openai/small"], names.Order(StringComparer.Ordinal));
        var model = JsonNode.Parse(await one.TextAsync())!;
        Assert.Equal("models/google/g", model["name"]!.GetValue<string>());
        Assert.Equal(["generateContent", "streamGenerateContent", "countTokens", "embedContent", "batchEmbedContents"], model["supportedGenerationMethods"]!.AsArray().Select(method => method!.GetValue<string>()));
    }

    [Fact]
    public async Task Get_ModelsThatTheKeyMayNotUse_AreNotThere()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, models: ["chat"]);

        using var list = await host.GetAsync("/v1beta/models");
        using var none = await host.GetAsync("/v1beta/models/m");
        using var call = await host.PostAsync(Body, path: "/v1beta/models/m:generateContent");

        Assert.Equal("models/chat", Assert.Single(JsonNode.Parse(await list.TextAsync())!["models"]!.AsArray())!["name"]!.GetValue<string>());
        Assert.Equal((HttpStatusCode.NotFound, HttpStatusCode.NotFound), (none.StatusCode, call.StatusCode));
        Assert.Equal("NOT_FOUND", JsonNode.Parse(await none.TextAsync())!["error"]!["status"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("/v1beta/models/m:teach", HttpStatusCode.NotFound)]
    [InlineData("/v1beta/models/:generateContent", HttpStatusCode.NotFound)]
    [InlineData("/v1beta/models/chat:countTokens", HttpStatusCode.NotFound)]
    public async Task Post_NoSuchThing_IsGooglesError(string path, HttpStatusCode status)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake);

        using var response = await host.PostAsync(Body, path: path);

        Assert.Equal(status, response.StatusCode);
        Assert.Equal("NOT_FOUND", JsonNode.Parse(await response.TextAsync())!["error"]!["status"]!.GetValue<string>());
    }

    private static string Sse() => string.Concat(Chunks.Select(chunk => $"data: {chunk}\r\n\r\n"));

    private static Task<ProxyHost> StartAsync(FakeProvider fake, Money? budget = null, ModelPrice? price = null, string[]? models = null) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers = [ProxyHost.Provider(fake, "google") with { Dialect = DialectIds.Gemini }, ProxyHost.Provider(fake, "openai")],
        Routes = [new Route { Name = "m", Targets = [new Target("google", "g")] }, new Route { Name = "chat", Targets = [new Target("openai", "small")] }],
        HardBudget = budget,
        Prices = price is null ? [] : [price],
        Models = [.. models ?? ["*"]],
    });
}
