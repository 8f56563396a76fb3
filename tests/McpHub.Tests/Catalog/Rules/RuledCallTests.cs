using System.Collections.Immutable;
using System.Text;
using System.Text.Json;
using McpHub.Catalog;
using McpHub.Catalog.Rules;
using McpHub.Tests.Upstreams;
using McpHub.Upstreams;
using Microsoft.Extensions.Time.Testing;
using Shared.Budgets;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Tests.Catalog.Rules;

/// <summary>Calls of tools whose manifest has rules, through the whole client side.</summary>
public sealed class RuledCallTests : IAsyncLifetime
{
    private ScriptedServer server = null!;

    public async ValueTask InitializeAsync() => server = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);

    public ValueTask DisposeAsync() => server.DisposeAsync();

    [Fact]
    public async Task FixedSecret_GoesUpAndIsShownToNobody()
    {
        server.Tools = ["""{"name":"echo","inputSchema":{"type":"object","properties":{"token":{"type":"string"},"q":{"type":"string"}},"required":["token"]}}"""];
        await using var hub = await StartAsync(new ToolRule { Match = "echo", Set = ImmutableDictionary<string, FixedArgument>.Empty.Add("token", new FixedArgument("\"s3cret-value\"", true)) });

        await hub.ResultAsync("fake__echo", """{"name":"fake__echo","arguments":{"q":[1.50]}}""");
        var refused = await hub.ErrorAsync("fake__echo", """{"name":"fake__echo","arguments":{"token":"mine"}}""");

        Assert.StartsWith("""{"name":"echo","arguments":{"token":"s3cret-value","q":[1.50]}""", server.RequestsOf("tools/call").Single().Params, StringComparison.Ordinal);
        Assert.Equal("""{"code":-32602,"message":"Argument 'token' has a fixed value here; leave it out."}""", refused);
        Assert.DoesNotContain("token", hub.List(), StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", hub.Servers.Catalog.Tools.Single(tool => tool.UpstreamName == "echo").Server.Tools[0].ToString(), StringComparison.Ordinal);
        Assert.Equal([(CallOutcome.Succeeded, null), (CallOutcome.Refused, "argument_refused")], hub.Ledger.Rows.Select(row => (row.Result.Outcome, row.Result.Error)));
        Assert.All(hub.Ledger.Rows, row => Assert.Equal(Money.Zero, row.Charged));
    }

    [Fact]
    public async Task RefusedArguments_CostNothingAndCountAsRequests()
    {
        var key = Hub.Key() with { RateLimits = [new RateLimit { Id = "key:k1/r", Unit = RateUnit.Requests, Limit = 2, Window = Window.Rolling(TimeSpan.FromMinutes(1)) }] };
        await using var hub = await StartAsync([new ToolRule { Match = "echo", Cost = Money.FromDollars(1), Arguments = [new ArgumentRule { Path = ["p"], Within = ["/srv"] }] }], key);

        Assert.Contains("is not below /srv", await CallWithAsync("/etc"), StringComparison.Ordinal);
        Assert.Contains("holds '..'", await CallWithAsync("/srv/.."), StringComparison.Ordinal);
        Assert.Contains("key:k1/r", await CallWithAsync("/etc"), StringComparison.Ordinal);
        Assert.Empty(server.RequestsOf("tools/call"));
        Assert.All(hub.Ledger.Rows, row => Assert.Equal((CallOutcome.Refused, Money.Zero), (row.Result.Outcome, row.Charged)));

        Task<string> CallWithAsync(string path) => hub.ErrorAsync("fake__echo", $$$"""{"name":"fake__echo","arguments":{"p":"{{{path}}}"}}""");
    }

    [Fact]
    public async Task UnusableRule_QuarantinesTheToolAlone()
    {
        server.Tools = ["""{"name":"echo","inputSchema":{"type":"object","properties":{"a":{}},"required":["a"]}}""", """{"name":"other","inputSchema":{"type":"object"}}"""];
        await using var hub = await StartAsync(new ToolRule { Match = "echo", HiddenArguments = ["a"] });

        Assert.Equal(["fake__other"], hub.NamesOf());
        var quarantined = Assert.Single(hub.Servers.ReadStates().Single(state => state.Id == "fake").Quarantined);
        Assert.Equal(("echo", "The manifest hides its argument 'a', which its server requires; give it a value under 'set'."), (quarantined.Tool, quarantined.Reason));
        Assert.Contains("Unknown tool", await hub.ErrorAsync("fake__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Timeout_OfTheTool_EndsTheCallAndTellsTheServer()
    {
        server.Call = _ => ScriptedReply.Silence;
        var clock = new FakeTimeProvider();
        await using var hub = await StartAsync([new ToolRule { Match = "echo", Timeout = TimeSpan.FromSeconds(2) }], clock: clock);
        var call = hub.CallForAsync(null, "fake__echo");
        var request = (await server.WaitForAsync("tools/call"))[0];

        clock.Advance(TimeSpan.FromSeconds(2));

        var outcome = await call;
        Assert.Equal("""{"code":-31504,"message":"Tool 'fake__echo' did not answer within 2 s."}""", Encoding.UTF8.GetString(outcome.Error.Span));
        await request.AbortedAsync();
        Assert.Equal((CallOutcome.Broken, "timeout"), (hub.Ledger.Rows.Single().Result.Outcome, hub.Ledger.Rows.Single().Result.Error));
    }

    [Fact]
    public async Task Result_TooLarge_IsCutOrRefused()
    {
        server.Tools = [.. new[] { "cut", "refuse" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"},"outputSchema":{"type":"object"}}""")];
        server.Call = request => ScriptedReply.Result(request, $$$"""{"content":[{"type":"text","text":"{{{new string('x', 5000)}}}"}],"structuredContent":{"a":1}}""");
        await using var hub = await StartAsync(new ToolRule { Match = "cut", Result = new ResultLimit(1024, ResultExcess.Cut) }, new ToolRule { Match = "refuse", Result = new ResultLimit(1024, ResultExcess.Refuse) });

        var cut = await hub.ResultAsync("fake__cut");
        var refused = await hub.ResultAsync("fake__refuse");

        Assert.InRange(cut.Length, 500, 1024);
        Assert.Contains("The text above ends early.", cut, StringComparison.Ordinal);
        Assert.DoesNotContain("isError", cut, StringComparison.Ordinal);
        Assert.EndsWith("and 1024 are the limit for it here. Ask for less at a time.\"}],\"isError\":true}", refused, StringComparison.Ordinal);
        Assert.Equal([(CallOutcome.Succeeded, null), (CallOutcome.Failed, "result_too_large")], hub.Ledger.Rows.Select(row => (row.Result.Outcome, row.Result.Error)));
        using var list = JsonDocument.Parse(hub.List());
        Assert.Equal([false, true], list.RootElement.EnumerateArray().Select(tool => tool.TryGetProperty("outputSchema", out _)));
    }

    [Fact]
    public async Task Result_ThatAsksForSomethingFirst_IsNeverCut()
    {
        var result = $$$"""{"resultType":"input_required","requestState":"{{{new string('x', 5000)}}}"}""";
        server.IsModern = true;
        server.Call = request => ScriptedReply.Result(request, result);
        await using var hub = await StartAsync(new ToolRule { Match = "*", Result = new ResultLimit(1024, ResultExcess.Refuse) });

        Assert.DoesNotContain("are the limit", Encoding.UTF8.GetString((await hub.CallForAsync(null, "fake__echo")).Result.Span), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Call_ThatAsksForSomethingFirst_IsPaidForOnce(bool isModern)
    {
        server.IsModern = isModern;
        server.Call = request => request.Params.Contains("inputResponses", StringComparison.Ordinal) ? ScriptedReply.Result(request, """{"content":[]}""")
            : isModern ? ScriptedReply.Result(request, """{"resultType":"input_required","requestState":"s"}""")
            : ScriptedReply.Error(request, """{"code":-32042,"message":"Sign first.","data":{"elicitations":[]}}""");
        await using var hub = await StartAsync(new ToolRule { Match = "*", Cost = Money.FromDollars(1) });
        var client = new FakePeer { TakesInputRequired = true };

        await hub.CallForAsync(client, "fake__echo");
        await hub.CallForAsync(client, "fake__echo", """{"name":"fake__echo","arguments":{},"requestState":"s","inputResponses":{}}""");

        Assert.Equal([Money.Zero, Money.FromDollars(1)], hub.Ledger.Rows.Select(row => row.Charged!.Value));
    }

    [Fact]
    public async Task MaxConcurrentCalls_MoreWaitForTheirTurn()
    {
        var answers = new TaskCompletionSource();
        server.Tools = [.. new[] { "one", "other" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""")];
        server.Call = request => request.Params.Contains("\"one\"", StringComparison.Ordinal) && !answers.Task.IsCompleted ? ScriptedReply.Silence : ScriptedReply.Result(request, """{"content":[]}""");
        await using var hub = await StartAsync(new ToolRule { Match = "*", MaxConcurrentCalls = 1 });
        using var leaving = new CancellationTokenSource();
        var first = hub.CallAsync("fake__one", cancellationToken: leaving.Token);
        await server.WaitForAsync("tools/call");

        var second = hub.CallForAsync(null, "fake__one");
        await hub.ResultAsync("fake__other");
        Assert.False(second.IsCompleted);
        answers.SetResult();
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.False((await second).IsError);
        Assert.Equal(3, server.RequestsOf("tools/call").Count);
    }

    [Fact]
    public async Task RateLimit_OfTheTool_HoldsForEachKeyAndForAll()
    {
        var clock = new FakeTimeProvider();
        server.Tools = [.. new[] { "a", "b" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""")];
        var manifest = Manifests.Http(server.Endpoint, "fake") with { Tools = [new ToolRule { Match = "*", Rate = new ToolRate(PerKey: 2, Total: 3) }] };
        await using var hub = await Hub.StartAsync(clock, [Hub.Key("k1"), Hub.Key("k2")], manifest);
        await hub.UntilReadyAsync("fake");

        await hub.ResultAsync("fake__a", caller: hub.Request("k1"));
        await hub.ResultAsync("fake__a", caller: hub.Request("k1"));
        var ofKey = await hub.ErrorAsync("fake__a", caller: hub.Request("k1"));
        await hub.ResultAsync("fake__b", caller: hub.Request("k1"));
        await hub.ResultAsync("fake__a", caller: hub.Request("k2"));
        var ofAll = await hub.ErrorAsync("fake__a", caller: hub.Request("k2"));
        hub.Publish([Hub.Key("k1"), Hub.Key("k2")], manifest);
        var afterReload = await hub.ErrorAsync("fake__a", caller: hub.Request("k2"));
        clock.Advance(TimeSpan.FromSeconds(62));
        await hub.ResultAsync("fake__a", caller: hub.Request("k1"));

        Assert.Contains("Rate limit 'key:k1/tool:fake/a' of 2 requests per minute is reached", ofKey, StringComparison.Ordinal);
        Assert.Contains("\"code\":\"rate_limit_exceeded\"", ofKey, StringComparison.Ordinal);
        Assert.Contains("Rate limit 'tool:fake/a' of 3 requests per minute is reached", ofAll, StringComparison.Ordinal);
        Assert.Contains("tool:fake/a", afterReload, StringComparison.Ordinal);
        Assert.Equal(5, hub.Ledger.Rows.Count);
    }

    [Theory]
    [InlineData("""{"action":"accept","content":{}}""", null, null)]
    [InlineData("""{"action":"decline"}""", "declined the call", "approval_declined")]
    [InlineData("""{"action":"cancel"}""", "closed the question", "approval_cancelled")]
    [InlineData("""{"action":"Accept"}""", "neither yes nor no", "approval_failed")]
    [InlineData("""[]""", "neither yes nor no", "approval_failed")]
    [InlineData(null, "failed to ask", "approval_failed")]
    public async Task Approval_AnythingButAccept_KeepsTheCallFromTheServer(string? answer, string? words, string? code)
    {
        await using var hub = await StartAsync(Confirm());
        var peer = new FakePeer { Answer = _ => Task.FromResult(answer is null ? new ToolCallOutcome(default, """{"code":-1,"message":"x"}"""u8.ToArray()) : Accepted(answer)) };

        var outcome = await hub.CallForAsync(peer, "fake__echo", """{"name":"fake__echo","arguments":{"path":"/a\u202eb"}}""");

        var question = Assert.Single(peer.Asked);
        Assert.Equal(("elicitation/create", """{"message":"Allow the call of tool \"echo\" of server \"fake\"?\npath: \"/a\\u{202E}b\"","requestedSchema":{"type":"object","properties":{}}}"""), question);
        var result = Encoding.UTF8.GetString(outcome.Result.Span);
        Assert.False(outcome.IsError);
        if (words is null)
        {
            Assert.DoesNotContain("isError", result, StringComparison.Ordinal);
            Assert.Single(server.RequestsOf("tools/call"));
            Assert.Equal(CallOutcome.Succeeded, hub.Ledger.Rows.Single().Result.Outcome);
        }
        else
        {
            Assert.Contains(words, result, StringComparison.Ordinal);
            Assert.EndsWith("\"isError\":true}", result, StringComparison.Ordinal);
            Assert.Empty(server.RequestsOf("tools/call"));
            Assert.Equal((CallOutcome.Refused, code), (hub.Ledger.Rows.Single().Result.Outcome, hub.Ledger.Rows.Single().Result.Error));
        }
    }

    [Theory]
    [InlineData(null)]
    [InlineData("{}")]
    [InlineData("""{"elicitation":{"url":{}}}""")]
    public async Task Approval_ClientThatCannotBeAsked_IsRefused(string? capabilities)
    {
        await using var hub = await StartAsync(Confirm());
        var peer = capabilities is null ? null : new FakePeer { Capabilities = Encoding.UTF8.GetBytes(capabilities) };

        var outcome = await hub.CallForAsync(peer, "fake__echo");

        Assert.Contains("cannot ask its person", Encoding.UTF8.GetString(outcome.Result.Span), StringComparison.Ordinal);
        Assert.Empty(peer?.Asked ?? []);
        Assert.Empty(server.RequestsOf("tools/call"));
        Assert.Equal("approval_impossible", hub.Ledger.Rows.Single().Result.Error);
    }

    [Fact]
    public async Task Approval_WhileAPersonThinks_NothingIsHeldAndTimeIsBounded()
    {
        var clock = new FakeTimeProvider();
        var key = Hub.Key() with
        {
            ConcurrencyLimits = [new ConcurrencyLimit { Id = "key:k1/calls", Limit = 1 }],
            Budgets = [new Budget { Id = "key:k1/day", Limit = Money.FromDollars(1), Window = Window.Aligned(CalendarUnit.Day) }],
        };
        server.Tools = [.. new[] { "asks", "plain" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""")];
        await using var hub = await StartAsync([Confirm("asks") with { Cost = Money.FromDollars(1), MaxConcurrentCalls = 1 }], key, clock);
        var peer = new FakePeer { Answer = async token => { await Task.Delay(Timeout.Infinite, token); return default; } };

        var waiting = hub.CallForAsync(peer, "fake__asks");
        await peer.WasAsked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        var status = hub.Admission.LimitsOf(hub.Store.Current, hub.Store.Current.Keys["k1"]);
        await hub.ResultAsync("fake__plain");
        clock.Advance(TimeSpan.FromMinutes(5));
        var outcome = await waiting;

        Assert.Equal((0, Money.Zero), (status.Concurrency.Single().InFlight, status.Budgets.Single().Reserved));
        Assert.Contains("Nobody answered within 300 s", Encoding.UTF8.GetString(outcome.Result.Span), StringComparison.Ordinal);
        Assert.Equal(["plain"], server.RequestsOf("tools/call").Select(request => JsonDocument.Parse(request.Params).RootElement.GetProperty("name").GetString()));
        Assert.Equal([null, "approval_timeout"], hub.Ledger.Rows.Select(row => row.Result.Error));
        status = hub.Admission.LimitsOf(hub.Store.Current, hub.Store.Current.Keys["k1"]);
        Assert.Equal((0, Money.Zero, Money.Zero), (status.Concurrency.Single().InFlight, status.Budgets.Single().Reserved, status.Budgets.Single().Spent));
    }

    [Fact]
    public async Task Approval_BudgetThatCannotPay_IsSaidBeforeAnybodyIsAsked()
    {
        var key = Hub.Key() with { Budgets = [new Budget { Id = "key:k1/day", Limit = Money.FromDollars(0.5m), Window = Window.Aligned(CalendarUnit.Day) }] };
        await using var hub = await StartAsync([Confirm() with { Cost = Money.FromDollars(1) }], key);
        var peer = new FakePeer();

        Assert.True((await hub.CallForAsync(peer, "fake__echo")).IsError);

        Assert.Empty(peer.Asked);
    }

    [Fact]
    public async Task Approval_CallerThatLeaves_EndsTheQuestionAndIsRecorded()
    {
        await using var hub = await StartAsync(Confirm());
        var ended = new TaskCompletionSource();
        var peer = new FakePeer
        {
            Answer = async token =>
            {
                token.Register(ended.SetResult);
                await Task.Delay(Timeout.Infinite, token);
                return default;
            },
        };
        using var leaving = new CancellationTokenSource();
        var call = hub.CallAsync("fake__echo", cancellationToken: leaving.Token, peer: peer);
        await peer.WasAsked.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        await ended.Task;
        Assert.Equal("approval_cancelled", hub.Ledger.Rows.Single().Result.Error);
        Assert.Empty(server.RequestsOf("tools/call"));
    }

    [Fact]
    public async Task Approval_GrantTakenAwayMeanwhile_IsUnknown()
    {
        await using var hub = await StartAsync(Confirm());
        var peer = new FakePeer
        {
            Answer = _ =>
            {
                hub.Publish([Hub.Key(grants: new Grants())], Manifests.Http(server.Endpoint));
                return Task.FromResult(Accepted("""{"action":"accept"}"""));
            },
        };

        Assert.Contains("Unknown tool", Encoding.UTF8.GetString((await hub.CallForAsync(peer, "fake__echo")).Error.Span), StringComparison.Ordinal);
        Assert.Empty(server.RequestsOf("tools/call"));
    }

    [Fact]
    public async Task Approval_Remembered_HoldsForTheSessionAndTheDefinitionOnly()
    {
        await using var hub = await StartAsync(Confirm(memory: ApprovalMemory.Session));
        var answer = """{"action":"accept","content":{"remember":false}}""";
        FakePeer Peer(string? session) => new() { SessionId = session, Answer = _ => Task.FromResult(Accepted(answer)) };
        async Task<int> AsksAsync(FakePeer peer)
        {
            Assert.False((await hub.CallForAsync(peer, "fake__echo")).IsError);
            return peer.Asked.Count;
        }

        var first = Peer("s1");
        Assert.Equal(1, await AsksAsync(first));
        Assert.Contains("\"remember\":{\"type\":\"boolean\"", first.Asked[0].Parameters, StringComparison.Ordinal);
        Assert.Equal(1, await AsksAsync(Peer("s1")));
        answer = """{"action":"accept","content":{"remember":true}}""";
        Assert.Equal(1, await AsksAsync(Peer("s1")));
        Assert.Equal(0, await AsksAsync(Peer("s1")));
        Assert.Equal(1, await AsksAsync(Peer("s2")));
        var without = Peer(null);
        Assert.Equal(1, await AsksAsync(without));
        Assert.DoesNotContain("remember", without.Asked[0].Parameters, StringComparison.Ordinal);
        Assert.Equal(1, await AsksAsync(Peer(null)));
        hub.Publish([Hub.Key()], Manifests.Http(server.Endpoint) with { Tools = [Confirm(memory: ApprovalMemory.Session) with { Description = "Another tool now." }] });
        Assert.Equal(1, await AsksAsync(Peer("s1")));
    }

    [Fact]
    public async Task Approval_QuestionsOfOneKey_AreBounded()
    {
        await using var hub = await StartAsync(Confirm());
        var peer = new FakePeer { Answer = async token => { await Task.Delay(Timeout.Infinite, token); return default; } };
        using var leaving = new CancellationTokenSource();
        var open = Enumerable.Range(0, Approvals.MaxOpen).Select(_ => hub.CallAsync("fake__echo", cancellationToken: leaving.Token, peer: peer)).ToList();
        Assert.Equal(Approvals.MaxOpen, peer.Asked.Count);

        var outcome = await hub.CallForAsync(peer, "fake__echo");

        Assert.Contains("wait for a person's answer already", Encoding.UTF8.GetString(outcome.Result.Span), StringComparison.Ordinal);
        await leaving.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(open));
        peer.Answer = _ => Task.FromResult(Accepted("""{"action":"accept"}"""));
        Assert.DoesNotContain("isError", Encoding.UTF8.GetString((await hub.CallForAsync(peer, "fake__echo")).Result.Span), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Scope_OfAToolset_ShowsAndCallsWhatIsInItOnly()
    {
        server.Tools = [.. new[] { "read", "write", "read_secret" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"}}""")];
        await using var hub = await StartAsync([], Hub.Key(grants: new Grants { Tools = ["fake/*", "!fake/read_secret"] }));
        hub.PublishToolsets(new Toolset { Id = "reading", Tools = ["fake/read*"] }, new Toolset { Id = "elsewhere", Tools = ["other/*"] }, new Toolset { Id = "denied", Tools = ["fake/read_secret"] });
        var key = hub.Store.Current.Keys["k1"];
        ToolView ViewOf(string? serverId, string? toolset) => hub.Views.ViewOf(hub.Store.Current, key, new ToolScope(serverId, toolset));
        bool Exists(string? serverId, string? toolset) => hub.Scopes.Exists(hub.Store.Current, key, new ToolScope(serverId, toolset));

        Assert.Equal(["fake__read"], ViewOf(null, "reading").Tools.Keys);
        Assert.Equal(["read"], ViewOf("fake", "reading").Tools.Keys);
        Assert.Empty(ViewOf(null, "absent").Tools);
        Assert.Equal([true, true, false, false, false, true, false, true, false],
            [Exists(null, null), Exists(null, "reading"), Exists(null, "absent"), Exists(null, "elsewhere"), Exists(null, "denied"), Exists("fake", null), Exists("absent", null), Exists("fake", "reading"), Exists("gateway", null)]);
        var caller = hub.Request();
        caller.ToolScope = new ToolScope(null, "reading");
        await hub.ResultAsync("fake__read", caller: caller);
        Assert.Contains("Unknown tool", await hub.ErrorAsync("fake__write", caller: caller), StringComparison.Ordinal);
    }

    private static ToolRule Confirm(string match = "echo", ApprovalMemory memory = ApprovalMemory.Never) =>
        new() { Match = match, Approval = new Approval(ApprovalMode.Confirm, TimeSpan.FromMinutes(5), memory) };

    private static ToolCallOutcome Accepted(string answer) => new(Encoding.UTF8.GetBytes(answer), default);

    private Task<Hub> StartAsync(params ToolRule[] rules) => StartAsync(rules, null);

    private async Task<Hub> StartAsync(ToolRule[] rules, VirtualKey? key = null, TimeProvider? clock = null)
    {
        var hub = await Hub.StartAsync(clock ?? TimeProvider.System, [key ?? Hub.Key()], Manifests.Http(server.Endpoint, "fake") with { Tools = [.. rules] });
        await hub.UntilAsync("fake", state => state.Status == UpstreamStatus.Ready && state.Tools + state.Quarantined.Count > 0);
        return hub;
    }
}

/// <summary>A client that answers as it is told.</summary>
internal sealed class FakePeer : IClientPeer
{
    private readonly Lock gate = new();
    private readonly List<(string Method, string Parameters)> asked = [];
    private readonly TaskCompletionSource wasAsked = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public string? SessionId { get; init; }

    public bool TakesInputRequired { get; init; }

    public ReadOnlyMemory<byte> Capabilities { get; init; } = """{"elicitation":{}}"""u8.ToArray();

    public Func<CancellationToken, Task<ToolCallOutcome>> Answer { get; set; } = _ => throw new InvalidOperationException("Nobody was to be asked.");

    public IReadOnlyList<(string Method, string Parameters)> Asked
    {
        get
        {
            lock (gate)
            {
                return [.. asked];
            }
        }
    }

    public Task WasAsked => wasAsked.Task;

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        lock (gate)
        {
            asked.Add((method, Encoding.UTF8.GetString(parameters.Span)));
        }
        wasAsked.TrySetResult();
        return await Answer(cancellationToken);
    }

    public ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken) => ValueTask.CompletedTask;
}
