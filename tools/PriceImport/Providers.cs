namespace PriceImport;

/// <summary>What the lists call the providers that the catalog has. A provider that stands here for no list is not imported from it.</summary>
internal static class Providers
{
    /// <summary>models.dev: the folder's name.</summary>
    /// <remarks>
    /// Subscription plans (their price per token is 0) and routers that pick a provider by themselves without saying at what price are left out.
    /// </remarks>
    public static readonly IReadOnlyDictionary<string, string> ModelsDev = new Dictionary<string, string>
    {
        ["alibaba"] = "alibaba",
        ["alibaba-cn"] = "alibaba-cn",
        ["amazon-bedrock"] = "bedrock",
        ["anthropic"] = "anthropic",
        ["azure"] = "azure",
        ["baseten"] = "baseten",
        ["berget"] = "berget",
        ["cerebras"] = "cerebras",
        ["chutes"] = "chutes",
        ["cloudflare-workers-ai"] = "cloudflare",
        ["cohere"] = "cohere",
        ["cortecs"] = "cortecs",
        ["databricks"] = "databricks",
        ["deepinfra"] = "deepinfra",
        ["deepseek"] = "deepseek",
        ["digitalocean"] = "digitalocean",
        ["fireworks-ai"] = "fireworks",
        ["friendli"] = "friendli",
        ["github-models"] = "github",
        ["gmicloud"] = "gmicloud",
        ["google"] = "gemini",
        ["google-vertex"] = "vertex",
        ["google-vertex-anthropic"] = "vertex",
        ["groq"] = "groq",
        ["inception"] = "inception",
        ["inference"] = "inference",
        ["io-net"] = "io-net",
        ["llama"] = "llama",
        ["minimax"] = "minimax",
        ["mistral"] = "mistral",
        ["moonshotai"] = "moonshot",
        ["moonshotai-cn"] = "moonshot-cn",
        ["morph"] = "morph",
        ["nebius"] = "nebius",
        ["novita-ai"] = "novita",
        ["nvidia"] = "nvidia",
        ["openai"] = "openai",
        ["openrouter"] = "openrouter",
        ["ovhcloud"] = "ovhcloud",
        ["perplexity"] = "perplexity",
        ["scaleway"] = "scaleway",
        ["siliconflow"] = "siliconflow",
        ["siliconflow-cn"] = "siliconflow-cn",
        ["stepfun"] = "stepfun",
        ["togetherai"] = "together",
        ["upstage"] = "upstage",
        ["v0"] = "v0",
        ["venice"] = "venice",
        ["vercel"] = "vercel",
        ["vultr"] = "vultr",
        ["wandb"] = "wandb",
        ["xai"] = "xai",
        ["xiaomi"] = "xiaomi",
        ["zai"] = "zai",
        ["zhipuai"] = "zhipuai",
    };

    /// <summary>genai-prices: the provider's <c>id</c>.</summary>
    public static readonly IReadOnlyDictionary<string, string> GenaiPrices = new Dictionary<string, string>
    {
        ["anthropic"] = "anthropic",
        ["avian"] = "avian",
        ["aws"] = "bedrock",
        ["azure"] = "azure",
        ["cerebras"] = "cerebras",
        ["cohere"] = "cohere",
        ["deepseek"] = "deepseek",
        ["doubleword"] = "doubleword",
        ["fireworks"] = "fireworks",
        ["google"] = "gemini",
        ["groq"] = "groq",
        ["minimax"] = "minimax",
        ["mistral"] = "mistral",
        ["moonshotai"] = "moonshot",
        ["novita"] = "novita",
        ["openai"] = "openai",
        ["openrouter"] = "openrouter",
        ["ovhcloud"] = "ovhcloud",
        ["perplexity"] = "perplexity",
        ["together"] = "together",
        ["voyageai"] = "voyage",
        ["x-ai"] = "xai",
        ["zai"] = "zai",
        ["zhipuai"] = "zhipuai",
    };

    /// <summary>
    /// genai-prices: providers of Hugging Face's router, which takes <c>model:provider</c> and charges the provider's price.
    /// </summary>
    public const string HuggingFacePrefix = "huggingface_";

    /// <summary>genai-prices: providers whose ids carry the region, so that its rules (<c>global.</c>, <c>regional.</c>) know more of an id than another list's name does.</summary>
    public static readonly IReadOnlySet<string> RulesAreNames = new HashSet<string> { "bedrock" };

    /// <summary>Lists that take a provider's prices from the provider's own machine-readable list, so that they are believed whatever their age.</summary>
    public static readonly IReadOnlyDictionary<string, string> VendorsOwn = new Dictionary<string, string> { ["bedrock"] = GenaiPricesList.Name };

    /// <summary>LiteLLM: <c>litellm_provider</c>.</summary>
    public static readonly IReadOnlyDictionary<string, string> LiteLlm = new Dictionary<string, string>
    {
        ["anthropic"] = "anthropic",
        ["azure"] = "azure",
        ["bedrock"] = "bedrock",
        ["bedrock_converse"] = "bedrock",
        ["cerebras"] = "cerebras",
        ["cohere"] = "cohere",
        ["cohere_chat"] = "cohere",
        ["dashscope"] = "alibaba",
        ["deepinfra"] = "deepinfra",
        ["deepseek"] = "deepseek",
        ["fireworks_ai"] = "fireworks",
        ["gemini"] = "gemini",
        ["groq"] = "groq",
        ["hyperbolic"] = "hyperbolic",
        ["mistral"] = "mistral",
        ["moonshot"] = "moonshot",
        ["nebius"] = "nebius",
        ["novita"] = "novita",
        ["nvidia_nim"] = "nvidia",
        ["openai"] = "openai",
        ["openrouter"] = "openrouter",
        ["perplexity"] = "perplexity",
        ["sambanova"] = "sambanova",
        ["together_ai"] = "together",
        ["vertex_ai-anthropic_models"] = "vertex",
        ["vertex_ai-embedding-models"] = "vertex",
        ["vertex_ai-language-models"] = "vertex",
        ["vertex_ai-llama_models"] = "vertex",
        ["vertex_ai-mistral_models"] = "vertex",
        ["voyage"] = "voyage",
        ["xai"] = "xai",
        ["zai"] = "zai",
    };
}
