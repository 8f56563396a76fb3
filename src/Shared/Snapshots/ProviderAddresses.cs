using System.Collections.Immutable;

namespace Shared.Snapshots;

/// <summary>Where an endpoint of a provider is: whole addresses, in which <c>{model}</c> stands for the model, percent-encoded.</summary>
/// <param name="Template">The address.</param>
/// <param name="StreamTemplate">That of its streams where it is another one.</param>
/// <param name="Auth">The scheme by which it wants the provider's key where that is another one than elsewhere: see <see cref="ProviderAuth"/>.</param>
public sealed record EndpointAddress(string Template, string? StreamTemplate = null, string? Auth = null)
{
    /// <summary>The address for a model.</summary>
    public Uri For(string model, bool stream) =>
        new((stream ? StreamTemplate ?? Template : Template).Replace("{model}", Uri.EscapeDataString(model), StringComparison.Ordinal));
}

/// <summary>How a provider wants its credential.</summary>
/// <param name="Scheme">One of the constants here, or the name of the header that carries the key as it is.</param>
public sealed record ProviderAuth(string Scheme)
{
    /// <summary><c>Authorization: Bearer</c> and the key.</summary>
    public const string Bearer = "bearer";

    /// <summary>No credential.</summary>
    public const string None = "none";

    /// <summary>A short-lived token of Google's.</summary>
    public const string Google = "google";

    /// <summary>A short-lived token of Microsoft Entra's.</summary>
    public const string Azure = "azure";

    /// <summary>A key as bearer token where there is one, else a signature (AWS Signature Version 4) over the request.</summary>
    public const string Aws = "aws";

    /// <summary>The schemes that are no header's name.</summary>
    internal static ImmutableArray<string> Schemes { get; } = [Bearer, None, Google, Azure, Aws];
}

/// <summary>Puts addresses of endpoints together.</summary>
public static class ProviderAddresses
{
    private static readonly string[] OpenAi =
    [
        "chat", "completions", "embeddings", "moderations", "rerank", "images.generate", "images.edit", "images.variations", "audio.speech", "audio.transcriptions", "audio.translations", "files",
        "batches", "realtime",
    ];

    /// <summary>The ids of all endpoints that a provider can have.</summary>
    public static IReadOnlyCollection<string> All => [.. ProviderCatalog.Instance.Paths.Keys];

    /// <summary>The endpoints of a provider of which nothing else is known.</summary>
    /// <param name="dialect">The format that it speaks.</param>
    public static IReadOnlyList<string> UsualOf(string dialect) => dialect switch
    {
        "openai-responses" => ["responses"],
        "anthropic" => ["messages", "count_tokens"],
        "gemini" => ["generate", "count", "embed", "batch_embed"],
        "bedrock" => ["converse", "invoke"],
        "anthropic-bedrock" => ["invoke"],
        "anthropic-vertex" => ["raw_predict"],
        _ => OpenAi,
    };

    /// <summary>The addresses of endpoints.</summary>
    /// <param name="baseUrl">The provider's address, no slash at its end.</param>
    /// <param name="endpoints">Its endpoints.</param>
    /// <param name="paths">Those that are not where their format has them: a path below the address, or a whole address; behind a bar, that of its streams.</param>
    public static ImmutableDictionary<string, EndpointAddress> Of(string baseUrl, IEnumerable<string> endpoints, params ReadOnlySpan<IReadOnlyDictionary<string, string>> paths) =>
        Of(baseUrl, endpoints, ImmutableDictionary<string, string>.Empty, paths);

    internal static ImmutableDictionary<string, EndpointAddress> Of(
        string baseUrl, IEnumerable<string> endpoints, IReadOnlyDictionary<string, string> auth, params ReadOnlySpan<IReadOnlyDictionary<string, string>> paths)
    {
        var addresses = ImmutableDictionary.CreateBuilder<string, EndpointAddress>(StringComparer.Ordinal);
        foreach (var endpoint in endpoints)
        {
            var path = ProviderCatalog.Instance.Paths.GetValueOrDefault(endpoint);
            foreach (var given in paths)
            {
                path = given.GetValueOrDefault(endpoint) ?? path;
            }
            if (path is not null)
            {
                var (one, other) = path.Split('|', 2, StringSplitOptions.TrimEntries) is [var plain, var streams] ? (plain, streams) : (path, null);
                addresses[endpoint] = new EndpointAddress(Join(baseUrl, one), other is null ? null : Join(baseUrl, other), auth.GetValueOrDefault(endpoint));
            }
        }
        return addresses.ToImmutable();
    }

    private static string Join(string baseUrl, string path) => path.Contains("://", StringComparison.Ordinal) ? path : baseUrl.TrimEnd('/') + "/" + path.TrimStart('/');
}
