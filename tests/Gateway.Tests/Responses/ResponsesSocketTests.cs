using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Time.Testing;
using Shared.Ledger;
using TestSupport;

namespace Gateway.Tests.Responses;

/// <summary>Responses over WebSocket, through the whole gateway: before a provider of chat completions (<c>chat/m</c>) and before one of Responses (<c>own/m</c>).</summary>
public sealed class ResponsesSocketTests : IAsyncLifetime
{
    private readonly FakeTimeProvider clock = new(new DateTimeOffset(2026, 1, 1, 0, 0, 0, TimeSpan.Zero));
    private FakeProvider provider = null!;
    private TestGateway gateway = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        provider = await FakeProvider.StartAsync(Cancelled);
        provider.Otherwise = request => FakeReply.Stream(
            request.Path.EndsWith("/responses", StringComparison.Ordinal)
                ? Own("resp_up" + provider.Requests.Count)
                : FakeReply.Role() + FakeReply.Content("Hello") + FakeReply.Finish() + FakeReply.Usage(9, 3) + FakeReply.Done);
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Clock = clock,
            Configuration = $$"""
                providers:
                  chat: {baseUrl: "{{provider.BaseAddress}}", apiKey: sk-upstream, maxRetries: 0, stallTimeout: 1h}
                  own: {dialect: openai-responses, baseUrl: "{{provider.BaseAddress}}", apiKey: sk-upstream, maxRetries: 0}
                prices:
                  - {provider: chat, model: m, input: 1, output: 10, maxOutputTokens: 1000}
                  - {provider: own, model: m, input: 1, output: 10, maxOutputTokens: 1000}
                limits: {maxBodyBytes: 65536}
                """,
        }, Cancelled);
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await provider.DisposeAsync();
    }

    [Theory]
    [InlineData("/v1/responses")]
    [InlineData("/openai/responses")]
    [InlineData("/openai/v1/responses")]
    public async Task Create_Messages_AreRequestsOfTheirOwn(string path)
    {
        var (_, key) = await KeyAsync();
        using var socket = await ConnectAsync(key, path);

        for (var turn = 0; turn < 2; turn++)
        {
            await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"one","store":false}""");
            var events = await HearResponseAsync(socket);
            Assert.Equal("response.created", Type(events[0]));
            Assert.Equal(Enumerable.Range(0, events.Count), events.Select(heard => heard.GetProperty("sequence_number").GetInt32()));
            Assert.All(events, heard => Assert.False(heard.TryGetProperty("stream_id", out _)));
        }
        await CloseAsync(socket);

        var rows = await LedgerAsync(2);
        Assert.Equal(2, rows.Select(row => row.GetProperty("requestId").GetString()).Distinct().Count());
        Assert.Single(rows.Select(row => row.GetProperty("traceId").GetString()).Distinct());
        Assert.All(rows, row => Assert.Equal(0.000039m, row.GetProperty("costDollars").GetDecimal()));
        Assert.All(provider.Requests, sent => Assert.DoesNotContain("sk-gw-", string.Join(' ', sent.Headers.Values), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Create_OwnProvider_EventsPassAsTheyCome()
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, """{"type":"response.create", "stream_id":"l\u0061ne", "model":"own/m","input":[{"role":"user","content":"é"}],"store":false,"future":1e400}""");
        var events = await HearResponseAsync(socket);
        await CloseAsync(socket);

        Assert.Equal("""{"model":"m","input":[{"role":"user","content":"é"}],"store":false,"future":1e400,"stream":true,"max_output_tokens":1000}""",
            Encoding.UTF8.GetString(Assert.Single(provider.Requests).Body).Replace(",\"max_output_tokens\":1000", "", StringComparison.Ordinal).Replace("true}", "true,\"max_output_tokens\":1000}", StringComparison.Ordinal));
        Assert.StartsWith("""{"stream_id":"l\u0061ne","type":"response.output_item.done","sequence_number":1,"odd" : [ ]""", events[1].GetRawText(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("own")]
    [InlineData("chat")]
    public async Task Create_GoesOnFromTheLast_ProviderGetsTheConversationAndKeepsNothing(string name)
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);
        var body = $$"""
            "model":"{{name}}/m","store":false
            """;

        await SayAsync(socket, $$"""{"type":"response.create",{{body}},"input":[{"role":"user","content":"one"}],"generate":false}""");
        var prepared = Id(await HearResponseAsync(socket));
        await SayAsync(socket, $$"""{"type":"response.create",{{body}},"input":[{"role":"user","content":"two"}],"previous_response_id":"{{prepared}}"}""");
        var first = Id(await HearResponseAsync(socket));
        await SayAsync(socket, $$"""{"type":"response.create",{{body}},"input":"three","previous_response_id":"{{first}}"}""");
        await HearResponseAsync(socket);
        await CloseAsync(socket);

        Assert.Equal(2, provider.Requests.Count);
        var sent = provider.Requests[1].Json;
        Assert.False(sent.TryGetProperty("previous_response_id", out _));
        Assert.Equal(name == "own" ? ["one", "two", "Hello", "three"] : ["one", "two", "Hello", "three"], Said(sent.GetProperty(name == "own" ? "input" : "messages")));
        // Thoughts that nobody could read again are left out.
        Assert.DoesNotContain("rs_unreadable", Encoding.UTF8.GetString(provider.Requests[1].Body), StringComparison.Ordinal);
        Assert.Equal(2, (await LedgerAsync(2)).Count);
    }

    [Fact]
    public async Task Create_StoredAnswer_CanBeGoneOnFromByPost()
    {
        var (_, key) = await KeyAsync();
        using var socket = await ConnectAsync(key);
        await SayAsync(socket, """{"type":"response.create","model":"chat/m","store":false,"input":"one"}""");
        var first = Id(await HearResponseAsync(socket));
        await SayAsync(socket, $$"""{"type":"response.create","model":"chat/m","input":"two","previous_response_id":"{{first}}"}""");
        var second = Id(await HearResponseAsync(socket));
        await CloseAsync(socket);
        provider.Enqueue(FakeReply.Completion("Hello"));

        using var client = gateway.NewClient(key);
        using var lost = await client.PostAsJsonAsync("v1/responses", new { model = "chat/m", input = "x", previous_response_id = first }, Cancelled);
        using var found = await client.PostAsJsonAsync("v1/responses", new { model = "chat/m", input = "three", previous_response_id = second }, Cancelled);

        Assert.Equal("previous_response_not_found", (await lost.JsonAsync()).GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(HttpStatusCode.OK, found.StatusCode);
        Assert.Equal(["one", "Hello", "two", "Hello", "three"], Said(provider.Requests[^1].Json.GetProperty("messages")));
    }

    [Theory]
    [InlineData("no json", "invalid_json", null)]
    [InlineData("""{"type":"response.create"} x""", "invalid_json", null)]
    [InlineData("[1]", "missing_required_parameter", "type")]
    [InlineData("""{"model":"chat/m"}""", "missing_required_parameter", "type")]
    [InlineData("""{"type":"session.update"}""", "invalid_event", "type")]
    [InlineData("""{"type":"response.create","model":"chat/m","input":"x","background":true}""", "unsupported_parameter", "background")]
    [InlineData("""{"type":"response.create","model":"chat/m","input":"x","stream_id":""}""", "invalid_stream_id", "stream_id")]
    [InlineData("""{"type":"response.create","model":"chat/m","input":"x","stream_id":7}""", "invalid_stream_id", "stream_id")]
    [InlineData("""{"type":"response.create","model":"no-such-model","input":"x"}""", "model_not_found", "model")]
    [InlineData("""{"type":"response.create","model":"no-such-model","input":"x","generate":false}""", "model_not_found", "model")]
    [InlineData("""{"type":"response.create","model":"chat/m","model":"own/m","input":"x"}""", "duplicate_member", "model")]
    public async Task Message_Bad_IsRefusedAndTheConnectionStays(string message, string code, string? field)
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, message);
        var error = await HearAsync(socket);
        await SayAsync(socket, """{"type":"response.create","stream_id":"x","model":"chat/m","input":"x"}""");
        var events = await HearResponseAsync(socket);
        await CloseAsync(socket);

        Assert.Equal("error", Type(error));
        Assert.True(error.TryGetProperty("status", out var status) && status.GetInt32() is 400 or 404, error.GetRawText());
        Assert.Equal((code, field), (error.GetProperty("error").GetProperty("code").GetString(), error.GetProperty("error").GetProperty("param").GetString()));
        Assert.All(events, heard => Assert.Equal("x", heard.GetProperty("stream_id").GetString()));
        Assert.Single(provider.Requests);
    }

    [Theory]
    [InlineData("""{"type":"response.steer","previous_response_id":"resp_1","input":"stop"}""", """{"previous_response_id":"resp_1","input":"stop"}""")]
    [InlineData("""{"type":"response.steer"}""", "{}")]
    public async Task Steer_IsRefusedAndGivenBack(string message, string given)
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, message);
        var failed = await HearAsync(socket);
        await CloseAsync(socket);

        Assert.Equal(("response.steer.failed", "steering_not_supported", given), (Type(failed), failed.GetProperty("error").GetProperty("code").GetString(), failed.GetProperty("steer").GetRawText()));
        Assert.Empty(provider.Requests);
    }

    [Fact]
    public async Task Create_ProviderRefuses_StatusAndHeadersAreToldInTheMessagesLane()
    {
        provider.Enqueue(FakeReply.Error(429, "Slow down, please.") with { Headers = new Dictionary<string, string> { ["retry-after"] = "7" } });
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, """{"type":"response.create","stream_id":"a","model":"own/m","input":"x"}""");
        var error = await HearAsync(socket);
        await CloseAsync(socket);

        Assert.Equal(("a", 429, "Slow down, please."), (error.GetProperty("stream_id").GetString(), error.GetProperty("status").GetInt32(), error.GetProperty("error").GetProperty("message").GetString()));
        Assert.Equal("7", error.GetProperty("headers").GetProperty("retry-after").GetString());
        Assert.NotEmpty(error.GetProperty("headers").GetProperty("x-request-id").GetString()!);
    }

    [Fact]
    public async Task Create_BudgetIsSpent_IsRefusedAsOverHttp()
    {
        using var socket = await ConnectAsync((await KeyAsync("0.005")).Token);

        await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"x","max_output_tokens":100}""");
        await HearResponseAsync(socket);
        await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"x","max_output_tokens":600}""");
        var error = await HearAsync(socket);
        await CloseAsync(socket);

        Assert.Equal((429, "budget_exceeded", "insufficient_quota"), (error.GetProperty("status").GetInt32(), error.GetProperty("error").GetProperty("code").GetString(), error.GetProperty("error").GetProperty("type").GetString()));
    }

    [Theory]
    [InlineData("own")]
    [InlineData("chat")]
    public async Task Client_Leaves_UpstreamEndsAndWhatWasMadeIsCharged(string name)
    {
        provider.Enqueue(FakeReply.Stream(
            name == "own" ? Event("response.created", """{"response":{"id":"resp_1","status":"in_progress","output":[]}}""") + Event("response.output_text.delta", """{"output_index":0,"content_index":0,"item_id":"msg_1","delta":"Hello"}""") : FakeReply.Role() + FakeReply.Content("Hello")) with { Ending = FakeEnding.Hang });
        using var socket = await ConnectAsync((await KeyAsync()).Token);
        await SayAsync(socket, $$"""{"type":"response.create","model":"{{name}}/m","input":"x"}""");
        while (Type(await HearAsync(socket)) != "response.output_text.delta")
        {
        }

        await CloseAsync(socket);

        await Assert.Single(provider.Requests).AbortedAsync();
        var row = Assert.Single(await LedgerAsync(1));
        Assert.Equal(("cancelled", true), (row.GetProperty("outcome").GetString(), row.GetProperty("costDollars").GetDecimal() > 0));
    }

    [Fact]
    public async Task Lanes_MoreThanAreServed_AreRefusedAndOthersGoOn()
    {
        var release = new TaskCompletionSource();
        provider.Otherwise = _ => FakeReply.Stream(FakeReply.Role() + FakeReply.Content("Hello"), new FakePiece(Encoding.UTF8.GetBytes(FakeReply.Finish() + FakeReply.Usage(9, 3) + FakeReply.Done), release.Task));
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        for (var lane = 0; lane <= 16; lane++)
        {
            await SayAsync(socket, $$"""{"type":"response.create","stream_id":"{{lane}}","model":"chat/m","input":"x"}""");
        }
        var heard = await HearAsync(socket);
        while (Type(heard) != "error")
        {
            heard = await HearAsync(socket);
        }
        release.SetResult();
        var completed = new HashSet<string>();
        while (completed.Count < 16)
        {
            var next = await HearAsync(socket);
            if (Type(next) == "response.completed")
            {
                completed.Add(next.GetProperty("stream_id").GetString()!);
            }
        }
        await CloseAsync(socket);

        Assert.Equal(("16", 429, "too_many_requests"), (heard.GetProperty("stream_id").GetString(), heard.GetProperty("status").GetInt32(), heard.GetProperty("error").GetProperty("code").GetString()));
        Assert.Equal(16, provider.Requests.Count);
    }

    [Fact]
    public async Task Connection_AfterAnHour_EndsWhenItsLastResponseIsMade()
    {
        var release = new TaskCompletionSource();
        provider.Enqueue(FakeReply.Stream(FakeReply.Role() + FakeReply.Content("Hello"), new FakePiece(Encoding.UTF8.GetBytes(FakeReply.Finish() + FakeReply.Usage(9, 3) + FakeReply.Done), release.Task)));
        using var socket = await ConnectAsync((await KeyAsync()).Token);
        clock.Advance(TimeSpan.FromMinutes(1)); // the provider, too, is given an hour
        await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"x"}""");
        await HearAsync(socket);

        clock.Advance(TimeSpan.FromMinutes(59));
        await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"too late"}""");
        var refused = await HearAsync(socket);
        while (Type(refused) != "error")
        {
            refused = await HearAsync(socket);
        }
        release.SetResult();
        var rest = new List<JsonElement>();
        while (await HearOrNullAsync(socket) is { } heard)
        {
            rest.Add(heard);
        }

        Assert.Equal("websocket_connection_limit_reached", refused.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(["response.completed", "error"], rest.Select(Type).TakeLast(2));
        Assert.Equal("websocket_connection_limit_reached", rest[^1].GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(WebSocketCloseStatus.NormalClosure, socket.CloseStatus);
        Assert.Single(provider.Requests);
    }

    [Fact]
    public async Task Key_IsRevoked_ConnectionEndsAndSoDoesWhatIsMade()
    {
        provider.Enqueue(FakeReply.Stream(FakeReply.Role() + FakeReply.Content("Hello")) with { Ending = FakeEnding.Hang });
        var (id, key) = await KeyAsync();
        using var socket = await ConnectAsync(key);
        await SayAsync(socket, """{"type":"response.create","model":"chat/m","input":"x"}""");
        await HearAsync(socket);

        using var revoked = await gateway.AdminClient.DeleteAsync(new Uri($"admin/v1/keys/{id}", UriKind.Relative), Cancelled);
        Assert.True(revoked.IsSuccessStatusCode);
        clock.Advance(TimeSpan.FromSeconds(2));
        JsonElement? last = null;
        while (await HearOrNullAsync(socket) is { } heard)
        {
            last = heard;
        }

        Assert.Equal("invalid_api_key", last!.Value.GetProperty("error").GetProperty("code").GetString());
        Assert.Equal(WebSocketCloseStatus.PolicyViolation, socket.CloseStatus);
        await Assert.Single(provider.Requests).AbortedAsync();
    }

    [Fact]
    public async Task Message_TooLarge_EndsTheConnection()
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, $$"""{"type":"response.create","model":"chat/m","input":"{{new string('x', 70_000)}}"}""");
        var error = await HearAsync(socket);

        Assert.Equal("request_too_large", error.GetProperty("error").GetProperty("code").GetString());
        Assert.Null(await HearOrNullAsync(socket));
        Assert.Equal(WebSocketCloseStatus.MessageTooBig, socket.CloseStatus);
        Assert.Empty(provider.Requests);
    }

    [Fact]
    public async Task Gateway_IsStopped_ConnectionEnds()
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await gateway.Services.GetRequiredService<Microsoft.Extensions.Hosting.IHost>().StopAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(20), Cancelled);

        Assert.Null(await HearOrNullAsync(socket));
        Assert.Equal(WebSocketCloseStatus.EndpointUnavailable, socket.CloseStatus);
    }

    [Fact]
    public async Task Get_WithoutUpgrade_SaysWhatIsServed()
    {
        using var client = gateway.NewClient((await KeyAsync()).Token);
        using var response = await client.GetAsync(new Uri("v1/responses", UriKind.Relative), Cancelled);

        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
        Assert.Equal("websocket_required", (await response.JsonAsync()).GetProperty("error").GetProperty("code").GetString());
    }

    [Fact]
    public async Task Connect_WithoutAKey_IsRefused()
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(AddressOf("/v1/responses"), Cancelled));

        Assert.Equal(HttpStatusCode.Unauthorized, socket.HttpStatusCode);
    }

    [Fact]
    public async Task Create_TraceOfTheMessage_GoesUp()
    {
        const string Trace = "0af7651916cd43dd8448eb211c80319c";
        using var socket = await ConnectAsync((await KeyAsync()).Token);

        await SayAsync(socket, $$"""{"type":"response.create","model":"own/m","input":"x","client_metadata":{"ws_request_header_traceparent":"00-{{Trace}}-b7ad6b7169203331-01"} }""");
        await HearResponseAsync(socket);
        await CloseAsync(socket);

        Assert.Contains(Trace, Assert.Single(provider.Requests).Headers["traceparent"], StringComparison.Ordinal);
        Assert.Equal(Trace, Assert.Single(await LedgerAsync(1)).GetProperty("traceId").GetString());
    }

    private static string Type(JsonElement heard) => heard.GetProperty("type").GetString()!;

    private static string Id(List<JsonElement> events) => events[^1].GetProperty("response").GetProperty("id").GetString()!;

    private static string Event(string type, string members) => $"event: {type}\ndata: {{\"type\":\"{type}\",{members[1..]}\n\n";

    private static string Own(string id) =>
        Event("response.created", $$"""{"sequence_number":0,"response":{"id":"{{id}}","object":"response","status":"in_progress","output":[]} }""")
        + Event("response.output_item.done", """{"sequence_number":1,"odd" : [ ],"output_index":0,"item":{"type":"reasoning","id":"rs_unreadable","summary":[]} }""")
        + Event("response.output_item.done", """{"sequence_number":2,"output_index":1,"item":{"type":"message","id":"msg_1","role":"assistant","status":"completed","content":[{"type":"output_text","text":"Hello","annotations":[]}]} }""")
        + Event("response.completed", $$"""{"sequence_number":3,"response":{"id":"{{id}}","object":"response","status":"completed","model":"m","output":[],"usage":{"input_tokens":9,"output_tokens":3,"total_tokens":12} } }""");

    /// <summary>The texts of messages or items.</summary>
    private static string[] Said(JsonElement messages) => [.. messages.EnumerateArray().Select(message => message.GetProperty("content")).Select(content =>
        content.ValueKind == JsonValueKind.String ? content.GetString()! : string.Concat(content.EnumerateArray().Select(part => part.GetProperty("text").GetString())))];

    private Uri AddressOf(string path) => new UriBuilder(new Uri(gateway.BaseAddress, path)) { Scheme = "ws" }.Uri;

    private async Task<ClientWebSocket> ConnectAsync(string key, string path = "/v1/responses")
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", "Bearer " + key);
        await socket.ConnectAsync(AddressOf(path), Cancelled);
        return socket;
    }

    private static Task SayAsync(ClientWebSocket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, Cancelled);

    private static async Task<List<JsonElement>> HearResponseAsync(ClientWebSocket socket)
    {
        List<JsonElement> events = [];
        while (events.Count == 0 || Type(events[^1]) != "response.completed")
        {
            events.Add(await HearAsync(socket));
            Assert.NotEqual("error", Type(events[^1]));
        }
        return events;
    }

    private static async Task<JsonElement> HearAsync(ClientWebSocket socket) =>
        await HearOrNullAsync(socket) ?? throw new InvalidOperationException($"The connection was closed: {socket.CloseStatus} {socket.CloseStatusDescription}");

    private static async Task<JsonElement?> HearOrNullAsync(ClientWebSocket socket)
    {
        using var guard = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        guard.CancelAfter(TimeSpan.FromSeconds(30));
        var (buffer, length) = (new byte[1 << 20], 0);
        while (true)
        {
            var result = await socket.ReceiveAsync(buffer.AsMemory(length), guard.Token);
            length += result.Count;
            if (result.MessageType == WebSocketMessageType.Close)
            {
                return null;
            }
            if (result.EndOfMessage)
            {
                return JsonDocument.Parse(buffer.AsMemory(0, length)).RootElement;
            }
        }
    }

    private static Task CloseAsync(ClientWebSocket socket) => socket.CloseAsync(WebSocketCloseStatus.NormalClosure, "bye", Cancelled).WaitAsync(TimeSpan.FromSeconds(30));

    /// <summary>The ledger's rows, as soon as there are so many that are settled.</summary>
    private async Task<IReadOnlyList<JsonElement>> LedgerAsync(int count)
    {
        using var guard = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        guard.CancelAfter(TimeSpan.FromSeconds(30));
        while (true)
        {
            await gateway.Services.GetRequiredService<EmbeddedLedger>().FlushAsync(guard.Token);
            var page = await gateway.AdminClient.GetFromJsonAsync<JsonElement>("admin/v1/ledger?limit=100", guard.Token);
            List<JsonElement> rows = [.. page.GetProperty("attempts").EnumerateArray().Where(row => row.GetProperty("settled").GetBoolean())];
            if (rows.Count >= count)
            {
                return rows;
            }
        }
    }

    private async Task<(string Id, string Token)> KeyAsync(string? budget = null)
    {
        object body = budget is null ? new { name = "a key", models = new[] { "chat/*", "own/m" } }
            : new { name = "a key", models = new[] { "chat/*", "own/m" }, budgets = new[] { new { limit = budget, per = "day" } } };
        using var created = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), body, Cancelled);
        var json = await created.JsonAsync();
        return (json.GetProperty("id").GetString()!, json.GetProperty("token").GetString()!);
    }
}
