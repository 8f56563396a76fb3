using Shared.Configuration;
using Shared.Stored;

namespace Shared.Snapshots;

/// <summary>
/// A part of the configuration that does not fit and does not serve, while the rest does: something of the database, or a file's declaration that refers to
/// such a thing. What is wrong with a file by itself is never left out, but refused.
/// </summary>
/// <param name="What">What it is: <c>provider 'openai'</c>, <c>key 0123456789</c>, …. No secret, no path.</param>
/// <param name="Entity">The stored entity that it is; null: something else.</param>
/// <param name="Reasons">Why, each with its place. For administrators: places of files are among them.</param>
public sealed record LeftOut(string What, EntityName? Entity, IReadOnlyList<string> Reasons);

/// <summary>Finds out which parts have to be left out for the rest to fit, round by round: leaving one out may leave another without what it refers to.</summary>
internal sealed class LeavingOut(StoredConfiguration stored)
{
    private readonly Dictionary<string, (LeftOut Part, List<ConfigError> Errors)> parts = new(StringComparer.Ordinal);
    private readonly HashSet<(string File, string Path)> declarations = [];
    private HashSet<ConfigError>? atFirst;

    // Made only where something is wrong.
    private Lazy<Dictionary<string, (EntityName? Entity, string? Key)>> Sources { get; } = new(() =>
    {
        var sources = stored.Entities.Keys.ToDictionary(name => StoredDocuments.SourceOf(name), name => ((EntityName?)name, (string?)null), StringComparer.Ordinal);
        foreach (var id in stored.Keys.Keys)
        {
            sources.Add(StoredDocuments.SourceOf(id), (null, id));
        }
        return sources;
    });

    /// <summary>What is left out, by what errors call it.</summary>
    public IReadOnlyDictionary<string, (LeftOut Part, List<ConfigError> Errors)> Parts => parts;

    /// <summary>What remains of what is stored.</summary>
    public StoredConfiguration Remaining { get; private set; } = stored;

    /// <summary>The sources without the declarations of files that are left out.</summary>
    public ConfigurationSources Of(ConfigurationSources sources)
    {
        if (declarations.Count == 0)
        {
            return sources;
        }
        var gateway = sources.Gateway;
        return sources with
        {
            Gateway = gateway with
            {
                Routes = Kept(gateway.Routes),
                Keys = Kept(gateway.Keys),
                Users = Kept(gateway.Users),
                Teams = Kept(gateway.Teams),
                Prices = [.. gateway.Prices.Where(IsKept)],
            },
            PriceOverlay = [.. sources.PriceOverlay.Where(IsKept)],
        };
    }

    /// <summary>Leaves out what the errors are of. False: nothing more can be left out, so that the errors stand.</summary>
    public bool Next(ConfigurationSources sources, IReadOnlyList<ConfigError> errors)
    {
        atFirst ??= [.. errors];
        var found = false;
        foreach (var error in errors)
        {
            found |= LeaveOutStored(error.Stored ?? error.File, error);
        }
        if (found || parts.Count == 0)
        {
            return found;
        }
        // What was wrong before anything was left out is the file's own fault.
        foreach (var error in errors.Where(error => !atFirst.Contains(error)))
        {
            found |= LeaveOutDeclared(sources, error);
        }
        return found;
    }

    private bool LeaveOutStored(string source, ConfigError error)
    {
        if (parts.TryGetValue(source, out var known))
        {
            known.Errors.Add(error);
            return true;
        }
        if (!Sources.Value.TryGetValue(source, out var stored))
        {
            return false;
        }
        Remaining = stored.Entity is { } name ? Remaining.Without(name) : Remaining with { Keys = Remaining.Keys.Remove(stored.Key!) };
        parts.Add(source, (new LeftOut(stored.Entity?.ToString() ?? $"key {stored.Key}", stored.Entity, []), [error]));
        return true;
    }

    private bool LeaveOutDeclared(ConfigurationSources sources, ConfigError error)
    {
        var gateway = sources.Gateway;
        return Any("route", gateway.Routes) || Any("key", gateway.Keys) || Any("user", gateway.Users) || Any("team", gateway.Teams)
            || gateway.Prices.Concat(sources.PriceOverlay).Any(price => LeaveOut($"price '{price.Provider}/{price.Model}'", price));

        bool Any<T>(string kind, IReadOnlyDictionary<string, T> declared) where T : Declaration => declared.Any(pair => LeaveOut($"{kind} '{pair.Key}'", pair.Value));

        bool LeaveOut(string what, Declaration declaration)
        {
            if (declaration.FromAdminApi || declaration.Node is not { } node || node.File != error.File
                || !(error.Path == node.Path || error.Path.StartsWith(node.Path + ".", StringComparison.Ordinal) || error.Path.StartsWith(node.Path + "[", StringComparison.Ordinal)))
            {
                return false;
            }
            declarations.Add((node.File, node.Path));
            var source = $"{node.File}:{node.Path}";
            if (parts.TryGetValue(source, out var known))
            {
                known.Errors.Add(error);
            }
            else
            {
                parts.Add(source, (new LeftOut(what, null, []), [error]));
            }
            return true;
        }
    }

    private Dictionary<string, T> Kept<T>(IReadOnlyDictionary<string, T> declared) where T : Declaration =>
        declared.Where(pair => IsKept(pair.Value)).ToDictionary(pair => pair.Key, pair => pair.Value);

    private bool IsKept(Declaration declaration) => declaration.Node is not { } node || !declarations.Contains((node.File, node.Path));
}
