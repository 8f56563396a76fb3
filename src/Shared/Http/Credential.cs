using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Primitives;

namespace Shared.Http;

/// <summary>Finds the one credential of a request.</summary>
internal static class Credential
{
    private const string Bearer = "Bearer ";
    private const string Accepted = "'Authorization: Bearer <key>' (or 'x-api-key', 'api-key', 'x-goog-api-key')";

    /// <summary>No credential was sent.</summary>
    public static GatewayError Missing { get; } = Refused("missing_api_key", $"No API key was sent. Send one as {Accepted}.");

    private static GatewayError WrongScheme { get; } = Refused("invalid_api_key", $"The 'Authorization' header is not of the form 'Bearer <key>'. Send the key as {Accepted}.");

    private static GatewayError Several { get; } = Refused("ambiguous_api_key", $"Different API keys were sent in several headers. Send exactly one, as {Accepted}.");

    /// <summary>The credential, or what is wrong. The same value in several headers is one credential.</summary>
    public static GatewayError? Find(IHeaderDictionary headers, out string credential)
    {
        credential = "";
        string? found = null;
        foreach (var value in headers.Authorization)
        {
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
        credential = found ?? "";
        return credential.Length == 0 ? Missing : null;
    }

    /// <summary>An error of status 401.</summary>
    public static GatewayError Refused(string code, string message) => new(StatusCodes.Status401Unauthorized, code, message);

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
