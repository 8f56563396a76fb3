using System.Net;
using System.Net.Sockets;
using System.Text;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Shared.Http;
using TestSupport;

namespace Gateway.Tests;

public sealed class FailureTests
{
    private static readonly TimeSpan HangGuard = TimeSpan.FromSeconds(30);

    [Fact]
    public async Task Endpoint_Throws_Answers500WithoutTheCause()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.Anonymous.GetAsync("/test/broken", TestContext.Current.CancellationToken);
        var problem = await response.JsonAsync();
        Assert.Equal(HttpStatusCode.InternalServerError, response.StatusCode);
        Assert.Contains(response.Header("x-request-id"), problem.GetProperty("detail").GetString());
        Assert.DoesNotContain("secret", problem.GetRawText(), StringComparison.Ordinal);
        Assert.Contains(response.Header("x-request-id"), Assert.Single(gateway.Logs.Lines, line => line.Level >= LogLevel.Error).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Endpoint_ThrowsAfterTheStart_CutsTheReplyOff()
    {
        await using var gateway = await Hosts.StartAsync();
        await Assert.ThrowsAsync<HttpRequestException>(() => gateway.Anonymous.GetStringAsync("/test/half", TestContext.Current.CancellationToken));
        using var next = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Fact]
    public async Task Client_LeavesBeforeTheAnswer_IsNoFailure()
    {
        var waiting = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        LogCapture logs;
        await using (var gateway = await TestGateway.StartAsync(
            new TestGatewayOptions
            {
                Endpoints = app => app.MapGet("/test/wait", async context =>
                {
                    waiting.SetResult();
                    await new TaskCompletionSource().Task.WaitAsync(context.RequestAborted);
                }).ForCaller(CallerKind.Anonymous, ProblemFormat.Instance),
            },
            TestContext.Current.CancellationToken))
        {
            logs = gateway.Logs;
            using var leaving = new CancellationTokenSource();
            var call = gateway.Anonymous.GetAsync("/test/wait", leaving.Token);
            await waiting.Task.WaitAsync(HangGuard, TestContext.Current.CancellationToken);
            await leaving.CancelAsync();
            await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        }
        Assert.Equal(LogLevel.Debug, Assert.Single(logs.Lines, line => line.Message.Contains("the client left", StringComparison.Ordinal)).Level);
        Assert.DoesNotContain(logs.Lines, line => line.Level >= LogLevel.Error);
    }

    [Fact]
    public async Task Path_Unknown_NamesTheKnownOnes()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.Client.GetAsync("/v9/chat", TestContext.Current.CancellationToken);
        var detail = (await response.JsonAsync()).GetProperty("detail").GetString();
        Assert.Contains("GET /health/ready", detail);
        Assert.Contains("POST /admin/v1/keys", detail);
        Assert.DoesNotContain("undeclared", detail);
    }

    [Theory]
    [InlineData("/v1/videos", "not_found")]
    [InlineData("/v1/chat/completions", "method_not_allowed")]
    public async Task Path_BesideTheModelEndpoints_AnswersInTheirFormat(string path, string code)
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.Client.GetAsync(path, TestContext.Current.CancellationToken);
        var error = (await response.JsonAsync()).GetProperty("error");
        Assert.Equal(code, error.GetProperty("code").GetString());
        Assert.NotEmpty(error.GetProperty("message").GetString()!);
    }

    [Fact]
    public async Task Endpoint_ThatDeclaresNoCaller_IsDeniedToEverybody()
    {
        await using var gateway = await Hosts.StartAsync();
        foreach (var client in new[] { gateway.Anonymous, gateway.Client, gateway.AdminClient })
        {
            using var response = await client.GetAsync("/test/undeclared", TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.NotFound, response.StatusCode);
        }
    }

    [Fact]
    public async Task Method_NotTaken_Answers405WithAllow()
    {
        await using var gateway = await Hosts.StartAsync();
        using var response = await gateway.AdminClient.PutAsync("/admin/v1/keys", null, TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, response.StatusCode);
        Assert.Equal(["GET", "POST"], response.Content.Headers.Allow.Order(StringComparer.Ordinal));
        Assert.Equal("method_not_allowed", (await response.JsonAsync()).GetProperty("code").GetString());
    }

    [Theory]
    [InlineData(200, 10)]
    [InlineData(2, 40_000)]
    public async Task Headers_Flood_Answers431AndServesOn(int count, int length)
    {
        await using var gateway = await Hosts.StartAsync();
        var flood = string.Concat(Enumerable.Range(0, count).Select(i => $"x-flood-{i}: {new string('a', length)}\r\n"));

        var reply = await SendRawAsync(gateway, $"GET /health/live HTTP/1.1\r\nHost: localhost\r\n{flood}\r\n");

        Assert.StartsWith("HTTP/1.1 431 ", reply, StringComparison.Ordinal);
        using var next = await gateway.Anonymous.GetAsync("/health/live", TestContext.Current.CancellationToken);
        Assert.Equal(HttpStatusCode.OK, next.StatusCode);
    }

    [Fact]
    public async Task Body_ThatStopsArriving_Answers408InTheEndpointsFormat()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions
        {
            Builder = builder => builder.Services.PostConfigure<KestrelServerOptions>(server => server.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 1000, gracePeriod: TimeSpan.FromMilliseconds(1100))),
        });

        var reply = await SendRawAsync(gateway, $"POST /test/body HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.VirtualKey}\r\nContent-Length: 100000\r\n\r\n{{");

        Assert.StartsWith("HTTP/1.1 408 ", reply, StringComparison.Ordinal);
        Assert.Contains("application/problem+json", reply, StringComparison.Ordinal);
        Assert.Contains("x-request-id: ", reply, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"request_timeout\"", reply, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Body_FarTooLarge_Answers413InTheEndpointsFormat()
    {
        await using var gateway = await Hosts.StartAsync();

        var reply = await SendRawAsync(gateway, $"POST /test/body HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {gateway.VirtualKey}\r\nContent-Length: 9999999999\r\n\r\n{{");

        Assert.StartsWith("HTTP/1.1 413 ", reply, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"request_too_large\"", reply, StringComparison.Ordinal);
    }

    /// <summary>Sends text as it is and reads until the server closes the connection.</summary>
    private static async Task<string> SendRawAsync(TestGateway gateway, string request)
    {
        using var connection = new TcpClient();
        await connection.ConnectAsync(gateway.BaseAddress.Host, gateway.BaseAddress.Port, TestContext.Current.CancellationToken);
        await using var stream = connection.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes(request), TestContext.Current.CancellationToken);
        var reply = new StringBuilder();
        var buffer = new byte[4096];
        try
        {
            int read;
            while ((read = await stream.ReadAsync(buffer, TestContext.Current.CancellationToken).AsTask().WaitAsync(HangGuard, TestContext.Current.CancellationToken)) > 0)
            {
                reply.Append(Encoding.ASCII.GetString(buffer, 0, read));
            }
        }
        catch (IOException)
        {
            // A server that stops reading in the middle of a request resets the connection after its answer.
            Assert.NotEqual(0, reply.Length);
        }
        return reply.ToString();
    }
}
