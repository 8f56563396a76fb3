using System.Collections.Immutable;
using System.Diagnostics.Metrics;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;
using Shared.Storage;
using Shared.Stored;
using Shared.Tools;

namespace McpHub.Catalog.Pins;

/// <summary>
/// Compares the definitions that tool servers list with those that are pinned or approved, and looks for suspicious ones. What depends on a definition's bytes is found out when they change, not with each
/// catalog that is built.
/// </summary>
internal sealed class DefinitionReviews : IToolDefinitions
{
    /// <summary>The most tools of one server that are remembered, gone ones included; more are treated as changed.</summary>
    public const int MaxTools = 10_000;

    private const int MaxName = 100;
    private const int MaxLogged = 20;

    /// <summary>How long definitions are looked through at a stretch; the rest follows, so that a server with very many delays no other for long.</summary>
    private static readonly TimeSpan ScanTime = TimeSpan.FromMilliseconds(500);

    private static readonly Dictionary<string, ReviewedDefinition> Nothing = [];

    private readonly ToolDefinitions? store;
    private readonly TimeProvider clock;
    private readonly ILogger<DefinitionReviews> logger;
    private readonly Counter<long> changes;
    private readonly Counter<long> suspicions;
    private readonly Lock gate = new();
    private readonly Dictionary<string, ServerState> servers = new(StringComparer.Ordinal);
    private readonly Dictionary<string, Dictionary<string, KnownDefinition>> known = new(StringComparer.Ordinal);
    private int logged;
    private int scanned;
    private long scanningSince;
    private string? unfinished;
    private volatile ImmutableDictionary<(string Server, string Tool), ReviewedTool> reviewed = ImmutableDictionary<(string, string), ReviewedTool>.Empty;

    /// <param name="store">Where decisions are kept; null: in this process alone.</param>
    /// <param name="clock">The time.</param>
    /// <param name="meters">For the figures.</param>
    /// <param name="logger">The log.</param>
    public DefinitionReviews(ToolDefinitions? store, TimeProvider clock, IMeterFactory meters, ILogger<DefinitionReviews> logger)
    {
        (this.store, this.clock, this.logger) = (store, clock, logger);
        var meter = meters.Create("Gateway");
        changes = meter.CreateCounter<long>("gateway.tool.definition.changes", "{definition}", "Definitions of tools that were met and are not the approved ones, by server, state and what became of them.");
        suspicions = meter.CreateCounter<long>("gateway.tool.definition.findings", "{finding}", "Suspicious places in definitions of tools, by server, rule and severity.");
        meter.CreateObservableGauge("gateway.tool.definitions.pending", () => (long)reviewed.Values.Count(tool => tool.IsPending), "{tool}", "Tools whose definitions wait for an admin's look.");
        meter.CreateObservableGauge("gateway.tool.definitions.held", () => (long)reviewed.Values.Count(tool => tool.HeldBecause is not null), "{tool}", "Tools that are not served because of their definitions.");
    }

    /// <summary>Raised after a decision, outside all locks, with the id of the server: the catalog is to be built anew.</summary>
    public event Action<string>? Decided;

    /// <summary>Reads what was decided. Before it nothing may be served.</summary>
    /// <exception cref="StorageException">The database cannot be read.</exception>
    public void Load()
    {
        var read = store?.Read() ?? [];
        lock (gate)
        {
            known.Clear();
            foreach (var definition in read)
            {
                KnownOf(definition.Server)[definition.Tool] = definition;
            }
        }
    }

