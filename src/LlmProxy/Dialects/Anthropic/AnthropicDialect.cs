using System.Buffers;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Where Anthropic's models are hosted: the body differs in a few members, all else is the same.</summary>
internal enum AnthropicHost
{
    /// <summary>Anthropic's own API, and what is compatible with it: <c>POST /v1/messages</c>.</summary>
    Anthropic,

    /// <summary>
    /// Google Vertex AI: <c>:rawPredict</c> and <c>:streamRawPredict</c>. The model stands in the address, <c>anthropic_version: vertex-2023-10-16</c> in the body.
    /// </summary>
    Vertex,

    /// <summary>
    /// Amazon Bedrock's InvokeModel: <c>/model/{model}/invoke</c> and <c>/invoke-with-response-stream</c>. The model and whether to stream stand in the address,
    /// <c>anthropic_version: bedrock-2023-05-31</c> in the body, and <c>anthropic_beta</c> there, too.
    /// </summary>
    BedrockInvoke,
}

/// <summary>Anthropic's Messages API.</summary>
/// <remarks>Source of the wire format: the types of <c>anthropics/anthropic-sdk-typescript</c> (<c>src/resources/messages</c>, <c>src/resources/beta/messages</c>), read 2026-11-23.</remarks>
internal sealed class AnthropicDialect(AnthropicHost host = AnthropicHost.Anthropic) : Dialect
{
    /// <summary>The version of the API that is spoken where nobody says another.</summary>
    public const string Version = "2023-06-01";

    private static readonly string[] Forwarded = ["anthropic-version", "anthropic-beta", "idempotency-key"];

    private static readonly KeyValuePair<string, string>[] Required = [new("anthropic-version", Version)];

    /// <summary>The dialect as Anthropic's own API speaks it.</summary>
    public static AnthropicDialect Instance { get; } = new();

    /// <summary>The dialect as Vertex AI speaks it.</summary>
    public static AnthropicDialect Vertex { get; } = new(AnthropicHost.Vertex);

    /// <summary>The dialect as Bedrock's InvokeModel speaks it.</summary>
    public static AnthropicDialect BedrockInvoke { get; } = new(AnthropicHost.BedrockInvoke);

    /// <summary>Who hosts the models.</summary>
    public AnthropicHost Host => host;

    public override string Id => host switch { AnthropicHost.Vertex => DialectIds.AnthropicVertex, AnthropicHost.BedrockInvoke => DialectIds.AnthropicBedrock, _ => DialectIds.Anthropic };

    public override string Format => DialectIds.Anthropic;

    public override string Home => host == AnthropicHost.BedrockInvoke ? DialectIds.Bedrock : Id;

    public override IErrorFormat Errors => host == AnthropicHost.BedrockInvoke ? BedrockErrorFormat.Instance : AnthropicErrorFormat.Instance;

    public override string StreamType => host == AnthropicHost.BedrockInvoke ? BedrockDialect.Instance.StreamType : base.StreamType;

    public override IReadOnlyList<string> ForwardedHeaders => host == AnthropicHost.BedrockInvoke ? BedrockInvokeFamily.Forwarded : Forwarded;

    public override IReadOnlyList<KeyValuePair<string, string>> RequiredHeaders => host == AnthropicHost.Anthropic ? Required : [];

    public override string? RequestIdHeader => host == AnthropicHost.BedrockInvoke ? BedrockDialect.Instance.RequestIdHeader : "request-id";

    public override string? SignatureFamily => SignatureFamilies.Anthropic;

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        var isStream = fields.Stream;
        var error = AnthropicScanner.Scan(body, modelInAddress: host != AnthropicHost.Anthropic, ref fields);
        fields.Stream = host == AnthropicHost.BedrockInvoke ? isStream : fields.Stream; // which the address alone tells there
        return error;
    }

    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => AnthropicEdits.Add(body, host, fields, edit, edits);

    public override GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request) => AnthropicRequestDecoder.Decode(body, stream, out request, host);

    protected override GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) => new AnthropicRequestEncoder(request, target, host).Encode(output);

    public override StreamFramer NewFramer(string type) => host == AnthropicHost.BedrockInvoke ? new BedrockChunkFramer() : base.NewFramer(type);

    public override StreamWatch NewWatch(string expectedModel) => host == AnthropicHost.BedrockInvoke ? new BedrockInvokeWatch(expectedModel) : new AnthropicStreamWatch(expectedModel);

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => AnthropicAnswerReader.TryRead(body, expectedModel, out facts);

    public override AnswerDecoder NewDecoder() => new AnthropicAnswerDecoder();

    public override AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output) =>
        !context.Stream ? new AnthropicBodyEncoder(context, output)
        : host == AnthropicHost.BedrockInvoke ? new BedrockChunkEncoder(context, output)
        : new AnthropicStreamEncoder(context, output);

    public override AnswerError ReadError(int status, ReadOnlySpan<byte> body) =>
        host == AnthropicHost.BedrockInvoke ? BedrockErrors.Read(status, null, body) : AnthropicErrors.Read(status, body);

    public override AnswerError ReadErrorEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data) => AnthropicEvents.ReadError(name, data);

    public override void WriteEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IBufferWriter<byte> output)
    {
        if (host == AnthropicHost.BedrockInvoke)
        {
            BedrockChunks.Write(output, data);
        }
        else
        {
            AnthropicEvents.Write(name, data, output);
        }
    }
}
