using LlmProxy.Dialects;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>Traffic as rows of theories: by dialect and name, so that each file is a test of its own.</summary>
public static class TrafficRows
{
    public static TheoryData<string, string> Streams => Rows(traffic => traffic.Kind == TrafficKind.Stream);

    public static TheoryData<string, string> Completes => Rows(traffic => traffic.Kind == TrafficKind.Complete);

    public static TheoryData<string, string> Errors => Rows(traffic => traffic.Kind == TrafficKind.Error);

    public static TheoryData<string, string> Requests => Rows(traffic => traffic.Kind == TrafficKind.Request);

    public static TheoryData<string, string> CutStreams => Rows(traffic => traffic.IsCut);

    public static TheoryData<string, string> FailingStreams => Rows(traffic => traffic.Fails);

    internal static Dialect DialectOf(string id) => KnownDialects.Find(id) ?? throw new ArgumentException($"There is no dialect '{id}'.", nameof(id));

    private static TheoryData<string, string> Rows(Func<RecordedTraffic, bool> which)
    {
        var rows = new TheoryData<string, string>();
        foreach (var traffic in RecordedTraffic.All)
        {
            if (which(traffic) && KnownDialects.Find(traffic.Dialect) is not null)
            {
                rows.Add(traffic.Dialect, traffic.Name);
            }
        }
        return rows;
    }
}
