using Shared.Configuration;

namespace Gateway.Commands.Manifests;

/// <summary>
/// Reads the files in which MCP clients list their servers: <c>mcpServers</c> (Claude Desktop, Claude Code, Cursor, Windsurf, Cline, Gemini), <c>servers</c> with <c>inputs</c>
/// (VS Code), <c>context_servers</c> (Zed), <c>mcp</c> (OpenCode), <c>mcp_servers</c> (Codex).
/// </summary>
internal static class McpServersImport
{
    private static readonly string[] Containers = ["mcpServers", "servers", "context_servers", "mcp_servers"];

    /// <summary>The object or list of servers of a document; null where it has none.</summary>
    public static ConfigNode? FindServers(ConfigNode root)
    {
        if (root is not ConfigMapping mapping)
        {
            return null;
        }
        foreach (var name in Containers)
        {
            if (mapping.Find(name)?.Value is { } found and (ConfigMapping or ConfigSequence))
            {
                return found;
            }
        }
        if (mapping.Find("mcp")?.Value is ConfigMapping inner)
        {
            return FindServers(inner) ?? inner;
        }
        // A piece that was copied out of such a file.
        return mapping.Members.Count > 0 && mapping.Members.All(member => member.Value is ConfigMapping server && (server.Find("command") ?? server.Find("url") ?? server.Find("serverUrl") ?? server.Find("httpUrl")) is not null)
            ? mapping : null;
    }

    public static void Read(ConfigNode root, ImportContext context)
    {
        foreach (var input in (InputsOf(root) as ConfigSequence)?.Items ?? [])
        {
            if (input.At("id") is ConfigScalar { Text: var id })
            {
                context.AddInput(id, input);
            }
        }
        switch (FindServers(root))
        {
            case ConfigMapping servers:
                foreach (var member in servers.Members)
                {
                    ReadServer(member.Key, member.Value, context);
                }
                break;
            case ConfigSequence servers:
                foreach (var item in servers.Items)
                {
                    ReadServer((item.At("name") as ConfigScalar)?.Text ?? "", item, context);
                }
                break;
            default:
                context.Errors.Add(root.Error("holds no servers: expected mcpServers, servers, context_servers or mcp_servers"));
                break;
        }
    }

    private static ConfigNode? InputsOf(ConfigNode root) => (root as ConfigMapping)?.Find("inputs")?.Value ?? ((root as ConfigMapping)?.Find("mcp")?.Value as ConfigMapping)?.Find("inputs")?.Value;

    private static void ReadServer(string name, ConfigNode node, ImportContext context)
    {
        if (node is not ConfigMapping mapping)
        {
            context.Errors.Add(node.Error($"expected an object, found {node.Describe()}"));
            return;
        }
        if (context.Add(name, node) is not { } server)
        {
            return;
        }
        var members = new SourceMembers(mapping, context);
        members.Find("name");
        server.Title = members.Text("title", "displayName") ?? server.Name;
        server.Description = members.Text("description");
        var transport = members.Text("type", "transport", "transportType");
        ReadCommand(server, members, context);
        if (server.Command is null)
        {
            ReadAddress(server, members, transport, context);
        }
        else if (members.Find("url", "serverUrl", "httpUrl") is { } both)
        {
            context.Errors.Add(both.Error($"the server {ImportContext.Show(name)} has a command and an address; keep one of the two"));
        }
        ReadSwitches(server, members);
        ReadTools(server, members);
        foreach (var (member, set) in new (string, Action<TimeSpan>)[] { ("tool_timeout_sec", time => server.CallTimeout = time), ("startup_timeout_sec", time => server.ConnectTimeout = time) })
        {
            if (members.Text(member) is { } text && double.TryParse(text, System.Globalization.CultureInfo.InvariantCulture, out var seconds) && seconds is >= 1 and <= 600)
            {
                set(TimeSpan.FromSeconds(Math.Ceiling(seconds)));
            }
        }
        members.Leave(server, "clients count it in seconds or milliseconds; set upstream.limits.callTimeout", "timeout", "startup_timeout_ms", "initTimeout");
        members.Leave(server, "the hub asks nobody before a call; use grants and rules instead", "autoApprove", "alwaysAllow", "trust", "autoApproveTools");
        members.Leave(server, "the hub sends the credentials that stand in headers; it signs in nowhere", "oauth", "auth", "authProviderType", "scopes");
        members.Leave(server, "variables are not read from a file of their own; put them into upstream.env", "envFile", "env_file");
        members.Leave(server, "without meaning for the hub", "dev", "gallery", "version", "icon", "source", "settings", "sandbox", "sandboxEnabled", "enable_elicitation");
        members.LeaveTheRest(server);
    }

