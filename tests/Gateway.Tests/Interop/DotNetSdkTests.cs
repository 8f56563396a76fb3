using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using Anthropic;
using Anthropic.Exceptions;
using Microsoft.Extensions.AI;
using OpenAI;
using TestSupport;

namespace Gateway.Tests.Interop;

/// <summary>
/// The .NET SDKs of OpenAI and Anthropic before a provider of each wire format: what the formats have in common works from any to any. The providers are those of
/// <c>tests/interop/lib/vendors.mjs</c>; what they answer is told there.
/// </summary>
[Collection(InteropCollection.Name)]
public sealed class DotNetSdkTests(DotNetSdkTests.Setup setup) : IClassFixture<DotNetSdkTests.Setup>
{
    private const string Picture = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";

    private static readonly string[] Sdks = ["openai chat", "openai responses", "anthropic"];

    private static readonly Dictionary<string, (string Dialect, string Model)> Upstreams = new()
    {
        ["chat"] = ("openai-chat", "gpt-4o"),
        ["responses"] = ("openai-responses", "gpt-5.4"),
        ["messages"] = ("anthropic", "claude-sonnet-4-5"),
        ["gemini"] = ("gemini", "gemini-2.5-pro"),
        ["bedrock"] = ("bedrock", "anthropic.claude-sonnet-4-5-20250929-v1:0"),
    };

