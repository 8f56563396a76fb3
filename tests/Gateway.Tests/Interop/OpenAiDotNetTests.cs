using System.ClientModel;
using System.ClientModel.Primitives;
using System.Text;
using System.Text.Json;
using OpenAI;
using OpenAI.Chat;
using OpenAI.Embeddings;
using TestSupport;

namespace Gateway.Tests.Interop;

/// <summary>The official OpenAI client for .NET, against the simulator of a gateway process.</summary>
[Collection(InteropCollection.Name)]
public sealed class OpenAiDotNetTests(OpenAiDotNetTests.Process process) : IClassFixture<OpenAiDotNetTests.Process>
{
    private static readonly ChatTool Weather = ChatTool.CreateFunctionTool(
        "get_weather", "Weather of a city", BinaryData.FromString("""{"type":"object","properties":{"city":{"type":"string"}},"required":["city"]}"""));

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task CompleteChat_Echo_AnswersWithTextAndUsage()
    {
        ChatCompletion completion = await Chat("simulator/echo").CompleteChatAsync([new UserChatMessage("hello gateway")], cancellationToken: Cancelled);

        Assert.Contains("hello gateway", completion.Content[0].Text, StringComparison.Ordinal);
        Assert.Equal(ChatFinishReason.Stop, completion.FinishReason);
        Assert.True(completion.Usage.InputTokenCount > 0);
        Assert.Equal(completion.Usage.InputTokenCount + completion.Usage.OutputTokenCount, completion.Usage.TotalTokenCount);
    }

    [Fact]
    public async Task CompleteChatStreaming_Echo_SaysTheSameAsThePlainAnswer()
    {
        var chat = Chat("simulator/echo");
        ChatCompletion plain = await chat.CompleteChatAsync([new UserChatMessage("grüße 🧪 gateway")], cancellationToken: Cancelled);
        var text = new StringBuilder();
        var finished = new List<ChatFinishReason>();
        ChatTokenUsage? usage = null;

        await foreach (var update in chat.CompleteChatStreamingAsync([new UserChatMessage("grüße 🧪 gateway")], cancellationToken: Cancelled))
        {
            foreach (var part in update.ContentUpdate)
            {
                text.Append(part.Text);
            }
            if (update.FinishReason is { } reason)
            {
                finished.Add(reason);
            }
            usage = update.Usage ?? usage;
        }

        Assert.Equal(plain.Content[0].Text, text.ToString());
        Assert.Equal([ChatFinishReason.Stop], finished);
        // This client asks for the usage of every stream.
        Assert.Equal(plain.Usage.OutputTokenCount, usage?.OutputTokenCount);
    }

