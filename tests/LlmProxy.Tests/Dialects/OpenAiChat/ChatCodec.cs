using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Tests.Dialects.OpenAiChat;

/// <summary>Drives the dialect through its public methods.</summary>
internal static class ChatCodec
{
    public static OpenAiChatDialect Dialect { get; } = new();

    public static Provider OpenAi { get; } = new() { Id = "openai", Dialect = DialectIds.OpenAiChat, BaseAddress = new Uri("https://api.openai.com/v1"), Origin = "test" };

    public static Provider Compatible { get; } = new() { Id = "local", Dialect = DialectIds.OpenAiChat, BaseAddress = new Uri("http://127.0.0.1:8000/v1"), Origin = "test", OutputLimitMember = "max_tokens" };

    public static Provider OpenRouter { get; } = new() { Id = "openrouter", Dialect = DialectIds.OpenAiChat, BaseAddress = new Uri("https://openrouter.ai/api/v1"), Origin = "test" };

    public static NeutralRequest Decode(string body, bool stream = false)
    {
        var error = Dialect.Decode(Encoding.UTF8.GetBytes(body), stream, out var request);
        Assert.Null(error);
        return request!;
    }

    public static GatewayError Refuse(string body)
    {
        var error = Dialect.Decode(Encoding.UTF8.GetBytes(body), false, out var request);
        Assert.Null(request);
        return Assert.IsType<GatewayError>(error);
    }

    public static (JsonElement Body, IReadOnlyList<string> Dropped) Encode(NeutralRequest request, Provider? provider = null, string model = "m", long? outputLimit = null)
    {
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        Assert.Null(Dialect.Encode(request, new EncodeTarget { Provider = provider ?? OpenAi, Model = model, OutputLimit = outputLimit, Dropped = dropped }, output));
        return (JsonDocument.Parse(output.WrittenMemory).RootElement, dropped.Names);
    }

    public static AnswerContext Context(bool stream, NeutralRequest? request = null) => new()
    {
        Request = request ?? new NeutralRequest { Source = DialectIds.OpenAiChat },
        RequestedModel = "asked-model",
        Stream = stream,
        RequestId = "req1",
        Now = 1700000000,
        Dropped = new DropReport(),
    };

    /// <summary>What a decoder says of events' data.</summary>
    public static (StreamStatus Status, AnswerTrace Trace) Read(params string[] events)
    {
        var trace = new AnswerTrace();
        var decoder = Dialect.NewDecoder();
        var status = StreamStatus.Open;
        foreach (var data in events)
        {
            status = decoder.Read(default, Encoding.UTF8.GetBytes(data), trace);
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

    /// <summary>The data of the events of a stream.</summary>
    public static List<string> Events(string stream) =>
        [.. stream.Split("\n\n", StringSplitOptions.RemoveEmptyEntries).Where(part => part.StartsWith("data: ", StringComparison.Ordinal)).Select(part => part["data: ".Length..])];

    /// <summary>Decodes a stream and encodes it again.</summary>
    public static string Recode(IEnumerable<string> events, AnswerContext context)
    {
        var output = new ArrayBufferWriter<byte>();
        var encoder = Dialect.NewEncoder(context, output);
        var decoder = Dialect.NewDecoder();
        foreach (var data in events)
        {
            decoder.Read(default, Encoding.UTF8.GetBytes(data), encoder);
        }
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }

    public static string RecodeComplete(string body, AnswerContext context)
    {
        var output = new ArrayBufferWriter<byte>();
        Assert.Equal(StreamStatus.Completed, Dialect.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(body), Dialect.NewEncoder(context, output)));
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}

/// <summary>Writes down what a sink is told, a line for each call, and checks that the order is kept.</summary>
internal sealed class AnswerTrace : IAnswerSink
{
    private readonly HashSet<int> open = [];
    private int blocks;
    private bool isStarted;
    private bool isOver;

    public List<string> Lines { get; } = [];

    public AnswerError? Error { get; private set; }

    public string Text => string.Join('\n', Lines);

    public void Start(in AnswerStart start)
    {
        Assert.False(isStarted);
        isStarted = true;
        Add($"start {Say(start.IdToken)} {Say(start.ModelToken)} {start.Created}");
    }

    public void BeginBlock(int block, in BlockStart start)
    {
        Assert.Equal(blocks++, block);
        open.Add(block);
        var more = start.Kind switch
        {
            BlockKind.ToolCall => $" {start.ToolKind} {Say(start.IdToken)} {Say(start.NameToken)}",
            BlockKind.Media => $" {Say(start.MediaTypeToken)}",
            _ => "",
        };
        Add($"{block} {start.Kind} of {start.Choice}{more}");
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
        Assert.Contains(block, open);
        Assert.Equal((byte)'"', text[0]);
        Assert.Equal((byte)'"', text[^1]);
        Add($"{block} {Say(text)}");
    }

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        Assert.Contains(block, open);
        Add($"{block} signed {family} {Say(dataToken)}");
    }

    public void Citation(int block, NeutralCitation citation)
    {
        Assert.Contains(block, open);
        Add($"{block} cites {citation.Url} '{citation.Title}' {citation.Start}-{citation.End}");
    }

    public void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
        Assert.Contains(block, open);
        Add($"{block} logprobs {Say(raw)}");
    }

    public void EndBlock(int block)
    {
        Assert.True(open.Remove(block));
        Add($"{block} ends");
    }

    public void Usage(in AnswerUsage usage) => Add($"usage {usage.Tokens.TotalInput} {usage.Tokens.TotalOutput}" + (usage.ServerTools.IsEmpty ? "" : " " + Say(usage.ServerTools)));

    public void Finish(in AnswerFinish finish)
    {
        Assert.Empty(open);
        Add($"finish {finish.Choice} {finish.Reason} {Say(finish.NativeToken)}" + (finish.StopSequenceToken.IsEmpty ? "" : " " + Say(finish.StopSequenceToken)));
    }

    public void Extension(string path, ReadOnlySpan<byte> raw) => Add($"extension {path} {Say(raw)}");

    public void Ping() => Add("ping");

    public void End()
    {
        Add("end");
        isOver = true;
    }

    public void Fail(AnswerError error)
    {
        Error = error;
        Add($"fail {error.Status} {error.Type} {error.Code}: {error.Message}");
        isOver = true;
    }

    private void Add(string line)
    {
        Assert.False(isOver, "told after the end: " + line);
        Lines.Add(line);
    }

    private static string Say(ReadOnlySpan<byte> token) => token.IsEmpty ? "-" : Encoding.UTF8.GetString(token);
}
