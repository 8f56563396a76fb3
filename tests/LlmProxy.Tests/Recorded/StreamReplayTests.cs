using System.Text.Json;
using CsCheck;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>Every stream that there is, through framer, decoder and watch.</summary>
public sealed class StreamReplayTests
{
    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Decode_Stream_IsAWellOrderedAnswer(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var (status, sink) = Decode(traffic, traffic.Read(), []);

        Assert.True(sink.Fault is null, $"{sink.Fault}\n{sink.Log}");
        if (Recordings.IsBroken(name))
        {
            return;
        }
        Assert.Equal(Expected(traffic), status);
        Assert.Equal(status == StreamStatus.Completed, sink.IsEnded);
        Assert.Equal(status == StreamStatus.Failed, sink.Error is not null);
        foreach (var block in sink.Blocks.Where(block => block is { Kind: BlockKind.ToolCall, ToolKind: ToolKind.Function, IsOpen: false }))
        {
            if (sink.Reasons.GetValueOrDefault(block.Choice) is not (StopReason.MaxTokens or StopReason.ContextExceeded or StopReason.Refusal or StopReason.MalformedToolCall))
            {
                Assert.Equal(JsonValueKind.Object, JsonDocument.Parse(block.Text).RootElement.ValueKind);
            }
        }
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Usage_Stream_IsWhatTheRecordSays(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var bytes = traffic.Read();
        var stated = StatedUsage.Of(dialect, RawEvents.Of(dialect, bytes));
        var codec = TrafficRows.DialectOf(dialect);
        var (decoder, watch, sink) = (codec.NewDecoder(), codec.NewWatch(""), new CheckedSink());

        var decoded = Replay.Decode(codec, traffic.ContentType, bytes, [], decoder, sink);
        var watched = Replay.Watch(codec, traffic.ContentType, bytes, [], watch);

        if (Recordings.IsBroken(name) || (decoded == StreamStatus.Failed && traffic.IsRecorded))
        {
            return;
        }
        // A flat error event is the decoder's end; the relay waits for the response.failed that follows it.
        Assert.True(decoded == watched || (dialect == "openai-responses" && decoded == StreamStatus.Failed), $"decoded {decoded}, watched {watched}");
        Assert.Equal(Replay.Said(decoder.Usage), Replay.Said(watch.Usage));
        if (decoded == StreamStatus.Completed)
        {
            Assert.Equal(decoder.ServiceTier, watch.ServiceTier);
        }
        Assert.Equal(decoder.ContentBegun, watch.ContentBegun);
        Assert.Equal(decoder.Usage, sink.LastUsage);
        if (decoded == StreamStatus.Completed)
        {
            Assert.Equal(stated, decoder.Usage is { } usage ? StatedUsage.Of(usage) : null);
        }
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Decode_AnyPieces_SaysTheSame(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var bytes = traffic.Read();
        var (status, sink) = Decode(traffic, bytes, []);
        var expected = (status, sink.Log);

        Assert.Equal(expected, Said(traffic, bytes, [1]));
        Gen.Int[1, 90].Array[1, 12].Sample(pieces => Assert.Equal(expected, Said(traffic, bytes, pieces)), iter: bytes.Length > 100_000 ? 2 : 20, threads: 1);
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Decode_CutAnywhere_IsNeverCompleteBeforeItsLastEvents(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var bytes = traffic.Read();
        var (whole, said) = Decode(traffic, bytes, []);
        var step = Math.Max(1, bytes.Length / 200);

        for (var length = 0; length < bytes.Length; length += step)
        {
            var (status, sink) = Decode(traffic, bytes.AsSpan(0, length), [61]);
            Assert.True(sink.Fault is null, $"{length} of {bytes.Length} bytes: {sink.Fault}\n{sink.Log}");
            if (status == StreamStatus.Completed)
            {
                Assert.True(whole == StreamStatus.Completed || traffic.IsRecorded, $"{length} of {bytes.Length} bytes were complete, all of them {whole}");
                var (all, some) = (string.Concat(said.Blocks.Select(block => block.Text)), string.Concat(sink.Blocks.Select(block => block.Text)));
                // Some vendors say several times that the answer has ended.
                Assert.True(traffic.IsRecorded ? all.StartsWith(some, StringComparison.Ordinal) : all == some, $"{length} of {bytes.Length} bytes:\n{sink.Log}");
                continue;
            }
            Assert.True(WithoutPings(said.Log).StartsWith(Unended(sink.Log), StringComparison.Ordinal), $"{length} of {bytes.Length} bytes:\n{sink.Log}\nall of them:\n{said.Log}");
        }
    }

    /// <summary>What was said but for how a stream without a last event was completed.</summary>
    private static string Unended(string log)
    {
        var lines = WithoutPings(log).Split('\n');
        return string.Join('\n', lines.TakeWhile(line => !line.StartsWith("end", StringComparison.Ordinal) && !line.StartsWith("finish", StringComparison.Ordinal) && !line.StartsWith("usage", StringComparison.Ordinal)
            && !line.StartsWith("fail", StringComparison.Ordinal)));
    }

    /// <summary>An event whose data is cut off right after its colon is an empty one, and says that the upstream is alive.</summary>
    private static string WithoutPings(string log) => log.Replace("ping\n", "", StringComparison.Ordinal);

    private static StreamStatus Expected(RecordedTraffic traffic) => traffic.IsCut ? StreamStatus.Truncated : traffic.Fails ? StreamStatus.Failed : Recordings.StatusOf(traffic) ?? StreamStatus.Completed;

    private static (StreamStatus Status, string Log) Said(RecordedTraffic traffic, ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces)
    {
        var (status, sink) = Decode(traffic, bytes, pieces);
        return (status, sink.Log);
    }

    private static (StreamStatus Status, CheckedSink Sink) Decode(RecordedTraffic traffic, ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces)
    {
        var dialect = TrafficRows.DialectOf(traffic.Dialect);
        var sink = new CheckedSink();
        return (Replay.Decode(dialect, traffic.ContentType, bytes, pieces, dialect.NewDecoder(), sink), sink);
    }
}
