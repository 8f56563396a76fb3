using System.Buffers;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Tests.Recorded;

/// <summary>Puts a stream's bytes through framer and decoder, or through framer and watch, as the proxy does, in pieces of any size.</summary>
internal static class Replay
{
    /// <summary>The framer's buffer, which grows as the proxy's does.</summary>
    public static StreamStatus Decode(Dialect dialect, string type, ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces, AnswerDecoder decoder, IAnswerSink sink)
    {
        var framer = dialect.NewFramer(type);
        var status = StreamStatus.Open;
        if (!Feed(framer, bytes, pieces, (buffer, frame) => status = decoder.Read(StreamFramer.NameOf(buffer, frame), framer.DataOf(buffer, frame), sink), () => status == StreamStatus.Open, out var unread))
        {
            return StreamStatus.Invalid;
        }
        if (status != StreamStatus.Open)
        {
            return status;
        }
        try
        {
            var last = framer.TakeUnfinished(unread);
            if (last.DataLines > 0)
            {
                status = decoder.Read(StreamFramer.NameOf(unread, last), framer.DataOf(unread, last), sink);
                if (status != StreamStatus.Open)
                {
                    return status == StreamStatus.Invalid ? StreamStatus.Truncated : status;
                }
            }
            return decoder.End(sink);
        }
        catch (InvalidDataException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <summary>What the relay makes of a stream.</summary>
    public static StreamStatus Watch(Dialect dialect, string type, ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces, StreamWatch watch)
    {
        var framer = dialect.NewFramer(type);
        var status = StreamStatus.Open;
        var isSound = Feed(framer, bytes, pieces, (buffer, frame) => status = watch.Read(StreamFramer.NameOf(buffer, frame), framer.DataOf(buffer, frame)) switch
        {
            ChunkKind.Done => StreamStatus.Completed,
            ChunkKind.Error => StreamStatus.Failed,
            ChunkKind.Garbage when !watch.ContentBegun => StreamStatus.Invalid,
            _ => StreamStatus.Open,
        }, () => status == StreamStatus.Open, out var unread);
        if (!isSound || status != StreamStatus.Open)
        {
            return isSound ? status : StreamStatus.Invalid;
        }
        try
        {
            var last = framer.TakeUnfinished(unread);
            var isDone = last.DataLines == 1 && watch.IsLastData(framer.DataOf(unread, last));
            return isDone || watch is { Finished: true, Usage: not null } ? StreamStatus.Completed : StreamStatus.Truncated;
        }
        catch (InvalidDataException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <summary>Decodes an answer for a client of another dialect, or of the same.</summary>
    /// <returns>How it ended, what was said in between, what was written, and what could not be.</returns>
    public static (StreamStatus Status, CheckedSink Sink, byte[] Output, DropReport Dropped, AnswerError? Error) Translate(
        Dialect from, Dialect to, string type, ReadOnlySpan<byte> bytes, bool stream, NeutralRequest request, IReadOnlyList<int>? pieces = null, bool isDamaged = false)
    {
        var output = new ArrayBufferWriter<byte>();
        var dropped = new DropReport();
        var encoder = to.NewEncoder(new AnswerContext { Request = request, RequestedModel = "asked", Stream = stream, RequestId = "req-1", Now = 1_760_000_000, Dropped = dropped }, output);
        var sink = new CheckedSink(encoder, isDamaged);
        var decoder = from.NewDecoder();
        var status = stream ? Decode(from, type, bytes, pieces ?? [], decoder, sink) : decoder.ReadComplete(bytes, sink);
        return (status, sink, output.WrittenSpan.ToArray(), dropped, encoder.Error);
    }

    /// <summary>A request that says hardly anything, for encoders of answers.</summary>
    public static NeutralRequest AnyRequest(Dialect dialect, bool stream) => new() { Source = dialect.Id, Stream = stream };

    /// <summary>The figures of a relay's watch or decoder, in words; "none" where nothing was said.</summary>
    public static string Said(TokenUsage? usage) => usage is { } said ? CheckedSink.Figures(said) : "none";

    private delegate void OnFrame(ReadOnlySpan<byte> buffer, StreamFrame frame);

    private static bool Feed(StreamFramer framer, ReadOnlySpan<byte> bytes, IReadOnlyList<int> pieces, OnFrame take, Func<bool> goesOn, out byte[] unread)
    {
        var buffer = new byte[Math.Max(64, bytes.Length)];
        var filled = 0;
        try
        {
            for (var (at, piece) = (0, 0); at < bytes.Length; piece++)
            {
                var size = Math.Min(pieces.Count == 0 ? bytes.Length : Math.Max(1, pieces[piece % pieces.Count]), bytes.Length - at);
                bytes.Slice(at, size).CopyTo(buffer.AsSpan(filled));
                (at, filled) = (at + size, filled + size);
                var done = 0;
                while (framer.TryRead(buffer.AsSpan(0, filled), out var frame))
                {
                    if (frame.Start < done || frame.End <= frame.Start || frame.End > filled)
                    {
                        throw new InvalidOperationException($"A frame from {frame.Start} to {frame.End} where {done} to {filled} was left.");
                    }
                    done = frame.End;
                    take(buffer.AsSpan(0, filled), frame);
                    if (!goesOn())
                    {
                        unread = [];
                        return true;
                    }
                }
                if (done > 0)
                {
                    buffer.AsSpan(done, filled - done).CopyTo(buffer);
                    filled -= done;
                    framer.Shift(done);
                }
            }
            unread = buffer[..filled];
            return true;
        }
        catch (InvalidDataException)
        {
            unread = [];
            return false;
        }
    }
}
