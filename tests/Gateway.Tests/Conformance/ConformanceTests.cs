using System.Text.Json;
using System.Text.RegularExpressions;
using Gateway.Tests.Interop;

namespace Gateway.Tests.Conformance;

/// <summary>The official conformance suite, its old line and its new one, put to the gateway, with a server of the suite's own names behind it.</summary>
[Collection(InteropCollection.Name)]
public sealed partial class ConformanceTests(ConformanceSetup setup) : IClassFixture<ConformanceSetup>
{
    private static readonly TimeSpan Guard = TimeSpan.FromMinutes(4);

    /// <summary>The suite's package, what is asked of it, the endpoint, and how many checks passed when this was written, at least: a suite that runs nothing would pass as well.</summary>
    public static TheoryData<string, string, string, int> Runs => new()
    {
        { "conformance-of-the-old-suite", "", "mcp/handshake", 40 },
        { "conformance-of-the-old-suite", "", "mcp/stateless", 40 },
        { "conformance-of-the-old-suite", "", "mcp/session", 40 },
        { "conformance-of-the-old-suite", "", "mcp", 40 },
        { "@modelcontextprotocol/conformance", "2025-11-25", "mcp/handshake", 80 },
        { "@modelcontextprotocol/conformance", "2025-11-25", "mcp/stateless", 80 },
        { "@modelcontextprotocol/conformance", "2025-11-25", "mcp/session", 80 },
        { "@modelcontextprotocol/conformance", "2025-11-25", "mcp", 80 },
        { "@modelcontextprotocol/conformance", "2026-07-28", "mcp/stateless", 120 },
        { "@modelcontextprotocol/conformance", "2026-07-28", "mcp/handshake", 120 },
        { "@modelcontextprotocol/conformance", "2026-07-28", "mcp", 120 },
    };

    /// <summary>
    /// What fails and why. A server that asks by itself in the middle of a call gives its question no name, so that the suite cannot find it under the name that the fixture gives it
    /// where it speaks the stateless revision; the question itself arrives, and the call goes on with its answer.
    /// </summary>
    private static readonly Dictionary<string, string[]> Expected = new()
    {
        ["2026-07-28 mcp/handshake"] = ["sep-2322-elicitation-incomplete"],
        ["2026-07-28 mcp"] = ["sep-2322-elicitation-incomplete"],
    };

