using System.IO.Pipelines;
using System.Text;
using CsCheck;
using LlmProxy.Relay;
using LlmProxy.Tests.Hosting;
using Shared.Http;
using Shared.Pricing;
using TestSupport;

namespace LlmProxy.Tests;

public sealed class EventStreamTests
{
    private static readonly string Recorded = "\uFEFF: comment\n\n" + FakeReply.Role() + FakeReply.Content("a\"usage\":{é") + "event: message\nid: 7\n" + FakeReply.Content("b")
        + FakeReply.Content("漢\u2028😀") + FakeReply.Finish() + FakeReply.Usage(11, 4) + FakeReply.Done;

    public static TheoryData<string> LineEnds => ["\n", "\r\n", "\r"];

    [Theory]
    [MemberData(nameof(LineEnds))]
    public void Read_AnySplit_SameBytesAndUsage(string lineEnd)
    {
        var text = Recorded.Replace("\n", lineEnd, StringComparison.Ordinal).Replace("data: ", lineEnd == "\r" ? "data:" : "data: ", StringComparison.Ordinal);
        var expected = text.Replace(UsageEvent(text), "", StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(text);

        Gen.Int[1, 40].Array[1, 30].Sample(sizes =>
        {
            var (output, status, usage) = Run(new SplitStream(bytes, sizes), dropUsage: true);
            Assert.Equal(StreamStatus.Completed, status);
            Assert.Equal(expected, output);
            Assert.Equal(new TokenUsage { Input = 11, Output = 4 }, usage);
        }, time: 2);
    }

    [Theory]
    [MemberData(nameof(LineEnds))]
    public void Read_CutAnywhere_IsNeverComplete(string lineEnd)
    {
        var text = Recorded.Replace("\n", lineEnd, StringComparison.Ordinal);
        var bytes = Encoding.UTF8.GetBytes(text);
        var usageEnd = Encoding.UTF8.GetByteCount(text[..(text.IndexOf(UsageEvent(text), StringComparison.Ordinal) + UsageEvent(text).Length)]);

        for (var length = 0; length < usageEnd; length++)
        {
            var (output, status, _) = Run(new SplitStream(bytes[..length], [7]), dropUsage: true);
            if (status == StreamStatus.Completed)
            {
                // With CR alone, an event is complete one byte earlier than it looks.
                Assert.True(length >= usageEnd - lineEnd.Length, $"{length} of {usageEnd}: {output}");
            }
            else
            {
                Assert.DoesNotContain("[DONE]", output, StringComparison.Ordinal);
            }
        }
    }

    [Fact]
    public void Read_EventBeyondTheLimit_IsInvalid()
    {
        var bytes = new byte[EventStream.MaxEventBytes + 100];
        Array.Fill(bytes, (byte)'x');
        "data: "u8.CopyTo(bytes);

        var (_, status, _) = Run(new MemoryStream(bytes), dropUsage: true);

        Assert.Equal(StreamStatus.Invalid, status);
    }

    [Fact]
    public void Read_NoMemoryLeft_IsToldApart()
    {
        var (_, status, _) = Run(new MemoryStream(Encoding.UTF8.GetBytes(Recorded)), dropUsage: true, new BodyMemory(100));

        Assert.Equal(StreamStatus.OutOfMemory, status);
    }

    [Fact]
    public void Read_Garbage_IsInvalid()
    {
        var (output, status, _) = Run(new MemoryStream("data: <html>\n\n"u8.ToArray()), dropUsage: true);

        Assert.Equal((StreamStatus.Invalid, ""), (status, output));
    }

    private static string UsageEvent(string text)
    {
        var start = text.LastIndexOf("data:", text.IndexOf("\"choices\":[],", StringComparison.Ordinal), StringComparison.Ordinal);
        return text[start..text.IndexOf("data:", start + 5, StringComparison.Ordinal)];
    }

    private static (string Output, StreamStatus Status, TokenUsage? Usage) Run(Stream source, bool dropUsage, BodyMemory? memory = null)
    {
        using var output = new MemoryStream();
        var request = new GatewayRequest("r", ProxyHost.Snapshot(new ProxySetup(), []), default) { TraceParent = ProxyHost.TraceParent };
        using var deadline = new DeadlinePool(TimeProvider.System).Rent(CancellationToken.None);
        using var stream = new RelayedStream(source, memory ?? new BodyMemory(64 << 20), new SseFramer(), new ChatStreamWatch("fake"), dropUsage, expectsUsage: true);
        var client = PipeWriter.Create(output);

        // Everything here completes at once: both ends are in memory.
        var status = stream.OpenAsync(deadline, TimeSpan.FromMinutes(1), request).AsTask().GetAwaiter().GetResult();
        while (true)
        {
            if (status is StreamStatus.Open or StreamStatus.Completed && stream.HasReady)
            {
                stream.SendAsync(client, CancellationToken.None).AsTask().GetAwaiter().GetResult();
            }
            if (status != StreamStatus.Open)
            {
                break;
            }
            status = stream.ReadAsync(deadline, TimeSpan.FromMinutes(1), request).AsTask().GetAwaiter().GetResult();
        }
        return (Encoding.UTF8.GetString(output.ToArray()), status, stream.Watch.Usage);
    }

    /// <summary>Gives its bytes in pieces of the given sizes, over and over.</summary>
    private sealed class SplitStream(byte[] bytes, int[] sizes) : MemoryStream(bytes)
    {
        private int next;

        public override ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default) =>
            base.ReadAsync(buffer[..Math.Min(buffer.Length, sizes[next++ % sizes.Length])], cancellationToken);
    }
}