    private static void ReadCommand(ImportedServer server, SourceMembers members, ImportContext context)
    {
        var node = members.Find("command");
        List<string> arguments = [];
        List<ConfigMember> environment = [.. members.Map("env", "environment")];
        if (node is ConfigMapping nested)
        {
            // Zed's older form: {"command": {"path": …, "args": […], "env": {…}}}.
            var inner = new SourceMembers(nested, context);
            server.Command = inner.Text("path", "command");
            arguments.AddRange(inner.Texts("args"));
            environment.AddRange(inner.Map("env"));
            inner.LeaveTheRest(server);
        }
        else if (node is ConfigSequence words)
        {
            // OpenCode's form: the program and its arguments in one list.
            var texts = words.Items.Select(members.TextOf).OfType<string>().ToList();
            server.Command = texts.FirstOrDefault();
            arguments.AddRange(texts.Skip(1));
        }
        else if (node is not null)
        {
            server.Command = members.TextOf(node);
        }
        arguments.AddRange(members.Texts("args", "arguments"));
        if (server.Command is null)
        {
            return;
        }
        if (ImportContext.HasReference(server.Command))
        {
            context.Errors.Add(node!.Error($"the command holds {ImportContext.Show(server.Command)}; a manifest's command is a plain name or path"));
        }
        AddArguments(server, arguments, context);
        foreach (var variable in environment)
        {
            AddVariable(server, variable, members, context);
        }
        foreach (var inherited in members.Texts("env_vars"))
        {
            server.Environment[inherited] = context.Wanted(server, ImportContext.Variable(inherited), "inherited by the source's client");
        }
        if (members.Text("cwd") is { } folder)
        {
            server.WorkingDirectory = context.Value(server, "cwd", folder, $"{server.Name}: cwd");
        }
    }

    /// <summary>Adds arguments; the value behind an option such as <c>--api-key</c> is judged by the option's name.</summary>
    public static void AddArguments(ImportedServer server, IReadOnlyList<string> arguments, ImportContext context)
    {
        var option = "";
        for (var i = 0; i < arguments.Count; i++)
        {
            var argument = arguments[i];
            var where = $"{server.Name}: argument {i + 1}";
            var equals = argument.StartsWith('-') ? argument.IndexOf('=', StringComparison.Ordinal) : -1;
            // mcp-remote and others take a whole header in one argument.
            var colon = option is "header" or "H" ? argument.IndexOf(':', StringComparison.Ordinal) : -1;
            if (equals > 0)
            {
                server.Arguments.Add(ImportContext.Literal(argument[..(equals + 1)]) + context.Value(server, argument[..equals].TrimStart('-'), argument[(equals + 1)..], where));
            }
            else if (colon > 0)
            {
                var end = colon + 1 + argument[(colon + 1)..].TakeWhile(c => c == ' ').Count();
                server.Arguments.Add(ImportContext.Literal(argument[..end]) + context.Value(server, argument[..colon].Trim(), argument[end..], where));
            }
            else
            {
                server.Arguments.Add(context.Value(server, option, argument, where));
            }
            option = argument.StartsWith('-') && equals < 0 ? argument.TrimStart('-') : "";
        }
    }

    private static void AddVariable(ImportedServer server, ConfigMember variable, SourceMembers members, ImportContext context)
    {
        if (variable.Key.Length == 0 || variable.Key.Any(c => c == '=' || char.IsControl(c)))
        {
            context.Errors.Add(variable.Value.Error($"{ImportContext.Show(variable.Key)} cannot be the name of a variable"));
        }
        else if (variable.Value is ConfigScalar { Style: ScalarStyle.Null })
        {
            server.Environment[variable.Key] = context.Wanted(server, ImportContext.Variable(variable.Key), "has no value in the source");
        }
        else if (members.TextOf(variable.Value) is { } text)
        {
            server.Environment[variable.Key] = text.Length == 0 && SecretShapes.IsNamedSecret(variable.Key, "to be given")
                ? context.Wanted(server, ImportContext.Variable(variable.Key), "is empty in the source")
                : context.Value(server, variable.Key, text, $"{server.Name}: variable {variable.Key}");
        }
    }

    private static void ReadAddress(ImportedServer server, SourceMembers members, string? transport, ImportContext context)
    {
        if (members.Text("url", "serverUrl", "httpUrl") is not { } url)
        {
            context.Errors.Add(members.Mapping.Error($"the server {ImportContext.Show(server.Name)} has neither a command nor an address"));
            return;
        }
        server.Url = AddressText.Of(server, url, context);
        if (transport?.ToLowerInvariant() is "sse")
        {
            server.Transport = "sse";
        }
        foreach (var header in (ConfigMember[])[.. members.Map("headers", "http_headers"), .. members.Object("requestInit")?.Map("headers") ?? []])
        {
            if (members.TextOf(header.Value) is { } text)
            {
                server.Headers[header.Key] = context.Value(server, header.Key, text, $"{server.Name}: header {header.Key}");
            }
        }
        foreach (var header in members.Map("env_http_headers"))
        {
            if (members.TextOf(header.Value) is { } variable)
            {
                server.Headers[header.Key] = context.Value(server, header.Key, $"${{env:{variable}}}", "");
            }
        }
        if (members.Text("bearer_token_env_var") is { } token)
        {
            server.Headers["Authorization"] = "Bearer " + context.Value(server, "Authorization", $"${{env:{token}}}", "");
        }
    }

    private static void ReadSwitches(ImportedServer server, SourceMembers members)
    {
        if (members.Flag("disabled") == true || members.Flag("enabled") == false)
        {
            server.OffBecause ??= "it is switched off in the source";
        }
    }

    private static void ReadTools(ImportedServer server, SourceMembers members)
    {
        var only = members.Texts("enabledTools", "includeTools", "enabled_tools").Concat(members.Find("tools") is ConfigSequence ? members.Texts("tools") : []).Where(tool => tool != "*").ToList();
        foreach (var tool in only)
        {
            (server.OnlyListedTools, server.Tools[tool]) = (true, true);
        }
        foreach (var tool in members.Texts("disabledTools", "excludeTools", "disabled_tools"))
        {
            server.Tools[tool] = false;
        }
    }
}