    [Theory]
    [MemberData(nameof(Runs))]
    public async Task Suite_OfServers_Passes(string package, string requirements, string endpoint, int atLeast)
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        var cancellationToken = TestContext.Current.CancellationToken;
        var results = Directory.CreateTempSubdirectory("gateway-conformance-").FullName;
        try
        {
            string[] asked = requirements.Length == 0 ? [] : ["--requirements", requirements];
            await using var suite = ChildProcess.Start(
                InteropFolder.Node,
                [Path.Combine(InteropFolder.Folder, "node_modules", package, "dist", "index.js"), "server", "--url", new Uri(setup.BaseAddress, endpoint).ToString(), "-o", results, .. asked],
                InteropFolder.Folder,
                new Dictionary<string, string> { ["NO_COLOR"] = "1" });
            await suite.WaitForExitAsync(cancellationToken).WaitAsync(Guard, cancellationToken);
            var unscored = Unscored().Matches(suite.Output).Select(match => match.Groups[1].Value).ToHashSet(StringComparer.Ordinal);

            var (passed, failed) = Read(results, unscored);
            var expected = Expected.GetValueOrDefault($"{requirements} {endpoint}", []);

            Assert.True(failed.Keys.Order().SequenceEqual(expected.Order()), $"Failed: {string.Join(Environment.NewLine, failed.Values)}{Environment.NewLine}{suite.Output}");
            Assert.True(passed >= atLeast, $"Only {passed} checks passed.{Environment.NewLine}{suite.Output}");
        }
        finally
        {
            Directory.Delete(results, recursive: true);
        }
    }

    /// <summary>A scenario that the suite calls pending, at the endpoints whose server speaks the newest revision and at those whose server does not.</summary>
    [Theory]
    [InlineData("mcp/stateless")]
    [InlineData("mcp/handshake")]
    public async Task Suite_OfServers_ArgumentsInHeaders_AreComparedWithTheBody(string endpoint)
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        await using var suite = ChildProcess.Start(
            InteropFolder.Node,
            [Path.Combine(InteropFolder.Folder, "node_modules", "@modelcontextprotocol/conformance", "dist", "index.js"), "server", "--url", new Uri(setup.BaseAddress, endpoint).ToString(),
                "--scenario", "http-custom-header-server-validation", "--spec-version", "2026-07-28"],
            InteropFolder.Folder,
            new Dictionary<string, string> { ["NO_COLOR"] = "1" });
        await suite.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Guard, TestContext.Current.CancellationToken);

        Assert.Matches("Passed: ([1-9][0-9]*)/\\1, 0 failed", suite.Output);
        Assert.Equal(0, suite.ExitCode);
    }

    /// <summary>The scenarios for clients that need no sign-in; <c>tests/interop/upstream-client.mjs</c> starts a gateway for each, with the suite's server behind it. The last ones are pinned to the newest revision.</summary>
    public static TheoryData<string, string, string> ClientScenarios => new()
    {
        { "initialize", "", "" },
        { "tools_call", "", "" },
        { "elicitation-sep1034-client-defaults", "", "" },
        { "sse-retry", "", "" },
        { "tools_call", "2026-07-28", "" },
        { "json-schema-2020-12-preservation", "2026-07-28", "" },
        { "sep-2322-client-request-state", "2026-07-28", "" },
        { "tools_call", "2026-07-28", "2026-07-28" },
        { "request-metadata", "2026-07-28", "2026-07-28" },
        { "sep-2322-client-request-state", "2026-07-28", "2026-07-28" },
        { "http-standard-headers", "2026-07-28", "2026-07-28" },
        { "http-custom-headers", "2026-07-28", "2026-07-28" },
        { "http-invalid-tool-headers", "2026-07-28", "2026-07-28" },
        { "json-schema-ref-no-deref", "2026-07-28", "2026-07-28" },
    };

    [Theory]
    [MemberData(nameof(ClientScenarios))]
    public async Task Suite_OfClients_Passes(string scenario, string revision, string pinned)
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        var environment = new Dictionary<string, string> { ["NO_COLOR"] = "1", ["GATEWAY_PROGRAM"] = Path.Combine(AppContext.BaseDirectory, "gateway.dll") };
        if (pinned.Length > 0)
        {
            environment["UPSTREAM_PROTOCOL"] = pinned;
        }
        string[] asked = revision.Length == 0 ? [] : ["--spec-version", revision];
        await using var suite = ChildProcess.Start(
            InteropFolder.Node,
            [Path.Combine(InteropFolder.Folder, "node_modules", "@modelcontextprotocol/conformance", "dist", "index.js"), "client", "--command", "node_modules/node/bin/node upstream-client.mjs", "--scenario", scenario, .. asked],
            InteropFolder.Folder,
            environment);
        await suite.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(Guard, TestContext.Current.CancellationToken);

        Assert.Matches("Passed: ([1-9][0-9]*)/\\1, 0 failed, 0 warnings", suite.Output);
        Assert.Equal(0, suite.ExitCode);
    }

    /// <summary>The outcomes of all scenarios that count.</summary>
    private static (int Passed, Dictionary<string, string> Failed) Read(string results, HashSet<string> unscored)
    {
        var passed = 0;
        var failed = new Dictionary<string, string>();
        foreach (var file in Directory.EnumerateFiles(results, "checks.json", SearchOption.AllDirectories))
        {
            var scenario = Path.GetFileName(Path.GetDirectoryName(file)!);
            if (unscored.Any(name => scenario.Contains(name, StringComparison.Ordinal)))
            {
                continue;
            }
            using var checks = JsonDocument.Parse(File.ReadAllText(file));
            foreach (var check in checks.RootElement.EnumerateArray())
            {
                var id = check.GetProperty("id").GetString()!;
                switch (check.GetProperty("status").GetString())
                {
                    case "SUCCESS":
                        passed++;
                        break;
                    case "FAILURE":
                        failed[id] = $"{scenario} {id}: {(check.TryGetProperty("errorMessage", out var message) ? message.ToString() : "")}";
                        break;
                    default:
                        break;
                }
            }
        }
        return (passed, failed);
    }

    // Extensions that no revision requires, and scenarios that the suite itself calls pending.
    [GeneratedRegex(@"^\s+✗ (\S+) \((?:extension|pending)\)", RegexOptions.Multiline)]
    private static partial Regex Unscored();
}
