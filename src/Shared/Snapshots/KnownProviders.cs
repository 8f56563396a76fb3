using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>A provider that is known by name: where it is and how it differs from OpenAI's own endpoint.</summary>
/// <param name="Id">Its id.</param>
/// <param name="KeyVariable">The environment variable that usually holds its key; null: it takes none.</param>
/// <param name="BaseUrl">Its address.</param>
/// <param name="Documentation">Where its endpoint is described.</param>
internal sealed record KnownProvider(string Id, string? KeyVariable, string BaseUrl, string Documentation)
{
    /// <summary>The member by which it takes an output limit.</summary>
    public string OutputLimitMember { get; init; } = "max_tokens";

    /// <summary>Whether it takes <c>stream_options.include_usage</c>; those that do not send usage in any case.</summary>
    public bool StreamUsage { get; init; } = true;

    /// <summary>The environment variable that replaces its address.</summary>
    public string? AddressVariable { get; init; }

    /// <summary>The endpoints it has below its address: <c>chat</c>, <c>completions</c>, <c>embeddings</c>, <c>moderations</c>; null: all of them, or nobody knows.</summary>
    public string[]? Endpoints { get; init; }

    /// <summary>Models it is known to have.</summary>
    public string[] Models { get; init; } = [];
}

/// <summary>The providers that are found from their usual environment variables when no file declares them.</summary>
internal static class KnownProviders
{
    /// <summary>The id of the built-in provider that answers offline.</summary>
    public const string SimulatorId = "simulator";

    private const string NewOutputLimit = "max_completion_tokens";

    private static readonly string[] Texts = ["chat", "completions", "embeddings"];

    /// <summary>All of them.</summary>
    public static IReadOnlyList<KnownProvider> All { get; } =
    [
        new("openai", "OPENAI_API_KEY", "https://api.openai.com/v1", "https://platform.openai.com/docs/api-reference/chat")
        {
            OutputLimitMember = NewOutputLimit, AddressVariable = "OPENAI_BASE_URL", Models = ["gpt-5.4", "gpt-5.4-mini", "gpt-4.1", "gpt-4.1-mini", "gpt-4o", "gpt-4o-mini"],
        },
        new("openrouter", "OPENROUTER_API_KEY", "https://openrouter.ai/api/v1", "https://openrouter.ai/docs/api-reference/chat-completion") { Endpoints = Texts },
        new("groq", "GROQ_API_KEY", "https://api.groq.com/openai/v1", "https://console.groq.com/docs/api-reference")
        {
            Endpoints = ["chat"], OutputLimitMember = NewOutputLimit, Models = ["llama-3.3-70b-versatile", "llama-3.1-8b-instant", "openai/gpt-oss-120b", "openai/gpt-oss-20b"],
        },
        new("mistral", "MISTRAL_API_KEY", "https://api.mistral.ai/v1", "https://docs.mistral.ai/api/")
        {
            Endpoints = ["chat", "embeddings", "moderations"], StreamUsage = false, Models = ["mistral-large-latest", "mistral-medium-latest", "mistral-small-latest", "codestral-latest"],
        },
        new("deepseek", "DEEPSEEK_API_KEY", "https://api.deepseek.com/v1", "https://api-docs.deepseek.com/") { Endpoints = ["chat"], Models = ["deepseek-chat", "deepseek-reasoner"] },
        new("xai", "XAI_API_KEY", "https://api.x.ai/v1", "https://docs.x.ai/docs/api-reference") { Endpoints = Texts, OutputLimitMember = NewOutputLimit, Models = ["grok-4.3"] },
        new("together", "TOGETHER_API_KEY", "https://api.together.xyz/v1", "https://docs.together.ai/reference/chat-completions") { Endpoints = Texts },
        new("fireworks", "FIREWORKS_API_KEY", "https://api.fireworks.ai/inference/v1", "https://docs.fireworks.ai/api-reference/post-chatcompletions") { Endpoints = Texts },
        new("cerebras", "CEREBRAS_API_KEY", "https://api.cerebras.ai/v1", "https://inference-docs.cerebras.ai/api-reference/chat-completions")
        {
            Endpoints = ["chat", "completions"], OutputLimitMember = NewOutputLimit, Models = ["gpt-oss-120b"],
        },
        new("perplexity", "PERPLEXITY_API_KEY", "https://api.perplexity.ai", "https://docs.perplexity.ai/api-reference/chat-completions-post") { Endpoints = ["chat"], StreamUsage = false },
        new("nvidia", "NVIDIA_API_KEY", "https://integrate.api.nvidia.com/v1", "https://docs.api.nvidia.com/nim/reference/llm-apis") { Endpoints = Texts },
        new("ollama", null, "http://127.0.0.1:11434/v1", "https://docs.ollama.com/openai") { Endpoints = Texts, AddressVariable = "OLLAMA_HOST" },
        new("gemini", "GEMINI_API_KEY", "https://generativelanguage.googleapis.com/v1beta/openai", "https://ai.google.dev/gemini-api/docs/openai")
        {
            Endpoints = ["chat", "embeddings"], Models = ["gemini-2.5-pro", "gemini-2.5-flash", "gemini-2.5-flash-lite"],
        },
    ];

    /// <summary>The known provider of an id, or null.</summary>
    public static KnownProvider? Find(string id) => All.FirstOrDefault(provider => provider.Id == id);

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
        var key = Read(environment, known.KeyVariable);
        var address = Read(environment, known.AddressVariable);
        if (key is null && address is null)
        {
            return null;
        }
        var url = known.Id == "ollama" && address is not null ? OllamaAddress(address) : address ?? known.BaseUrl;
        if (!Uri.TryCreate(url, UriKind.Absolute, out var uri) || (uri.Scheme != Uri.UriSchemeHttp && uri.Scheme != Uri.UriSchemeHttps))
        {
            errors.Add(new ConfigError("environment", 0, 0, known.AddressVariable!, "expected an address that begins with http:// or https://"));
            return null;
        }
        return new ProviderDeclaration { BaseUrl = uri, ApiKey = key is null ? null : new Secret(key) };
    }

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
