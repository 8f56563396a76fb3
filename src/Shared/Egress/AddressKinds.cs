using System.Net;
using System.Net.Sockets;

namespace Shared.Egress;

/// <summary>What an address leads to, as far as the egress policy cares.</summary>
internal enum AddressKind
{
    /// <summary>The internet.</summary>
    Public,

    /// <summary>This machine.</summary>
    Loopback,

    /// <summary>A network of one's own: RFC 1918, RFC 4193 (unique local), RFC 6598 (shared by carriers), RFC 2544 (used by local proxies), site-local.</summary>
    Private,

    /// <summary>The link, where the metadata services of clouds answer as well; with those that answer elsewhere.</summary>
    LinkLocal,

    /// <summary>What no server has: unspecified, multicast, broadcast, documentation, reserved.</summary>
    Unusable,
}

/// <summary>Tells addresses apart, by the registries of special-purpose addresses at IANA (RFC 6890).</summary>
internal static class AddressKinds
{
    // In order: the first network that holds an address decides.
    private static readonly (IPNetwork Network, AddressKind Kind)[] V4 =
    [
        Of("127.0.0.0/8", AddressKind.Loopback),
        Of("169.254.0.0/16", AddressKind.LinkLocal),
        Of("100.100.100.200/32", AddressKind.LinkLocal), // metadata of Alibaba Cloud
        Of("168.63.129.16/32", AddressKind.LinkLocal), // platform service of Azure
        Of("192.0.0.192/32", AddressKind.LinkLocal), // metadata of Oracle Cloud
        Of("10.0.0.0/8", AddressKind.Private),
        Of("172.16.0.0/12", AddressKind.Private),
        Of("192.168.0.0/16", AddressKind.Private),
        Of("100.64.0.0/10", AddressKind.Private),
        Of("198.18.0.0/15", AddressKind.Private),
        Of("0.0.0.0/8", AddressKind.Unusable),
        Of("192.0.0.0/24", AddressKind.Unusable),
        Of("192.0.2.0/24", AddressKind.Unusable),
        Of("192.88.99.0/24", AddressKind.Unusable),
        Of("198.51.100.0/24", AddressKind.Unusable),
        Of("203.0.113.0/24", AddressKind.Unusable),
        Of("224.0.0.0/4", AddressKind.Unusable),
        Of("240.0.0.0/4", AddressKind.Unusable),
    ];

    private static readonly (IPNetwork Network, AddressKind Kind)[] V6 =
    [
        Of("::1/128", AddressKind.Loopback),
        Of("fe80::/10", AddressKind.LinkLocal),
        Of("fd00:ec2::/32", AddressKind.LinkLocal), // metadata of Amazon
        Of("fd20:ce::254/128", AddressKind.LinkLocal), // metadata of Google
        Of("fc00::/7", AddressKind.Private),
        Of("fec0::/10", AddressKind.Private),
        Of("64:ff9b:1::/48", AddressKind.Private), // translation within a network of one's own
        Of("2001:db8::/32", AddressKind.Unusable),
        Of("3fff::/20", AddressKind.Unusable),
        Of("2001::/23", AddressKind.Unusable), // Teredo, ORCHID, benchmarking
        Of("2000::/3", AddressKind.Public),
        Of("::/0", AddressKind.Unusable), // of all the rest nothing is assigned
    ];

    /// <summary>What an address leads to. An IPv6 address that carries an IPv4 address leads where that one leads.</summary>
    public static AddressKind Of(IPAddress address)
    {
        address = Inner(address);
        foreach (var (network, kind) in address.AddressFamily == AddressFamily.InterNetwork ? V4 : V6)
        {
            if (network.Contains(address))
            {
                return kind;
            }
        }
        return AddressKind.Public;
    }

    /// <summary>The IPv4 address that an IPv6 address carries: mapped, compatible, 6to4, NAT64 or ISATAP; any other address as it is, without its scope.</summary>
    public static IPAddress Inner(IPAddress address)
    {
        if (address.AddressFamily != AddressFamily.InterNetworkV6)
        {
            return address;
        }
        Span<byte> bytes = stackalloc byte[16];
        address.TryWriteBytes(bytes, out _);
        if (address.IsIPv4MappedToIPv6)
        {
            return new IPAddress(bytes[12..]);
        }
        if (bytes[..12].IndexOfAnyExcept((byte)0) < 0 && bytes[12..].IndexOfAnyExcept((byte)0) is 0 or 1 or 2)
        {
            return new IPAddress(bytes[12..]); // ::a.b.c.d; not :: and not ::1
        }
        if (bytes is [0x20, 0x02, ..])
        {
            return new IPAddress(bytes[2..6]);
        }
        if (bytes is [0x00, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0, ..])
        {
            return new IPAddress(bytes[12..]);
        }
        if (bytes[8..12] is [0x00 or 0x02, 0x00, 0x5e, 0xfe])
        {
            return new IPAddress(bytes[12..]);
        }
        return new IPAddress(bytes);
    }

    /// <summary>In words, for messages.</summary>
    public static string Describe(this AddressKind kind) => kind switch
    {
        AddressKind.Public => "a public address",
        AddressKind.Loopback => "a loopback address",
        AddressKind.Private => "a private address",
        AddressKind.LinkLocal => "a link-local address or a cloud's metadata service",
        _ => "no address that a server can have",
    };

    private static (IPNetwork Network, AddressKind Kind) Of(string network, AddressKind kind) => (IPNetwork.Parse(network), kind);
}
