using System.Buffers;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Http;
using Shared.Tools;

namespace McpHub.BuiltIn;

/// <summary>The gateway's own tool server: what a caller may use and has spent, and what time it is. In process, always there.</summary>
internal sealed class BuiltInServer(IEnumerable<BuiltInTool> tools) : IToolServer
{
    private readonly Dictionary<string, BuiltInTool> byName = tools.ToDictionary(tool => tool.Name, StringComparer.Ordinal);

    // The tools never change while the process runs.
    public event Action? ToolsChanged
    {
        add { }
        remove { }
    }

    public Task<UpstreamException> Lost { get; } = new TaskCompletionSource<UpstreamException>().Task;

    public string ProtocolVersion => "in-process";

    public string LastWords => "";

    public Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken) =>
        Task.FromResult<IReadOnlyList<ReadOnlyMemory<byte>>>([.. byName.Values.Select(tool => tool.Definition)]);

    public ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken)
    {
        if (!byName.TryGetValue(call.Tool, out var tool))
        {
            return ValueTask.FromResult(RpcError.UnknownTool(call.Tool));
        }
        using var arguments = call.Params.Arguments.IsEmpty ? null : JsonDocument.Parse(call.Params.Arguments, new JsonDocumentOptions { MaxDepth = RpcFrame.MaxDepth });
        var answer = new ArrayBufferWriter<byte>(512);
        string? wrong;
        using (var writer = new Utf8JsonWriter(answer))
        {
            wrong = tool.Run(call.Caller, arguments?.RootElement ?? default, writer);
        }
        return ValueTask.FromResult(new ToolCallOutcome(WriteResult(answer.WrittenSpan, wrong), default));
    }

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    /// <summary>A result with the answer as structured content, and as text for clients that know no better.</summary>
    private static byte[] WriteResult(ReadOnlySpan<byte> answer, string? wrong)
    {
        var output = new ArrayBufferWriter<byte>((answer.Length * 2) + 128);
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteStartArray("content");
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", wrong is null ? answer : System.Text.Encoding.UTF8.GetBytes(wrong));
        writer.WriteEndObject();
        writer.WriteEndArray();
        if (wrong is null)
        {
            writer.WritePropertyName("structuredContent");
            writer.WriteRawValue(answer, skipInputValidation: true);
        }
        else
        {
            writer.WriteBoolean("isError", true);
        }
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }
}

/// <summary>One of the gateway's own tools.</summary>
internal abstract class BuiltInTool
{
    /// <summary>Its name.</summary>
    public abstract string Name { get; }

    /// <summary>Its definition: one JSON object.</summary>
    public abstract ReadOnlyMemory<byte> Definition { get; }

    /// <summary>Writes the answer, one JSON object.</summary>
    /// <returns>Null, or what is wrong with the arguments.</returns>
    public abstract string? Run(GatewayRequest caller, JsonElement arguments, Utf8JsonWriter answer);
}
