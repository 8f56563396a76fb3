using System.Net;

namespace Gateway.Hosting;

/// <summary>The gateway may not listen where it was asked to. The message is for people.</summary>
internal sealed class ListenAddressException(string message) : Exception(message);

/// <summary>The addresses that the gateway listens on, checked.</summary>
internal sealed class ListenAddresses
{
    public const string Default = "http://127.0.0.1:8080";

    private ListenAddresses(IReadOnlyList<string> all, bool isLoopback) => (All, IsLoopback) = (all, isLoopback);

    /// <summary>All addresses.</summary>
    public IReadOnlyList<string> All { get; }

    /// <summary>Whether only this machine reaches them.</summary>
    public bool IsLoopback { get; }

    /// <summary>Takes a list apart and checks it.</summary>
    /// <param name="urls">Addresses separated by semicolons.</param>
    /// <param name="allowRemote">Whether addresses beyond this machine may be listened on.</param>
    /// <exception cref="ListenAddressException">One of them cannot or must not be listened on.</exception>
    public static ListenAddresses Parse(string urls, bool allowRemote)
    {
        var all = urls.Split(';', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
        if (all.Length == 0)
        {
            throw new ListenAddressException("There is no address to listen on; give one like http://127.0.0.1:8080.");
        }
        var isLoopback = true;
        foreach (var url in all)
        {
            var address = ParseOne(url);
            if (IsLocal(address))
            {
                continue;
            }
            if (!allowRemote)
            {
                throw new ListenAddressException($"'{url}' is reachable from other machines, and keys would cross the network unencrypted; put a TLS proxy in front and start with --allow-remote, or listen on 127.0.0.1.");
            }
            isLoopback = false;
        }
        return new ListenAddresses(all, isLoopback);
    }

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
        return string.Equals(address.Scheme, Uri.UriSchemeHttp, StringComparison.OrdinalIgnoreCase) ? address
            : throw new ListenAddressException($"'{url}': only http:// can be listened on; put a TLS proxy in front for https.");
    }

    private static bool IsLocal(BindingAddress address) =>
        address.IsUnixPipe || address.IsNamedPipe || string.Equals(address.Host, "localhost", StringComparison.OrdinalIgnoreCase)
        || (IPAddress.TryParse(address.Host, out var ip) && IPAddress.IsLoopback(ip));
}
