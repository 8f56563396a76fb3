using System.Net;
using System.Net.Sockets;
using System.Text;
using TestSupport;

namespace Gateway.Tests.Perimeter;

/// <summary>More of anything than the gateway bears: it is refused, and the next request is served.</summary>
public sealed class LimitsTests
{
    [Theory]
    [InlineData("path", 414)]
    [InlineData("query", 414)]
    [InlineData("one header", 431)]
    [InlineData("many headers", 431)]
    [InlineData("no http", 400)]
    [InlineData("two lengths", 400)]
    [InlineData("length and chunks", 400)]
    [InlineData("no host", 400)]
    [InlineData("two hosts", 400)]
    [InlineData("line break in a header", 400)]
    [InlineData("body of a terabyte", 413)]
    public async Task Request_TooMuchOrMalformed_IsRefused(string what, int status)
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        const string End = "Connection: close\r\n\r\n";
        var authorization = $"Host: localhost\r\nAuthorization: Bearer {gateway.VirtualKey}\r\n";
        var request = what switch
        {
            "path" => $"GET /{new string('a', 9000)} HTTP/1.1\r\nHost: localhost\r\n{End}",
            "query" => $"GET /v1/models?{new string('a', 9000)} HTTP/1.1\r\n{authorization}{End}",
            "one header" => $"GET /v1/models HTTP/1.1\r\n{authorization}x: {new string('a', 33 << 10)}\r\n{End}",
            "many headers" => $"GET /v1/models HTTP/1.1\r\n{authorization}{string.Concat(Enumerable.Range(0, 101).Select(i => $"x-{i}: 1\r\n"))}{End}",
            "no http" => "HELLO\r\n\r\n",
            "two lengths" => $"POST /v1/chat/completions HTTP/1.1\r\n{authorization}Content-Length: 2\r\nContent-Length: 3\r\n{End}{{}}",
            "length and chunks" => $"POST /v1/chat/completions HTTP/1.1\r\n{authorization}Content-Length: x\r\nTransfer-Encoding: chunked\r\n{End}0\r\n\r\n",
            "no host" => $"GET /health/live HTTP/1.1\r\n{End}",
            "two hosts" => $"GET /health/live HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n{End}",
            "line break in a header" => $"GET /health/live HTTP/1.1\r\nHost: localhost\r\nx: a\rb\r\n{End}",
            _ => $"POST /v1/chat/completions HTTP/1.1\r\n{authorization}Content-Length: 1099511627776\r\n{End}{{",
        };
        Assert.Equal(status, (int)(await RawHttp.SendAsync(gateway.BaseAddress, request)).Status);
        using var next = await gateway.Client.GetAsync(new Uri("v1/models", UriKind.Relative), TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Theory]
    [InlineData("v1/chat/completions")]
    [InlineData("mcp")]
    public async Task Json_NestedDeeperThanAnyoneNeeds_IsRefusedWithoutHarm(string path)
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        var deep = new string('[', 100_000) + new string(']', 100_000);
        var body = path == "mcp"
            ? $"{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"gateway__whoami\",\"arguments\":{{\"x\":{deep}}}}}}}"
            : $"{{\"model\":\"simulator/echo\",\"messages\":{deep}}}";
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = new StringContent(body, Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        using var response = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
    }

    [Fact]
    public async Task Connections_MoreThanAllowed_AreClosedUntilOneEnds()
    {
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = "server: {maxConnections: 2}" }, TestContext.Current.CancellationToken);
        using var first = await OpenAsync(gateway.BaseAddress);
        using var second = await OpenAsync(gateway.BaseAddress);
        Assert.True(await IsServedAsync(first));
        Assert.True(await IsServedAsync(second));
        using (var third = await OpenAsync(gateway.BaseAddress))
        {
            Assert.False(await IsServedAsync(third));
        }
        Assert.True(await IsServedAsync(first));
    }

    [Fact]
    public async Task Sessions_MoreThanAKeyMayHave_AreRefusedUntilOneEnds()
    {
        await using var gateway = await TestGateway.StartAsync(new TestGatewayOptions { Configuration = "limits: {maxSessionsPerKey: 2}" }, TestContext.Current.CancellationToken);
        var (first, _) = await InitializeAsync(gateway);
        var (second, _) = await InitializeAsync(gateway);
        Assert.NotNull(first);
        Assert.NotNull(second);
        var (third, refusal) = await InitializeAsync(gateway);
        Assert.Null(third);
        Assert.Contains("too_many_sessions", refusal, StringComparison.Ordinal);

        using var delete = new HttpRequestMessage(HttpMethod.Delete, new Uri("mcp", UriKind.Relative)) { Headers = { { "Mcp-Session-Id", first } } };
        using var ended = await gateway.Client.SendAsync(delete, TestContext.Current.CancellationToken);
        Assert.True(ended.IsSuccessStatusCode);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while ((await InitializeAsync(gateway)).Session is null)
        {
            patience.Token.ThrowIfCancellationRequested(); // the session ends a moment after the answer
        }
    }

    private static async Task<(string? Session, string Text)> InitializeAsync(TestGateway gateway)
    {
        const string Initialize = """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""";
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri("mcp", UriKind.Relative)) { Content = new StringContent(Initialize, Encoding.UTF8, "application/json") };
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        using var response = await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);
        return (response.Headers.TryGetValues("Mcp-Session-Id", out var ids) ? ids.Single() : null, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
    }

    private static async Task<TcpClient> OpenAsync(Uri address)
    {
        var connection = new TcpClient();
        await connection.ConnectAsync(address.Host, address.Port, TestContext.Current.CancellationToken);
        return connection;
    }

    private static async Task<bool> IsServedAsync(TcpClient connection)
    {
        var buffer = new byte[4096];
        try
        {
            await connection.GetStream().WriteAsync("GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n"u8.ToArray(), TestContext.Current.CancellationToken);
            return await connection.GetStream().ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken) > 0;
        }
        catch (IOException)
        {
            return false;
        }
    }
}
