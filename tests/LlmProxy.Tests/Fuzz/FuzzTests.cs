using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Unicode;
using CsCheck;
using LlmProxy.ChatCompletions;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Tests.Recorded;
using Shared.Snapshots;
using TestSupport;

namespace LlmProxy.Tests.Fuzz;

/// <summary>
/// Random, cut and damaged traffic into everything that reads what others send. Nothing may throw, say what is out of order, or take memory out of
/// proportion. The variable GATEWAY_FUZZ says how many inputs each test tries; a long run is <c>.ci/soak</c>'s.
/// </summary>
public sealed class FuzzTests
{
    /// <summary>A framer's, decoder's and encoder's memory may be so many times its input, and so many bytes besides. Generous: what is caught is growth without bounds.</summary>
    private const long BytesPerByte = 400;

    private const long BytesBesides = 4 << 20;

    /// <summary>Larger traffic would only make each try slower.</summary>
    private const int MaxBytes = 32 * 1024;

    private static readonly int Tries = Environment.GetEnvironmentVariable("GATEWAY_FUZZ") is { Length: > 0 } tries ? int.Parse(tries, CultureInfo.InvariantCulture) : 1500;

    /// <summary>Pieces of JSON and of framings that are worth standing in a wrong place.</summary>
    private static readonly byte[][] Tokens =
    [
        "\""u8.ToArray(), "\\"u8.ToArray(), "\\ud800"u8.ToArray(), "\\u0000"u8.ToArray(), "{"u8.ToArray(), "}"u8.ToArray(), "["u8.ToArray(), "]"u8.ToArray(), ","u8.ToArray(), ":"u8.ToArray(), "null"u8.ToArray(),
        "true"u8.ToArray(), "-1"u8.ToArray(), "1e999"u8.ToArray(), "99999999999999999999"u8.ToArray(), "0.5"u8.ToArray(), "\"\""u8.ToArray(), "{}"u8.ToArray(), "[]"u8.ToArray(), "\n\n"u8.ToArray(), "\r\n"u8.ToArray(),
        "data: "u8.ToArray(), "event: error\n"u8.ToArray(), "data: [DONE]\n\n"u8.ToArray(), ": \n"u8.ToArray(), [0], [0xff, 0xff, 0xff, 0xff], [0xc3], [0xef, 0xbb, 0xbf], "\"index\":-1"u8.ToArray(), "\"index\":2147483648"u8.ToArray(),
    ];

    public static TheoryData<string> Known => [.. RecordedTraffic.Dialects.Where(id => KnownDialects.Find(id) is not null)];

    [Theory]
    [MemberData(nameof(Known))]
    public void Stream_Damaged_IsReadWithoutAnException(string dialect)
    {
        var codec = TrafficRows.DialectOf(dialect);
        var corpus = Corpus(dialect, TrafficKind.Stream);
        var others = RecordedTraffic.Dialects.Select(KnownDialects.Find).OfType<Dialect>().ToArray();

        Damaged(corpus.Select(traffic => (traffic.Bytes, traffic.Type))).Select(Gen.Int[1, 200].Array[1, 6], Gen.Int[0, others.Length - 1]).Sample((input, pieces, client) =>
        {
            var (bytes, type) = input;
            Bounded(bytes.Length, () =>
            {
                var (status, sink, output, _, _) = Replay.Translate(codec, others[client], type, bytes, stream: true, Replay.AnyRequest(others[client], stream: true), pieces, isDamaged: true);
                Assert.True(sink.Fault is null, $"{status}: {sink.Fault}\n{sink.Log}");
                // Bytes that are no text go on as they came, as they do in the relay.
                Assert.True(!Utf8.IsValid(bytes) || RawEvents.Unsound(others[client].Id, output) is null, $"{others[client].Id}: {RawEvents.Unsound(others[client].Id, output)}\n{sink.Log}");
                Assert.Equal(status == StreamStatus.Completed, sink.IsEnded);
                Assert.Equal(status == StreamStatus.Failed, sink.Error is not null);
                Replay.Watch(codec, type, bytes, pieces, codec.NewWatch("m"));
            });
        }, iter: Tries, threads: 1, print: Print);
    }

