using System.Collections.Immutable;
using System.Text;
using Shared.Configuration;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>Compiles keys and the users, teams and customers above them, each bound to its parent.</summary>
internal sealed class OwnerCompiler(GatewayDeclaration gateway, ImmutableDictionary<string, Toolset> toolsets, string file, ICollection<ConfigError> errors)
{
    private readonly Dictionary<string, Owner> customers = [];
    private readonly Dictionary<string, Owner> teams = [];
    private readonly Dictionary<string, Owner> users = [];
    private readonly Dictionary<string, KeyDeclaration> declarations = [];

    /// <summary>What errors call a stored key.</summary>
    public static string SourceOf(string id) => StoredDocuments.SourceOf(id);

    /// <summary>Users, teams and customers; complete once the keys are compiled.</summary>
    public IEnumerable<Owner> Owners => [.. users.Values, .. teams.Values, .. customers.Values];

    /// <summary>All keys by id: those of the file and those of the database.</summary>
    public Dictionary<string, VirtualKey> Compile(IEnumerable<StoredKey> stored)
    {
        foreach (var (id, customer) in gateway.Customers)
        {
            customers[id] = Link(OwnerKind.Customer, id, customer, null);
        }
        foreach (var (id, team) in gateway.Teams)
        {
            teams[id] = Link(OwnerKind.Team, id, team, ParentOf(team, null, null, team.Customer));
        }
        foreach (var (id, user) in gateway.Users)
        {
            users[id] = Link(OwnerKind.User, id, user, ParentOf(user, null, user.Team, user.Customer));
        }
        Dictionary<string, VirtualKey> keys = [];
        foreach (var (name, key) in gateway.Keys)
        {
            AddDeclared(name, key, keys);
        }
        foreach (var key in stored)
        {
            AddStored(key, keys);
        }
        return keys;
    }

    /// <summary>What stands above the callers of a sign-in rule, and what they may use. Call it once the keys are compiled.</summary>
    public (Owner? Parent, Grants Grants) Bind(SignInRuleDeclaration rule) =>
        (ParentOf(rule, rule.User, rule.Team, rule.Customer), GrantsOf(rule, []));

    private void AddDeclared(string name, KeyDeclaration declaration, Dictionary<string, VirtualKey> keys)
    {
        var hash = new byte[32];
        if (declaration.Key is null)
        {
            // A reference that could not be resolved was reported where it stands.
            if (declaration.Node is not ConfigMapping mapping || mapping.Find("key") is null)
            {
                errors.Add(declaration.Error("key", "is required: the whole token, best as a reference such as ${env:NAME}"));
            }
        }
        else if (!KeyToken.TryParse(declaration.Key.Reveal(), KeyToken.VirtualKeyPrefix, out var id, hash))
        {
            errors.Add(declaration.Error("key", $"is no virtual key: expected {KeyToken.VirtualKeyPrefix}… as the gateway issues them; its form or its checksum is wrong"));
        }
        else if (keys.TryGetValue(id, out var other))
        {
            errors.Add(declaration.Error("key", $"keys '{name}' and '{other.Name}' hold tokens of the same id {id}"));
        }
        else
        {
            declarations.Add(id, declaration);
            keys.Add(id, KeyOf(id, declaration, [new KeySecret(hash)]) with { Name = declaration.Name ?? name, DeclaredIn = file });
        }
    }

    private void AddStored(StoredKey stored, Dictionary<string, VirtualKey> keys)
    {
        if (declarations.ContainsKey(stored.Id))
        {
            errors.Add(declarations[stored.Id].Error("", $"the key {stored.Id} is declared here and kept in the database as well; remove one of the two") with { Stored = SourceOf(stored.Id) });
            return;
        }
        var derived = stored.Derivation;
        if (derived.Errors is null)
        {
            (derived.Declaration, derived.Errors) = KeyDeclarationJson.Parse(Encoding.UTF8.GetBytes(stored.Declaration), SourceOf(stored.Id));
        }
        var declaration = derived.Declaration;
        if (stored.RevokedAt is not null)
        {
            // A revoked key is only there to be told apart from an unknown one: what it referred to may be gone.
            keys.Add(stored.Id, new VirtualKey
            {
                Kind = OwnerKind.Key,
                Id = stored.Id,
                Name = declaration?.Name ?? stored.Id,
                Secrets = [.. stored.Secrets],
                Grants = Grants.None,
                RevokedAt = stored.RevokedAt,
            });
            return;
        }
        foreach (var error in derived.Errors)
        {
            errors.Add(error);
        }
        if (declaration is not null)
        {
            keys.Add(stored.Id, KeyOf(stored.Id, declaration, stored.Secrets));
        }
    }

