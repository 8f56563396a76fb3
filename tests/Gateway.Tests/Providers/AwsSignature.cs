using System.Security.Cryptography;
using System.Text;
using TestSupport;

namespace Gateway.Tests.Providers;

/// <summary>The part of AWS that checks signatures.</summary>
internal static class AwsSignature
{
    /// <summary>The signature that AWS would work out from what it received.</summary>
    public static string Of(FakeApiRequest request, string secret)
    {
        var authorization = request.Headers["Authorization"];
        var scope = authorization.Split("Credential=")[1].Split(',')[0].Split('/', 2)[1];
        var names = authorization.Split("SignedHeaders=")[1].Split(',')[0];
        var target = new Uri("http://h" + request.Target);
        var path = string.Join('/', target.AbsolutePath.Split('/').Select(Uri.EscapeDataString));
        var query = string.Join('&', target.Query.TrimStart('?').Split('&', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        var headers = string.Concat(names.Split(';').Select(name => $"{name}:{request.Headers[name]}\n"));
        var canonical = $"{request.Method}\n{path}\n{query}\n{headers}\n{names}\n{Hex(SHA256.HashData(request.Body))}";
        var toSign = $"AWS4-HMAC-SHA256\n{request.Headers["x-amz-date"]}\n{scope}\n{Hex(SHA256.HashData(Encoding.UTF8.GetBytes(canonical)))}";
        var key = scope.Split('/').Aggregate(Encoding.UTF8.GetBytes("AWS4" + secret), (key, part) => HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(part)));
        return Hex(HMACSHA256.HashData(key, Encoding.UTF8.GetBytes(toSign)));

        static string Hex(byte[] bytes) => Convert.ToHexStringLower(bytes);
    }

    /// <summary>The id of the key that a request was signed with, its signature checked.</summary>
    public static string KeyOf(FakeApiRequest request, string secret)
    {
        var authorization = request.Headers["Authorization"];
        Assert.Equal(Of(request, secret), authorization.Split("Signature=")[1]);
        return authorization.Split("Credential=")[1].Split('/')[0];
    }
}
