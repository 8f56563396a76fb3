using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// Puts together a call's arguments that Google streams as values at JSON paths (<c>partialArgs</c>, on request of <c>streamFunctionCallArguments</c>): whatever is certain of
/// their JSON text is written as soon as it is. Google sends them in the order of the text; values in another order cannot be written any more, and are refused.
/// </summary>
internal sealed class GeminiPartialArgs
{
    private const int MaxDepth = 64;

    /// <summary>A list that skips more places than this is none that a model meant.</summary>
    private const int MaxGap = 256;

    private readonly List<Frame> frames = [];
    private readonly List<Step> openText = [];
    private bool isTextOpen;

    /// <summary>Takes an array of pieces, raw, and writes what follows from it. False: the pieces make no JSON; what was written is to be thrown away.</summary>
    public bool TryWrite(ReadOnlySpan<byte> pieces, IBufferWriter<byte> json)
    {
        var reader = new Utf8JsonReader(pieces, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject || !TryWritePiece(ref reader, pieces, json))
            {
                return false;
            }
        }
        return true;
    }

    /// <summary>Writes the rest: the arguments are complete.</summary>
    public void End(IBufferWriter<byte> json)
    {
        CloseText(json);
        if (frames.Count == 0)
        {
            json.Write("{}"u8);
            return;
        }
        CloseTo(0, json);
        json.Write("}"u8);
        frames.Clear();
    }

    private bool TryWritePiece(ref Utf8JsonReader reader, ReadOnlySpan<byte> pieces, IBufferWriter<byte> json)
    {
        string? path = null;
        ReadOnlySpan<byte> value = default;
        var goesOn = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isPath = GeminiNames.Is(ref reader, "jsonPath"u8);
            var isValue = GeminiNames.Is(ref reader, "stringValue"u8) || GeminiNames.Is(ref reader, "numberValue"u8) || GeminiNames.Is(ref reader, "boolValue"u8);
            var isNull = GeminiNames.Is(ref reader, "nullValue"u8);
            var isMore = GeminiNames.Is(ref reader, "willContinue"u8);
            reader.Read();
            if (isPath && reader.TokenType == JsonTokenType.String)
            {
                path = reader.ValueIsEscaped ? JsonStrings.Unescape(reader.ValueSpan) : Encoding.UTF8.GetString(reader.ValueSpan);
            }
            else if (isNull)
            {
                value = "null"u8;
            }
            else if (isValue && reader.TokenType is JsonTokenType.String or JsonTokenType.Number or JsonTokenType.True or JsonTokenType.False)
            {
                value = pieces[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];
            }
            else if (isMore)
            {
                goesOn = reader.TokenType == JsonTokenType.True;
            }
            reader.Skip();
        }
        if (path is null)
        {
            return false;
        }
        return value.IsEmpty || (TryParse(path, out var steps) && TryPlace(steps, value, goesOn, json));
    }

    private bool TryPlace(List<Step> steps, ReadOnlySpan<byte> value, bool goesOn, IBufferWriter<byte> json)
    {
        var isText = value[0] == (byte)'"';
        if (isTextOpen && isText && steps.SequenceEqual(openText))
        {
            json.Write(value[1..^1]);
            if (!goesOn)
            {
                CloseText(json);
            }
            return true;
        }
        CloseText(json);
        if (frames.Count == 0)
        {
            frames.Add(new Frame(isList: false));
            json.Write("{"u8);
        }
        var depth = 0;
        while (depth < steps.Count - 1 && depth < frames.Count - 1 && frames[depth].Current == steps[depth])
        {
            depth++;
        }
        CloseTo(depth, json);
        for (; depth < steps.Count; depth++)
        {
            if (!TryBegin(frames[depth], steps[depth], json))
            {
                return false;
            }
            if (depth < steps.Count - 1)
            {
                var isList = steps[depth + 1].Name is null;
                json.Write(isList ? "["u8 : "{"u8);
                frames.Add(new Frame(isList));
            }
        }
        if (isText && goesOn)
        {
            json.Write(value[..^1]);
            isTextOpen = true;
            openText.AddRange(steps);
        }
        else
        {
            json.Write(value);
        }
        return true;
    }

    /// <summary>Begins a member or an element. False: it was there already, or the container is of the other kind.</summary>
    private static bool TryBegin(Frame frame, Step step, IBufferWriter<byte> json)
    {
        if (frame.IsList != step.Name is null)
        {
            return false;
        }
        if (frame.IsList)
        {
            if (step.Index < frame.Count || step.Index - frame.Count > MaxGap)
            {
                return false;
            }
            for (; frame.Count < step.Index; frame.Count++)
            {
                json.Write(frame.Count > 0 ? ",null"u8 : "null"u8);
            }
        }
        else if (!frame.Names.Add(step.Name!))
        {
            return false;
        }
        if (frame.Count++ > 0)
        {
            json.Write(","u8);
        }
        if (!frame.IsList)
        {
            json.Write("\""u8);
            json.Write(JsonEncodedText.Encode(step.Name!, JavaScriptEncoder.UnsafeRelaxedJsonEscaping).EncodedUtf8Bytes);
            json.Write("\":"u8);
        }
        frame.Current = step;
        return true;
    }

    private void CloseText(IBufferWriter<byte> json)
    {
        if (isTextOpen)
        {
            json.Write("\""u8);
            isTextOpen = false;
            openText.Clear();
        }
    }

    private void CloseTo(int depth, IBufferWriter<byte> json)
    {
        for (var i = frames.Count - 1; i > depth; i--)
        {
            json.Write(frames[i].IsList ? "]"u8 : "}"u8);
            frames.RemoveAt(i);
        }
    }

    /// <summary>Reads a path such as <c>$.recipe.steps[2]['the rest']</c>.</summary>
    private static bool TryParse(string path, out List<Step> steps)
    {
        steps = [];
        var rest = path.AsSpan();
        rest = rest.StartsWith("$") ? rest[1..] : rest;
        if (rest.Length > 0 && rest[0] is not ('.' or '['))
        {
            rest = $".{rest}";
        }
        while (!rest.IsEmpty && steps.Count < MaxDepth)
        {
            if (rest[0] == '.')
            {
                var end = rest[1..].IndexOfAny('.', '[');
                var name = end < 0 ? rest[1..] : rest.Slice(1, end);
                if (name.IsEmpty)
                {
                    return false;
                }
                steps.Add(new Step(name.ToString(), 0));
                rest = rest[(name.Length + 1)..];
                continue;
            }
            if (rest[0] != '[' || !TryParseBracket(ref rest, steps))
            {
                return false;
            }
        }
        return rest.IsEmpty && steps.Count > 0 && steps[0].Name is not null;
    }

    private static bool TryParseBracket(ref ReadOnlySpan<char> rest, List<Step> steps)
    {
        if (rest.Length > 2 && rest[1] is '\'' or '"')
        {
            var quote = rest[1];
            var name = new StringBuilder();
            var at = 2;
            for (; at < rest.Length && rest[at] != quote; at++)
            {
                at += rest[at] == '\\' && at + 1 < rest.Length ? 1 : 0;
                name.Append(rest[at]);
            }
            if (at + 1 >= rest.Length || rest[at + 1] != ']')
            {
                return false;
            }
            steps.Add(new Step(name.ToString(), 0));
            rest = rest[(at + 2)..];
            return true;
        }
        var close = rest.IndexOf(']');
        if (close < 2 || !int.TryParse(rest[1..close], NumberStyles.None, CultureInfo.InvariantCulture, out var index))
        {
            return false;
        }
        steps.Add(new Step(null, index));
        rest = rest[(close + 1)..];
        return true;
    }

    /// <summary>One step of a path.</summary>
    /// <param name="Name">A member's name; null: an element of a list.</param>
    /// <param name="Index">The element's place.</param>
    private readonly record struct Step(string? Name, int Index);

    private sealed class Frame(bool isList)
    {
        public bool IsList => isList;

        public int Count { get; set; }

        public Step Current { get; set; }

        public HashSet<string> Names { get; } = isList ? null! : new(StringComparer.Ordinal);
    }
}