    private VirtualKey KeyOf(string id, KeyDeclaration declaration, IReadOnlyList<KeySecret> secrets)
    {
        var limits = new LimitCompiler(OwnerKind.Key, id, errors);
        return new VirtualKey
        {
            Kind = OwnerKind.Key,
            Id = id,
            Name = declaration.Name ?? id,
            Secrets = [.. secrets],
            ExpiresAt = declaration.ExpiresAt,
            Parent = ParentOf(declaration, declaration.User, declaration.Team, declaration.Customer),
            Budgets = limits.Budgets(declaration.Budgets),
            RateLimits = limits.RateLimits(declaration.RateLimits),
            ConcurrencyLimits = limits.Concurrency(declaration.Concurrency),
            Grants = GrantsOf(declaration, []),
        };
    }

    private Owner Link(OwnerKind kind, string id, OwnerDeclaration declaration, Owner? parent)
    {
        Names.Check(id, declaration, errors);
        var limits = new LimitCompiler(kind, id, errors);
        var restricted = declaration.Models is not null || declaration.Tools is not null || declaration.Prompts is not null || declaration.Resources is not null || declaration.ToolAnnotations.Count > 0;
        return new Owner
        {
            Kind = kind,
            Id = id,
            Parent = parent,
            Budgets = limits.Budgets(declaration.Budgets),
            RateLimits = limits.RateLimits(declaration.RateLimits),
            ConcurrencyLimits = limits.Concurrency(declaration.Concurrency),
            Grants = restricted ? GrantsOf(declaration, ["*"]) : null,
        };
    }

    // The parent is the nearest link that is named; naming a second one would be saying twice what the first one's own declaration says.
    private Owner? ParentOf(OwnerDeclaration declaration, string? user, string? team, string? customer)
    {
        (string Member, string? Id, Dictionary<string, Owner> Known)[] links = [("user", user, users), ("team", team, teams), ("customer", customer, customers)];
        var named = links.Where(link => link.Id is not null).ToList();
        if (named.Count > 1)
        {
            errors.Add(declaration.Error(named[1].Member, $"'{named[0].Member}' is named as well; name the nearest one only, the rest follows from its own declaration"));
        }
        if (named.Count == 0)
        {
            return null;
        }
        var (member, id, known) = named[0];
        if (known.TryGetValue(id!, out var parent))
        {
            return parent;
        }
        errors.Add(declaration.Error(member, $"there is no {member} '{id}' under {member}s; {Nearest.Hint(id!, known.Keys)}"));
        return null;
    }

    private Grants GrantsOf(OwnerDeclaration declaration, ImmutableArray<string> unrestricted)
    {
        CheckGlobs(declaration, "models", declaration.Models, slash: false);
        CheckGlobs(declaration, "tools", declaration.Tools, slash: true);
        CheckGlobs(declaration, "prompts", declaration.Prompts, slash: true);
        CheckGlobs(declaration, "resources", declaration.Resources, slash: true);
        return new Grants
        {
            Models = declaration.Models is null ? unrestricted : [.. declaration.Models],
            Tools = declaration.Tools is null ? unrestricted : [.. declaration.Tools],
            Prompts = declaration.Prompts is null ? null : [.. declaration.Prompts],
            Resources = declaration.Resources is null ? null : [.. declaration.Resources],
            ToolAnnotations = declaration.ToolAnnotations.ToImmutableDictionary(),
            Toolsets = ToolsetsOf(declaration),
        };
    }

    private ImmutableDictionary<string, Toolset> ToolsetsOf(OwnerDeclaration declaration)
    {
        var named = ImmutableDictionary<string, Toolset>.Empty;
        for (var i = 0; i < (declaration.Tools?.Count ?? 0); i++)
        {
            var glob = declaration.Tools![i].TrimStart('!');
            if (!glob.StartsWith(GlobList.ToolsetStart, StringComparison.Ordinal))
            {
                continue;
            }
            var id = glob[GlobList.ToolsetStart.Length..];
            if (toolsets.TryGetValue(id, out var toolset))
            {
                named = named.SetItem(id, toolset);
            }
            else
            {
                errors.Add(declaration.Error("tools", i, $"there is no toolset '{id}' under toolsets; {Nearest.Hint(id, [.. toolsets.Keys])}"));
            }
        }
        return named;
    }

    private void CheckGlobs(OwnerDeclaration declaration, string member, IReadOnlyList<string>? globs, bool slash)
    {
        for (var i = 0; i < (globs?.Count ?? 0); i++)
        {
            var glob = globs![i].TrimStart('!');
            if (member == "tools" && glob.StartsWith(GlobList.ToolsetStart, StringComparison.Ordinal))
            {
                continue;
            }
            if (glob.Length == 0 || (slash && !glob.Contains('/', StringComparison.Ordinal) && !glob.Contains('*', StringComparison.Ordinal)))
            {
                errors.Add(declaration.Error(member, i, slash ? $"expected server/tool, such as 'github/*', found '{globs[i]}'" : "expected provider/model or a route's name, found nothing"));
            }
        }
    }
}
