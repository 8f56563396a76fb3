using System.Collections.Concurrent;
using System.Net;
using System.Net.Sockets;
using Shared.Http;

namespace Gateway.SignIn;

/// <summary>What strangers may do, for each of whom there are limits.</summary>
internal enum StrangerAct
{
    /// <summary>Begin or go on with a sign-in.</summary>
    Authorize,

    /// <summary>Ask for a token.</summary>
    Token,

    /// <summary>Register a client.</summary>
    Register,
}

/// <summary>Limits what an address may do in a minute, so that nobody who has not signed in yet can keep the gateway or the provider busy.</summary>
internal sealed class SignInRates(TimeProvider clock)
{
    /// <summary>Addresses that are counted in one minute; beyond it those that are not yet known share one count.</summary>
    public const int MostAddresses = 20_000;

    private volatile Minute current = new(0);

    /// <summary>The most of an act in one minute from one address. Many people may share an address, as those of a hosted client do.</summary>
    public static int LimitOf(StrangerAct act) => act switch
    {
        StrangerAct.Token => 600,
        StrangerAct.Register => 60,
        _ => 240,
    };

    /// <summary>Counts an act. False: it is one too many.</summary>
    public bool TryTake(HttpContext context, StrangerAct act)
    {
        var number = clock.GetUtcNow().ToUnixTimeSeconds() / 60;
        var minute = current;
        if (minute.Number != number)
        {
            current = minute = new Minute(number);
        }
        var key = (act, minute.Counts.Count >= MostAddresses ? "" : NameOf(Perimeter.ClientAddressOf(context)));
        return minute.Counts.AddOrUpdate(key, 1, static (_, count) => count + 1) <= LimitOf(act);
    }

    // Whoever has one address of IPv6 has all of its network.
    private static string NameOf(IPAddress? address) => address switch
    {
        null => "",
        { AddressFamily: AddressFamily.InterNetworkV6 } => Convert.ToHexString(address.GetAddressBytes().AsSpan(0, 8)),
        _ => address.ToString(),
    };

    private sealed record Minute(long Number)
    {
        public ConcurrentDictionary<(StrangerAct, string), int> Counts { get; } = new();
    }
}
