using System.Buffers;
using System.Text;
using BenchmarkDotNet.Attributes;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;

namespace Gateway.Benchmarks;

/// <summary>What one chunk of text costs in Anthropic's streams: watched, decoded, encoded. Beside time, the allocation of each is of interest: it should be none.</summary>
[MemoryDiagnoser]
public class AnthropicCodecBenchmarks
{
    private static readonly byte[] Start = Encoding.UTF8.GetBytes("""{"type":"message_start","message":{"id":"msg_1","type":"message","role":"assistant","model":"claude","content":[],"usage":{"input_tokens":10,"output_tokens":1}}}""");
    private static readonly byte[] Begin = Encoding.UTF8.GetBytes("""{"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}""");
    private static readonly byte[] Chunk = Encoding.UTF8.GetBytes("""{"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":" there! Happy to explain."}}""");
    private static readonly byte[] Text = Encoding.UTF8.GetBytes("\" there! Happy to explain.\"");

    private readonly ArrayBufferWriter<byte> output = new(64 * 1024);
    private AnthropicStreamWatch watch = null!;
    private AnswerDecoder decoder = null!;
    private AnthropicStreamEncoder encoder = null!;
    private AnthropicStreamEncoder sink = null!;

    /// <summary>Brings each to the middle of a text.</summary>
    [GlobalSetup]
    public void Setup()
    {
        watch = new AnthropicStreamWatch("claude");
        watch.Read("message_start"u8, Start);
        watch.Read("content_block_start"u8, Begin);
        decoder = AnthropicDialect.Instance.NewDecoder();
        sink = NewEncoder();
        decoder.Read("message_start"u8, Start, sink);
        decoder.Read("content_block_start"u8, Begin, sink);
        encoder = NewEncoder();
        encoder.Start(new AnswerStart { Source = DialectIds.OpenAiChat });
        encoder.BeginBlock(0, new BlockStart { Kind = BlockKind.Text });
    }

    /// <summary>The relay's watch takes note of a chunk.</summary>
    [Benchmark]
    public int Watch() => (int)watch.Read("content_block_delta"u8, Chunk);

    /// <summary>A chunk is decoded and encoded in the same format.</summary>
    [Benchmark]
    public int DecodeAndEncode()
    {
        output.ResetWrittenCount();
        decoder.Read("content_block_delta"u8, Chunk, sink);
        return output.WrittenCount;
    }

    /// <summary>A piece of text is encoded.</summary>
    [Benchmark]
    public int Encode()
    {
        output.ResetWrittenCount();
        encoder.Delta(0, Text);
        return output.WrittenCount;
    }

    private AnthropicStreamEncoder NewEncoder() => new(new AnswerContext
    {
        Request = new NeutralRequest { Source = DialectIds.Anthropic },
        RequestedModel = "claude",
        Stream = true,
        RequestId = "r",
        Now = 0,
        Dropped = new DropReport(),
    }, output);
}
