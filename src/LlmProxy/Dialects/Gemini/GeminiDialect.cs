using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Google's <c>generateContent</c> and <c>streamGenerateContent</c>, as AI Studio and Vertex AI have them alike (googleapis/js-genai:src/types.ts; ai.google.dev/api/generate-content).
/// The model and whether a stream is wanted stand in the address: <see cref="GeminiPath"/>.
/// </summary>
internal sealed class GeminiDialect : Dialect
{
    private GeminiDialect()
    {
    }

    /// <summary>The one instance.</summary>
    public static GeminiDialect Instance { get; } = new();

    /// <inheritdoc/>
    public override string Id => DialectIds.Gemini;

    /// <inheritdoc/>
    public override IErrorFormat Errors => GeminiErrorFormat.Instance;

    /// <inheritdoc/>
    public override string? SignatureFamily => SignatureFamilies.Google;

    /// <inheritdoc/>
    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => GeminiScan.Scan(body, ref fields);

    /// <inheritdoc/>
    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => GeminiScan.Edit(body, fields, edit, edits);

    /// <inheritdoc/>
    public override GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request) => GeminiRequestDecoder.Decode(body, stream, out request);

    /// <inheritdoc/>
    protected override GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) => GeminiRequestEncoder.Encode(request, target, output);

    /// <inheritdoc/>
    public override StreamFramer NewFramer(string type) =>
        type.StartsWith("application/json", StringComparison.OrdinalIgnoreCase) ? new GeminiArrayFramer() : new SseFramer();

    /// <inheritdoc/>
    public override StreamWatch NewWatch(string expectedModel) => new GeminiWatch(expectedModel);

    /// <inheritdoc/>
    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts)
    {
        facts = default;
        var (chunk, usage) = (new GeminiChunk(), new GeminiUsage());
        if (!GeminiChunk.TryRead(body, ref chunk, ref usage, expectedModel))
        {
            return false;
        }
        facts = new CompletionFacts
        {
            Usage = usage.HasCounts ? usage.Disjoint() : null,
            ServiceTier = usage.ServiceTier,
            Model = chunk.Model,
            IsError = chunk.HasError && !chunk.HasCandidates,
        };
        return true;
    }

    /// <inheritdoc/>
    public override AnswerDecoder NewDecoder() => new GeminiAnswerDecoder();

    /// <inheritdoc/>
    public override AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output) => new GeminiAnswerEncoder(context, output);

    /// <inheritdoc/>
    public override AnswerError ReadError(int status, ReadOnlySpan<byte> body) => GeminiErrorReader.Read(status, body);
}
