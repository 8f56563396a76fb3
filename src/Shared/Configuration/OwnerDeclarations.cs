using Shared.Configuration.Schemas;
using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>What may be declared of each link of the chain key, user, team, customer.</summary>
public abstract record OwnerDeclaration : Declaration
{
    /// <summary>Globs over <c>provider/model</c> and names of routes; a leading <c>!</c> takes away.</summary>
    [DefaultText("a key: none; elsewhere: no restriction")]
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>Globs over <c>server/tool</c>, the servers' own names, and toolsets as <c>toolset:id</c>; a leading <c>!</c> takes away.</summary>
    [DefaultText("a key: none; elsewhere: no restriction")]
    public IReadOnlyList<string>? Tools { get; init; }

    /// <summary>Globs over <c>server/prompt</c>, the servers' own names; a leading <c>!</c> takes away.</summary>
    [DefaultText("those of servers of which `tools` grants all")]
    public IReadOnlyList<string>? Prompts { get; init; }

    /// <summary>Globs over <c>server/uri</c>, the servers' own URIs; a leading <c>!</c> takes away.</summary>
    [DefaultText("those of servers of which `tools` grants all")]
    public IReadOnlyList<string>? Resources { get; init; }

    /// <summary>Annotations that a tool must carry as given, e.g. <c>readOnlyHint: true</c>.</summary>
    public IReadOnlyDictionary<string, bool> ToolAnnotations { get; init; } = new Dictionary<string, bool>();

    /// <summary>Money that may be spent.</summary>
    public IReadOnlyList<BudgetDeclaration> Budgets { get; init; } = [];

    /// <summary>Requests and tokens that may be used.</summary>
    public IReadOnlyList<RateLimitDeclaration> RateLimits { get; init; } = [];

    /// <summary>Calls that may be in flight: a number, an entry or a list of entries.</summary>
    [OneOrMany]
    public IReadOnlyList<ConcurrencyDeclaration> Concurrency { get; init; } = [];
}

/// <summary>An entry under <c>keys</c>; also the form in which the database keeps a key's rights.</summary>
public sealed record KeyDeclaration : OwnerDeclaration
{
    /// <summary>A name for people.</summary>
    [DefaultText("the entry's own name")]
    public string? Name { get; init; }

    /// <summary>In a file only, and required there: the whole token, best as a reference. Its id becomes the key's id, and nothing but the hash of its secret is kept.</summary>
    public Secret? Key { get; init; }

    /// <summary>Id of the user that holds it. A key names at most one of user, team and customer.</summary>
    public string? User { get; init; }

    /// <summary>Id of the team that it belongs to without a user between.</summary>
    public string? Team { get; init; }

    /// <summary>Id of the customer that it belongs to without a user or team between.</summary>
    public string? Customer { get; init; }

    /// <summary>The moment from which it is refused.</summary>
    [DefaultText("never")]
    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <summary>An entry under <c>users</c>.</summary>
internal sealed record UserDeclaration : OwnerDeclaration
{
    /// <summary>Id of the team that the user belongs to. A user names at most one of team and customer.</summary>
    public string? Team { get; init; }

    /// <summary>Id of the customer that the user belongs to without a team between.</summary>
    public string? Customer { get; init; }
}

/// <summary>An entry under <c>teams</c>.</summary>
internal sealed record TeamDeclaration : OwnerDeclaration
{
    /// <summary>Id of the customer that the team belongs to.</summary>
    public string? Customer { get; init; }
}

/// <summary>An entry under <c>customers</c>.</summary>
internal sealed record CustomerDeclaration : OwnerDeclaration;

/// <summary>A limit that may cover some calls only.</summary>
public abstract record LimitDeclaration : Declaration
{
    /// <summary>Its name among its owner's limits of the kind; its counter hangs on it.</summary>
    [DefaultText("made from the window")]
    public string? Name { get; init; }

    /// <summary>Globs over provider ids; empty: any.</summary>
    public IReadOnlyList<string> Providers { get; init; } = [];

    /// <summary>Globs over <c>provider/model</c>; empty: any.</summary>
    public IReadOnlyList<string> Models { get; init; } = [];

    /// <summary>Globs over <c>server/tool</c>; empty: any.</summary>
    public IReadOnlyList<string> Tools { get; init; } = [];
}

/// <summary>An item under <c>budgets</c>.</summary>
public sealed record BudgetDeclaration : LimitDeclaration
{
    /// <summary>The most US dollars that may be spent in one window.</summary>
    public required Money Limit { get; init; }

    /// <summary>The window: aligned to the calendar (<c>day</c>) or rolling (<c>24h</c>).</summary>
    public required Per Per { get; init; }

    /// <summary>IANA name of the time zone that a calendar window is aligned to.</summary>
    [DefaultText("UTC")]
    public string? TimeZone { get; init; }

    /// <summary>Hard: each call reserves its highest possible price, and the limit is never passed. Otherwise calls are admitted while less than the limit is spent.</summary>
    public bool Hard { get; init; } = true;
}

/// <summary>An item under <c>rateLimits</c>; counts either requests or tokens.</summary>
[ExactlyOne(nameof(Requests), nameof(Tokens))]
public sealed record RateLimitDeclaration : LimitDeclaration
{
    /// <summary>The most requests in one window; either this or <c>tokens</c>.</summary>
    [Bounds("1", "1000000000000")]
    public long? Requests { get; init; }

    /// <summary>The most tokens in one window, input and output together.</summary>
    [Bounds("1", "1000000000000000")]
    public long? Tokens { get; init; }

    /// <summary>The window: aligned to the calendar (<c>day</c>) or rolling (<c>1m</c>).</summary>
    public Per Per { get; init; } = new(null, TimeSpan.FromMinutes(1));
}

/// <summary>An item under <c>concurrency</c>; a number alone is its limit.</summary>
[Shorthand(nameof(Limit))]
public sealed record ConcurrencyDeclaration : LimitDeclaration
{
    /// <summary>The most calls in flight.</summary>
    [Bounds("1", "1000000")]
    public required int Limit { get; init; }
}
