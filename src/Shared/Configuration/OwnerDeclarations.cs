using Shared.Pricing;

namespace Shared.Configuration;

/// <summary>What may be declared of each link of the chain key, user, team, customer.</summary>
public abstract record OwnerDeclaration : Declaration
{
    /// <summary>Globs over <c>provider/model</c> and route names. Null: on a key, none; elsewhere, no restriction.</summary>
    public IReadOnlyList<string>? Models { get; init; }

    /// <summary>Globs over <c>server/tool</c>. Null: on a key, none; elsewhere, no restriction.</summary>
    public IReadOnlyList<string>? Tools { get; init; }

    /// <summary>Annotations that a tool must carry as given, e.g. <c>readOnlyHint: true</c>.</summary>
    public IReadOnlyDictionary<string, bool> ToolAnnotations { get; init; } = new Dictionary<string, bool>();

    /// <summary>Money it may spend.</summary>
    public IReadOnlyList<BudgetDeclaration> Budgets { get; init; } = [];

    /// <summary>Requests and tokens it may use.</summary>
    public IReadOnlyList<RateLimitDeclaration> RateLimits { get; init; } = [];

    /// <summary>Calls it may have in flight.</summary>
    [OneOrMany]
    public IReadOnlyList<ConcurrencyDeclaration> Concurrency { get; init; } = [];
}

/// <summary>An entry under <c>keys</c>; also the form in which the database keeps a key's rights.</summary>
public sealed record KeyDeclaration : OwnerDeclaration
{
    /// <summary>A name for people; in a file, the entry's own name by default.</summary>
    public string? Name { get; init; }

    /// <summary>In a file only: the whole token, as a reference. Its id becomes the key's id, and nothing but the hash of its secret is kept.</summary>
    public Secret? Key { get; init; }

    /// <summary>Id of the user that holds it. A key names at most one of user, team and customer.</summary>
    public string? User { get; init; }

    /// <summary>Id of the team that it belongs to without a user between.</summary>
    public string? Team { get; init; }

    /// <summary>Id of the customer that it belongs to without a user or team between.</summary>
    public string? Customer { get; init; }

    /// <summary>When it stops being accepted; null: never.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }
}

/// <summary>An entry under <c>users</c>.</summary>
internal sealed record UserDeclaration : OwnerDeclaration
{
    public string? Team { get; init; }

    public string? Customer { get; init; }
}

/// <summary>An entry under <c>teams</c>.</summary>
internal sealed record TeamDeclaration : OwnerDeclaration
{
    public string? Customer { get; init; }
}

/// <summary>An entry under <c>customers</c>.</summary>
internal sealed record CustomerDeclaration : OwnerDeclaration;

/// <summary>A limit that may cover some calls only.</summary>
public abstract record LimitDeclaration : Declaration
{
    /// <summary>Its name among its owner's limits of the kind; null: made from the window.</summary>
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
    /// <summary>The most that may be spent in one window.</summary>
    public required Money Limit { get; init; }

    /// <summary>The window.</summary>
    public required Per Per { get; init; }

    /// <summary>IANA name of the time zone that a calendar window is aligned to; null: UTC.</summary>
    public string? TimeZone { get; init; }

    /// <summary>Whether the limit is never passed (each call reserves its highest price) or may be passed by the last calls.</summary>
    public bool Hard { get; init; } = true;
}

/// <summary>An item under <c>rateLimits</c>; counts either requests or tokens.</summary>
public sealed record RateLimitDeclaration : LimitDeclaration
{
    /// <summary>The most requests in one window.</summary>
    [Bounds("1", "1000000000000")]
    public long? Requests { get; init; }

    /// <summary>The most tokens in one window, input and output together.</summary>
    [Bounds("1", "1000000000000000")]
    public long? Tokens { get; init; }

    /// <summary>The window.</summary>
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
