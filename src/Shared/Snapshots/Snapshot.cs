using System.Collections.Frozen;
using System.Collections.Immutable;
using Shared.Pricing;
using Shared.SignIn;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>
/// Everything that is configured, compiled and immutable. A request takes the current one at its start and keeps it to its end.
/// </summary>
public sealed class Snapshot
{
    private FrozenDictionary<Type, object> parts = FrozenDictionary<Type, object>.Empty;
    private SignInTable? signedIn;

    /// <summary>A snapshot of nothing, for requests that arrive before the first one was published.</summary>
    internal static Snapshot Empty { get; } = new()
    {
        Revision = "",
        Keys = FrozenDictionary<string, VirtualKey>.Empty,
        Providers = FrozenDictionary<string, Provider>.Empty,
        Routes = FrozenDictionary<string, Route>.Empty,
        Manifests = [],
        Prices = PriceBook.Empty,
        Settings = new GatewaySettings(),
    };

    /// <summary>Hash of the content, 16 hex digits; the same content has the same revision on every machine.</summary>
    public required string Revision { get; init; }

    /// <summary>Virtual keys by id.</summary>
    public required FrozenDictionary<string, VirtualKey> Keys { get; init; }

    /// <summary>Users, teams and customers, whether a key is theirs or not.</summary>
    public ImmutableArray<Owner> Owners { get; init; } = [];

    /// <summary>Providers by id.</summary>
    public required FrozenDictionary<string, Provider> Providers { get; init; }

    /// <summary>Routes by name.</summary>
    public required FrozenDictionary<string, Route> Routes { get; init; }

    /// <summary>Tool manifests, ordered by id.</summary>
    public required ImmutableArray<ToolManifest> Manifests { get; init; }

    /// <summary>Toolsets by id.</summary>
    public ImmutableDictionary<string, Toolset> Toolsets { get; init; } = ImmutableDictionary<string, Toolset>.Empty;

    /// <summary>Prices.</summary>
    public required PriceBook Prices { get; init; }

    /// <summary>Who may sign in with an access token; null: nobody.</summary>
    internal SignInSettings? SignIn { get; init; }

    /// <summary>Settings.</summary>
    public required GatewaySettings Settings { get; init; }

    /// <summary>The caller of an id that is one now: a virtual key, revoked or expired ones included, or somebody who is signed in; null: there is none.</summary>
    public VirtualKey? FindCaller(string id) => Keys.TryGetValue(id, out var key) ? key : signedIn?.Find(id);

    /// <summary>What a feature compiled from this snapshot, e.g. its route table.</summary>
    /// <exception cref="InvalidOperationException">No compiler of that part is registered.</exception>
    public TPart Part<TPart>() where TPart : class =>
        parts.TryGetValue(typeof(TPart), out var part) ? (TPart)part
            : throw new InvalidOperationException($"No {nameof(ISnapshotCompiler)} is registered for {typeof(TPart).Name}.");

    /// <summary>Runs the compilers and keeps their parts. Called once, before the snapshot is published.</summary>
    /// <param name="compilers">All features' compilers.</param>
    /// <param name="errors">Receives what is wrong; with any error the snapshot must not be published.</param>
    public void Compile(IEnumerable<ISnapshotCompiler> compilers, ICollection<string> errors)
    {
        var compiled = new Dictionary<Type, object>();
        foreach (var compiler in compilers)
        {
            var part = compiler.Compile(this, errors);
            compiled[part.GetType()] = part;
        }
        parts = compiled.ToFrozenDictionary();
        signedIn = compiled.GetValueOrDefault(typeof(SignInTable)) as SignInTable;
    }
}

/// <summary>Compiles a feature's part of a snapshot: look-up tables that its requests then use without further checks.</summary>
public interface ISnapshotCompiler
{
    /// <summary>Builds the part. Reports what is wrong in words that name the entity and the fix; never throws for bad configuration.</summary>
    object Compile(Snapshot snapshot, ICollection<string> errors);
}