    /// <summary>Judges everything that is listed.</summary>
    /// <param name="snapshot">The manifests.</param>
    /// <param name="listed">What each server listed, by its id.</param>
    /// <returns>The tools that must not be served, with the reason for people.</returns>
    public IReadOnlyDictionary<(string Server, string Tool), string> Review(Snapshot snapshot, IReadOnlyDictionary<string, IReadOnlyList<ReadOnlyMemory<byte>>> listed)
    {
        lock (gate)
        {
            var now = clock.GetUtcNow();
            var manifests = snapshot.Manifests.Where(manifest => manifest.Enabled && IsReviewed(manifest) && listed.ContainsKey(manifest.Id)).ToList();
            foreach (var gone in servers.Keys.Except(manifests.Select(manifest => manifest.Id)).ToList())
            {
                servers.Remove(gone);
            }
            foreach (var manifest in manifests)
            {
                var before = servers.GetValueOrDefault(manifest.Id);
                if (before is null || !ReferenceEquals(before.Listed, listed[manifest.Id]))
                {
                    servers[manifest.Id] = new ServerState(listed[manifest.Id], ReviewedDefinition.Read(listed[manifest.Id], before?.Definitions ?? Nothing));
                }
            }
            var names = new ToolOwners(manifests, servers);
            var next = ImmutableDictionary.CreateBuilder<(string, string), ReviewedTool>();
            (logged, scanned, scanningSince, unfinished) = (0, 0, clock.GetTimestamp(), null);
            foreach (var manifest in manifests)
            {
                foreach (var tool in ReviewServer(manifest, servers[manifest.Id].Definitions, names, now))
                {
                    next[(manifest.Id, tool.Tool)] = Report(tool, manifest);
                }
            }
            reviewed = next.ToImmutable();
            if (unfinished is { } server)
            {
                // Not from here: whoever builds the catalog anew waits for the lock that is held now.
                _ = Task.Run(() => Decided?.Invoke(server));
            }
            if (logged > MaxLogged)
            {
                logger.MoreDefinitions(logged - MaxLogged);
            }
            return reviewed.Values.Where(tool => tool.HeldBecause is not null).ToDictionary(tool => (tool.Server, tool.Tool), tool => tool.HeldBecause!);
        }
    }

    /// <inheritdoc/>
    public IReadOnlyList<ReviewedTool> ReadAll() => [.. reviewed.Values.OrderBy(tool => tool.Server, StringComparer.Ordinal).ThenBy(tool => tool.Tool, StringComparer.Ordinal)];

    /// <inheritdoc/>
    public DefinitionDetail? Find(string server, string tool)
    {
        ReviewedTool? present;
        ReviewedDefinition definition;
        KnownDefinition? remembered;
        KnownDefinition? original;
        lock (gate)
        {
            if (!reviewed.TryGetValue((server, tool), out present) || servers.GetValueOrDefault(server)?.Definitions.GetValueOrDefault(tool) is not { } found)
            {
                return null;
            }
            definition = found;
            remembered = known.GetValueOrDefault(server)?.GetValueOrDefault(tool);
            original = present.RenamedFrom is { } old ? known.GetValueOrDefault(server)?.GetValueOrDefault(old) : remembered;
        }
        var text = DefinitionHash.TextOf(definition.Bytes);
        var approved = original?.Approved is { } decision ? decision.Hash == present.Hash ? text : store?.ReadText(server, original.Tool, decision.Hash) : null;
        return new DefinitionDetail
        {
            Present = present,
            Definition = DefinitionDiff.Escape(text ?? System.Text.Encoding.UTF8.GetString(definition.Bytes.Span)),
            Known = remembered,
            Approved = approved is null ? null : DefinitionDiff.Escape(approved),
            Changes = approved is null || text is null ? null : DefinitionDiff.Between(approved, text),
        };
    }

