using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Errors;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Routing;

/// <summary>An endpoint whose calls go another way than those of models that generate text: targets and telemetry know it, and the pipeline never reads a body for it.</summary>
/// <param name="id">Its name in the configuration.</param>
/// <param name="path">Its path for clients, below <c>/v1</c>.</param>
/// <param name="operation">Its <c>gen_ai.operation.name</c>.</param>
/// <param name="way">Who makes its calls, for whoever finds that the pipeline does.</param>
internal abstract class UnreadFamily(string id, string path, string operation, string way) : EndpointFamily(id, path, operation)
{
    public override IErrorFormat Errors => OpenAiErrorFormat.Instance;

    public override IReadOnlyList<string> ForwardedHeaders => [];

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => throw NotHere();

    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => throw NotHere();

    public override StreamFramer NewFramer(string type) => new SseFramer();

    public override StreamWatch NewWatch(string expectedModel) => throw NotHere();

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => throw NotHere();

    private InvalidOperationException NotHere() => new($"Calls of the endpoint '{Id}' are made by {way}.");
}
