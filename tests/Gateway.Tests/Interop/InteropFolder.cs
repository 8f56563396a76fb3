using System.Text.RegularExpressions;
using TestSupport;

namespace Gateway.Tests.Interop;

/// <summary>The folder <c>tests/interop</c>: the suites in JavaScript, and the packages that they need.</summary>
internal static partial class InteropFolder
{
    /// <summary>Why tests that need the packages do not run where they are absent.</summary>
    public const string Missing = "not run: needs Node packages (npm ci in tests/interop)";

    /// <summary>Why tests that need the agents do not run where they are absent.</summary>
    public const string AgentsMissing = "not run: needs the agents' Node packages (npm ci in tests/interop/clients)";

    /// <summary>Why tests that need a browser do not run where there is none.</summary>
    public const string ChromiumMissing = "not run: needs Chromium (Debian's package chromium)";

    /// <summary>The browser; null: there is none.</summary>
    public static string? Chromium { get; } = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
        .Select(folder => Path.Combine(folder, "chromium")).FirstOrDefault(File.Exists);

    /// <summary>The repository's root.</summary>
    public static string Root { get; } = FindRoot();

    /// <summary>The folder.</summary>
    public static string Folder { get; } = Path.Combine(Root, "tests", "interop");

    /// <summary>The Node that the packages bring along; the machine's own may be too old for them.</summary>
    public static string Node { get; } = Path.Combine(Folder, "node_modules", "node", "bin", OperatingSystem.IsWindows() ? "node.exe" : "node");

    /// <summary>Whether the packages are installed.</summary>
    public static bool IsInstalled => File.Exists(Node);

    /// <summary>Whether the agents, which are large, are installed.</summary>
    public static bool AgentsAreInstalled => IsInstalled && File.Exists(Path.Combine(Folder, "clients", "node_modules", ".bin", "claude")) && File.Exists(Path.Combine(Folder, "clients", "node_modules", ".bin", "codex"));

    /// <summary>The file that starts a tool server of the reference collection.</summary>
    public static string ToolServer(string name) =>
        Path.Combine(Folder, "node_modules", "@modelcontextprotocol", $"server-{name}", "dist", "index.js");

    /// <summary>The names of a suite's tests, read from its source: listing them needs neither Node nor a gateway.</summary>
    public static TheoryData<string> TestsOf(string suite) =>
        [.. Declarations().Matches(File.ReadAllText(Path.Combine(Folder, suite))).Select(match => match.Groups[1].Value)];

    /// <summary>Starts the gateway as a process with a folder of its own, and with nothing of this machine's environment that could decide a test.</summary>
    public static Task<GatewayProcess> StartGatewayAsync(string folder, CancellationToken cancellationToken) =>
        // The canary stands for the secrets of a real environment: no tool server may see it.
        GatewayProcess.ServeAsync(folder, ChildProcess.Isolated(new Dictionary<string, string> { ["GATEWAY_CANARY"] = "must not be inherited" }), cancellationToken);

    [GeneratedRegex(@"^test\('([^']+)'", RegexOptions.Multiline)]
    private static partial Regex Declarations();

    private static string FindRoot()
    {
        for (var folder = AppContext.BaseDirectory; folder is not null; folder = Path.GetDirectoryName(folder))
        {
            if (File.Exists(Path.Combine(folder, "Gateway.sln")))
            {
                return folder;
            }
        }
        throw new DirectoryNotFoundException($"No folder above {AppContext.BaseDirectory} holds Gateway.sln.");
    }
}
