using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.HttpOverrides;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Options;
using Shared.Egress;
using Shared.Snapshots;
using IPNetwork = System.Net.IPNetwork;

namespace Shared.Http;

/// <summary>
/// What is asked of a request before anything else: that it was sent to a name of the gateway's, and, where a browser sent it, from a page that may. It
/// also takes the client's address from the proxies that are trusted. Set up once, before the gateway listens; until then only this machine's own names
/// and origins are accepted.
/// </summary>
public sealed class Perimeter
{
    // Everything that the planes and the admin API send for the caller to read.
    private const string Exposed =
        "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After, ETag, Location, x-request-id, x-should-retry, x-upstream-request-id, "
        + "x-gateway-overhead-ms, x-gateway-provider, x-gateway-model, x-gateway-attempts, x-gateway-output-limit, "
        + "x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens";

    private const string Methods = "GET, POST, PUT, PATCH, DELETE";

    private volatile Rules rules = new(new ServerSettings(), isLocal: true);

    /// <summary>Sets it up.</summary>
    /// <param name="settings">The configuration.</param>
    /// <param name="isLocal">Whether only this machine reaches the gateway.</param>
    /// <param name="logging">For what is wrong with forwarded headers; null: not told.</param>
    public void SetUp(ServerSettings settings, bool isLocal, ILoggerFactory? logging = null) => rules = new Rules(settings, isLocal, logging);

    /// <summary>The address of the client: the connection's, or what a trusted proxy said. Null where there is none, as with a Unix socket.</summary>
    public static IPAddress? ClientAddressOf(HttpContext context) =>
        context.Connection.RemoteIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : context.Connection.RemoteIpAddress;

    /// <summary>Takes what a trusted proxy says of the client; what anybody else says is left where it is and believed by nobody.</summary>
    internal void TakeForwarded(HttpContext context) => rules.TakeForwarded?.Invoke(context);

    /// <summary>Why a request is not answered; null: it is.</summary>
    internal GatewayError? Check(HttpContext context)
    {
        var current = rules;
        var host = context.Request.Headers.Host.ToString();
        // No browser leaves the host out; health checks of HTTP/1.0 do.
        if (host.Length > 0 && !current.IsAnyHostTaken && !current.IsOwnHost(host, context))
        {
            return new(StatusCodes.Status421MisdirectedRequest, "host_not_allowed",
                $"The gateway is not called '{Shown(host)}'. Use a name that it has, or list this one under 'server.allowedHosts' in gateway.yaml.") { Field = "Host" };
        }
        var origins = context.Request.Headers.Origin;
        if (origins.Count == 0)
        {
            return null;
        }
        var origin = origins.ToString();
        return current.Origins.Hold(origin) || current.Cors.Hold(origin) || current.IsOwnOrigin(origin, host, context) ? null
            : new(StatusCodes.Status403Forbidden, "origin_not_allowed",
                $"Pages of '{Shown(origin)}' may not call the gateway. To let them, list the origin under 'server.cors.origins' in gateway.yaml.") { Field = "Origin" };
    }

    /// <summary>
    /// Whether a request was sent to an address that is known to be the gateway's: to a name of its own and not to any that leads here, and to the port that
    /// the connection came in by. Behind a proxy the port must be the usual one, as nobody tells the gateway of another.
    /// </summary>
    internal bool IsOwnAddress(HttpContext context)
    {
        var current = rules;
        var port = context.Request.Host.Port ?? (context.Request.IsHttps ? 443 : 80);
        return context.Request.Headers.Host.ToString() is { Length: > 0 } host && current.IsOwnHost(host, context)
            && (port == context.Connection.LocalPort || (current.TakeForwarded is not null && port == (context.Request.IsHttps ? 443 : 80)));
    }

    /// <summary>Whether the request only asks what a page may do; the answer is then complete.</summary>
    internal bool AnswersPreflight(HttpContext context)
    {
        var request = context.Request.Headers;
        if (!HttpMethods.IsOptions(context.Request.Method) || request.Origin.Count == 0 || request.AccessControlRequestMethod.Count == 0 || !rules.Cors.Hold(request.Origin.ToString()))
        {
            return false;
        }
        var answer = context.Response.Headers;
        answer.AccessControlAllowMethods = Methods;
        if (request.AccessControlRequestHeaders.Count > 0)
        {
            // The page is trusted with a key; which headers it sends is its own affair. What the server let through holds no line break.
            answer.AccessControlAllowHeaders = request.AccessControlRequestHeaders;
        }
        if (request["Access-Control-Request-Private-Network"] == "true")
        {
            answer["Access-Control-Allow-Private-Network"] = "true";
        }
        answer.AccessControlMaxAge = rules.CorsMaxAge;
        answer.Append("Vary", "Access-Control-Request-Headers");
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return true;
    }

