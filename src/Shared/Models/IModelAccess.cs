using Microsoft.Extensions.AI;
using Shared.Http;

namespace Shared.Models;

/// <summary>
/// The gateway's models for a caller, in process: the same names, grants, admission, fallback and ledger as over <c>/v1</c>. What goes wrong is a <see cref="ModelCallException"/>.
/// </summary>
public interface IModelAccess
{
    /// <summary>A client that chats with a model.</summary>
    /// <param name="caller">Who asks; its key pays. It is used for as long as the client is.</param>
    /// <param name="model">The model, unless a call's options name another: a route, or <c>provider/model</c>.</param>
    IChatClient Chat(GatewayRequest caller, string model);

    /// <summary>A generator of embeddings.</summary>
    /// <param name="caller">Who asks; its key pays. It is used for as long as the generator is.</param>
    /// <param name="model">The model, unless a call's options name another: a route, or <c>provider/model</c>.</param>
    IEmbeddingGenerator<string, Embedding<float>> Embeddings(GatewayRequest caller, string model);
}

/// <summary>A call of a model that was refused or failed: what a caller over HTTP would have been told.</summary>
/// <param name="status">The HTTP status that it would have been.</param>
/// <param name="code">A short code, e.g. <c>model_not_found</c> or <c>budget_exceeded</c>.</param>
/// <param name="message">What is wrong and how to mend it.</param>
public sealed class ModelCallException(int status, string code, string message) : Exception(message)
{
    /// <summary>The HTTP status that it would have been.</summary>
    public int Status { get; } = status;

    /// <summary>A short code.</summary>
    public string Code { get; } = code;

    /// <summary>The request member at fault; null: not said.</summary>
    public string? Field { get; init; }

    /// <summary>When to try again; null: not said.</summary>
    public TimeSpan? RetryAfter { get; init; }
}
