using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Shared.Configuration;

namespace Shared.Pricing;

/// <summary>
/// The prices that ship with the gateway: a sorted text, one entry a line, found by binary search where it lies in the assembly. Nothing is read at
/// start; an entry becomes an object when it is first looked up.
/// </summary>
/// <remarks>
/// A line is <c>provider/model {"input":2.5,…}</c> in the form of an entry under <c>prices</c>, or <c>provider/model =other-model</c> for a second name of
/// a model. Lines stand in ordinal order of their keys; of several lines of one key (dated prices) the earlier date comes first. Lines that begin
/// with <c>#</c> come before all others: <c># version …</c> and <c># changes …</c>, the days on which a price of the list takes effect.
/// </remarks>
internal static unsafe class PriceCatalog
{
    private const string Resource = "Shared.Pricing.catalog.txt";

    private static readonly Lazy<Header> Head = new(ReadHeader);

    // By the place of the line; bounded by the number of lines.
    private static readonly ConcurrentDictionary<int, ModelPrice> Materialised = new();

    private static byte* start;
    private static int length;

    /// <summary>Names this state of the list for good.</summary>
    public static string Version => Head.Value.Version;

    /// <summary>The days on which a price of the list takes effect, ascending.</summary>
    public static IReadOnlyList<DateTimeOffset> Changes => Head.Value.Changes;

    /// <summary>Prices that are no list's: of what runs on the operator's own machine, and the nominal one of the built-in simulator.</summary>
    public static IReadOnlyList<ModelPrice> BuiltIn { get; } =
    [
        new()
        {
            Provider = "simulator",
            Model = "*",
            Version = "built-in:1",
            Rates = new TokenRates { Input = Money.NanoPerDollar, Output = 2 * Money.NanoPerDollar },
            MaxOutputTokens = 4096,
            Source = "a nominal price, so that budgets can be tried offline",
        },
        new()
        {
            Provider = "ollama",
            Model = "*",
            Version = "built-in:1",
            Rates = new TokenRates { Input = 0, Output = 0 },
            Source = "runs on the operator's own machine",
        },
        new()
        {
            Provider = "openai",
            Model = "omni-moderation-*",
            Version = "built-in:1",
            Rates = new TokenRates { Input = 0, Output = 0 },
            Source = "developers.openai.com/api/docs/models/omni-moderation-latest, which calls it free; seen 2026-11-23",
        },
    ];

    /// <summary>The model that the list knows by another name; null: the name is none of these.</summary>
    public static string? CanonicalName(string provider, string model)
    {
        var line = LineAt(FindFirst(Encoding.UTF8.GetBytes($"{provider}/{model}")));
        return line.IsEmpty || !IsAlias(line, out var target) ? null : Encoding.UTF8.GetString(target);
    }

    /// <summary>The price of a model at a moment; null: the list has none. Second names are not followed.</summary>
    public static ModelPrice? Find(string provider, string model, DateTimeOffset now)
    {
        var key = Encoding.UTF8.GetBytes($"{provider}/{model}");
        ModelPrice? found = null;
        for (var at = FindFirst(key); at < length && KeyOf(LineAt(at)).SequenceEqual(key); at = NextLine(at))
        {
            if (IsAlias(LineAt(at), out _) || Materialise(at) is not { } price || price.EffectiveFrom > now)
            {
                break;
            }
            found = price;
        }
        return found;
    }

    /// <summary>Every entry of the list, dated ones included, in its order, and then every second name with its target.</summary>
    public static (IReadOnlyList<ModelPrice> Prices, IReadOnlyList<(string Provider, string Model, string Target)> Aliases) ReadAll()
    {
        List<ModelPrice> prices = [];
        List<(string, string, string)> aliases = [];
        for (var at = Head.Value.FirstEntry; at < length; at = NextLine(at))
        {
            var line = LineAt(at);
            if (IsAlias(line, out var target))
            {
                var (provider, model) = SplitKey(KeyOf(line));
                aliases.Add((provider, model, Encoding.UTF8.GetString(target)));
            }
            else
            {
                prices.Add(Materialise(at));
            }
        }
        return (prices, aliases);
    }

