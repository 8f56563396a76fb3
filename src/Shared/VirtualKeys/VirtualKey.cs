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

    /// <summary>Whether this link and all above it allow a prompt.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="name">The server's own name of the prompt.</param>
    public bool AllowsPrompt(string server, string name) => AllAllow(grants => grants.AllowsPrompt(server, name));

    /// <summary>Whether this link and all above it allow a resource. To be asked of the URI of each read, also where a template was allowed.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="uri">The server's own URI, or the text of a URI template.</param>
    public bool AllowsResource(string server, string uri) => AllAllow(grants => grants.AllowsResource(server, uri));

    /// <summary>Whether this link and all above it may allow anything of a server. Errs on the side of yes.</summary>
    /// <param name="server">The server's id.</param>
    public bool MayReachServer(string server) => AllAllow(grants => grants.MayReachServer(server));

    /// <summary>Whether this link and all above it may allow some model of a provider. Errs on the side of yes.</summary>
    /// <param name="provider">The provider's id.</param>
    public bool MayReachProvider(string provider) => AllAllow(grants => GlobList.MayReachServer(grants.Models, provider));

    /// <summary>Whether this link and all above it allow all models of a provider.</summary>
    /// <param name="provider">The provider's id.</param>
    public bool CoversProvider(string provider) => AllAllow(grants => GlobList.CoversServer(grants.Models, provider));

    /// <summary>Whether this link and all above it may allow prompts or resources of a server. Errs on the side of yes.</summary>
    /// <param name="server">The server's id.</param>
    public bool MayReachFeatures(string server) => AllAllow(grants => grants.MayReachFeatures(server));

    /// <summary>Whether this link and all above it allow the whole of a server, without a condition: also what the gateway does not know the meaning of.</summary>
    /// <param name="server">The server's id.</param>
    public bool CoversServer(string server) => AllAllow(grants => grants.CoversServer(server));

    /// <summary>Whether this link and all above it allow every model of a provider: also what the gateway cannot tell the model of.</summary>
    /// <param name="provider">The provider's id.</param>
    public bool CoversModels(string provider) => AllAllow(grants => GlobList.CoversServer(grants.Models, provider));

    private bool AllAllow(Func<Grants, bool> allows)
    {
        for (var link = this; link is not null; link = link.Parent)
        {
            if ((link.Grants ?? (link.Kind == OwnerKind.Key ? Grants.None : null)) is { } grants && !allows(grants))
            {
                return false;
            }
        }
        return true;
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

    /// <summary>Globs over <c>server/tool</c>, the upstream's own names, so that a rename never widens access, and toolsets as <c>toolset:id</c>; one that begins with <c>!</c> takes away.</summary>
    public ImmutableArray<string> Tools { get; init; } = [];

    /// <summary>Annotations that a tool must carry as given (<c>readOnlyHint</c>: true); a tool that lacks one is denied. Empty: no condition.</summary>
    public ImmutableDictionary<string, bool> ToolAnnotations { get; init; } = ImmutableDictionary<string, bool>.Empty;

    /// <summary>Whether a model or route may be used.</summary>
    /// <param name="name"><c>provider/model</c>, or a route's name.</param>
    public bool AllowsModel(string name) => GlobList.Allows(Models, name);

    /// <summary>Whether a tool's name may be used; its annotations are a second condition.</summary>
    /// <param name="serverAndTool"><c>server/tool</c>, the upstream's own names.</param>
    public bool AllowsTool(string serverAndTool) => GlobList.Allows(Tools, serverAndTool, Toolsets);

    /// <summary>Globs over <c>server/prompt</c>, the upstream's own names; null: the prompts of servers of which <see cref="Tools"/> grants all, under no condition.</summary>
    public ImmutableArray<string>? Prompts { get; init; }

    /// <summary>Globs over <c>server/uri</c>, the upstream's own URIs; null: the resources of servers of which <see cref="Tools"/> grants all, under no condition.</summary>
    public ImmutableArray<string>? Resources { get; init; }

    /// <summary>The toolsets that <see cref="Tools"/> names as <c>toolset:id</c>, by id.</summary>
    public ImmutableDictionary<string, Toolset> Toolsets { get; init; } = ImmutableDictionary<string, Toolset>.Empty;

    /// <summary>Whether a prompt may be used.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="name">The server's own name of the prompt.</param>
    public bool AllowsPrompt(string server, string name) => Prompts is { } globs
        ? GlobList.Allows(globs, $"{server}/{name}")
        : CoversServer(server) || Granted(server, toolset => toolset.IncludesPrompt(server, name));

    /// <summary>Whether a resource may be read. To be asked of the URI of each read, also where a template was allowed.</summary>
    /// <param name="server">The server's id.</param>
    /// <param name="uri">The server's own URI, or the text of a URI template.</param>
    public bool AllowsResource(string server, string uri) => Resources is { } globs
        ? (GlobList.CoversServer(globs, server) || GlobList.IsPlainUri(uri)) && GlobList.Allows(globs, $"{server}/{uri}")
        : CoversServer(server) || Granted(server, toolset => toolset.IncludesResource(server, uri));

    /// <summary>Whether anything of a server may be granted. Errs on the side of yes.</summary>
    internal bool MayReachServer(string server) => GlobList.MayReachServer(Tools, server, Toolsets)
        || (Prompts is { } prompts && GlobList.MayReachServer(prompts, server)) || (Resources is { } resources && GlobList.MayReachServer(resources, server));

    /// <summary>Whether prompts or resources of a server may be granted. Errs on the side of yes.</summary>
    internal bool MayReachFeatures(string server) =>
        (Prompts is { } prompts ? GlobList.MayReachServer(prompts, server) : CoversServer(server) || Granted(server, toolset => toolset.MayReachFeatures(server)))
        || (Resources is { } resources ? GlobList.MayReachServer(resources, server) : CoversServer(server) || Granted(server, toolset => toolset.MayReachFeatures(server)));

    // A key of some of a server's tools says nothing of what else the server has: that has to be granted in so many words.
    internal bool CoversServer(string server) => ToolAnnotations.IsEmpty && GlobList.CoversServer(Tools, server) && !TakesAway(server);

    private bool Granted(string server, Func<Toolset, bool> includes) =>
        ToolAnnotations.IsEmpty && !TakesAway(server) && Tools.Any(glob => GlobList.FindToolset(glob, 0, Toolsets) is { } toolset && includes(toolset));

    private bool TakesAway(string server) => Tools.Any(glob => glob.StartsWith('!')
        && (GlobList.FindToolset(glob, 1, Toolsets) is { } toolset ? toolset.MayReachServer(server) : GlobList.MayReachServer([glob[1..]], server)));
}
