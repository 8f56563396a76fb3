using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Shared.Http;

/// <summary>Finds the one credential of a request.</summary>
internal static class Credential
{
    private const string Bearer = "Bearer ";
    private const string AwsSignature = "AWS4-HMAC-SHA256 ";
    private const string AwsCredential = "Credential=";
    private const string Accepted = "'Authorization: Bearer <key>' (or 'x-api-key', 'api-key', 'x-goog-api-key')";

    /// <summary>The start of a WebSocket subprotocol that holds a credential.</summary>
    public const string SubprotocolStart = "openai-insecure-api-key.";

    private static readonly string[] Headers = ["Authorization", "x-api-key", "api-key", "x-goog-api-key"];

    /// <summary>No credential was sent.</summary>
    public static GatewayError Missing { get; } = Refused("missing_api_key", $"No API key was sent. Send one as {Accepted}.");

    private static GatewayError WrongScheme { get; } = Refused("invalid_api_key", $"The 'Authorization' header is not of the form 'Bearer <key>'. Send the key as {Accepted}.");

    private static GatewayError Several { get; } = Refused("ambiguous_api_key", $"Different API keys were sent in several headers. Send exactly one, as {Accepted}.");

    /// <summary>The credential, or what is wrong. The same value in several headers is one credential.</summary>
    public static GatewayError? Find(IHeaderDictionary headers, out string credential) => Find(headers, default, out credential);

    /// <summary>The credential, or what is wrong. The same value in several places is one credential.</summary>
    /// <param name="headers">The request's headers.</param>
    /// <param name="others">What else was sent as a credential.</param>
    /// <param name="credential">The credential.</param>
    public static GatewayError? Find(IHeaderDictionary headers, StringValues others, out string credential)
    {
        credential = "";
        string? found = null;
        string? signedWith = null;
        if (!Take(others, ref found))
        {
            return Several;
        }
        foreach (var value in headers.Authorization)
        {
            if (value is not null && value.StartsWith(AwsSignature, StringComparison.Ordinal))
            {
                signedWith ??= AccessKeyOf(value);
                continue;
            }
            if (value is null || !value.StartsWith(Bearer, StringComparison.OrdinalIgnoreCase))
            {
                return WrongScheme;
            }
            if (!Take(value[Bearer.Length..].Trim(), ref found))
            {
                return Several;
            }
        }
        if (!Take(headers["x-api-key"], ref found) || !Take(headers["api-key"], ref found) || !Take(headers["x-goog-api-key"], ref found))
        {
            return Several;
        }
        foreach (var value in headers.SecWebSocketProtocol)
        {
            if (!TakeSubprotocols(value, ref found))
            {
                return Several;
            }
        }
        // AWS's SDKs sign whatever they send, also where the key stands beside the signature.
        credential = found ?? signedWith ?? "";
        return credential.Length > 0 ? null : signedWith is null ? Missing : WrongScheme;
    }

    /// <summary>Takes a credential out of the query, so that neither a log nor an upstream sees it there.</summary>
    public static StringValues TakeFromQuery(HttpRequest request, string? parameter)
    {
        if (parameter is null || !request.QueryString.HasValue || !request.Query.TryGetValue(parameter, out var values))
        {
            return default;
        }
        request.QueryString = QueryString.Create(request.Query.Where(pair => !pair.Key.Equals(parameter, StringComparison.OrdinalIgnoreCase)));
        return values;
    }

    /// <summary>Whether a header is one that the credential can stand in.</summary>
    public static bool IsHeader(string name) => Headers.Contains(name, StringComparer.OrdinalIgnoreCase);

    /// <summary>An error of status 401.</summary>
    public static GatewayError Refused(string code, string message) => new(StatusCodes.Status401Unauthorized, code, message);

    /// <summary>A page cannot set headers on a WebSocket, only subprotocols: OpenAI's client for browsers puts the key there.</summary>
    private static bool TakeSubprotocols(string? value, ref string? found)
    {
        if (value is null || !value.Contains(SubprotocolStart, StringComparison.Ordinal))
        {
            return true;
        }
        foreach (var protocol in value.Split(',', StringSplitOptions.TrimEntries))
        {
            if (protocol.StartsWith(SubprotocolStart, StringComparison.Ordinal) && !Take(protocol[SubprotocolStart.Length..], ref found))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>
    /// The id of the access key that a request is signed with (AWS Signature Version 4): AWS's SDKs that cannot send a token carry the whole key there. It is the credential; the
    /// signature proves nothing more, as the gateway keeps no secret that it could be checked with.
    /// </summary>
    private static string AccessKeyOf(string value)
    {
        var start = value.IndexOf(AwsCredential, StringComparison.Ordinal);
        var id = start < 0 ? "" : value[(start + AwsCredential.Length)..];
        var end = id.IndexOf('/', StringComparison.Ordinal);
        return end < 0 ? "" : id[..end];
    }

    private static bool Take(StringValues values, ref string? found)
    {
        foreach (var value in values)
        {
            if (!Take(value ?? "", ref found))
            {
                return false;
            }
        }
        return true;
    }

    private static bool Take(string value, ref string? found)
    {
        if (found is not null)
        {
            return found == value;
        }
        found = value;
        return true;
    }
}
