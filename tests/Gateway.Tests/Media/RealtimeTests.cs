using System.Net;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text;
using System.Text.Json;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Shared.Egress;
using TestSupport;

namespace Gateway.Tests.Media;

/// <summary>Realtime sessions over real WebSockets, through the whole gateway.</summary>
public sealed class RealtimeTests : IAsyncLifetime
{
    private FakeRealtime provider = null!;
    private TestGateway gateway = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        provider = await FakeRealtime.StartAsync();
        gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $$"""
                providers:
                  up: {baseUrl: "{{provider.BaseUrl}}", apiKey: sk-upstream, models: [voice]}
                  once: {baseUrl: "{{provider.BaseUrl}}", apiKey: sk-upstream, models: [voice], maxRetries: 0}
                  down: {baseUrl: "http://127.0.0.1:9/v1"}
                routes:
                  talk: {targets: [up/voice]}
                  once: {targets: [once/voice], reservation: 0.001}
                  either: {targets: [down/voice, up/voice]}
                  fixed: {targets: [up/unbounded], reservation: 0.5}
                prices:
                  - {provider: up, model: voice, input: 4, output: 16, cacheRead: 0.4, audioInput: 32, audioOutput: 64, maxInputTokens: 10000, maxOutputTokens: 1000}
                  - {provider: down, model: voice, input: 4, output: 16, cacheRead: 0.4, audioInput: 32, audioOutput: 64, maxInputTokens: 10000, maxOutputTokens: 1000}
                  - {provider: up, model: unbounded, input: 4, output: 16, audioInput: 32, audioOutput: 64}
                  - {provider: up, model: whisper, input: 0, output: 0, perAudioMinute: 0.006}
                """,
        }, Cancelled);
    }

    public async ValueTask DisposeAsync()
    {
        await gateway.DisposeAsync();
        await provider.DisposeAsync();
    }

    [Fact]
    public async Task Session_EventsPassToTheByteAndEachResponseIsCharged()
    {
        var (_, key) = await KeyAsync();
        using var socket = await ConnectAsync(key, "talk");
        const string odd = "{ \"type\" : \"conversation.item.create\", \"item\":{\"x\":\"\\ud83d\\ude00\"},\"event_id\":\"mine\" , \"n\":1e400}";

        Assert.Equal("""{"type":"session.created","event_id":"e0","session":{"id":"sess_1"}}""", await HearAsync(socket));
        await SayAsync(socket, odd);
        await SayAsync(socket, """{"type":"response.create"}""");

        Assert.Equal(odd, await provider.NextAsync());
        Assert.Equal("""{"type":"response.create"}""", await provider.NextAsync());
        Assert.Equal(provider.Respond(1), [await HearAsync(socket), await HearAsync(socket), await HearAsync(socket)]);
        await CloseAsync(socket);
        Assert.Equal(WebSocketCloseStatus.NormalClosure, await provider.Closed.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancelled));
        var (path, query, headers) = Assert.Single(provider.Handshakes);
        Assert.Equal(("/v1/realtime", "?model=voice", "Bearer sk-upstream"), (path, query, headers["Authorization"]));
        Assert.DoesNotContain(headers.Values, value => value.Contains("sk-gw-", StringComparison.Ordinal));
        var rows = await LedgerAsync(2);
        var used = Assert.Single(rows, row => row.GetProperty("usageSource").GetString() == "reported");
        Assert.Equal((10, 60, 13, 40), (Tokens(used, "cacheRead"), Tokens(used, "audioInput"), Tokens(used, "output"), Tokens(used, "audioOutput")));
        // 30 of text, 10 of cached text, 60 of audio; 13 of text and 40 of audio
        Assert.Equal(((30 * 4) + (10 * 0.4m) + (60 * 32) + (13 * 16) + (40 * 64)) / 1_000_000m, used.GetProperty("costDollars").GetDecimal());
        Assert.Equal(0, Assert.Single(rows, row => row.GetProperty("usageSource").GetString() == "none").GetProperty("costDollars").GetDecimal());
    }

    [Fact]
    public async Task Session_CredentialInASubprotocol_IsTakenAndNotSentUp()
    {
        var (_, key) = await KeyAsync();
        using var socket = new ClientWebSocket();
        socket.Options.AddSubProtocol("realtime");
        socket.Options.AddSubProtocol("openai-insecure-api-key." + key);
        socket.Options.AddSubProtocol("openai-organization.org-1");
        socket.Options.AddSubProtocol("openai-beta.realtime-v1");

        await socket.ConnectAsync(AddressOf("talk"), Cancelled);

        Assert.Equal("realtime", socket.SubProtocol);
        await HearAsync(socket);
        var (_, _, headers) = Assert.Single(provider.Handshakes);
        Assert.Equal(["openai-beta.realtime-v1", "realtime"], headers["Sec-WebSocket-Protocol"].Split(',', StringSplitOptions.TrimEntries).Order(StringComparer.Ordinal));
        Assert.DoesNotContain(headers.Values, value => value.Contains("sk-gw-", StringComparison.Ordinal));
        await CloseAsync(socket);
    }

    [Theory]
    [InlineData("talk", "sk-gw-aaaaaaaaaa-wrong", HttpStatusCode.Unauthorized)]
    [InlineData("nobody", null, HttpStatusCode.NotFound)]
    [InlineData("simulator/echo", null, HttpStatusCode.NotFound)]
    [InlineData("", null, HttpStatusCode.BadRequest)]
    public async Task Session_BadHandshake_IsRefusedBeforeTheProviderIsAsked(string model, string? key, HttpStatusCode status)
    {
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + (key ?? (await KeyAsync()).Token));

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(AddressOf(model), Cancelled));

        Assert.Equal(status, socket.HttpStatusCode);
        Assert.Empty(provider.Handshakes);
    }

    [Fact]
    public async Task Session_WithoutUpgrade_IsToldSo()
    {
        using var response = await gateway.Client.GetAsync(new Uri("v1/realtime?model=talk", UriKind.Relative), Cancelled);
        Assert.Equal(HttpStatusCode.UpgradeRequired, response.StatusCode);
    }

    [Fact]
    public async Task Session_FirstTargetIsDown_TheNextOneTakesIt()
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token, "either");
        Assert.Contains("session.created", await HearAsync(socket), StringComparison.Ordinal);
        await CloseAsync(socket);
        var rows = await LedgerAsync(2);
        Assert.Equal(["broken", "succeeded"], rows.Select(row => row.GetProperty("outcome").GetString()).Order(StringComparer.Ordinal));
    }

    [Fact]
    public async Task Session_ProviderIsOverloadedOnce_IsAskedAgain()
    {
        (provider.RefuseWith, provider.Refusals) = (503, 1);

        using var socket = await ConnectAsync((await KeyAsync()).Token, "talk");

        Assert.Contains("session.created", await HearAsync(socket), StringComparison.Ordinal);
        await CloseAsync(socket);
        Assert.Equal(2, provider.Handshakes.Count);
    }

    [Fact]
    public async Task Session_ProviderFailsAgainAndAgain_IsLeftAloneForAWhile()
    {
        provider.RefuseWith = 500;
        var token = (await KeyAsync()).Token;

        for (var i = 0; i < 20; i++)
        {
            Assert.Equal(HttpStatusCode.BadGateway, await RefusedAsync());
        }
        var asked = provider.Handshakes.Count;

        Assert.Equal(HttpStatusCode.ServiceUnavailable, await RefusedAsync());
        Assert.Equal((20, 20), (asked, provider.Handshakes.Count));

        async Task<HttpStatusCode> RefusedAsync()
        {
            using var socket = new ClientWebSocket();
            socket.Options.CollectHttpResponseDetails = true;
            socket.Options.SetRequestHeader("Authorization", "Bearer " + token);
            await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(AddressOf("once"), Cancelled));
            return socket.HttpStatusCode;
        }
    }

    [Fact]
    public async Task Session_ProviderRefuses_ClientIsToldWithoutItsWords()
    {
        provider.RefuseWith = 401;
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + (await KeyAsync()).Token);

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(AddressOf("talk"), Cancelled));

        Assert.Equal(HttpStatusCode.BadGateway, socket.HttpStatusCode);
    }

    [Fact]
    public async Task Session_BudgetIsSpent_ClosesAfterTheResponseThatSpentIt()
    {
        // A response reserves 10,000 tokens at 32 dollars and 1,000 at 64 per million: 0.384 dollars. It costs 0.004816.
        var (_, key) = await KeyAsync("0.386");
        using var socket = await ConnectAsync(key, "talk");
        await HearAsync(socket);

        await SayAsync(socket, """{"type":"response.create"}""");
        var heard = new List<string>();
        while (await HearOrNullAsync(socket) is { } text)
        {
            heard.Add(text);
        }

        Assert.Equal(provider.Respond(1), heard[..3]);
        Assert.Contains("\"code\":\"budget_exceeded\"", heard[3], StringComparison.Ordinal);
        Assert.Equal((4, WebSocketCloseStatus.PolicyViolation), (heard.Count, socket.CloseStatus));
        await LedgerAsync(1);
    }

    [Fact]
    public async Task Session_ResponseThatCannotBePaid_IsNotSentUp()
    {
        // Enough for one response at a time.
        var (_, key) = await KeyAsync("0.5");
        provider.Respond = _ => [];
        using var socket = await ConnectAsync(key, "talk");
        await HearAsync(socket);

        await SayAsync(socket, """{"type":"response.create","event_id":"first"}""");
        await SayAsync(socket, """{"type":"response.create","event_id":"second"}""");
        await SayAsync(socket, """{"type":"input_audio_buffer.commit"}""");

        var error = JsonDocument.Parse(await HearAsync(socket)).RootElement.GetProperty("error");
        Assert.Equal(("budget_exceeded", "second"), (error.GetProperty("code").GetString(), error.GetProperty("event_id").GetString()));
        Assert.Contains("first", await provider.NextAsync(), StringComparison.Ordinal);
        Assert.Contains("input_audio_buffer.commit", await provider.NextAsync(), StringComparison.Ordinal);
        await CloseAsync(socket);
    }

    [Fact]
    public async Task Session_ResponseOfTheProvidersOwnAccord_IsCharged()
    {
        var (_, key) = await KeyAsync("5");
        using var socket = await ConnectAsync(key, "talk");
        await HearAsync(socket);

        // Speech was heard, and the provider answers without being asked.
        await SayAsync(socket, """{"type":"test.speak"}""");
        for (var i = 0; i < 3; i++)
        {
            await HearAsync(socket);
        }
        await CloseAsync(socket);

        Assert.Single(await LedgerAsync(2), row => row.GetProperty("usageSource").GetString() == "reported" && row.GetProperty("model").GetString() == "voice");
    }

    [Fact]
    public async Task Session_KeyIsRevoked_Closes()
    {
        var (id, key) = await KeyAsync();
        using var socket = await ConnectAsync(key, "talk");
        await HearAsync(socket);

        using var revoked = await gateway.AdminClient.DeleteAsync(new Uri($"admin/v1/keys/{id}", UriKind.Relative), Cancelled);
        Assert.True(revoked.IsSuccessStatusCode, await revoked.Content.ReadAsStringAsync(Cancelled));
        var error = await HearAsync(socket);

        Assert.Contains("\"code\":\"invalid_api_key\"", error, StringComparison.Ordinal);
        Assert.Null(await HearOrNullAsync(socket));
        Assert.Equal(WebSocketCloseStatus.PolicyViolation, socket.CloseStatus);
        await provider.Closed.Task.WaitAsync(TimeSpan.FromSeconds(30), Cancelled);
    }

    [Theory]
    [InlineData("""{"type":"session.update","session":{"model":"up/other"}}""", "model_not_changeable")]
    [InlineData("""{"type":"session.update","type":"response.create"}""", "invalid_event")]
    [InlineData("""{"type":"session.update","session":{},"session":{}}""", "invalid_event")]
    [InlineData("""{"type":"session.update""", "invalid_event")]
    [InlineData("[]", "invalid_event")]
    [InlineData("""{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"whisper"}}}}}""", "unbounded_cost")]
    [InlineData("""{"type":"session.update","session":{"input_audio_transcription":{"model":"whisper"}}}""", "unbounded_cost")]
    [InlineData("""{"type":"response.create","response":{"tools":[{"type":"mcp","server_url":"https://example.com"}]}}""", "unbounded_cost")]
    [InlineData("""{"type":"session.update","session":{"prompt":{"id":"pmpt_1"}}}""", "unbounded_cost")]
    public async Task Event_ThatMayNotBe_IsRefusedAndTheSessionGoesOn(string text, string code)
    {
        var (_, key) = await KeyAsync("5");
        using var socket = await ConnectAsync(key, "talk");
        await HearAsync(socket);

        await SayAsync(socket, text);
        Assert.Contains($"\"code\":\"{code}\"", await HearAsync(socket), StringComparison.Ordinal);
        await SayAsync(socket, """{"type":"input_audio_buffer.clear"}""");

        Assert.Equal("""{"type":"input_audio_buffer.clear"}""", await provider.NextAsync());
        await CloseAsync(socket);
    }

    [Fact]
    public async Task SessionUpdate_NamesThePublicModel_ProviderSeesItsOwn()
    {
        using var socket = await ConnectAsync((await KeyAsync()).Token, "talk");
        await HearAsync(socket);

        await SayAsync(socket, """{"type":"session.update", "session": { "model": "talk", "voice":"marin"}}""");

        Assert.Equal("""{"type":"session.update", "session": { "model": "voice", "voice":"marin"}}""", await provider.NextAsync());
        await CloseAsync(socket);
    }

    [Fact]
    public async Task Transcription_IsChargedAtItsOwnModel()
    {
        provider.Respond = _ => ["""{"type":"conversation.item.input_audio_transcription.completed","event_id":"e","item_id":"i","content_index":0,"transcript":"Hallo","usage":{"type":"duration","seconds":30}}"""];
        using var socket = await ConnectAsync((await KeyAsync()).Token, "talk");
        await HearAsync(socket);

        await SayAsync(socket, """{"type":"session.update","session":{"audio":{"input":{"transcription":{"model":"whisper"}}}}}""");
        await SayAsync(socket, """{"type":"test.speak"}""");
        await HearAsync(socket);
        await CloseAsync(socket);

        var row = Assert.Single(await LedgerAsync(2), row => row.GetProperty("model").GetString() == "whisper");
        Assert.Equal(0.003m, row.GetProperty("costDollars").GetDecimal());
    }

    [Fact]
    public async Task Session_HardBudgetAndNoLimitsInThePrice_NeedsAFixedReservation()
    {
        var (_, key) = await KeyAsync("5");
        using var refused = new ClientWebSocket();
        refused.Options.CollectHttpResponseDetails = true;
        refused.Options.SetRequestHeader("Authorization", "Bearer " + key);

        await Assert.ThrowsAsync<WebSocketException>(() => refused.ConnectAsync(AddressOf("up/unbounded"), Cancelled));
        using var socket = await ConnectAsync(key, "fixed");
        await HearAsync(socket);
        await CloseAsync(socket);

        Assert.Equal(HttpStatusCode.BadRequest, refused.HttpStatusCode);
        Assert.Equal(0.5m, Assert.Single(await LedgerAsync(1)).GetProperty("reservedDollars").GetDecimal());
    }

    [Fact]
    public async Task Session_LargeEvents_PassBothWays()
    {
        var audio = Convert.ToBase64String(new byte[600_000]);
        provider.Respond = _ => [$$"""{"type":"response.output_audio.delta","delta":"{{audio}}"}"""];
        using var socket = await ConnectAsync((await KeyAsync()).Token, "talk");
        await HearAsync(socket);

        await SayAsync(socket, $$"""{"audio":"{{audio}}","type":"test.speak"}""");

        Assert.Equal($$"""{"audio":"{{audio}}","type":"test.speak"}""", await provider.NextAsync());
        Assert.Equal($$"""{"type":"response.output_audio.delta","delta":"{{audio}}"}""", await HearAsync(socket));
        await CloseAsync(socket);
    }

    [Fact]
    public async Task Session_AddressThatThePolicyDenies_IsNotConnected()
    {
        // A name of the admin API's that leads to the machine itself.
        await using var host = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Builder = builder => builder.Services.Replace(ServiceDescriptor.Singleton<HostResolver>((_, _) => Task.FromResult<IPAddress[]>([IPAddress.Loopback]))),
        }, Cancelled);
        var address = provider.BaseUrl.Replace("127.0.0.1", "voice.example", StringComparison.Ordinal);
        using var made = await host.AdminClient.PutAsJsonAsync(new Uri("admin/v1/providers/remote", UriKind.Relative), new { baseUrl = address, models = new[] { "voice" } }, Cancelled);
        Assert.True(made.IsSuccessStatusCode, await made.Content.ReadAsStringAsync(Cancelled));
        using var created = await host.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), new { name = "a key", models = new[] { "*" } }, Cancelled);
        using var socket = new ClientWebSocket();
        socket.Options.CollectHttpResponseDetails = true;
        socket.Options.SetRequestHeader("Authorization", "Bearer " + (await created.JsonAsync()).GetProperty("token").GetString());

        await Assert.ThrowsAsync<WebSocketException>(() => socket.ConnectAsync(new UriBuilder(new Uri(host.BaseAddress, "v1/realtime?model=remote/voice")) { Scheme = "ws" }.Uri, Cancelled));

        Assert.Equal(HttpStatusCode.BadGateway, socket.HttpStatusCode);
        Assert.Contains(host.Logs.Lines, line => line.Message.Contains("Did not connect provider 'remote'", StringComparison.Ordinal));
        Assert.Empty(provider.Handshakes);
    }

    private static int Tokens(JsonElement row, string kind) => row.GetProperty("tokens").GetProperty(kind).GetInt32();

    private Uri AddressOf(string model) => new UriBuilder(new Uri(gateway.BaseAddress, $"v1/realtime?model={Uri.EscapeDataString(model)}")) { Scheme = "ws" }.Uri;

    private async Task<ClientWebSocket> ConnectAsync(string key, string model)
    {
        var socket = new ClientWebSocket();
        socket.Options.SetRequestHeader("Authorization", "Bearer " + key);
        await socket.ConnectAsync(AddressOf(model), Cancelled);
        return socket;
    }

    private static Task SayAsync(ClientWebSocket socket, string text) => socket.SendAsync(Encoding.UTF8.GetBytes(text), WebSocketMessageType.Text, true, Cancelled);

    private static async Task<string> HearAsync(ClientWebSocket socket) => await HearOrNullAsync(socket) ?? throw new InvalidOperationException($"The session was closed: {socket.CloseStatus} {socket.CloseStatusDescription}");

    private static async Task<string?> HearOrNullAsync(ClientWebSocket socket)
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
                return Encoding.UTF8.GetString(buffer, 0, length);
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
            await gateway.Services.GetRequiredService<Shared.Ledger.EmbeddedLedger>().FlushAsync(guard.Token);
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
        object declaration = budget is null ? new { name = "a key", models = new[] { "*" } } : new { name = "a key", models = new[] { "*" }, budgets = new[] { new { limit = budget, per = "day" } } };
        using var response = await gateway.AdminClient.PostAsJsonAsync(new Uri("admin/v1/keys", UriKind.Relative), declaration, Cancelled);
        var json = await response.JsonAsync();
        return (json.GetProperty("id").GetString()!, json.GetProperty("token").GetString()!);
    }
}
