using Shared.Snapshots;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>
/// What a provider of this dialect makes of members beyond those that all of them have, as the catalog of providers says. OpenAI, and those that check as it does, refuse a request that
/// holds a member they do not know, so what comes from another dialect is written for them only as they document it. Requests that were written in this dialect keep all their members,
/// whatever the provider.
/// </summary>
internal readonly struct ChatProvider(Provider provider)
{
    private readonly ProviderQuirks quirks = provider.Quirks;

    /// <summary>Whether it is OpenAI itself, or OpenAI's models at Azure: <c>store</c>, <c>metadata</c>, <c>service_tier</c>, <c>verbosity</c>, <c>prompt_cache_key</c>.</summary>
    public bool IsOpenAi => (quirks & ProviderQuirks.OpenAiMembers) != 0;

    /// <summary>Whether it is OpenRouter, or a gateway like it, which takes <c>cache_control</c>, <c>reasoning_details</c> and URLs of files.</summary>
    public bool IsOpenRouter => (quirks & ProviderQuirks.OpenRouterMembers) != 0;

    /// <summary>Whether it refuses members that it does not know.</summary>
    public bool IsStrict => (quirks & ProviderQuirks.Strict) != 0;

    /// <summary>Whether it takes the thoughts of earlier turns as <c>reasoning_content</c>; several refuse a tool's result without them.</summary>
    public bool TakesThoughts => !IsStrict;

    /// <summary>Whether it takes marks of the prompt cache on parts and tools.</summary>
    public bool TakesCacheMarks => (quirks & (ProviderQuirks.OpenRouterMembers | ProviderQuirks.CacheMarks)) != 0;

    /// <summary>Whether it takes <c>top_k</c>.</summary>
    public bool TakesTopK => !IsStrict;

    /// <summary>Whether it takes what Google's models sign.</summary>
    public bool TakesGoogleSignatures => !IsStrict;
}
