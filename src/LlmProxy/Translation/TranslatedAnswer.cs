using System.Text;
using LlmProxy.Dialects;
using LlmProxy.Neutral;

namespace LlmProxy.Translation;

/// <summary>
/// Stands between a decoder and an encoder: keeps an upstream's failure back, so that another target can still be asked; names the calls of providers that do not; and
/// remembers what the model signed, for clients that cannot carry it.
/// </summary>
internal sealed class TranslatedAnswer(AnswerEncoder encoder, SignatureKeeper? keeper, string requestId) : IAnswerSink
{
    private int unnamed;

    /// <summary>Why the upstream failed; null: it did not.</summary>
    public AnswerError? Error { get; private set; }

    public void Start(in AnswerStart start) => encoder.Start(start);

    public void BeginBlock(int block, in BlockStart start)
    {
        if (start is { Kind: BlockKind.ToolCall, IdToken.IsEmpty: true })
        {
            Begin(block, start.WithId(Encoding.ASCII.GetBytes($"\"call_{requestId}_{++unnamed}\"")));
        }
        else
        {
            Begin(block, start);
        }
    }

    private void Begin(int block, in BlockStart start)
    {
        keeper?.Begin(block, start);
        encoder.BeginBlock(block, start);
    }

    public void Delta(int block, ReadOnlySpan<byte> text)
    {
        keeper?.Delta(block, text);
        encoder.Delta(block, text);
    }

    public void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        keeper?.Sign(block, family, dataToken);
        encoder.Signature(block, family, dataToken);
    }

    public void Citation(int block, NeutralCitation citation) => encoder.Citation(block, citation);

    public void LogProbs(int block, ReadOnlySpan<byte> raw) => encoder.LogProbs(block, raw);

    public void EndBlock(int block) => encoder.EndBlock(block);

    public void Usage(in AnswerUsage usage) => encoder.Usage(usage);

    public void Finish(in AnswerFinish finish) => encoder.Finish(finish);

    public void Extension(string path, ReadOnlySpan<byte> raw) => encoder.Extension(path, raw);

    public void Ping() => encoder.Ping();

    public void End()
    {
        keeper?.Keep();
        encoder.End();
    }

    public void Fail(AnswerError error) => Error = error;
}
