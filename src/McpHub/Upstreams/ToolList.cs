using System.Text.Json;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace McpHub.Upstreams;

/// <summary>Reads one of a server's lists, page by page, as raw definitions.</summary>
internal static class ToolList
{
    public const int MaxPages = 100;
    public const int MaxTools = 5_000;
    public const int MaxBytes = 32 * 1024 * 1024;

    /// <summary>Reads the list. One that never ends or is too large is cut, which the log says.</summary>
    /// <exception cref="UpstreamException">The list cannot be had.</exception>
    public static async Task<IReadOnlyList<ReadOnlyMemory<byte>>> ReadAsync(RpcConnection connection, ListKind kind, ToolManifest manifest, ProtocolEra era, ILogger logger, CancellationToken cancellationToken)
    {
        var tools = new List<ReadOnlyMemory<byte>>();
        var cursors = new HashSet<string>(StringComparer.Ordinal);
        string? cursor = null;
        var bytes = 0L;
        for (var page = 0; page < MaxPages; page++)
        {
            var parameters = era.Params(cursor is null ? default : (byte[])[.. ",\"cursor\":"u8, .. RawJson.String(cursor)]);
            var reply = await connection.AskAsync(kind.Method(), parameters, cancellationToken);
            if (reply.IsError)
            {
                // A server that has no tools need not know the method.
                return page == 0 && JsonMembers.FindNumber(reply.Error.Span, "code"u8) == RpcError.MethodNotFound ? tools
                    : throw new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.ListRefused, $"Tool server '{manifest.Id}' refuses to answer {kind.Method()}.");
            }
            bytes += reply.Result.Length;
            if (bytes > MaxBytes)
            {
                break;
            }
            if (!TryReadPage(reply.Result, kind, tools, out cursor))
            {
                throw new UpstreamException(RpcError.UpstreamInvalid, UpstreamReasons.InvalidResponse, $"Tool server '{manifest.Id}' answered with something that is no answer to {kind.Method()}.");
            }
            if (cursor is null && tools.Count <= MaxTools)
            {
                return tools;
            }
            if (tools.Count > MaxTools || !cursors.Add(cursor!))
            {
                break;
            }
        }
        logger.ListCut(manifest.Id, Math.Min(tools.Count, MaxTools));
        return tools.Count > MaxTools ? tools[..MaxTools] : tools;
    }

    private static bool TryReadPage(ReadOnlyMemory<byte> result, ListKind kind, List<ReadOnlyMemory<byte>> tools, out string? cursor)
    {
        cursor = null;
        var hasTools = false;
        try
        {
            var reader = new Utf8JsonReader(result.Span, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isTools = reader.ValueTextEquals(kind.Member());
                var isCursor = reader.ValueTextEquals("nextCursor"u8);
                reader.Read();
                if (isTools && reader.TokenType == JsonTokenType.StartArray)
                {
                    hasTools = true;
                    while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                    {
                        var start = (int)reader.TokenStartIndex;
                        reader.Skip();
                        tools.Add(result[start..(int)reader.BytesConsumed]);
                    }
                    continue;
                }
                if (isCursor && reader.TokenType == JsonTokenType.String)
                {
                    cursor = reader.GetString();
                }
                reader.Skip();
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
        return hasTools;
    }
}
