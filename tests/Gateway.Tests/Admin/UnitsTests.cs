using System.Net.Http.Json;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>What is billed by something else than tokens, from the call to the report.</summary>
public sealed class UnitsTests
{
    [Fact]
    public async Task Units_AreInTheLedgerAndInTheReport()
    {
        await using var api = await FakeApi.StartAsync(TestContext.Current.CancellationToken);
        api.Answer = (request, context) => FakeApi.JsonAsync(context, request.Target switch
        {
            "/v1/images/generations" => """{"created":1,"data":[{"url":"https://example.com/1"},{"url":"https://example.com/2"}]}""",
            "/v1/rerank" => """{"id":"r","results":[{"index":0,"relevance_score":0.5}],"meta":{"billed_units":{"search_units":3}}}""",
            "/v1/audio/transcriptions" => """{"text":"Hallo","usage":{"type":"duration","seconds":9}}""",
            _ => """{"id":"m","type":"message","role":"assistant","model":"m","content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"output_tokens":2,"cache_creation_input_tokens":60,"cache_creation":{"ephemeral_5m_input_tokens":20,"ephemeral_1h_input_tokens":40},"server_tool_use":{"web_search_requests":2}}}""",
        });
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $$"""
                providers:
                  media: {baseUrl: '{{api.Address}}/v1', apiKey: k, endpoints: [rerank, images.generate, audio.transcriptions], maxRetries: 0}
                  claude: {baseUrl: '{{api.Address}}/v1', dialect: anthropic, apiKey: k, maxRetries: 0}
                routes:
                  m: {targets: [media/m], reservation: 0.5}
                prices:
                  - {provider: media, model: m, input: 0, output: 0, perImage: 0.04, imageVariants: {hd: 0.08}, perSearch: 0.002, perAudioMinute: 0.006}
                  - {provider: claude, model: m, input: 3, output: 15, cacheWrite: 3.75, cacheWrite1h: 6, perSearch: 0.01, maxOutputTokens: 100}
                """,
        }, TestContext.Current.CancellationToken);
        await PostAsync(gateway, "v1/images/generations", new { model = "m", prompt = "p", n = 2, quality = "hd" });
        await PostAsync(gateway, "v1/rerank", new { model = "m", query = "q", documents = new[] { "d" } });
        await PostAsync(gateway, "v1/messages", new { model = "claude/m", max_tokens = 50, messages = new[] { new { role = "user", content = "Hi" } } });
        using var sound = new MultipartFormDataContent { { new StringContent("m"), "model" }, { new ByteArrayContent(new byte[1000]), "file", "a.wav" } };
        using var heard = await gateway.Client.PostAsync(new Uri("v1/audio/transcriptions", UriKind.Relative), sound, TestContext.Current.CancellationToken);
        Assert.True(heard.IsSuccessStatusCode);
        await gateway.IdleAsync();

        var admin = gateway.AdminClient;
        var row = (await admin.GetFromJsonAsync<JsonElement>("/admin/v1/usage", TestContext.Current.CancellationToken)).GetProperty("rows")[0];
        var attempts = (await admin.GetFromJsonAsync<JsonElement>("/admin/v1/ledger", TestContext.Current.CancellationToken)).GetProperty("attempts").EnumerateArray().ToList();
        var csv = (await admin.GetStringAsync(new Uri("/admin/v1/ledger?format=csv", UriKind.Relative), TestContext.Current.CancellationToken)).Split("\r\n");

        Assert.Equal(("2", "9", "0", "5"), (row.GetProperty("images").GetRawText(), row.GetProperty("audioSeconds").GetRawText(), row.GetProperty("characters").GetRawText(), row.GetProperty("searches").GetRawText()));
        Assert.Equal((70, 2), (row.GetProperty("inputTokens").GetInt32(), row.GetProperty("outputTokens").GetInt32()));
        Assert.Equal(
            ["""{"kind":"audioSecond","count":9,"variant":null}""", """{"kind":"search","count":2,"variant":null}""", """{"kind":"search","count":3,"variant":null}""", """{"kind":"image","count":2,"variant":"hd"}"""],
            attempts.Select(attempt => attempt.GetProperty("units").GetRawText()));
        Assert.Equal(
            [0.0009m, (10 * 3m / 1_000_000) + (20 * 3.75m / 1_000_000) + (40 * 6m / 1_000_000) + (2 * 15m / 1_000_000) + (2 * 0.01m), 0.006m, 0.16m],
            attempts.Select(attempt => attempt.GetProperty("costDollars").GetDecimal()));
        Assert.Equal(("20", "40"), (attempts[1].GetProperty("tokens").GetProperty("cacheWrite").GetRawText(), attempts[1].GetProperty("tokens").GetProperty("cacheWrite1h").GetRawText()));
        Assert.EndsWith(",cacheWrite1h,imageInput,imageOutput,unit,units,unitVariant", csv[0], StringComparison.Ordinal);
        Assert.EndsWith(",0,0,0,image,2,hd", csv[4], StringComparison.Ordinal);
        Assert.EndsWith(",40,0,0,search,2,", csv[2], StringComparison.Ordinal);
    }

    private static async Task PostAsync(TestGateway gateway, string path, object body)
    {
        using var response = await gateway.Client.PostAsJsonAsync(new Uri(path, UriKind.Relative), body, TestContext.Current.CancellationToken);
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }
}
