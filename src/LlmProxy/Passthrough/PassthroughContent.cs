using System.Buffers;
using System.Net;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;

namespace LlmProxy.Passthrough;

/// <summary>A request body that goes up as it comes in, one piece at a time.</summary>
/// <param name="source">The client's request.</param>
/// <param name="deadline">Is moved on with each piece.</param>
/// <param name="pause">The longest pause.</param>
internal sealed class PassthroughContent(HttpRequest source, Deadline deadline, TimeSpan pause) : HttpContent
{
    private const int BufferBytes = 64 * 1024;

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int read;
            while ((read = await source.Body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                deadline.Set(pause);
                await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
                await stream.FlushAsync(cancellationToken);
            }
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = source.ContentLength ?? 0;
        return source.ContentLength is not null;
    }
}
