using System.Text.Json;
using LlmProxy.Tests.Hosting;
using Microsoft.Extensions.AI;
using Microsoft.Extensions.DependencyInjection;
using Shared.Ledger;
using Shared.Models;
using Shared.Pricing;
using TestSupport;

namespace LlmProxy.Tests.InProcess;

public sealed class ModelAccessTests
{
    private static readonly string ToolTurn = """
        {"id":"c1","object":"chat.completion","created":5,"model":"served","choices":[{"index":0,"message":{"role":"assistant","content":null,"reasoning_content":"Need weather.","thinking_blocks":[{"type":"thinking","thinking":"Need weather.","signature":"SIG=="}],
        "tool_calls":[{"id":"t1","type":"function","function":{"name":"weather","arguments":"{\"city\":\"Köln \\\"am\\\" Rhein\"}"},"extra_content":{"google":{"thought_signature":"GOO"}}}]},"finish_reason":"tool_calls"}],
        "usage":{"prompt_tokens":30,"completion_tokens":10,"total_tokens":40,"prompt_tokens_details":{"cached_tokens":20,"cache_write_tokens":4},"completion_tokens_details":{"reasoning_tokens":6}}}
        """;

    private static CancellationToken Ended => TestContext.Current.CancellationToken;

    [Fact]
    public async Task GetResponse_Text_TakesTheWayOfAnOutsideCaller()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        var options = new ChatOptions { Instructions = "Be brief.", Temperature = 0.5f, MaxOutputTokens = 50, StopSequences = ["END"], AdditionalProperties = new() { ["logit_bias"] = new Dictionary<string, int> { ["5"] = -1 } } };

        var response = await Chat(host).GetResponseAsync([new ChatMessage(ChatRole.User, "Hi \"you\" 😀")], options, Ended);

