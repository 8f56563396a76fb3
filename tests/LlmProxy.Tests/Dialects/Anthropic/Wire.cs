using System.Buffers;
using System.Collections.Immutable;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>Puts bytes through the dialect.</summary>
internal static class Wire
{
    public const string NewModel = "claude-opus-5";
    public const string OldModel = "claude-sonnet-4-5";

    public static AnthropicDialect Dialect => AnthropicDialect.Instance;

    public static RoutedFields Scan(string body)
    {
        var fields = new RoutedFields { Choices = 1 };
        Assert.Null(Dialect.Scan(Encoding.UTF8.GetBytes(body), ref fields));
        return fields;
    }

    public static GatewayError Refusal(string body)
    {
        var fields = new RoutedFields { Choices = 1 };
        var error = Dialect.Scan(Encoding.UTF8.GetBytes(body), ref fields);
        Assert.NotNull(error);
        return error;
    }

    public static NeutralRequest Decode(string body, bool stream = false)
    {
        var error = Dialect.Decode(Encoding.UTF8.GetBytes(body), stream, out var request);
        Assert.True(error is null, error?.Message);
        return request!;
    }

    public static JsonObject Encode(NeutralRequest request, out DropReport dropped, string model = NewModel, AnthropicDialect? dialect = null, long? limit = null, long? most = null)
    {
        dropped = new DropReport();
        var output = new ArrayBufferWriter<byte>();
        var error = (dialect ?? Dialect).Encode(request, Target(dropped, model, limit, most), output);
        Assert.True(error is null, error?.Message);
        return JsonNode.Parse(output.WrittenSpan)!.AsObject();
    }

    public static EncodeTarget Target(DropReport dropped, string model = NewModel, long? limit = null, long? most = null) => new()
    {
        Provider = new Provider { Id = "anthropic", Dialect = DialectIds.Anthropic, Models = ImmutableArray<string>.Empty, Origin = "test" },
        Model = model,
        OutputLimit = limit,
        MaxOutputTokens = most,
        Dropped = dropped,
    };

    public static AnswerContext Context(bool stream, DropReport? dropped = null) => new()
    {
        Request = new NeutralRequest { Source = DialectIds.Anthropic, Stream = stream },
        RequestedModel = "my-route",
        Stream = stream,
        RequestId = "req-1",
        Now = 1,
        Dropped = dropped ?? new DropReport(),
    };

    /// <summary>Frames events: a line is one event's data.</summary>
    public static string Events(params ReadOnlySpan<string> lines)
    {
        var text = new StringBuilder();
        foreach (var line in lines)
        {
            text.Append("event: ").Append((string)JsonNode.Parse(line)!["type"]!).Append("\ndata: ").Append(line).Append("\n\n");
        }
        return text.ToString();
    }

    /// <summary>Decodes a stream.</summary>
    public static StreamStatus Read(string events, IAnswerSink sink, out AnswerDecoder decoder)
    {
        decoder = Dialect.NewDecoder();
        foreach (var (name, data) in Frames(events))
        {
            var status = decoder.Read(Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(data), sink);
            if (status != StreamStatus.Open)
            {
                return status;
            }
        }
        return decoder.End(sink);
    }

    public static List<(string Name, string Data)> Frames(string events)
    {
        var bytes = Encoding.UTF8.GetBytes(events);
        var framer = Dialect.NewFramer("text/event-stream");
        var frames = new List<(string, string)>();
        while (framer.TryRead(bytes, out var frame))
        {
            frames.Add((Encoding.UTF8.GetString(StreamFramer.NameOf(bytes, frame)), Encoding.UTF8.GetString(framer.DataOf(bytes, frame))));
        }
        return frames;
    }

    /// <summary>The data of a stream's events, without pings.</summary>
    public static List<JsonNode> Data(string events) => [.. Frames(events).Where(frame => frame.Name != "ping").Select(frame => JsonNode.Parse(frame.Data)!)];

    public static AnthropicStreamWatch Watch(string events, out List<ChunkKind> kinds)
    {
        var watch = new AnthropicStreamWatch("claude");
        kinds = [];
        foreach (var (name, data) in Frames(events))
        {
            kinds.Add(watch.Read(Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(data)));
        }
        return watch;
    }

    public static void AssertSame(JsonNode? expected, JsonNode? actual) => Assert.True(JsonNode.DeepEquals(expected, actual), $"expected {expected?.ToJsonString()}\nactual   {actual?.ToJsonString()}");

    public static string Text(this ArrayBufferWriter<byte> output) => Encoding.UTF8.GetString(output.WrittenSpan);
}
