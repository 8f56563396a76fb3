using System.Buffers;
using Microsoft.AspNetCore.Http;

namespace McpHub.Serving;

/// <summary>Writes JSON-RPC answers from ready pieces.</summary>
internal static class RpcAnswer
{
    /// <summary>What stands between the id and a result.</summary>
    public static ReadOnlyMemory<byte> Result { get; } = ",\"result\":"u8.ToArray();

    /// <summary>What stands between the id and an error.</summary>
    public static ReadOnlyMemory<byte> Error { get; } = ",\"error\":"u8.ToArray();

    /// <summary>The error of a failure inside the gateway.</summary>
    public static ReadOnlyMemory<byte> InternalError { get; } = "{\"code\":-32603,\"message\":\"The gateway could not make the call.\"}"u8.ToArray();

    /// <summary>Writes an answer whose value comes in up to three pieces. To a client that has left, it writes nothing.</summary>
    public static async ValueTask WriteAsync(HttpResponse response, ReadOnlyMemory<byte> rawId, ReadOnlyMemory<byte> member, ReadOnlyMemory<byte> first, ReadOnlyMemory<byte> second = default, ReadOnlyMemory<byte> third = default)
    {
        if (response.HttpContext.RequestAborted.IsCancellationRequested)
        {
            return;
        }
        if (!response.HasStarted)
        {
            response.ContentLength = Start.Length + rawId.Length + member.Length + first.Length + second.Length + third.Length + 1;
        }
        var writer = response.BodyWriter;
        writer.Write(Start);
        writer.Write(rawId.Span);
        writer.Write(member.Span);
        writer.Write(first.Span);
        writer.Write(second.Span);
        writer.Write(third.Span);
        writer.Write("}"u8);
        await writer.FlushAsync(CancellationToken.None);
    }

    private static ReadOnlySpan<byte> Start => "{\"jsonrpc\":\"2.0\",\"id\":"u8;
}
