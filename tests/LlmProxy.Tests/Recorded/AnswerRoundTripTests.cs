using System.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Relay;
using TestSupport;

namespace LlmProxy.Tests.Recorded;

/// <summary>Every answer that there is, decoded and encoded for a client of the same dialect, and of each other one.</summary>
public sealed class AnswerRoundTripTests
{
    [Theory]
    [MemberData(nameof(TrafficRows.Completes), MemberType = typeof(TrafficRows))]
    public void Complete_ForTheSameDialect_LosesNothing(string dialect, string name)
    {
        var body = RecordedTraffic.Find(dialect, name).Read();
        var codec = TrafficRows.DialectOf(dialect);

        var (status, sink, output, dropped, error) = Replay.Translate(codec, codec, "application/json", body, stream: false, Replay.AnyRequest(codec, stream: false));

        Assert.True(sink.Fault is null, sink.Log);
        Assert.Empty(dropped.Names);
        if (status == StreamStatus.Failed)
        {
            Assert.NotNull(error);
            return;
        }
        Assert.Equal(StreamStatus.Completed, status);
        var differences = JsonDifference.Between(Explained.Normal(dialect, JsonDocument.Parse(body).RootElement), Explained.Normal(dialect, JsonDocument.Parse(output).RootElement));
        JsonDifference.AssertNone(differences.Where(difference => !Explained.InComplete(dialect, difference)));
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Stream_ForTheSameDialect_LosesNothing(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var bytes = traffic.Read();
        var codec = TrafficRows.DialectOf(dialect);
        var plain = new CheckedSink();
        var before = Replay.Decode(codec, traffic.ContentType, bytes, [], codec.NewDecoder(), plain);

        var (status, sink, output, dropped, _) = Replay.Translate(codec, codec, traffic.ContentType, bytes, stream: true, Replay.AnyRequest(codec, stream: true));
        var again = new CheckedSink();
        var after = Replay.Decode(codec, codec.StreamType, output, [], codec.NewDecoder(), again);

        if (Recordings.IsBroken(name) || Recordings.HasPartialUsage(name))
        {
            return;
        }
        Assert.Equal(before, status);
        Assert.Equal(before, after);
        Assert.True(again.Fault is null, $"{again.Fault}\n{again.Log}\n{Encoding.UTF8.GetString(output)}");
        Assert.Empty(dropped.Names);
        Assert.Equal(Gist(plain, before), Gist(again, before));
        var values = RawEvents.Of(dialect, output).SelectMany(json => JsonDifference.Leaves(json)).ToHashSet();
        // What a block gets piece by piece may stand in its beginning: a value is kept, too, where it stands elsewhere, unless it may well do so by chance.
        var anywhere = values.Where(leaf => leaf.Value.Length > 8).Select(leaf => leaf.Value).ToHashSet(StringComparer.Ordinal);
        var lost = RawEvents.Of(dialect, bytes).SelectMany(json => JsonDifference.Leaves(json)).Distinct().Where(leaf => !values.Contains(leaf) && !anywhere.Contains(leaf.Value) && !Explained.InStream(dialect, leaf.Path, leaf.Value, status));
        JsonDifference.AssertNone(lost.Select(leaf => $"{leaf.Path} = {leaf.Value}"));
    }

    [Theory]
    [MemberData(nameof(TrafficRows.Streams), MemberType = typeof(TrafficRows))]
    public void Stream_ForAnyDialect_KeepsWhatIsSaid(string dialect, string name)
    {
        var traffic = RecordedTraffic.Find(dialect, name);
        var bytes = traffic.Read();
        var from = TrafficRows.DialectOf(dialect);
        if (Recordings.IsBroken(name) || Recordings.HasPartialUsage(name))
        {
            return;
        }
        foreach (var to in RecordedTraffic.Dialects.Select(id => KnownDialects.Find(id)).OfType<Dialect>())
        {
            var (status, sink, output, _, _) = Replay.Translate(from, to, traffic.ContentType, bytes, stream: true, Replay.AnyRequest(to, stream: true));
            Assert.True(RawEvents.Unsound(to.Id, output) is null, $"{to.Id}: {RawEvents.Unsound(to.Id, output)}");
            var again = new CheckedSink();
            var after = Replay.Decode(to, to.StreamType, output, [], to.NewDecoder(), again);

            Assert.True(again.Fault is null, $"{to.Id}: {again.Fault}\n{again.Log}\n{Encoding.UTF8.GetString(output)}");
            Assert.True(after == status, $"{to.Id}: {status} became {after}\n{sink.Log}\n{Encoding.UTF8.GetString(output)}");
            // A custom tool's input becomes an argument of a function where there are no custom tools.
            Assert.True(Words(sink) == Words(again) || sink.Blocks.Any(block => block.ToolKind == Neutral.ToolKind.Custom), $"{to.Id}: what is said differs\n{sink.Log}\nthen\n{again.Log}");
            if (status == StreamStatus.Completed && sink.LastUsage is { } usage)
            {
                Assert.Equal((usage.TotalInput, usage.TotalOutput), (again.LastUsage?.TotalInput ?? -1, again.LastUsage?.TotalOutput ?? -1));
            }
        }
    }

    /// <summary>What a user sees of the first choice: its text, and which tools are called with what.</summary>
    private static string Words(CheckedSink sink) =>
        string.Concat(sink.Blocks.Where(block => block.Choice == 0 && block.Kind is Neutral.BlockKind.Text or Neutral.BlockKind.Refusal).Select(block => block.Text)) + "\n"
        + string.Join('\n', sink.Blocks.Where(block => block is { Choice: 0, Kind: Neutral.BlockKind.ToolCall, ToolKind: Neutral.ToolKind.Function }).Select(block => $"{block.Name} {Normal(block.Text)}"));

    private static string Normal(string arguments)
    {
        try
        {
            return JsonSerializer.Serialize(JsonDocument.Parse(arguments).RootElement);
        }
        catch (JsonException)
        {
            return arguments;
        }
    }

    /// <summary>All that was said, however it was cut into pieces. Some formats tell what was used with the last event alone, which an answer that breaks off does not have.</summary>
    private static string Gist(CheckedSink sink, StreamStatus status) =>
        string.Join('\n', sink.Blocks.Select(block => $"{block.Kind} {block.Choice} {block.ToolKind} {block.Name} {(block.ToolKind == Neutral.ToolKind.Function && block.Kind == Neutral.BlockKind.ToolCall ? Normal(block.Text) : block.Text)} {string.Join(' ', block.Signatures)}"))
        + $"\n{(status == StreamStatus.Completed && sink.LastUsage is { } usage ? CheckedSink.Figures(usage) : "none")}\n{string.Join(' ', sink.Reasons.OrderBy(reason => reason.Key))}\n{sink.Error?.Type} {sink.Error?.Message}";
}
