using System.Text;
using BenchmarkDotNet.Attributes;
using LlmProxy.Media;
using LlmProxy.Relay;
using Shared.Http;

namespace Gateway.Benchmarks;

/// <summary>An image edit of 20 MB as the gateway handles it: read into pooled memory, looked through for its fields, and sent on with the model replaced.</summary>
[MemoryDiagnoser]
public class FormBenchmarks
{
    private const string Boundary = "----WebKitFormBoundary7MA4YWxkTrZu0gW";
    private const string ContentType = "multipart/form-data; boundary=" + Boundary;

    private readonly BodyMemory memory = new(1L << 30);
    private byte[] form = [];

    [GlobalSetup]
    public void Setup()
    {
        var picture = new byte[20_000_000];
        new Random(7).NextBytes(picture);
        form =
        [
            .. Encoding.ASCII.GetBytes($"--{Boundary}\r\nContent-Disposition: form-data; name=\"image\"; filename=\"a.png\"\r\nContent-Type: image/png\r\n\r\n"), .. picture,
            .. Encoding.ASCII.GetBytes($"\r\n--{Boundary}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\npainter\r\n--{Boundary}--\r\n"),
        ];
    }

    /// <summary>Looks for the fields alone.</summary>
    [Benchmark]
    public int Scan()
    {
        FormFields.Read(form, ContentType, MediaEndpoint.Edit, out var fields);
        return fields.Model.Offset;
    }

    /// <summary>Looks for the fields in pieces of 64 KiB, as a large form comes in.</summary>
    [Benchmark]
    public int ScanInPieces()
    {
        var fields = FormFields.TryBegin(ContentType, MediaEndpoint.Edit, out _)!;
        var scanned = 0;
        for (var filled = Math.Min(form.Length, 65_536); ; filled = Math.Min(form.Length, filled + 65_536))
        {
            fields.Read(form.AsSpan(scanned, filled - scanned), scanned, filled == form.Length, out var consumed);
            scanned += consumed;
            if (filled == form.Length)
            {
                return fields.Fields.Model.Offset;
            }
        }
    }

    /// <summary>All of it, from the client's stream to the provider's.</summary>
    [Benchmark]
    public async Task Relay()
    {
        var (body, _) = await PooledBody.ReadAsync(new MemoryStream(form), form.Length, memory, 32 << 20, CancellationToken.None);
        using (body)
        {
            FormFields.Read(body!.Bytes.Span, ContentType, MediaEndpoint.Edit, out var fields);
            var edits = new EditList();
            edits.Add(fields.Model.Offset, fields.Model.Length, "gpt-image-1"u8.ToArray());
            using var content = new SplicedContent(body.Bytes, edits);
            await content.CopyToAsync(Stream.Null);
        }
    }
}
