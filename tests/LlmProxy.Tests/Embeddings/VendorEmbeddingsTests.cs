using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Tests.Hosting;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Embeddings;

/// <summary><c>/v1/embeddings</c> for providers that have a form of their own for it.</summary>
public sealed class VendorEmbeddingsTests
{
    private const string Path = "/v1/embeddings";

    private static readonly ModelPrice price = ProxyHost.Price(2, 0);

    [Fact]
    public async Task Vertex_ManyTexts_ArePredictedAndTheirTokensAdded()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "gemini", "text-embedding-005", "generate", "predict");
        fake.Enqueue(FakeReply.Json(200, """
            {"predictions":[{"embeddings":{"statistics":{"truncated":false,"token_count":4.0},"values":[0.5,-2]}},{"embeddings":{"values":[1,0],"statistics":{"token_count":3,"truncated":false}}}],"metadata":{"billableCharacterCount":9}}
            """));

        using var response = await host.PostAsync("""{"model":"m","input":["a\"é","b"],"dimensions":2,"task_type":"RETRIEVAL_QUERY","user":"u","encoding_format":"float"}""", path: Path);

        Assert.Equal("""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,-2]},{"object":"embedding","index":1,"embedding":[1,0]}],"model":"text-embedding-005","usage":{"prompt_tokens":7,"total_tokens":7}}""", await response.TextAsync());
        Assert.Equal("user", response.Header("x-gateway-dropped"));
        var request = Assert.Single(fake.Requests);
        Assert.Equal("/v1/models/text-embedding-005:predict", request.Path);
        AssertSame("""{"instances":[{"content":"a\"é","task_type":"RETRIEVAL_QUERY"},{"content":"b","task_type":"RETRIEVAL_QUERY"}],"parameters":{"outputDimensionality":2}}""", request.Body);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, 7L, new Money(7 * 2000)), (row.Result.Source, row.Result.Usage.TotalInput, row.Charged!.Value));
    }

    [Fact]
    public async Task Vertex_CohereWordsForTheTask_AreUnderstood()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "gemini", "g", "predict");
        fake.Enqueue(FakeReply.Json(200, """{"predictions":[{"embeddings":{"values":[1]}}]}"""));

        using var response = await host.PostAsync("""{"model":"m","input":"a","input_type":"search_document"}""", path: Path);

        AssertSame("""{"instances":[{"content":"a","task_type":"RETRIEVAL_DOCUMENT"}]}""", Assert.Single(fake.Requests).Body);
        // No tokens were told: charged by what was sent, and never as nothing.
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.NotEqual(UsageSource.Reported, row.Result.Source);
        Assert.True(row.Charged > Money.Zero);
    }

    [Theory]
    [InlineData("amazon.titan-embed-text-v2:0", """{"model":"m","input":["a"],"dimensions":256}""", """{"inputText":"a","dimensions":256}""", """{"embedding":[0.5,1],"inputTextTokenCount":3,"embeddingsByType":{"float":[0.5,1]}}""")]
    [InlineData("amazon.titan-embed-image-v1", """{"model":"m","input":"a","dimensions":256}""", """{"inputText":"a","embeddingConfig":{"outputEmbeddingLength":256}}""", """{"embedding":[0.5,1],"inputTextTokenCount":3}""")]
    [InlineData("us.cohere.embed-v4:0", """{"model":"m","input":["a"],"dimensions":256,"task_type":"RETRIEVAL_QUERY"}""",
        """{"texts":["a"],"input_type":"search_query","embedding_types":["float"],"output_dimension":256}""", """{"id":"1","texts":["a"],"response_type":"embeddings_by_type","embeddings":{"float":[[0.5,1]]}}""")]
    [InlineData("cohere.embed-english-v3", """{"model":"m","input":"a"}""", """{"texts":["a"],"input_type":"search_document","embedding_types":["float"]}""", """{"id":"1","texts":["a"],"response_type":"embeddings_floats","embeddings":[[0.5,1]]}""")]
    [InlineData("amazon.nova-2-multimodal-embeddings-v1:0", """{"model":"m","input":"a","dimensions":384,"input_type":"search_query"}""",
        """{"schemaVersion":"nova-multimodal-embed-v1","taskType":"SINGLE_EMBEDDING","singleEmbeddingParams":{"embeddingPurpose":"TEXT_RETRIEVAL","embeddingDimension":384,"text":{"truncationMode":"NONE","value":"a"}}}""",
        """{"embeddings":[{"embeddingType":"TEXT","embedding":[0.5,1]}]}""")]
    public async Task Bedrock_OneText_InTheModelsOwnForm(string model, string ask, string sent, string answer)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "bedrock", model, "converse", "invoke");
        fake.Enqueue(FakeReply.Json(200, answer) with { Headers = new Dictionary<string, string> { ["x-amzn-bedrock-input-token-count"] = "3" } });

        using var response = await host.PostAsync(ask, path: Path);

        Assert.Equal($$$"""{"object":"list","data":[{"object":"embedding","index":0,"embedding":[0.5,1]}],"model":"{{{model}}}","usage":{"prompt_tokens":3,"total_tokens":3}}""", await response.TextAsync());
        var request = Assert.Single(fake.Requests);
        Assert.Equal($"/v1/model/{model}/invoke", Uri.UnescapeDataString(request.Path));
        AssertSame(sent, request.Body);
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((UsageSource.Reported, new Money(3 * 2000)), (row.Result.Source, row.Charged!.Value));
    }

    [Fact]
    public async Task Bedrock_ManyTexts_CohereTakesThemAtOnceAndInBase64()
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "bedrock", "cohere.embed-v4:0", "invoke");
        fake.Enqueue(FakeReply.Json(200, """{"embeddings":{"float":[[0.5,-2],[1,0]]}}""") with { Headers = new Dictionary<string, string> { ["x-amzn-bedrock-input-token-count"] = "9" } });

        using var response = await host.PostAsync("""{"model":"m","input":["a","b"],"encoding_format":"base64"}""", path: Path);

        var data = JsonNode.Parse(await response.TextAsync())!["data"]!.AsArray();
        float[][] vectors = [.. data.Select(item => Convert.FromBase64String(item!["embedding"]!.GetValue<string>())).Select(bytes => Enumerable.Range(0, bytes.Length / 4).Select(i => BitConverter.ToSingle(bytes, i * 4)).ToArray())];
        Assert.Equal([[0.5f, -2f], [1f, 0f]], vectors);
    }

    [Theory]
    [InlineData("amazon.titan-embed-text-v2:0", """{"model":"m","input":["a","b"]}""", "input")]
    [InlineData("amazon.titan-embed-text-v2:0", """{"model":"m","input":[1,2]}""", "input")]
    [InlineData("anthropic.claude", """{"model":"m","input":"a"}""", "model")]
    public async Task Bedrock_WhatItCannotEmbed_IsA400ThatNamesTheField(string model, string ask, string field)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, "bedrock", model, "invoke");

        using var response = await host.PostAsync(ask, path: Path);

        Assert.Equal((HttpStatusCode.BadRequest, field), (response.StatusCode, JsonNode.Parse(await response.TextAsync())!["error"]!["param"]!.GetValue<string>()));
        Assert.Empty(fake.Requests);
        Assert.Empty(host.Ledger.Rows);
    }

    [Theory]
    [InlineData("gemini", "g", "predict", """{"error":{"code":400,"message":"Too long.","status":"INVALID_ARGUMENT"}}""")]
    [InlineData("bedrock", "cohere.embed-v4:0", "invoke", """{"message":"Too long."}""")]
    public async Task Vendor_Refuses_ItsErrorIsTold(string dialect, string model, string endpoint, string error)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, dialect, model, endpoint);
        fake.Enqueue(FakeReply.Json(400, error));

        using var response = await host.PostAsync("""{"model":"m","input":"a"}""", path: Path);

        Assert.Equal((HttpStatusCode.BadRequest, "Too long."), (response.StatusCode, JsonNode.Parse(await response.TextAsync())!["error"]!["message"]!.GetValue<string>()));
        Assert.Equal(Money.Zero, Assert.Single(await host.Ledger.RowsAsync(1)).Charged);
    }

    [Theory]
    [InlineData("gemini", "g", "predict", """{"predictions":[]}""")]
    [InlineData("gemini", "g", "predict", """{"predictions":[{"embeddings":{}}]}""")]
    [InlineData("bedrock", "cohere.embed-v4:0", "invoke", """{"embeddings":"x"}""")]
    [InlineData("bedrock", "amazon.titan-embed-text-v2:0", "invoke", "{}")]
    [InlineData("bedrock", "amazon.titan-embed-text-v2:0", "invoke", "[1")]
    public async Task Vendor_AnswersNonsense_IsA502(string dialect, string model, string endpoint, string answer)
    {
        await using var fake = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var host = await StartAsync(fake, dialect, model, endpoint);
        fake.Enqueue(FakeReply.Json(200, answer));

        using var response = await host.PostAsync("""{"model":"m","input":"a"}""", path: Path);

        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
        Assert.Equal(CallOutcome.Broken, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Outcome);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake, string dialect, string model, params string[] endpoints) => ProxyHost.StartAsync(new ProxySetup
    {
        Providers =
        [
            ProxyHost.Provider(fake) with
            {
                Dialect = dialect, Models = [], EndpointAddresses = ProviderAddresses.Of(fake.BaseAddress.AbsoluteUri.TrimEnd('/'), endpoints),
            },
        ],
        Routes = [new Route { Name = "m", Targets = [new Target("fake", model)] }],
        Prices = [price],
    });

    private static void AssertSame(string expected, byte[] body) => Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(body)), Encoding.UTF8.GetString(body));
}
