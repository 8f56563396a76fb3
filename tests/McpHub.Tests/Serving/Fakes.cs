using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using McpHub.Catalog;
using Shared.Http;
using Shared.Ledger;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Tests.Serving;

/// <summary>Tools that answer as the test says and remember who called them how.</summary>
internal sealed class FakeTools : IToolAccess
{
    public const string PlainResult = """{"content":[{"type":"text","text":"déjà vu ☃"}],"structuredContent":{"n":1.50,"big":12345678901234567890},"x-vendor":{"kept":true}}""";

    public ConcurrentQueue<(string RequestId, string Name, string Params)> Calls { get; } = new();

    public Func<GatewayRequest, ToolCall, CancellationToken, ValueTask<ToolCallOutcome>> Answer { get; set; } = (_, _, _) => ValueTask.FromResult(Result(PlainResult));

    public static ToolCallOutcome Result(string json) => new(Encoding.UTF8.GetBytes(json), default);

    public static ToolCallOutcome Error(string json) => new(default, Encoding.UTF8.GetBytes(json));

    public ReadOnlyMemory<byte> List(GatewayRequest caller) => throw new NotSupportedException("Lists come from the view.");

    public ValueTask<ToolCallOutcome> CallAsync(GatewayRequest caller, ToolCall call, CancellationToken cancellationToken)
    {
        Calls.Enqueue((caller.RequestId, call.Name, Encoding.UTF8.GetString(call.Params.Span)));
        return Answer(caller, call, cancellationToken);
    }
}

/// <summary>Views that the test sets for each key.</summary>
internal sealed class FakeViews : IToolViews
{
    private readonly ConcurrentDictionary<string, ToolView> views = new();

    public event Action? Changed;

    public static ToolView Default { get; } = NewView(
        """{"name":"echo","description":"Ünicode","inputSchema":{"type":"object","x-odd":1.50},"x-vendor":[1,2]}""",
        """{"name":"slow","inputSchema":{"type":"object"}}""");

    public ToolView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope = default) => views.GetValueOrDefault(key.Id, Default);

    public void Set(string key, ToolView view)
    {
        views[key] = view;
        Changed?.Invoke();
    }

    public static ToolView NewView(params string[] definitions) => NewView(TimeSpan.FromMinutes(5), definitions);

    public static ToolView NewView(TimeSpan callTimeout, params string[] definitions)
    {
        var json = Encoding.UTF8.GetBytes("[" + string.Join(",", definitions) + "]");
        var tools = definitions.Select(definition => NewTool(definition, callTimeout)).ToFrozenDictionary(tool => tool.ExposedName);
        return new ToolView(json, tools, Convert.ToHexString(SHA256.HashData(json)));
    }

    public static ToolView NewLargeView(int count, int bytesEach) => NewView([.. Enumerable.Range(0, count).Select(i =>
        $$$$"""{"name":"tool_{{{{i}}}}","description":"{{{{new string('d', bytesEach)}}}}","inputSchema":{"type":"object","properties":{"message":{"type":"string"} } } }""")]);

    private static CatalogTool NewTool(string definition, TimeSpan callTimeout)
    {
        var name = System.Text.Json.Nodes.JsonNode.Parse(definition)!["name"]!.GetValue<string>();
        return new CatalogTool
        {
            Server = new ToolManifest { Id = "fake", Transport = UpstreamTransport.BuiltIn, Prefix = "", Origin = "test", CallTimeout = callTimeout },
            UpstreamName = name,
            ExposedName = name,
            Definition = Encoding.UTF8.GetBytes(definition),
            LocalName = name,
            LocalDefinition = new Lazy<ReadOnlyMemory<byte>>(Encoding.UTF8.GetBytes(definition)),
            Annotations = ImmutableDictionary<string, bool>.Empty,
            Start = new AttemptStart { Kind = CallKind.Tool, Upstream = "fake", Name = name, RequestedName = name },
        };
    }
}
