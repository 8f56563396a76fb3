using System.Collections.Immutable;
using Shared.Budgets;

namespace Shared.VirtualKeys;

/// <summary>What stands in the chain of those who answer for a call.</summary>
public enum OwnerKind
{
    /// <summary>A virtual key.</summary>
    Key,

    /// <summary>A person or service that holds keys.</summary>
    User,

    /// <summary>A team of users.</summary>
    Team,

    /// <summary>A customer with teams.</summary>
    Customer,
}

/// <summary>One link of the chain key, user, team, customer: limits hang on it, and each call counts against all links above its key.</summary>
public record Owner
{
    /// <summary>What it is.</summary>
    public required OwnerKind Kind { get; init; }

    /// <summary>Its id, unique within its kind.</summary>
    public required string Id { get; init; }

    /// <summary>The next link up; null at the root.</summary>
    public Owner? Parent { get; init; }

    /// <summary>Money it may spend.</summary>
    public ImmutableArray<Budget> Budgets { get; init; } = [];

    /// <summary>Requests and tokens it may use.</summary>
    public ImmutableArray<RateLimit> RateLimits { get; init; } = [];

    /// <summary>Calls it may have in flight.</summary>
    public ImmutableArray<ConcurrencyLimit> ConcurrencyLimits { get; init; } = [];

    /// <summary>What it may use; null on a user, team or customer: no restriction beyond the key's own.</summary>
    public Grants? Grants { get; init; }

    /// <summary>This link and those above it, from here to the root.</summary>
    public IEnumerable<Owner> Chain()
    {
        for (var link = this; link is not null; link = link.Parent)
        {
            yield return link;
        }
    }

    /// <summary>The id of the link of a kind at or above this one, or null.</summary>
    public string? IdOf(OwnerKind kind)
    {
        for (var link = this; link is not null; link = link.Parent)
        {
            if (link.Kind == kind)
            {
                return link.Id;
            }
        }
        return null;
    }
}

/// <summary>A credential that the gateway issued, with the limits and grants that hang on it.</summary>
public sealed record VirtualKey : Owner
{
    /// <summary>A name for people; not unique.</summary>
    public required string Name { get; init; }

    /// <summary>The secrets that open it. After a rotation with overlap there are two.</summary>
    public required ImmutableArray<KeySecret> Secrets { get; init; }

    /// <summary>When it stops being accepted; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When it was revoked; null: it was not.</summary>
    public DateTimeOffset? RevokedAt { get; init; }

    /// <summary>The file that declares it, or null where it was made through the API.</summary>
    public string? DeclaredIn { get; init; }
}

/// <summary>What a key may use. Deny by default: no model globs, no models; no tool globs, no tools.</summary>
public sealed record Grants
{
    /// <summary>A grant of nothing.</summary>
    public static Grants None { get; } = new();

    /// <summary>Globs over <c>provider/model</c> and over route names; one that begins with <c>!</c> takes away what the others give.</summary>
    public ImmutableArray<string> Models { get; init; } = [];

    /// <summary>Globs over <c>server/tool</c>, the upstream's own names, so that a rename never widens access; one that begins with <c>!</c> takes away.</summary>
    public ImmutableArray<string> Tools { get; init; } = [];

    /// <summary>Annotations that a tool must carry as given (<c>readOnlyHint</c>: true); a tool that lacks one is denied. Empty: no condition.</summary>
    public ImmutableDictionary<string, bool> ToolAnnotations { get; init; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>Whether a model or route may be used.</summary>
    /// <param name="name"><c>provider/model</c>, or a route's name.</param>
    public bool AllowsModel(string name) => Allows(Models, name);

    /// <summary>Whether a tool's name may be used; its annotations are a second condition.</summary>
    /// <param name="serverAndTool"><c>server/tool</c>, the upstream's own names.</param>
    public bool AllowsTool(string serverAndTool) => Allows(Tools, serverAndTool);

    private static bool Allows(ImmutableArray<string> globs, string name)
    {
        var allowed = false;
        foreach (var glob in globs)
        {
            if (glob.StartsWith('!'))
            {
                if (Glob.IsMatch(glob.AsSpan(1), name))
                {
                    return false;
                }
            }
            else
            {
                allowed = allowed || Glob.IsMatch(glob, name);
            }
        }
        return allowed;
    }
}
