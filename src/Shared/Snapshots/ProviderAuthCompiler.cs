using System.Text.Json;
using System.Text.RegularExpressions;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles how a provider gets its credential, and checks the parts that go into its address and its requests.</summary>
internal sealed partial class ProviderAuthCompiler(ICollection<ConfigError> errors)
{
    // What the gateway itself says with each request.
    private static readonly string[] OwnHeaders = ["host", "content-length", "content-type", "content-encoding", "transfer-encoding", "connection", "accept", "accept-encoding", "user-agent", "traceparent", "tracestate"];

    /// <summary>The usual variables' part in a declaration: none of the key where the declaration sends it elsewhere or in another way than it was made for.</summary>
    public static ProviderDeclaration? UsualFor(ProviderDeclaration declaration, ProviderDeclaration? detected, KnownProvider? known)
    {
        if (detected is null || declaration.BaseUrl is not null || (declaration.Resource is { } resource && resource != detected.Resource))
        {
            return null;
        }
        var isElsewhere = declaration.Paths.Values.Any(path => path.Contains("://", StringComparison.Ordinal));
        var isOtherwise = declaration.Auth is { } auth && auth != (known?.Auth ?? ProviderAuth.Bearer);
        return isElsewhere || isOtherwise ? detected with { ApiKey = null, Auth = null, Credentials = null } : detected;
    }

    /// <summary>The scheme, or null for the dialect's own.</summary>
    public ProviderAuth? Scheme(ProviderDeclaration declaration, KnownProvider? known)
    {
        if ((declaration.Auth ?? known?.Auth) is not { } scheme)
        {
            return null;
        }
        if (declaration.Auth is not null && (!HeaderName().IsMatch(scheme) || OwnHeaders.Contains(scheme, StringComparer.OrdinalIgnoreCase)))
        {
            errors.Add(declaration.Error("auth", $"expected one of {string.Join(", ", ProviderAuth.Schemes)} or the name of a header that carries the key, such as x-api-key; found '{scheme}'"));
            return null;
        }
        return new ProviderAuth(scheme);
    }

    /// <summary>The account, checked against its scheme.</summary>
    public ProviderCredentials? Credentials(ProviderDeclaration declaration, string? scheme)
    {
        var given = declaration.Credentials;
        var needsAccount = declaration.ApiKey is null && scheme is ProviderAuth.Google or ProviderAuth.Azure or ProviderAuth.Aws && declaration.ApiKey is null;
        if (declaration.FromAdminApi && needsAccount)
        {
            RequireOwn(declaration, given, scheme!);
        }
        if (given is null)
        {
            return null;
        }
        if (scheme is not (ProviderAuth.Google or ProviderAuth.Azure or ProviderAuth.Aws))
        {
            errors.Add(declaration.Error("credentials", "they belong to 'auth: google', 'azure' or 'aws'; give one of these, or a fixed key as 'apiKey'"));
            return null;
        }
        if (declaration.ApiKey is not null)
        {
            errors.Add(declaration.Error("credentials", "'apiKey' is sent as it is, so that they would never be used; remove one of the two"));
        }
        Check(given, scheme);
        return new ProviderCredentials
        {
            Json = given.Json,
            TenantId = given.TenantId,
            ClientId = given.ClientId,
            ClientSecret = given.ClientSecret,
            Authority = given.Authority,
            Scope = given.Scope,
            AccessKeyId = given.AccessKeyId,
            SecretAccessKey = given.SecretAccessKey,
            SessionToken = given.SessionToken,
        };
    }

    /// <summary>Checks the parts of an address: a slash in one of them would make it another address.</summary>
    public void CheckParts(ProviderDeclaration declaration)
    {
        foreach (var (name, value) in (ReadOnlySpan<(string, string?)>)[("region", declaration.Region), ("project", declaration.Project), ("location", declaration.Location), ("resource", declaration.Resource), ("apiVersion", declaration.ApiVersion)])
        {
            if (value is not null && !(name == "project" ? Project() : name == "apiVersion" ? Version() : Part()).IsMatch(value))
            {
                errors.Add(declaration.Error(name, $"'{value}' cannot stand in an address: expected 1 to 64 letters, digits or hyphens{(name == "project" ? ", dots, colons or underscores" : name == "apiVersion" ? " or dots" : "")}"));
            }
        }
    }

