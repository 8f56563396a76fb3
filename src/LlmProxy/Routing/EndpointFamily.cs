using LlmProxy.ChatCompletions;
using LlmProxy.Completions;
using LlmProxy.Embeddings;
using LlmProxy.Moderations;

namespace LlmProxy.Routing;

/// <summary>What tells one endpoint's calls from another's: where they go, which members route and bill them, and what is billed.</summary>
internal sealed class EndpointFamily
{
    private EndpointFamily(int index, string id, string path, string operation)
    {
        (Index, Id, Path, Operation) = (index, id, path, operation);
    }

    /// <summary>Recognises a top-level member by its name, UTF-8 without escapes.</summary>
    /// <param name="name">The name as it was written.</param>
    /// <param name="text">The name for messages; "" for a member that is not recognised.</param>
    public delegate RequestMember Recogniser(ReadOnlySpan<byte> name, out string text);

    /// <summary><c>/chat/completions</c>.</summary>
    public static EndpointFamily Chat { get; } = new(0, "chat", "/chat/completions", "chat") { Recognise = MemberNames.RecogniseChat, Member = "choices"u8.ToArray(), HasOutput = true };

    /// <summary><c>/completions</c>, OpenAI's older text completions.</summary>
    public static EndpointFamily Completions { get; } =
        new(1, "completions", "/completions", "text_completion") { Recognise = CompletionMembers.Recognise, Member = "choices"u8.ToArray(), HasOutput = true, UsualOutputTokens = CompletionMembers.UsualOutputTokens };

    /// <summary><c>/embeddings</c>.</summary>
    public static EndpointFamily Embeddings { get; } = new(2, "embeddings", "/embeddings", "embeddings") { Recognise = EmbeddingMembers.Recognise, Member = "data"u8.ToArray() };

    /// <summary><c>/moderations</c>.</summary>
    public static EndpointFamily Moderations { get; } = new(3, "moderations", "/moderations", "moderation") { Recognise = ModerationMembers.Recognise, Member = "results"u8.ToArray() };

    /// <summary>All of them, by <see cref="Index"/>.</summary>
    public static IReadOnlyList<EndpointFamily> All { get; } = [Chat, Completions, Embeddings, Moderations];

    /// <summary>Its place among the others, from 0.</summary>
    public int Index { get; }

    /// <summary>Its name in the configuration.</summary>
    public string Id { get; }

    /// <summary>Its path below a provider's address, and below <c>/v1</c> here.</summary>
    public string Path { get; }

    /// <summary>Its <c>gen_ai.operation.name</c>.</summary>
    public string Operation { get; }

    public required Recogniser Recognise { get; init; }

    /// <summary>The member that tells an answer from an error, UTF-8.</summary>
    public required byte[] Member { get; init; }

    /// <summary>Whether output is billed, and so needs a limit. Where it is not, only input counts.</summary>
    public bool HasOutput { get; init; }

    /// <summary>The output limit that a request without one gets under a hard budget, whatever the model; null: the model's maximum.</summary>
    public long? UsualOutputTokens { get; init; }
}
