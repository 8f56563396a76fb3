using System.Text;
using McpHub.Upstreams;
using Shared.Tools;

namespace McpHub.Tests.Upstreams;

/// <summary>A connection whose life the test writes.</summary>
internal sealed class FakeConnection : IToolServer
{
    private readonly TaskCompletionSource<UpstreamException> lost = new();
    private readonly TaskCompletionSource disposed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public event Action? ToolsChanged;

    public List<string> Tools { get; } = ["""{"name":"echo","inputSchema":{"type":"object"}}"""];

    public int Lists { get; private set; }

    public Exception? ListFails { get; set; }

    public bool IsDisposed => disposed.Task.IsCompleted;

    /// <summary>Completes when it is closed.</summary>
    public Task Disposed => disposed.Task.WaitAsync(TimeSpan.FromSeconds(30));

    public Func<UpstreamCall, ValueTask<ToolCallOutcome>> Call { get; set; } = _ => ValueTask.FromResult(new ToolCallOutcome("{}"u8.ToArray(), default));

    public Task<UpstreamException> Lost => lost.Task;

    public string ProtocolVersion => "2025-11-25";

    public string LastWords { get; set; } = "";

    public void Lose(string reason) => lost.TrySetResult(new UpstreamException(RpcError.UpstreamUnavailable, reason, "Gone."));

    public void Change() => ToolsChanged?.Invoke();

    public Task<IReadOnlyList<ReadOnlyMemory<byte>>> ListToolsAsync(CancellationToken cancellationToken)
    {
        Lists++;
        return ListFails is null ? Task.FromResult<IReadOnlyList<ReadOnlyMemory<byte>>>([.. Tools.Select(tool => (ReadOnlyMemory<byte>)Encoding.UTF8.GetBytes(tool))])
            : Task.FromException<IReadOnlyList<ReadOnlyMemory<byte>>>(ListFails);
    }

    public ValueTask<ToolCallOutcome> CallAsync(UpstreamCall call, CancellationToken cancellationToken) => Call(call);

    public ValueTask DisposeAsync()
    {
        disposed.TrySetResult();
        return ValueTask.CompletedTask;
    }
}
