using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>
/// Amazon Bedrock's Converse and ConverseStream (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html; the shapes as in aws/aws-sdk-js-v3's
/// client-bedrock-runtime). The model and whether a stream is wanted stand in the address.
/// </summary>
internal sealed class BedrockDialect : Dialect
{
    private BedrockDialect()
    {
    }

    /// <summary>The one instance.</summary>
    public static BedrockDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Id => DialectIds.Bedrock;

    /// <inheritdoc/>
    public override IErrorFormat Errors => BedrockErrorFormat.Instance;

    /// <inheritdoc/>
    public override string StreamType => "application/vnd.amazon.eventstream";

    /// <inheritdoc/>
    public override string? RequestIdHeader => "x-amzn-RequestId";

    /// <inheritdoc/>
    /// <remarks>Those of Claude; the other models sign nothing.</remarks>
    public override string? SignatureFamily => SignatureFamilies.Anthropic;

    /// <inheritdoc/>
    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => BedrockScanner.Scan(body, ref fields);

    /// <inheritdoc/>
    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => BedrockScanner.Edit(body, fields, edit, edits);

    /// <inheritdoc/>
    public override GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request) => BedrockRequestDecoder.Decode(body, stream, out request);

    /// <inheritdoc/>
    protected override GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) => new BedrockRequestEncoder(request, target, output).Run();

    /// <inheritdoc/>
    public override StreamFramer NewFramer(string type) => new AwsEventStreamFramer();

    /// <inheritdoc/>
    public override StreamWatch NewWatch(string expectedModel) => new BedrockStreamWatch();

    /// <inheritdoc/>
    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => BedrockFigures.TryReadAnswer(body, out facts);

    /// <inheritdoc/>
    public override AnswerDecoder NewDecoder() => new BedrockAnswerDecoder();

    /// <inheritdoc/>
    public override AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output) => new BedrockAnswerEncoder(context, output);

    /// <inheritdoc/>
    public override AnswerError ReadError(int status, ReadOnlySpan<byte> body) => BedrockErrors.Read(status, null, body);

    /// <inheritdoc/>
    public override AnswerError ReadErrorEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data) => AnthropicEvents.ReadError(name, data);
}
