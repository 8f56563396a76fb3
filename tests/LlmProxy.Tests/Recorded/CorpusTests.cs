using System.Buffers.Binary;
using System.Net;
using System.Text;
using System.Text.Json;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>The traffic itself, and the vendor that plays it.</summary>
public sealed class CorpusTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public static TheoryData<string> AllDialects => [.. RecordedTraffic.Dialects];

    [Theory]
    [MemberData(nameof(AllDialects))]
    public void All_Dialect_HasWhatTheTestsTellOf(string dialect)
    {
        string[] streams = ["text", "tools", "parallel-tools", "tool-no-args", "reasoning-tools", "structured-output", "failing.error", "cut"];
        string[] requests = ["text", "tools", "parallel-tools", "image", "reasoning-tools", "structured-output"];

        Assert.All(streams, name => Assert.Equal(TrafficKind.Stream, RecordedTraffic.Find(dialect, name + ".chunks.txt").Kind));
        Assert.All(requests, name => Assert.Equal(TrafficKind.Request, RecordedTraffic.Find(dialect, name + ".request.json").Kind));
        Assert.True(RecordedTraffic.Find(dialect, "cut.chunks.txt").IsCut);
        Assert.True(RecordedTraffic.Find(dialect, "failing.error.chunks.txt").Fails);
        Assert.Equal(429, RecordedTraffic.All.First(traffic => traffic.Dialect == dialect && traffic.Name.EndsWith("error-429.json", StringComparison.Ordinal)).Status);
        Assert.DoesNotContain(RecordedTraffic.All, traffic => traffic.Dialect == dialect && !traffic.IsRecorded && traffic.IsCut && traffic.Name.Contains("execution", StringComparison.Ordinal));
    }

    /// <summary>Lengths and checksums say what they must.</summary>
    [Fact]
    public void AwsEvent_Message_IsFramedAsTheEncodingSays()
    {
        var message = WireFormat.AwsEvent("contentBlockDelta", "{\"a\":1}"u8);

        Assert.Equal(message.Length, BinaryPrimitives.ReadInt32BigEndian(message));
        // Checksums of the same bytes by another implementation of ISO 3309 (zlib).
        Assert.Equal(0xB62FD212u, BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(8)));
        Assert.Equal(0x5198CD80u, BinaryPrimitives.ReadUInt32BigEndian(message.AsSpan(message.Length - 4)));
        Assert.Equal("""{"contentBlockDelta":{"a":1}}""", Assert.Single(RawEvents.Of("bedrock", message)).GetRawText());
    }

    [Theory]
    [MemberData(nameof(AllDialects))]
    public async Task Vendor_Stream_IsPlayedInPiecesAtItsRealPath(string dialect)
    {
        await using var vendor = await FakeVendor.StartAsync(dialect, Cancelled);
        vendor.Pieces = [1, 7, 300];
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = vendor.Root };

        using var response = await client.PostAsync(PathOf(dialect, stream: true), Json("""{"stream":true}"""), Cancelled);

        Assert.Equal(vendor.Stream.ContentType, response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(vendor.Stream.Read(), await response.Content.ReadAsByteArrayAsync(Cancelled));
        Assert.Equal("""{"stream":true}""", Encoding.UTF8.GetString(Assert.Single(vendor.Requests).Body));
    }

    [Theory]
    [MemberData(nameof(AllDialects))]
    public async Task Vendor_CompleteAndErrorAndElsewhere_AreAnsweredAsTheVendorDoes(string dialect)
    {
        await using var vendor = await FakeVendor.StartAsync(dialect, Cancelled);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = vendor.Root };

        using var complete = await client.PostAsync(PathOf(dialect, stream: false), Json("{}"), Cancelled);
        vendor.Error = RecordedTraffic.Find(dialect, "error.error-429.json");
        using var refused = await client.PostAsync(PathOf(dialect, stream: true), Json("""{"stream":true}"""), Cancelled);
        using var lost = await client.PostAsync("nowhere", Json("{}"), Cancelled);

        Assert.Equal(vendor.Complete.Read(), await complete.Content.ReadAsByteArrayAsync(Cancelled));
        Assert.Equal(HttpStatusCode.TooManyRequests, refused.StatusCode);
        Assert.Equal(vendor.Error.Read(), await refused.Content.ReadAsByteArrayAsync(Cancelled));
        Assert.Equal(HttpStatusCode.NotFound, lost.StatusCode);
        Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(await lost.Content.ReadAsStringAsync(Cancelled)).RootElement.ValueKind);
    }

    [Fact]
    public async Task Vendor_WithoutSse_StreamsGeminiAsAnArray()
    {
        await using var vendor = await FakeVendor.StartAsync(RecordedTraffic.Gemini, Cancelled);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false }) { BaseAddress = vendor.Root };

        using var response = await client.PostAsync("v1beta/models/m:streamGenerateContent", Json("{}"), Cancelled);

        Assert.Equal("application/json", response.Content.Headers.ContentType?.MediaType);
        Assert.Equal(vendor.Stream.Events()!.Count, JsonDocument.Parse(await response.Content.ReadAsStringAsync(Cancelled)).RootElement.GetArrayLength());
    }

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private static string PathOf(string dialect, bool stream) => dialect switch
    {
        RecordedTraffic.OpenAiChat => "v1/chat/completions",
        RecordedTraffic.OpenAiResponses => "v1/responses",
        RecordedTraffic.Anthropic => "v1/messages?beta=true",
        RecordedTraffic.Gemini => stream ? "v1beta/models/m:streamGenerateContent?alt=sse" : "v1beta/models/m:generateContent",
        _ => stream ? "model/m/converse-stream" : "model/m/converse",
    };
}