    /// <summary>A line's entry.</summary>
    /// <exception cref="ConfigurationException">The line is none.</exception>
    internal static ListedPrice ReadEntry(string name, ReadOnlySpan<byte> json)
    {
        List<ConfigError> errors = [];
        var entry = JsonNodes.Read(name, json, errors) is { } node ? new ConfigBinder(errors, SecretReferences.None).Bind<ListedPrice>(node) : null;
        return errors.Count == 0 ? entry! : throw new ConfigurationException([.. errors.Select(error => error.ToString())]);
    }

    private static ModelPrice Materialise(int at) => Materialised.GetOrAdd(at, static at =>
    {
        var line = LineAt(at);
        var key = KeyOf(line);
        var (provider, model) = SplitKey(key);
        var entry = ReadEntry($"catalog: {provider}/{model}", line[(key.Length + 1)..]);
        var version = $"catalog:{Version}" + (entry.EffectiveFrom is { } from ? from.ToString("'@'yyyy-MM-dd", CultureInfo.InvariantCulture) : "");
        return PriceFile.Compile(entry, provider, model, version);
    });

    private static (string Provider, string Model) SplitKey(ReadOnlySpan<byte> key)
    {
        var slash = key.IndexOf((byte)'/');
        return (Encoding.UTF8.GetString(key[..slash]), Encoding.UTF8.GetString(key[(slash + 1)..]));
    }

    private static bool IsAlias(ReadOnlySpan<byte> line, out ReadOnlySpan<byte> target)
    {
        var value = line[(KeyOf(line).Length + 1)..];
        target = value.StartsWith("="u8) ? value[1..] : default;
        return !target.IsEmpty;
    }

    private static ReadOnlySpan<byte> Text => new(start, length);

    private static ReadOnlySpan<byte> LineAt(int at)
    {
        if (at >= length)
        {
            return default;
        }
        var rest = Text[at..];
        return rest[..rest.IndexOf((byte)'\n')];
    }

    private static int NextLine(int at) => at + LineAt(at).Length + 1;

    private static ReadOnlySpan<byte> KeyOf(ReadOnlySpan<byte> line) => line[..Math.Max(0, line.IndexOf((byte)' '))];

    // The place of a key's first line, or the end of the text.
    private static int FindFirst(ReadOnlySpan<byte> key)
    {
        // Both bounds are places where lines begin; the line that is looked for begins in between, or at the upper one.
        var (low, high) = (Head.Value.FirstEntry, length);
        while (low < high)
        {
            var middle = low + ((high - low) / 2);
            var at = middle == low ? low : low + Text[low..middle].LastIndexOf((byte)'\n') + 1;
            if (KeyOf(LineAt(at)).SequenceCompareTo(key) < 0)
            {
                low = NextLine(at);
            }
            else
            {
                high = at;
            }
        }
        return low < length && KeyOf(LineAt(low)).SequenceEqual(key) ? low : length;
    }

    private static Header ReadHeader()
    {
        // A resource of an assembly is mapped memory that stays where it is: no copy is made.
        var stream = (UnmanagedMemoryStream)(typeof(PriceCatalog).Assembly.GetManifestResourceStream(Resource)
            ?? throw new InvalidOperationException($"The assembly lacks the resource {Resource}."));
        start = stream.PositionPointer;
        length = checked((int)stream.Length);
        var (version, changes, at) = ("", Array.Empty<DateTimeOffset>(), 0);
        for (; LineAt(at).StartsWith("#"u8); at = NextLine(at))
        {
            var line = Encoding.UTF8.GetString(LineAt(at)).Split(' ', StringSplitOptions.RemoveEmptyEntries);
            if (line is ["#", "version", var name])
            {
                version = name;
            }
            else if (line is ["#", "changes", .. var days])
            {
                changes = [.. days.Select(day => DateTimeOffset.ParseExact(day, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal))];
            }
        }
        return new Header(version, changes, at);
    }

    private sealed record Header(string Version, IReadOnlyList<DateTimeOffset> Changes, int FirstEntry);
}