    /// <inheritdoc/>
    public DecisionOutcome Decide(string server, IReadOnlyDictionary<string, string> expected, bool approve, string? reason, ChangedBy by)
    {
        lock (gate)
        {
            var definitions = new List<DefinitionText>();
            foreach (var (tool, hash) in expected)
            {
                if (!reviewed.TryGetValue((server, tool), out var present) || servers.GetValueOrDefault(server)?.Definitions.GetValueOrDefault(tool) is not { } definition)
                {
                    return new DecisionOutcome(DecisionRefusal.UnknownTool, tool);
                }
                if (present.Hash is null || present.Hash != hash || definition.Hash.Hash != hash)
                {
                    return new DecisionOutcome(DecisionRefusal.DefinitionChanged, tool, present.Hash);
                }
                if (present.State is DefinitionState.PinMismatch or DefinitionState.Pinned)
                {
                    return new DecisionOutcome(DecisionRefusal.PinnedInManifest, tool, present.Hash);
                }
                definitions.Add(definition.ToText());
            }
            foreach (var definition in store?.Decide(server, definitions, approve, reason, by) ?? Remember(server, definitions, approve, reason, by.Actor))
            {
                KnownOf(server)[definition.Tool] = definition;
            }
        }
        Decided?.Invoke(server);
        return default;
    }

    /// <inheritdoc/>
    public bool Forget(string server, string tool, ChangedBy by)
    {
        bool forgotten;
        lock (gate)
        {
            forgotten = store?.Forget(server, tool, by) ?? known.GetValueOrDefault(server)?.ContainsKey(tool) ?? false;
            known.GetValueOrDefault(server)?.Remove(tool);
        }
        if (forgotten)
        {
            Decided?.Invoke(server);
        }
        return forgotten;
    }

    private List<ReviewedTool> ReviewServer(ToolManifest manifest, Dictionary<string, ReviewedDefinition> definitions, ToolOwners names, DateTimeOffset now)
    {
        var shown = definitions.Values.Where(definition => Curation.Of(manifest, definition.Name) is { IsEnabled: true }).OrderBy(definition => definition.Name, StringComparer.Ordinal).ToList();
        var gone = GoneOf(manifest.Id, definitions);
        var unrecorded = manifest.Definitions.Pinning == PinningMode.Off ? [] : RecordFirst(manifest, gone, shown);
        var tools = new List<ReviewedTool>(shown.Count);
        foreach (var definition in shown)
        {
            var pin = PinOf(manifest, definition.Name);
            var findings = manifest.Definitions.Scan == ScanMode.Off ? [] : FindingsOf(manifest, definition, names);
            var judged = Judge(manifest, definition, pin, gone, unrecorded) with { Findings = findings };
            tools.Add(WithScan(manifest, judged, pin) with { Since = now });
        }
        return tools;
    }

    /// <summary>Remembers the tools that were never seen; says which ones could not be.</summary>
    private HashSet<string> RecordFirst(ToolManifest manifest, Dictionary<string, KnownDefinition> gone, List<ReviewedDefinition> shown)
    {
        var trusts = manifest.Definitions.FirstSeen == FirstSeen.Approve;
        // A tool that an admin has decided on is not new, whatever the decision was.
        var fresh = shown.Where(definition => definition.Hash.Hash is not null && PinOf(manifest, definition.Name) is null && KnownOf(manifest.Id).GetValueOrDefault(definition.Name) is var old
            && (old is null || (trusts && old.Decisions.Count == 0)) && OriginalOf(manifest.Id, definition, gone) is null).ToList();
        if (fresh.Count == 0)
        {
            return [];
        }
        var room = MaxTools - KnownOf(manifest.Id).Count;
        var kept = fresh.Take(Math.Max(room, 0)).ToList();
        var left = fresh.Skip(kept.Count).Select(definition => definition.Name).ToHashSet(StringComparer.Ordinal);
        if (left.Count > 0)
        {
            logger.TooManyDefinitions(manifest.Id, KnownOf(manifest.Id).Count);
        }
        if (kept.Count == 0)
        {
            return left;
        }
        List<DefinitionText> texts = [.. kept.Select(definition => definition.ToText())];
        try
        {
            foreach (var definition in store?.AddFirst(manifest.Id, texts, trusts) ?? Remember(manifest.Id, texts, trusts ? true : null, null, DefinitionDecision.FirstUse))
            {
                KnownOf(manifest.Id)[definition.Tool] = definition;
            }
            if (trusts)
            {
                logger.DefinitionsPinned(manifest.Id, kept.Count);
            }
        }
        catch (StorageException exception)
        {
            // What could not be written is not pinned, and must not pass as if it were; it is tried again with the next catalog.
            logger.DefinitionsNotWritten(manifest.Id, kept.Count, exception.Message);
            left.UnionWith(kept.Select(definition => definition.Name));
        }
        return left;
    }

