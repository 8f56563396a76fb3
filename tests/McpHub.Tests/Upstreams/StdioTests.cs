using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Snapshots;

namespace McpHub.Tests.Upstreams;

/// <summary>Tool servers as child processes: real ones, that misbehave as they are told.</summary>
public sealed class StdioTests
{
    [Fact]
    public async Task Connect_HandshakeServer_AgreesOnItsRevisionAndListsRawTools()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        Assert.Equal("2025-06-18", server.ProtocolVersion);
        var tools = await server.ListToolsAsync(TestContext.Current.CancellationToken);
        Assert.Equal("""{"name":"echo","inputSchema":{"type":"object"}}""", Calls.Utf8(tools[0]));
    }

    [Fact]
    public async Task Call_ParamsOnSeveralLines_ArriveOnOneLineWithOnlyNameAndTraceChanged()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        var line = Calls.TextOf(await server.CallAsync("echo", "{ \"x-first\": 1.50,\n \"name\": \"fake__echo\",\r\n\t\"arguments\": {\"text\": \"two  spaces\\n\"}, \"_meta\": {\"vendor/k\": [1, 2]} }"));

        using var message = JsonDocument.Parse(line);
        Assert.Equal("""{"x-first":1.50,"name":"echo","arguments":{"text":"two  spaces\n"},"_meta":{"vendor/k":[1,2],"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}}""",
            message.RootElement.GetProperty("params").GetRawText());
    }

    [Fact]
    public async Task Start_EnvironmentOfTheGateway_IsNotInherited()
    {
        Environment.SetEnvironmentVariable("HUB_TEST_SECRET", "must-not-leak");
        await using var server = await ConnectAsync(Manifests.Stdio());

        var environment = Calls.TextOf(await server.CallAsync("env"));

        Assert.Contains("GIVEN=given-value", environment, StringComparison.Ordinal);
        Assert.Contains("PATH=", environment, StringComparison.Ordinal);
        Assert.DoesNotContain("must-not-leak", environment, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_NoSuchProgram_SaysSoWithoutNamingIt()
    {
        var exception = await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync(Manifests.Stdio() with { Command = "no-such-program-7f3a" }));

        Assert.Equal(UpstreamReasons.NotStarted, exception.Reason);
        Assert.DoesNotContain("7f3a", exception.Message, StringComparison.Ordinal);
        Assert.False(exception.WasSent);
    }

    [Fact]
    public async Task Connect_ServerExitsAtStart_FailsAtOnceAndKeepsItsLastWords()
    {
        var exception = await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync(Manifests.Stdio("exit-at-start")));

        Assert.Equal(UpstreamReasons.Exited, exception.Reason);
        Assert.Contains("licence file is missing", exception.LastWords, StringComparison.Ordinal);
        Assert.DoesNotContain("licence", exception.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Connect_ServerFloodsItsErrorStream_ConnectsAndKeepsTheEnd()
    {
        await using var server = await ConnectAsync(Manifests.Stdio("flood-errors"));

        Assert.Equal("env", JsonDocument.Parse((await server.ListToolsAsync(TestContext.Current.CancellationToken))[1]).RootElement.GetProperty("name").GetString());
        Assert.InRange(server.LastWords.Length, 1, ErrorTail.Kept);
    }

    [Fact]
    public async Task Connect_ServerNeverAnswers_TimesOut()
    {
        var exception = await Assert.ThrowsAsync<UpstreamException>(() => ConnectAsync(Manifests.Stdio("hang-at-start") with { ConnectTimeout = TimeSpan.FromMilliseconds(700) }));

        Assert.Equal(UpstreamReasons.Timeout, exception.Reason);
    }

    [Fact]
    public async Task Connect_ServerWithoutHandshake_IsSpokenToWithoutOne()
    {
        await using var server = await ConnectAsync(Manifests.Stdio("modern"));

        Assert.Equal("2026-07-28", server.ProtocolVersion);
        using var message = JsonDocument.Parse(Calls.TextOf(await server.CallAsync("echo", """{"name":"a","_meta":{"io.modelcontextprotocol/protocolVersion":"1999-01-01","k":1}}""")));
        var meta = message.RootElement.GetProperty("params").GetProperty("_meta");
        Assert.Equal("2026-07-28", meta.GetProperty("io.modelcontextprotocol/protocolVersion").GetString());
        Assert.Equal("{}", meta.GetProperty("io.modelcontextprotocol/clientCapabilities").GetRawText());
        Assert.Equal(1, meta.GetProperty("k").GetInt32());
    }

    [Fact]
    public async Task Call_AnswerOfTenMegabytes_ComesWhole()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        Assert.Equal(10_000_000, Calls.TextOf(await server.CallAsync("large", """{"name":"a","arguments":{"bytes":10000000}}""")).Length);
    }

    [Fact]
    public async Task Call_AnswerBeyondTheLimit_FailsTheCallAndTheConnection()
    {
        await using var server = await ConnectAsync(Manifests.Stdio() with { MaxMessageBytes = 100_000 });
        var bystander = server.FailAsync("hang");

        var exception = await server.FailAsync("large", """{"name":"a","arguments":{"bytes":10000000}}""");

        Assert.Equal(UpstreamReasons.TooLarge, exception.Reason);
        Assert.Contains("100000 bytes", exception.Message, StringComparison.Ordinal);
        Assert.Equal(UpstreamReasons.TooLarge, (await bystander).Reason);
        Assert.Equal(UpstreamReasons.TooLarge, (await server.Lost).Reason);
    }

    [Fact]
    public async Task Call_InvalidLinesBeforeTheAnswer_AreSkipped()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        Assert.Equal("after the garbage", Calls.TextOf(await server.CallAsync("garbage")));
        Assert.Equal(2, server.Strays);
    }

    [Fact]
    public async Task Call_AnswersWithUnknownIds_AreIgnoredAndABatchIsRead()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        Assert.Equal("in a batch", Calls.TextOf(await server.CallAsync("strangers")));
        Assert.Equal(2, server.Strays);
    }

    [Fact]
    public async Task Call_WithProgress_GetsAllOfItInOrderUnderItsOwnTokenBeforeTheResult()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());
        var reports = new List<string>();

        var outcome = await server.CallAsync("progress", """{"name":"a","arguments":{"count":50},"_meta":{"progressToken":"mine"}}""", report =>
        {
            reports.Add(Calls.Utf8(report));
            return ValueTask.CompletedTask;
        });

        Assert.Equal("done", Calls.TextOf(outcome));
        Assert.Equal(Enumerable.Range(1, 50).Select(i => $$"""{"x-first":1.50,"progressToken":"mine","progress":{{i}}}"""), reports);
    }

    [Fact]
    public async Task Call_CallerDoesNotTakeItsProgress_HoldsUpNobodyElse()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());
        var free = new TaskCompletionSource();

        var slow = server.CallAsync("progress", """{"name":"a","arguments":{"count":50},"_meta":{"progressToken":1}}""", async _ => await free.Task);

        Assert.NotEmpty(Calls.TextOf(await server.CallAsync("env")));
        Assert.False(slow.IsCompleted);
        free.SetResult();
        Assert.Equal("done", Calls.TextOf(await slow));
    }

    [Fact]
    public async Task Call_CallerFailsToTakeProgress_StillGetsTheResult()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        var outcome = await server.CallAsync("progress", """{"name":"a","arguments":{"count":3},"_meta":{"progressToken":1}}""", _ => throw new IOException("The client left."));

        Assert.Equal("done", Calls.TextOf(outcome));
        Assert.False(server.Lost.IsCompleted);
    }

    [Fact]
    public async Task Call_Cancelled_TellsTheServer()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());
        using var leaving = new CancellationTokenSource();
        var call = server.CallAsync(Calls.New("hang"), leaving.Token).AsTask();
        await server.CallAsync("echo");

        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
        // The word and the next call go down the same pipe, in this order.
        Assert.Equal("2", Calls.TextOf(await server.CallAsync("cancellations")));
    }

    [Fact]
    public async Task Call_TakesTooLong_FailsAndTellsTheServer()
    {
        await using var server = await ConnectAsync(Manifests.Stdio() with { CallTimeout = TimeSpan.FromMilliseconds(400) });

        var exception = await server.FailAsync("hang");

        Assert.Equal(RpcError.UpstreamTimeout, exception.Code);
        Assert.Equal("Tool server 'fake' did not answer within 0.4 seconds.", exception.Message);
        Assert.Equal("2", Calls.TextOf(await server.CallAsync("cancellations")));
    }

    [Fact]
    public async Task Call_NoSlotFree_WaitsForItsTurn()
    {
        await using var server = await ConnectAsync(Manifests.Stdio() with { MaxConcurrentCalls = 1 });
        using var leaving = new CancellationTokenSource();
        var first = server.CallAsync(Calls.New("hang"), leaving.Token).AsTask();

        var second = server.CallAsync("env");
        Assert.False(second.IsCompleted);
        await leaving.CancelAsync();

        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        Assert.NotEmpty(Calls.TextOf(await second));
    }

    [Theory]
    [InlineData("ping", """{"jsonrpc":"2.0","id":"ours","result":{}}""")]
    [InlineData("sampling/createMessage", """{"jsonrpc":"2.0","id":"ours","error":{"code":-32603,"message":"The gateway cannot tell which of its clients is to be asked."}}""")]
    public async Task Server_Asks_IsAnswered(string method, string answer)
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        Assert.Equal(answer, Calls.TextOf(await server.CallAsync("ask", $$$"""{"name":"a","arguments":{"method":"{{{method}}}"}}""")));
    }

    [Fact]
    public async Task Server_SaysThatItsToolsChanged_RaisesTheEvent()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());
        var changed = new TaskCompletionSource();
        server.ToolsChanged += () => changed.TrySetResult();

        await server.CallAsync("grow");

        await changed.Task.WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);
        Assert.Contains("grown", Calls.Utf8((await server.ListToolsAsync(TestContext.Current.CancellationToken))[^1]), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Server_EndsDuringACall_FailsIt()
    {
        await using var server = await ConnectAsync(Manifests.Stdio());

        var exception = await server.FailAsync("exit");

        Assert.Equal(UpstreamReasons.Exited, exception.Reason);
        Assert.True(exception.WasSent);
        Assert.False((await server.FailAsync("echo")).WasSent);
    }

    [Fact]
    public async Task Server_ReadsNothingAnyMore_CallsStillEndInTime()
    {
        await using var server = await ConnectAsync(Manifests.Stdio() with { CallTimeout = TimeSpan.FromMilliseconds(700) });
        var large = $$$"""{"name":"a","arguments":{"text":"{{{new string('a', 500_000)}}}"}}""";

        var failed = await Task.WhenAll([server.FailAsync("deaf"), .. Enumerable.Range(0, 5).Select(_ => server.FailAsync("echo", large))]);

        Assert.All(failed, exception => Assert.Equal(UpstreamReasons.Timeout, exception.Reason));
    }

    [Fact]
    public async Task Dispose_ServerWithAChild_EndsBoth()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "Uses a Linux program.");
        var server = await ConnectAsync(Manifests.Stdio());
        var child = int.Parse(Calls.TextOf(await server.CallAsync("child")), CultureInfo.InvariantCulture);
        Assert.True(IsRunning(child));

        await server.DisposeAsync();

        // The signal is on its way; nobody tells when it has arrived.
        Assert.True(SpinWait.SpinUntil(() => !IsRunning(child), TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task Dispose_ServerThatDoesNotEndByItself_IsKilled()
    {
        var server = await ConnectAsync(Manifests.Stdio("stubborn"));
        var waiting = server.FailAsync("hang");

        await server.DisposeAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30), TestContext.Current.CancellationToken);

        Assert.Equal(UpstreamReasons.Closed, (await waiting).Reason);
    }

    private static bool IsRunning(int id)
    {
        try
        {
            using var process = Process.GetProcessById(id);
            return !process.HasExited && !File.ReadAllText($"/proc/{id}/stat").Contains(") Z ", StringComparison.Ordinal);
        }
        catch (Exception exception) when (exception is ArgumentException or IOException)
        {
            return false;
        }
    }

    private static Task<RpcConnection> ConnectAsync(ToolManifest manifest) => RpcConnection.ConnectAsync(
        manifest, new StdioTransport(manifest, TimeProvider.System, NullLogger.Instance), ClientOffer.Shared, TimeProvider.System, NullLogger.Instance, TestContext.Current.CancellationToken);
}
