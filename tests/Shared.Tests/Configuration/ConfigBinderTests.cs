using Shared.Configuration;
using Shared.Pricing;

namespace Shared.Tests.Configuration;

public sealed class ConfigBinderTests
{
    private static readonly SecretReferences Secrets = new(name => name == "SET" ? "s3cret-value" : null, path => path == "/run/x" ? "from-file\n" : null, name => name == "vendor" ? "sealed-value" : null);

    [Fact]
    public void Bind_UnknownKey_NamesPlaceAndNearestKey()
    {
        var (_, errors) = Bind<GatewayDeclaration>("limits:\n  maxBodyByte: 1MiB\nroute: {}\nzzz: 1\n");

        Assert.Equal("gateway.yaml:2:3: limits.maxBodyByte: unknown key; did you mean 'maxBodyBytes'?", errors[0]);
        Assert.Equal("gateway.yaml:3:1: route: unknown key; did you mean 'routes'?", errors[1]);
        Assert.StartsWith("gateway.yaml:4:1: zzz: unknown key; known are server, ", errors[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_SeveralErrors_ReportsAllOfThem()
    {
        var (_, errors) = Bind<GatewayDeclaration>("""
            limits:
              maxBodyBytes: lots
              maxToolNameLength: 7
            providers:
              openai:
                headerTimeout: 5
                maxRetries: "2"
                models: gpt
                hedders: {}
            """);

        Assert.Equal(
        [
            "gateway.yaml:2:17: limits.maxBodyBytes: expected a number of bytes such as 512KiB, 32MiB or 1048576, found 'lots'",
            "gateway.yaml:3:22: limits.maxToolNameLength: expected 24 to 128, found '7'",
            "gateway.yaml:6:20: providers.openai.headerTimeout: expected a duration such as 250ms, 30s, 5m, 1h or 1d, found '5'",
            "gateway.yaml:7:17: providers.openai.maxRetries: expected a whole number, found '2'",
            "gateway.yaml:8:13: providers.openai.models: expected a list, found 'gpt'",
            "gateway.yaml:9:5: providers.openai.hedders: unknown key; did you mean 'headers'?",
        ], errors);
    }

    [Fact]
    public void Bind_EveryUnit_IsRead()
    {
        var (gateway, errors) = Bind<GatewayDeclaration>("""
            limits: {maxBodyBytes: 512KiB, bodyMemory: 1GiB}
            ledger: {unknownUsage: observed}
            providers:
              a: {headerTimeout: 1500ms, stallTimeout: 1h, streamUsage: false}
            users:
              u:
                budgets: [{limit: 5 USD, per: month}, {limit: 0.25, per: 90s, hard: false}]
                rateLimits: [{requests: 3, per: 1d}]
                concurrency: 4
            routes:
              r: {targets: a/b, defaults: {temperature: 0.5, stop: [x, "1"], user: null, odd: 007}}
            """);

        Assert.Empty(errors);
        Assert.Equal((512 << 10, 1L << 30), (gateway!.Limits.MaxBodyBytes.Bytes, gateway.Limits.BodyMemory.Bytes));
        Assert.Equal(Shared.Snapshots.UnknownUsagePolicy.Observed, gateway.Ledger.UnknownUsage);
        Assert.Equal(TimeSpan.FromSeconds(1.5), gateway.Providers["a"].HeaderTimeout);
        var user = gateway.Users["u"];
        Assert.Equal([Money.FromDollars(5), Money.FromDollars(0.25m)], user.Budgets.Select(budget => budget.Limit));
        Assert.Equal(TimeSpan.FromSeconds(90), user.Budgets[1].Per.Length);
        Assert.Equal(4, Assert.Single(user.Concurrency).Limit);
        Assert.Equal(["0.5", "[\"x\",\"1\"]", "null", "\"007\""], gateway.Routes["r"].Defaults.Values.Select(value => value.Text));
    }

    [Theory]
    [InlineData("limits: {}\nlimits: {}", "gateway.yaml:2:1: limits: this key stands already in line 1")]
    [InlineData("limits: &a {}\nledger: *a", "gateway.yaml:1:9: limits: anchors and aliases are not supported; write the value out")]
    [InlineData("limits: {}\n---\nledger: {}", "gateway.yaml:2:1: a second document begins here; a file holds one")]
    [InlineData("limits: [", "gateway.yaml:2:1: not valid YAML")]
    [InlineData("- a", "gateway.yaml:1:1: expected a mapping, found a list")]
    [InlineData("limits: !!str x", "gateway.yaml:1:9: limits: tags are not supported")]
    [InlineData("users: {u: {budgets: [{limit: 1}]}}", "gateway.yaml:1:23: users.u.budgets[0].per: is required and missing")]
    [InlineData("priceFile: ${env:SET}", "gateway.yaml:1:12: priceFile: a reference cannot be used here")]
    public void Bind_BadDocument_SaysWhere(string yaml, string expected)
    {
        var (_, errors) = Bind<GatewayDeclaration>(yaml);

        Assert.StartsWith(expected, errors[0], StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_DeepNesting_IsAnErrorNotAnOverflow()
    {
        var (_, errors) = Bind<GatewayDeclaration>("limits: " + new string('[', 5000));

        Assert.Contains("nested deeper", Assert.Single(errors), StringComparison.Ordinal);
    }

    [Fact]
    public void Bind_EmptyDocument_IsAllDefaults()
    {
        var (gateway, errors) = Bind<GatewayDeclaration>("# nothing\n");

        Assert.Empty(errors);
        Assert.Equal(32 << 20, gateway!.Limits.MaxBodyBytes.Bytes);
    }

    [Theory]
    [InlineData("Bearer ${env:SET}", "Bearer s3cret-value")]
    [InlineData("${file:/run/x}", "from-file")]
    [InlineData("$${env:SET}", "${env:SET}")]
    [InlineData("a ${env:SET} b ${file:/run/x}", "a s3cret-value b from-file")]
    public void Bind_SecretReference_IsResolvedAndMasked(string text, string expected)
    {
        var (gateway, errors) = Bind<GatewayDeclaration>($"providers: {{a: {{apiKey: \"{text}\"}}}}");

        Assert.Empty(errors);
        var secret = gateway!.Providers["a"].ApiKey!;
        Assert.Equal(expected, secret.Reveal());
        Assert.DoesNotContain(expected, $"{gateway} {secret} {gateway.Providers["a"]}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("x-hidden ${env:UNSET}", "the environment variable UNSET is not set")]
    [InlineData("x-hidden ${file:/nowhere}", "the file /nowhere cannot be read or is empty")]
    [InlineData("x-hidden ${env:SET", "is not closed")]
    [InlineData("x-hidden ${vault:SET}", "${env:NAME}, ${file:/path} or ${secret:name}")]
    public void Bind_BadReference_NamesItAndNoValue(string text, string expected)
    {
        var (_, errors) = Bind<GatewayDeclaration>($"providers: {{a: {{apiKey: \"{text}\"}}}}");

        var error = Assert.Single(errors);
        Assert.Contains(expected, error, StringComparison.Ordinal);
        Assert.StartsWith("gateway.yaml:1:25: providers.a.apiKey: ", error, StringComparison.Ordinal);
        Assert.DoesNotContain("x-hidden", error, StringComparison.Ordinal);
    }

    private static (T? Value, List<string> Errors) Bind<T>(string yaml) where T : class
    {
        List<ConfigError> errors = [];
        var value = YamlNodes.Read("gateway.yaml", yaml, errors) is { } node ? new ConfigBinder(errors, Secrets).Bind<T>(node) : null;
        return (value, [.. errors.Select(error => error.ToString())]);
    }
}
