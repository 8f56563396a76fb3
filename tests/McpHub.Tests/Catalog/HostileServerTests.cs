using McpHub.Tests.Upstreams;
using Shared.Snapshots;

namespace McpHub.Tests.Catalog;

/// <summary>Servers that mean ill, beside one that does not: what they do stays with them.</summary>
public sealed class HostileServerTests : IAsyncLifetime
{
    private ScriptedServer bad = null!;
    private ScriptedServer good = null!;

    public async ValueTask InitializeAsync() =>
        (bad, good) = (await ScriptedServer.StartAsync(TestContext.Current.CancellationToken), await ScriptedServer.StartAsync(TestContext.Current.CancellationToken));

    public async ValueTask DisposeAsync()
    {
        await bad.DisposeAsync();
        await good.DisposeAsync();
    }

    [Fact]
    public async Task ListThatHangs_DelaysNobodyElse_AtTheStartAndLater()
    {
        bad.Script = request => request.Method == "tools/list" ? ScriptedReply.Silence : null;
        await using var hub = await StartAsync();
        Assert.Equal(["good__echo"], hub.NamesOf());

        // Once connected, a refresh that hangs keeps neither its own tools nor those of others.
        bad.Script = _ => null;
        hub.Publish([Hub.Key()], Bad() with { CallTimeout = TimeSpan.FromSeconds(31) }, Good());
        await hub.UntilReadyAsync("bad");
        bad.Script = request => request.Method == "tools/list" ? ScriptedReply.Silence : null;
        bad.Push("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
        await bad.WaitForAsync("tools/list", 3);
        good.Tools = [Tool("echo"), Tool("more")];
        good.Push("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");

        await hub.UntilAsync("good", state => state.Tools == 2);
        Assert.Equal(["bad__echo", "good__echo", "good__more"], hub.NamesOf());
        Assert.Contains("called", await hub.ResultAsync("bad__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HugeList_IsCut_AndDuplicatesAndBadOnesAreLeftOut()
    {
        bad.Tools = [.. Enumerable.Range(0, 6_000).Select(i => Tool($"t{i}")), Tool("t1")];
        await using var hub = await StartAsync();
        await hub.UntilAsync("bad", state => state.Tools > 0);
        Assert.InRange(hub.NamesOf().Count(name => name.StartsWith("bad__", StringComparison.Ordinal)), 4_990, 5_000);
        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DuplicatedNames_AreServedOnceOrNotAtAll()
    {
        bad.Tools = [Tool("same", "first"), Tool("same", "second"), Tool("other")];
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");

        Assert.InRange(hub.NamesOf().Count(name => name == "bad__same"), 0, 1);
        Assert.Contains("bad__other", hub.NamesOf());
    }

    [Theory]
    [InlineData("""{"$ref":"#"}""")]
    [InlineData("""{"$ref":"#/properties/self"}""")]
    [InlineData("""{"$ref":"http://169.254.169.254/schema"}""")]
    [InlineData("""{"$ref":"file:///etc/passwd"}""")]
    public async Task RecursiveOrRemoteSchemas_AreNeverFollowed(string schema)
    {
        bad.Tools = ["""{"name":"self","inputSchema":{"type":"object","properties":{"self":""" + schema + "}}}"];
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");

        Assert.Contains(schema, hub.List(), StringComparison.Ordinal);
        Assert.Contains("called", await hub.ResultAsync("bad__self"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task DeepNesting_IsHeldBackOrRelayed_NeverFatal()
    {
        var deep = string.Concat(Enumerable.Repeat("{\"a\":", 5_000)) + "1" + new string('}', 5_000);
        bad.Tools = [Tool("echo"), """{"name":"deep","inputSchema":{"type":"object","x":""" + deep + "}}"];
        bad.Call = request => ScriptedReply.Result(request, deep);
        await using var hub = await StartAsync();

        // Whether one list or one answer is refused, nothing else is.
        await hub.CallAsync("bad__echo", cancellationToken: TestContext.Current.CancellationToken);
        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task AnswerThatIsNotUtf8_IsNoAnswer()
    {
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");
        bad.Call = request => ScriptedReply.Result(request, $$"""{"content":[{"type":"text","text":"{{ScriptedReply.WrongByte}}"}]}""");

        Assert.Contains("-31502", await hub.ErrorAsync("bad__echo"), StringComparison.Ordinal);
        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":424242,"progress":1}}""")]
    [InlineData("""{"jsonrpc":"2.0","method":"notifications/resources/updated","params":{"uri":"x://y"}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":"x","method":"sampling/createMessage","params":{}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":"x","method":"ping"}""")]
    [InlineData("""{"jsonrpc":"2.0","id":99999,"result":{}}""")]
    [InlineData("""{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}""")]
    [InlineData("this is no JSON")]
    public async Task FloodOnTheStream_IsPassedOver(string message)
    {
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");
        await bad.WaitForAsync("GET");

        for (var i = 0; i < 20_000; i++)
        {
            bad.Push(message);
        }

        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
        Assert.Contains("called", await hub.ResultAsync("bad__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task FloodWithinACall_EndsWithItsAnswer()
    {
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");
        bad.Call = request => ScriptedReply.Events([
            .. Enumerable.Repeat("""{"jsonrpc":"2.0","id":"x","method":"elicitation/create","params":{}}""", 2_000),
            .. Enumerable.Repeat("""{"jsonrpc":"2.0","method":"notifications/message","params":{"level":"info","data":"x"}}""", 2_000),
            ScriptedReply.ResultOf(request, """{"content":[{"type":"text","text":"called"}]}""")]);

        Assert.Contains("called", await hub.ResultAsync("bad__echo"), StringComparison.Ordinal);
        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task StreamOrAnswerThatNeverEnds_EndsWithTheTimeAllowed()
    {
        await using var hub = await StartAsync(TimeSpan.FromMilliseconds(700));
        await hub.UntilReadyAsync("bad");
        foreach (var reply in new Func<ScriptedRequest, ScriptedReply>[]
        {
            // Comments keep the connection busy, and say nothing.
            _ => new ScriptedReply { ContentType = "text/event-stream", Pieces = [.. Enumerable.Repeat((": still here\n\n", (Task?)null), 100)], StaysOpen = true },
            // A byte now and then, and never the last.
            request => new ScriptedReply { Pieces = [.. ScriptedReply.ResultOf(request, "{}").SkipLast(1).Select(letter => (letter.ToString(), (Task?)null))], StaysOpen = true },
        })
        {
            bad.Call = reply;
            var hanging = hub.ErrorAsync("bad__echo");
            Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
            Assert.Contains("-31504", await hanging, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task DefinitionThatChangesDuringACall_LeavesTheCallAlone()
    {
        await using var hub = await StartAsync();
        await hub.UntilReadyAsync("bad");
        var release = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        bad.Call = request => new ScriptedReply { Pieces = [(ScriptedReply.ResultOf(request, """{"content":[{"type":"text","text":"old"}]}"""), release.Task)] };
        var call = hub.ResultAsync("bad__echo");
        await bad.WaitForAsync("tools/call");
        bad.Tools = [Tool("other")];
        bad.Push("""{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}""");
        await hub.UntilAsync("bad", _ => hub.NamesOf().Contains("bad__other"));
        release.SetResult();

        Assert.Contains("old", await call, StringComparison.Ordinal);
        Assert.Contains("Unknown tool", await hub.ErrorAsync("bad__echo"), StringComparison.Ordinal);
    }

    private static string Tool(string name, string description = "d") => $$$"""{"name":"{{{name}}}","description":"{{{description}}}","inputSchema":{"type":"object"}}""";

    private ToolManifest Bad(TimeSpan? callTimeout = null) => Manifests.Http(bad.Endpoint, "bad") with { CallTimeout = callTimeout ?? TimeSpan.FromSeconds(30) };

    private ToolManifest Good() => Manifests.Http(good.Endpoint, "good");

    private async Task<Hub> StartAsync(TimeSpan? callTimeout = null)
    {
        var hub = await Hub.StartAsync([Hub.Key()], Bad(callTimeout), Good());
        await hub.UntilReadyAsync("good");
        return hub;
    }
}
