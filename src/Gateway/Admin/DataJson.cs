using System.Security.Claims;
using System.Text.Json;
using Shared.Http;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary>What the answers about data have in common.</summary>
internal static class DataJson
{
    public static void WriteMoment(Utf8JsonWriter json, string name, DateTimeOffset? moment)
    {
        if (moment is { } known)
        {
            json.WriteString(name, known.UtcDateTime);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    public static decimal? Milliseconds(TimeSpan? duration) => duration is { } known ? (decimal)known.Ticks / TimeSpan.TicksPerMillisecond : null;

    public static void WriteMilliseconds(Utf8JsonWriter json, string name, TimeSpan? duration)
    {
        if (Milliseconds(duration) is { } number)
        {
            json.WriteNumber(name, number);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    /// <summary>Who sends the request, for the audit.</summary>
    public static ChangedBy ByOf(HttpContext context) => new(context.User.FindFirstValue(ClaimTypes.NameIdentifier)!, GatewayRequest.Of(context).RequestId);

    /// <summary>A value of the path.</summary>
    public static string Route(HttpContext context, string name) => (string)context.Request.RouteValues[name]!;
}
