using System.Text.Json;

namespace TestSupport;

/// <summary>
/// One vendor's endpoints on a loopback port, in the vendor's own format: at its real paths it plays traffic, or scripted replies in their order;
/// elsewhere it answers 404 as the vendor does. It keeps what it received and knows who gave up: it is a <see cref="FakeProvider"/>.
/// </summary>
public sealed class FakeVendor : IAsyncDisposable
{
    private readonly FakeProvider provider;

    private FakeVendor(string dialect, FakeProvider provider)
    {
        (Dialect, this.provider) = (dialect, provider);
        var format = FormatOf(dialect);
        (Stream, Complete) = (RecordedTraffic.Find(format, "text.chunks.txt"), RecordedTraffic.Find(format, "text.json"));
        provider.Otherwise = Answer;
    }

    /// <summary>Anthropic's format as Bedrock's InvokeModel has it: traffic of <see cref="RecordedTraffic.Anthropic"/> in frames of AWS's.</summary>
    public const string AnthropicBedrock = "anthropic-bedrock";

    /// <summary>Anthropic's format as Vertex AI has it.</summary>
    public const string AnthropicVertex = "anthropic-vertex";

    /// <summary>The dialect that it speaks.</summary>
    public string Dialect { get; }

    /// <summary>Scheme, host and port, without a path.</summary>
    public Uri Root => new(provider.BaseAddress.GetLeftPart(UriPartial.Authority));

    /// <summary>What streamed requests get.</summary>
    public RecordedTraffic Stream { get; set; }

    /// <summary>What other requests get.</summary>
    public RecordedTraffic Complete { get; set; }

    /// <summary>What all requests get instead of an answer; null: they get one.</summary>
    public RecordedTraffic? Error { get; set; }

    /// <summary>The sizes of the pieces in which answers come, over and over, in bytes; empty: in one piece.</summary>
    public IReadOnlyList<int> Pieces { get; set; } = [];

    /// <summary>How answers end.</summary>
    public FakeEnding Ending { get; set; }

    /// <summary>After so many bytes of an answer nothing more comes until <see cref="Gate"/> completes; null: no pause.</summary>
    public int? PauseAfter { get; set; }

    /// <summary>What a paused answer waits for.</summary>
    public Task? Gate { get; set; }

    /// <inheritdoc cref="FakeProvider.Requests"/>
    public IReadOnlyList<FakeProviderRequest> Requests => provider.Requests;

    public static async Task<FakeVendor> StartAsync(string dialect, CancellationToken cancellationToken) => new(dialect, await FakeProvider.StartAsync(cancellationToken));

    /// <summary>Adds replies for the next requests that have none yet, whatever their path.</summary>
    public void Enqueue(params ReadOnlySpan<FakeReply> next) => provider.Enqueue(next);

    /// <inheritdoc cref="FakeProvider.WaitForRequestsAsync"/>
    public Task WaitForRequestsAsync(int count) => provider.WaitForRequestsAsync(count);

    public ValueTask DisposeAsync() => provider.DisposeAsync();

    /// <summary>Whether a request asks for a stream, by its path or its body; null: the vendor has no such path.</summary>
    public static bool? WantsStream(string dialect, string path, ReadOnlySpan<byte> body) => dialect switch
    {
        RecordedTraffic.OpenAiChat when path.EndsWith("/chat/completions", StringComparison.Ordinal) => SaysStream(body),
        RecordedTraffic.OpenAiResponses when path.EndsWith("/responses", StringComparison.Ordinal) => SaysStream(body),
        RecordedTraffic.Anthropic when path == "/v1/messages" => SaysStream(body),
        RecordedTraffic.Gemini when path.EndsWith(":generateContent", StringComparison.Ordinal) => false,
        RecordedTraffic.Gemini when path.EndsWith(":streamGenerateContent", StringComparison.Ordinal) => true,
        RecordedTraffic.Bedrock when path.StartsWith("/model/", StringComparison.Ordinal) && path.EndsWith("/converse", StringComparison.Ordinal) => false,
        RecordedTraffic.Bedrock when path.StartsWith("/model/", StringComparison.Ordinal) && path.EndsWith("/converse-stream", StringComparison.Ordinal) => true,
        AnthropicBedrock when path.StartsWith("/model/", StringComparison.Ordinal) && path.EndsWith("/invoke", StringComparison.Ordinal) => false,
        AnthropicBedrock when path.StartsWith("/model/", StringComparison.Ordinal) && path.EndsWith("/invoke-with-response-stream", StringComparison.Ordinal) => true,
        AnthropicVertex when path.EndsWith(":rawPredict", StringComparison.Ordinal) => false,
        AnthropicVertex when path.EndsWith(":streamRawPredict", StringComparison.Ordinal) => true,
        _ => null,
    };

