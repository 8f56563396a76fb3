using System.Globalization;

namespace Gateway.Load;

/// <summary>What is asked for, how often, and what is watched meanwhile.</summary>
internal sealed record LoadOptions
{
    public const string Usage = """
        load --kind chat|stream|messages|tools|list|sessions|connects --key sk-gw-... [options]

          --url URL            the gateway [http://127.0.0.1:8080]
          --requests N         how many in all, 1 to 10,000,000 [20000]
          --connections N      callers at once, each waiting for its answer, 1 to 1000 [16]
          --seconds N          ends after so long in any case, 1 to 7200 [600]
          --blocks N           reports so many times on the way, 1 to 100 [1]
          --rest N             waits so many seconds after each block before it counts, 0 to 600 [0]
          --model NAME         [simulator/echo]
          --tool NAME          [gateway__current_time]
          --arguments JSON     of the tool [{}]
          --pid N              a process of this machine whose CPU time and memory are reported
          --max-growth-mib N   fails if its memory grows by more from the first third of the blocks to the last
          --max-handles N      fails if its handles grow by more, counted likewise
          --max-threads N      fails if its threads grow by more, counted likewise
          --max-errors N       fails if more requests fail [0]
        """;

    private static readonly string[] Kinds = ["chat", "stream", "messages", "tools", "list", "sessions", "connects"];

    public required string Kind { get; init; }

    public required string Key { get; init; }

    public Uri Url { get; init; } = new("http://127.0.0.1:8080");

    public int Requests { get; init; }

    public int Connections { get; init; }

    public TimeSpan Limit { get; init; }

    public int Blocks { get; init; }

    public TimeSpan Rest { get; init; }

    public string Model { get; init; } = "simulator/echo";

    public string Tool { get; init; } = "gateway__current_time";

    public string Arguments { get; init; } = "{}";

    public int? ProcessId { get; init; }

    public double? MaxGrowthMib { get; init; }

    public int? MaxHandles { get; init; }

    public int? MaxThreads { get; init; }

    public int MaxErrors { get; init; }

    /// <summary>Reads the command line.</summary>
    /// <exception cref="ArgumentException">It is wrong; the message says what.</exception>
    public static LoadOptions Parse(string[] args)
    {
        var given = new Dictionary<string, string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i += 2)
        {
            if (!args[i].StartsWith("--", StringComparison.Ordinal) || i + 1 == args.Length)
            {
                throw new ArgumentException($"'{args[i]}' is not an option with a value.");
            }
            given[args[i][2..]] = args[i + 1];
        }
        string Take(string name, string fallback) => given.Remove(name, out var value) ? value : fallback;
        int Number(string name, string fallback, int least, int most) =>
            int.TryParse(Take(name, fallback), NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number >= least && number <= most
                ? number : throw new ArgumentException($"--{name} must be {least} to {most}.");

        var options = new LoadOptions
        {
            Kind = Take("kind", ""),
            Key = Take("key", Environment.GetEnvironmentVariable("GATEWAY_KEY") ?? ""),
            Url = new Uri(Take("url", "http://127.0.0.1:8080")),
            Requests = Number("requests", "20000", 1, 10_000_000),
            Connections = Number("connections", "16", 1, 1000),
            Limit = TimeSpan.FromSeconds(Number("seconds", "600", 1, 7200)),
            Blocks = Number("blocks", "1", 1, 100),
            Rest = TimeSpan.FromSeconds(Number("rest", "0", 0, 600)),
            Model = Take("model", "simulator/echo"),
            Tool = Take("tool", "gateway__current_time"),
            Arguments = Take("arguments", "{}"),
            ProcessId = Number("pid", "0", 0, int.MaxValue) is > 0 and var id ? id : null,
            MaxGrowthMib = Number("max-growth-mib", "0", 0, 100_000) is > 0 and var mib ? mib : null,
            MaxHandles = Number("max-handles", "0", 0, 1_000_000) is > 0 and var handles ? handles : null,
            MaxThreads = Number("max-threads", "0", 0, 100_000) is > 0 and var threads ? threads : null,
            MaxErrors = Number("max-errors", "0", 0, int.MaxValue),
        };
        return given.Count > 0 ? throw new ArgumentException($"There is no option --{given.Keys.First()}.")
            : !Kinds.Contains(options.Kind) ? throw new ArgumentException($"--kind must be one of {string.Join(", ", Kinds)}.")
            : options.Key.Length == 0 ? throw new ArgumentException("--key is missing (or GATEWAY_KEY).")
            : options;
    }
}
