using System.Buffers;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Writes a stream in Anthropic's format as InvokeModelWithResponseStream has it: each event in a chunk of its own, a failure as an exception.</summary>
internal sealed class BedrockChunkEncoder : AnswerEncoder
{
    private readonly ArrayBufferWriter<byte> events = new();
    private readonly AnthropicStreamEncoder inner;
    private readonly IBufferWriter<byte> output;

    public BedrockChunkEncoder(AnswerContext context, IBufferWriter<byte> output)
    {
        this.output = output;
        inner = new AnthropicStreamEncoder(context, events);
    }

    /// <inheritdoc/>
    public override void Start(in AnswerStart start)
    {
        inner.Start(start);
        Flush();
    }

    /// <inheritdoc/>
    public override void BeginBlock(int block, in BlockStart start)
    {
        inner.BeginBlock(block, start);
        Flush();
    }

    /// <inheritdoc/>
    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        inner.Delta(block, text);
        Flush();
    }

    /// <inheritdoc/>
    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        inner.Signature(block, family, dataToken);
        Flush();
    }

    /// <inheritdoc/>
    public override void Citation(int block, NeutralCitation citation)
    {
        inner.Citation(block, citation);
        Flush();
    }

    /// <inheritdoc/>
    public override void LogProbs(int block, ReadOnlySpan<byte> raw) => inner.LogProbs(block, raw);

    /// <inheritdoc/>
    public override void EndBlock(int block)
    {
        inner.EndBlock(block);
        Flush();
    }

    /// <inheritdoc/>
    public override void Usage(in AnswerUsage usage)
    {
        inner.Usage(usage);
        Flush();
    }

    /// <inheritdoc/>
    public override void Finish(in AnswerFinish finish)
    {
        inner.Finish(finish);
        Flush();
    }

    /// <inheritdoc/>
    public override void Extension(string path, ReadOnlySpan<byte> raw) => inner.Extension(path, raw);

    /// <inheritdoc/>
    public override void Ping()
    {
        inner.Ping();
        Flush();
    }

    /// <inheritdoc/>
    public override void End()
    {
        inner.End();
        Flush();
    }

    /// <inheritdoc/>
    public override void Fail(AnswerError error) => BedrockErrors.WriteException(output, error.Status, error.Message);

    /// <summary>Puts the events that were written into chunks. The encoder writes each one's data on one line.</summary>
    private void Flush()
    {
        for (var rest = events.WrittenSpan; !rest.IsEmpty;)
        {
            var end = rest.IndexOf((byte)'\n');
            if (rest.StartsWith("data: "u8))
            {
                BedrockChunks.Write(output, rest["data: ".Length..end]);
            }
            rest = rest[(end + 1)..];
        }
        events.ResetWrittenCount();
    }
}
