using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.DependencyInjection;
using Shared.Ledger;
using TestSupport;

namespace Gateway.Tests.Acceptance;

/// <summary>An agent's loop, model calls and tool calls alike: one key, one budget, one trace.</summary>
public sealed class AgentLoopTests
{
    private const string TraceId = "4bf92f3577b34da6a3ce929d0e0e4736";

    [Fact]
    public async Task ModelAndToolCalls_OfOneTrace_ShareKeyBudgetAndTrace()
    {
        var token = TestContext.Current.CancellationToken;
        await using var provider = await FakeProvider.StartAsync(token);
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions
        {
            Configuration = $$"""
                providers:
                  fake: {baseUrl: "{{provider.BaseAddress}}", models: [m]}
                prices:
                  - {provider: fake, model: m, input: 100, output: 100, maxOutputTokens: 10, source: test}
                """,
        }, token);
        using var client = gateway.NewClient(await HardBudgetTests.CreateKeyAsync(gateway, "1/30d"));
        client.DefaultRequestHeaders.Add("traceparent", $"00-{TraceId}-00f067aa0ba902b7-01");

        using var chat = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model = "fake/m", max_tokens = 10, messages = new[] { new { role = "user", content = "Hi" } } }, token);
        Assert.Equal(HttpStatusCode.OK, chat.StatusCode);
        Assert.StartsWith($"00-{TraceId}-", Assert.Single(provider.Requests).Headers["traceparent"], StringComparison.Ordinal);

        var spend = (await CallToolAsync(client, "gateway__spend")).GetProperty("structuredContent").GetProperty("budgets")[0];
        Assert.Equal(1m, spend.GetProperty("limit").GetDecimal());
        Assert.True(spend.GetProperty("spent").GetDecimal() > 0, "The model call is not in the budget that the tool shows.");

        await gateway.IdleAsync();
        await gateway.Services.GetRequiredService<EmbeddedLedger>().FlushAsync(token);
        Assert.Equal([$"{(int)CallKind.Model} {TraceId}", $"{(int)CallKind.Tool} {TraceId}"], ReadTraces(gateway.Folder));
        using var usage = JsonDocument.Parse(await gateway.AdminClient.GetStringAsync(new Uri("admin/v1/usage?groupBy=tool", UriKind.Relative), token));
        Assert.Contains(usage.RootElement.GetProperty("rows").EnumerateArray(), row => row.GetProperty("tool").GetString() == "gateway/spend" && row.GetProperty("calls").GetInt64() == 1);
    }

    [Fact]
    public async Task EveryReply_HasARequestIdAndTheOverhead()
    {
        var token = TestContext.Current.CancellationToken;
        await using var gateway = await TestGateway.StartAsync(cancellationToken: token);
        foreach (var (method, path) in new[] { (HttpMethod.Get, "v1/models"), (HttpMethod.Get, "nothing"), (HttpMethod.Post, "mcp"), (HttpMethod.Get, "admin/v1/keys"), (HttpMethod.Get, "health/live") })
        {
            using var request = new HttpRequestMessage(method, new Uri(path, UriKind.Relative));
            using var response = await gateway.Anonymous.SendAsync(request, token);
            Assert.True(response.Headers.Contains("x-request-id") && response.Headers.Contains("x-gateway-overhead-ms"), $"{path}: {response}");
        }
    }

    private static async Task<JsonElement> CallToolAsync(HttpClient client, string tool)
    {
        const string Meta = "\"_meta\":{\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\",\"io.modelcontextprotocol/clientCapabilities\":{},\"io.modelcontextprotocol/clientInfo\":{\"name\":\"test\",\"version\":\"1\"}}";
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("mcp", UriKind.Relative))
        {
            Content = new StringContent($$$"""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"{{{tool}}}","arguments":{},{{{Meta}}} } }""", System.Text.Encoding.UTF8, "application/json"),
        };
        request.Headers.Add("Accept", "application/json, text/event-stream");
        request.Headers.Add("MCP-Protocol-Version", "2026-07-28");
        request.Headers.Add("Mcp-Method", "tools/call");
        request.Headers.Add("Mcp-Name", tool);
        using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.True(response.StatusCode == HttpStatusCode.OK, text);
        return JsonDocument.Parse(text).RootElement.GetProperty("result");
    }

    private static List<string> ReadTraces(string folder)
    {
        using var connection = new SqliteConnection($"Data Source={Path.Combine(folder, "data", "gateway.db")};Mode=ReadOnly;Pooling=False");
        connection.Open();
        using var command = connection.CreateCommand();
        command.CommandText = "SELECT kind || ' ' || lower(hex(trace_id)) FROM attempts ORDER BY kind";
        using var reader = command.ExecuteReader();
        var rows = new List<string>();
        while (reader.Read())
        {
            rows.Add(reader.GetString(0));
        }
        return rows;
    }
}