    [Theory]
    [MemberData(nameof(Known))]
    public void Answer_Damaged_IsReadWithoutAnException(string dialect)
    {
        var codec = TrafficRows.DialectOf(dialect);
        var corpus = Corpus(dialect, TrafficKind.Complete).Concat(Corpus(dialect, TrafficKind.Error));
        var others = RecordedTraffic.Dialects.Select(KnownDialects.Find).OfType<Dialect>().ToArray();

        Damaged(corpus.Select(traffic => (traffic.Bytes, traffic.Type))).Select(Gen.Int[0, others.Length - 1], Gen.Int[400, 599]).Sample((input, client, httpStatus) =>
        {
            var (bytes, type) = input;
            Bounded(bytes.Length, () =>
            {
                var (status, sink, output, _, _) = Replay.Translate(codec, others[client], type, bytes, stream: false, Replay.AnyRequest(others[client], stream: false), isDamaged: true);
                Assert.True(sink.Fault is null, $"{status}: {sink.Fault}\n{sink.Log}");
                if (status == StreamStatus.Completed)
                {
                    Assert.True(JsonBytes.IsObject(output), $"{others[client].Id}: {Encoding.UTF8.GetString(output)}\n{sink.Log}");
                }
                Assert.NotEqual(StreamStatus.Open, status);
                Assert.Equal(status == StreamStatus.Completed, sink.IsEnded);
                codec.TryReadAnswer(bytes, "m", out _);
                var failed = new CheckedSink();
                failed.Fail(codec.ReadError(httpStatus, bytes));
                Assert.True(failed.Fault is null, failed.Log);
            });
        }, iter: Tries, threads: 1, print: Print);
    }

    [Theory]
    [MemberData(nameof(Known))]
    public void Request_Damaged_IsReadWithoutAnException(string dialect)
    {
        var codec = TrafficRows.DialectOf(dialect);
        var others = RecordedTraffic.Dialects.Select(KnownDialects.Find).OfType<Dialect>().ToArray();

        Damaged(Corpus(dialect, TrafficKind.Request).Select(traffic => (traffic.Bytes, traffic.Type))).Select(Gen.Int[0, others.Length - 1]).Sample((input, target) =>
        {
            var (bytes, _) = input;
            Bounded(bytes.Length, () =>
            {
                var fields = new RoutedFields { Choices = 1 };
                var edits = new EditList();
                NeutralRequest? request = null;
                var refusal = codec.Scan(bytes, ref fields);
                if (refusal is null)
                {
                    codec.Edit(bytes, fields, new BodyEdit { Model = "\"other\""u8.ToArray(), OutputLimit = 7, AsksForUsage = fields.Stream }, edits);
                    Assert.All(edits.Edits.ToArray(), edit => Assert.InRange(edit.Offset + edit.Length, edit.Offset, bytes.Length));
                    refusal = codec.Decode(bytes, fields.Stream, out request);
                }
                if (refusal is not null)
                {
                    Assert.False(string.IsNullOrWhiteSpace(refusal.Message));
                    Assert.InRange(refusal.Status, 400, 499);
                    return;
                }
                var output = new ArrayBufferWriter<byte>();
                var error = others[target].Encode(request!, new EncodeTarget { Provider = new Provider { Id = "fake", Dialect = others[target].Id, Origin = "test" }, Model = "m", Dropped = new DropReport() }, output);
                if (error is null)
                {
                    System.Text.Json.JsonDocument.Parse(output.WrittenMemory, new System.Text.Json.JsonDocumentOptions { MaxDepth = 512 }).Dispose();
                }
            });
        }, iter: Tries, threads: 1, print: Print);
    }

