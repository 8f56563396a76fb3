namespace Shared.Egress;

/// <summary>
/// The egress policy refused a connection. The message names the host and its address, for the log; a caller is shown <see cref="ForCallers"/>. An HTTP
/// client wraps it in an <see cref="HttpRequestException"/>: <see cref="Causes"/> finds it there.
/// </summary>
public sealed class EgressRefusedException(string message) : IOException(message)
{
    /// <summary>The reason code for callers, the ledger and metrics.</summary>
    public const string Code = "upstream_refused_by_policy";

    /// <summary>What callers may know.</summary>
    public const string ForCallers = "the gateway's egress policy does not allow its address. The gateway's log names it.";

    /// <summary>Whether an exception came of a refusal.</summary>
    public static bool Causes(Exception exception)
    {
        for (var inner = exception; inner is not null; inner = inner.InnerException)
        {
            if (inner is EgressRefusedException)
            {
                return true;
            }
        }
        return false;
    }
}
