using System.Net;
using System.Text;
using Shared.Snapshots;

namespace McpHub.Tests.Serving;

/// <summary>Clients that mean ill, over real HTTP.</summary>
public sealed class HostileClientTests
{
    private const string List = """{"jsonrpc":"2.0","id":7,"method":"tools/list"}""";

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task SessionOfAnotherKey_IsAsUnknownAsOneThatNeverWas(bool allThroughSdk)
    {
        await using var host = await HubHost.StartAsync(allThroughSdk: allThroughSdk);
        using var alice = host.NewWire();
        await alice.OpenSessionAsync();
        using var thief = host.NewWire(HubHost.OtherKey);
        using var guesser = host.NewWire(HubHost.OtherKey);
        (thief.SessionId, guesser.SessionId) = (alice.SessionId, "AAAAAAAAAAAAAAAAAAAAAA");

        foreach (var body in new[] { List, """{"jsonrpc":"2.0","id":1,"method":"ping"}""", """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo"}}""", """{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}""" })
        {
            var (stolen, guessed) = (await thief.PostAsync(body), await guesser.PostAsync(body));
            Assert.Equal((HttpStatusCode.NotFound, guessed.Body), (stolen.Status, stolen.Body));
            Assert.Equal((guessed.Status, guessed.SessionId), (stolen.Status, stolen.SessionId));
        }
        foreach (var (method, status) in new[] { (HttpMethod.Get, HttpStatusCode.NotFound), (HttpMethod.Delete, HttpStatusCode.NotFound) })
        {
            using var stolen = await thief.SendAsync(method, null, null, CancellationToken.None);
            using var guessed = await guesser.SendAsync(method, null, null, CancellationToken.None);
            Assert.Equal((status, status), (stolen.StatusCode, guessed.StatusCode));
            Assert.Equal(await guessed.Content.ReadAsStringAsync(TestContext.Current.CancellationToken), await stolen.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        }
        Assert.Equal(HttpStatusCode.OK, (await alice.PostAsync(List)).Status);
        Assert.Empty(host.Tools.Calls);
    }

    [Fact]
    public async Task SessionThatEnded_IsUnknown()
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        using var ended = await wire.DeleteAsync();
        Assert.Equal(HttpStatusCode.OK, ended.StatusCode);

        Assert.Equal(HttpStatusCode.NotFound, (await wire.PostAsync(List)).Status);
        using var listening = await wire.GetAsync();
        Assert.Equal(HttpStatusCode.NotFound, listening.StatusCode);
        using var again = await wire.DeleteAsync();
        Assert.Equal(HttpStatusCode.NotFound, again.StatusCode);
        wire.SessionId = null;
        await wire.OpenSessionAsync();
        Assert.Equal(HttpStatusCode.OK, (await wire.PostAsync(List)).Status);
    }

    [Fact]
    public async Task SessionsInAll_AreBounded()
    {
        await using var host = await HubHost.StartAsync(settings: new GatewaySettings { MaxSessions = 2 });
        using var first = host.NewWire();
        using var second = host.NewWire(HubHost.OtherKey);
        using var third = host.NewWire(HubHost.OtherKey);
        await first.OpenSessionAsync();
        await second.OpenSessionAsync();

        var refused = await third.PostAsync("""{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"wire","version":"1"}}}""");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, refused.Status);
        Assert.Contains("limits.maxSessions", refused.Body, StringComparison.Ordinal);
        (await first.DeleteAsync()).Dispose();
        using var guard = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (host.Sessions.Count == 2)
        {
            guard.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
        await third.OpenSessionAsync();
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"slow"}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\u0061me":"slow"}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"method":"tools/list","m\u0065thod":"tools/call"}""")]
    [InlineData("""{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/list"}""")]
    [InlineData("""[{"jsonrpc":"2.0","id":1,"method":"tools/list"}]""")]
    [InlineData("[]")]
    [InlineData("17")]
    [InlineData("\"tools/list\"")]
    [InlineData("null")]
    [InlineData("{}")]
    [InlineData("")]
    [InlineData("{")]
    public async Task BodyThatIsNoOneMessage_IsRefused_InASession(string body)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();

        var answer = await wire.PostAsync(body);

        Assert.Equal(HttpStatusCode.BadRequest, answer.Status);
        Assert.NotNull(answer.ErrorCode);
        Assert.Empty(host.Tools.Calls);
        Assert.Equal(0, host.Memory.Held);
        Assert.Equal(HttpStatusCode.OK, (await wire.PostAsync(List)).Status);
    }

    [Theory]
    [InlineData(100)]
    [InlineData(1_000)]
    [InlineData(100_000)]
    public async Task DeepNesting_IsRelayedOrRefused_NeverFatal(int depth)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        await wire.OpenSessionAsync();
        var deep = new StringBuilder().Insert(0, "[", depth).Append('1').Append(']', depth);

        foreach (var body in new[]
        {
            """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":{"a":""" + deep + "}}}",
            """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{"progressToken":1,"a":""" + deep + "}}}",
            $$$"""{"jsonrpc":"2.0","id":{{{deep}}},"method":"tools/list"}""",
        })
        {
            Assert.InRange((int)(await wire.PostAsync(body)).Status, 200, 499);
        }
        Assert.Equal(HttpStatusCode.OK, (await wire.PostAsync(List)).Status);
        Assert.Equal(0, host.Memory.Held);
    }

    [Theory]
    [InlineData("tools/list", "echo", HttpStatusCode.BadRequest)]
    [InlineData("tools/call", "slow", HttpStatusCode.BadRequest)]
    [InlineData("tools/call", "=?base64?c2xvdw==?=", HttpStatusCode.BadRequest)]
    [InlineData("tools/call", "echo", HttpStatusCode.OK)]
    public async Task HeadersThatDisagreeWithTheBody_AreRefused(string method, string name, HttpStatusCode status)
    {
        await using var host = await HubHost.StartAsync();
        using var wire = host.NewWire();
        var body = """{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","_meta":{""" + Wire.StatelessMeta + "}}}";

        var answer = await wire.PostAsync(body, new Dictionary<string, string> { ["MCP-Protocol-Version"] = Wire.Stateless, ["Mcp-Method"] = method, ["Mcp-Name"] = name });

        Assert.Equal(status, answer.Status);
        Assert.Equal(status == HttpStatusCode.OK ? 1 : 0, host.Tools.Calls.Count);
        Assert.Equal(status == HttpStatusCode.OK ? null : -32020, answer.ErrorCode);
    }
}
