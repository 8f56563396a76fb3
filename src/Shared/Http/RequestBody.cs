using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace Shared.Http;

/// <summary>The process-wide budget of bytes held for bodies. Thread-safe.</summary>
/// <param name="capacity">The most bytes held at once.</param>
public sealed class BodyMemory(long capacity)
{
    private long held;
    private long peak;
    private long capacity = capacity;

    /// <summary>Bytes held now.</summary>
    public long Held => Volatile.Read(ref held);

    /// <summary>The most bytes that were held at one moment.</summary>
    public long Peak => Volatile.Read(ref peak);

    /// <summary>The most bytes held at once.</summary>
    public long Capacity
    {
        get => Volatile.Read(ref capacity);
        internal set => Volatile.Write(ref capacity, value);
    }

    /// <summary>Takes bytes from the budget. False, with nothing taken: there are not so many left.</summary>
    public bool TryTake(long bytes)
    {
        var taken = Interlocked.Add(ref held, bytes);
        if (taken <= Capacity)
        {
            for (var seen = Peak; taken > seen;)
            {
                var before = Interlocked.CompareExchange(ref peak, taken, seen);
                seen = before == seen ? taken : before;
            }
            return true;
        }
        Interlocked.Add(ref held, -bytes);
        return false;
    }

    /// <summary>Gives bytes back.</summary>
    public void Return(long bytes) => Interlocked.Add(ref held, -bytes);
}

/// <summary>Bytes in a pooled buffer that count against the <see cref="BodyMemory"/>. Dispose it when the last attempt no longer needs them.</summary>
public sealed class PooledBody : IDisposable
{
    private readonly BodyMemory memory;
    private byte[]? buffer;
    private int length;

    private PooledBody(BodyMemory memory, byte[] buffer) => (this.memory, this.buffer) = (memory, buffer);

    /// <summary>The bytes, as received.</summary>
    /// <exception cref="ObjectDisposedException">The buffer went back to its pool.</exception>
    public ReadOnlyMemory<byte> Bytes => new(buffer ?? throw new ObjectDisposedException(nameof(PooledBody)), 0, length);

    /// <summary>Reads a request's whole body, decoded where it came compressed.</summary>
    /// <param name="context">The request; a <c>Content-Encoding</c> other than those of <see cref="CompressedBody"/> is refused.</param>
    /// <param name="memory">What the bytes count against.</param>
    /// <param name="maxBytes">The largest body, compressed as well as decoded.</param>
    /// <returns>The body, or why there is none. A connection that breaks throws as the server does.</returns>
    public static async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadAsync(HttpContext context, BodyMemory memory, long maxBytes)
    {
        var request = context.Request;
        if (request.ContentLength > maxBytes)
        {
            return (null, GatewayError.BodyTooLarge(maxBytes));
        }
        if (request.Headers.ContentEncoding is { Count: > 0 } encoding && !CompressedBody.IsIdentity(encoding))
        {
            return await CompressedBody.ReadAsync(request.Body, encoding, memory, maxBytes, context.RequestAborted);
        }
        return await ReadAsync(request.Body, request.ContentLength, memory, maxBytes, context.RequestAborted);
    }

    /// <summary>Reads a stream to its end.</summary>
    /// <param name="source">The stream.</param>
    /// <param name="expected">Its length where known.</param>
    /// <param name="memory">What the bytes count against.</param>
    /// <param name="maxBytes">The most bytes taken.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    public static async ValueTask<(PooledBody? Body, GatewayError? Error)> ReadAsync(Stream source, long? expected, BodyMemory memory, long maxBytes, CancellationToken cancellationToken)
    {
        var size = (int)Math.Clamp(expected is { } known ? known + 1 : 4096, 256, maxBytes + 1);
        if (!memory.TryTake(size))
        {
            return (null, GatewayError.BodyMemoryExhausted);
        }
        var body = new PooledBody(memory, ArrayPool<byte>.Shared.Rent(size)) { Charged = size };
        var done = false;
        try
        {
            while (true)
            {
                if (body.length == body.buffer!.Length && !body.TryGrow(maxBytes))
                {
                    return (null, GatewayError.BodyMemoryExhausted);
                }
                var read = await source.ReadAsync(body.buffer.AsMemory(body.length), cancellationToken);
                body.length += read;
                if (body.length > maxBytes)
                {
                    return (null, GatewayError.BodyTooLarge(maxBytes));
                }
                if (read == 0)
                {
                    done = true;
                    return (body, null);
                }
            }
        }
        finally
        {
            if (!done)
            {
                body.Dispose();
            }
        }
    }

    private long Charged { get; set; }

    /// <summary>Gives the buffer back to its pool and the bytes to their budget.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref buffer, null) is { } rented)
        {
            ArrayPool<byte>.Shared.Return(rented);
            memory.Return(Charged);
        }
    }

    private bool TryGrow(long maxBytes)
    {
        var size = (int)Math.Min(Math.Min(buffer!.Length * 2L, maxBytes + 1), Array.MaxLength);
        size = Math.Max(size, length + 1);
        if (!memory.TryTake(size - Charged))
        {
            return false;
        }
        Charged = size;
        var larger = ArrayPool<byte>.Shared.Rent(size);
        buffer.AsSpan(0, length).CopyTo(larger);
        ArrayPool<byte>.Shared.Return(buffer!);
        buffer = larger;
        return true;
    }
}