    public static TheoryData<string, string> Pairs => [.. Sdks.SelectMany(sdk => Upstreams.Keys, (sdk, upstream) => (sdk, upstream))];

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Chat_Text_ComesBackAsItWasSent(string sdk, string upstream)
    {
        var answer = await Client(sdk, upstream).GetResponseAsync("say: Grüße 🧪 \"quoted\" \\ and 你好", cancellationToken: Cancelled);

        Assert.Equal("Grüße 🧪 \"quoted\" \\ and 你好", answer.Text);
        Assert.Equal((21, 8), (answer.Usage!.InputTokenCount, answer.Usage.OutputTokenCount));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Stream_Text_ComesInPieces(string sdk, string upstream)
    {
        var (text, pieces) = (new StringBuilder(), 0);
        await foreach (var update in Client(sdk, upstream).GetStreamingResponseAsync("say: one two three four five six", cancellationToken: Cancelled))
        {
            text.Append(update.Text);
            pieces += update.Text.Length > 0 ? 1 : 0;
        }

        Assert.Equal("one two three four five six", text.ToString());
        Assert.True(pieces > 1);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Tools_CalledAtOnce_ResultsComeTogether(string sdk, string upstream)
    {
        var weather = AIFunctionFactory.Create((string city) => city == "Paris" ? "21 C" : "28 C", "get_weather", "Weather of a city");
        using var client = new FunctionInvokingChatClient(Client(sdk, upstream));

        var answer = await client.GetResponseAsync("weather, please", new ChatOptions { Tools = [weather] }, Cancelled);

        Assert.Equal("It is 21 C and 28 C.", answer.Text.Replace("\"", "", StringComparison.Ordinal));
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task StructuredOutput_Schema_ReachesTheProvider(string sdk, string upstream)
    {
        using var schema = JsonDocument.Parse("""{"type":"object","properties":{"answer":{"type":"integer"},"unit":{"type":"string"}},"required":["answer","unit"],"additionalProperties":false}""");
        var options = new ChatOptions { ResponseFormat = ChatResponseFormat.ForJsonSchema(schema.RootElement, "answer") };

        var answer = await Client(sdk, upstream).GetResponseAsync("schema", options, Cancelled);

        Assert.Equal("""{"answer":42,"unit":"km"}""", answer.Text);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Image_ItsBytes_ReachTheProvider(string sdk, string upstream)
    {
        var message = new ChatMessage(ChatRole.User, [new TextContent("picture"), new DataContent(Convert.FromBase64String(Picture), "image/png")]);

        var answer = await Client(sdk, upstream).GetResponseAsync(message, cancellationToken: Cancelled);

        Assert.Equal($"image/png of {Convert.FromBase64String(Picture).Length} bytes", answer.Text);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Error_OfTheProvider_IsTheSdksOwn(string sdk, string upstream)
    {
        var failure = await Assert.ThrowsAnyAsync<Exception>(() => Client(sdk, upstream).GetResponseAsync("fail", cancellationToken: Cancelled));

        Assert.True(failure is ClientResultException { Status: 429 } or AnthropicRateLimitException, failure.ToString());
        Assert.Contains("Slow down, please", failure.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [MemberData(nameof(Pairs))]
    public async Task Stream_Cancelled_EndsUpstream(string sdk, string upstream)
    {
        var before = setup.HangUps;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () =>
        {
            await foreach (var update in Client(sdk, upstream).GetStreamingResponseAsync("hang", cancellationToken: stop.Token))
            {
                if (update.Text.Length > 0)
                {
                    await stop.CancelAsync();
                }
            }
            stop.Token.ThrowIfCancellationRequested();
        });

        await setup.HungUpAsync(before + 1);
    }

    private IChatClient Client(string sdk, string upstream)
    {
        var model = $"own-{upstream}/{Upstreams[upstream].Model}";
        var openAi = new OpenAIClient(
            new ApiKeyCredential(setup.Gateway.VirtualKey!), new OpenAIClientOptions { Endpoint = new Uri(setup.Gateway.BaseAddress, "openai/v1"), RetryPolicy = new ClientRetryPolicy(maxRetries: 0) });
        return sdk switch
        {
            "openai chat" => openAi.GetChatClient(model).AsIChatClient(),
#pragma warning disable OPENAI001 // The SDK calls its client of this format experimental.
            "openai responses" => openAi.GetResponsesClient().AsIChatClient(model),
#pragma warning restore OPENAI001
            _ => new AnthropicClient { ApiKey = setup.Gateway.VirtualKey!, BaseUrl = new Uri(setup.Gateway.BaseAddress, "anthropic").ToString(), MaxRetries = 0 }.AsIChatClient(model, 500),
        };
    }

    /// <summary>The providers, and a gateway before them.</summary>
    public sealed class Setup : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("gateway-sdks-").FullName;
        private readonly Lock gate = new();
        private readonly List<(int Count, TaskCompletionSource Reached)> waiting = [];
        private ChildProcess? vendors;

        internal GatewayProcess Gateway { get; private set; } = null!;

        /// <summary>How many answers were given up on so far.</summary>
        internal int HangUps { get; private set; }

        /// <inheritdoc/>
        public async ValueTask InitializeAsync()
        {
            Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
            var address = new TaskCompletionSource<string>(TaskCreationOptions.RunContinuationsAsynchronously);
            vendors = ChildProcess.Start(InteropFolder.Node, [Path.Combine(InteropFolder.Folder, "serve-vendors.mjs")], InteropFolder.Folder, new Dictionary<string, string>(), line =>
            {
                if (line.StartsWith("vendors: ", StringComparison.Ordinal))
                {
                    address.TrySetResult(line["vendors: ".Length..].Trim());
                }
                else if (line.StartsWith("hung up", StringComparison.Ordinal))
                {
                    CountHangUp();
                }
            });
            var vendor = await address.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            var providers = Upstreams.ToDictionary(upstream => $"own-{upstream.Key}", upstream => new { dialect = upstream.Value.Dialect, baseUrl = $"{vendor}/{upstream.Key}", apiKey = "upstream-secret", maxRetries = 0 });
            var prices = Upstreams.Select(upstream => new { provider = $"own-{upstream.Key}", model = "*", input = 1, output = 2, maxOutputTokens = 4096, maxImageTokens = 2000 });
            await File.WriteAllTextAsync(Path.Combine(folder, "gateway.yaml"), JsonSerializer.Serialize(new { providers, prices }), TestContext.Current.CancellationToken); // JSON is YAML
            Gateway = await InteropFolder.StartGatewayAsync(folder, TestContext.Current.CancellationToken);
        }

        /// <summary>Waits until so many answers were given up on.</summary>
        internal Task HungUpAsync(int count)
        {
            lock (gate)
            {
                var reached = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                waiting.Add((count, reached));
                if (HangUps >= count)
                {
                    reached.TrySetResult();
                }
                return reached.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
            }
        }

        /// <inheritdoc/>
        public async ValueTask DisposeAsync()
        {
            if (Gateway is not null)
            {
                await Gateway.DisposeAsync();
            }
            if (vendors is not null)
            {
                await vendors.DisposeAsync();
            }
            Directory.Delete(folder, recursive: true);
        }

        private void CountHangUp()
        {
            lock (gate)
            {
                HangUps++;
                foreach (var (count, reached) in waiting)
                {
                    if (HangUps >= count)
                    {
                        reached.TrySetResult();
                    }
                }
            }
        }
    }
}
