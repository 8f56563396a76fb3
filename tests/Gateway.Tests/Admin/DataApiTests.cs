using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Http.Json;
using System.Text.Json;
using Microsoft.Extensions.Time.Testing;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>Usage and ledger through the admin API, of calls that went through the gateway.</summary>
public sealed class DataApiTests
{
    [Theory]
    [InlineData("usage?interval=fortnight", "interval")]
    [InlineData("usage?interval=day&timeZone=Mars/Olympus", "timeZone")]
    [InlineData("usage?timeZone=UTC", "timeZone")]
    [InlineData("usage?fill=zero", "fill")]
    [InlineData("usage?interval=minute&from=2026-01-01&to=2026-02-01", "interval")]
    [InlineData("usage?outcome=perhaps", "outcome")]
    [InlineData("usage?orderBy=colour", "orderBy")]
    [InlineData("usage?top=0", "top")]
    [InlineData("usage?format=xml", "format")]
    [InlineData("usage?key=", "key")]
    [InlineData("ledger?colour=red", "colour")]
    [InlineData("ledger?limit=1001", "limit")]
    [InlineData("ledger?cursor=abc", "cursor")]
    [InlineData("ledger?traceId=xyz", "traceId")]
    [InlineData("ledger?minCost=-1", "minCost")]
    [InlineData("ledger?model=gpt", "model")]
    [InlineData("ledger?from=2026-02-01&to=2026-01-01", "to")]
    public async Task AskedWrongly_NamesTheParameter(string path, string field)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.GetAsync($"/admin/v1/{path}", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Equal(field, (await response.JsonAsync()).GetProperty("field").GetString());
    }

