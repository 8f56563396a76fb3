using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>The providers that are found from their usual environment variables when no file declares them.</summary>
internal static class KnownProviders
{
    /// <summary>The id of the built-in provider that answers offline.</summary>
    public const string SimulatorId = "simulator";

    /// <summary>All of them.</summary>
    public static IReadOnlyList<KnownProvider> All => ProviderCatalog.Instance.Providers;

    /// <summary>The known provider of an id, or null.</summary>
    public static KnownProvider? Find(string id) => ProviderCatalog.Instance.Find(id);

    /// <summary>The providers whose variables are set, declared as if a file had done it.</summary>
    /// <param name="environment">Reads a variable.</param>
    /// <param name="errors">Receives variables that hold no address.</param>
    public static IReadOnlyDictionary<string, ProviderDeclaration> Detect(Func<string, string?> environment, ICollection<ConfigError> errors)
    {
        var found = new SortedDictionary<string, ProviderDeclaration>(StringComparer.Ordinal);
        foreach (var known in All)
        {
            if (Declare(known, environment, errors) is { } declaration)
            {
                found.Add(known.Id, declaration);
            }
        }
        return found;
    }

    private static ProviderDeclaration? Declare(KnownProvider known, Func<string, string?> environment, ICollection<ConfigError> errors)
    {
        var (key, address) = (First(environment, known.Keys), First(environment, known.Addresses));
        if (key is null && address is null && !HasOther(known, environment))
        {
            return null;
        }
        var parts = known.Variables.ToDictionary(variable => variable.Key, variable => First(environment, variable.Value) is { } value && value.All(c => char.IsAsciiLetterOrDigit(c) || (variable.Key == "project" ? c is '-' or '.' or ':' or '_' : c == '-')) ? value : null);
        if (address is null && parts.ContainsValue(null))
        {
            return null; // a key alone does not say where
        }
        Uri? uri = null;
        if (address is not null)
        {
            var url = known.Id == "ollama" ? OllamaAddress(address) : address.TrimEnd('/') + (address.TrimEnd('/').EndsWith(known.AddressSuffix, StringComparison.Ordinal) ? "" : known.AddressSuffix);
            if (!Uri.TryCreate(url, UriKind.Absolute, out uri) || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
            {
                errors.Add(new ConfigError("environment", 0, 0, known.AddressVariable!, "expected an address that begins with http:// or https://"));
                return null;
            }
        }
        return new ProviderDeclaration
        {
            BaseUrl = uri ?? (parts.Count == 0 ? new Uri(known.BaseUrl) : null),
            ApiKey = key is null ? null : new Secret(key),
            Auth = key is null ? known.KeylessAuth : null,
            Credentials = key is null ? CredentialsOf(known, environment) : null,
            ApiVersion = known.VersionedPaths.Count > 0 ? First(environment, ["AZURE_OPENAI_API_VERSION", "OPENAI_API_VERSION"]) : null,
            Region = parts.GetValueOrDefault("region"),
            Project = parts.GetValueOrDefault("project"),
            Location = parts.GetValueOrDefault("location"),
            Resource = parts.GetValueOrDefault("resource"),
        };
    }

    /// <summary>Whether the environment holds a credential of another kind than a key.</summary>
    private static bool HasOther(KnownProvider known, Func<string, string?> environment) => known.Auth switch
    {
        ProviderAuth.Aws => Read(environment, "AWS_ACCESS_KEY_ID") is not null && Read(environment, "AWS_SECRET_ACCESS_KEY") is not null,
        ProviderAuth.Google => Read(environment, "GOOGLE_APPLICATION_CREDENTIALS") is not null,
        _ => false,
    };

    /// <summary>The account that stands in variables of its own; Google's is read when a token is needed.</summary>
    private static ProviderCredentialsDeclaration? CredentialsOf(KnownProvider known, Func<string, string?> environment) =>
        known.Auth != ProviderAuth.Aws || Read(environment, "AWS_ACCESS_KEY_ID") is not { } id || Read(environment, "AWS_SECRET_ACCESS_KEY") is not { } secret ? null : new()
        {
            AccessKeyId = id,
            SecretAccessKey = new Secret(secret),
            SessionToken = Read(environment, "AWS_SESSION_TOKEN") is { } token ? new Secret(token) : null,
        };

    private static string? First(Func<string, string?> environment, IReadOnlyList<string> variables) => variables.Select(variable => Read(environment, variable)).FirstOrDefault(value => value is not null);

    private static string? Read(Func<string, string?> environment, string? variable) =>
        variable is not null && environment(variable)?.Trim() is { Length: > 0 } value ? value : null;

    // Ollama reads the same variable for the address that it listens on, so it may lack a scheme or a port, or be the address of all interfaces.
    private static string OllamaAddress(string host)
    {
        var text = host.Contains("://", StringComparison.Ordinal) ? host : "http://" + host;
        if (!Uri.TryCreate(text, UriKind.Absolute, out var uri))
        {
            return host;
        }
        var builder = new UriBuilder(uri);
        if (uri.Host is "0.0.0.0" or "[::]")
        {
            builder.Host = "127.0.0.1";
        }
        if (uri.IsDefaultPort && !host.Contains("://", StringComparison.Ordinal) && !host.EndsWith(":80", StringComparison.Ordinal))
        {
            builder.Port = 11434;
        }
        return $"{builder.Scheme}://{builder.Host}:{builder.Port}/v1";
    }
}
