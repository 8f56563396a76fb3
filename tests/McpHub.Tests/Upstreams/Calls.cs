using System.Diagnostics;
using System.Text;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Http;
using Shared.Tools;

namespace McpHub.Tests.Upstreams;

/// <summary>Calls made straight on a connection.</summary>
internal static class Calls
{
    public const string TraceParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    public static GatewayRequest Caller { get; } = new("r1", Snapshots.New(), ActivityTraceId.CreateRandom()) { TraceParent = TraceParent };

    public static UpstreamCall New(string tool, string? parameters = null, Func<ReadOnlyMemory<byte>, ValueTask>? onProgress = null, GatewayRequest? caller = null)
    {
        Assert.Null(ToolParams.Read(Encoding.UTF8.GetBytes(parameters ?? """{"name":"exposed","arguments":{}}"""), out var read));
        return new UpstreamCall { Caller = caller ?? Caller, Tool = tool, Params = read, TraceParent = TraceParent, OnProgress = onProgress };
    }

    public static async Task<ToolCallOutcome> CallAsync(this IToolServer server, string tool, string? parameters = null, Func<ReadOnlyMemory<byte>, ValueTask>? onProgress = null) =>
        await server.CallAsync(New(tool, parameters, onProgress), TestContext.Current.CancellationToken).AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    public static async Task<UpstreamException> FailAsync(this IToolServer server, string tool, string? parameters = null) =>
        await Assert.ThrowsAsync<UpstreamException>(() => server.CallAsync(tool, parameters));

    /// <summary>The text of a result's first content block.</summary>
    public static string TextOf(ToolCallOutcome outcome)
    {
        Assert.False(outcome.IsError, Encoding.UTF8.GetString(outcome.Error.Span));
        using var result = JsonDocument.Parse(outcome.Result);
        return result.RootElement.GetProperty("content")[0].GetProperty("text").GetString()!;
    }

    public static string Utf8(ReadOnlyMemory<byte> bytes) => Encoding.UTF8.GetString(bytes.Span);
}
