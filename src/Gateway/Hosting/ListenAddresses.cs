using System.Net;

namespace Gateway.Hosting;

/// <summary>The gateway may not listen where it was asked to. The message is for people.</summary>
internal sealed class ListenAddressException(string message) : Exception(message);

/// <summary>The addresses that the gateway listens on, checked.</summary>
internal sealed class ListenAddresses
{
    public const string Default = "http://127.0.0.1:8080";

    private ListenAddresses(IReadOnlyList<BindingAddress> all, bool isLoopback) => (All, IsLoopback) = (all, isLoopback);

    /// <summary>All addresses.</summary>
    public IReadOnlyList<BindingAddress> All { get; }

    /// <summary>Whether only this machine reaches them.</summary>
    public bool IsLoopback { get; }

    /// <summary>Checks a list.</summary>
    /// <param name="urls">Addresses.</param>
    /// <param name="hasCertificate">Whether there is a certificate for <c>https://</c>.</param>
    /// <param name="behindProxy">Whether a proxy that speaks TLS stands in front.</param>
    /// <exception cref="ListenAddressException">One of them cannot or must not be listened on.</exception>
    public static ListenAddresses Parse(IReadOnlyList<string> urls, bool hasCertificate, bool behindProxy)
    {
        if (urls.Count == 0)
        {
            throw new ListenAddressException("There is no address to listen on; give one like http://127.0.0.1:8080.");
        }
        List<BindingAddress> all = [];
        var isLoopback = true;
        foreach (var url in urls)
        {
            var address = ParseOne(url);
            var isTls = IsTls(address);
            if (isTls && !hasCertificate)
            {
                throw new ListenAddressException($"'{url}' needs a certificate: give 'certificate' and 'key' under 'server.tls' in gateway.yaml.");
            }
            if (!IsLocal(address))
            {
                isLoopback = false;
                if (!isTls && !behindProxy)
                {
                    throw new ListenAddressException($"'{url}' is reachable from other machines, and keys would cross the network unencrypted. Listen on https:// with a certificate "
                        + "('server.tls' in gateway.yaml), or, with a proxy in front that speaks TLS, say so ('server.behindProxy: true', or --behind-proxy), or listen on 127.0.0.1.");
                }
            }
            all.Add(address);
        }
        return new ListenAddresses(all, isLoopback);
    }

    /// <summary>Takes a list apart.</summary>
    /// <param name="urls">Addresses separated by semicolons.</param>
    public static string[] Split(string urls) => urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);

    /// <summary>Whether an address is <c>https://</c>.</summary>
    public static bool IsTls(BindingAddress address) => string.Equals(address.Scheme, Uri.UriSchemeHttps, StringComparison.OrdinalIgnoreCase);

    private static BindingAddress ParseOne(string url)
    {
        BindingAddress address;
        try
        {
            address = BindingAddress.Parse(url);
        }
        catch (FormatException)
        {
            throw new ListenAddressException($"'{url}' is not an address to listen on; give one like http://127.0.0.1:8080.");
        }
        if (!IsTls(address) && !string.Equals(address.Scheme, Uri.UriSchemeHttp, StringComparison.OrdinalIgnoreCase))
        {
            throw new ListenAddressException($"'{url}': only http:// and https:// can be listened on.");
        }
        if (address.PathBase.Length > 0)
        {
            throw new ListenAddressException($"'{url}' holds a path; an address to listen on has none.");
        }
        if (address.Port == 0 && IsLocalhost(address))
        {
            throw new ListenAddressException($"'{url}': a port must be given for localhost, which is two addresses; or write 127.0.0.1.");
        }
        return address;
    }

    private static bool IsLocal(BindingAddress address) =>
        address.IsUnixPipe || address.IsNamedPipe || IsLocalhost(address) || (IPAddress.TryParse(address.Host, out var ip) && IPAddress.IsLoopback(ip));

    private static bool IsLocalhost(BindingAddress address) => string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase);
}
