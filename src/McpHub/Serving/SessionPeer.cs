using System.Text.Json;
using System.Text.Json.Nodes;
using McpHub.Upstreams;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;
using Shared.Tools;

namespace McpHub.Serving;

/// <summary>A client with a session: it is asked and told on the stream of one of its requests, or on the one on which it listens.</summary>
/// <param name="session">Its session.</param>
/// <param name="server">The SDK's way to it: that of one request, or that of the session as a whole.</param>
internal sealed class SessionPeer(ClientSession session, McpServer server) : IClientPeer
{
    private const string ErrorPrefix = "Request failed (remote): ";

    public string? SessionId => session.Id;

    public ReadOnlyMemory<byte> Capabilities => session.Capabilities;

    public IClientPeer Session => session.Peer;

    public bool IsOpen => !session.HasEnded;

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, Func<ReadOnlyMemory<byte>, ValueTask> onProgress, CancellationToken cancellationToken)
    {
        using var progress = new QuestionProgress(session, parameters, onProgress);
        return await AskAsync(method, progress.Params, cancellationToken);
    }

    public async ValueTask<ToolCallOutcome> AskAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        try
        {
            var response = await server.SendRequestAsync(new JsonRpcRequest { Method = method, Params = parameters.IsEmpty ? null : Parse(parameters) }, cancellationToken);
            return new ToolCallOutcome(response.Result is null ? "{}"u8.ToArray() : JsonSerializer.SerializeToUtf8Bytes(response.Result, RawNodes.Writing), default);
        }
        catch (McpProtocolException exception)
        {
            return RpcError.Of((int)exception.ErrorCode, exception.Message.StartsWith(ErrorPrefix, StringComparison.Ordinal) ? exception.Message[ErrorPrefix.Length..] : exception.Message);
        }
        catch (Exception exception) when (exception is McpException or InvalidOperationException or IOException or ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            return RpcError.Of(RpcError.InternalError, "The client cannot be asked now.");
        }
    }

    public async ValueTask NotifyAsync(string method, ReadOnlyMemory<byte> parameters, CancellationToken cancellationToken)
    {
        if (method == "notifications/message" && !session.WantsLog(JsonMembers.FindString(parameters.Span, "level"u8)))
        {
            return;
        }
        await server.SendMessageAsync(new JsonRpcNotification { Method = method, Params = parameters.IsEmpty ? null : Parse(parameters) }, cancellationToken);
    }

    private static JsonNode? Parse(ReadOnlyMemory<byte> json) => RawNodes.Parse(json.Span);
}

/// <summary>Raw JSON as the SDK takes it, however deep it is nested.</summary>
internal static class RawNodes
{
    /// <summary>Writes what the SDK gave, without escaping more than it must.</summary>
    public static JsonSerializerOptions Writing { get; } = new() { MaxDepth = RpcFrame.MaxDepth, Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly JsonDocumentOptions Reading = new() { MaxDepth = RpcFrame.MaxDepth };

    /// <summary>Parses.</summary>
    public static JsonNode? Parse(ReadOnlySpan<byte> json) => JsonNode.Parse(json, documentOptions: Reading);
}
