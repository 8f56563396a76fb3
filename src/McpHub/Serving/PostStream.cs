using System.Buffers;
using McpHub.Upstreams;
using Microsoft.AspNetCore.Http;

namespace McpHub.Serving;

/// <summary>
/// The response to one call: JSON as long as nothing has to be said before the answer, an event stream from then on (specification 2025-11-25, basic/transports, sending
/// messages). One at a time writes to it.
/// </summary>
internal sealed class PostStream(HttpContext context) : IDisposable
{
    private readonly SemaphoreSlim gate = new(1);
    private bool isStream;
    private bool isOver;

    /// <summary>Sends the headers, so that no client or proxy takes a slow tool for a dead server.</summary>
    /// <param name="asStream">Whether something may have to be said later.</param>
    public async ValueTask BeginAsync(bool asStream)
    {
        await gate.WaitAsync(CancellationToken.None);
        try
        {
            if (asStream)
            {
                BecomeStream();
            }
            await context.Response.BodyWriter.FlushAsync(CancellationToken.None);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Says something before the answer. False: it is too late for that.</summary>
    /// <param name="message">A JSON-RPC message.</param>
    /// <param name="cancellationToken">Ends the waiting for others who write.</param>
    public async ValueTask<bool> SayAsync(ReadOnlyMemory<byte> message, CancellationToken cancellationToken)
    {
        await gate.WaitAsync(cancellationToken);
        try
        {
            if (isOver || (!isStream && context.Response.HasStarted))
            {
                return false;
            }
            BecomeStream();
            Write(message.Span);
            await context.Response.BodyWriter.FlushAsync(CancellationToken.None);
            return true;
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Answers, and lets nothing more be said.</summary>
    public async ValueTask AnswerAsync(ReadOnlyMemory<byte> rawId, ReadOnlyMemory<byte> member, ReadOnlyMemory<byte> value)
    {
        await gate.WaitAsync(CancellationToken.None);
        try
        {
            isOver = true;
            if (!isStream)
            {
                await RpcAnswer.WriteAsync(context.Response, rawId, member, value);
                return;
            }
            if (context.RequestAborted.IsCancellationRequested)
            {
                return;
            }
            var answer = new ArrayBufferWriter<byte>(rawId.Length + member.Length + value.Length + 64);
            answer.Write("{\"jsonrpc\":\"2.0\",\"id\":"u8);
            answer.Write(rawId.Span);
            answer.Write(member.Span);
            answer.Write(value.Span);
            answer.Write("}"u8);
            Write(answer.WrittenSpan);
            await context.Response.BodyWriter.FlushAsync(CancellationToken.None);
        }
        finally
        {
            gate.Release();
        }
    }

    /// <summary>Ends the response of a call that its client cancelled: a cancelled request gets no answer, and an event stream without one is how that looks in HTTP.</summary>
    public async ValueTask EndAsync()
    {
        await gate.WaitAsync(CancellationToken.None);
        try
        {
            isOver = true;
            if (isStream)
            {
                return;
            }
            if (context.Response.HasStarted)
            {
                // It was announced as JSON, and there is none.
                context.Abort();
                return;
            }
            context.Response.ContentType = "text/event-stream";
        }
        finally
        {
            gate.Release();
        }
    }

    public void Dispose() => gate.Dispose();

    private void BecomeStream()
    {
        if (!isStream && !context.Response.HasStarted)
        {
            isStream = true;
            context.Response.ContentType = "text/event-stream";
            context.Response.Headers.CacheControl = "no-cache, no-store";
            context.Response.Headers["X-Accel-Buffering"] = "no";
        }
    }

    private void Write(ReadOnlySpan<byte> message)
    {
        var writer = context.Response.BodyWriter;
        writer.Write("event: message\ndata: "u8);
        // An event's data stands on one line.
        RawJson.WriteCompact(message, writer);
        writer.Write("\n\n"u8);
    }
}
