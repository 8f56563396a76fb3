using System.Text;
using LlmProxy.Dialects.Gemini;

namespace LlmProxy.Tests.Dialects.Gemini;

public sealed class GeminiArrayFramerTests
{
    private const string Stream = "\uFEFF [{\"a\":\"]},{\\\"[\\\\\"}\n,\r\n{\"b\":[1,{\"c\":{}}]} , {\"é\":\"漢😀\"}\n]\n";

    private static readonly string[] Expected = ["[:{\"a\":\"]},{\\\"[\\\\\"}", ",:{\"b\":[1,{\"c\":{}}]}", ",:{\"é\":\"漢😀\"}", "]:"];

    [Fact]
    public void TryRead_EveryPairOfSplits_SameEventsAndNoByteLost()
    {
        var bytes = Encoding.UTF8.GetBytes(Stream);
        for (var first = 0; first <= bytes.Length; first++)
        {
            for (var second = first; second <= bytes.Length; second++)
            {
                var (events, passed) = Run(bytes, [first, second, bytes.Length]);
                Assert.Equal(Expected, events);
                Assert.Equal(Stream.TrimEnd('\n'), passed);
            }
        }
    }

    [Fact]
    public void TryRead_OneByteAtATime_SameEvents()
    {
        var bytes = Encoding.UTF8.GetBytes(Stream);

        var (events, _) = Run(bytes, [.. Enumerable.Range(1, bytes.Length)]);

        Assert.Equal(Expected, events);
    }

    [Fact]
    public void TryRead_EmptyArray_IsItsEndAlone() => Assert.Equal(["]:"], Run("[ ]"u8.ToArray(), [1, 3]).Events);

    [Fact]
    public void TryRead_LoneObject_IsOneEventWithoutAName() => Assert.Equal([":{\"error\":{}}"], Run("{\"error\":{}}"u8.ToArray(), [4, 12]).Events);

    [Theory]
    [InlineData("data: {}")]
    [InlineData("[1]")]
    [InlineData("[{}{}]")]
    [InlineData("[{},,{}]")]
    [InlineData("[{}] []")]
    [InlineData("{} {}")]
    public void TryRead_NoArrayOfObjects_Throws(string text) =>
        Assert.Throws<InvalidDataException>(() => Run(Encoding.UTF8.GetBytes(text), [Encoding.UTF8.GetByteCount(text)]));

    [Fact]
    public void TakeUnfinished_HalfAnElement_IsGivenWithItsSeparator()
    {
        var framer = new GeminiArrayFramer();
        var bytes = "[{\"a\":1},{\"b\""u8.ToArray();
        Assert.True(framer.TryRead(bytes, out _));
        Assert.False(framer.TryRead(bytes, out _));

        var last = framer.TakeUnfinished(bytes);

        Assert.Equal(8, last.Start);
        Assert.Equal("{\"b\"", Encoding.UTF8.GetString(bytes.AsSpan(last.DataOffset, last.DataLength)));
    }

    /// <summary>Reads bytes that arrive up to one place after the other; events are given up as they come.</summary>
    private static (List<string> Events, string Passed) Run(byte[] bytes, int[] places)
    {
        var framer = new GeminiArrayFramer();
        var (events, passed) = (new List<string>(), new List<byte>());
        var start = 0;
        foreach (var place in places)
        {
            while (framer.TryRead(bytes.AsSpan(start, place - start), out var frame))
            {
                var buffer = bytes.AsSpan(start, place - start);
                events.Add(Encoding.UTF8.GetString(GeminiArrayFramer.NameOf(buffer, frame)) + ":" + Encoding.UTF8.GetString(framer.DataOf(buffer, frame)));
                passed.AddRange(buffer[frame.Start..frame.End]);
                start += frame.End;
                framer.Shift(frame.End);
            }
        }
        return (events, Encoding.UTF8.GetString([.. passed]));
    }
}
