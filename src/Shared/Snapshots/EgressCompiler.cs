using Shared.Configuration;
using Shared.Egress;

namespace Shared.Snapshots;

/// <summary>Compiles the egress rules, and checks against them every address that the configuration names, as far as that goes without a look-up.</summary>
internal sealed class EgressCompiler(ConfigurationSources sources, IReadOnlyDictionary<string, ProviderDeclaration> detected, ICollection<ConfigError> errors)
{
    public EgressRules Compile()
    {
        var gateway = sources.Gateway;
        var rules = EgressRules.Compile(gateway.Egress.Allow, gateway.Egress.Deny, (list, i, problem) => errors.Add(gateway.Egress.Error(list, i, problem)));
        foreach (var (id, provider) in gateway.Providers)
        {
            Check(rules, provider.BaseUrl, provider, "baseUrl", $"provider '{id}'");
        }
        foreach (var (id, provider) in detected.Where(provider => !gateway.Providers.ContainsKey(provider.Key)))
        {
            Check(rules, provider.BaseUrl, provider, "baseUrl", $"provider '{id}' of the environment");
        }
        foreach (var manifest in sources.Manifests.Where(manifest => manifest.Enabled))
        {
            Check(rules, manifest.Upstream.Url, manifest.Upstream, "url", $"tool server '{manifest.Metadata.Id}'", manifest.FromAdminApi);
            Check(rules, manifest.Upstream.Auth.TokenUrl, manifest.Upstream.Auth, "tokenUrl", $"tool server '{manifest.Metadata.Id}'", manifest.FromAdminApi);
            if (manifest.Upstream.Auth.IdentityProvider is { } provider)
            {
                Check(rules, provider.TokenUrl, provider, "tokenUrl", $"tool server '{manifest.Metadata.Id}'", manifest.FromAdminApi);
            }
        }
        foreach (var (id, issuer) in gateway.SignIn?.Issuers ?? new Dictionary<string, IssuerDeclaration>())
        {
            Check(rules, issuer.Issuer, issuer, "issuer", $"issuer '{id}'");
            Check(rules, issuer.JwksUri, issuer, "jwksUri", $"issuer '{id}'");
        }
        Check(rules, gateway.Telemetry.OtlpEndpoint, gateway.Telemetry, "otlpEndpoint", "telemetry");
        return rules;
    }

    private void Check(EgressRules rules, Uri? url, Declaration declaration, string member, string what, bool fromAdminApi = false)
    {
        var trust = fromAdminApi || declaration.FromAdminApi ? EgressTrust.Remote : EgressTrust.Operator;
        if (url is not null && !rules.Allows(url, trust, out var problem))
        {
            errors.Add(declaration.Node is null ? new ConfigError("", 0, 0, "", $"{what}: {problem}") : declaration.Error(member, problem));
        }
    }
}
