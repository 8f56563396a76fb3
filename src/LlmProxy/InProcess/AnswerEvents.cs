using System.Buffers;
using LlmProxy.Relay;

namespace LlmProxy.InProcess;

/// <summary>Finds the server-sent events in an answer that comes in any pieces.</summary>
internal sealed class AnswerEvents
{
    private readonly SseFramer framer = new();
    private byte[] buffer = [];
    private int filled;
    private int taken;

    /// <summary>Adds what has come; what was read before is given up.</summary>
    public void Add(in ReadOnlySequence<byte> received)
    {
        buffer.AsSpan(taken, filled - taken).CopyTo(buffer);
        framer.Shift(taken);
        (filled, taken) = (filled - taken, 0);
        var length = (int)received.Length;
        if (buffer.Length - filled < length)
        {
            Array.Resize(ref buffer, Math.Max(filled + length, buffer.Length * 2));
        }
        received.CopyTo(buffer.AsSpan(filled));
        filled += length;
    }

    /// <summary>The next complete event; both parts are valid until more is added.</summary>
    public bool TryRead(out ReadOnlySpan<byte> name, out ReadOnlySpan<byte> data)
    {
        if (!framer.TryRead(buffer.AsSpan(0, filled), out var frame))
        {
            name = data = default;
            return false;
        }
        taken = frame.End;
        name = StreamFramer.NameOf(buffer, frame);
        data = framer.DataOf(buffer, frame);
        return true;
    }
}
