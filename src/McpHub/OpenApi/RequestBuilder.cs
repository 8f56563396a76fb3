using System.Text;
using System.Text.Json;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Makes the request that a call of a tool comes to.</summary>
internal static class RequestBuilder
{
    private const int LongestAddress = 16 * 1024;

    private static readonly UriCreationOptions AsWritten = new() { DangerousDisablePathAndQueryCanonicalization = true };

    /// <summary>The request.</summary>
    /// <param name="manifest">The tool server.</param>
    /// <param name="operation">What is called.</param>
    /// <param name="arguments">An object, or undefined for none.</param>
    /// <exception cref="BadArgumentException">An argument is missing or cannot be sent.</exception>
    public static HttpRequestMessage Build(ToolManifest manifest, ApiOperation operation, JsonElement arguments)
    {
        var given = ArgumentCheck.Read(operation, arguments);
        var path = PathOf(operation, given);
        var query = new StringBuilder();
        var cookies = new List<string>();
        var request = new HttpRequestMessage { Method = HttpMethod.Parse(operation.Method) };
        try
        {
            foreach (var parameter in operation.Parameters.Where(parameter => given.ContainsKey(parameter.Argument.Name)))
            {
                var value = given[parameter.Argument.Name];
                switch (parameter.Place)
                {
                    case not ParameterPlace.Path when value.ValueKind == JsonValueKind.Null:
                        // What is null is not there (RFC 6570, section 2.3).
                        break;
                    case ParameterPlace.Query:
                        ParameterText.Query(query, parameter, value);
                        break;
                    case ParameterPlace.Header:
                        request.Headers.TryAddWithoutValidation(parameter.Name, ParameterText.Header(parameter, value));
                        break;
                    case ParameterPlace.Cookie:
                        ParameterText.Cookie(cookies, parameter, value);
                        break;
                }
            }
            request.Content = operation.Body is { } body ? BodyWriter.Write(body, given) : null;
            AddOwn(request, manifest, operation, query, cookies);
            var address = $"{operation.Base}{path}{(query.Length == 0 ? "" : "?")}{query}";
            request.RequestUri = address.Length <= LongestAddress ? new Uri(address, AsWritten)
                : throw new BadArgumentException(FormattableString.Invariant($"With these arguments the address has {address.Length} characters; {LongestAddress} are the limit."));
            return request;
        }
        catch
        {
            request.Dispose();
            throw;
        }
    }

    // What the manifest gives comes last and replaces whatever stands there.
    private static void AddOwn(HttpRequestMessage request, ToolManifest manifest, ApiOperation operation, StringBuilder query, List<string> cookies)
    {
        request.Headers.TryAddWithoutValidation("Accept", operation.Accept);
        request.Headers.TryAddWithoutValidation("User-Agent", UserAgent);
        foreach (var (name, value) in manifest.Headers)
        {
            Set(request, name, value);
        }
        foreach (var credential in operation.Credentials)
        {
            switch (credential.Place)
            {
                case ParameterPlace.Query:
                    query.Append(query.Length == 0 ? "" : "&").Append(ParameterText.Encode(credential.Name)).Append('=').Append(ParameterText.Encode(credential.Value));
                    break;
                case ParameterPlace.Cookie:
                    cookies.Add($"{credential.Name}={ParameterText.Encode(credential.Value)}");
                    break;
                default:
                    Set(request, credential.Name, credential.Value);
                    break;
            }
        }
        if (cookies.Count > 0)
        {
            Set(request, "Cookie", string.Join("; ", cookies.Prepend(manifest.Headers.GetValueOrDefault("Cookie", "")).Where(cookie => cookie.Length > 0)));
        }
    }

    private static readonly string UserAgent = $"agent-gateway/{typeof(RequestBuilder).Assembly.GetName().Version?.ToString(3) ?? "0.0.0"}";

    private static void Set(HttpRequestMessage request, string name, string value)
    {
        request.Headers.Remove(name);
        if (!request.Headers.TryAddWithoutValidation(name, value) && request.Content is { } content)
        {
            content.Headers.Remove(name);
            content.Headers.TryAddWithoutValidation(name, value);
        }
    }

    private static string PathOf(ApiOperation operation, IReadOnlyDictionary<string, JsonElement> given)
    {
        var path = new StringBuilder();
        ApiParameter? last = null;
        foreach (var part in operation.Path)
        {
            if (!part.IsParameter)
            {
                path.Append(part.Text);
                continue;
            }
            last = operation.Parameters.First(parameter => parameter.Place == ParameterPlace.Path && parameter.Name == part.Text);
            path.Append(ParameterText.Path(last, given[last.Argument.Name]));
        }
        var text = path.ToString();
        // Encoded dots lead elsewhere too, so they cannot be sent at all.
        return last is not null && text.Split('/').Any(PathTemplate.IsDots)
            ? throw new BadArgumentException($"The argument '{last.Argument.Name}' must not be '.' or '..': it would lead to another path.") : text;
    }
}