    [Fact]
    public async Task CompleteChat_WithTools_CallsOneAndAnswersFromItsResult()
    {
        var chat = Chat("simulator/tools");
        var options = new ChatCompletionOptions { Tools = { Weather } };
        var messages = new List<ChatMessage> { new UserChatMessage("the weather, please") };

        ChatCompletion first = await chat.CompleteChatAsync(messages, options, Cancelled);
        var call = Assert.Single(first.ToolCalls);
        messages.AddRange([new AssistantChatMessage(first), new ToolChatMessage(call.Id, "21 degrees")]);
        ChatCompletion second = await chat.CompleteChatAsync(messages, options, Cancelled);

        Assert.Equal(ChatFinishReason.ToolCalls, first.FinishReason);
        Assert.Equal("get_weather", call.FunctionName);
        using var arguments = JsonDocument.Parse(call.FunctionArguments);
        Assert.Equal(JsonValueKind.String, arguments.RootElement.GetProperty("city").ValueKind);
        Assert.Equal(ChatFinishReason.Stop, second.FinishReason);
        Assert.Contains("21 degrees", second.Content[0].Text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChatStreaming_WithTools_StreamsOneWholeCall()
    {
        var options = new ChatCompletionOptions { Tools = { Weather } };
        var names = new List<string>();
        using var arguments = new MemoryStream();

        await foreach (var update in Chat("simulator/tools").CompleteChatStreamingAsync([new UserChatMessage("the weather, please")], options, Cancelled))
        {
            foreach (var part in update.ToolCallUpdates)
            {
                if (!string.IsNullOrEmpty(part.FunctionName))
                {
                    names.Add(part.FunctionName);
                }
                arguments.Write(part.FunctionArgumentsUpdate);
            }
        }

        Assert.Equal(["get_weather"], names);
        using var parsed = JsonDocument.Parse(arguments.ToArray());
        Assert.Equal(JsonValueKind.String, parsed.RootElement.GetProperty("city").ValueKind);
    }

    [Fact]
    public async Task CompleteChat_WrongKey_FailsWith401()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => Chat("simulator/echo", "sk-gw-wrong").CompleteChatAsync([new UserChatMessage("hello")], cancellationToken: Cancelled));

        Assert.Equal(401, failure.Status);
        Assert.Contains("_api_key", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task CompleteChat_UnknownModel_FailsWith404()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(
            () => Chat("simulator/nowhere").CompleteChatAsync([new UserChatMessage("hello")], cancellationToken: Cancelled));

        Assert.Equal(404, failure.Status);
        Assert.Contains("model_not_found", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task GetModels_FirstKey_ListsTheSimulator()
    {
        var models = await new OpenAIClient(new ApiKeyCredential(process.Gateway.VirtualKey!), Options()).GetOpenAIModelClient().GetModelsAsync(Cancelled);

        Assert.Contains(models.Value, model => model.Id == "simulator/echo");
        Assert.Contains(models.Value, model => model.Id == "simulator/tools");
    }

    [Fact]
    public async Task GenerateEmbeddings_Texts_AreVectorsOfTheDimensionsAskedFor()
    {
        var client = Client().GetEmbeddingClient("simulator/embed");

        var several = (await client.GenerateEmbeddingsAsync(["the cat sat", "the cat slept"], new EmbeddingGenerationOptions { Dimensions = 32 }, Cancelled)).Value;
        var one = (await client.GenerateEmbeddingAsync("the cat sat", new EmbeddingGenerationOptions { Dimensions = 32 }, Cancelled)).Value;

        Assert.Equal([0, 1], several.Select(embedding => embedding.Index));
        Assert.All(several, embedding => Assert.Equal(1.0, Math.Sqrt(embedding.ToFloats().ToArray().Sum(value => (double)value * value)), 4));
        Assert.Equal(32, one.ToFloats().Length);
        Assert.Equal(one.ToFloats().ToArray(), several[0].ToFloats().ToArray());
        Assert.True(several.Usage.InputTokenCount > 0);
    }

    [Fact]
    public async Task GenerateEmbeddings_ModelOfAnotherEndpoint_FailsWith404()
    {
        var failure = await Assert.ThrowsAsync<ClientResultException>(() => Client().GetEmbeddingClient("simulator/echo").GenerateEmbeddingAsync("x", cancellationToken: Cancelled));

        Assert.Equal(404, failure.Status);
        Assert.Contains("'embed'", failure.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task ClassifyText_Texts_AreFlaggedByTheirCategories()
    {
        var client = Client().GetModerationClient("simulator/moderation");

        var results = (await client.ClassifyTextAsync(["a calm day", "an act of violence"], Cancelled)).Value;

        Assert.Equal([false, true], results.Select(result => result.Flagged));
        Assert.True(results[1].Violence.Flagged);
        Assert.False(results[1].Hate.Flagged);
    }

    private OpenAIClient Client() => new(new ApiKeyCredential(process.Gateway.VirtualKey!), Options());

    private ChatClient Chat(string model, string? key = null) => new(model, new ApiKeyCredential(key ?? process.Gateway.VirtualKey!), Options());

    private OpenAIClientOptions Options() => new() { Endpoint = new Uri(process.Gateway.BaseAddress, "v1"), RetryPolicy = new ClientRetryPolicy(maxRetries: 0) };

    /// <summary>A gateway process for the tests of this class; it needs no Node.</summary>
    public sealed class Process : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("gateway-openai-").FullName;

        internal GatewayProcess Gateway { get; private set; } = null!;

        public async ValueTask InitializeAsync() => Gateway = await InteropFolder.StartGatewayAsync(folder, TestContext.Current.CancellationToken);

        public async ValueTask DisposeAsync()
        {
            if (Gateway is not null)
            {
                await Gateway.DisposeAsync();
            }
            Directory.Delete(folder, recursive: true);
        }
    }
}