    private void Check(ProviderCredentialsDeclaration given, string scheme)
    {
        foreach (var (name, isGiven, owner) in (ReadOnlySpan<(string, bool, string)>)
        [
            ("json", given.Json is not null, ProviderAuth.Google), ("tenantId", given.TenantId is not null, ProviderAuth.Azure), ("clientId", given.ClientId is not null, ProviderAuth.Azure),
            ("clientSecret", given.ClientSecret is not null, ProviderAuth.Azure), ("authority", given.Authority is not null, ProviderAuth.Azure),
            ("accessKeyId", given.AccessKeyId is not null, ProviderAuth.Aws), ("secretAccessKey", given.SecretAccessKey is not null, ProviderAuth.Aws), ("sessionToken", given.SessionToken is not null, ProviderAuth.Aws),
        ])
        {
            if (isGiven && owner != scheme)
            {
                errors.Add(given.Error(name, $"belongs to 'auth: {owner}', but this provider has 'auth: {scheme}'; remove it"));
            }
        }
        if (scheme == ProviderAuth.Azure && given.ClientSecret is not null && (given.TenantId is null || given.ClientId is null))
        {
            errors.Add(given.Error(given.TenantId is null ? "tenantId" : "clientId", "is required beside 'clientSecret'"));
        }
        if (scheme == ProviderAuth.Aws && (given.AccessKeyId is null) != (given.SecretAccessKey is null))
        {
            errors.Add(given.Error(given.AccessKeyId is null ? "accessKeyId" : "secretAccessKey", "is required: an access key has an id and a secret"));
        }
        else if (scheme == ProviderAuth.Aws && given.AccessKeyId is null && given.SessionToken is not null)
        {
            errors.Add(given.Error("accessKeyId", "is required beside 'sessionToken'"));
        }
        if (given.Authority is { } authority && authority.Scheme != Uri.UriSchemeHttps && !authority.IsLoopback)
        {
            errors.Add(given.Error("authority", "expected an address that begins with https://"));
        }
        if (given.Json is { } json && TypeOf(json) is null)
        {
            errors.Add(given.Error("json", "expected the text of a Google credentials file, a JSON object with a 'type'; give it as ${file:/path}"));
        }
    }

    // The machine's own account is the operator's to lend, and so are the files and programs that an external account reads.
    private void RequireOwn(ProviderDeclaration declaration, ProviderCredentialsDeclaration? given, string scheme)
    {
        var problem = scheme switch
        {
            ProviderAuth.Google when given?.Json is not { } json || TypeOf(json) != "service_account" => "'json' with a service account",
            ProviderAuth.Azure when given?.ClientSecret is null => "'tenantId', 'clientId' and 'clientSecret'",
            ProviderAuth.Aws when given?.SecretAccessKey is null => "'accessKeyId' and 'secretAccessKey'",
            _ => null,
        };
        if (problem is not null)
        {
            errors.Add(declaration.Error("credentials", $"a provider of the admin API cannot use the account of the gateway's machine; give {problem}, or declare the provider in a file"));
        }
    }

    private static string? TypeOf(Secret json)
    {
        try
        {
            using var document = JsonDocument.Parse(json.Reveal());
            return document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("type", out var type) && type.ValueKind == JsonValueKind.String ? type.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    [GeneratedRegex("^[A-Za-z0-9-]{1,64}\\z")]
    private static partial Regex HeaderName();

    [GeneratedRegex("^[A-Za-z0-9-]{1,64}\\z")]
    private static partial Regex Part();

    [GeneratedRegex("^[A-Za-z0-9:._-]{1,64}\\z")]
    private static partial Regex Project();

    [GeneratedRegex("^[A-Za-z0-9.-]{1,32}\\z")]
    private static partial Regex Version();
}
