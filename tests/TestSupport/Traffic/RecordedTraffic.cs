using System.Globalization;
using System.Text;
using System.Text.Json;

namespace TestSupport;

/// <summary>What a piece of traffic is.</summary>
public enum TrafficKind
{
    /// <summary>The body of a request.</summary>
    Request,

    /// <summary>A complete answer.</summary>
    Complete,

    /// <summary>A streamed answer.</summary>
    Stream,

    /// <summary>The body of an answer with an error's status.</summary>
    Error,
}

/// <summary>
/// One request, answer, stream or error in a vendor's own format, from a file below <c>tests/fixtures/written</c>, or below the folder that the variable
/// <see cref="FolderVariable"/> names. Both are laid out alike: <c>DIALECT/…/NAME.KIND</c>, see <c>tests/fixtures/README.md</c>.
/// </summary>
public sealed class RecordedTraffic
{
    /// <summary>The variable that names a folder with more traffic, such as what was recorded from real providers.</summary>
    public const string FolderVariable = "GATEWAY_RECORDED";

    public const string OpenAiChat = "openai-chat";
    public const string OpenAiResponses = "openai-responses";
    public const string Anthropic = "anthropic";
    public const string Gemini = "gemini";
    public const string Bedrock = "bedrock";

    private const string ErrorMark = ".error-";

    private static readonly Lazy<IReadOnlyList<RecordedTraffic>> Loaded = new(Load);

    private readonly string path;

    private RecordedTraffic(string path, string dialect, string name, TrafficKind kind)
    {
        this.path = path;
        (Dialect, Name, Kind) = (dialect, name, kind);
    }

    /// <summary>The dialects' ids.</summary>
    public static IReadOnlyList<string> Dialects { get; } = [OpenAiChat, OpenAiResponses, Anthropic, Gemini, Bedrock];

    /// <summary>Everything that there is, by dialect and name.</summary>
    public static IReadOnlyList<RecordedTraffic> All => Loaded.Value;

    /// <summary>The dialect's id, as the configuration names it.</summary>
    public string Dialect { get; }

    /// <summary>The path below the dialect's folder; those of the repository itself have no folder in it.</summary>
    public string Name { get; }

    public TrafficKind Kind { get; }

    /// <summary>Whether it was recorded elsewhere rather than written for this repository.</summary>
    public bool IsRecorded => Name.Contains('/', StringComparison.Ordinal);

    /// <summary>Whether a stream breaks off.</summary>
    public bool IsCut => Kind == TrafficKind.Stream && Path.GetFileName(Name).Split('-', '.').Contains("cut");

    /// <summary>Whether a stream ends in an error of the vendor's.</summary>
    public bool Fails => Kind == TrafficKind.Stream && Name.Contains(".error.", StringComparison.Ordinal);

    /// <summary>The HTTP status that it came with.</summary>
    public int Status
    {
        get
        {
            var mark = Name.LastIndexOf(ErrorMark, StringComparison.Ordinal);
            return mark < 0 ? 200 : int.Parse(Name.AsSpan(mark + ErrorMark.Length, 3), NumberStyles.None, CultureInfo.InvariantCulture);
        }
    }

    /// <summary>The media type that it comes with.</summary>
    public string ContentType => Kind != TrafficKind.Stream || IsJsonArray ? "application/json"
        : Dialect == Bedrock ? "application/vnd.amazon.eventstream"
        : "text/event-stream";

    /// <summary>Whether a stream is one JSON array.</summary>
    public bool IsJsonArray => Name.EndsWith(".stream.json", StringComparison.Ordinal);

    /// <summary>The bytes as the vendor sends them, framing included.</summary>
    public byte[] Read()
    {
        var bytes = File.ReadAllBytes(path);
        return Name.EndsWith(".chunks.txt", StringComparison.Ordinal) ? WireFormat.Frame(Dialect, Lines(bytes), ends: !IsCut && !Fails) : bytes;
    }

    /// <summary>The payloads of a stream's events, one JSON text each, where the file holds them in this form; otherwise null.</summary>
    public IReadOnlyList<string>? Events() => Name.EndsWith(".chunks.txt", StringComparison.Ordinal) ? Lines(File.ReadAllBytes(path)) : null;

    /// <summary>All of a kind.</summary>
    public static IEnumerable<RecordedTraffic> Of(TrafficKind kind) => All.Where(traffic => traffic.Kind == kind);

    /// <summary>The one of this dialect and name, e.g. <c>text.json</c>.</summary>
    public static RecordedTraffic Find(string dialect, string name) =>
        All.FirstOrDefault(traffic => traffic.Dialect == dialect && traffic.Name == name) ?? throw new ArgumentException($"There is no '{name}' of {dialect}.", nameof(name));

    /// <summary>One of this dialect and file name, or null.</summary>
    public static RecordedTraffic? TryFind(string dialect, string name) => All.FirstOrDefault(traffic => traffic.Dialect == dialect && traffic.Name == name);

    public override string ToString() => Dialect + "/" + Name;

    private static List<string> Lines(byte[] bytes) => [.. Encoding.UTF8.GetString(bytes).Split('\n').Select(line => line.TrimEnd('\r')).Where(line => line.Length > 0)];

    private static IReadOnlyList<RecordedTraffic> Load()
    {
        var folders = new List<string> { Path.Combine(RepositoryFolder.Root, "tests", "fixtures", "written") };
        if (Environment.GetEnvironmentVariable(FolderVariable) is { Length: > 0 } more)
        {
            folders.Add(Path.GetFullPath(more));
        }
        var all = new List<RecordedTraffic>();
        foreach (var dialect in Dialects)
        {
            foreach (var folder in folders.Select(folder => Path.Combine(folder, dialect)).Where(Directory.Exists))
            {
                foreach (var file in Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal))
                {
                    var name = Path.GetRelativePath(folder, file).Replace('\\', '/');
                    if (KindOf(name, file) is { } kind)
                    {
                        all.Add(new RecordedTraffic(file, dialect, name, kind));
                    }
                }
            }
        }
        return all;
    }

    private static TrafficKind? KindOf(string name, string file) =>
        name.EndsWith(".request.json", StringComparison.Ordinal) ? TrafficKind.Request
        : name.Contains(ErrorMark, StringComparison.Ordinal) ? TrafficKind.Error
        : name.EndsWith(".chunks.txt", StringComparison.Ordinal) || name.EndsWith(".sse", StringComparison.Ordinal) || name.EndsWith(".bin", StringComparison.Ordinal)
            || name.EndsWith(".stream.json", StringComparison.Ordinal) ? TrafficKind.Stream
        : !name.EndsWith(".json", StringComparison.Ordinal) ? null
        : IsError(file) ? TrafficKind.Error
        : TrafficKind.Complete;

    /// <summary>Whether a body is an error although its file's name does not say so.</summary>
    private static bool IsError(string file)
    {
        using var json = JsonDocument.Parse(File.ReadAllBytes(file));
        var root = json.RootElement;
        return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object && !root.TryGetProperty("object", out _);
    }
}
