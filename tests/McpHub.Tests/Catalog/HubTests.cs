using McpHub.Tests.Upstreams;
using McpHub.Upstreams;
using Shared.VirtualKeys;

namespace McpHub.Tests.Catalog;

/// <summary>Several servers at once: none delays, breaks or changes another.</summary>
public sealed class HubTests
{
    [Fact]
    public async Task Start_SomeServersAreBad_TheOthersServe()
    {
        await using var good = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var hanging = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        hanging.Script = _ => ScriptedReply.Silence;
        await using var hub = await Hub.StartAsync([Hub.Key()], Manifests.Http(good.Endpoint, "good"), Manifests.Http(hanging.Endpoint, "hanging"), Manifests.Stdio("exit-at-start", "dying"),
            Manifests.Http(new Uri("http://127.0.0.1:9/"), "absent"), Manifests.BuiltIn(), Manifests.Stdio("serve", "child"), Manifests.BuiltIn("off") with { Enabled = false });

        await hub.UntilReadyAsync("good");
        await hub.UntilReadyAsync("gateway");
        await hub.UntilReadyAsync("child");
        await hub.UntilAsync("dying", state => state.LastError == UpstreamReasons.Exited && state.LastWords.Contains("licence", StringComparison.Ordinal));
        await hub.UntilAsync("absent", state => state.LastError == UpstreamReasons.Unreachable);
        await hub.UntilAsync("hanging", state => state.Status == UpstreamStatus.Connecting);
        await hub.UntilAsync("off", state => state.Status == UpstreamStatus.Disabled && state.Since is null);

        Assert.Contains("good__echo", hub.NamesOf());
        Assert.Contains("child__echo", hub.NamesOf());
        Assert.Contains("gateway__whoami", hub.NamesOf());
        Assert.Contains("called", await hub.ResultAsync("good__echo"), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Publish_OneManifestChanged_OnlyItsServerIsConnectedAnew()
    {
        await using var first = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var second = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        var (one, two) = (Manifests.Http(first.Endpoint, "one"), Manifests.Http(second.Endpoint, "two"));
        await using var hub = await Hub.StartAsync([Hub.Key()], one, two);
        await hub.UntilReadyAsync("one");
        await hub.UntilReadyAsync("two");

        hub.Publish([Hub.Key()], one with { Prefix = "uno" }, two with { Headers = two.Headers.Add("X-New", "1") });
        await second.WaitForAsync("initialize", 2);
        await hub.UntilReadyAsync("two");

        Assert.Equal(["two__echo", "uno__echo"], hub.NamesOf());
        Assert.Single(first.RequestsOf("initialize"));
    }

    [Fact]
    public async Task Publish_ManifestTakenAway_ItsToolsGo()
    {
        await using var hub = await Hub.StartAsync([Hub.Key()], Manifests.BuiltIn(), Manifests.Stdio());
        await hub.UntilReadyAsync("fake");

        hub.Publish([Hub.Key()], Manifests.BuiltIn());

        Assert.DoesNotContain("fake__echo", hub.NamesOf());
    }

    [Fact]
    public async Task Server_TellsOfAChange_TheViewAndItsListenersSeeIt()
    {
        await using var hub = await Hub.StartAsync([Hub.Key()], Manifests.Stdio());
        await hub.UntilReadyAsync("fake");
        var before = hub.Views.ViewOf(hub.Store.Current, hub.Store.Current.Keys["k1"]).Fingerprint;
        var changed = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        hub.Views.Changed += () =>
        {
            if (hub.NamesOf().Contains("fake__grown"))
            {
                changed.TrySetResult();
            }
        };

        await hub.ResultAsync("fake__grow");

        await changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.NotEqual(before, hub.Views.ViewOf(hub.Store.Current, hub.Store.Current.Keys["k1"]).Fingerprint);
    }

    [Fact]
    public async Task Server_ForgotItsSession_TheCallsSucceedAndEachIsExecutedOnce()
    {
        await using var server = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        await using var hub = await Hub.StartAsync([Hub.Key()], Manifests.Http(server.Endpoint));
        await hub.UntilReadyAsync("fake");
        var executed = 0;
        server.Call = request =>
        {
            Interlocked.Increment(ref executed);
            return ScriptedReply.Result(request, "{}");
        };

        server.ForgetSessions();
        var results = await Task.WhenAll(Enumerable.Range(0, 10).Select(_ => hub.ResultAsync("fake__echo")));

        Assert.All(results, result => Assert.Equal("{}", result));
        Assert.Equal(10, executed);
        Assert.Equal(2, server.RequestsOf("initialize").Count);
        Assert.Equal(10, hub.Ledger.Rows.Count);
    }

    [Fact]
    public async Task Server_HasBadTools_TheRestIsServedAndTheStateSaysWhy()
    {
        await using var server = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = ["""{"name":"good","inputSchema":{"type":"object"}}""", """{"name":"bad","inputSchema":"none"}""", "17"];
        await using var hub = await Hub.StartAsync([Hub.Key()], Manifests.Http(server.Endpoint));

        await hub.UntilAsync("fake", state => state.Status == UpstreamStatus.Ready && state.Tools == 1 && state.Quarantined.Count == 2);

        Assert.Equal("""[{"name":"fake__good","inputSchema":{"type":"object"}}]""", hub.List());
        Assert.Equal("bad: Its 'inputSchema' is not an object.", hub.Servers.ReadAll().Single().Quarantined[0]);
    }

    [Fact]
    public async Task View_GrantsOfKeyOwnersAndAnnotations_AllCount()
    {
        await using var server = await ScriptedServer.StartAsync(TestContext.Current.CancellationToken);
        server.Tools = [.. new[] { "read", "write", "delete" }.Select(name => $$$"""{"name":"{{{name}}}","inputSchema":{"type":"object"},"annotations":{"readOnlyHint":{{{(name == "read" ? "true" : "false")}}}}}""")];
        var team = new Owner { Kind = OwnerKind.Team, Id = "t", Grants = new Grants { Tools = ["fake/*", "!fake/delete"] } };
        var readOnly = new Grants { Tools = ["*"], ToolAnnotations = Hub.Key().Grants!.ToolAnnotations.Add("readOnlyHint", true) };
        await using var hub = await Hub.StartAsync(
            [Hub.Key("all"), Hub.Key("none", new Grants()), Hub.Key("unset") with { Grants = null }, Hub.Key("team") with { Parent = team }, Hub.Key("reader", readOnly), Hub.Key("twin")],
            Manifests.Http(server.Endpoint) with { Prefix = "f" });
        await hub.UntilReadyAsync("fake");

        Assert.Equal(["f__delete", "f__read", "f__write"], hub.NamesOf("all"));
        Assert.Empty(hub.NamesOf("none"));
        Assert.Empty(hub.NamesOf("unset"));
        Assert.Equal(["f__read", "f__write"], hub.NamesOf("team"));
        Assert.Equal(["f__read"], hub.NamesOf("reader"));
        var keys = hub.Store.Current.Keys;
        Assert.Same(hub.Views.ViewOf(hub.Store.Current, keys["all"]), hub.Views.ViewOf(hub.Store.Current, keys["twin"]));
    }
}
