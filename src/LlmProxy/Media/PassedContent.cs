using System.Buffers;
using System.Net;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;

namespace LlmProxy.Media;

/// <summary>A request body that goes up as it comes in, piece by piece: no more than one piece is held, whatever its size.</summary>
internal sealed class PassedContent : HttpContent
{
    private const int BufferBytes = 64 * 1024;

    private readonly HttpRequest source;
    private readonly Deadline deadline;
    private readonly TimeSpan stall;

    /// <param name="source">The client's request.</param>
    /// <param name="deadline">Is moved on with each piece.</param>
    /// <param name="stall">The longest pause.</param>
    public PassedContent(HttpRequest source, Deadline deadline, TimeSpan stall)
    {
        (this.source, this.deadline, this.stall) = (source, deadline, stall);
        Headers.TryAddWithoutValidation("Content-Type", source.ContentType);
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            int read;
            while ((read = await source.Body.ReadAsync(buffer, cancellationToken)) > 0)
            {
                deadline.Set(stall);
                await stream.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
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
