using System.Buffers;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Bridging;

namespace Gateway.Connecting;

/// <summary>The entry for one client: what is pasted, where, and the command that does the same, if the client has one.</summary>
internal sealed class ClientEntry
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };
    private static readonly JsonSerializerOptions OneLine = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    private static readonly SearchValues<char> PlainInShells = SearchValues.Create("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:/._-%");

    private ClientEntry(string client) => Client = client;

    /// <summary>What people call the client.</summary>
    public string Client { get; }

    /// <summary>What to paste.</summary>
    public required string Snippet { get; init; }

    /// <summary>The files that it can stand in.</summary>
    public required IReadOnlyList<ClientFile> Files { get; init; }

    /// <summary>The one command that adds the entry; null: the client has none.</summary>
    public string? Command { get; init; }

    /// <summary>What the command is, where it is none for a shell.</summary>
    public string CommandTitle { get; init; } = "Or with one command";

    /// <summary>What else its user should know.</summary>
    public IReadOnlyList<string> Notes { get; init; } = [];

    /// <summary>Members that the entry puts into the client's JSON file: object, name, value. Empty: the file is not JSON.</summary>
    public IReadOnlyList<JsonAddition> Additions { get; init; } = [];

    /// <summary>Writes the entry for a client.</summary>
    public static ClientEntry For(ClientKind kind, EntryOptions options, ClientFolders folders) => kind switch
    {
        ClientKind.ClaudeDesktop => ClaudeDesktop(options, folders),
        ClientKind.ClaudeCode => ClaudeCode(options, folders),
        ClientKind.Cursor => Cursor(options, folders),
        ClientKind.VsCode => VsCode(options, folders),
        ClientKind.Windsurf => Windsurf(options, folders),
        _ => Codex(options, folders),
    };

    private static ClientEntry ClaudeDesktop(EntryOptions options, ClientFolders folders)
    {
        var arguments = new JsonArray([.. options.Launch.Arguments.Concat(["bridge", "--url", McpAddress.BaseOf(options.Address)]).Select(text => (JsonNode)text)]);
        var server = new JsonObject { ["command"] = options.Launch.Command, ["args"] = arguments };
        if (!options.Address.IsLoopback && options.Address.Scheme != Uri.UriSchemeHttps)
        {
            arguments.Add("--allow-http");
        }
        if (options.KeyFile is not null)
        {
            arguments.Add("--key-file");
            arguments.Add(options.KeyFile);
        }
        else
        {
            server["env"] = new JsonObject { [BridgeOptions.KeyVariable] = options.Key ?? BridgeOptions.KeyPlaceholder };
        }
        return new ClientEntry("Claude Desktop")
        {
            Snippet = Document("mcpServers", options.Name, server),
            Files = folders.OfEachSystem("Claude", "claude_desktop_config.json"),
            Additions = [new("mcpServers", options.Name, server)],
            Notes =
            [
                "Claude Desktop starts programs only, so the entry starts 'gateway bridge', which relays to the running gateway.",
                .. options.Key is null && options.KeyFile is null
                    ? [$"It reads no variables of yours: put a virtual key in place of {BridgeOptions.KeyPlaceholder}, or give --key-file here."]
                    : Array.Empty<string>(),
                "Restart Claude Desktop afterwards. A bundle that is installed by a double click: --mcpb gateway.mcpb",
            ],
        };
    }

    private static ClientEntry ClaudeCode(EntryOptions options, ClientFolders folders)
    {
        var server = new JsonObject { ["type"] = "http", ["url"] = options.Address.AbsoluteUri, ["headers"] = Headers(options.Key, "${GATEWAY_KEY}") };
        return new ClientEntry("Claude Code")
        {
            Snippet = Document("mcpServers", options.Name, server),
            Files = [new("project", folders.InProject(".mcp.json"), true)],
            Additions = [new("mcpServers", options.Name, server)],
            Command = ClaudeCodeCommand.Write(options.Name, Word(options.Address.AbsoluteUri), options.Key),
            Notes = [.. VariableNote(options.Key), "The command adds it for you in this project; with --scope user, in all of yours."],
        };
    }

    private static ClientEntry Cursor(EntryOptions options, ClientFolders folders)
    {
        var server = new JsonObject { ["url"] = options.Address.AbsoluteUri, ["headers"] = Headers(options.Key, "${env:GATEWAY_KEY}") };
        var config = Convert.ToBase64String(Encoding.UTF8.GetBytes(server.ToJsonString(OneLine)));
        return new ClientEntry("Cursor")
        {
            Snippet = Document("mcpServers", options.Name, server),
            Files = [new("all projects", folders.InHome(".cursor", "mcp.json"), true), new("one project", folders.InProject(".cursor", "mcp.json"), false)],
            Additions = [new("mcpServers", options.Name, server)],
            Command = $"cursor://anysphere.cursor-deeplink/mcp/install?name={options.Name}&config={Uri.EscapeDataString(config)}",
            CommandTitle = "Or open this link",
            Notes = VariableNote(options.Key),
        };
    }

    private static ClientEntry VsCode(EntryOptions options, ClientFolders folders)
    {
        var input = $"{options.Name}-key";
        var server = new JsonObject { ["type"] = "http", ["url"] = options.Address.AbsoluteUri, ["headers"] = Headers(options.Key, $"${{input:{input}}}") };
        var prompt = options.Key is not null ? null : new JsonObject { ["type"] = "promptString", ["id"] = input, ["description"] = "Virtual key of the gateway", ["password"] = true };
        var whole = new JsonObject();
        var flat = new JsonObject { ["name"] = options.Name };
        List<JsonAddition> additions = [new("servers", options.Name, server)];
        if (prompt is not null)
        {
            whole["inputs"] = new JsonArray(prompt.DeepClone());
            flat["inputs"] = new JsonArray(prompt.DeepClone());
            additions.Add(new("inputs", input, prompt));
        }
        whole["servers"] = new JsonObject { [options.Name] = server.DeepClone() };
        foreach (var (name, value) in server)
        {
            flat[name] = value?.DeepClone();
        }
        return new ClientEntry("VS Code")
        {
            Snippet = whole.ToJsonString(Indented),
            Files = [new("one project", folders.InProject(".vscode", "mcp.json"), false), .. folders.OfEachSystem("Code", "User", "mcp.json")],
            Additions = additions,
            Command = $"code --add-mcp {Quote(flat.ToJsonString(OneLine))}",
            Notes = options.Key is null ? ["VS Code asks for the key once and keeps it encrypted."] : [],
        };
    }

    private static ClientEntry Windsurf(EntryOptions options, ClientFolders folders)
    {
        var server = new JsonObject { ["serverUrl"] = options.Address.AbsoluteUri, ["headers"] = Headers(options.Key, "${env:GATEWAY_KEY}") };
        return new ClientEntry("Windsurf")
        {
            Snippet = Document("mcpServers", options.Name, server),
            Files = [new("", folders.InHome(".codeium", "windsurf", "mcp_config.json"), true)],
            Additions = [new("mcpServers", options.Name, server)],
            Notes = VariableNote(options.Key),
        };
    }

    private static ClientEntry Codex(EntryOptions options, ClientFolders folders)
    {
        var key = options.Key is null
            ? $"bearer_token_env_var = \"{BridgeOptions.KeyVariable}\""
            : $"http_headers = {{ Authorization = \"Bearer {options.Key}\" }}";
        return new ClientEntry("Codex")
        {
            Snippet = $"[mcp_servers.{options.Name}]\nurl = \"{options.Address.AbsoluteUri}\"\n{key}",
            Files = [new("", folders.InHome(".codex", "config.toml"), true)],
            // Its command takes the name of a variable, and no key.
            Command = options.Key is null ? $"codex mcp add {options.Name} --url {Word(options.Address.AbsoluteUri)} --bearer-token-env-var {BridgeOptions.KeyVariable}" : null,
            Notes = VariableNote(options.Key),
        };
    }

    private static IReadOnlyList<string> VariableNote(string? key) =>
        key is null ? [$"The entry takes the key from the variable {BridgeOptions.KeyVariable}: export it where the client is started."] : [];

    private static JsonObject Headers(string? key, string reference) => new() { ["Authorization"] = $"Bearer {key ?? reference}" };

    private static string Document(string member, string name, JsonObject server) =>
        new JsonObject { [member] = new JsonObject { [name] = server.DeepClone() } }.ToJsonString(Indented);

    private static string Word(string text) => text.AsSpan().ContainsAnyExcept(PlainInShells) ? Quote(text) : text;

    /// <summary>For shells of Unix and for PowerShell, neither of which looks into single quotes.</summary>
    private static string Quote(string text) => $"'{text.Replace("'", "'\\''", StringComparison.Ordinal)}'";
}

/// <summary>A member to put into a JSON file.</summary>
/// <param name="Parent">The member of the document that holds it: an object, or a list of objects with an <c>id</c>.</param>
/// <param name="Name">Its name, or its <c>id</c> in a list.</param>
/// <param name="Value">Its value.</param>
internal sealed record JsonAddition(string Parent, string Name, JsonObject Value);
