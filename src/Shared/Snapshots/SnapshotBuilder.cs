using System.Collections.Frozen;
using Shared.Configuration;
using Shared.Pricing;
using Shared.SignIn;
using Shared.Storage;
using Shared.Tools;

namespace Shared.Snapshots;

/// <summary>Compiles what was read into a snapshot, checking each part against the others.</summary>
internal static class SnapshotBuilder
{
    /// <summary>The snapshot and its canonical text. Usable only when there are no errors.</summary>
    public static (Snapshot Snapshot, string Text) Build(ConfigurationSources sources, Func<string, string?> environment, ICollection<ConfigError> errors)
    {
        var gateway = sources.Gateway;
        var providerCompiler = new ProviderCompiler(environment, errors);
        var providers = providerCompiler.Compile(gateway.Providers, sources.GatewayFile);
        var definitions = ManifestCompiler.PolicyOf(gateway.Pinning, gateway.Scan, DefinitionPolicy.Default, errors);
        var manifests = new ManifestCompiler(environment, errors, gateway.AllowProcessesFromApi, definitions).Compile(sources.Manifests);
        var text = CanonicalText.Write(sources, providerCompiler.Detected, manifests);
        var toolsets = new ToolsetCompiler(manifests, errors).Compile(gateway.Toolsets);
        var owners = new OwnerCompiler(gateway, toolsets, sources.GatewayFile, errors);
        var keys = owners.Compile(sources.StoredKeys).ToFrozenDictionary();
        var snapshot = new Snapshot
        {
            Revision = CanonicalText.RevisionOf(text),
            Keys = keys,
            Owners = [.. owners.Owners],
            SignIn = gateway.SignIn is { } signIn ? new SignInCompiler(owners, errors).Compile(signIn, gateway.Server.PublicUrl) : null,
            Providers = providers.ToFrozenDictionary(),
            Routes = new RouteCompiler(providers, errors).Compile(gateway.Routes).ToFrozenDictionary(),
            Manifests = manifests,
            Toolsets = toolsets,
            Prices = PricesOf(sources, providers.Keys, errors),
            Settings = new GatewaySettings
            {
                MaxBodyBytes = gateway.Limits.MaxBodyBytes.Bytes,
                MaxUploadBytes = gateway.Limits.MaxUploadBytes.Bytes,
                BodyMemoryBytes = gateway.Limits.BodyMemory.Bytes,
                MaxToolNameLength = gateway.Limits.MaxToolNameLength,
                MaxSessionsPerKey = gateway.Limits.MaxSessionsPerKey,
                MaxSessions = gateway.Limits.MaxSessions,
                LegacySse = gateway.Server.LegacySse,
                UnknownUsage = gateway.Ledger.UnknownUsage,
                Retention = new RetentionSettings
                {
                    Ledger = gateway.Retention.Ledger,
                    Usage = gateway.Retention.Usage,
                    Audit = gateway.Retention.Audit,
                    Revisions = gateway.Retention.Revisions,
                    MaxDatabaseBytes = gateway.Retention.MaxDatabaseSize.Bytes,
                    MinFreeDiskBytes = gateway.Retention.MinFreeDisk.Bytes,
                },
                PassedHeaders = [.. manifests.SelectMany(manifest => manifest.Auth?.PassHeaders ?? []).Select(header => header.Name).Distinct(StringComparer.OrdinalIgnoreCase)],
                PublicUrl = gateway.Server.PublicUrl?.AbsoluteUri.TrimEnd('/'),
                Egress = new EgressCompiler(sources, providerCompiler.Detected, errors).Compile(),
            },
        };
        ServerCompiler.Compile(gateway.Server, sources.GatewayFile, errors);
        if (gateway.Limits.BodyMemory.CompareTo(gateway.Limits.MaxBodyBytes) < 0)
        {
            errors.Add(gateway.Limits.Error("bodyMemory", $"{gateway.Limits.BodyMemory} is less than maxBodyBytes, {gateway.Limits.MaxBodyBytes}: the largest body could never be held"));
        }
        if (gateway.Retention.Usage < gateway.Retention.Ledger)
        {
            errors.Add(gateway.Retention.Error("usage", "is shorter than 'ledger': the sums would be gone before the attempts that they are of"));
        }
        return (snapshot, text);
    }

    /// <summary>
    /// Builds a snapshot of nothing and drops it. Compiling this code to machine code takes longer than building a snapshot does;
    /// done on another thread while the host is put together, they leave the start sooner.
    /// </summary>
    public static void WarmUp()
    {
        List<ConfigError> errors = [];
        const string Sample = "limits: {maxBodyBytes: 1MiB}\nproviders: {a: {baseUrl: 'http://localhost', headers: {x: y}, headerTimeout: 1s}}\nroutes: {r: {targets: [a/b]}}\n";
        var gateway = YamlNodes.Read("", Sample, errors) is { } node ? new ConfigBinder(errors, SecretReferences.None).Bind<GatewayDeclaration>(node) : null;
        var (snapshot, _) = Build(new ConfigurationSources { Gateway = gateway ?? new(), PriceOverlay = [], Manifests = [], StoredKeys = [], GatewayFile = "" }, _ => null, errors);
        snapshot.Prices.Find("openai", "gpt-4o");
    }

    /// <summary>Compiles the prices alone.</summary>
    public static PriceBook PricesOf(ConfigurationSources sources, ICollection<string> providers, ICollection<ConfigError> errors)
    {
        var pricing = sources.Gateway.Pricing;
        foreach (var price in sources.PriceOverlay.Concat(sources.Gateway.Prices))
        {
            if (price.Provider.Length > 0 && !providers.Contains(price.Provider) && KnownProviders.Find(price.Provider) is null)
            {
                string[] known = [.. providers.Union(KnownProviders.All.Select(provider => provider.Id))];
                errors.Add(price.Error("provider", $"there is no provider '{price.Provider}'; {Nearest.Hint(price.Provider, known)}"));
            }
        }
        if (pricing.Unknown == UnknownPrice.Default && pricing.Default is null)
        {
            errors.Add(pricing.Error("default", "is required where 'unknown' is 'default'"));
        }
        if (pricing.Unknown != UnknownPrice.Default && pricing.Default is not null)
        {
            errors.Add(pricing.Error("default", "has a meaning only where 'unknown' is 'default'"));
        }
        for (var i = 0; i < pricing.Adjustments.Count; i++)
        {
            if (pricing.Adjustments[i] is { Discount: null, Margin: null } rule)
            {
                errors.Add(rule.Error("discount", "a rule needs a discount, a margin or both"));
            }
        }
        return new PriceBook(
            [.. PriceFile.Compile(sources.PriceOverlay, errors), .. PriceFile.Compile(sources.Gateway.Prices, errors)],
            pricing.Default is null && pricing.Unknown == UnknownPrice.Default ? UnknownPricePolicy.DenyUnderHardBudget : (UnknownPricePolicy)pricing.Unknown,
            pricing.Default is null ? null : PriceFile.CompileDefault(pricing.Default),
            sources.AsOf)
        {
            Adjustments = [.. pricing.Adjustments.Select(rule => new AdjustmentRule(rule.Provider, rule.Model, rule.Discount?.Hundredths, rule.Margin?.Hundredths))],
            PricedAs = KnownProviders.All.Where(known => known.PricedAs is not null && providers.Contains(known.Id) && !pricing.PricedAs.ContainsKey(known.Id))
                .Select(known => KeyValuePair.Create(known.Id, known.PricedAs!)).Concat(pricing.PricedAs).ToFrozenDictionary(),
        };
    }
}
