using System.Text.Json;
using LlmProxy.Relay;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>Every complete answer and every error that there is.</summary>
public sealed class CompleteReplayTests
{
    [Theory]
    [MemberData(nameof(TrafficRows.Completes), MemberType = typeof(TrafficRows))]
    public void ReadComplete_Answer_IsWellOrderedAndUsesWhatItSays(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        var codec = TrafficRows.DialectOf(dialect);
        var (decoder, sink) = (codec.NewDecoder(), new CheckedSink());

        var status = decoder.ReadComplete(body, sink);

        Assert.True(sink.Fault is null, $"{sink.Fault}\n{sink.Log}");
        var isFailure = JsonDocument.Parse(body).RootElement is var json && json.TryGetProperty("status", out var said) && said.ValueKind == JsonValueKind.String && said.GetString() == "failed";
        Assert.Equal(isFailure ? StreamStatus.Failed : StreamStatus.Completed, status);
        Assert.Equal(!isFailure, sink.IsEnded);
        Assert.True(codec.TryReadAnswer(body, "", out var facts));
        Assert.Equal(Replay.Said(decoder.Usage), Replay.Said(facts.Usage));
        Assert.Equal(decoder.ServiceTier, facts.ServiceTier);
        Assert.Equal(StatedUsage.Of(dialect, [json]), facts.Usage is { } usage ? StatedUsage.Of(usage) : null);
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Errors), MemberType = typeof(TrafficRows))]
    public void ReadError_Error_IsSaidInNeutralWords(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var body = traffic.Read();
        var status = traffic.Status == 200 ? 500 : traffic.Status;

        var error = TrafficRows.DialectOf(dialect).ReadError(status, body);

        var sink = new CheckedSink();
        sink.Fail(error);
        Assert.True(sink.Fault is null, sink.Log);
        if (traffic.Status != 200)
        {
            Assert.Equal(traffic.Status, error.Status);
        }
        if (MessageOf(body) is { } message)
        {
            Assert.Equal(message, error.Message);
        }
    }

    /// <summary>The message that a vendor's error holds, wherever it does.</summary>
    private static string? MessageOf(byte[] body)
    {
        if (body.AsSpan().TrimStart(" \r\n"u8)[0] is not ((byte)'{' or (byte)'['))
        {
            return null;
        }
        var json = JsonDocument.Parse(body).RootElement;
        json = json.ValueKind == JsonValueKind.Array ? json[0] : json;
        json = json.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object ? error : json;
        return json.TryGetProperty("message", out var message) || json.TryGetProperty("Message", out message) ? message.GetString() : null;
    }
}
