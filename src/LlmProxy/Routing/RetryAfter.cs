using System.Globalization;
using System.Net.Http.Headers;

namespace LlmProxy.Routing;

/// <summary>How long an upstream asks to be left alone: <c>retry-after-ms</c>, else <c>retry-after</c> in seconds or as a date.</summary>
internal static class RetryAfter
{
    public static TimeSpan? Of(HttpResponseHeaders headers, DateTimeOffset now)
    {
        if (headers.NonValidated.TryGetValues("retry-after-ms", out var values) && TryNumber(values.ToString(), out var milliseconds))
        {
            return TimeSpan.FromMilliseconds(milliseconds);
        }
        if (!headers.NonValidated.TryGetValues("retry-after", out values))
        {
            return null;
        }
        var text = values.ToString();
        if (TryNumber(text, out var seconds))
        {
            return TimeSpan.FromSeconds(seconds);
        }
        return DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.AssumeUniversal, out var date)
            ? (date > now ? date - now : TimeSpan.Zero)
            : null;
    }

    private static bool TryNumber(string text, out double value) =>
        double.TryParse(text, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out value) && value is >= 0 and < 1e9;
}
