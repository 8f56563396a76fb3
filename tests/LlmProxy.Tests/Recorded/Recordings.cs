using LlmProxy.Relay;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>What is to be known of recordings whose names do not say it.</summary>
internal static class Recordings
{
    /// <summary>
    /// Whether a recorded stream is of no use to a comparison of formats: two messages run into each other (the relay passes it on, a decoder cannot), or a call's arguments that break off,
    /// which formats with objects for arguments cannot say.
    /// </summary>
    public static bool IsBroken(string name) =>
        name.Contains("spliced-message-start", StringComparison.Ordinal) || name.Contains("incomplete_partial_json", StringComparison.Ordinal);

    /// <summary>Whether a stream's last word on usage leaves out what an earlier one said, so that what is written for the same vendor says less than what is billed.</summary>
    public static bool HasPartialUsage(string name) => name.Contains("test_native_output_with_builtin_tools", StringComparison.Ordinal);

    /// <summary>How a recorded stream ends, where it is not complete; null: it is.</summary>
    public static StreamStatus? StatusOf(RecordedTraffic traffic)
    {
        var events = RawEvents.Of(traffic.Dialect, traffic.Read());
        return !traffic.IsRecorded ? null
            : events.Exists(json => json.TryGetProperty("type", out var type) && type.GetString() is "error" or "response.failed") || events.Exists(json => json.TryGetProperty("error", out var error) && error.ValueKind == System.Text.Json.JsonValueKind.Object) ? StreamStatus.Failed
            : null;
    }
}
