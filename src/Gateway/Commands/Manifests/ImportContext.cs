using System.Text;
using System.Text.RegularExpressions;
using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>What an import has found so far: servers, secrets that were moved, and what is wrong.</summary>
/// <param name="source">What messages call the document.</param>
/// <param name="storeSecrets">Whether secrets go to the encrypted store instead of variables.</param>
internal sealed partial class ImportContext(string source, bool storeSecrets)
{
    private readonly Dictionary<string, ConfigNode> inputs = new(StringComparer.Ordinal);

    /// <summary>What messages call the document.</summary>
    public string Source { get; } = source;

    /// <summary>The document's path as a manifest refers to it; null: it is no file.</summary>
    public string? DocumentPath { get; init; }

    /// <summary>The servers.</summary>
    public List<ImportedServer> Servers { get; } = [];

    /// <summary>Secrets that stood in the document.</summary>
    public List<MovedSecret> Secrets { get; } = [];

    /// <summary>Why nothing can be imported.</summary>
    public List<ConfigError> Errors { get; } = [];

    /// <summary>A new server of a name; null where the name cannot be one, which is then among the errors.</summary>
    public ImportedServer? Add(string name, ConfigNode node)
    {
        var (id, refusal) = ServerIds.Of(name);
        if (id is null)
        {
            Errors.Add(node.Error($"the server's name {Show(name)} is refused: {refusal}"));
            return null;
        }
        if (Servers.Find(known => string.Equals(known.Id, id, StringComparison.OrdinalIgnoreCase)) is { } other)
        {
            Errors.Add(node.Error($"the servers {Show(other.Name)} and {Show(name)} would both have the id '{id}'; rename one of them"));
            return null;
        }
        var server = new ImportedServer(name, id);
        Servers.Add(server);
        return server;
    }

    /// <summary>Makes known what <c>${input:id}</c> stands for.</summary>
    public void AddInput(string id, ConfigNode node) => inputs[id] = node;

    /// <summary>A text as a manifest writes it: references are mapped, and a plain secret is moved behind one.</summary>
    /// <param name="server">Whose it is.</param>
    /// <param name="name">The variable, header or option that it is the value of; empty for a plain argument.</param>
    /// <param name="text">The text.</param>
    /// <param name="where">Where it stands, for the report.</param>
    /// <param name="secret">Whether the source says that it is one.</param>
    /// <param name="variableOnly">Whether it stands where nothing but variables can be referred to.</param>
    public string Value(ImportedServer server, string name, string text, string where, bool secret = false, bool variableOnly = false)
    {
        if (HasReference(text))
        {
            return MapReferences(server, text);
        }
        var scheme = SecretShapes.SchemeOf(text);
        var rest = text[scheme.Length..];
        if (rest.Length > 0 && (SecretShapes.IsPlaceholder(rest) && (secret || name.Length == 0 || SecretShapes.IsNamedSecret(name, "to be given"))))
        {
            return scheme + Wanted(server, VariableFor(server, name), $"{where} is only a placeholder in the source");
        }
        if (rest.Length > 0 && (secret || SecretShapes.IsNamedSecret(name, rest) || SecretShapes.LooksLikeToken(rest) || (scheme.Length > 0 && rest.Length >= 4)))
        {
            return scheme + Move(server, name, rest, where, storeSecrets && !variableOnly);
        }
        return Literal(text);
    }

    /// <summary>A reference to something that is yet to be given; it joins the server's checklist.</summary>
    public string Wanted(ImportedServer server, string variable, string why)
    {
        var line = $"variable {variable}: {why}";
        if (!server.Checklist.Contains(line))
        {
            server.Checklist.Add(line);
        }
        return $"${{env:{variable}}}";
    }

    /// <summary>A literal text: what looks like a reference is none.</summary>
    public static string Literal(string text) => text.Replace("${", "$${", StringComparison.Ordinal);

    /// <summary>A name that a variable can have.</summary>
    public static string Variable(string text)
    {
        var name = NoVariable().Replace(text, "_").Trim('_').ToUpperInvariant();
        return name.Length == 0 ? "VALUE" : char.IsAsciiDigit(name[0]) ? "_" + name : name;
    }

