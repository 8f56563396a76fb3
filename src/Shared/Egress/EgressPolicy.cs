using System.Net;
using System.Net.Sockets;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.DependencyInjection.Extensions;
using Microsoft.Extensions.Logging;
using Shared.Snapshots;

namespace Shared.Egress;

/// <summary>Finds a host's addresses.</summary>
/// <param name="host">The name.</param>
/// <param name="cancellationToken">Stops the look-up.</param>
public delegate Task<IPAddress[]> HostResolver(string host, CancellationToken cancellationToken);

/// <summary>
/// Makes the handlers by which everything in the gateway connects to others. Each new connection looks its host up once, checks every address against the
/// <see cref="EgressRules"/> of the current snapshot, and connects to one that was checked, so that a name which changes its address between check and
/// use gains nothing. Connections that are open are used again without a check.
/// </summary>
/// <param name="snapshots">Holds the rules.</param>
/// <param name="resolve">Looks names up.</param>
/// <param name="logger">Receives each refusal, with host and address.</param>
public sealed class EgressPolicy(SnapshotStore snapshots, HostResolver resolve, ILogger<EgressPolicy> logger)
{
    /// <summary>
    /// A handler that follows no redirect, keeps no cookie, uses no proxy, decodes nothing and adds no trace headers; limits and lifetimes are the
    /// caller's to set. Do not share one between what the operator named and what came in from elsewhere: open connections are used again by whoever asks
    /// for the same host.
    /// </summary>
    /// <param name="user">What connects, for the log: <c>provider 'x'</c>.</param>
    /// <param name="trust">Whose word the addresses are.</param>
    public SocketsHttpHandler NewHandler(string user, EgressTrust trust) => new()
    {
        AllowAutoRedirect = false,
        UseCookies = false,
        UseProxy = false,
        AutomaticDecompression = DecompressionMethods.None,
        ActivityHeadersPropagator = null,
        ConnectCallback = (context, cancellationToken) => ConnectAsync(user, trust, context.DnsEndPoint, cancellationToken),
    };

    private async ValueTask<Stream> ConnectAsync(string user, EgressTrust trust, DnsEndPoint target, CancellationToken cancellationToken)
    {
        var rules = snapshots.HasCurrent ? snapshots.Current.Settings.Egress : EgressRules.Default;
        var found = IPAddress.TryParse(target.Host, out var literal) ? [literal] : await resolve(target.Host, cancellationToken);
        var addresses = new List<IPAddress>(found.Length);
        string? refused = null;
        foreach (var address in found)
        {
            if (rules.Allows(target.Host, address, trust, out var problem))
            {
                addresses.Add(address);
            }
            else
            {
                refused ??= problem;
            }
        }
        // One bad address among good ones is a trap where the name is a stranger's; where it is the operator's own it is a leftover of /etc/hosts.
        if (refused is not null && (addresses.Count == 0 || trust != EgressTrust.Operator))
        {
            logger.Refused(user, refused);
            throw new EgressRefusedException(refused);
        }
        return await ConnectAsync(addresses, target, cancellationToken);
    }

    private static async Task<Stream> ConnectAsync(List<IPAddress> addresses, DnsEndPoint target, CancellationToken cancellationToken)
    {
        SocketException? failure = null;
        foreach (var address in addresses)
        {
            var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
            try
            {
                await socket.ConnectAsync(new IPEndPoint(address, target.Port), cancellationToken);
                return new NetworkStream(socket, ownsSocket: true);
            }
            catch (SocketException exception)
            {
                socket.Dispose();
                failure = exception;
            }
            catch
            {
                socket.Dispose();
                throw;
            }
        }
        throw failure ?? new SocketException((int)SocketError.HostNotFound);
    }
}

/// <summary>Registration of the egress policy.</summary>
public static class EgressFeature
{
    /// <summary>Adds the <see cref="EgressPolicy"/>. Needs a <see cref="SnapshotStore"/>. A <see cref="HostResolver"/> that is registered before is used.</summary>
    public static IServiceCollection AddEgress(this IServiceCollection services)
    {
        services.TryAddSingleton<HostResolver>(Dns.GetHostAddressesAsync);
        services.TryAddSingleton<EgressPolicy>();
        return services;
    }
}

internal static partial class EgressLog
{
    [LoggerMessage(LogLevel.Warning, "Did not connect {User}: {Problem}.")]
    public static partial void Refused(this ILogger logger, string user, string problem);
}
