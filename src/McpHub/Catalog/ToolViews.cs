using System.Buffers;
using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using McpHub.Search;
using McpHub.Upstreams;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Tools;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>Finds callers' views. Keys with the same grants share one.</summary>
internal sealed class ToolViews : IToolViews
{
    /// <summary>The most bytes of ready lists that are kept; beyond it they are built anew as they are asked for.</summary>
    public const long MaxBytes = 64 * 1024 * 1024;

    private readonly ToolServers servers;
    private readonly ILogger<ToolViews> logger;
    private readonly ConditionalWeakTable<ToolView, ToolView> searched = [];
    private volatile Cache? cache;
    private int telling;

    public ToolViews(ToolServers servers, SnapshotStore snapshots, ILogger<ToolViews> logger)
    {
        (this.servers, this.logger) = (servers, logger);
        servers.CatalogChanged += Tell;
        snapshots.Changed += (_, _) => Tell();
    }

    public event Action? Changed;

    /// <summary>Tells the listeners, from a thread of its own, so that whoever changed something waits for none of them. Changes that come meanwhile are told once.</summary>
    private void Tell()
    {
        if (Interlocked.Increment(ref telling) == 1)
        {
            _ = Task.Run(() =>
            {
                int told;
                do
                {
                    told = Volatile.Read(ref telling);
                    try
                    {
                        Changed?.Invoke();
                    }
                    catch (Exception exception)
                    {
                        logger.ListenerFailed(exception);
                    }
                }
                while (Interlocked.CompareExchange(ref telling, 0, told) != told);
            });
        }
    }

    public ToolView ViewOf(Snapshot snapshot, VirtualKey key, ToolScope scope = default)
    {
        if (scope.Search)
        {
            // Whatever tools there are, these clients are shown the same three, so that nothing of their list ever changes.
            return searched.GetValue(ViewOf(snapshot, key, scope.WithoutSearch()), static view => new ToolView(SearchAccess.Definitions, view.Tools, "search"));
        }
        var current = cache;
        var catalog = servers.Catalog;
        if (current is null || current.Catalog != catalog || current.Snapshot != snapshot)
        {
            cache = current = new Cache(catalog, snapshot);
        }
        else if (current.Bytes > MaxBytes)
        {
            cache = current = new Cache(catalog, snapshot);
        }
        return current.ViewOf(key, scope);
    }

    /// <summary>The views under one catalog and one snapshot.</summary>
    private sealed class Cache(ToolCatalog catalog, Snapshot snapshot)
    {
        private readonly ConcurrentDictionary<(string Key, ToolScope Scope), ToolView> byKey = new();
        private readonly ConcurrentDictionary<(string Grants, ToolScope Scope), ToolView> byGrants = new();
        private long bytes;

        public ToolCatalog Catalog { get; } = catalog;

        public Snapshot Snapshot { get; } = snapshot;

        /// <summary>The size of all lists in it.</summary>
        public long Bytes => Volatile.Read(ref bytes);

        public ToolView ViewOf(VirtualKey key, ToolScope scope)
        {
            if (byKey.TryGetValue((key.Id, scope), out var view))
            {
                return view;
            }
            return byKey.GetOrAdd((key.Id, scope), byGrants.GetOrAdd((SignatureOf(key), scope), _ => Build(key, scope)));
        }

        private ToolView Build(VirtualKey key, ToolScope scope)
        {
            var tools = Catalog.Tools.Where(tool => IsGranted(key, tool)).ToList();
            if (scope.Toolset is { } id)
            {
                var toolset = Snapshot.Toolsets.GetValueOrDefault(id);
                tools = [.. tools.Where(tool => toolset?.IncludesTool($"{tool.Server.Id}/{tool.UpstreamName}") == true)];
            }
            if (scope.Server is { } server)
            {
                tools = [.. tools.Where(tool => tool.Server.Id == server)
                    .Select(tool => tool with { ExposedName = tool.LocalName, Definition = tool.LocalDefinition.Value })
                    .OrderBy(tool => tool.ExposedName, StringComparer.Ordinal)];
            }
            var json = new ArrayBufferWriter<byte>(tools.Sum(tool => tool.Definition.Length + 1) + 2);
            json.Write("["u8);
            for (var i = 0; i < tools.Count; i++)
            {
                json.Write(i == 0 ? ""u8 : ","u8);
                json.Write(tools[i].Definition.Span);
            }
            json.Write("]"u8);
            Interlocked.Add(ref bytes, json.WrittenCount);
            return new ToolView(json.WrittenMemory, tools.ToFrozenDictionary(tool => tool.ExposedName, StringComparer.Ordinal), Convert.ToHexString(SHA256.HashData(json.WrittenSpan)));
        }

        private static bool IsGranted(VirtualKey key, CatalogTool tool)
        {
            var name = $"{tool.Server.Id}/{tool.UpstreamName}";
            for (Owner? owner = key; owner is not null; owner = owner.Parent)
            {
                var grants = owner.Grants ?? (owner == key ? Grants.None : null);
                if (grants is not null && !(grants.AllowsTool(name) && grants.ToolAnnotations.All(wanted => tool.Annotations.TryGetValue(wanted.Key, out var value) && value == wanted.Value)))
                {
                    return false;
                }
            }
            return true;
        }

        private static string SignatureOf(VirtualKey key)
        {
            var text = new StringBuilder();
            for (Owner? owner = key; owner is not null; owner = owner.Parent)
            {
                if (owner.Grants is { } grants)
                {
                    text.AppendJoin('\n', grants.Tools).Append('\u001e')
                        .AppendJoin('\n', grants.ToolAnnotations.OrderBy(pair => pair.Key, StringComparer.Ordinal).Select(pair => $"{pair.Key}={pair.Value}"));
                }
                text.Append('\u001d');
            }
            return text.ToString();
        }
    }
}
