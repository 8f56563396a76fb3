using System.Buffers;
using System.Text;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Tests.Dialects.Bedrock;

public sealed class BedrockCodecTests
{
    [Fact]
    public void Checksum_is_that_of_the_standard() => Assert.Equal(0xCBF43926u, Crc32.Of("123456789"u8));

    [Fact]
    public void Events_are_found_at_every_split()
    {
        var bytes = Stream();
        for (var split = 0; split <= bytes.Length; split++)
        {
            var framer = new AwsEventStreamFramer();
            var names = new List<string>();
            foreach (var end in new[] { split, bytes.Length })
            {
                while (framer.TryRead(bytes.AsSpan(0, end), out var frame))
                {
                    names.Add(Encoding.UTF8.GetString(StreamFramer.NameOf(bytes, frame)) + " " + Encoding.UTF8.GetString(framer.DataOf(bytes, frame)));
                }
            }
            Assert.Equal(["messageStart {\"role\":\"assistant\"}", "throttlingException {\"message\":\"slow\"}"], names);
        }
    }

    [Fact]
    public void A_changed_byte_anywhere_is_noticed()
    {
        var good = Stream();
        for (var at = 0; at < good.Length; at++)
        {
            var bytes = good.ToArray();
            bytes[at] ^= 1;
            var framer = new AwsEventStreamFramer();
            Assert.Throws<InvalidDataException>(() =>
            {
                while (framer.TryRead(bytes, out _))
                {
                }
            });
        }
    }

    [Fact]
    public void A_stream_comes_back_as_it_was_meant()
    {
        var request = new NeutralRequest { Source = DialectIds.Bedrock, Stream = true };
        var output = new ArrayBufferWriter<byte>();
        var encoder = BedrockDialect.Instance.NewEncoder(Context(request, stream: true), output);
        var decoder = BedrockDialect.Instance.NewDecoder();
        (string Name, string Data)[] events =
        [
            ("messageStart", """{"role":"assistant"}"""),
            ("contentBlockDelta", """{"contentBlockIndex":0,"delta":{"text":"a\u00e9"}}"""),
            ("contentBlockStop", """{"contentBlockIndex":0}"""),
            ("contentBlockStart", """{"contentBlockIndex":1,"start":{"toolUse":{"toolUseId":"t1","name":"now"}}}"""),
            ("contentBlockStop", """{"contentBlockIndex":1}"""),
            ("messageStop", """{"stopReason":"tool_use"}"""),
            ("metadata", """{"usage":{"inputTokens":5,"outputTokens":3,"totalTokens":19,"cacheReadInputTokens":7,"cacheWriteInputTokens":4,"cacheDetails":[{"ttl":"1h","inputTokens":4}]},"metrics":{"latencyMs":1}}"""),
        ];
        var status = StreamStatus.Open;
        foreach (var (name, data) in events)
        {
            status = decoder.Read(Encoding.UTF8.GetBytes(name), Encoding.UTF8.GetBytes(data), encoder);
        }
        Assert.Equal(StreamStatus.Completed, status);
        Assert.Equal((5, 7, 0, 4, 3), (decoder.Usage!.Value.Input, decoder.Usage.Value.CacheRead, decoder.Usage.Value.CacheWrite, decoder.Usage.Value.CacheWrite1h, decoder.Usage.Value.Output));
        var bytes = output.WrittenSpan.ToArray();
        var (framer, seen) = (new AwsEventStreamFramer(), new List<string>());
        while (framer.TryRead(bytes, out var frame))
        {
            seen.Add(Encoding.UTF8.GetString(StreamFramer.NameOf(bytes, frame)) + Encoding.UTF8.GetString(framer.DataOf(bytes, frame)));
        }
        Assert.Contains("""contentBlockDelta{"contentBlockIndex":0,"delta":{"text":"a\u00e9"}}""", seen);
        Assert.Contains("""contentBlockDelta{"contentBlockIndex":1,"delta":{"toolUse":{"input":"{}"}}}""", seen);
        Assert.StartsWith("""metadata{"usage":{"inputTokens":5""", seen[^1], StringComparison.Ordinal);
    }

    [Fact]
    public void A_complete_answer_comes_back_as_it_was()
    {
        const string Body = """{"output":{"message":{"role":"assistant","content":[{"reasoningContent":{"reasoningText":{"text":"hm","signature":"c2ln"}}},{"text":"hi"},{"toolUse":{"toolUseId":"t1","name":"f","input":{"a":1}}}]}},"stopReason":"tool_use","usage":{"inputTokens":1,"outputTokens":2,"totalTokens":3},"metrics":{"latencyMs":0}}""";
        var output = new ArrayBufferWriter<byte>();
        var encoder = BedrockDialect.Instance.NewEncoder(Context(new NeutralRequest { Source = DialectIds.Bedrock }, stream: false), output);
        Assert.Equal(StreamStatus.Completed, BedrockDialect.Instance.NewDecoder().ReadComplete(Encoding.UTF8.GetBytes(Body), encoder));
        Assert.Equal(Body, Encoding.UTF8.GetString(output.WrittenSpan));
    }

    [Theory]
    [InlineData("{}", """{"inferenceConfig":{"maxTokens":9}}""")]
    [InlineData("""{"messages":[]}""", """{"inferenceConfig":{"maxTokens":9},"messages":[]}""")]
    [InlineData("""{"inferenceConfig":{}}""", """{"inferenceConfig":{"maxTokens":9}}""")]
    [InlineData("""{"inferenceConfig":{"topP":1}}""", """{"inferenceConfig":{"maxTokens":9,"topP":1}}""")]
    [InlineData("""{"inferenceConfig":{"maxTokens":50}}""", """{"inferenceConfig":{"maxTokens":9}}""")]
    public void The_limit_is_put_in(string body, string expected)
    {
        var (bytes, fields, edits) = (Encoding.UTF8.GetBytes(body), new RoutedFields(), new EditList());
        Assert.Null(BedrockDialect.Instance.Scan(bytes, ref fields));
        BedrockDialect.Instance.Edit(bytes, fields, new BodyEdit { OutputLimit = 9 }, edits);
        Assert.Equal(expected, Encoding.UTF8.GetString(edits.Apply(bytes)));
    }

    [Theory]
    [InlineData("""{"promptVariables":{}}""", "promptVariables")]
    [InlineData("""{"messages":[{"role":"user","content":[{"document":{}}]}]}""", "messages[].content[].document")]
    [InlineData("""{"additionalModelRequestFields":{"max_tokens":1}}""", "additionalModelRequestFields.max_tokens")]
    public void What_no_body_bounds_is_named(string body, string member)
    {
        var fields = new RoutedFields();
        Assert.Null(BedrockDialect.Instance.Scan(Encoding.UTF8.GetBytes(body), ref fields));
        Assert.Equal(member, fields.UnboundedMember ?? fields.UnboundedUntranslated);
    }

    private static AnswerContext Context(NeutralRequest request, bool stream) =>
        new() { Request = request, RequestedModel = "m", Stream = stream, RequestId = "r1", Now = 0, Dropped = new DropReport() };

    private static byte[] Stream()
    {
        var output = new ArrayBufferWriter<byte>();
        AwsEventStreamWriter.WriteEvent(output, "messageStart"u8, "{\"role\":\"assistant\"}"u8);
        AwsEventStreamWriter.WriteException(output, "throttlingException"u8, "{\"message\":\"slow\"}"u8);
        return output.WrittenSpan.ToArray();
    }
}
