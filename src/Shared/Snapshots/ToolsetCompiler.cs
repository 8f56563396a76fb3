using System.Collections.Immutable;
using Shared.Configuration;
using Shared.VirtualKeys;

namespace Shared.Snapshots;

/// <summary>Compiles toolsets: their tags become globs over the names of the tools that carry them.</summary>
internal sealed class ToolsetCompiler(IReadOnlyList<ToolManifest> manifests, ICollection<ConfigError> errors)
{
    public ImmutableDictionary<string, Toolset> Compile(IReadOnlyDictionary<string, ToolsetDeclaration> declarations) =>
        declarations.ToImmutableDictionary(pair => pair.Key, pair => Compile(pair.Key, pair.Value));

    private Toolset Compile(string id, ToolsetDeclaration declaration)
    {
        Names.Check(id, declaration, errors);
        if (declaration.Tools.Count + declaration.Tags.Count + (declaration.Prompts?.Count ?? 0) + (declaration.Resources?.Count ?? 0) == 0)
        {
            errors.Add(declaration.Error("tools", "a toolset needs tools, tags, prompts or resources"));
        }
        CheckGlobs(declaration, "tools", declaration.Tools);
        CheckGlobs(declaration, "prompts", declaration.Prompts);
        CheckGlobs(declaration, "resources", declaration.Resources);
        return new Toolset
        {
            Id = id,
            Title = declaration.Title,
            Description = declaration.Description,
            Instructions = declaration.Instructions,
            Tools = [.. declaration.Tools, .. declaration.Tags.SelectMany(Tagged)],
            Prompts = declaration.Prompts is null ? null : [.. declaration.Prompts],
            Resources = declaration.Resources is null ? null : [.. declaration.Resources],
        };
    }

    private IEnumerable<string> Tagged(string tag) => manifests.SelectMany(manifest =>
        manifest.Tags.Contains(tag) ? [$"{manifest.Id}/*"] : manifest.Tools.Where(rule => rule.Tags.Contains(tag)).Select(rule => $"{manifest.Id}/{rule.Match}"));

    private void CheckGlobs(Declaration declaration, string member, IReadOnlyList<string>? globs)
    {
        for (var i = 0; i < (globs?.Count ?? 0); i++)
        {
            if (!globs![i].Contains('/', StringComparison.Ordinal) && !globs[i].Contains('*', StringComparison.Ordinal))
            {
                errors.Add(declaration.Error(member, i, $"expected server/name, such as 'github/*', found '{globs[i]}'"));
            }
        }
    }
}
