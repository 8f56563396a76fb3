using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Finds the address that an operation is called at.</summary>
internal sealed partial class ApiServers(OpenApiSource source)
{
    /// <summary>Scheme, authority and base path, without a slash at the end.</summary>
    /// <param name="levels">The <c>servers</c> of the operation, of its path and of the document; the first that is given counts.</param>
    /// <exception cref="DocumentException">There is no usable address.</exception>
    public string BaseOf(params ReadOnlySpan<JsonNode?> levels)
    {
        if (source.BaseUrl is { } own)
        {
            return own.GetLeftPart(UriPartial.Path).TrimEnd('/');
        }
        JsonNode? server = null;
        foreach (var level in levels)
        {
            server ??= (level as JsonArray)?.FirstOrDefault();
        }
        var text = server is null ? "/" : Fill(server as JsonObject ?? throw new DocumentException("A server is not an object."));
        if (text.StartsWith('/') || !Uri.TryCreate(text, UriKind.Absolute, out var url))
        {
            if (source.DocumentUrl is null || !Uri.TryCreate(source.DocumentUrl, text, out url))
            {
                throw new DocumentException("The document names no full address of its server; give one under upstream.baseUrl.");
            }
        }
        if ((url.Scheme != Uri.UriSchemeHttps && url.Scheme != Uri.UriSchemeHttp) || url.UserInfo.Length > 0 || url.Query.Length > 0 || url.Fragment.Length > 0)
        {
            throw new DocumentException($"The server {DocumentException.Show(text)} is no http or https address without user, query and fragment.");
        }
        // Whoever can change a document on the network must not be able to send credentials elsewhere by it.
        if (source.DocumentUrl is { } origin && Uri.Compare(origin, url, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) != 0)
        {
            throw new DocumentException($"The server {DocumentException.Show(url.GetLeftPart(UriPartial.Authority))} is another one than the document comes from; if that is right, say so under upstream.baseUrl.");
        }
        return url.GetLeftPart(UriPartial.Path).TrimEnd('/');
    }

    private string Fill(JsonObject server)
    {
        var variables = server["variables"] as JsonObject;
        return Variable().Replace(LocalReferences.Text(server["url"]) ?? throw new DocumentException("A server has no 'url'."), match =>
        {
            var name = match.Groups[1].Value;
            var declared = variables?[name] as JsonObject;
            if (!source.ServerVariables.TryGetValue(name, out var value))
            {
                return LocalReferences.Text(declared?["default"]) ?? throw new DocumentException($"The variable {DocumentException.Show(name)} of a server has no default; give its value under upstream.serverVariables.");
            }
            if (declared?["enum"] is JsonArray choices && choices.All(choice => LocalReferences.Text(choice) != value))
            {
                throw new DocumentException($"upstream.serverVariables gives {DocumentException.Show(name)} a value that the document does not allow; it allows {string.Join(", ", choices.Take(10).Select(choice => DocumentException.Show(LocalReferences.Text(choice) ?? "")))}.");
            }
            return value;
        });
    }

    [GeneratedRegex(@"\{([^{}]+)\}")]
    private static partial Regex Variable();
}
