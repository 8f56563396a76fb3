using System.Text;
using System.Text.RegularExpressions;
using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>Reads entries of Docker's MCP catalog: a whole catalog (<c>registry</c>) or one entry.</summary>
internal static partial class DockerCatalogImport
{
    public static bool IsCatalog(ConfigNode root) => root is ConfigMapping mapping && (mapping.Find("registry")?.Value is ConfigMapping || IsEntry(mapping));

    public static void Read(ConfigNode root, ImportContext context)
    {
        if ((root as ConfigMapping)?.Find("registry")?.Value is ConfigMapping registry)
        {
            foreach (var member in registry.Members)
            {
                ReadEntry(member.Key, member.Value, context);
            }
            return;
        }
        ReadEntry((root.At("name") as ConfigScalar)?.Text ?? "", root, context);
    }

    private static bool IsEntry(ConfigMapping mapping) => mapping.Find("type")?.Value is ConfigScalar { Text: "server" or "remote" or "poci" } && (mapping.Find("image") ?? mapping.Find("remote") ?? mapping.Find("tools")) is not null;

    private static void ReadEntry(string name, ConfigNode node, ImportContext context)
    {
        if (node is not ConfigMapping mapping)
        {
            context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
            return;
        }
        var members = new SourceMembers(mapping, context);
        var type = members.Text("type") ?? (mapping.Find("remote") is null ? "server" : "remote");
        if (type == "poci")
        {
            context.Errors.Add(node.Error($"{ImportContext.Show(name)} is of type poci, a container for each tool; the hub speaks to MCP servers only"));
            return;
        }
        if (context.Add(name, node) is not { } server)
        {
            return;
        }
        members.Find("name");
        server.Title = members.Text("title", "displayName") ?? name;
        server.Description = members.Text("description");
        var settings = Settings(members.List("config"));
        if (type == "remote")
        {
            ReadRemote(server, members, settings, context);
        }
        else
        {
            ReadImage(server, members, settings, context);
        }
        members.Leave(server, "information only", "icon", "readme", "toolsUrl", "tools", "prompts", "resources", "source", "upstream", "metadata", "dateAdded", "meta", "about", "ref");
        members.Leave(server, "a stdio server lives as long as the hub needs it", "longLived");
        members.Leave(server, "the hub does not narrow the container's network; Docker's own means do", "allowHosts");
        members.Leave(server, "the hub signs in nowhere; give a token in a header or variable", "oauth");
        members.LeaveTheRest(server);
    }

    // Names of settings (github.host) with their descriptions and defaults.
    private static Dictionary<string, ConfigMapping> Settings(IReadOnlyList<ConfigNode> config)
    {
        Dictionary<string, ConfigMapping> settings = new(StringComparer.Ordinal);
        foreach (var group in config.OfType<ConfigMapping>())
        {
            var name = (group.Find("name")?.Value as ConfigScalar)?.Text ?? "";
            foreach (var property in (group.Find("properties")?.Value as ConfigMapping)?.Members ?? [])
            {
                if (property.Value is ConfigMapping schema)
                {
                    settings[$"{name}.{property.Key}"] = schema;
                    settings.TryAdd(property.Key, schema);
                }
            }
        }
        return settings;
    }

    private static void ReadImage(ImportedServer server, SourceMembers members, Dictionary<string, ConfigMapping> settings, ImportContext context)
    {
        if (members.Text("image") is not { } image || !Images().IsMatch(image))
        {
            context.Errors.Add(members.Mapping.Error($"the server {ImportContext.Show(server.Name)} names no image"));
            return;
        }
        server.Command = "docker";
        server.Arguments.AddRange(["run", "-i", "--rm", "--init"]);
        foreach (var secret in members.List("secrets").OfType<ConfigMapping>())
        {
            var inner = new SourceMembers(secret, context);
            var variable = inner.Text("env") ?? "";
            var example = inner.Text("example", "description");
            inner.Find("name");
            inner.LeaveTheRest(server);
            if (IsVariable(secret, variable, context))
            {
                server.Environment[variable] = context.Wanted(server, ImportContext.Variable(variable), $"a secret of the image{(example is null ? "" : $", such as {ImportContext.Show(example)}")}");
            }
        }
        foreach (var setting in members.List("env").OfType<ConfigMapping>())
        {
            var inner = new SourceMembers(setting, context);
            var variable = inner.Text("name") ?? "";
            var value = inner.Text("value") ?? "";
            inner.Leave(server, "information only", "example", "description");
            inner.LeaveTheRest(server);
            if (IsVariable(setting, variable, context))
            {
                server.Environment[variable] = Fill(server, value, settings, context, text => context.Value(server, variable, text, $"{server.Name}: variable {variable}"));
            }
        }
        foreach (var variable in server.Environment.Keys)
        {
            server.Arguments.AddRange(["-e", variable]);
        }
        if (members.Flag("disableNetwork") == true)
        {
            server.Arguments.AddRange(["--network", "none"]);
        }
        if (members.Text("user") is { } user)
        {
            server.Arguments.AddRange(["-u", Fill(server, user, settings, context, ImportContext.Literal)]);
        }
        foreach (var volume in members.Texts("volumes"))
        {
            server.Arguments.AddRange(["-v", Fill(server, volume, settings, context, ImportContext.Literal)]);
            server.Checklist.Add($"volume {ImportContext.Show(volume)}: the container sees this folder of the machine");
        }
        server.Arguments.Add(image);
        foreach (var argument in members.Texts("command"))
        {
            server.Arguments.Add(Fill(server, argument, settings, context, text => context.Value(server, "", text, $"{server.Name}: command")));
        }
        if (!image.Contains("@sha256:", StringComparison.Ordinal))
        {
            server.Checklist.Add($"image: {image} is not pinned by a digest");
        }
    }

