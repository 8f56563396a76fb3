using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Shared.Configuration;

namespace Shared.Pricing;

/// <summary>Turns prices as they are written (dollars per million tokens) into those that calls are charged at.</summary>
internal static class PriceFile
{
    private const string CatalogResource = "Shared.Pricing.catalog.yaml";

    private static readonly Lazy<ImmutableArray<ModelPrice>> ShippedCatalog = new(ReadCatalog);

    /// <summary>The prices that ship with the gateway, and the nominal one of the built-in simulator.</summary>
    public static ImmutableArray<ModelPrice> Catalog => ShippedCatalog.Value;

    /// <summary>Compiles the prices of one file; reports models that stand in it twice, and tiers out of order.</summary>
    public static IEnumerable<ModelPrice> Compile(IReadOnlyList<PriceDeclaration> prices, ICollection<ConfigError> errors)
    {
        Dictionary<(string, string), PriceDeclaration> seen = [];
        List<ModelPrice> compiled = [];
        foreach (var price in prices)
        {
            if (!seen.TryAdd((price.Provider, price.Model), price))
            {
                errors.Add(price.Error("model", $"the price of {price.Provider}/{price.Model} stands already in line {seen[(price.Provider, price.Model)].Node?.Line}"));
            }
            for (var i = 1; i < price.ContextTiers.Count; i++)
            {
                if (price.ContextTiers[i].AboveInputTokens <= price.ContextTiers[i - 1].AboveInputTokens)
                {
                    errors.Add(price.ContextTiers[i].Error("aboveInputTokens", "tiers must ascend by size"));
                }
            }
            compiled.Add(Compile(price, "overlay:" + Fingerprint(price)));
        }
        return compiled;
    }

    /// <summary>The price that models without one are charged at.</summary>
    public static ModelPrice CompileDefault(RatesDeclaration rates) => new()
    {
        Provider = "*",
        Model = "*",
        Version = "default:" + Fingerprint(rates),
        Rates = RatesOf(rates),
        Source = "pricing.default",
    };

    private static ModelPrice Compile(PriceDeclaration price, string version) => new()
    {
        Provider = price.Provider,
        Model = price.Model,
        Version = version,
        Rates = RatesOf(price),
        ContextTiers = [.. price.ContextTiers.Select(tier => new ContextTier(tier.AboveInputTokens, RatesOf(tier)))],
        ServiceTiers = price.ServiceTiers.ToImmutableDictionary(tier => tier.Key, tier => RatesOf(tier.Value)),
        MaxOutputTokens = price.MaxOutputTokens,
        MaxImageTokens = price.MaxImageTokens,
        Source = price.Source,
    };

    private static TokenRates RatesOf(RatesDeclaration rates) => new()
    {
        Input = NanoPerMillion(rates.Input),
        Output = NanoPerMillion(rates.Output),
        CacheRead = NanoPerMillion(rates.CacheRead),
        CacheWrite = NanoPerMillion(rates.CacheWrite),
        Reasoning = NanoPerMillion(rates.Reasoning),
        AudioInput = NanoPerMillion(rates.AudioInput),
        AudioOutput = NanoPerMillion(rates.AudioOutput),
    };

    private static long NanoPerMillion(decimal dollarsPerMillion) => Money.FromDollars(dollarsPerMillion).Nano;

    private static long? NanoPerMillion(decimal? dollarsPerMillion) => dollarsPerMillion is { } dollars ? NanoPerMillion(dollars) : null;

    private static string Fingerprint(Declaration declaration)
    {
        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text))
        {
            ConfigWriter.Write(writer, declaration);
        }
        return Convert.ToHexStringLower(SHA256.HashData(text.ToArray()))[..8];
    }

    private static ImmutableArray<ModelPrice> ReadCatalog()
    {
        using var stream = typeof(PriceFile).Assembly.GetManifestResourceStream(CatalogResource)
            ?? throw new InvalidOperationException($"The assembly lacks the resource {CatalogResource}.");
        using var reader = new StreamReader(stream, Encoding.UTF8);
        List<ConfigError> errors = [];
        var file = YamlNodes.Read("catalog.yaml", reader.ReadToEnd(), errors) is { } node ? new ConfigBinder(errors, SecretReferences.None).Bind<PriceFileDeclaration>(node) : null;
        if (file is null || errors.Count > 0)
        {
            throw new ConfigurationException([.. errors.Select(error => error.ToString())]);
        }
        var version = string.Create(CultureInfo.InvariantCulture, $"catalog:{file.Version}");
        return [Simulator, .. file.Prices.Select(price => Compile(price, version))];
    }

    private static ModelPrice Simulator { get; } = new()
    {
        Provider = "simulator",
        Model = "*",
        Version = "built-in:1",
        Rates = new TokenRates { Input = Money.NanoPerDollar, Output = 2 * Money.NanoPerDollar },
        MaxOutputTokens = 4096,
        Source = "a nominal price, so that budgets can be tried offline",
    };
}
