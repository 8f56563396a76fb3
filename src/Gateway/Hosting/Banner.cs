using Gateway.Connecting;
using Shared.Snapshots;
using Shared.Tools;

namespace Gateway.Hosting;

/// <summary>What a line of the start's message is for.</summary>
internal enum BannerTone
{
    Plain,
    Heading,
    Secret,
    Warning,
}

/// <summary>A line of the start's message.</summary>
internal readonly record struct BannerLine(BannerTone Tone, string Text);

/// <summary>
/// The message at start: where to connect, with what, and what was found. Tool servers are not waited for; a line follows as each one connects.
/// </summary>
internal static class Banner
{
    /// <summary>Prints the message.</summary>
    /// <param name="app">The started gateway.</param>
    /// <param name="keys">The keys to show, on a first start.</param>
    /// <param name="output">Where to.</param>
    /// <returns>Stops the lines about tool servers when disposed of.</returns>
    public static IDisposable Print(WebApplication app, FirstStartKeys? keys, TextWriter output)
    {
        var writer = BannerWriter.For(output);
        var states = app.Services.GetRequiredService<IToolServerStates>();
        var announcer = new ToolServerAnnouncer(states, writer);
        writer.Write([.. Lines(BaseAddress(app), app.Services.GetRequiredService<SnapshotStore>().Current, states.ReadAll(), keys)]);
        announcer.Start();
        return announcer;
    }

    /// <summary>The address to show and to call: the first one that is listened on.</summary>
    public static string BaseAddress(WebApplication app) =>
        (app.Urls.FirstOrDefault() ?? ListenAddresses.Default).Replace("://0.0.0.0", "://127.0.0.1", StringComparison.Ordinal).Replace("://[::]", "://127.0.0.1", StringComparison.Ordinal).TrimEnd('/');

    /// <summary>The message's lines.</summary>
    internal static IEnumerable<BannerLine> Lines(string address, Snapshot snapshot, IReadOnlyList<ToolServerState> servers, FirstStartKeys? keys)
    {
        yield return Heading($"Agent Gateway {GatewayVersion.Text} listens on {address}");
        yield return Plain("");
        yield return Row("models", $"{address}/v1", "OpenAI-compatible base URL");
        yield return Row("tools", $"{address}/mcp", "MCP, Streamable HTTP");
        yield return Row("admin", $"{address}/admin/v1", "browse it: /admin/docs");
        yield return Row("health", $"{address}/health/ready", $"metrics: {address}/metrics");
        yield return Plain("");
        if (keys is not null)
        {
            yield return Heading("Keys, shown this once: keep them");
            yield return new BannerLine(BannerTone.Secret, $"  export GATEWAY_KEY={keys.VirtualKey}");
            yield return Plain($"    all models and tools, at most {FirstStartKeys.DollarsPerDay} dollars a day");
            yield return new BannerLine(BannerTone.Secret, $"  export GATEWAY_ADMIN_KEY={keys.AdminKey}");
            yield return Plain("    for the admin API and 'gateway keys'");
            yield return Plain("");
        }
        yield return Heading("Providers");
        foreach (var provider in snapshot.Providers.Values.OrderBy(provider => provider.Dialect == "simulator").ThenBy(provider => provider.Id, StringComparer.Ordinal))
        {
            yield return provider.Dialect == "simulator"
                ? new BannerLine(BannerTone.Warning, $"  {provider.Id,-16} SIMULATED: answers offline with made-up text, charged to budgets as if it were real")
                : Plain($"  {provider.Id,-16} from {provider.Origin}");
        }
        yield return Plain("");
        yield return Heading("Tool servers");
        if (servers.Count == 0)
        {
            yield return Plain("  none");
        }
        foreach (var server in servers)
        {
            yield return ToolServerAnnouncer.Line(server);
        }
        yield return Plain("");
        yield return Heading("Try");
        yield return Plain($"  curl {address}/v1/chat/completions -H \"Authorization: Bearer $GATEWAY_KEY\" -H 'Content-Type: application/json' \\");
        yield return Plain("""    -d '{"model":"simulator/echo","messages":[{"role":"user","content":"Hello"}]}'""");
        yield return Plain("  " + ClaudeCodeCommand.Write("hub", $"{address}/mcp", key: null));
        yield return Plain($"  gateway connect cursor{(address == ListenAddresses.Default ? "" : $" --url {address}")}   also: claude-desktop, vscode, windsurf, codex");
        yield return Plain("  Read on in README.md and docs/; stop with Ctrl+C.");
    }

    private static BannerLine Heading(string text) => new(BannerTone.Heading, text);

    private static BannerLine Plain(string text) => new(BannerTone.Plain, text);

    private static BannerLine Row(string name, string value, string note) => Plain($"  {name,-8} {value,-38} {note}");
}
