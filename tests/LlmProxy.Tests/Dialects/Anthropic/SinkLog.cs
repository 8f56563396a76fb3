using System.Globalization;
using System.Text;
using LlmProxy.Neutral;
using Shared.Pricing;

namespace LlmProxy.Tests.Dialects.Anthropic;

/// <summary>Writes down what a decoder says, a line for each call.</summary>
internal sealed class SinkLog : IAnswerSink
{
    public List<string> Lines { get; } = [];

    public TokenUsage Used { get; private set; }

    public AnswerError? Error { get; private set; }

    public void Start(in AnswerStart start) => Add($"start {Text(start.IdToken)} {Text(start.ModelToken)}");

    public void BeginBlock(int block, in BlockStart start) => Add($"begin {block} {start.Kind} {Text(start.IdToken)} {Text(start.NameToken)} {start.NativeType} {Text(start.Raw)}".TrimEnd());

    public void Delta(int block, ReadOnlySpan<byte> text) => Add($"delta {block} {Text(text)}");

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken) => Add($"signature {block} {family} {Text(dataToken)}");

    public void Citation(int block, NeutralCitation citation) => Add($"citation {block} {citation.Url} {citation.Title} {citation.CitedText}");

    public void LogProbs(int block, ReadOnlySpan<byte> raw) => Add($"logprobs {block}");

    public void EndBlock(int block) => Add($"end {block}");

    public void Usage(in AnswerUsage usage) => Used = usage.Tokens;

    public void Finish(in AnswerFinish finish) => Add($"finish {finish.Reason} {Text(finish.StopSequenceToken)}".TrimEnd());

    public void Extension(string path, ReadOnlySpan<byte> raw) => Add($"extension {path} {Text(raw)}");

    public void Ping() => Add("ping");

    public void End() => Add("end");

    public void Fail(AnswerError error)
    {
        Error = error;
        Add(string.Create(CultureInfo.InvariantCulture, $"fail {error.Status} {error.Type} {error.Code} {error.Message}"));
    }

    private void Add(string line) => Lines.Add(line);

    private static string Text(ReadOnlySpan<byte> utf8) => Encoding.UTF8.GetString(utf8);
}
