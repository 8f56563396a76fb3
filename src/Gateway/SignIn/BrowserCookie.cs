using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;

namespace Gateway.SignIn;

/// <summary>Binds a sign-in to the browser in which it began, so that nobody can have somebody else finish it.</summary>
internal static class BrowserCookie
{
    private const int Length = 43; // 32 bytes in base64url

    public static readonly TimeSpan Lifetime = TimeSpan.FromMinutes(15);

    /// <summary>The hash of the browser's cookie, which it gets where it has none.</summary>
    public static string Ensure(HttpContext context)
    {
        var value = Read(context) ?? Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32));
        context.Response.Cookies.Append(NameIn(context), value, new CookieOptions
        {
            HttpOnly = true,
            Secure = context.Request.IsHttps,
            SameSite = SameSiteMode.Lax, // The provider sends the person back with a link.
            Path = "/",
            MaxAge = Lifetime,
            IsEssential = true,
        });
        return HashOf(value);
    }

    /// <summary>Whether the request is of the browser whose cookie has a hash.</summary>
    public static bool Matches(HttpContext context, string hash) =>
        Read(context) is { } value && CryptographicOperations.FixedTimeEquals(Encoding.ASCII.GetBytes(HashOf(value)), Encoding.ASCII.GetBytes(hash));

    private static string? Read(HttpContext context) => context.Request.Cookies[NameIn(context)] is { Length: Length } value ? value : null;

    private static string NameIn(HttpContext context) => context.Request.IsHttps ? "__Host-gateway-sign-in" : "gateway-sign-in";

    private static string HashOf(string value) => Base64Url.EncodeToString(SHA256.HashData(Encoding.UTF8.GetBytes(value)));
}
