using System.IO.Compression;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Shared.Http;

/// <summary>
/// Decodes compressed request bodies: gzip, deflate (zlib, as RFC 9110 has it) and br, one of them. A body that unfolds beyond the limit, or out of all
/// proportion, is given up as soon as that is seen.
/// </summary>
internal static class CompressedBody
{
    /// <summary>So many bytes may come of one. Text, even one that repeats itself, stays far below.</summary>
    public const int MaxRatio = 100;

    /// <summary>So much may come whatever the ratio, as small bodies prove nothing.</summary>
    public const int FreeBytes = 1024 * 1024;

    private static readonly GatewayError Unsupported = new(StatusCodes.Status415UnsupportedMediaType, "unsupported_encoding",
        "The body's 'Content-Encoding' is not one that is decoded. Send one of gzip, deflate and br, once, or leave the header out.") { Field = "Content-Encoding" };

    private static readonly GatewayError Malformed = new(StatusCodes.Status400BadRequest, "invalid_encoding",
        "The body is not what its 'Content-Encoding' says, or it is cut off.") { Field = "Content-Encoding" };

    private static readonly GatewayError OutOfProportion = new(StatusCodes.Status413PayloadTooLarge, "request_too_large",
        "The body unfolds to more than 100 times its size. Send it uncompressed.") { Field = "Content-Encoding" };

    /// <summary>Whether a <c>Content-Encoding</c> says that nothing is encoded.</summary>
    public static bool IsIdentity(StringValues encoding) => encoding is [{ } only] && (only.Length == 0 || only.Equals("identity", StringComparison.OrdinalIgnoreCase));

    /// <summary>Reads and decodes a body.</summary>
    public static async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadAsync(Stream source, StringValues encoding, BodyMemory memory, long maxBytes, CancellationToken cancellationToken)
    {
        await using var counted = new CountedStream(source);
        if (Open(counted, encoding is [{ } only] ? only : "") is not { } decoder)
        {
            return (null, Unsupported);
        }
        await using (decoder)
        {
            try
            {
                return await PooledBody.ReadAsync(new ProportionStream(decoder, counted), null, memory, maxBytes, cancellationToken);
            }
            catch (InvalidDataException)
            {
                return (null, Malformed);
            }
            // The brotli decoder reports bad data so.
            catch (InvalidOperationException)
            {
                return (null, Malformed);
            }
            catch (OutOfProportionException)
            {
                return (null, OutOfProportion);
            }
        }
    }

    private static Stream? Open(Stream source, string encoding) => encoding.Trim().ToLowerInvariant() switch
    {
        "gzip" or "x-gzip" => new GZipStream(source, CompressionMode.Decompress),
        "deflate" => new ZLibStream(source, CompressionMode.Decompress),
        "br" => new BrotliStream(source, CompressionMode.Decompress),
        _ => null,
    };

    private sealed class OutOfProportionException : Exception;

    /// <summary>A stream that is only read, asynchronously.</summary>
    private abstract class ReadOnlyStream : Stream
    {
        public override bool CanRead => true;

        public override bool CanSeek => false;

        public override bool CanWrite => false;

        public override long Length => throw new NotSupportedException();

        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override Task<int> ReadAsync(byte[] buffer, int offset, int count, CancellationToken cancellationToken) => ReadAsync(buffer.AsMemory(offset, count), cancellationToken).AsTask();

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Flush()
        {
        }

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }

    /// <summary>Counts what is read of a body. It belongs to the server, and is left open.</summary>
    private sealed class CountedStream(Stream source) : ReadOnlyStream
    {
        public long Count { get; private set; }

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await source.ReadAsync(buffer, cancellationToken);
            Count += read;
            return read;
        }
    }

    /// <summary>Watches how much comes of how little.</summary>
    private sealed class ProportionStream(Stream decoder, CountedStream source) : ReadOnlyStream
    {
        private long decoded;

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            var read = await decoder.ReadAsync(buffer, cancellationToken);
            decoded += read;
            return decoded > FreeBytes && decoded / MaxRatio > source.Count ? throw new OutOfProportionException() : read;
        }
    }
}
