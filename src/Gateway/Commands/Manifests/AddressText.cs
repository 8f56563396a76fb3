using System.Text.RegularExpressions;

namespace Gateway.Commands.Manifests;

/// <summary>Addresses of imported servers: credentials in them become references.</summary>
internal static partial class AddressText
{
    /// <summary>The address as a manifest writes it.</summary>
    public static string Of(ImportedServer server, string url, ImportContext context)
    {
        if (UserInfo().Match(url) is { Success: true } user)
        {
            url = user.Groups["scheme"].Value + url[user.Length..];
            server.Checklist.Add("address: the name and password in it were left out; an address cannot hold them, send a header instead");
            server.OffBecause ??= "its address held a name and a password, which were left out";
        }
        // An address with references of its own is mapped as a whole.
        return ImportContext.HasReference(url)
            ? context.Value(server, "url", url, $"{server.Name}: address")
            : Queries().Replace(url, query => query.Groups["name"].Value + QueryValue(server, query.Groups["key"].Value, query.Groups["value"].Value, context));
    }

    // An address takes variables only, and is shown to admins: unlike a header it is no place for a secret.
    private static string QueryValue(ImportedServer server, string name, string value, ImportContext context)
    {
        if (SecretShapes.IsPlaceholder(value) || SecretShapes.IsNamedSecret(name, value) || SecretShapes.LooksLikeToken(value))
        {
            server.Checklist.Add($"address: it holds a secret ({name}), which admins then see; send it in a header if the server takes one");
            return context.Value(server, name, value, $"{server.Name}: {name} in the address", secret: true, variableOnly: true);
        }
        return ImportContext.Literal(value);
    }

    [GeneratedRegex(@"^(?<scheme>https?://)[^/?#\s]*@", RegexOptions.IgnoreCase)]
    private static partial Regex UserInfo();

    [GeneratedRegex(@"(?<name>[?&](?<key>[^=&#]+)=)(?<value>[^&#]+)")]
    private static partial Regex Queries();
}
