using System.Buffers;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Routing;
using LlmProxy.Usage;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>
/// InvokeModel with a body of whatever format the model has: it is relayed unread, to a provider that has the endpoint. What it used is known from the answer's headers, or from
/// the figures in a stream's last chunk (docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModel.html). A body in Anthropic's format has an endpoint of its own,
/// <see cref="EndpointFamily.Invoke"/>.
/// </summary>
internal sealed class BedrockInvokeFamily() : EndpointFamily("invoke", "", "chat")
{
    /// <summary>The header that names a guardrail.</summary>
    public const string GuardrailHeader = "x-amzn-bedrock-guardrailidentifier";

    /// <summary>The header that asks for a service tier.</summary>
    public const string TierHeader = "x-amzn-bedrock-service-tier";

    private static readonly byte[][] VersionName = ["anthropic_version"u8.ToArray()];

    /// <summary>Those of the client's headers that go up to Bedrock.</summary>
    public static IReadOnlyList<string> Forwarded { get; } = [GuardrailHeader, "x-amzn-bedrock-guardrailversion", "x-amzn-bedrock-trace", "x-amzn-bedrock-performanceconfig-latency", TierHeader];

    public override string HomeDialect => DialectIds.Bedrock;

    public override IErrorFormat Errors => BedrockErrorFormat.Instance;

    public override IReadOnlyList<string> ForwardedHeaders => Forwarded;

    public override EndpointFamily For(ReadOnlySpan<byte> body)
    {
        Span<bool> present = stackalloc bool[1];
        try
        {
            RequestScanner.FindMembers(body, VersionName, present);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Not ours to read: whoever has the model says what is wrong with it.
        }
        return present[0] ? Invoke! : this;
    }

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        fields.UnboundedMember ??= "body (its format is not read)";
        return null;
    }

    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
    }

    public override StreamFramer NewFramer(string type) => new AwsEventStreamFramer();

    public override StreamWatch NewWatch(string expectedModel) => new AnyWatch();

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts)
    {
        facts = default;
        return true;
    }

    public override TokenUsage? UsageIn(HttpResponseHeaders headers)
    {
        var (input, output) = (CountIn(headers, "x-amzn-bedrock-input-token-count"), CountIn(headers, "x-amzn-bedrock-output-token-count"));
        return input is null && output is null ? null : new TokenUsage
        {
            Input = input ?? 0,
            CacheRead = CountIn(headers, "x-amzn-bedrock-cache-read-input-token-count") ?? 0,
            CacheWrite = CountIn(headers, "x-amzn-bedrock-cache-write-input-token-count") ?? 0,
            Output = output ?? 0,
        };
    }

    private static long? CountIn(HttpResponseHeaders headers, string name) =>
        headers.NonValidated.TryGetValues(name, out var values) && long.TryParse(values.ToString(), NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count <= 1_000_000_000_000 ? count : null;

    /// <summary>Watches a stream of chunks of any format. It has no last event: it is complete when the connection ends between two of them.</summary>
    private sealed class AnyWatch : StreamWatch
    {
        private byte[] data = [];

        public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
        {
            if (BedrockStreamWatch.IsFailure(name))
            {
                return ChunkKind.Error;
            }
            if (!name.SequenceEqual(BedrockChunks.Name))
            {
                return name.IsEmpty ? ChunkKind.Garbage : ChunkKind.Lifecycle;
            }
            ContentBegun = Finished = true;
            if (BedrockChunks.TryRead(data, ref this.data, out var length) && this.data.AsSpan(0, length) is var held && held.IndexOf("\"amazon-bedrock-invocationMetrics\""u8) >= 0)
            {
                ReadMetrics(held);
            }
            return ChunkKind.Content;
        }

        public override void WriteError(GatewayError error, IBufferWriter<byte> output) => BedrockErrors.WriteException(output, error.Status, error.Message);

        private void ReadMetrics(ReadOnlySpan<byte> held)
        {
            try
            {
                for (var members = new SpanMembers(held); members.Next();)
                {
                    if (members.Is("amazon-bedrock-invocationMetrics"u8))
                    {
                        Usage = BedrockFigures.TryReadMetrics(members.Value, out var tokens) ? tokens : Usage;
                    }
                }
            }
            catch (JsonException)
            {
                // No JSON, so that there are no figures.
            }
        }
    }
}