    /// <summary>A text for messages: in quotes, without control characters, not endless.</summary>
    public static string Show(string text) => $"'{new string([.. text.Take(80).Select(c => char.IsControl(c) ? '?' : c)])}{(text.Length > 80 ? "…" : "")}'";

    /// <summary>Whether a text holds <c>${…}</c>.</summary>
    public static bool HasReference(string text) => References().IsMatch(text);

    private string MapReferences(ImportedServer server, string text)
    {
        var mapped = new StringBuilder();
        var at = 0;
        foreach (Match reference in References().Matches(text))
        {
            mapped.Append(Literal(text[at..reference.Index])).Append(MapReference(server, reference));
            at = reference.Index + reference.Length;
        }
        return mapped.Append(Literal(text[at..])).ToString();
    }

    private string MapReference(ImportedServer server, Match reference)
    {
        var inner = reference.Groups["inner"].Value;
        if (inner.StartsWith("input:", StringComparison.Ordinal))
        {
            var id = inner["input:".Length..];
            var input = inputs.GetValueOrDefault(id);
            var description = (input?.At("description") as ConfigScalar)?.Text;
            return Wanted(server, Variable(id), description is null or "" ? $"the input '{id}' of the source" : description);
        }
        if (inner is "userHome")
        {
            return "${env:HOME}";
        }
        var name = inner.StartsWith("env:", StringComparison.Ordinal) ? inner["env:".Length..] : inner;
        var standard = name.IndexOf(":-", StringComparison.Ordinal);
        if (standard > 0)
        {
            server.NotCarriedOver.Add($"the default of ${{{name[..standard]}}}: set the variable");
            name = name[..standard];
        }
        if (Variables().IsMatch(name) && (inner.StartsWith("env:", StringComparison.Ordinal) || name.Any(char.IsAsciiLetterUpper) && !name.Any(char.IsAsciiLetterLower)))
        {
            if (Environment.GetEnvironmentVariable(name) is null or "")
            {
                return Wanted(server, name, "named by the source; not set here");
            }
            return $"${{env:{name}}}";
        }
        server.Checklist.Add($"{reference.Value} has no meaning here: write the value in its place");
        server.OffBecause ??= $"it holds {reference.Value}, which has no meaning here";
        return Literal(reference.Value);
    }

    private string Move(ImportedServer server, string name, string value, string where, bool store)
    {
        var wanted = store ? $"{server.Id}.{VariableFor(server, name)}" : VariableFor(server, name);
        var variable = wanted;
        for (var i = 2; Secrets.Find(known => known.Name == variable) is { } other && other.Value != value; i++)
        {
            variable = i == 2 && !store && !wanted.StartsWith(Variable(server.Id), StringComparison.Ordinal) ? $"{Variable(server.Id)}_{wanted}" : $"{wanted}_{i}";
        }
        if (!Secrets.Exists(known => known.Name == variable))
        {
            Secrets.Add(new MovedSecret(variable, value, where, store));
        }
        return store ? $"${{secret:{variable}}}" : $"${{env:{variable}}}";
    }

    // A variable of the server keeps its name; what has none of its own is called after the server.
    private static string VariableFor(ImportedServer server, string name) =>
        name.Length == 0 ? $"{Variable(server.Id)}_SECRET"
        : string.Equals(name, "Authorization", StringComparison.OrdinalIgnoreCase) ? $"{Variable(server.Id)}_TOKEN"
        : Variables().IsMatch(name) && !name.Any(char.IsAsciiLetterLower) && name.Contains('_', StringComparison.Ordinal) ? name
        : $"{Variable(server.Id)}_{Variable(name)}";

    [GeneratedRegex(@"(?<!\$)\$\{(?<inner>[^{}]*)\}")]
    private static partial Regex References();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*$")]
    private static partial Regex Variables();

    [GeneratedRegex("[^A-Za-z0-9]+")]
    private static partial Regex NoVariable();
}
