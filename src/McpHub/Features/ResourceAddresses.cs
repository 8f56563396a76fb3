using System.Buffers;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.Features;

/// <summary>
/// The addresses under which clients see resources: the server's own behind <c>server+</c>, which makes another URI scheme of it (RFC 3986, 3.1), so that those of several
/// servers never collide, templates expand as before, and each leads back to exactly one server and its very address. A server without a prefix keeps its addresses.
/// </summary>
internal static class ResourceAddresses
{
    private const char Separator = '+';

    /// <summary>What a server's addresses begin with; "": nothing.</summary>
    public static string PrefixOf(ToolManifest server)
    {
        if (server.Prefix.Length == 0)
        {
            return "";
        }
        var scheme = string.Create(server.Prefix.Length, server.Prefix, static (output, prefix) =>
        {
            for (var i = 0; i < output.Length; i++)
            {
                // Schemes are compared without regard to case, and clients write them in lower case.
                output[i] = char.IsAsciiLetterOrDigit(prefix[i]) ? char.ToLowerInvariant(prefix[i]) : '-';
            }
        });
        if (scheme == server.Prefix && char.IsAsciiLetterLower(scheme[0]))
        {
            return scheme + Separator;
        }
        // A prefix has no dots, so that none can be taken for an altered one.
        var hash = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(server.Prefix)))[..4];
        return $"s-{scheme}.{hash}{Separator}";
    }

    /// <summary>The server of an address and the server's own address; null: it belongs to none.</summary>
    public static (ToolManifest Server, string Address)? Resolve(ImmutableArray<ToolManifest> servers, string? only, string address)
    {
        if (only is not null)
        {
            return servers.FirstOrDefault(server => server.Id == only) is { } named ? (named, address) : null;
        }
        ToolManifest? bare = null;
        var separator = address.IndexOf(Separator, StringComparison.Ordinal);
        foreach (var server in servers)
        {
            var prefix = PrefixOf(server);
            if (prefix.Length == 0)
            {
                bare = server;
            }
            else if (prefix.Length == separator + 1 && address.StartsWith(prefix, StringComparison.OrdinalIgnoreCase))
            {
                return (server, address[prefix.Length..]);
            }
        }
        return bare is null ? null : (bare, address);
    }

    /// <summary>A definition with the address in one of its members put behind the prefix, on one line. Null: it has no such member.</summary>
    public static byte[]? InDefinition(ReadOnlySpan<byte> json, ReadOnlySpan<byte> member, string prefix, out string address)
    {
        address = "";
        try
        {
            if (JsonMembers.FindString(json, member) is not { Length: > 0 } own)
            {
                return null;
            }
            address = own;
            return JsonEdits.WithString(json, member, prefix + own);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return null;
        }
    }

    /// <summary>
    /// A result with all addresses in it put behind the prefix: those of contents that were read, and of links and embedded resources in what tools and prompts say.
    /// </summary>
    public static ReadOnlyMemory<byte> InResult(ReadOnlyMemory<byte> result, ToolManifest server)
    {
        if (server.Prefix.Length == 0 || result.Span.IndexOf("\"uri\""u8) < 0)
        {
            return result;
        }
        var places = new List<int>();
        try
        {
            Collect(result.Span, places);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return result;
        }
        return Insert(result, places, server);
    }

    /// <summary>
    /// A tool's definition with the address of the page that shows its results, where it names one (extension <c>io.modelcontextprotocol/ui</c>, <c>_meta.ui.resourceUri</c>, and the
    /// older spellings of the same), put behind the prefix, so that clients find it among the resources.
    /// </summary>
    public static ReadOnlyMemory<byte> InTool(ReadOnlyMemory<byte> definition, ToolManifest server)
    {
        if (server.Prefix.Length == 0 || (definition.Span.IndexOf("resourceUri"u8) < 0 && definition.Span.IndexOf("openai/outputTemplate"u8) < 0))
        {
            return definition;
        }
        var places = new List<int>();
        var reader = new Utf8JsonReader(definition.Span, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isMeta = reader.ValueTextEquals("_meta"u8);
            reader.Read();
            if (isMeta && reader.TokenType == JsonTokenType.StartObject)
            {
                CollectPages(ref reader, places, isInner: false);
            }
            else
            {
                reader.Skip();
            }
        }
        return Insert(definition, places, server);
    }

    private static void CollectPages(ref Utf8JsonReader reader, List<int> places, bool isInner)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isPage = isInner ? reader.ValueTextEquals("resourceUri"u8) : reader.ValueTextEquals("ui/resourceUri"u8) || reader.ValueTextEquals("openai/outputTemplate"u8);
            var isUi = !isInner && reader.ValueTextEquals("ui"u8);
            reader.Read();
            if (isPage && reader.TokenType == JsonTokenType.String)
            {
                places.Add((int)reader.TokenStartIndex + 1);
            }
            else if (isUi && reader.TokenType == JsonTokenType.StartObject)
            {
                CollectPages(ref reader, places, isInner: true);
                continue;
            }
            reader.Skip();
        }
    }

    private static ReadOnlyMemory<byte> Insert(ReadOnlyMemory<byte> result, List<int> places, ToolManifest server)
    {
        if (places.Count == 0)
        {
            return result;
        }
        var text = RawJson.String(PrefixOf(server)).AsSpan(1..^1).ToArray();
        var output = new ArrayBufferWriter<byte>(result.Length + (places.Count * text.Length));
        var position = 0;
        foreach (var place in places)
        {
            output.Write(result.Span[position..place]);
            output.Write(text);
            position = place;
        }
        output.Write(result.Span[position..]);
        return output.WrittenMemory;
    }

    /// <summary>Collects where the texts of addresses begin.</summary>
    private static void Collect(ReadOnlySpan<byte> result, List<int> places)
    {
        var reader = new Utf8JsonReader(result, new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isMessages = reader.ValueTextEquals("messages"u8);
            var isBlocks = reader.ValueTextEquals("content"u8) || reader.ValueTextEquals("contents"u8);
            reader.Read();
            if (isBlocks)
            {
                CollectBlocks(ref reader, places);
            }
            else if (isMessages && reader.TokenType == JsonTokenType.StartArray)
            {
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    CollectMembers(ref reader, places, "content"u8);
                }
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>Takes one block, or a list of them.</summary>
    private static void CollectBlocks(ref Utf8JsonReader reader, List<int> places)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            CollectMembers(ref reader, places, "resource"u8);
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            CollectMembers(ref reader, places, "resource"u8);
        }
    }

    /// <summary>Takes the <c>uri</c> of an object, and what its member of the given name holds.</summary>
    private static void CollectMembers(ref Utf8JsonReader reader, List<int> places, ReadOnlySpan<byte> inner)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isAddress = reader.ValueTextEquals("uri"u8);
            var isInner = reader.ValueTextEquals(inner);
            reader.Read();
            if (isAddress && reader.TokenType == JsonTokenType.String)
            {
                places.Add((int)reader.TokenStartIndex + 1);
            }
            else if (isInner)
            {
                CollectBlocks(ref reader, places);
                continue;
            }
            reader.Skip();
        }
    }
}
