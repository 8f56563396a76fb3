using System.Buffers;
using System.Text;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiAllocationTests
{
    private const int Chunks = 1000;

    private static readonly byte[] Chunk = Encoding.UTF8.GetBytes(
        """{"candidates":[{"content":{"parts":[{"text":"word "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":3,"candidatesTokenCount":2,"totalTokenCount":5,"promptTokensDetails":[{"modality":"TEXT","tokenCount":3}]},"modelVersion":"gemini-x","responseId":"r"}""");

    [Fact]
    public void Read_Chunk_AllocatesNothing()
    {
        var decoder = GeminiDialect.Instance.NewDecoder();
        Assert.Equal(StreamStatus.Open, decoder.Read(default, Chunk, IgnoredAnswer.Instance));

        var each = Measure(() => decoder.Read(default, Chunk, IgnoredAnswer.Instance));

        Assert.InRange(each, 0, 16);
    }

    [Fact]
    public void Delta_Text_AllocatesNothing()
    {
        var output = new ArrayBufferWriter<byte>(4096);
        var encoder = GeminiDialect.Instance.NewEncoder(GeminiTestKit.Context(stream: true), output);
        encoder.Start(new AnswerStart());
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
        encoder.Delta(0, "\"word \""u8);

        var each = Measure(() =>
        {
            output.ResetWrittenCount();
            encoder.Delta(0, "\"word \""u8);
        });

        Assert.InRange(each, 0, 16);
    }

    [Fact]
    public void Watch_Chunk_AllocatesNothing()
    {
        var watch = GeminiDialect.Instance.NewWatch("gemini-x");
        watch.Read(default, Chunk);

        Assert.InRange(Measure(() => watch.Read(default, Chunk)), 0, 16);
    }

    /// <summary>Bytes that this thread allocates for each of many calls.</summary>
    private static long Measure(Action call)
    {
        call();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < Chunks; i++)
        {
            call();
        }
        return (GC.GetAllocatedBytesForCurrentThread() - before) / Chunks;
    }
}
