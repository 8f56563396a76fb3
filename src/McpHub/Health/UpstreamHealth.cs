using System.Collections.Concurrent;
using System.Globalization;
using McpHub.Upstreams;
using Shared.Snapshots;
using Shared.Tools;

namespace McpHub.Health;

/// <summary>How the calls of one tool server go: its circuit breaker, and what is known of each tool. In memory, since the server's manifest last changed.</summary>
internal sealed class UpstreamHealth(ToolManifest manifest, TimeProvider clock)
{
    /// <summary>The most tools that are told apart; a server that renames its tools without end fills no memory.</summary>
    public const int MaxTools = 1000;

    /// <summary>What the tools beyond that are counted under.</summary>
    public const string OtherTools = "(other)";

    private readonly CircuitBreaker breaker = new(manifest.Health.Breaker, clock);
    private readonly ConcurrentDictionary<string, ToolRecord> tools = new(StringComparer.Ordinal);
    private readonly ToolRecord others = new();
    private int known;

    /// <summary>The circuit breaker as it is now.</summary>
    public ToolServerBreaker Breaker
    {
        get
        {
            var (state, inRow, retryAt) = breaker.Read();
            return new ToolServerBreaker(state switch { BreakerState.Open => "open", BreakerState.HalfOpen => "halfOpen", _ => "closed" }, inRow, retryAt);
        }
    }

    /// <summary>All tools that were called, with how that went.</summary>
    public IEnumerable<(string Tool, ToolHealth Health)> Tools
    {
        get
        {
            foreach (var (name, record) in tools)
            {
                yield return (name, record.Read());
            }
            if (others.Read() is { Calls: > 0 } rest)
            {
                yield return (OtherTools, rest);
            }
        }
    }

    /// <summary>How the calls of a tool went; null: there were none.</summary>
    public ToolHealth? Find(string tool) => tools.TryGetValue(tool, out var record) ? record.Read() : null;

    /// <summary>The server was connected anew.</summary>
    public void Connected() => breaker.Renew();

    /// <summary>A call is about to be made.</summary>
    /// <param name="tool">The server's own name of the tool.</param>
    /// <returns>To be ended when the call is over.</returns>
    /// <exception cref="UpstreamException">The circuit is open.</exception>
    public Visit Enter(string tool)
    {
        var record = Of(tool);
        if (breaker.TryEnter(out var pass) is { } wait)
        {
            record.Refused();
            var seconds = Math.Max(1, (long)Math.Ceiling(wait.TotalSeconds));
            throw new UpstreamException(RpcError.UpstreamUnavailable, UpstreamReasons.CircuitOpen,
                string.Create(CultureInfo.InvariantCulture, $"Tool server '{manifest.Id}' failed too often and is left alone for a while; try again in {seconds} seconds."), wasSent: false)
            {
                RetryAfter = TimeSpan.FromSeconds(seconds),
            };
        }
        return new Visit(this, record, pass, clock.GetTimestamp());
    }

    /// <summary>What the end of a call says of the server.</summary>
    /// <param name="error">How it ended, as the ledger has it: null, <c>tool_error</c>, <c>rpc_error</c>, <c>cancelled</c> or why the upstream failed.</param>
    internal static CallVerdict VerdictOf(string? error) => error switch
    {
        // Whatever a server answers, it answers.
        null or "tool_error" or "rpc_error" => CallVerdict.Answered,
        UpstreamReasons.Timeout or UpstreamReasons.Unreachable or UpstreamReasons.Broken or UpstreamReasons.Exited or UpstreamReasons.InvalidResponse => CallVerdict.Failed,
        _ => error.StartsWith("http_5", StringComparison.Ordinal) ? CallVerdict.Failed : CallVerdict.None,
    };

    private TimeSpan Elapsed(long since) => clock.GetElapsedTime(since);

    private DateTimeOffset Now => clock.GetUtcNow();

    private ToolRecord Of(string tool)
    {
        if (tools.TryGetValue(tool, out var record))
        {
            return record;
        }
        if (Interlocked.Increment(ref known) > MaxTools)
        {
            Interlocked.Decrement(ref known);
            return others;
        }
        return tools.GetOrAdd(tool, _ => new ToolRecord());
    }

    /// <summary>A call under way; <c>default</c>: none was begun.</summary>
    internal readonly struct Visit(UpstreamHealth health, ToolRecord tool, BreakerPass pass, long since)
    {
        /// <summary>Ends it.</summary>
        /// <param name="error">How it ended, as the ledger has it.</param>
        /// <param name="code">The JSON-RPC error code; 0: none.</param>
        public void End(string? error, int code)
        {
            if (health is not null)
            {
                health.breaker.Leave(pass, VerdictOf(error));
                tool.Ended(error, code, health.Elapsed(since), health.Now);
            }
        }
    }

    /// <summary>What is known of one tool.</summary>
    internal sealed class ToolRecord
    {
        private readonly Lock gate = new();
        private ToolHealth now = new();
        private TimeSpan total;

        public ToolHealth Read()
        {
            lock (gate)
            {
                return now;
            }
        }

        public void Refused()
        {
            lock (gate)
            {
                now = now with { Refused = now.Refused + 1 };
            }
        }

        public void Ended(string? error, int code, TimeSpan took, DateTimeOffset at)
        {
            lock (gate)
            {
                var failed = error is not (null or "tool_error" or "cancelled");
                total += took;
                now = now with
                {
                    Calls = now.Calls + 1,
                    Failures = now.Failures + (failed ? 1 : 0),
                    ToolErrors = now.ToolErrors + (error == "tool_error" ? 1 : 0),
                    LastError = failed ? error : now.LastError,
                    LastErrorCode = failed ? code : now.LastErrorCode,
                    LastErrorAt = failed ? at : now.LastErrorAt,
                    MeanLatency = total / (now.Calls + 1),
                    MaxLatency = took > now.MaxLatency ? took : now.MaxLatency,
                };
            }
        }
    }
}
