using System.Text.RegularExpressions;
using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>
/// Reads <c>server.json</c> of the MCP registry: the camelCase form since 2025-09-16 and the snake_case forms before it, alone or as the registry's API
/// answers it.
/// </summary>
/// <param name="preferRemote">Whether a remote is taken where there are packages too.</param>
/// <param name="context">Receives the servers.</param>
internal sealed partial class ServerJsonImport(bool preferRemote, ImportContext context)
{
    public void Read(ConfigNode root)
    {
        if (root.At("servers") is ConfigSequence list)
        {
            foreach (var item in list.Items)
            {
                ReadEntry(item);
            }
            return;
        }
        ReadEntry(root);
    }

    private void ReadEntry(ConfigNode node)
    {
        var entry = node.At("server") as ConfigMapping ?? node as ConfigMapping;
        if (entry is null)
        {
            context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
            return;
        }
        var members = new SourceMembers(entry, context);
        if (members.Text("name") is not { } name)
        {
            context.Errors.Add(entry.Error("has no name"));
            return;
        }
        if (context.Add(name, entry) is not { } server)
        {
            return;
        }
        server.Title = members.Text("title") ?? name;
        server.Description = members.Text("description");
        if (members.Text("status") is { } status and not "active")
        {
            server.OffBecause ??= $"the registry calls it {ImportContext.Show(status)}";
        }
        var version = members.Text("version") ?? (entry.Find("version_detail")?.Value.At("version") as ConfigScalar)?.Text;
        members.Find("version_detail");
        var packages = members.List("packages").OfType<ConfigMapping>().ToList();
        var remotes = members.List("remotes").OfType<ConfigMapping>().ToList();
        members.Leave(server, "information only", "$schema", "repository", "websiteUrl", "website_url", "icons", "_meta", "id", "created_at", "updated_at");
        members.LeaveTheRest(server);
        var package = packages.Find(CanRun);
        var remote = remotes.Find(candidate => TypeOf(candidate) is "streamable-http" or "streamable" or "http") ?? remotes.Find(candidate => TypeOf(candidate) is "sse");
        if (remote is not null && (preferRemote || package is null))
        {
            ReadRemote(server, remote);
            Leave(server, packages.Concat(remotes).Where(other => other != remote));
        }
        else if (package is not null)
        {
            ReadPackage(server, package, version);
            Leave(server, packages.Concat(remotes).Where(other => other != package));
        }
        else
        {
            context.Errors.Add(entry.Error($"the server {ImportContext.Show(name)} offers nothing that the hub can use: it takes packages of npm, pypi, nuget and oci over stdio, and streamable-http and sse remotes"));
        }
    }

    private static string TypeOf(ConfigMapping remote) => ((remote.Find("type") ?? remote.Find("transport_type") ?? remote.Find("transportType"))?.Value as ConfigScalar)?.Text ?? "";

    private static string RegistryOf(ConfigMapping package) =>
        (((package.Find("registryType") ?? package.Find("registry_type") ?? package.Find("registry_name"))?.Value as ConfigScalar)?.Text ?? "").ToLowerInvariant() switch { "docker" => "oci", var type => type };

    private static bool CanRun(ConfigMapping package) =>
        RegistryOf(package) is "npm" or "pypi" or "nuget" or "oci" && (package.Find("transport")?.Value is not ConfigMapping transport || TypeOf(transport) is "" or "stdio");

    private static void Leave(ImportedServer server, IEnumerable<ConfigMapping> others)
    {
        foreach (var other in others)
        {
            server.NotCarriedOver.Add($"{other.Path}: another way to reach the server ({(RegistryOf(other) is { Length: > 0 } registry ? registry : TypeOf(other))}); a manifest has one");
        }
    }