    private ReviewedTool Judge(ToolManifest manifest, ReviewedDefinition definition, string? pin, Dictionary<string, KnownDefinition> gone, HashSet<string> unrecorded)
    {
        var policy = manifest.Definitions;
        var hash = definition.Hash.Hash;
        var old = KnownOf(manifest.Id).GetValueOrDefault(definition.Name);
        var tool = new ReviewedTool { Server = manifest.Id, Tool = definition.Name, Hash = hash, State = DefinitionState.Unpinned, IsPending = false, Since = default, Expected = pin ?? old?.Approved?.Hash };
        if (pin is not null)
        {
            return hash == pin ? tool with { State = DefinitionState.Pinned }
                : Pending(DefinitionState.PinMismatch, true, $"Its definition ({hash ?? "without a canonical form"}) is not the one that its manifest pins ({pin}).");
        }
        var isRejected = hash is not null && old?.On(hash) is { IsApproved: false };
        if (isRejected)
        {
            return tool with { State = DefinitionState.Rejected, HeldBecause = $"This definition of it ({hash}) was rejected by {old!.On(hash!)!.By}{(old.On(hash!)!.Reason is { } reason ? $": {reason}" : ".")}" };
        }
        if (policy.Pinning == PinningMode.Off)
        {
            return tool;
        }
        var enforces = policy.Pinning == PinningMode.Enforce;
        if (hash is null)
        {
            return Pending(DefinitionState.Unhashable, enforces, $"Its definition cannot be compared: {definition.Hash.Wrong}");
        }
        if (unrecorded.Contains(definition.Name))
        {
            return Pending(DefinitionState.Unrecorded, enforces || policy.FirstSeen == FirstSeen.Hold, "Its definition could not be written to the database, so nobody could say later whether it changed.");
        }
        if (old?.On(hash) is { } decision)
        {
            return tool with { State = decision.IsByAdmin ? DefinitionState.Approved : DefinitionState.FirstUse };
        }
        if (old is not null && old.Decisions.Count > 0)
        {
            return Pending(DefinitionState.Changed, enforces, $"Its definition changed ({hash}, approved is {old.Approved?.Hash ?? "none"}) and waits for an admin's approval.");
        }
        if (OriginalOf(manifest.Id, definition, gone) is { } original)
        {
            return (Pending(DefinitionState.Renamed, enforces || policy.FirstSeen == FirstSeen.Hold, $"It is the tool '{VisibleText.Of(original.Tool, MaxName)}' under a new name, and waits for an admin's approval.")) with
            {
                RenamedFrom = original.Tool,
                Expected = original.Approved?.Hash,
            };
        }
        return Pending(DefinitionState.New, true, $"It was never seen before ({hash}) and waits for an admin's approval.");

        ReviewedTool Pending(DefinitionState state, bool held, string because) => tool with { State = state, IsPending = true, HeldBecause = held ? because : null };
    }

    private ReviewedTool WithScan(ToolManifest manifest, ReviewedTool tool, string? pin)
    {
        var counts = tool.Findings.Any(finding => finding.Rule.Severity > ScanSeverity.Low);
        // A pin, and the approval of an admin, say that somebody looked at this very definition; that it was the first one does not.
        if (!counts || tool.State is DefinitionState.Pinned or DefinitionState.Rejected
            || (tool.Hash is not null && pin is null && KnownOf(manifest.Id).GetValueOrDefault(tool.Tool)?.On(tool.Hash) is { IsApproved: true, IsByAdmin: true }))
        {
            return tool;
        }
        var because = $"Its definition is suspicious ({string.Join(", ", tool.Findings.Select(finding => finding.Rule.Id).Distinct())}) and waits for an admin's approval.";
        return tool with { IsPending = true, HeldBecause = tool.HeldBecause ?? (manifest.Definitions.Scan == ScanMode.Review ? because : null) };
    }

