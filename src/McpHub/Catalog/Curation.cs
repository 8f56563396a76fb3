using System.Collections.Immutable;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace McpHub.Catalog;

/// <summary>What a manifest's rules make of one tool.</summary>
internal sealed record Curation
{
    /// <summary>Whether it is shown.</summary>
    public bool IsEnabled { get; init; }

    /// <summary>Its name in place of its own; null: its own.</summary>
    public string? Name { get; init; }

    /// <summary>Its title in place of its own; null: its own.</summary>
    public string? Title { get; init; }

    /// <summary>Its description in place of its own; null: its own.</summary>
    public string? Description { get; init; }

    /// <summary>Annotations set or replaced.</summary>
    public ImmutableDictionary<string, bool> Annotations { get; init; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>The price of one call.</summary>
    public Money Cost { get; init; } = Money.Zero;

    /// <summary>Arguments with a fixed value, and whether the rule that says so is for this tool alone.</summary>
    public ImmutableDictionary<string, (FixedArgument Value, bool ForThisTool)> Set { get; init; } = ImmutableDictionary<string, (FixedArgument, bool)>.Empty;

    /// <summary>Arguments that are hidden.</summary>
    public ImmutableDictionary<string, bool> Hidden { get; init; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>Rules for arguments: all hold.</summary>
    public ImmutableArray<(ArgumentRule Rule, bool ForThisTool)> Arguments { get; init; } = [];

    /// <summary>Time allowed for one call; null: that of the server.</summary>
    public TimeSpan? Timeout { get; init; }

    /// <summary>The largest result; null: any.</summary>
    public ResultLimit? Result { get; init; }

    /// <summary>The most calls in flight at once; null: no limit.</summary>
    public int? MaxConcurrentCalls { get; init; }

    /// <summary>The most calls in any minute; null: no limit.</summary>
    public ToolRate? Rate { get; init; }

    /// <summary>Who is asked before a call; null: nobody.</summary>
    public Approval? Approval { get; init; }

    /// <summary>Whether calls cannot go through as they are.</summary>
    public bool HasRules => !Set.IsEmpty || !Hidden.IsEmpty || Arguments.Length > 0 || Timeout is not null || Result is not null || MaxConcurrentCalls is not null || Approval is not null;

    /// <summary>Applies all rules that match, in order; of two that say something of the same thing, the later one counts. What arguments may hold adds up.</summary>
    public static Curation Of(ToolManifest manifest, string tool)
    {
        var curation = new Curation { IsEnabled = manifest.ExposeByDefault };
        foreach (var rule in manifest.Tools)
        {
            if (Glob.IsMatch(rule.Match, tool))
            {
                curation = curation.With(rule);
            }
        }
        return curation;
    }

    /// <summary>Whether the manifest gives a tool's name to another of its tools. That it says so counts, not whether the server has the other one today.</summary>
    public static bool IsContested(ToolManifest manifest, string tool, string? wanted)
    {
        foreach (var rule in manifest.Tools)
        {
            if (rule.As == (wanted ?? tool) && rule.Match != tool)
            {
                return true;
            }
        }
        return false;
    }

    private Curation With(ToolRule rule)
    {
        var forThisTool = !rule.Match.AsSpan().ContainsAny('*', '?');
        return this with
        {
            IsEnabled = rule.Enabled ?? IsEnabled,
            Name = rule.As ?? Name,
            Title = rule.Title ?? Title,
            Description = rule.Description ?? Description,
            Annotations = Annotations.SetItems(rule.Annotations),
            Cost = rule.Cost ?? Cost,
            Set = rule.Set.IsEmpty ? Set : Set.SetItems(rule.Set.Select(pair => KeyValuePair.Create(pair.Key, (pair.Value, forThisTool)))),
            Hidden = rule.HiddenArguments.IsEmpty ? Hidden : Hidden.SetItems(rule.HiddenArguments.Select(name => KeyValuePair.Create(name, forThisTool))),
            Arguments = rule.Arguments.IsEmpty ? Arguments : Arguments.AddRange(rule.Arguments.Select(argument => (argument, forThisTool))),
            Timeout = rule.Timeout ?? Timeout,
            Result = rule.Result ?? Result,
            MaxConcurrentCalls = rule.MaxConcurrentCalls ?? MaxConcurrentCalls,
            Rate = rule.Rate ?? Rate,
            Approval = rule.Approval is { } approval ? approval.Mode == ApprovalMode.None ? null : approval : Approval,
        };
    }
}