    /// <summary>Tells the browser that a listed page may read the answer.</summary>
    internal void AddCorsHeaders(HttpContext context)
    {
        var current = rules;
        if (!current.HasCors)
        {
            return;
        }
        var headers = context.Response.Headers;
        headers.Append("Vary", "Origin");
        if (context.Request.Headers.Origin is { Count: 1 } origin && current.Cors.Hold(origin.ToString()))
        {
            headers.AccessControlAllowOrigin = origin;
            headers.AccessControlExposeHeaders = Exposed;
        }
    }

    private static string Shown(string text)
    {
        const int Longest = 100;
        return text.Length > Longest ? text[..Longest] + "…" : text;
    }

    private sealed class Rules
    {
        private readonly HostNames names;
        private readonly HashSet<IPAddress> addresses = [];

        public Rules(ServerSettings settings, bool isLocal, ILoggerFactory? logging = null)
        {
            names = HostNames.Of([.. settings.AllowedHosts.Append(settings.PublicHost ?? "localhost").Where(HostNames.IsPattern)]);
            foreach (var host in settings.AllowedHosts)
            {
                if (IPAddress.TryParse(host.Trim('[', ']'), out var address))
                {
                    addresses.Add(address);
                }
            }
            IsAnyHostTaken = !isLocal && settings.AllowedHosts.IsEmpty;
            Origins = new OriginList(settings.AllowedOrigins);
            Cors = new OriginList(settings.CorsOrigins);
            HasCors = !settings.CorsOrigins.IsEmpty;
            CorsMaxAge = ((int)settings.CorsMaxAge.TotalSeconds).ToString(System.Globalization.CultureInfo.InvariantCulture);
            TakeForwarded = settings.BehindProxy ? NewForwarded(settings, logging) : null;
        }

        /// <summary>Whether nobody said what the gateway is called, and others than this machine reach it.</summary>
        public bool IsAnyHostTaken { get; }

        public OriginList Origins { get; }

        public OriginList Cors { get; }

        public bool HasCors { get; }

        public string CorsMaxAge { get; }

        /// <summary>A delegate, so that the library behind it is loaded only where it is needed.</summary>
        public Action<HttpContext>? TakeForwarded { get; }

        public bool IsOwnHost(ReadOnlySpan<char> host, HttpContext context)
        {
            var name = WithoutPort(host);
            if (name is "127.0.0.1" or "localhost" or "[::1]")
            {
                return true;
            }
            if (name.Equals("localhost", StringComparison.OrdinalIgnoreCase) || names.Hold(name))
            {
                return true;
            }
            // A page can make a name lead here, but not an address: the one that the connection came in by is as good as a name that is listed.
            return IPAddress.TryParse(name.Trim("[]"), out var address) && (IPAddress.IsLoopback(address) || addresses.Contains(address) || address.Equals(Local(context)));
        }

        /// <summary>Whether a page comes from the gateway itself. Its word for the host counts only where the host is known to be the gateway's.</summary>
        public bool IsOwnOrigin(string origin, string host, HttpContext context)
        {
            var scheme = context.Request.Scheme;
            return origin.Length == scheme.Length + 3 + host.Length && origin.StartsWith(scheme, StringComparison.OrdinalIgnoreCase)
                && origin.AsSpan(scheme.Length, 3).SequenceEqual("://") && origin.EndsWith(host, StringComparison.OrdinalIgnoreCase) && IsOwnHost(host, context);
        }

        private static IPAddress? Local(HttpContext context) =>
            context.Connection.LocalIpAddress is { IsIPv4MappedToIPv6: true } mapped ? mapped.MapToIPv4() : context.Connection.LocalIpAddress;

        private static ReadOnlySpan<char> WithoutPort(ReadOnlySpan<char> host)
        {
            var colon = host.LastIndexOf(':');
            return colon > host.LastIndexOf(']') ? host[..colon] : host;
        }

        private static Action<HttpContext> NewForwarded(ServerSettings settings, ILoggerFactory? logging)
        {
            var options = new ForwardedHeadersOptions
            {
                ForwardedHeaders = ForwardedHeaders.XForwardedFor | ForwardedHeaders.XForwardedProto | ForwardedHeaders.XForwardedHost,
                ForwardLimit = null, // each hop must be a trusted proxy's, so the list ends where trust does
            };
            // Where both lists are empty everybody is trusted, so there is always an entry.
            options.KnownProxies.Clear();
            options.KnownIPNetworks.Clear();
            foreach (var network in settings.TrustedProxies.IsEmpty ? [IPNetwork.Parse("127.0.0.0/8"), IPNetwork.Parse("::1/128")] : settings.TrustedProxies)
            {
                options.KnownIPNetworks.Add(network);
                if (network.BaseAddress.AddressFamily == AddressFamily.InterNetwork)
                {
                    // A socket of both families reports IPv4 clients in this form.
                    options.KnownIPNetworks.Add(new IPNetwork(network.BaseAddress.MapToIPv6(), network.PrefixLength + 96));
                }
            }
            return new ForwardedHeadersMiddleware(_ => Task.CompletedTask, logging ?? NullLoggerFactory.Instance, Options.Create(options)).ApplyForwarders;
        }
    }
}
