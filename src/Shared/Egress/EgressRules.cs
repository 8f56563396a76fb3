using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Shared.Egress;

/// <summary>Whose word an address is that the gateway is to connect to.</summary>
public enum EgressTrust
{
    /// <summary>That of the machine's operator: a file or the environment. Loopback and private addresses are taken.</summary>
    Operator,

    /// <summary>That of somebody with an admin key, or of a document that was fetched. Only public addresses are taken.</summary>
    Remote,
}

/// <summary>Which addresses the gateway may connect to: <c>egress</c> in <c>gateway.yaml</c>, compiled. Immutable.</summary>
public sealed class EgressRules
{
    private readonly EgressEntries allowed;
    private readonly EgressEntries denied;

    private EgressRules(EgressEntries allowed, EgressEntries denied) => (this.allowed, this.denied) = (allowed, denied);

    /// <summary>Without any exception.</summary>
    public static EgressRules Default { get; } = new(EgressEntries.None, EgressEntries.None);

    /// <summary>Compiles the exceptions.</summary>
    /// <param name="allow">Host names (<c>db.internal</c>, <c>*.internal</c>), addresses and networks that are taken although they would be refused.</param>
    /// <param name="deny">The same, refused whatever else says; these win.</param>
    /// <param name="refuse">Told of an entry that is none of these: the list's name, the entry's index, what is wrong.</param>
    internal static EgressRules Compile(IReadOnlyList<string> allow, IReadOnlyList<string> deny, Action<string, int, string> refuse) =>
        allow.Count == 0 && deny.Count == 0 ? Default
            : new(EgressEntries.Parse(allow, (i, problem) => refuse("allow", i, problem)), EgressEntries.Parse(deny, (i, problem) => refuse("deny", i, problem)));

    /// <summary>
    /// Whether a URL may be used as far as can be told without a look-up: its scheme, that it holds no credentials, its host where that is an address or is
    /// denied by name. What its host resolves to is checked when it is connected to.
    /// </summary>
    /// <param name="url">The URL.</param>
    /// <param name="trust">Whose word it is.</param>
    /// <param name="problem">What is wrong with it, in words for admins.</param>
    public bool Allows(Uri url, EgressTrust trust, [NotNullWhen(false)] out string? problem)
    {
        if (!url.IsAbsoluteUri || (url.Scheme != Uri.UriSchemeHttp && url.Scheme != Uri.UriSchemeHttps))
        {
            problem = "only http:// and https:// are connected to";
        }
        else if (url.UserInfo.Length > 0)
        {
            problem = "an address must not hold credentials; use a header";
        }
        else if (IPAddress.TryParse(url.IdnHost, out var address))
        {
            return Allows(url.IdnHost, address, trust, out problem);
        }
        else if (denied.Hold(url.IdnHost))
        {
            problem = $"'{url.IdnHost}' is denied by egress.deny";
        }
        else if (IsLocalhost(url.IdnHost) && trust != EgressTrust.Operator && !allowed.Hold(url.IdnHost) && !allowed.Hold(IPAddress.Loopback))
        {
            problem = $"'{url.IdnHost}' is this machine, which only a file may name; to take it from elsewhere too, list it under egress.allow";
        }
        else
        {
            problem = null;
        }
        return problem is null;
    }

    /// <summary>Whether a host may be connected to at an address that it resolved to.</summary>
    /// <param name="host">The name, or the address itself as text.</param>
    /// <param name="address">The address.</param>
    /// <param name="trust">Whose word the host is.</param>
    /// <param name="problem">What is wrong with it, in words for admins.</param>
    internal bool Allows(string host, IPAddress address, EgressTrust trust, [NotNullWhen(false)] out string? problem)
    {
        var kind = AddressKinds.Of(address);
        string? found = denied.Hold(host) || denied.Hold(address) ? "is denied by egress.deny"
            : allowed.Hold(address) ? null
            : kind switch
            {
                AddressKind.Public => null,
                // A name is allowed for what it stands for in one's own network; the metadata of a cloud must be meant to be reached.
                AddressKind.Loopback or AddressKind.Private when trust == EgressTrust.Operator || allowed.Hold(host) => null,
                AddressKind.Loopback or AddressKind.Private => $"is {kind.Describe()}, which only a file may name; to take it from elsewhere too, list it under egress.allow",
                AddressKind.LinkLocal => $"is {kind.Describe()}; to connect to it all the same, list the address under egress.allow",
                _ => $"is {kind.Describe()}",
            };
        problem = found is null ? null : host == address.ToString() ? $"'{host}' {found}" : $"'{host}' ({address}) {found}";
        return problem is null;
    }

    private static bool IsLocalhost(string host)
    {
        var name = host.TrimEnd('.');
        return name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || name.EndsWith(".localhost", StringComparison.OrdinalIgnoreCase);
    }
}

/// <summary>Names, addresses and networks of one list.</summary>
internal sealed class EgressEntries
{
    private readonly HostNames names;
    private readonly ImmutableArray<IPNetwork> networks;

    private EgressEntries(HostNames names, ImmutableArray<IPNetwork> networks) => (this.names, this.networks) = (names, networks);

    public static EgressEntries None { get; } = new(HostNames.None, []);

    public static EgressEntries Parse(IReadOnlyList<string> entries, Action<int, string> refuse)
    {
        List<string> names = [];
        List<IPNetwork> networks = [];
        for (var i = 0; i < entries.Count; i++)
        {
            if (Networks.TryParse(entries[i], out var network, out var problem))
            {
                networks.Add(network);
            }
            else if (problem is not null)
            {
                refuse(i, problem);
            }
            else if (HostNames.IsPattern(entries[i]))
            {
                names.Add(entries[i]);
            }
            else
            {
                refuse(i, $"expected a host name such as 'db.internal' or '*.internal', an address, or a network such as 10.0.0.0/8, found '{entries[i]}'");
            }
        }
        return new EgressEntries(HostNames.Of(names), [.. networks]);
    }

    public bool Hold(string host) => names.Hold(host);

    public bool Hold(IPAddress address)
    {
        if (networks.IsEmpty)
        {
            return false;
        }
        var inner = AddressKinds.Inner(address);
        foreach (var network in networks)
        {
            if (network.Contains(inner) || (!ReferenceEquals(inner, address) && network.Contains(address)))
            {
                return true;
            }
        }
        return false;
    }
}
