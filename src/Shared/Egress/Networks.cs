using System.Net;

namespace Shared.Egress;

/// <summary>Reads addresses and networks as people write them.</summary>
internal static class Networks
{
    /// <summary>Reads <c>10.0.0.0/8</c> or a single address.</summary>
    /// <param name="text">The text.</param>
    /// <param name="network">The network; of one address, where no length is given.</param>
    /// <param name="problem">What is wrong with a text that is meant to be one; null where it may be something else, such as a name.</param>
    public static bool TryParse(string text, out IPNetwork network, out string? problem)
    {
        problem = null;
        if (text.Contains('/', StringComparison.Ordinal))
        {
            var written = IPAddress.TryParse(text[..text.IndexOf('/', StringComparison.Ordinal)], out var start);
            // The parser clears bits beyond the length, but who wrote them meant something else.
            if (IPNetwork.TryParse(text, out network) && network.BaseAddress.Equals(start))
            {
                return true;
            }
            problem = written
                ? $"'{text}' is no network: bits beyond its length are set, or the length is out of range"
                : $"'{text}' is no network; one is written like 10.0.0.0/8 or fd00::/8";
            return false;
        }
        // Four numbers only: the parser would take 10.1 as an address too.
        if (IPAddress.TryParse(text, out var address) && (text.Contains(':', StringComparison.Ordinal) || text.Count(c => c == '.') == 3))
        {
            address = address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : new IPAddress(address.GetAddressBytes());
            network = new IPNetwork(address, address.GetAddressBytes().Length * 8);
            return true;
        }
        network = default;
        return false;
    }
}
