using System.Buffers;
using Microsoft.AspNetCore.Http;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;

namespace McpHub.Serving;

/// <summary>What a request of the stateless revision must say about itself, and what HTTP status its errors have.</summary>
internal static class StatelessRequest
{
    private static readonly SearchValues<char> HeaderCharacters = SearchValues.Create(
        "\t !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~");

    /// <summary>
    /// Whether the headers repeat what the body says and <c>_meta</c> has what is required. A request that also asks for log messages, which need a stream, is not.
    /// </summary>
    public static bool IsInOrder(IHeaderDictionary headers, RpcMessage message) =>
        message.MetaProtocolVersion == ProtocolEras.Stateless
        && message is { HasClientCapabilities: true, HasOddClientInfo: false, HasLogLevel: false }
        && headers[ProtocolEras.MethodHeader].ToString().AsSpan().Trim().SequenceEqual(message.Method)
        && (message.Method != RequestMethods.ToolsCall || NameMatches(headers, message.Name!));

    /// <summary>The HTTP status that carries a JSON-RPC error.</summary>
    public static int StatusOf(int code) => (McpErrorCode)code switch
    {
        McpErrorCode.MethodNotFound => StatusCodes.Status404NotFound,
        McpErrorCode.MissingRequiredClientCapability or McpErrorCode.UnsupportedProtocolVersion or McpErrorCode.HeaderMismatch => StatusCodes.Status400BadRequest,
        _ => StatusCodes.Status200OK,
    };

    private static bool NameMatches(IHeaderDictionary headers, string name)
    {
        var header = headers[ProtocolEras.NameHeader];
        if (header.Count != 1)
        {
            return false;
        }
        var value = header[0]!.Trim();
        return value == name ? !value.StartsWith("=?", StringComparison.Ordinal) : value.AsSpan().IndexOfAnyExcept(HeaderCharacters) < 0 && McpHeaderEncoder.DecodeValue(value) == name;
    }
}