    /// <summary>The events of a stream in Anthropic's format as Bedrock frames them, each in base64 in a message of its own.</summary>
    public static byte[] Chunks(IEnumerable<string> events) =>
        [.. events.SelectMany(data => WireFormat.AwsEvent("chunk", JsonSerializer.SerializeToUtf8Bytes(new { bytes = System.Text.Encoding.UTF8.GetBytes(data), p = "abcdef" })))];

    /// <summary>An error body in a vendor's own form.</summary>
    public static string ErrorBody(string dialect, int status, string message)
    {
        var text = JsonSerializer.Serialize(message);
        return dialect switch
        {
            RecordedTraffic.Anthropic or AnthropicVertex => $$"""{"type":"error","error":{"type":"{{(status == 404 ? "not_found_error" : "api_error")}}","message":{{text}}},"request_id":"req_fake"}""",
            RecordedTraffic.Gemini => $$$"""{"error":{"code":{{{status}}},"message":{{{text}}},"status":"{{{(status == 404 ? "NOT_FOUND" : "INTERNAL")}}}"}}""",
            RecordedTraffic.Bedrock or AnthropicBedrock => $$"""{"message":{{text}}}""",
            _ => $$$"""{"error":{"message":{{{text}}},"type":"invalid_request_error","param":null,"code":null}}""",
        };
    }

    private static string FormatOf(string dialect) => dialect is AnthropicBedrock or AnthropicVertex ? RecordedTraffic.Anthropic : dialect;

    private static bool SaysStream(ReadOnlySpan<byte> body)
    {
        var reader = new Utf8JsonReader(body);
        using var json = JsonDocument.ParseValue(ref reader);
        return json.RootElement.TryGetProperty("stream", out var stream) && stream.ValueKind == JsonValueKind.True;
    }

    private FakeReply Answer(FakeProviderRequest request)
    {
        if (WantsStream(Dialect, request.Path, request.Body) is not { } stream)
        {
            return FakeReply.Json(404, ErrorBody(Dialect, 404, $"No such endpoint: {request.Path}"));
        }
        var traffic = Error ?? (stream ? Stream : Complete);
        var bytes = traffic.Read();
        var type = traffic.ContentType;
        if (stream && Dialect == AnthropicBedrock && Error is null && traffic.Events() is { } payloads)
        {
            (bytes, type) = (Chunks(payloads), "application/vnd.amazon.eventstream");
        }
        if (stream && Dialect == RecordedTraffic.Gemini && Error is null && !request.Query.Contains("alt=sse", StringComparison.Ordinal) && traffic.Events() is { } events)
        {
            (bytes, type) = (WireFormat.JsonArray(events), "application/json");
        }
        return new FakeReply
        {
            Status = traffic.Status,
            ContentType = type,
            Pieces = [.. Cut(bytes)],
            ContentLength = traffic.Kind == TrafficKind.Stream || Ending != FakeEnding.Complete ? null : bytes.Length,
            Ending = Ending,
        };
    }

    private IEnumerable<FakePiece> Cut(byte[] bytes)
    {
        var paused = false;
        for (var (at, piece) = (0, 0); at < bytes.Length; piece++)
        {
            var size = Math.Min(Pieces.Count == 0 ? bytes.Length : Math.Max(1, Pieces[piece % Pieces.Count]), bytes.Length - at);
            if (!paused && PauseAfter is { } pause && pause > at)
            {
                size = Math.Min(size, pause - at);
            }
            var waits = !paused && PauseAfter is { } reached && at >= reached;
            paused |= waits;
            yield return new FakePiece(bytes.AsSpan(at, size).ToArray(), waits ? Gate : null);
            at += size;
        }
    }
}
