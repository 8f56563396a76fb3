using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>OpenAI's chat completions, and what the many providers that offer them added: reasoning, signatures, cache marks, more kinds of media.</summary>
internal sealed class OpenAiChatDialect : Dialect
{
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    /// <inheritdoc/>
    public override string Id => DialectIds.OpenAiChat;

    /// <inheritdoc/>
    public override IErrorFormat Errors => OpenAiErrorFormat.Instance;

    /// <inheritdoc/>
    public override IReadOnlyList<string> ForwardedHeaders => Forwarded;

    /// <inheritdoc/>
    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => RequestScanner.Scan(body, EndpointFamily.Chat, out fields);

    /// <inheritdoc/>
    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => BodyEdits.Add(fields, edit, edits);

    /// <inheritdoc/>
    public override GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request) => ChatRequestReader.Read(body, stream, out request);

    /// <inheritdoc/>
    protected override GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
    {
        ChatRequestWriter.Write(request, target, output);
        return null;
    }

    /// <inheritdoc/>
    public override StreamWatch NewWatch(string expectedModel) => new ChatStreamWatch(expectedModel);

    /// <inheritdoc/>
    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => CompletionReader.TryRead(body, EndpointFamily.Chat, expectedModel, out facts);

    /// <inheritdoc/>
    public override AnswerDecoder NewDecoder() => new ChatAnswerDecoder();

    /// <inheritdoc/>
    public override AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output) =>
        context.Stream ? new ChatStreamEncoder(context, output) : new ChatCompletionEncoder(context, output);

    /// <inheritdoc/>
    public override AnswerError ReadError(int status, ReadOnlySpan<byte> body) => ChatErrors.Read(status, body);
}
