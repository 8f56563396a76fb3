using LlmProxy.Routing;

namespace LlmProxy.Embeddings;

/// <summary>An endpoint of a vendor's own for vectors, which clients never call: calls of <c>/embeddings</c> are translated for it.</summary>
internal sealed class UpstreamEmbeddingFamily(string id, string path, string home) : UnreadFamily(id, path, "embeddings", "translating those of /embeddings")
{
    public override string HomeDialect => home;
}
