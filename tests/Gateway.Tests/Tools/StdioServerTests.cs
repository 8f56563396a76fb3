using TestSupport;

namespace Gateway.Tests.Tools;

/// <summary>Tool servers as child processes, well-behaved and not.</summary>
public sealed class StdioServerTests
{
    [Fact]
    public async Task GoodServer_BadToolsAreQuarantinedAlone_AndCallsKeepUnknownMembers()
    {
        await using var gateway = await StartAsync(("good.yaml", ToolCaller.Stdio("good", "normal")));
        await ToolCaller.WaitForAsync(gateway, "good", state => state.State == "connected" && state.Quarantined.Count == 2);

        Assert.Equal(["good__big", "good__echo", "good__env", "good__hang"], (await ToolCaller.ListAsync(gateway.Client)).Where(name => name.StartsWith("good", StringComparison.Ordinal)));
        var answer = await ToolCaller.CallAsync(gateway.Client, "good__echo", """{"text":"héllo\n"}""");
        Assert.Contains("\"vendor\":\"kept\"", answer, StringComparison.Ordinal);
        Assert.Contains("llo\\n", answer, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Environment_IsNotInherited_ButWhatTheManifestSetsIs()
    {
        Environment.SetEnvironmentVariable("GATEWAY_TEST_CANARY", "leaked");
        await using var gateway = await StartAsync(("env.yaml", ToolCaller.Stdio("env", "normal", ", env: {GIVEN: by-manifest}")));
        await ToolCaller.WaitForAsync(gateway, "env", state => state.State == "connected");

        Assert.Contains("(unset)", await ToolCaller.CallAsync(gateway.Client, "env__env", """{"name":"GATEWAY_TEST_CANARY"}"""), StringComparison.Ordinal);
        Assert.Contains("by-manifest", await ToolCaller.CallAsync(gateway.Client, "env__env", """{"name":"GIVEN"}"""), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("flood")]
    [InlineData("garbage")]
    public async Task NoisyServer_IsServedAllTheSame(string mode)
    {
        await using var gateway = await StartAsync(("noisy.yaml", ToolCaller.Stdio("noisy", mode)));
        await ToolCaller.WaitForAsync(gateway, "noisy", state => state.State == "connected");
        Assert.Contains("hello", await ToolCaller.CallAsync(gateway.Client, "noisy__echo", """{"text":"hello"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServerThatExitsAtStart_IsReportedAndHarmsNobody()
    {
        await using var gateway = await StartAsync(("dead.yaml", ToolCaller.Stdio("dead", "exit")), ("good.yaml", ToolCaller.Stdio("good", "normal")));
        await ToolCaller.WaitForAsync(gateway, "dead", state => state is { State: "disconnected", Problem: not null });
        await ToolCaller.WaitForAsync(gateway, "good", state => state.State == "connected");

        Assert.DoesNotContain(await ToolCaller.ListAsync(gateway.Client), name => name.StartsWith("dead", StringComparison.Ordinal));
        Assert.Contains("hello", await ToolCaller.CallAsync(gateway.Client, "good__echo", """{"text":"hello"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task TenMegabytes_PassWithinTheLimit_AndAreRefusedBeyondIt_AndTheServerServesOn()
    {
        await using var gateway = await StartAsync(
            ("wide.yaml", ToolCaller.Stdio("wide", "normal")), ("narrow.yaml", ToolCaller.Stdio("narrow", "normal", ", limits: {maxMessageBytes: 1MiB}")));
        await ToolCaller.WaitForAsync(gateway, "wide", state => state.State == "connected");
        await ToolCaller.WaitForAsync(gateway, "narrow", state => state.State == "connected");

        Assert.True((await ToolCaller.CallAsync(gateway.Client, "wide__big", """{"bytes":10000000}""")).Length > 10_000_000);
        Assert.Contains("\"error\"", await ToolCaller.CallAsync(gateway.Client, "narrow__big", """{"bytes":10000000}"""), StringComparison.Ordinal);
        await ToolCaller.WaitForAsync(gateway, "narrow", state => state.State == "connected");
        Assert.Contains("hello", await ToolCaller.CallAsync(gateway.Client, "wide__echo", """{"text":"hello"}"""), StringComparison.Ordinal);
    }

    [Fact]
    public async Task HangingCall_EndsAtItsTimeLimit_AndSpoilsNoLaterCall()
    {
        await using var gateway = await StartAsync(("slow.yaml", ToolCaller.Stdio("slow", "normal", ", limits: {callTimeout: 1s}")));
        await ToolCaller.WaitForAsync(gateway, "slow", state => state.State == "connected");

        Assert.Contains("did not answer within 1 seconds", await ToolCaller.CallAsync(gateway.Client, "slow__hang"), StringComparison.Ordinal);
        Assert.Contains("hello", await ToolCaller.CallAsync(gateway.Client, "slow__echo", """{"text":"hello"}"""), StringComparison.Ordinal);
    }

    private static Task<TestGateway> StartAsync(params (string Name, string Text)[] manifests) =>
        TestGateway.StartAsync(new TestGatewayOptions { Manifests = manifests.ToDictionary(manifest => manifest.Name, manifest => manifest.Text) }, TestContext.Current.CancellationToken);
}
