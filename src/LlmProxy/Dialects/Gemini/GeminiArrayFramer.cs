using LlmProxy.Relay;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Finds the elements of one top-level JSON array in bytes that arrive in any pieces: the form of <c>:streamGenerateContent</c> without <c>alt=sse</c>.
/// Each element is an event; a lone object instead of an array is one event as well (an error, say). Only brackets and strings are looked at, whoever
/// reads an element's data finds out whether it is JSON.
/// </summary>
/// <remarks>
/// An event is named by what stands before it: <c>[</c> the first, <c>,</c> any other. The array's end is an event of its own, without data, named <c>]</c>.
/// So whoever watches a stream knows its form, and its end, from the events alone.
/// </remarks>
internal sealed class GeminiArrayFramer : StreamFramer
{
    private const int NoPlace = -1;

    private Place place;
    private int frameStart;
    private int separator = NoPlace;
    private int elementStart;
    private int depth;
    private int scanned;
    private bool sawBytes;

    private enum Place
    {
        BeforeArray,

        /// <summary>After <c>[</c> or a comma: an element or, after <c>[</c>, the end.</summary>
        BeforeElement,
        InElement,
        InString,
        AfterEscape,
        AfterElement,

        /// <summary>After the array, or after a lone object.</summary>
        AfterAll,
    }

    /// <inheritdoc/>
    public override bool TryRead(ReadOnlySpan<byte> buffer, out StreamFrame complete)
    {
        complete = default;
        while (scanned < buffer.Length)
        {
            switch (place)
            {
                case Place.InString:
                    if (!TrySkipTo(buffer, (byte)'"', (byte)'\\', out var stop))
                    {
                        return false;
                    }
                    place = stop == (byte)'"' ? Place.InElement : Place.AfterEscape;
                    continue;
                case Place.AfterEscape:
                    scanned++;
                    place = Place.InString;
                    continue;
                case Place.InElement:
                    if (ReadElement(buffer, ref complete))
                    {
                        return true;
                    }
                    continue;
            }
            var next = buffer[scanned];
            if (next is (byte)' ' or (byte)'\t' or (byte)'\r' or (byte)'\n')
            {
                scanned++;
                continue;
            }
            if (!sawBytes && buffer[scanned] == 0xEF)
            {
                if (buffer.Length - scanned < 3)
                {
                    return false;
                }
                if (!buffer[scanned..].StartsWith("\uFEFF"u8))
                {
                    throw Unexpected(next);
                }
                scanned += 3;
                sawBytes = true;
                continue;
            }
            sawBytes = true;
            if (ReadStructure(next, ref complete))
            {
                return true;
            }
        }
        return false;
    }

    /// <inheritdoc/>
    public override StreamFrame TakeUnfinished(ReadOnlySpan<byte> buffer)
    {
        var frame = new StreamFrame { Start = frameStart, End = buffer.Length };
        if (place is Place.InElement or Place.InString or Place.AfterEscape)
        {
            (frame.DataOffset, frame.DataLength, frame.DataLines) = (elementStart, buffer.Length - elementStart, 1);
        }
        return frame;
    }

    /// <inheritdoc/>
    public override void Shift(int bytes)
    {
        frameStart -= bytes;
        separator = separator == NoPlace ? NoPlace : separator - bytes;
        elementStart -= bytes;
        scanned -= bytes;
    }

    /// <summary>Takes one byte that is no part of an element. True: an event is complete.</summary>
    private bool ReadStructure(byte next, ref StreamFrame complete)
    {
        switch (place, next)
        {
            case (Place.BeforeArray, (byte)'['):
                separator = scanned++;
                place = Place.BeforeElement;
                return false;
            case (Place.BeforeArray or Place.BeforeElement, (byte)'{'):
                elementStart = scanned++;
                depth = 1;
                place = Place.InElement;
                return false;
            case (Place.AfterElement, (byte)','):
                separator = scanned++;
                place = Place.BeforeElement;
                return false;
            case (Place.AfterElement or Place.BeforeElement, (byte)']'):
                separator = scanned++;
                place = Place.AfterAll;
                complete = Frame();
                return true;
            default:
                throw Unexpected(next);
        }
    }

    /// <summary>Reads on in an element, outside of strings. True: it is complete.</summary>
    private bool ReadElement(ReadOnlySpan<byte> buffer, ref StreamFrame complete)
    {
        var found = buffer[scanned..].IndexOfAny("\"{}[]"u8);
        if (found < 0)
        {
            scanned = buffer.Length;
            return false;
        }
        var what = buffer[scanned + found];
        scanned += found + 1;
        switch (what)
        {
            case (byte)'"':
                place = Place.InString;
                return false;
            case (byte)'{' or (byte)'[':
                depth++;
                return false;
        }
        if (--depth > 0)
        {
            return false;
        }
        place = separator == NoPlace ? Place.AfterAll : Place.AfterElement;
        complete = Frame();
        (complete.DataOffset, complete.DataLength, complete.DataLines) = (elementStart, scanned - elementStart, 1);
        return true;
    }

    private StreamFrame Frame()
    {
        var frame = new StreamFrame { Start = frameStart, End = scanned };
        if (separator != NoPlace)
        {
            (frame.NameOffset, frame.NameLength) = (separator, 1);
        }
        frameStart = scanned;
        return frame;
    }

    private bool TrySkipTo(ReadOnlySpan<byte> buffer, byte first, byte second, out byte stop)
    {
        var found = buffer[scanned..].IndexOfAny(first, second);
        stop = found < 0 ? default : buffer[scanned + found];
        scanned = found < 0 ? buffer.Length : scanned + found + 1;
        return found >= 0;
    }

    private static InvalidDataException Unexpected(byte next) => new($"A byte {next:x2} stands where no JSON array of objects has one.");
}