    private static IReadOnlyList<(byte[] Bytes, string Type)> Corpus(string dialect, TrafficKind kind) =>
        [.. RecordedTraffic.Of(kind).Where(traffic => traffic.Dialect == dialect).Select(traffic => (Bytes: traffic.Read(), Type: traffic.ContentType)).Where(traffic => traffic.Bytes.Length <= MaxBytes)];

    /// <summary>Traffic with some damage: bytes changed, taken out, doubled, cut off, brought in from other traffic, or tokens that fit nowhere.</summary>
    private static Gen<(byte[] Bytes, string Type)> Damaged(IEnumerable<(byte[] Bytes, string Type)> corpus)
    {
        var all = corpus.ToArray();
        var one = Gen.Int[0, all.Length - 1];
        var damage = Gen.Select(Gen.Int[0, 7], Gen.Int[0, 1 << 20], Gen.Int[0, 1 << 20], Gen.Byte);
        return Gen.Frequency(
            (19, Gen.Select(one, one, damage.Array[1, 5]).Select((first, second, damages) => (damages.Aggregate(all[first].Bytes, (bytes, how) => Damage(bytes, all[second].Bytes, how)), all[first].Type))),
            (1, Gen.Select(one, Gen.Byte.Array[0, 400]).Select((first, bytes) => (bytes, all[first].Type))));
    }

    private static byte[] Damage(byte[] bytes, byte[] other, (int Kind, int At, int Length, byte Value) how)
    {
        if (bytes.Length == 0)
        {
            return Tokens[how.At % Tokens.Length];
        }
        var at = how.At % bytes.Length;
        var length = how.Length % Math.Min(64, bytes.Length - at);
        switch (how.Kind)
        {
            case 0:
                var changed = bytes.ToArray();
                changed[at] = how.Value;
                return changed;
            case 1:
                var flipped = bytes.ToArray();
                flipped[at] ^= (byte)(1 << (how.Value % 8));
                return flipped;
            case 2:
                return bytes[..at];
            case 3:
                return [.. bytes[..at], .. bytes[(at + length)..]];
            case 4:
                return [.. bytes[..(at + length)], .. bytes[at..]];
            case 5:
                return [.. bytes[..at], .. Tokens[how.Value % Tokens.Length], .. bytes[(at + (how.Length % 2 == 0 ? length : 0))..]];
            case 6:
                // A value in place of another: what stands between two colons' commas is likely to be one.
                var colon = bytes.AsSpan(at).IndexOf((byte)':');
                var comma = colon < 0 ? -1 : bytes.AsSpan(at + colon).IndexOfAny((byte)',', (byte)'}');
                return comma < 0 ? bytes : [.. bytes[..(at + colon + 1)], .. Tokens[how.Value % Tokens.Length], .. bytes[(at + colon + comma)..]];
            default:
                var from = how.Length % Math.Max(1, other.Length);
                return [.. bytes[..at], .. other[from..]];
        }
    }

    /// <summary>Runs something and sees to it that it allocates no more than its input explains.</summary>
    private static void Bounded(int inputBytes, Action run)
    {
        var before = GC.GetAllocatedBytesForCurrentThread();
        run();
        var allocated = GC.GetAllocatedBytesForCurrentThread() - before;
        Assert.True(allocated <= BytesBesides + BytesPerByte * inputBytes, $"{allocated} bytes for an input of {inputBytes}");
    }

    private static string Print<T>(T input) => input switch
    {
        ValueTuple<byte[], string> pair => $"{pair.Item2}: {Convert.ToBase64String(pair.Item1)}",
        System.Runtime.CompilerServices.ITuple tuple => string.Join(" | ", Enumerable.Range(0, tuple.Length).Select(i => tuple[i] is (byte[] bytes, string type) ? $"{type}: {Convert.ToBase64String(bytes)}" : tuple[i] is int[] pieces ? string.Join(',', pieces) : $"{tuple[i]}")),
        _ => $"{input}",
    };
}
