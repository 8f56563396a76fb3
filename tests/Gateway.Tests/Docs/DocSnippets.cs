using System.Text.Json;
using System.Text.RegularExpressions;
using Microsoft.Extensions.Logging.Abstractions;
using Shared.Snapshots;
using TestSupport;
using Tomlyn;
using Tomlyn.Model;
using YamlDotNet.RepresentationModel;

namespace Gateway.Tests.Docs;

/// <summary>Checks blocks that are data: configuration by the gateway's own loader, the rest by its form.</summary>
internal static partial class DocSnippets
{
    private static readonly string[] OwnerMembers = ["models", "tools", "toolAnnotations", "budgets", "rateLimits", "concurrency"];

    /// <summary>What is wrong with a block; null: nothing, or the language is none of these.</summary>
    public static string? Check(DocBlock block)
    {
        try
        {
            return block.Language switch
            {
                "yaml" or "yml" => Yaml(block),
                "json" => Json(block.Text, new JsonDocumentOptions()),
                "jsonc" => Json(block.Text, new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true }),
                "toml" => Toml(block.Text),
                _ => null,
            };
        }
        catch (Exception exception) when (exception is JsonException or YamlDotNet.Core.YamlException or TomlException)
        {
            return exception.Message;
        }
    }

    private static string? Yaml(DocBlock block)
    {
        var stream = new YamlStream();
        stream.Load(new StringReader(block.Text));
        foreach (var document in stream.Documents)
        {
            if (document.RootNode is not YamlMappingNode root)
            {
                return "it is not a mapping";
            }
            var members = root.Children.Keys.Select(key => key.ToString()).ToArray();
            var isManifest = root.Children.TryGetValue("apiVersion", out var version) && version.ToString().StartsWith("hub/", StringComparison.Ordinal);
            if (isManifest)
            {
                return Load("", block.Text);
            }
            // Those of Kubernetes and Compose are examples of packaging/, which has tests of its own.
            if (members.Contains("kind") || members.Contains("services"))
            {
                continue;
            }
            var path = block.Find("in") ?? (members.All(OwnerMembers.Contains) ? "users.someone" : "");
            return Load($"{Nest(path, block.Text)}\n{block.Find("beside")}\n", null);
        }
        return null;
    }

    private static string Nest(string path, string text)
    {
        var indent = "";
        var head = "";
        foreach (var member in path.Split('.', StringSplitOptions.RemoveEmptyEntries))
        {
            head += $"{indent}{member}:\n";
            indent += "  ";
        }
        return head + string.Join('\n', text.Split('\n').Select(line => indent + line));
    }

    /// <summary>Loads files as a start does, in an environment where every variable and every secret file exists.</summary>
    private static string? Load(string configuration, string? manifest)
    {
        using var folder = new TemporaryFolder();
        var (secret, account) = (Path.Combine(folder.Path, "secret"), Path.Combine(folder.Path, "secret.json"));
        File.WriteAllText(secret, "a secret");
        File.WriteAllText(account, """{"type":"service_account"}""");
        string WithSecrets(string text) => FileReferences().Replace(text, reference => $"${{file:{(reference.Value.EndsWith(".json}", StringComparison.Ordinal) ? account : secret)}}}");
        var file = Path.Combine(folder.Path, "gateway.yaml");
        File.WriteAllText(file, WithSecrets(configuration));
        foreach (Match prices in PriceFiles().Matches(configuration))
        {
            File.WriteAllText(Path.Combine(folder.Path, prices.Groups[1].Value), "prices: []\n");
        }
        var manifests = Directory.CreateDirectory(Path.Combine(folder.Path, "tool-manifests")).FullName;
        if (manifest is not null)
        {
            File.WriteAllText(Path.Combine(manifests, "snippet.yaml"), WithSecrets(manifest));
        }
        var paths = new SnapshotPaths(file, manifests) { ConfigFileRequired = true, Environment = Variable };
        using var loader = new SnapshotLoader(paths, new SnapshotStore(), [], NullLogger<SnapshotLoader>.Instance);
        try
        {
            loader.Load();
            return null;
        }
        catch (Shared.Configuration.ConfigurationException exception)
        {
            return string.Join(Environment.NewLine, exception.Errors).Replace(folder.Path + Path.DirectorySeparatorChar, "", StringComparison.Ordinal);
        }
    }

    private static string? Variable(string name) => name switch
    {
        _ when name.EndsWith("_GATEWAY_KEY", StringComparison.Ordinal) => Shared.VirtualKeys.KeyToken.NewVirtualKey().Token,
        _ when name.EndsWith("_BASE_URL", StringComparison.Ordinal) || name.EndsWith("_ENDPOINT", StringComparison.Ordinal) || name == "OLLAMA_HOST" => "http://127.0.0.1:1",
        _ => "a-value", // also fit for a part of a host name
    };

    private static string? Json(string text, JsonDocumentOptions options)
    {
        using var document = JsonDocument.Parse(text, options);
        if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty("openapi", out _))
        {
            // Its servers are others.
            return null;
        }
        foreach (var name in (string[])["mcpServers", "servers", "context_servers"])
        {
            if (document.RootElement.ValueKind == JsonValueKind.Object && document.RootElement.TryGetProperty(name, out var servers))
            {
                return servers.ValueKind != JsonValueKind.Object ? $"'{name}' is no object"
                    : servers.EnumerateObject().Select(server => ClientEntry(server.Name, server.Value)).FirstOrDefault(problem => problem is not null);
            }
        }
        return null;
    }

    /// <summary>An entry of a client's list of servers: a program with arguments, or an address.</summary>
    private static string? ClientEntry(string name, JsonElement entry)
    {
        if (entry.ValueKind != JsonValueKind.Object)
        {
            return $"'{name}' is no object";
        }
        foreach (var member in (string[])["headers", "env"])
        {
            if (entry.TryGetProperty(member, out var strings) && (strings.ValueKind != JsonValueKind.Object || strings.EnumerateObject().Any(one => one.Value.ValueKind != JsonValueKind.String)))
            {
                return $"'{name}.{member}' is no object of strings";
            }
        }
        if (entry.TryGetProperty("command", out var command))
        {
            return command.ValueKind != JsonValueKind.String ? $"'{name}.command' is no string"
                : entry.TryGetProperty("args", out var args) && (args.ValueKind != JsonValueKind.Array || args.EnumerateArray().Any(one => one.ValueKind != JsonValueKind.String)) ? $"'{name}.args' is no list of strings"
                : null;
        }
        foreach (var member in (string[])["url", "serverUrl", "httpUrl"])
        {
            if (entry.TryGetProperty(member, out var url))
            {
                return Uri.TryCreate(url.GetString(), UriKind.Absolute, out var address) && address.AbsolutePath == "/mcp" ? null : $"'{name}.{member}' is no address of /mcp";
            }
        }
        return $"'{name}' has neither a command nor an address";
    }

    private static string? Toml(string text)
    {
        var table = TomlSerializer.Deserialize<TomlTable>(text)!;
        if (table.TryGetValue("mcp_servers", out var servers))
        {
            foreach (var (name, entry) in (TomlTable)servers)
            {
                if (entry is not TomlTable server || !(server.ContainsKey("url") || server.ContainsKey("command")))
                {
                    return $"'mcp_servers.{name}' has neither a command nor an address";
                }
            }
        }
        return null;
    }

    [GeneratedRegex(@"\$\{file:[^}]*\}")]
    private static partial Regex FileReferences();

    [GeneratedRegex(@"^priceFile:\s*([\w.-]+)", RegexOptions.Multiline)]
    private static partial Regex PriceFiles();
}
