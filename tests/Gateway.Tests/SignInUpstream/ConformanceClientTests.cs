using System.Text;
using Gateway.Tests.Interop;

namespace Gateway.Tests.SignInUpstream;

/// <summary>
/// The protocol's conformance suite with the gateway as the client that is tested: each scenario is an authorization server and a tool server of the suite's, which record what
/// the gateway does with them. <c>tests/interop/upstream-sign-in.mjs</c> starts a gateway for each, and stands in for admin and browser.
/// </summary>
public sealed class ConformanceClientTests
{
    private const string Newest = "@modelcontextprotocol/conformance";
    private const string Old = "conformance-of-the-old-suite";

    private static readonly string[] Common =
    [
        "metadata-default", "metadata-var1", "metadata-var2", "metadata-var3", "basic-cimd",
        "scope-from-www-authenticate", "scope-from-scopes-supported", "scope-omitted-when-undefined", "scope-step-up", "scope-retry-limit",
        "token-endpoint-auth-basic", "token-endpoint-auth-post", "token-endpoint-auth-none", "pre-registration",
        "2025-03-26-oauth-metadata-backcompat", "2025-03-26-oauth-endpoint-fallback",
        "resource-mismatch", "offline-access-scope", "offline-access-not-supported", "client-credentials-jwt", "client-credentials-basic",
    ];

    // Absent: dpop and dpop-nonce, which the gateway does not speak; and the enterprise one, which gives its client a token to begin with that callers of a gateway bring.
    private static readonly string[] Later =
    [
        "authorization-server-migration", "iss-supported", "iss-not-advertised", "iss-supported-missing", "iss-wrong-issuer", "iss-unexpected", "iss-normalized",
        "metadata-issuer-mismatch", "wif-jwt-bearer",
    ];

    public static TheoryData<string, string> Scenarios => [.. Common.Select(name => (Old, name)), .. Common.Concat(Later).Select(name => (Newest, name))];

    public static TheoryData<string> ScenariosOfTheNewestRevision => [.. Common.Where(name => !name.StartsWith("2025", StringComparison.Ordinal) && !name.StartsWith("client-cred", StringComparison.Ordinal))];

    [Theory]
    [MemberData(nameof(Scenarios))]
    public Task Client_InAScenario_DoesAsTheSpecificationSays(string suite, string scenario) => RunAsync(suite, scenario);

    [Theory]
    [MemberData(nameof(ScenariosOfTheNewestRevision))]
    public Task Client_InAScenarioOfTheNewestRevision_DoesAsTheSpecificationSays(string scenario) => RunAsync(Newest, scenario, "--spec-version", "2026-07-28");

    private static async Task RunAsync(string suite, string scenario, params string[] more)
    {
        var program = Path.Combine(InteropFolder.Folder, "node_modules", suite, "dist", "index.js");
        Assert.SkipUnless(InteropFolder.IsInstalled && File.Exists(program), InteropFolder.Missing);
        var environment = new Dictionary<string, string> { ["GATEWAY_PROGRAM"] = Path.Combine(AppContext.BaseDirectory, "gateway.dll") };
        string[] command = [program, "client", "--command", "node_modules/node/bin/node upstream-sign-in.mjs", "--scenario", $"auth/{scenario}", .. more];
        var printed = new StringBuilder();
        await using var run = ChildProcess.Start(InteropFolder.Node, command, InteropFolder.Folder, environment, line =>
        {
            lock (printed)
            {
                printed.AppendLine(line);
            }
        });
        await run.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromMinutes(2), TestContext.Current.CancellationToken);
        Assert.True(run.ExitCode == 0, $"{scenario} ended with {run.ExitCode}: {printed}");
        // A scenario that does not apply, or checks nothing, ends well, too.
        Assert.Matches("Passed: ([1-9][0-9]*)/\\1, 0 failed, 0 warnings", run.Output);
    }
}
