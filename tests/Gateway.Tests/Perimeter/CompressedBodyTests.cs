using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Microsoft.Extensions.DependencyInjection;
using Shared.Http;
using TestSupport;

namespace Gateway.Tests.Perimeter;

public sealed class CompressedBodyTests
{
    private const string Chat = """{"model":"fake/m","max_tokens":5,"messages":[{"role":"user","content":"Grüße, compressed"}]}""";

    [Theory]
    [InlineData("gzip")]
    [InlineData("x-gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    [InlineData("BR")]
    [InlineData("identity")]
    public async Task Body_Compressed_ReachesTheProviderDecodedToTheByte(string encoding)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(provider, "");

        using var response = await SendAsync(gateway, "v1/chat/completions", Compress(encoding, Encoding.UTF8.GetBytes(Chat)), encoding);

        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        var received = Assert.Single(provider.Requests);
        Assert.Equal(Chat.Replace("fake/m", "m", StringComparison.Ordinal), Encoding.UTF8.GetString(received.Body));
        Assert.DoesNotContain("Content-Encoding", received.Headers.Keys, StringComparer.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task Body_OfMcp_IsDecodedToo()
    {
        await using var gateway = await TestGateway.StartAsync(cancellationToken: TestContext.Current.CancellationToken);
        const string Initialize = """{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}""";
        using var response = await SendAsync(gateway, "mcp", Compress("gzip", Encoding.UTF8.GetBytes(Initialize)), "gzip");
        Assert.True(response.IsSuccessStatusCode, await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken));
        Assert.True(response.Headers.Contains("Mcp-Session-Id"));
    }

    [Theory]
    [InlineData("zstd", 415, "unsupported_encoding")]
    [InlineData("compress", 415, "unsupported_encoding")]
    [InlineData("gzip, gzip", 415, "unsupported_encoding")]
    [InlineData("gzip, identity", 415, "unsupported_encoding")]
    [InlineData("br", 400, "invalid_encoding")] // it is gzip
    [InlineData("deflate", 400, "invalid_encoding")]
    public async Task Encoding_UnknownNestedOrUntrue_IsRefusedWithTheFieldNamed(string claimed, int status, string code)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(provider, "");
        using var response = await SendAsync(gateway, "v1/chat/completions", Compress("gzip", Encoding.UTF8.GetBytes(Chat)), claimed);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        Assert.Equal(status, (int)response.StatusCode);
        Assert.Contains(code, text, StringComparison.Ordinal);
        Assert.Contains("Content-Encoding", text, StringComparison.Ordinal);
        Assert.Empty(provider.Requests);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task Body_CutOff_IsRefused(string encoding)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(provider, "");
        var whole = Compress(encoding, Encoding.UTF8.GetBytes(Chat));
        using var response = await SendAsync(gateway, "v1/chat/completions", whole[..(whole.Length / 2)], encoding);
        Assert.Equal(HttpStatusCode.BadRequest, response.StatusCode);
        Assert.Empty(provider.Requests);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    [InlineData("br")]
    public async Task Bomb_OfAGigabyte_IsGivenUpEarlyAndHoldsNothing(string encoding)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(provider, "limits: {maxBodyBytes: 1GiB, bodyMemory: 2GiB}");
        var bomb = CompressZeros(encoding, 1L << 30);
        Assert.True(bomb.Length < 2 << 20, $"{bomb.Length} bytes are no bomb.");
        var memory = gateway.Services.GetRequiredService<BodyMemory>();
        // Of so little memory the answer would be 503, had it been asked for.
        using var source = new MemoryStream(bomb);
        var (_, error) = await CompressedBody.ReadAsync(source, encoding, new BodyMemory(4 << 20), 1L << 30, TestContext.Current.CancellationToken);
        Assert.Equal(413, error?.Status);
        Assert.InRange(source.Position, 1, Math.Max(bomb.Length / 2, 64 << 10));

        using var response = await SendAsync(gateway, "v1/chat/completions", bomb, encoding);

        Assert.Equal(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
        Assert.Equal(0, memory.Held);
        Assert.Empty(provider.Requests);
    }

    [Theory]
    [InlineData("limits: {maxBodyBytes: 64KiB}", HttpStatusCode.RequestEntityTooLarge)]
    [InlineData("limits: {maxBodyBytes: 2MiB, bodyMemory: 2MiB}", HttpStatusCode.OK)]
    public async Task Limit_CountsWhatIsDecoded(string limits, HttpStatusCode status)
    {
        await using var provider = await FakeProvider.StartAsync(TestContext.Current.CancellationToken);
        await using var gateway = await StartAsync(provider, limits);
        var body = Encoding.UTF8.GetBytes(Chat.Replace("compressed", new string('x', 100_000), StringComparison.Ordinal));
        var compressed = Compress("gzip", body);
        Assert.True(compressed.Length < 64 << 10);
        using var response = await SendAsync(gateway, "v1/chat/completions", compressed, "gzip");
        Assert.Equal(status, response.StatusCode);
        Assert.Equal(0, gateway.Services.GetRequiredService<BodyMemory>().Held);
    }

    private static Task<TestGateway> StartAsync(FakeProvider provider, string more) =>
        TestGateway.StartAsync(new TestGatewayOptions { Configuration = $"providers: {{fake: {{baseUrl: '{provider.BaseAddress}', models: [m]}}}}\nprices: [{{provider: fake, model: m, input: 0, output: 0, source: test}}]\n{more}" }, TestContext.Current.CancellationToken);

    private static async Task<HttpResponseMessage> SendAsync(TestGateway gateway, string path, byte[] body, string encoding)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(path, UriKind.Relative)) { Content = new ByteArrayContent(body) };
        request.Content.Headers.ContentType = new MediaTypeHeaderValue("application/json");
        request.Content.Headers.TryAddWithoutValidation("Content-Encoding", encoding);
        request.Headers.TryAddWithoutValidation("Accept", "application/json, text/event-stream");
        return await gateway.Client.SendAsync(request, TestContext.Current.CancellationToken);
    }

    private static byte[] Compress(string encoding, byte[] bytes)
    {
        using var result = new MemoryStream();
        using (var encoder = Encoder(encoding, result, CompressionLevel.Fastest))
        {
            encoder.Write(bytes);
        }
        return result.ToArray();
    }

    private static byte[] CompressZeros(string encoding, long count)
    {
        var block = new byte[1 << 20];
        using var result = new MemoryStream();
        using (var encoder = Encoder(encoding, result, CompressionLevel.Optimal))
        {
            for (long done = 0; done < count; done += block.Length)
            {
                encoder.Write(block);
            }
        }
        return result.ToArray();
    }

    private static Stream Encoder(string encoding, Stream target, CompressionLevel level) => encoding.ToLowerInvariant() switch
    {
        "gzip" or "x-gzip" => new GZipStream(target, level, leaveOpen: true),
        "deflate" => new ZLibStream(target, level, leaveOpen: true),
        "br" => new BrotliStream(target, level, leaveOpen: true),
        _ => new BufferedStream(new Unclosed(target)),
    };

    private sealed class Unclosed(Stream target) : MemoryStream
    {
        protected override void Dispose(bool disposing)
        {
            WriteTo(target);
            base.Dispose(disposing);
        }
    }
}
