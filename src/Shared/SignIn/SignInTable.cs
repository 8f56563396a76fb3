using System.Collections.Concurrent;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;
using System.Text;
using Shared.Configuration;
using Shared.Http;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.SignIn;

/// <summary>One snapshot's rules, and the callers that they made of those who are signed in.</summary>
internal sealed class SignInTable(Snapshot snapshot, SignedInCallers callers)
{
    private readonly ConcurrentDictionary<string, KeyEntry> known = new(StringComparer.Ordinal);
    private readonly ConditionalWeakTable<Identity, KeyEntry> fitted = [];

    /// <summary>The caller that the first fitting rule makes of somebody.</summary>
    /// <param name="identity">Who.</param>
    /// <param name="missingScopes">Where no rule fits: the scopes with which one would; null: none would with any.</param>
    /// <returns>Null: no rule fits.</returns>
    public KeyEntry? CallerOf(Identity identity, out IReadOnlyCollection<string>? missingScopes)
    {
        missingScopes = null;
        if (fitted.TryGetValue(identity, out var before))
        {
            return before;
        }
        if (snapshot.SignIn is not { } settings || !settings.Issuers.TryGetValue(identity.IssuerName, out var issuer) || issuer.Issuer != identity.Issuer)
        {
            return null;
        }
        foreach (var rule in settings.Rules)
        {
            if ((rule.Issuer is not null && rule.Issuer != identity.IssuerName) || !rule.Claims.All(condition => condition.Holds(identity.Claims)) || !TryFindParent(rule, identity, out var parent))
            {
                continue;
            }
            var missing = rule.Scopes.Except(identity.Scopes, StringComparer.Ordinal).ToList();
            if (missing.Count == 0)
            {
                return fitted.GetValue(identity, _ => EntryOf(rule, identity, parent));
            }
            missingScopes ??= missing;
        }
        return null;
    }

    /// <summary>The caller of an id, if what was last shown of it still makes it one.</summary>
    public VirtualKey? Find(string id) => callers.Find(id).Select(identity => CallerOf(identity, out _)?.Key).FirstOrDefault(key => key?.Id == id);

    // Everything that a caller may do follows from its rule and its user, so both are in its id: whatever is kept by id holds for all tokens of that id.
    private KeyEntry EntryOf(SignInRule rule, Identity identity, Owner? parent)
    {
        var id = IdOf(identity, rule, parent);
        if (known.TryGetValue(id, out var entry))
        {
            return entry;
        }
        if (known.Count >= SignedInCallers.Most)
        {
            known.Clear();
        }
        return known.GetOrAdd(id, _ => NewEntry(id, rule, identity, parent));
    }

    private static KeyEntry NewEntry(string id, SignInRule rule, Identity identity, Owner? parent)
    {
        List<ConfigError> none = []; // The limits were checked with the rule.
        var limits = new LimitCompiler(OwnerKind.Key, id, none);
        var key = new VirtualKey
        {
            Kind = OwnerKind.Key,
            Id = id,
            Name = Claims.DisplayName(identity.Claims) ?? id,
            Secrets = [],
            Parent = parent,
            Grants = rule.Grants,
            Budgets = limits.Budgets(rule.Limits.Budgets),
            RateLimits = limits.RateLimits(rule.Limits.RateLimits),
            ConcurrencyLimits = limits.Concurrency(rule.Limits.Concurrency),
        };
        return new KeyEntry(key, CallerIdentity.Of(key));
    }

    private bool TryFindParent(SignInRule rule, Identity identity, out Owner? parent)
    {
        parent = rule.Parent;
        if (rule.UserClaim is null)
        {
            return true;
        }
        var user = Claims.Text(identity.Claims, rule.UserClaim);
        parent = user is null ? null : snapshot.Owners.FirstOrDefault(owner => owner.Kind == OwnerKind.User && owner.Id == user);
        return parent is not null;
    }

    private static string IdOf(Identity identity, SignInRule rule, Owner? parent)
    {
        string[] parts = [identity.Issuer, identity.Subject, rule.Name, rule.UserClaim is null ? "" : parent!.Id];
        var text = string.Concat(parts.Select(part => $"{part.Length}:{part}"));
        return "user-" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..24];
    }
}

/// <summary>Compiles the <see cref="SignInTable"/>.</summary>
internal sealed class SignInTableCompiler(SignedInCallers callers) : ISnapshotCompiler
{
    /// <inheritdoc/>
    public object Compile(Snapshot snapshot, ICollection<string> errors) => new SignInTable(snapshot, callers);
}