    private void ReadPackage(ImportedServer server, ConfigMapping package, string? serverVersion)
    {
        var members = new SourceMembers(package, context);
        var type = RegistryOf(package);
        members.Find("registryType", "registry_type", "registry_name", "transport");
        var identifier = members.Text("identifier", "name") ?? "";
        var version = members.Text("version") ?? serverVersion;
        if (!Identifiers().IsMatch(identifier) || (version is not null && !Versions().IsMatch(version)))
        {
            context.Errors.Add(package.Error($"{ImportContext.Show(identifier)}, version {ImportContext.Show(version ?? "")}, is no package that could be named on a command line"));
            return;
        }
        if (version is null or "latest")
        {
            server.Checklist.Add($"version: the source names none of {identifier}; pin one");
            version = null;
        }
        List<(ConfigNode Node, string Hint)> runtime = [.. members.List("runtimeArguments", "runtime_arguments").Select(node => (node, "runtime argument"))];
        List<(ConfigNode Node, string Hint)> own = [.. members.List("packageArguments", "package_arguments").Select(node => (node, "argument"))];
        foreach (var variable in members.List("environmentVariables", "environment_variables").OfType<ConfigMapping>())
        {
            ReadVariable(server, variable);
        }
        var arguments = server.Arguments;
        switch (type)
        {
            case "npm":
                server.Command = "npx";
                arguments.Add("-y");
                AddArguments(server, runtime);
                RemoveRepeated(arguments, "-y");
                arguments.Add(version is null ? identifier : $"{identifier}@{version}");
                break;
            case "pypi":
                server.Command = "uvx";
                AddArguments(server, runtime);
                arguments.Add(version is null ? identifier : $"{identifier}=={version}");
                break;
            case "nuget":
                server.Command = "dnx";
                AddArguments(server, runtime);
                arguments.Add(version is null ? identifier : $"{identifier}@{version}");
                arguments.Add("--yes");
                if (own.Count > 0)
                {
                    arguments.Add("--");
                }
                break;
            default:
                server.Command = "docker";
                arguments.AddRange(["run", "-i", "--rm"]);
                foreach (var variable in server.Environment.Keys)
                {
                    arguments.AddRange(["-e", variable]);
                }
                AddArguments(server, runtime);
                arguments.Add(version is null || identifier.Contains('@', StringComparison.Ordinal) || identifier[(identifier.LastIndexOf('/') + 1)..].Contains(':', StringComparison.Ordinal) ? identifier : $"{identifier}:{version}");
                break;
        }
        AddArguments(server, own);
        members.Leave(server, "the program that fetches the package checks it by its own means", "fileSha256", "file_sha256");
        if (members.Text("runtimeHint", "runtime_hint") is { } hint && hint != server.Command)
        {
            server.NotCarriedOver.Add($"{package.Path}.runtimeHint: {ImportContext.Show(hint)}; {server.Command} is used");
        }
        if (members.Text("registryBaseUrl", "registry_base_url") is { } registry && !UsualRegistries().IsMatch(registry))
        {
            server.NotCarriedOver.Add($"{package.Path}.registryBaseUrl: {ImportContext.Show(registry)}; set it up for {server.Command} itself");
            server.OffBecause ??= "its package comes from a registry of its own";
        }
        members.LeaveTheRest(server);
    }

    private static void RemoveRepeated(List<string> arguments, string flag)
    {
        for (var i = arguments.Count - 1; i > 0; i--)
        {
            if (arguments[i] == flag || (flag == "-y" && arguments[i] == "--yes"))
            {
                arguments.RemoveAt(i);
            }
        }
    }

    private void ReadVariable(ImportedServer server, ConfigMapping variable)
    {
        var members = new SourceMembers(variable, context);
        if (members.Text("name") is not { Length: > 0 } name || name.Any(c => c == '=' || char.IsControl(c)))
        {
            context.Errors.Add(variable.Error("a variable needs a name without '='"));
            return;
        }
        if (ReadInput(server, members, name, name, $"variable {name}") is { } value)
        {
            server.Environment[name] = value;
        }
    }

    private void AddArguments(ImportedServer server, List<(ConfigNode Node, string Hint)> arguments)
    {
        foreach (var (node, kind) in arguments)
        {
            if (node is not ConfigMapping mapping)
            {
                context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
                continue;
            }
            var members = new SourceMembers(mapping, context);
            var type = members.Text("type");
            var name = members.Text("name");
            var hint = members.Text("valueHint", "value_hint");
            if (members.Flag("isRepeated", "is_repeated") == true)
            {
                server.Checklist.Add($"{kind} {name ?? hint}: may be repeated; add more to upstream.args where needed");
            }
            if (type == "named" || (type is null && name is not null))
            {
                AddNamed(server, members, name ?? hint ?? "");
            }
            else if (ReadInput(server, members, hint ?? "argument", "", $"{kind} {hint}") is { } value)
            {
                server.Arguments.Add(value);
            }
        }
    }

    // A flag has a name and no value; an option that is not required and has none is left out.
    private void AddNamed(ImportedServer server, SourceMembers members, string name)
    {
        var isFlag = members.Mapping.Find("value") is null && members.Mapping.Find("default") is null && members.Mapping.Find("valueHint") is null && members.Mapping.Find("value_hint") is null
            && members.Mapping.Find("format") is null && members.Mapping.Find("choices") is null && members.Mapping.Find("isSecret") is null && members.Mapping.Find("is_secret") is null;
        var value = ReadInput(server, members, name.TrimStart('-'), name.TrimStart('-'), $"option {name}", isFlag);
        if (isFlag || value is not null)
        {
            server.Arguments.Add(ImportContext.Literal(name));
        }
        if (!isFlag && value is not null)
        {
            server.Arguments.Add(value);
        }
    }

