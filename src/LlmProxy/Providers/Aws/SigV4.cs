using System.Globalization;
using System.Security.Cryptography;
using System.Text;

namespace LlmProxy.Providers.Aws;

/// <summary>An access key of AWS.</summary>
/// <param name="Id">Its id.</param>
/// <param name="Secret">Its secret.</param>
/// <param name="SessionToken">The token of a temporary one; null: it is a lasting one.</param>
internal sealed record AwsAccessKey(string Id, string Secret, string? SessionToken)
{
    /// <summary>A key that was lent.</summary>
    /// <exception cref="CredentialException">Something is missing, or cannot stand in a header.</exception>
    public static Issued<AwsAccessKey> Issue(string? id, string? secret, string? sessionToken, DateTimeOffset end)
    {
        sessionToken = sessionToken is { Length: 0 } ? null : sessionToken;
        return string.IsNullOrEmpty(id) || string.IsNullOrEmpty(secret) || id.AsSpan().ContainsAnyExceptInRange('!', '~') || sessionToken.AsSpan().ContainsAnyExceptInRange('!', '~')
            ? throw new CredentialException("The access key of AWS that was lent is empty, or no key.")
            : new Issued<AwsAccessKey>(new AwsAccessKey(id, secret, sessionToken), end);
    }

    /// <summary>The id alone.</summary>
    public override string ToString() => Id;
}

/// <summary>AWS Signature Version 4 (docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html).</summary>
internal static class SigV4
{
    private const string Algorithm = "AWS4-HMAC-SHA256";

    /// <summary>The value of <c>Authorization</c>.</summary>
    /// <param name="key">The access key.</param>
    /// <param name="region">The region, such as <c>us-east-1</c>.</param>
    /// <param name="service">The service's name in signatures, such as <c>bedrock</c>.</param>
    /// <param name="time">The time that <c>x-amz-date</c> says, UTC.</param>
    /// <param name="method">The HTTP method.</param>
    /// <param name="path">The path as it is sent, percent-encoded; it is encoded once more, as all services but S3 have it.</param>
    /// <param name="query">The query as it is sent, without its question mark.</param>
    /// <param name="headers">The headers that are signed, their names in lower case.</param>
    /// <param name="bodyHash">SHA-256 of the body, hexadecimal.</param>
    public static string Authorization(
        AwsAccessKey key, string region, string service, DateTimeOffset time, string method, string path, string query, IEnumerable<KeyValuePair<string, string>> headers, string bodyHash)
    {
        var sorted = headers.OrderBy(header => header.Key, StringComparer.Ordinal).ToList();
        var names = string.Join(';', sorted.Select(header => header.Key));
        var canonical = new StringBuilder().Append(method).Append('\n').Append(CanonicalPath(path)).Append('\n').Append(CanonicalQuery(query)).Append('\n');
        foreach (var (name, value) in sorted)
        {
            canonical.Append(name).Append(':').AppendJoin(' ', value.Split(' ', StringSplitOptions.RemoveEmptyEntries)).Append('\n');
        }
        canonical.Append('\n').Append(names).Append('\n').Append(bodyHash);
        var date = time.UtcDateTime.ToString("yyyyMMdd", CultureInfo.InvariantCulture);
        var scope = $"{date}/{region}/{service}/aws4_request";
        var toSign = $"{Algorithm}\n{Stamp(time)}\n{scope}\n{Hash(Encoding.UTF8.GetBytes(canonical.ToString()))}";
        var signing = Sign(Sign(Sign(Sign(Encoding.UTF8.GetBytes("AWS4" + key.Secret), date), region), service), "aws4_request");
        return $"{Algorithm} Credential={key.Id}/{scope}, SignedHeaders={names}, Signature={Convert.ToHexStringLower(Sign(signing, toSign))}";
    }

    /// <summary>A time as <c>x-amz-date</c> has it.</summary>
    public static string Stamp(DateTimeOffset time) => time.UtcDateTime.ToString("yyyyMMdd'T'HHmmss'Z'", CultureInfo.InvariantCulture);

    /// <summary>SHA-256, hexadecimal.</summary>
    public static string Hash(ReadOnlySpan<byte> bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Sign(byte[] key, string text) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(text));

    private static string CanonicalPath(string path) => path.Length == 0 ? "/" : string.Join('/', path.Split('/').Select(Uri.EscapeDataString));

    private static string CanonicalQuery(string query)
    {
        var pairs = query.Split('&', StringSplitOptions.RemoveEmptyEntries)
            .Select(pair => pair.Split('=', 2))
            .Select(pair => (Name: Encode(pair[0]), Value: pair.Length > 1 ? Encode(pair[1]) : ""))
            .OrderBy(pair => pair.Name, StringComparer.Ordinal).ThenBy(pair => pair.Value, StringComparer.Ordinal);
        return string.Join('&', pairs.Select(pair => $"{pair.Name}={pair.Value}"));
    }

    private static string Encode(string text) => Uri.EscapeDataString(Uri.UnescapeDataString(text));
}
