using System.Collections.Immutable;
using Shared.Configuration;

namespace Shared.Snapshots;

/// <summary>Compiles routes and checks that their targets exist.</summary>
internal sealed class RouteCompiler(IReadOnlyDictionary<string, Provider> providers, ICollection<ConfigError> errors)
{
    // What a request asks for, how it is billed and how it is bounded must be seen in the request; a default for it would be added behind the bound.
    private static readonly string[] NeverDefaults = ["model", "messages", "stream", "stream_options", "max_tokens", "max_completion_tokens", "n"];

    /// <summary>All routes by name.</summary>
    public Dictionary<string, Route> Compile(IReadOnlyDictionary<string, RouteDeclaration> declared)
    {
        Dictionary<string, Route> routes = [];
        foreach (var (name, declaration) in declared)
        {
            CheckName(name, declaration);
            CheckDefaults(declaration);
            if (declaration.DefaultOutputTokens > declaration.MaxOutputTokens)
            {
                errors.Add(declaration.Error("defaultOutputTokens", $"{declaration.DefaultOutputTokens} exceeds maxOutputTokens, {declaration.MaxOutputTokens}"));
            }
            routes[name] = new Route
            {
                Name = name,
                Targets = TargetsOf(name, declaration),
                DefaultOutputTokens = declaration.DefaultOutputTokens,
                MaxOutputTokens = declaration.MaxOutputTokens,
                Defaults = declaration.Defaults.ToImmutableDictionary(member => member.Key, member => member.Value.Text),
                FixedReservation = declaration.Reservation,
                Strict = declaration.Strict,
            };
        }
        return routes;
    }

    private ImmutableArray<Target> TargetsOf(string route, RouteDeclaration declaration)
    {
        var targets = ImmutableArray.CreateBuilder<Target>();
        for (var i = 0; i < declaration.Targets.Count; i++)
        {
            var text = declaration.Targets[i];
            var slash = text.IndexOf('/', StringComparison.Ordinal);
            var target = slash < 0 ? null : new Target(text[..slash], text[(slash + 1)..]);
            if (target is null || target.Provider.Length == 0 || target.Model.Length == 0)
            {
                errors.Add(declaration.Error("targets", i, $"expected provider/model, found '{text}'"));
            }
            else if (!providers.ContainsKey(target.Provider))
            {
                errors.Add(declaration.Error("targets", i, $"route '{route}' targets '{text}', but there is no provider '{target.Provider}'; {HintFor(target.Provider)}"));
            }
            else if (targets.Contains(target))
            {
                errors.Add(declaration.Error("targets", i, $"route '{route}' targets '{text}' twice"));
            }
            else
            {
                targets.Add(target);
            }
        }
        // A list that is missing altogether was reported.
        if (declaration.Targets.Count == 0 && declaration.Node?.At("targets") is ConfigSequence)
        {
            errors.Add(declaration.Error("targets", $"route '{route}' has no targets"));
        }
        return targets.ToImmutable();
    }

    private string HintFor(string provider) =>
        KnownProviders.Find(provider) is { } known ? $"declare it under providers or set {known.KeyVariable ?? known.AddressVariable}" : Nearest.Hint(provider, [.. providers.Keys]);

    private void CheckName(string name, RouteDeclaration declaration)
    {
        if (name.Length is 0 or > 128 || name.Any(c => char.IsControl(c) || char.IsWhiteSpace(c) || c is '*' or '?' or '!'))
        {
            errors.Add(declaration.Error("", $"'{name}' cannot be a route's name: expected 1 to 128 characters without spaces, '*', '?' and '!'"));
        }
        var slash = name.IndexOf('/', StringComparison.Ordinal);
        if (slash > 0 && providers.ContainsKey(name[..slash]))
        {
            errors.Add(declaration.Error("", $"the route's name begins with the id of the provider '{name[..slash]}' and would hide one of its models"));
        }
    }

    private void CheckDefaults(RouteDeclaration declaration)
    {
        foreach (var member in declaration.Defaults.Keys.Intersect(NeverDefaults))
        {
            var instead = member.StartsWith("max_", StringComparison.Ordinal) ? "; use defaultOutputTokens" : "";
            errors.Add(declaration.Error("defaults", $"'{member}' cannot have a default{instead}"));
        }
    }
}