    [Theory]
    [InlineData("GET", "ledger")]
    [InlineData("GET", "ledger/018f0000-0000-7000-8000-000000000000")]
    [InlineData("GET", "toolservers/gateway")]
    [InlineData("POST", "toolservers/gateway/reconnect")]
    [InlineData("POST", "toolservers/gateway/disable")]
    [InlineData("POST", "toolservers/gateway/enable")]
    [InlineData("PUT", "toolservers/gateway/tools/whoami/quarantine")]
    [InlineData("DELETE", "toolservers/gateway/tools/whoami/quarantine")]
    [InlineData("POST", "backup")]
    public async Task WithoutAdminKey_IsClosed(string method, string path)
    {
        await using var gateway = await Hosts.StartAsync();
        foreach (var client in new[] { gateway.Anonymous, gateway.Client })
        {
            using var request = new HttpRequestMessage(new HttpMethod(method), $"/admin/v1/{path}");
            using var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.Unauthorized, response.StatusCode);
        }
    }

    [Fact]
    public async Task Calls_AreFoundInTheLedger_PageByPage_AndOneByOne()
    {
        await using var gateway = await Hosts.StartAsync();
        for (var i = 0; i < 5; i++)
        {
            await gateway.CallModelAsync();
        }
        var ids = new List<string>();
        string? cursor = null;
        do
        {
            var page = await gateway.GetAsync($"ledger?limit=2&model=simulator/echo{(cursor is null ? "" : $"&cursor={cursor}")}");
            ids.AddRange(page.GetProperty("attempts").EnumerateArray().Select(attempt => attempt.GetProperty("id").GetString()!));
            cursor = page.GetProperty("nextCursor").GetString();
            await gateway.CallModelAsync();
        }
        while (cursor is not null);

        Assert.Equal(5, ids.Distinct().Count());
        var one = await gateway.GetAsync($"ledger/{ids[0]}");
        var attempt = one.GetProperty("attempt");
        Assert.Equal("succeeded", attempt.GetProperty("outcome").GetString());
        Assert.Equal(16, attempt.GetProperty("revision").GetString()!.Length);
        Assert.NotNull(attempt.GetProperty("priceVersion").GetString());
        Assert.Equal(ids[0], Assert.Single(one.GetProperty("request").EnumerateArray()).GetProperty("id").GetString());
        var byRequest = await gateway.GetAsync($"ledger?requestId={attempt.GetProperty("requestId").GetString()}&traceId={attempt.GetProperty("traceId").GetString()}");
        Assert.Single(byRequest.GetProperty("attempts").EnumerateArray());
        using var unknown = await gateway.AdminClient.GetAsync("/admin/v1/ledger/nonsense", TestContext.Current.CancellationToken);
        Assert.Equal("unknown_attempt", (await unknown.JsonAsync()).GetProperty("code").GetString());
    }

    [Fact]
    public async Task Ledger_AndUsage_AsCsv_AreSafeInASpreadsheet()
    {
        await using var gateway = await Hosts.StartAsync();
        // Of all that is in the ledger, a client chooses its request's id most freely.
        using var client = gateway.NewClient(gateway.VirtualKey);
        client.DefaultRequestHeaders.Add("x-request-id", "-2.5");
        await gateway.CallModelAsync(client: client);
        using var accept = new HttpRequestMessage(HttpMethod.Get, "/admin/v1/ledger");
        accept.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("text/csv"));
        using var response = await gateway.AdminClient.SendAsync(accept, TestContext.Current.CancellationToken);
        var ledger = (await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken)).Split("\r\n");

        Assert.Equal("text/csv", response.Content.Headers.ContentType?.MediaType);
        Assert.StartsWith("id,startedAt,operation,", ledger[0], StringComparison.Ordinal);
        Assert.Equal(3, ledger.Length);
        Assert.Contains(",\"'-2.5\",", ledger[1], StringComparison.Ordinal);
        var usage = await gateway.AdminClient.GetStringAsync("/admin/v1/usage?groupBy=model&format=csv", TestContext.Current.CancellationToken);
        Assert.StartsWith("model,calls,failed,", usage, StringComparison.Ordinal);
        Assert.Contains("simulator/echo,1,0,", usage, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Usage_AsASeries_AgreesWithTheTotal()
    {
        await using var gateway = await Hosts.StartAsync();
        await gateway.CallModelAsync();
        await gateway.CallModelAsync();
        foreach (var interval in new[] { "minute", "hour", "day", "week", "month" })
        {
            var series = await gateway.GetAsync($"usage?interval={interval}&timeZone=Asia/Kathmandu&groupBy=provider&fill=zero&provider=simulator&operation=model&outcome=succeeded");
            Assert.Equal(2, series.GetProperty("rows").EnumerateArray().Sum(row => row.GetProperty("calls").GetInt64()));
            Assert.Equal("Asia/Kathmandu", series.GetProperty("timeZone").GetString());
        }
        var total = (await gateway.GetAsync("usage")).GetProperty("rows")[0];
        Assert.Equal(2, total.GetProperty("calls").GetInt64());
        Assert.True(total.GetProperty("meanDurationMs").GetDecimal() > 0);
    }

    [Theory]
    [InlineData("minute", "2026-03-29T00:59:59.999Z", "2026-03-29T01:00:00Z")]
    [InlineData("minute", "2026-03-29T01:00:00Z", "2026-03-29T01:01:00Z")]
    [InlineData("hour", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00Z")]
    [InlineData("day", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")]
    [InlineData("week", "2026-03-28T23:00:00Z", "2026-03-29T22:00:00Z")]
    [InlineData("month", "2026-03-28T23:00:00Z", "2026-03-31T22:00:00Z")]
    public async Task Usage_AsASeries_HasTheCallsOfThisVeryMoment_AndReachesToTheEndOfTheSpan(string interval, string now, string end)
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Clock = new FakeTimeProvider(DateTimeOffset.Parse(now, CultureInfo.InvariantCulture)) });
        await gateway.CallModelAsync();

        var series = await gateway.GetAsync($"usage?interval={interval}&timeZone=Europe/Berlin");

        Assert.Equal(1, Assert.Single(series.GetProperty("rows").EnumerateArray()).GetProperty("calls").GetInt64());
        Assert.Equal(DateTimeOffset.Parse(end, CultureInfo.InvariantCulture), series.GetProperty("to").GetDateTimeOffset());
    }

    [Fact]
    public async Task Retention_IsConfigured_AndItsMistakesAreNamed()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = "retention: {ledger: 7d, usage: 60d, maxDatabaseSize: 64MiB, minFreeDisk: 1MiB}\n" });
        var ready = await gateway.Anonymous.GetStringAsync("/health/ready", TestContext.Current.CancellationToken);
        Assert.Contains("storage", ready, StringComparison.Ordinal);
        await File.WriteAllTextAsync(Path.Combine(gateway.Folder, "gateway.yaml"), "retention: {ledger: 90d, usage: 60d}\n", TestContext.Current.CancellationToken);
        using var refused = await gateway.AdminClient.PostAsJsonAsync("/admin/v1/keys", new { name = "late" }, TestContext.Current.CancellationToken);
        Assert.Contains("retention.usage", (await refused.JsonAsync()).GetProperty("detail").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Disk_WithoutRoom_RefusesCallsAndSaysSo()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = "retention: {minFreeDisk: 1024GiB}\n" });
        await gateway.Logs.WaitForAsync("The disk of the data folder is full");

        using var refused = await gateway.Client.PostAsJsonAsync("/v1/chat/completions", new { model = "simulator/echo", messages = new[] { new { role = "user", content = "Hello" } } }, TestContext.Current.CancellationToken);
        using var ready = await gateway.Anonymous.GetAsync("/health/ready", TestContext.Current.CancellationToken);
        var metrics = await gateway.Anonymous.GetStringAsync("/metrics", TestContext.Current.CancellationToken);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.StatusCode);
        Assert.NotNull(refused.Headers.RetryAfter);
        Assert.Contains("disk", await refused.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, ready.StatusCode);
        Assert.Contains("retention.minFreeDisk", await ready.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), StringComparison.Ordinal);
        Assert.Contains("gateway_disk_free", metrics, StringComparison.Ordinal);
    }
}

/// <summary>What tests of the data part ask a gateway.</summary>
internal static class DataCalls
{
    public static async Task<JsonElement> GetAsync(this TestGateway gateway, string path)
    {
        using var response = await gateway.AdminClient.GetAsync($"/admin/v1/{path}", TestContext.Current.CancellationToken);
        var answer = await response.JsonAsync();
        Assert.True(response.IsSuccessStatusCode, string.Create(CultureInfo.InvariantCulture, $"{(int)response.StatusCode}: {answer}"));
        return answer;
    }

    public static async Task CallModelAsync(this TestGateway gateway, string text = "Hello", HttpClient? client = null)
    {
        using var response = await (client ?? gateway.Client).PostAsJsonAsync("/v1/chat/completions", new { model = "simulator/echo", max_tokens = 20, messages = new[] { new { role = "user", content = text } } }, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await response.Content.ReadAsByteArrayAsync(TestContext.Current.CancellationToken);
        await gateway.IdleAsync();
    }
}
