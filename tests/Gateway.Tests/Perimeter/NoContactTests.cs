using System.Net;
using System.Net.Http.Json;
using System.Text.Json;
using System.Text.RegularExpressions;
using Gateway.Tests.Tools;
using TestSupport;

namespace Gateway.Tests.Perimeter;

/// <summary>The real process, watched by the kernel: it calls nobody that nobody configured, and its children do not see its secrets.</summary>
public sealed partial class NoContactTests
{
    private const string Strace = "/usr/bin/strace";

    [Fact]
    public async Task PlainStartChatToolCallAndAdminCall_ContactNothingBeyondLoopback()
    {
        Assert.SkipUnless(File.Exists(Strace), "not run: needs strace (apt-get install strace)");
        using var folder = new TemporaryFolder();
        var log = Path.Combine(folder.Path, "calls");
        string[] watched = [Strace, "--follow-forks", "--quiet=all", "--trace=connect,sendto,sendmsg,sendmmsg", "--string-limit=0", "--output=" + log];
        await using (var gateway = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken, under: watched))
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };
            client.DefaultRequestHeaders.Add("x-api-key", gateway.VirtualKey);
            using var chat = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model = "simulator/echo", messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, chat.StatusCode);
            Assert.Contains("\"structuredContent\"", await ToolCaller.CallAsync(client, "gateway__whoami"), StringComparison.Ordinal);
            using var admin = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };
            admin.DefaultRequestHeaders.Add("x-api-key", gateway.AdminKey);
            using var keys = await admin.GetAsync(new Uri("admin/v1/keys", UriKind.Relative), TestContext.Current.CancellationToken);
            Assert.Equal(HttpStatusCode.OK, keys.StatusCode);
            foreach (var path in new[] { "health/ready", "metrics" })
            {
                using var answer = await client.GetAsync(new Uri(path, UriKind.Relative), TestContext.Current.CancellationToken);
                Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            }
            await gateway.StopTreeAsync(TestContext.Current.CancellationToken);
        }

        var calls = await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken);
        Assert.Contains(calls, line => line.Contains("+++ exited with 0 +++", StringComparison.Ordinal) || Call().IsMatch(line)); // it was watched
        Assert.Empty(Outside(calls));
    }

    [Fact]
    public async Task NoNetworkButLoopback_EverythingAnswers()
    {
        Assert.SkipUnless(File.Exists("/usr/bin/unshare") && await TryInNamespaceAsync("ip link set lo up") is { Code: 0 }, "not run: needs a network namespace (apt-get install util-linux iproute2, and the right to make one)");
        using var folder = new TemporaryFolder();
        var (code, output) = await TryInNamespaceAsync("""
            ip link set lo up && cd FOLDER && { dotnet PROGRAM --urls http://127.0.0.1:8080 > out 2> err & }
            for _ in $(seq 300); do grep -q 'Read on' out && break; sleep 0.1; done
            eval "$(grep -o 'export GATEWAY.*' out)"
            call() { curl --silent --show-error --fail --max-time 20 "http://127.0.0.1:8080$1" -H "x-api-key: $2" -H 'Content-Type: application/json' "${@:3}" > answer || { cat err; exit 1; }; }
            call /v1/chat/completions "$GATEWAY_KEY" -d '{"model":"simulator/echo","messages":[{"role":"user","content":"Hi"}]}'
            call /v1/embeddings "$GATEWAY_KEY" -d '{"model":"simulator/embed","input":"Hi"}'
            call /mcp "$GATEWAY_KEY" -H 'Accept: application/json, text/event-stream' -H 'MCP-Protocol-Version: 2026-07-28' -H 'Mcp-Method: tools/list' -d '{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}'
            call /admin/v1/usage "$GATEWAY_ADMIN_KEY"
            call /health/ready none
            ! curl --silent --max-time 5 http://198.18.0.1:9/ && kill %1 && wait %1
            """.Replace("FOLDER", folder.Path, StringComparison.Ordinal).Replace("PROGRAM", Path.Combine(AppContext.BaseDirectory, "gateway.dll"), StringComparison.Ordinal));
        Assert.True(code == 0, output);
    }

    /// <summary>Runs a script that sees no network; what it starts ends with it.</summary>
    private static async Task<(int Code, string Output)> TryInNamespaceAsync(string script)
    {
        using var process = System.Diagnostics.Process.Start(new System.Diagnostics.ProcessStartInfo("/usr/bin/unshare", ["--map-root-user", "--net", "--pid", "--fork", "--kill-child", "bash", "-c", script]) { RedirectStandardOutput = true, RedirectStandardError = true })!;
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromMinutes(2));
        var output = process.StandardOutput.ReadToEndAsync(patience.Token);
        var error = process.StandardError.ReadToEndAsync(patience.Token);
        await process.WaitForExitAsync(patience.Token);
        return (process.ExitCode, await output + await error);
    }

    [Fact]
    public async Task Watch_SeesAContactThatIsConfigured()
    {
        Assert.SkipUnless(File.Exists(Strace), "not run: needs strace (apt-get install strace)");
        using var folder = new TemporaryFolder();
        var log = Path.Combine(folder.Path, "calls");
        // Nothing is there to answer: a network for tests of networks, and it need not be reached to be tried.
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "gateway.yaml"),
            "providers: {p: {baseUrl: 'http://198.18.0.1:9/v1', models: [m], maxRetries: 0, headerTimeout: 1s}}\nprices: [{provider: p, model: m, input: 0, output: 0, source: test}]\n", TestContext.Current.CancellationToken);
        string[] watched = [Strace, "--follow-forks", "--quiet=all", "--trace=connect,sendto,sendmsg,sendmmsg", "--string-limit=0", "--output=" + log];
        await using (var gateway = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken, under: watched))
        {
            using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };
            client.DefaultRequestHeaders.Add("x-api-key", gateway.VirtualKey);
            using var chat = await client.PostAsJsonAsync(new Uri("v1/chat/completions", UriKind.Relative), new { model = "p/m", max_tokens = 5, messages = new[] { new { role = "user", content = "Hi" } } }, TestContext.Current.CancellationToken);
            Assert.False(chat.IsSuccessStatusCode);
            await gateway.StopTreeAsync(TestContext.Current.CancellationToken);
        }
        Assert.Contains(Outside(await File.ReadAllLinesAsync(log, TestContext.Current.CancellationToken)), line => line.Contains("198.18.0.1", StringComparison.Ordinal));
    }

    [Fact]
    public async Task ChildProcess_SeesNoneOfTheGatewaysSecrets()
    {
        using var folder = new TemporaryFolder();
        Directory.CreateDirectory(Path.Combine(folder.Path, "tool-manifests"));
        await File.WriteAllTextAsync(Path.Combine(folder.Path, "tool-manifests", "env.yaml"), ToolCaller.Stdio("env", "normal", ", env: {GIVEN: by-manifest}"), TestContext.Current.CancellationToken);
        string[] secrets = ["OPENAI_API_KEY", "GATEWAY_KEY", "GATEWAY_ADMIN_KEY", "AWS_SECRET_ACCESS_KEY", "OTEL_EXPORTER_OTLP_HEADERS", "HTTPS_PROXY", "DOTNET_STARTUP_HOOKS_CANARY", "LD_LIBRARY_PATH"];
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, secrets.ToDictionary(name => name, _ => (string?)"canary-value"), TestContext.Current.CancellationToken);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = gateway.BaseAddress };
        client.DefaultRequestHeaders.Add("x-api-key", gateway.VirtualKey);
        using var patience = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        patience.CancelAfter(TimeSpan.FromSeconds(30));
        while (!(await ToolCaller.ListAsync(client)).Contains("env__env"))
        {
            patience.Token.ThrowIfCancellationRequested();
        }

        Assert.Contains("by-manifest", await ToolCaller.CallAsync(client, "env__env", """{"name":"GIVEN"}"""), StringComparison.Ordinal);
        foreach (var name in secrets)
        {
            var answer = await ToolCaller.CallAsync(client, "env__env", JsonSerializer.Serialize(new { name }));
            Assert.Contains("(unset)", answer, StringComparison.Ordinal);
            Assert.DoesNotContain("canary-value", answer, StringComparison.Ordinal);
        }
    }

    /// <summary>Calls that lead to an address that is not loopback. Unix and netlink sockets lead nowhere else.</summary>
    private static IEnumerable<string> Outside(IEnumerable<string> calls)
    {
        foreach (var line in calls)
        {
            if (Address().Match(line) is { Success: true } match && !IPAddress.IsLoopback(IPAddress.Parse(match.Groups["address"].Value)))
            {
                yield return line;
            }
        }
    }

    [GeneratedRegex("""(inet_addr\(|inet_pton\(AF_INET6, )"(?<address>[^"]+)"\)?""")]
    private static partial Regex Address();

    [GeneratedRegex(@"\b(connect|sendto|sendmsg|sendmmsg)\(")]
    private static partial Regex Call();
}