    private ImmutableArray<ScanFinding> FindingsOf(ToolManifest manifest, ReviewedDefinition definition, ToolOwners names)
    {
        // One at least, so that it comes to an end on any machine.
        if (!definition.IsScanned && scanned++ > 0 && clock.GetElapsedTime(scanningSince) > ScanTime)
        {
            unfinished = manifest.Id;
            return [new ScanFinding(ScanRules.Find("scan-incomplete")!, "", "It is looked through shortly.")];
        }
        var ignored = manifest.Definitions.IgnoredRules;
        var (findings, mentions) = definition.Scan();
        if (!mentions.IsEmpty && names.FindShadowed(manifest, mentions) is { } mention)
        {
            findings = findings.Add(new ScanFinding(ScanRules.Find("other-tool")!, mention.Place, mention.Excerpt));
        }
        return ignored.IsEmpty ? findings : [.. findings.Where(finding => !ignored.Contains(finding.Rule.Id))];
    }

    /// <summary>The tool that this one was before it was renamed: approved once, gone now, the same description and schemas. Null: there is none, or this tool is known itself.</summary>
    private KnownDefinition? OriginalOf(string server, ReviewedDefinition definition, Dictionary<string, KnownDefinition> gone) =>
        KnownOf(server).GetValueOrDefault(definition.Name) is { Decisions.Count: > 0 } ? null : gone.GetValueOrDefault(definition.Hash.Shape);

    /// <summary>Approved tools that a server lists no more, by the shape of what was approved.</summary>
    private Dictionary<string, KnownDefinition> GoneOf(string server, Dictionary<string, ReviewedDefinition> listed)
    {
        var gone = new Dictionary<string, KnownDefinition>(StringComparer.Ordinal);
        foreach (var tool in KnownOf(server).Values.Where(tool => !listed.ContainsKey(tool.Tool)).OrderBy(tool => tool.Tool, StringComparer.Ordinal))
        {
            foreach (var decision in tool.Decisions.Where(decision => decision.IsApproved))
            {
                gone.TryAdd(decision.Shape, tool);
            }
        }
        return gone;
    }

    /// <summary>A rejection holds whatever is switched off later.</summary>
    private bool IsReviewed(ToolManifest manifest) => manifest.Definitions is not { Pinning: PinningMode.Off, Scan: ScanMode.Off } || manifest.Tools.Any(rule => rule.Pin is not null)
        || (known.GetValueOrDefault(manifest.Id)?.Values.Any(tool => tool.Decisions.Any(decision => !decision.IsApproved)) ?? false);

    private static string? PinOf(ToolManifest manifest, string tool) => manifest.Tools.LastOrDefault(rule => rule.Pin is not null && rule.Match == tool)?.Pin;

    private Dictionary<string, KnownDefinition> KnownOf(string server)
    {
        if (!known.TryGetValue(server, out var tools))
        {
            known[server] = tools = new Dictionary<string, KnownDefinition>(StringComparer.Ordinal);
        }
        return tools;
    }

    /// <summary>Without a database: what it would have remembered.</summary>
    private List<KnownDefinition> Remember(string server, IReadOnlyList<DefinitionText> definitions, bool? approve, string? reason, string by)
    {
        var now = clock.GetUtcNow();
        return [.. definitions.Select(definition =>
        {
            var old = KnownOf(server).GetValueOrDefault(definition.Tool) ?? new KnownDefinition(server, definition.Tool, definition.Hash, now, []);
            return approve is not { } verdict ? old
                : old with { Decisions = [.. old.Decisions.Where(decision => decision.Hash != definition.Hash).TakeLast(ToolDefinitions.MaxDecisions - 1), new DefinitionDecision(definition.Hash, definition.Shape, verdict, by, now, reason)] };
        })];
    }

