using System.Buffers;
using System.Globalization;
using System.Text;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

/// <summary>OpenAI's Responses (<c>POST /v1/responses</c>), as openai-openapi 2.3.0 and the Open Responses specification describe them.</summary>
internal sealed class OpenAiResponsesDialect : Dialect
{
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    /// <inheritdoc/>
    public override string Id => DialectIds.OpenAiResponses;

    /// <inheritdoc/>
    public override IErrorFormat Errors => OpenAiErrorFormat.Instance;

    /// <inheritdoc/>
    public override IReadOnlyList<string> ForwardedHeaders => Forwarded;

    /// <inheritdoc/>
    public override string? SignatureFamily => SignatureFamilies.OpenAi;

    /// <inheritdoc/>
    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => ResponsesScanner.Scan(body, ref fields);

    /// <inheritdoc/>
    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        if (edit.Model is { } model && fields.Model.Exists)
        {
            edits.Add(fields.Model.Offset, fields.Model.Length, model);
        }
        if (edit.OutputLimit is not { } limit)
        {
            return;
        }
        var digits = limit.ToString(CultureInfo.InvariantCulture);
        var own = fields.MaxTokens;
        if (!own.Value.Exists)
        {
            edits.Add(fields.Model.End, 0, Encoding.ASCII.GetBytes(",\"max_output_tokens\":" + digits));
        }
        else if (own.Tokens is null || own.Tokens > limit)
        {
            edits.Add(own.Value.Offset, own.Value.Length, Encoding.ASCII.GetBytes(digits));
        }
    }

    /// <inheritdoc/>
    public override GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request) => ResponsesRequestReader.Read(body, stream, out request);

    /// <inheritdoc/>
    protected override GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) => ResponsesRequestWriter.Write(request, target, output);

    /// <inheritdoc/>
    public override StreamWatch NewWatch(string expectedModel) => new ResponsesStreamWatch(expectedModel);

    /// <inheritdoc/>
    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => ResponsesAnswerReader.TryRead(body, expectedModel, out facts);

    /// <inheritdoc/>
    public override AnswerDecoder NewDecoder() => new ResponsesAnswerDecoder();

    /// <inheritdoc/>
    public override AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output) => new ResponsesAnswerEncoder(context, output);

    /// <inheritdoc/>
    public override AnswerError ReadError(int status, ReadOnlySpan<byte> body) => ResponsesErrors.Read(status, body);
}
