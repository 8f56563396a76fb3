using System.Text;
using Shared.Configuration;
using Tomlyn;
using Tomlyn.Model;

namespace Gateway.Commands.Manifests;

/// <summary>Reads a foreign document, whatever its format.</summary>
internal static class ManifestImport
{
    /// <summary>The names of the formats, for the command line.</summary>
    public static readonly string[] Formats = ["auto", "mcp-servers", "server-json", "docker", "openapi"];

    private const int LargestBytes = 8 * 1024 * 1024;

    /// <summary>Reads servers out of a document into the context. Nothing is run and nobody is called.</summary>
    public static void Read(ReadOnlySpan<byte> utf8, string format, bool preferRemote, ImportContext context)
    {
        if (format == "openapi" || (format == "auto" && OpenApiImport.IsOne(Encoding.UTF8.GetString(utf8))))
        {
            OpenApiImport.Read(utf8, context);
            return;
        }
        if (Parse(utf8, context) is not { } root)
        {
            return;
        }
        switch (format == "auto" ? Detect(root) : format)
        {
            case "mcp-servers":
                McpServersImport.Read(root, context);
                break;
            case "server-json":
                new ServerJsonImport(preferRemote, context).Read(root);
                break;
            case "docker":
                DockerCatalogImport.Read(root, context);
                break;
            default:
                context.Errors.Add(root.Error("the format is not recognized; expected a client's list of servers (mcpServers, servers, …), a registry's server.json, a Docker catalog or an OpenAPI document; name it with --format"));
                break;
        }
        if (context.Errors.Count == 0 && context.Servers.Count == 0)
        {
            context.Errors.Add(root.Error("holds no servers"));
        }
    }

    /// <summary>The bytes of a file, or of standard input for <c>-</c>.</summary>
    /// <exception cref="CommandException">It cannot be read, or is too large.</exception>
    public static async Task<byte[]> ReadBytesAsync(string file, CancellationToken cancellationToken)
    {
        try
        {
            await using var stream = file == "-" ? Console.OpenStandardInput() : File.OpenRead(file);
            using var bytes = new MemoryStream();
            var buffer = new byte[64 * 1024];
            for (int read; (read = await stream.ReadAsync(buffer, cancellationToken)) > 0;)
            {
                bytes.Write(buffer, 0, read);
                if (bytes.Length > LargestBytes)
                {
                    throw new CommandException($"'{file}' is larger than {LargestBytes >> 20} MiB.");
                }
            }
            return bytes.ToArray();
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"'{file}' cannot be read: {exception.Message}");
        }
    }

    private static string Detect(ConfigNode root)
    {
        var entry = root.At("server") as ConfigMapping ?? root as ConfigMapping;
        if (entry?.Find("name") is not null && (entry.Find("packages")?.Value ?? entry.Find("remotes")?.Value) is ConfigSequence)
        {
            return "server-json";
        }
        if (root.At("servers") is ConfigSequence list && list.Items.Count > 0 && list.Items.All(item => (item as ConfigMapping)?.Find("server") is not null))
        {
            return "server-json";
        }
        return DockerCatalogImport.IsCatalog(root) ? "docker" : McpServersImport.FindServers(root) is not null ? "mcp-servers" : "";
    }

    private static ConfigNode? Parse(ReadOnlySpan<byte> utf8, ImportContext context)
    {
        utf8 = utf8.StartsWith("\uFEFF"u8) ? utf8[3..] : utf8;
        var text = Encoding.UTF8.GetString(utf8);
        var first = text.AsSpan().TrimStart();
        // Comments may come before the object; '#' begins none in JSON.
        if (first.StartsWith("{") || first.StartsWith("//") || first.StartsWith("/*") || context.Source.EndsWith(".json", StringComparison.OrdinalIgnoreCase))
        {
            return JsonNodes.ReadTolerantly(context.Source, utf8, context.Errors);
        }
        if (context.Source.EndsWith(".toml", StringComparison.OrdinalIgnoreCase) || text.Contains("[mcp_servers", StringComparison.Ordinal))
        {
            return ParseToml(text, context);
        }
        return YamlNodes.Read(context.Source, text, context.Errors);
    }

    private static ConfigNode? ParseToml(string text, ImportContext context)
    {
        try
        {
            return Node(TomlSerializer.Deserialize<TomlTable>(text), context.Source, "", 0);
        }
        catch (TomlException exception)
        {
            // Its message may quote the text; the place alone does not.
            context.Errors.Add(new ConfigError(context.Source, exception.Line ?? 0, exception.Column ?? 0, "", "not valid TOML"));
            return null;
        }
    }

    // The model keeps no places, so that messages name the path alone.
    private static ConfigNode Node(object? value, string file, string path, int depth) => value switch
    {
        _ when depth > 32 => throw new TomlException("nested too deeply"),
        TomlTable table => new ConfigMapping(file, 0, 0, path, [.. table.Select(member => new ConfigMember(member.Key, 0, 0, Node(member.Value, file, ConfigNode.Join(path, member.Key), depth + 1)))]),
        TomlArray array => new ConfigSequence(file, 0, 0, path, [.. array.Select((item, index) => Node(item, file, $"{path}[{index}]", depth + 1))]),
        TomlTableArray tables => new ConfigSequence(file, 0, 0, path, [.. tables.Select((item, index) => Node(item, file, $"{path}[{index}]", depth + 1))]),
        string text => new ConfigScalar(file, 0, 0, path, ScalarStyle.Quoted, text),
        bool flag => new ConfigScalar(file, 0, 0, path, ScalarStyle.Plain, flag ? "true" : "false"),
        IFormattable number => new ConfigScalar(file, 0, 0, path, ScalarStyle.Plain, number.ToString(null, System.Globalization.CultureInfo.InvariantCulture)),
        _ => new ConfigScalar(file, 0, 0, path, ScalarStyle.Null, ""),
    };
}
