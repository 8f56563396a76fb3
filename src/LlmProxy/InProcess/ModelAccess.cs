using LlmProxy.Routing;
using Microsoft.Extensions.AI;
using Shared.Http;
using Shared.Models;

namespace LlmProxy.InProcess;

/// <summary>Leads callers within the process to the same endpoints as those outside.</summary>
internal sealed class ModelAccess(ModelEndpoint endpoint) : IModelAccess
{
    public IChatClient Chat(GatewayRequest caller, string model) => new GatewayChatClient(endpoint, caller, model);

    public IEmbeddingGenerator<string, Embedding<float>> Embeddings(GatewayRequest caller, string model) => new GatewayEmbeddings(endpoint, caller, model);
}
