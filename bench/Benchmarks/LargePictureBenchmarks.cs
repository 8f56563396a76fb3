using System.Text;
using BenchmarkDotNet.Attributes;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Shared.Http;

namespace Gateway.Benchmarks;

/// <summary>A request with a picture of 20 MB as it is relayed: read into pooled memory, scanned for what routes and bills, and sent on with the model's name replaced.</summary>
[MemoryDiagnoser]
public class LargePictureBenchmarks
{
    private readonly BodyMemory memory = new(1L << 30);
    private byte[] body = [];
    private EndpointFamily family = EndpointFamily.Chat;

    /// <summary>The client's format, which is the provider's.</summary>
    [Params("chat", "messages", "responses")]
    public string Format { get; set; } = "";

    [GlobalSetup]
    public void Setup()
    {
        var picture = new string('A', 20_000_000);
        (family, var text) = Format switch
        {
            "chat" => (EndpointFamily.Chat, $$$"""{"model":"painter","max_completion_tokens":50,"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:image/png;base64,{{{picture}}}"}}]}]}"""),
            "messages" => (EndpointFamily.Messages!, $$$"""{"model":"painter","max_tokens":50,"messages":[{"role":"user","content":[{"type":"image","source":{"type":"base64","media_type":"image/png","data":"{{{picture}}}"}}]}]}"""),
            _ => (EndpointFamily.Responses!, $$"""{"model":"painter","store":false,"max_output_tokens":50,"input":[{"role":"user","content":[{"type":"input_image","image_url":"data:image/png;base64,{{picture}}"}]}]}"""),
        };
        body = Encoding.UTF8.GetBytes(text);
    }

    /// <summary>From the client's stream to the provider's.</summary>
    [Benchmark]
    public async Task Relay()
    {
        var (held, _) = await PooledBody.ReadAsync(new MemoryStream(body), body.Length, memory, 32 << 20, CancellationToken.None);
        using (held)
        {
            var fields = new RoutedFields();
            if (family.Scan(held!.Bytes.Span, ref fields) is { } error)
            {
                throw new InvalidOperationException(error.Message);
            }
            var edits = new EditList();
            family.Edit(held.Bytes.Span, fields, new BodyEdit { Model = "\"gpt-5\""u8.ToArray() }, edits);
            using var content = new SplicedContent(held.Bytes, edits);
            await content.CopyToAsync(Stream.Null);
        }
    }
}
