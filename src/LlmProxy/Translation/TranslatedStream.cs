using System.Buffers;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Translation;

/// <summary>A stream in another format than the client's: each event is decoded as it comes, and what it says is encoded for the client at once.</summary>
internal sealed class TranslatedStream(Stream source, BodyMemory memory, StreamFramer framer, AnswerDecoder decoder, AnswerEncoder encoder, TranslatedAnswer answer, PooledOutput output, string expectedModel)
    : EventStream(source, memory, framer)
{
    /// <summary>Why the upstream failed before there was content; null: it did not.</summary>
    public AnswerError? Error => answer.Error;

    public override TokenUsage? Usage => decoder.Usage;

    public override string? ServiceTier => decoder.ServiceTier;

    public override string? Model => decoder.Model == expectedModel ? null : decoder.Model;

    public override bool HasReady => output.WrittenCount > 0;

    protected override bool ContentBegun => decoder.ContentBegun;

    protected override bool SaysPartial => decoder.IsUsagePartial;

    protected override int Held => output.WrittenCount;

    public override void WriteError(GatewayError error, IBufferWriter<byte> client)
    {
        encoder.Fail(Translator.ToNeutral(error));
        WriteReady(client);
    }

    public override void Dispose()
    {
        output.Dispose();
        base.Dispose();
    }

    protected override void WriteReady(IBufferWriter<byte> client)
    {
        client.Write(output.Written);
        output.Clear();
    }

    protected override StreamStatus Take(in StreamFrame next)
    {
        var status = decoder.Read(StreamFramer.NameOf(Received, next), Framer.DataOf(Received, next), answer);
        if (status == StreamStatus.Failed && decoder.ContentBegun)
        {
            encoder.Fail(answer.Error!);
        }
        Shift(next.End);
        return output.IsOutOfMemory ? StreamStatus.OutOfMemory : status;
    }

    protected override StreamStatus End(in StreamFrame last)
    {
        if (last.DataLines > 0)
        {
            var status = Take(last with { End = Received.Length });
            if (status != StreamStatus.Open)
            {
                return status == StreamStatus.Invalid ? StreamStatus.Truncated : status;
            }
        }
        return decoder.End(answer);
    }
}