    private static void ReadRemote(ImportedServer server, SourceMembers members, Dictionary<string, ConfigMapping> settings, ImportContext context)
    {
        if (members.Object("remote") is not { } remote || remote.Text("url") is not { } url)
        {
            context.Errors.Add(members.Mapping.Error($"the server {ImportContext.Show(server.Name)} names no address"));
            return;
        }
        if (remote.Text("transport_type", "transport") is "sse")
        {
            server.Transport = "sse";
        }
        Dictionary<string, string> examples = new(StringComparer.Ordinal);
        foreach (var secret in members.List("secrets").OfType<ConfigMapping>())
        {
            var inner = new SourceMembers(secret, context);
            inner.Find("name");
            examples[inner.Text("env") ?? ""] = inner.Text("example", "description") ?? "";
            inner.LeaveTheRest(server);
        }
        server.Url = Fill(server, url, settings, context, text => AddressText.Of(server, text, context));
        foreach (var header in remote.Map("headers"))
        {
            if (remote.TextOf(header.Value) is { } text)
            {
                server.Headers[header.Key] = Fill(server, text, settings, context, value => context.Value(server, header.Key, value, $"{server.Name}: header {header.Key}"));
            }
        }
        remote.LeaveTheRest(server);
        foreach (var (variable, example) in examples.Where(secret => secret.Key.Length > 0 && !server.Headers.Values.Any(value => value.Contains($":{secret.Key}}}", StringComparison.Ordinal))))
        {
            server.Checklist.Add($"secret {variable}: {example}");
        }
    }

    private static bool IsVariable(ConfigMapping node, string name, ImportContext context)
    {
        if (Variables().IsMatch(name))
        {
            return true;
        }
        context.Errors.Add(node.Error($"{ImportContext.Show(name)} cannot be the name of a variable"));
        return false;
    }

    // {{github.host}} stands for a setting; filters such as |volume turn lists into several arguments, which is left to people.
    private static string Fill(ImportedServer server, string text, Dictionary<string, ConfigMapping> settings, ImportContext context, Func<string, string> literal)
    {
        if (!Templates().IsMatch(text))
        {
            return literal(text);
        }
        var filled = new StringBuilder();
        var at = 0;
        foreach (Match template in Templates().Matches(text))
        {
            var name = template.Groups["name"].Value;
            var setting = settings.GetValueOrDefault(name);
            filled.Append(ImportContext.Literal(text[at..template.Index]));
            var standard = (setting?.Find("default")?.Value as ConfigScalar)?.Text;
            if (template.Groups["filter"].Success)
            {
                server.Checklist.Add($"{ImportContext.Show(template.Value)}: a template with filters; write the value in its place");
                server.OffBecause ??= "it holds a template that only Docker's gateway fills";
            }
            filled.Append(standard is { Length: > 0 } ? ImportContext.Literal(standard)
                : context.Wanted(server, $"{ImportContext.Variable(name)}", $"the setting {name}{((setting?.Find("description")?.Value as ConfigScalar)?.Text is { } description ? $", {ImportContext.Show(description).Trim('\'')}" : "")}"));
            at = template.Index + template.Length;
        }
        return filled.Append(ImportContext.Literal(text[at..])).ToString();
    }

    [GeneratedRegex(@"\{\{\s*(?<name>[A-Za-z0-9_.-]+)\s*(?<filter>\|[^{}]*)?\}\}")]
    private static partial Regex Templates();

    [GeneratedRegex(@"^[a-z0-9][A-Za-z0-9._/:@-]{0,300}$")]
    private static partial Regex Images();

    [GeneratedRegex("^[A-Za-z_][A-Za-z0-9_]*$")]
    private static partial Regex Variables();
}
