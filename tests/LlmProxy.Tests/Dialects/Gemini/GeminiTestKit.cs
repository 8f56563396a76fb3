using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json.Nodes;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Snapshots;

namespace LlmProxy.Tests.Dialects.Gemini;

/// <summary>What the tests of the dialect have in common.</summary>
internal static class GeminiTestKit
{
    public static Provider Studio { get; } = new() { Id = "gemini", Dialect = DialectIds.Gemini, Origin = "test", BaseAddress = new Uri("https://generativelanguage.googleapis.com/v1beta") };

    public static Provider Vertex { get; } =
        new() { Id = "vertex", Dialect = DialectIds.Gemini, Origin = "test", BaseAddress = new Uri("https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google") };

    public static NeutralRequest Decode(string body, bool stream = false)
    {
        var error = GeminiDialect.Instance.Decode(Encoding.UTF8.GetBytes(body), stream, out var request);
        Assert.Null(error);
        return request!;
    }

    public static JsonObject Encode(NeutralRequest request, out DropReport dropped, string model = "gemini-3-pro-preview", Provider? provider = null, long? limit = null)
    {
        dropped = new DropReport();
        var output = new ArrayBufferWriter<byte>();
        var error = GeminiDialect.Instance.Encode(request, new EncodeTarget { Provider = provider ?? Studio, Model = model, OutputLimit = limit, Dropped = dropped }, output);
        Assert.Null(error);
        return JsonNode.Parse(output.WrittenSpan)!.AsObject();
    }

    public static AnswerContext Context(bool stream, bool array = false) => new()
    {
        Request = new NeutralRequest { Source = DialectIds.Gemini },
        RequestedModel = "my-route",
        Stream = stream,
        JsonArray = array,
        RequestId = "req-1",
        Now = 1_700_000_000,
        Dropped = new DropReport(),
    };

    /// <summary>Feeds the chunks of a stream to a decoder, and ends it.</summary>
    public static StreamStatus Play(IEnumerable<string> chunks, IAnswerSink sink)
    {
        var decoder = GeminiDialect.Instance.NewDecoder();
        foreach (var chunk in chunks)
        {
            var status = decoder.Read(default, Encoding.UTF8.GetBytes(chunk), sink);
            if (status != StreamStatus.Open)
            {
                return status;
            }
        }
        return decoder.End(sink);
    }

    /// <summary>The events of a stream that an encoder wrote.</summary>
    public static List<string> Events(ReadOnlySpan<byte> stream, StreamFramer framer)
    {
        var bytes = stream.ToArray();
        var events = new List<string>();
        while (framer.TryRead(bytes, out var frame))
        {
            if (frame.DataLines > 0)
            {
                events.Add(Encoding.UTF8.GetString(framer.DataOf(bytes, frame)));
            }
        }
        return events;
    }

    public static void AssertSame(string expected, JsonNode actual) => Assert.Equal(Canonical(JsonNode.Parse(expected)), Canonical(actual));

    /// <summary>JSON with its members in order, so that texts can be compared.</summary>
    public static string Canonical(JsonNode? node) => Sorted(node)?.ToJsonString() ?? "null";

    private static JsonNode? Sorted(JsonNode? node) => node switch
    {
        JsonObject members => new JsonObject(members.OrderBy(member => member.Key, StringComparer.Ordinal).Select(member => KeyValuePair.Create(member.Key, Sorted(member.Value)))),
        JsonArray list => new JsonArray([.. list.Select(Sorted)]),
        _ => node?.DeepClone(),
    };
}

/// <summary>Writes down what a decoder says, one line for each call.</summary>
internal sealed class ScriptSink : IAnswerSink
{
    private readonly List<string> lines = [];

    public string Script => string.Join("\n", lines);

    public IReadOnlyList<string> Lines => lines;

    public void Start(in AnswerStart start) => lines.Add($"start {start.Source} {Text(start.IdToken)} {Text(start.ModelToken)} {start.Created}");

    public void BeginBlock(int block, in BlockStart start) =>
        lines.Add(string.Join(' ', new[]
        {
            $"begin {block} {start.Kind}", start.Choice > 0 ? $"choice={start.Choice}" : "", Text(start.IdToken), Text(start.NameToken), Text(start.MediaTypeToken), start.NativeType ?? "", Text(start.Raw),
        }.Where(piece => piece.Length > 0)));

    public void Delta(int block, ReadOnlySpan<byte> text) => lines.Add($"delta {block} {Text(text)}");

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken) => lines.Add($"sign {block} {family} {Text(dataToken)}");

    public void Citation(int block, NeutralCitation citation) => lines.Add($"cite {block} {citation.Url} {citation.Title} {citation.Start}-{citation.End}");

    public void LogProbs(int block, ReadOnlySpan<byte> raw) => lines.Add($"logprobs {block} {Text(raw)}");

    public void EndBlock(int block) => lines.Add(string.Create(CultureInfo.InvariantCulture, $"end {block}"));

    public void Usage(in AnswerUsage usage) => lines.Add($"usage {usage.Tokens.TotalInput}/{usage.Tokens.TotalOutput} {usage.ServiceTier} {Text(usage.ServerTools)}".TrimEnd());

    public void Finish(in AnswerFinish finish) => lines.Add($"finish {finish.Choice} {finish.Reason} {Text(finish.NativeToken)}".TrimEnd());

    public void Extension(string path, ReadOnlySpan<byte> raw) => lines.Add($"extension {path} {Text(raw)}");

    public void Ping() => lines.Add("ping");

    public void End() => lines.Add("done");

    public void Fail(AnswerError error) => lines.Add($"fail {error.Status} {error.Type} {error.Message}");

    private static string Text(ReadOnlySpan<byte> bytes) => Encoding.UTF8.GetString(bytes);
}