    // Null: it has no value and needs none.
    private string? ReadInput(ImportedServer server, SourceMembers members, string variable, string secretName, string where, bool isFlag = false)
    {
        var required = members.Flag("isRequired", "is_required") ?? false;
        var secret = members.Flag("isSecret", "is_secret") ?? false;
        var description = members.Text("description");
        var text = members.Text("value") ?? members.Text("default");
        var choices = members.Texts("choices");
        members.Find("placeholder", "format");
        var variables = members.Map("variables");
        members.LeaveTheRest(server);
        if (isFlag)
        {
            return null;
        }
        if (text is not null)
        {
            return Fill(server, text, variables, value => context.Value(server, secretName, value, $"{server.Name}: {where}", secret));
        }
        if (!required && !secret)
        {
            server.Checklist.Add($"{where}: optional{Because(description, choices)}");
            return null;
        }
        if (!required)
        {
            server.Checklist.Add($"{where}: optional{Because(description, choices)}; a secret, add it as ${{env:{ImportContext.Variable(variable)}}}");
            return null;
        }
        return context.Wanted(server, Name(server, variable), $"{where}{Because(description, choices)}");
    }

    private static string Name(ImportedServer server, string variable) =>
        variable.Contains('_', StringComparison.Ordinal) && !variable.Any(char.IsAsciiLetterLower) ? ImportContext.Variable(variable) : $"{ImportContext.Variable(server.Id)}_{ImportContext.Variable(variable)}";

    private static string Because(string? description, IReadOnlyList<string> choices) =>
        (description is null ? "" : $", {ImportContext.Show(description).Trim('\'')}") + (choices.Count == 0 ? "" : $" (one of {string.Join(", ", choices)})");

    // {name} in a text stands for an input of the server's user.
    private string Fill(ImportedServer server, string text, IReadOnlyList<ConfigMember> variables, Func<string, string> literal)
    {
        if (!Templates().IsMatch(text))
        {
            return literal(text);
        }
        var at = 0;
        var filled = new System.Text.StringBuilder();
        foreach (Match template in Templates().Matches(text))
        {
            var name = template.Groups["name"].Value;
            var input = variables.FirstOrDefault(variable => variable.Key == name).Value as ConfigMapping;
            filled.Append(ImportContext.Literal(text[at..template.Index]));
            if ((input?.Find("default") ?? input?.Find("value"))?.Value is ConfigScalar standard)
            {
                filled.Append(literal(standard.Text));
            }
            else
            {
                filled.Append(context.Wanted(server, Name(server, name), $"{name}{Because((input?.Find("description")?.Value as ConfigScalar)?.Text, [])}"));
            }
            at = template.Index + template.Length;
        }
        return filled.Append(ImportContext.Literal(text[at..])).ToString();
    }

    private void ReadRemote(ImportedServer server, ConfigMapping remote)
    {
        var members = new SourceMembers(remote, context);
        members.Find("type", "transport_type", "transportType");
        server.Transport = TypeOf(remote) is "sse" ? "sse" : null;
        var variables = members.Map("variables");
        var url = members.Text("url") ?? "";
        server.Url = Templates().IsMatch(url) ? Fill(server, url, variables, ImportContext.Literal) : AddressText.Of(server, url, context);
        foreach (var header in members.List("headers").OfType<ConfigMapping>())
        {
            var inner = new SourceMembers(header, context);
            if (inner.Text("name") is { } name && ReadInput(server, inner, string.Equals(name, "Authorization", StringComparison.OrdinalIgnoreCase) ? "token" : name, name, $"header {name}") is { } value)
            {
                server.Headers[name] = value;
            }
        }
        members.LeaveTheRest(server);
    }

    [GeneratedRegex(@"^@?[A-Za-z0-9][A-Za-z0-9._/:@-]{0,300}$")]
    private static partial Regex Identifiers();

    [GeneratedRegex(@"^[A-Za-z0-9][A-Za-z0-9._+-]{0,100}$")]
    private static partial Regex Versions();

    [GeneratedRegex(@"(?<!\$)\{(?<name>[A-Za-z_][A-Za-z0-9_-]*)\}")]
    private static partial Regex Templates();

    [GeneratedRegex(@"^https://(registry\.npmjs\.org|pypi\.org|api\.nuget\.org|docker\.io|registry-1\.docker\.io|ghcr\.io)(/|$)")]
    private static partial Regex UsualRegistries();
}