        Assert.Equal("Hello!", response.Text);
        Assert.Equal((ChatFinishReason.Stop, "fake", "chatcmpl-1"), (response.FinishReason!.Value, response.ModelId, response.ResponseId));
        Assert.Equal((9L, 3L, 12L), (response.Usage!.InputTokenCount!.Value, response.Usage.OutputTokenCount!.Value, response.Usage.TotalTokenCount!.Value));
        Assert.Equal("fake", response.AdditionalProperties!["x-gateway-provider"]);
        Assert.Equal("""{"kept":true}""", ((JsonElement)response.AdditionalProperties["vendor_extra"]!).GetRawText());
        var expected = """{"model":"small","messages":[{"role":"system","content":"Be brief."},{"role":"user","content":"Hi \"you\" 😀"}],"max_completion_tokens":50,"temperature":0.5,"stop":["END"],"logit_bias":{"5":-1}}""";
        Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(expected).RootElement, fake.Requests[0].Json), fake.Requests[0].Json.GetRawText());
        var row = Assert.Single(await host.Ledger.RowsAsync(1));
        Assert.Equal((CallOutcome.Succeeded, "key", "req-inside", 9L, 3L), (row.Result.Outcome, row.Request.Key!.Id, row.Request.RequestId, row.Result.Usage.Input, row.Result.Usage.Output));
    }

    [Fact]
    public async Task FunctionLoop_SignedTurn_GoesBackWithItsResult()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        var replies = new Queue<FakeReply>([FakeReply.Json(200, ToolTurn), FakeReply.Completion("It rains.")]);
        fake.Otherwise = _ => replies.Dequeue();
        var weather = AIFunctionFactory.Create((string city) => $"Rain in {city}", "weather", "Looks out of the window.");
        using var client = new FunctionInvokingChatClient(Chat(host));

        var response = await client.GetResponseAsync("How is it?", new ChatOptions { Tools = [weather], ToolMode = ChatToolMode.RequireAny }, Ended);

        Assert.Equal("It rains.", response.Text);
        var first = fake.Requests[0].Json;
        Assert.Equal("required", first.GetProperty("tool_choice").GetString());
        Assert.Equal(("weather", "Looks out of the window."), (first.GetProperty("tools")[0].GetProperty("function").GetProperty("name").GetString(), first.GetProperty("tools")[0].GetProperty("function").GetProperty("description").GetString()));
        Assert.Equal("string", first.GetProperty("tools")[0].GetProperty("function").GetProperty("parameters").GetProperty("properties").GetProperty("city").GetProperty("type").GetString());
        var turn = fake.Requests[1].Json.GetProperty("messages")[1];
        Assert.Equal("Need weather.", turn.GetProperty("reasoning_content").GetString());
        Assert.Equal("""[{"index":0,"type":"thinking","thinking":"Need weather.","signature":"SIG=="}]""", turn.GetProperty("thinking_blocks").GetRawText());
        var call = turn.GetProperty("tool_calls")[0];
        Assert.Equal(("t1", "GOO"), (call.GetProperty("id").GetString(), call.GetProperty("extra_content").GetProperty("google").GetProperty("thought_signature").GetString()));
        Assert.Equal("Köln \"am\" Rhein", JsonDocument.Parse(call.GetProperty("function").GetProperty("arguments").GetString()!).RootElement.GetProperty("city").GetString());
        var result = fake.Requests[1].Json.GetProperty("messages")[2];
        Assert.Equal(("tool", "t1", "Rain in Köln \"am\" Rhein"), (result.GetProperty("role").GetString(), result.GetProperty("tool_call_id").GetString(), result.GetProperty("content").GetString()));
    }

    [Fact]
    public async Task GetResponse_Usage_EveryPartIsThere()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Json(200, ToolTurn);

        var usage = (await Chat(host).GetResponseAsync("x", cancellationToken: Ended)).Usage!;

        Assert.Equal((30L, 10L, 20L, 6L, 4L), (usage.InputTokenCount!.Value, usage.OutputTokenCount!.Value, usage.CachedInputTokenCount!.Value, usage.ReasoningTokenCount!.Value, usage.AdditionalCounts!["CacheWriteTokenCount"]));
    }

    [Fact]
    public async Task GetStreamingResponse_ArrivesPieceByPiece()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        var seen = new TaskCompletionSource();
        fake.Otherwise = _ => FakeReply.Stream(FakeReply.Role() + FakeReply.Content("Hé"), new FakePiece(System.Text.Encoding.UTF8.GetBytes(FakeReply.Content("llo") + FakeReply.Finish() + FakeReply.Usage(5, 2) + FakeReply.Done), seen.Task));

        var text = "";
        var updates = new List<ChatResponseUpdate>();
        await foreach (var update in Chat(host).GetStreamingResponseAsync("x", cancellationToken: Ended))
        {
            updates.Add(update);
            text += update.Text;
            if (text == "Hé")
            {
                seen.TrySetResult(); // the rest comes only once the first piece was seen
            }
        }

        var response = updates.ToChatResponse();
        Assert.Equal("Héllo", response.Text);
        Assert.Equal((ChatFinishReason.Stop, 7L), (response.FinishReason!.Value, response.Usage!.TotalTokenCount!.Value));
        Assert.True(fake.Requests[0].Json.GetProperty("stream").GetBoolean());
        Assert.Equal(CallOutcome.Succeeded, (await host.Ledger.RowsAsync(1))[0].Result.Outcome);
    }

    [Fact]
    public async Task GetStreamingResponse_ReaderLeaves_UpstreamIsCancelledAndSettled()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Stream(FakeReply.Role() + FakeReply.Content("a")) with { Ending = FakeEnding.Hang };

        await foreach (var update in Chat(host).GetStreamingResponseAsync("x", cancellationToken: Ended))
        {
            if (update.Text == "a")
            {
                break;
            }
        }

        await fake.Requests[0].AbortedAsync();
        Assert.Equal(CallOutcome.Cancelled, Assert.Single(await host.Ledger.RowsAsync(1)).Result.Outcome);
        Assert.Equal(0, host.Memory.Held);
    }

    [Fact]
    public async Task GetResponse_TokenCancelled_ThrowsAndCancelsUpstream()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Hang;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Ended);

        var asked = Chat(host).GetResponseAsync("x", cancellationToken: stop.Token);
        await fake.WaitForRequestsAsync(1);
        await stop.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asked);
        await fake.Requests[0].AbortedAsync();
    }

    [Fact]
    public async Task GetStreamingResponse_BreaksOff_ThrowsAfterWhatCame()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Stream(FakeReply.Role() + FakeReply.Content("a"));
        var text = "";

        var error = await Assert.ThrowsAsync<ModelCallException>(async () =>
        {
            await foreach (var update in Chat(host).GetStreamingResponseAsync("x", cancellationToken: Ended))
            {
                text += update.Text;
            }
        });

        Assert.Equal(("a", "upstream_stream_broken"), (text, error.Code));
    }

    [Theory]
    [InlineData("fake/large", 404, "model_not_found")]
    [InlineData("small", 429, "fake_429")]
    public async Task GetResponse_Refused_SaysWhatAnOutsideCallerIsTold(string model, int status, string code)
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Models = ["fake/small", "small"] });
        fake.Otherwise = _ => FakeReply.Error(429) with { Headers = new Dictionary<string, string> { ["Retry-After"] = "7" } };

        var error = await Assert.ThrowsAsync<ModelCallException>(() => host.Services.GetRequiredService<IModelAccess>().Chat(host.NewCaller(), model == "small" ? "fake/small" : model).GetResponseAsync("x", cancellationToken: Ended));

        Assert.Equal((status, code), (error.Status, error.Code));
        Assert.Equal(status == 429 ? TimeSpan.FromSeconds(7) : null, error.RetryAfter);
    }

    [Fact]
    public async Task GetResponse_BudgetTooSmall_IsRefusedBeforeTheProviderIsAsked()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)], Prices = [ProxyHost.Price(1, 1)], HardBudget = Money.FromDollars(0.000001m) });

        var error = await Assert.ThrowsAsync<ModelCallException>(() => host.Services.GetRequiredService<IModelAccess>().Chat(host.NewCaller(), "fake/small").GetResponseAsync("x", cancellationToken: Ended));

        Assert.Equal("budget_exceeded", error.Code);
        Assert.Empty(fake.Requests);
    }

    [Fact]
    public async Task GetResponse_MediaAndSchema_AreSent()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        var message = new ChatMessage(ChatRole.User, [new TextContent("See"), new DataContent(new byte[] { 1, 2, 3 }, "image/png"), new UriContent("https://e.org/i.webp", "image/webp"), new DataContent("%PDF"u8.ToArray(), "application/pdf") { Name = "a.pdf" }]);

        await Chat(host).GetResponseAsync<Answer>([message], cancellationToken: Ended, options: new ChatOptions { Reasoning = new ReasoningOptions { Effort = ReasoningEffort.High } }, useJsonSchemaResponseFormat: true);

        var body = fake.Requests[0].Json;
        Assert.Equal("""[{"type":"text","text":"See"},{"type":"image_url","image_url":{"url":"data:image/png;base64,AQID"}},{"type":"image_url","image_url":{"url":"https://e.org/i.webp"}},{"type":"file","file":{"filename":"a.pdf","file_data":"data:application/pdf;base64,JVBERg=="}}]""",
            body.GetProperty("messages")[0].GetProperty("content").GetRawText());
        Assert.Equal("high", body.GetProperty("reasoning_effort").GetString());
        Assert.Equal("number", body.GetProperty("response_format").GetProperty("json_schema").GetProperty("schema").GetProperty("properties").GetProperty("size").GetProperty("type").GetString());
    }

    [Fact]
    public async Task GetResponse_WhatNoModelCanBeSent_IsRefused()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);

        await Assert.ThrowsAsync<NotSupportedException>(() => Chat(host).GetResponseAsync("x", new ChatOptions { Tools = [new HostedWebSearchTool()] }, Ended));
        await Assert.ThrowsAsync<NotSupportedException>(() => Chat(host).GetResponseAsync("x", new ChatOptions { ConversationId = "c" }, Ended));
        await Assert.ThrowsAsync<NotSupportedException>(() => Chat(host).GetResponseAsync([new ChatMessage(new ChatRole("king"), "x")], null, Ended));
        Assert.Empty(fake.Requests);
    }

    [Theory]
    [InlineData("""[0.5,-2]""", """[1,3.25]""")]
    [InlineData("\"AAAAPwAAAMA=\"", "\"AACAPwAAUEA=\"")]
    public async Task Generate_Embeddings_OneForEachText(string first, string second)
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Json(200, $$$"""{"object":"list","data":[{"object":"embedding","index":1,"embedding":{{{second}}}},{"object":"embedding","index":0,"embedding":{{{first}}}}],"model":"e","usage":{"prompt_tokens":4,"total_tokens":4}}""");

        var made = await host.Services.GetRequiredService<IModelAccess>().Embeddings(host.NewCaller(), "fake/embed").GenerateAsync(["a", "b\n"], new EmbeddingGenerationOptions { Dimensions = 2 }, Ended);

        Assert.Equal([[0.5f, -2f], [1f, 3.25f]], made.Select(embedding => embedding.Vector.ToArray()));
        Assert.Equal(4, made.Usage!.InputTokenCount);
        Assert.Equal("""{"model":"embed","input":["a","b\n"],"dimensions":2}""", fake.Requests[0].Json.GetRawText());
        Assert.Equal(4, (await host.Ledger.RowsAsync(1))[0].Result.Usage.Input);
    }

    [Fact]
    public async Task Generate_AnswerWithoutAVector_IsAnError()
    {
        await using var fake = await FakeProvider.StartAsync(Ended);
        await using var host = await StartAsync(fake);
        fake.Otherwise = _ => FakeReply.Json(200, """{"object":"list","data":[{"index":0,"embedding":[1]}],"model":"e"}""");

        var error = await Assert.ThrowsAsync<ModelCallException>(() => host.Services.GetRequiredService<IModelAccess>().Embeddings(host.NewCaller(), "fake/embed").GenerateAsync(["a", "b"], cancellationToken: Ended));

        Assert.Equal("upstream_error", error.Code);
    }

    private static Task<ProxyHost> StartAsync(FakeProvider fake) => ProxyHost.StartAsync(new ProxySetup { Providers = [ProxyHost.Provider(fake)] });

    private static IChatClient Chat(ProxyHost host) => host.Services.GetRequiredService<IModelAccess>().Chat(host.NewCaller(), "fake/small");

    private sealed record Answer(double Size);
}
