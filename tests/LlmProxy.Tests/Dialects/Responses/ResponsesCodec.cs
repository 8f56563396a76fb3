using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Responses;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Tests.Dialects.OpenAiChat;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Tests.Dialects.Responses;

/// <summary>Drives the dialect through its public methods.</summary>
internal static class ResponsesCodec
{
    public static OpenAiResponsesDialect Dialect { get; } = new();

    public static Provider OpenAi { get; } = new() { Id = "openai", Dialect = DialectIds.OpenAiResponses, BaseAddress = new Uri("https://api.openai.com/v1"), Origin = "test" };

    public static (GatewayError? Error, RoutedFields Fields) Scan(string body)
    {
        var fields = new RoutedFields();
        return (Dialect.Scan(Encoding.UTF8.GetBytes(body), ref fields), fields);
    }

    public static NeutralRequest Decode(string body, bool stream = false)
    {
        Assert.Null(Dialect.Decode(Encoding.UTF8.GetBytes(body), stream, out var request));
        return request!;
    }

    public static GatewayError Refuse(string body)
    {
        var error = Dialect.Decode(Encoding.UTF8.GetBytes(body), false, out var request);
        Assert.Null(request);
        return Assert.IsType<GatewayError>(error);
    }

    public static (string Body, IReadOnlyList<string> Dropped) Encode(NeutralRequest request, string model = "m", Dialect? dialect = null)
    {
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        Assert.Null((dialect ?? Dialect).Encode(request, new EncodeTarget { Provider = OpenAi, Model = model, Dropped = dropped }, output));
        return (Encoding.UTF8.GetString(output.WrittenSpan), dropped.Names);
    }

    public static AnswerContext Context(bool stream, NeutralRequest? request = null) => new()
    {
        Request = request ?? Decode("""{"model":"m","input":"hi"}"""),
        RequestedModel = "asked-model",
        Stream = stream,
        RequestId = "req1",
        Now = 1700000000,
        Dropped = new DropReport(),
    };

    /// <summary>The data of the events of a stream.</summary>
    public static List<string> Events(string stream) =>
        [.. stream.Split('\n').Where(line => line.StartsWith("data: ", StringComparison.Ordinal)).Select(line => line["data: ".Length..])];

    public static (StreamStatus Status, AnswerTrace Trace) Read(params IEnumerable<string> events)
    {
        var trace = new AnswerTrace();
        var decoder = Dialect.NewDecoder();
        foreach (var data in events)
        {
            var status = decoder.Read(default, Encoding.UTF8.GetBytes(data), trace);
            if (status != StreamStatus.Open)
            {
                return (status, trace);
            }
        }
        return (decoder.End(trace), trace);
    }

    public static (StreamStatus Status, AnswerTrace Trace) ReadComplete(string body)
    {
        var trace = new AnswerTrace();
        return (Dialect.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(body), trace), trace);
    }

    /// <summary>Decodes a stream and encodes it again.</summary>
    public static string Recode(IEnumerable<string> events)
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = Dialect.NewEncoder(Context(stream: true), output);
        var decoder = Dialect.NewDecoder();
        foreach (var data in events)
        {
            decoder.Read(default, Encoding.UTF8.GetBytes(data), encoder);
        }
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    /// <summary>Whether two documents are the same but for the order of members and their spelling.</summary>
    public static void Same(string expected, string actual) => Assert.True(JsonElement.DeepEquals(JsonDocument.Parse(expected).RootElement, JsonDocument.Parse(actual).RootElement), $"{expected}\n{actual}");
}