    /// <summary>Logs and counts what was not so before.</summary>
    private ReviewedTool Report(ReviewedTool tool, ToolManifest manifest)
    {
        var before = reviewed.GetValueOrDefault((tool.Server, tool.Tool));
        var consequence = tool.HeldBecause is null ? "served" : "held back";
        var isSame = before is not null && before.Hash == tool.Hash && before.State == tool.State && (before.HeldBecause is null) == (tool.HeldBecause is null);
        var server = new KeyValuePair<string, object?>("gateway.server", manifest.Id);
        if (!isSame && tool.IsPending && tool.State is not (DefinitionState.Unpinned or DefinitionState.FirstUse))
        {
            // What is held back is logged with its reason where the catalog is built.
            if (tool.HeldBecause is null && logged++ < MaxLogged)
            {
                logger.DefinitionPending(tool.Server, VisibleText.Of(tool.Tool, MaxName), tool.State.ToString(), tool.Hash ?? "no hash");
            }
            changes.Add(1, server, new("gateway.definition.state", tool.State.ToString()), new("gateway.definition.consequence", consequence));
        }
        var isScanned = tool.Findings is not [{ Rule.Id: "scan-incomplete", Place: "" }];
        if (tool.Findings.Count > 0 && isScanned && !(isSame && before!.Findings.SequenceEqual(tool.Findings)))
        {
            if (tool.IsPending && logged++ < MaxLogged)
            {
                logger.DefinitionSuspicious(tool.Server, VisibleText.Of(tool.Tool, MaxName), tool.Findings.Count, string.Join(", ", tool.Findings.Select(finding => finding.Rule.Id).Distinct()), consequence);
            }
            foreach (var finding in tool.Findings)
            {
                suspicions.Add(1, server, new("gateway.definition.rule", finding.Rule.Id), new("gateway.definition.severity", finding.Rule.Severity.ToString()));
            }
        }
        return isSame ? tool with { Since = before!.Since } : tool;
    }

    /// <summary>What one server lists.</summary>
    private sealed record ServerState(IReadOnlyList<ReadOnlyMemory<byte>> Listed, Dictionary<string, ReviewedDefinition> Definitions);

    /// <summary>Which words are tools and servers, and whose.</summary>
    private sealed class ToolOwners
    {
        private const int ShortestName = 6;
        private const int ShortestId = 4;

        private readonly Dictionary<string, HashSet<string>> owners = new(StringComparer.Ordinal);

        public ToolOwners(IEnumerable<ToolManifest> manifests, Dictionary<string, ServerState> servers)
        {
            foreach (var manifest in manifests)
            {
                Add("@" + manifest.Id.ToLowerInvariant(), manifest.Id, ShortestId + 1);
                foreach (var tool in servers[manifest.Id].Definitions.Keys)
                {
                    Add(tool.ToLowerInvariant(), manifest.Id, ShortestName);
                    Add($"{manifest.Prefix}__{tool}".ToLowerInvariant(), manifest.Id, ShortestName);
                }
            }
        }

        /// <summary>A word that is another server's tool and none of this one's.</summary>
        public Mention? FindShadowed(ToolManifest manifest, ImmutableArray<Mention> mentions)
        {
            foreach (var mention in mentions)
            {
                if (owners.TryGetValue(mention.Word, out var servers) && !servers.Contains(manifest.Id))
                {
                    return mention;
                }
            }
            return null;
        }

        private void Add(string word, string server, int shortest)
        {
            if (word.Length >= shortest)
            {
                if (!owners.TryGetValue(word, out var servers))
                {
                    owners[word] = servers = new HashSet<string>(StringComparer.Ordinal);
                }
                servers.Add(server);
            }
        }
    }
}
