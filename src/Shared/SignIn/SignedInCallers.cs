using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace Shared.SignIn;

/// <summary>
/// Those who are signed in: what was last shown of each, and until when it holds. By the ids of callers, so that what a caller still holds open can be
/// looked at without a token, under whatever snapshot.
/// </summary>
internal sealed class SignedInCallers(TimeProvider clock)
{
    /// <summary>The most that are known; beyond it those are forgotten first whose time is over, then any: they are known again with their next request.</summary>
    public const int Most = 20_000;

    /// <summary>The most sign-ins of one caller that are known at once; the one that was noted the longest ago is forgotten first.</summary>
    private const int MostOfOne = 16;

    private readonly ConcurrentDictionary<string, ImmutableArray<Source>> callers = new(StringComparer.Ordinal);

    /// <summary>Notes that a caller showed a token of an issuer's.</summary>
    /// <param name="id">The caller's id.</param>
    /// <param name="identity">What the token says.</param>
    /// <param name="until">When it ends.</param>
    public void Note(string id, Identity identity, DateTimeOffset until) => Note(id, new Source("", identity, until, null));

    /// <summary>Notes that a caller showed a token of a sign-in.</summary>
    /// <param name="id">The caller's id.</param>
    /// <param name="signIn">The sign-in's id.</param>
    /// <param name="identity">What it says now.</param>
    /// <param name="current">What it says whenever it is asked; null: it has ended.</param>
    public void Note(string id, string signIn, Identity identity, Func<Identity?> current) => Note(id, new Source(signIn, identity, DateTimeOffset.MaxValue, current));

    /// <summary>All that was shown of a caller and still holds.</summary>
    public IEnumerable<Identity> Find(string id) => callers.TryGetValue(id, out var sources) ? sources.Select(Current).OfType<Identity>() : [];

    private void Note(string id, Source source)
    {
        var isKnown = callers.TryGetValue(id, out var sources);
        if (isKnown && sources.Any(old => old.SignIn == source.SignIn && ReferenceEquals(old.Identity, source.Identity)))
        {
            return;
        }
        if (!isKnown && callers.Count >= Most)
        {
            MakeRoom();
        }
        callers.AddOrUpdate(id, static (_, added) => [added.Source], static (_, known, added) => added.Owner.Add(known, added.Source), (Owner: this, Source: source));
    }

    private ImmutableArray<Source> Add(ImmutableArray<Source> sources, Source added)
    {
        // Of two tokens of an issuer's, the one that holds longer says how long.
        var until = sources.Where(old => old.SignIn == added.SignIn).Select(old => old.Until).Append(added.Until).Max();
        var others = sources.Where(old => old.SignIn != added.SignIn && Current(old) is not null).ToList();
        return [.. others.Skip(Math.Max(0, others.Count - MostOfOne + 1)), added with { Until = until }];
    }

    private Identity? Current(Source source) => source.Current is not null ? source.Current() : clock.GetUtcNow() < source.Until ? source.Identity : null;

    private void MakeRoom()
    {
        foreach (var (id, sources) in callers)
        {
            if (sources.All(source => Current(source) is null))
            {
                callers.TryRemove(id, out _);
            }
        }
        foreach (var id in callers.Keys.Take(Math.Max(0, callers.Count - (Most * 9 / 10))))
        {
            callers.TryRemove(id, out _);
        }
    }

    private sealed record Source(string SignIn, Identity Identity, DateTimeOffset Until, Func<Identity?>? Current);
}
