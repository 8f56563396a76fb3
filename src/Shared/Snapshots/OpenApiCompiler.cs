using System.Collections.Immutable;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles what a manifest says of a web API that an OpenAPI document describes.</summary>
internal sealed class OpenApiCompiler(ICollection<ConfigError> errors)
{
    /// <summary>What the transport is called.</summary>
    public const string Transport = "openapi";

    /// <summary>Members of <c>upstream</c> that have a meaning for this transport alone.</summary>
    public static readonly string[] Members = ["document", "baseUrl", "serverVariables", "credentials", "operations", "refresh"];

    private static readonly string[] Limits = ["maxResultBytes", "maxDocumentBytes"];
    private static readonly string[] Methods = ["GET", "PUT", "POST", "DELETE", "OPTIONS", "HEAD", "PATCH"];

    /// <summary>The source; null where the manifest is none of an OpenAPI document.</summary>
    public OpenApiSource? Compile(ManifestDeclaration declaration)
    {
        var upstream = declaration.Upstream;
        if ((upstream.Transport ?? (upstream.Command is null && upstream.Url is null && upstream.Document is not null ? Transport : "")) != Transport)
        {
            foreach (var limit in Limits.Where(limit => (upstream.Limits.Node as ConfigMapping)?.Find(limit) is not null))
            {
                errors.Add(upstream.Limits.Error(limit, $"has a meaning for the transport {Transport} only"));
            }
            return null;
        }
        var document = upstream.Document ?? "";
        var url = AddressOf(document, upstream);
        if (url is null && declaration.FromAdminApi)
        {
            errors.Add(upstream.Error("document", "the admin API may not read files of this machine; give an http or https address, or declare the server in a file"));
        }
        CheckBase(upstream);
        return new OpenApiSource
        {
            Document = url?.AbsoluteUri ?? (declaration.FromAdminApi ? "" : PathOf(document, declaration)),
            DocumentUrl = url,
            BaseUrl = upstream.BaseUrl,
            ServerVariables = upstream.ServerVariables.ToImmutableDictionary(),
            Credentials = upstream.Credentials.ToImmutableDictionary(pair => pair.Key, pair => Credential(pair.Key, pair.Value)),
            Include = [.. upstream.Operations.Include.Select(Rule)],
            Exclude = [.. upstream.Operations.Exclude.Select(Rule)],
            OmitsDeprecated = upstream.Operations.Deprecated == DeprecatedOperations.Omit,
            HasOutputSchemas = upstream.Operations.OutputSchemas,
            MaxResultBytes = (int)upstream.Limits.MaxResultBytes.Bytes,
            MaxDocumentBytes = (int)upstream.Limits.MaxDocumentBytes.Bytes,
            Refresh = upstream.Refresh,
        };
    }

    private Uri? AddressOf(string document, ManifestUpstream upstream)
    {
        if (!document.Contains("://", StringComparison.Ordinal))
        {
            return null;
        }
        if (Uri.TryCreate(document, UriKind.Absolute, out var url) && (url.Scheme == Uri.UriSchemeHttps || url.Scheme == Uri.UriSchemeHttp) && url.UserInfo.Length == 0)
        {
            return url;
        }
        errors.Add(upstream.Error("document", "expected the path of a file, or an http or https address without a user"));
        return null;
    }

    private static string PathOf(string document, ManifestDeclaration declaration)
    {
        try
        {
            return Path.GetFullPath(document, Path.GetDirectoryName(Path.GetFullPath(declaration.Node?.File is { Length: > 0 } file ? file : "manifest.yaml"))!);
        }
        catch (ArgumentException)
        {
            // A text that can be no path is found missing when it is read.
            return document;
        }
    }

    private void CheckBase(ManifestUpstream upstream)
    {
        if (upstream.BaseUrl is not { } url)
        {
            return;
        }
        if (!url.IsAbsoluteUri || (url.Scheme != Uri.UriSchemeHttps && url.Scheme != Uri.UriSchemeHttp) || url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            errors.Add(upstream.Error("baseUrl", "expected an http or https address without user, query and fragment, such as https://api.example.com/v1"));
        }
    }

    private OpenApiCredential Credential(string scheme, ManifestCredential credential)
    {
        if (credential.Secret is null == credential.Username is null || (credential.Password is not null && credential.Username is null))
        {
            errors.Add(credential.Error("", $"the credential of '{scheme}' is either a secret (a key or a token) or a username with a password"));
        }
        if (!Names.CanBeSent(credential.Secret))
        {
            errors.Add(credential.Error("secret", "holds a line break or another character that a header cannot carry"));
        }
        return new OpenApiCredential(credential.Secret?.Reveal(), credential.Username?.Reveal(), credential.Password?.Reveal());
    }

    private OperationRule Rule(ManifestOperationRule rule)
    {
        foreach (var method in rule.Method.Where(method => !Methods.Contains(method.ToUpperInvariant())))
        {
            errors.Add(rule.Error("method", $"unknown method '{method}'; {Nearest.Hint(method.ToUpperInvariant(), Methods)}"));
        }
        if (rule.Method.Count == 0 && rule.Tag.Count == 0 && rule.Path is null)
        {
            errors.Add(rule.Error("", "says nothing; give a method, a tag or a path"));
        }
        return new OperationRule([.. rule.Method.Select(method => method.ToUpperInvariant())], [.. rule.Tag], rule.Path);
    }
}
