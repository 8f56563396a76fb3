using System.Globalization;
using System.Text;
using System.Text.Unicode;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>
/// Reads the small fields of a form (<c>multipart/form-data</c>, RFC 7578) that route and bill it, and where they stand; files are stepped over.
/// What two readers of the form could understand differently is refused, so that what is billed is what the provider serves. A form may be read as it comes in:
/// no more of it is looked at twice than the headers of a part, a small field, and what may be the beginning of a boundary.
/// </summary>
internal sealed class FormFields
{
    private const int MaxParts = 1024;
    private const int MaxHeaderBytes = 8 * 1024;
    private const int MaxBoundary = 70;
    private const int MaxFieldBytes = 512;

    private static readonly GatewayError NoBoundary =
        new(400, "invalid_form", "The request's Content-Type must be 'multipart/form-data' with one 'boundary' of 1 to 70 characters.");

    private readonly byte[] delimiter;
    private readonly MediaEndpoint endpoint;
    private State state;
    private MediaMember member;
    private bool isFile, isKept;
    private int parts, seen;
    private long contentLength;

    private FormFields(byte[] delimiter, MediaEndpoint endpoint) => (this.delimiter, this.endpoint) = (delimiter, endpoint);

    private enum State
    {
        Start,
        Boundary,
        Headers,
        Content,
        End,
    }

    /// <summary>Whether a media type is that of a form.</summary>
    public static bool IsForm(string? contentType) => contentType is not null && contentType.AsSpan().TrimStart().StartsWith("multipart/form-data", StringComparison.OrdinalIgnoreCase);

    /// <summary>Reads a form that is held as a whole.</summary>
    /// <param name="body">The body.</param>
    /// <param name="contentType">The request's media type, which names the boundary.</param>
    /// <param name="endpoint">Which fields mean something.</param>
    /// <param name="fields">What was found.</param>
    /// <returns>Null, or why the form is refused.</returns>
    public static GatewayError? Read(ReadOnlySpan<byte> body, string contentType, MediaEndpoint endpoint, out MediaFields fields)
    {
        var form = TryBegin(contentType, endpoint, out var error);
        fields = form?.Fields ?? new MediaFields { IsForm = true };
        return error ?? form!.Read(body, 0, isLast: true, out _);
    }

    /// <summary>Begins to read a form that comes in piece by piece; null: its boundary is unclear, as the error says.</summary>
    public static FormFields? TryBegin(string contentType, MediaEndpoint endpoint, out GatewayError? error)
    {
        var boundary = BoundaryOf(contentType);
        error = boundary is null ? NoBoundary : null;
        return boundary is null ? null : new FormFields(Encoding.ASCII.GetBytes("--" + boundary), endpoint);
    }

    /// <summary>What was found so far.</summary>
    public MediaFields Fields { get; } = new() { IsForm = true };

    /// <summary>Whether what is read now is a file, or something else that means nothing here.</summary>
    public bool IsInContent => state == State.Content && !isKept;

    /// <summary>Reads on.</summary>
    /// <param name="data">What has come and was not consumed.</param>
    /// <param name="offset">Where that begins in the form.</param>
    /// <param name="isLast">Whether nothing follows it.</param>
    /// <param name="consumed">So many bytes need not be shown again.</param>
    /// <returns>Null, or why the form is refused.</returns>
    public GatewayError? Read(ReadOnlySpan<byte> data, long offset, bool isLast, out int consumed)
    {
        consumed = 0;
        while (true)
        {
            var before = (consumed, state);
            if (Step(data[consumed..], offset + consumed, isLast, ref consumed) is { } error)
            {
                return error;
            }
            if (before == (consumed, state))
            {
                return !isLast ? null : state != State.End ? Malformed("it ends in the middle of a part") : Fields.Model.Exists ? null : OpenAiErrors.Missing("model");
            }
        }
    }

    private GatewayError? Step(ReadOnlySpan<byte> rest, long offset, bool isLast, ref int consumed)
    {
        switch (state)
        {
            case State.Start:
                if (rest.StartsWith("\r\n"u8))
                {
                    return Malformed("it must begin with its boundary");
                }
                if (!rest.StartsWith(delimiter))
                {
                    return rest.Length < delimiter.Length && !isLast ? null : Malformed("it must begin with the boundary that the Content-Type names");
                }
                consumed += delimiter.Length;
                state = State.Boundary;
                return null;
            case State.Boundary:
                if (rest.Length < 2 && !isLast)
                {
                    return null;
                }
                var isEnd = rest.StartsWith("--"u8);
                if (!isEnd && !rest.StartsWith("\r\n"u8))
                {
                    return Malformed("a boundary is followed by neither a line break (CRLF) nor its end '--'");
                }
                if (!isEnd && ++parts > MaxParts)
                {
                    return Malformed($"it has more than {MaxParts} parts");
                }
                consumed += 2;
                state = isEnd ? State.End : State.Headers;
                return null;
            case State.Headers:
                return StepHeaders(rest, isLast, ref consumed);
            case State.Content:
                return StepContent(rest, offset, ref consumed);
            default:
                if (!rest.Trim("\r\n \t"u8).IsEmpty)
                {
                    return Malformed("something follows its end");
                }
                consumed += rest.Length;
                return null;
        }
    }

    private GatewayError? StepHeaders(ReadOnlySpan<byte> rest, bool isLast, ref int consumed)
    {
        var isComplete = rest.StartsWith("\r\n"u8) || rest[..Math.Min(rest.Length, MaxHeaderBytes)].IndexOf("\r\n\r\n"u8) >= 0;
        if (!isComplete && rest.Length < MaxHeaderBytes && !isLast)
        {
            return null;
        }
        if (!TryReadHeaders(rest, out var part, out var length))
        {
            return Malformed("a part lacks a plain 'Content-Disposition: form-data; name=\"…\"', or its headers exceed 8 KB");
        }
        consumed += length;
        state = State.Content;
        contentLength = 0;
        return Begin(part);
    }

    private GatewayError? StepContent(ReadOnlySpan<byte> rest, long offset, ref int consumed)
    {
        var length = FindEnd(rest, delimiter, contentLength == 0, out var isBroken);
        if (isBroken)
        {
            return Malformed("a boundary stands after a lone line feed");
        }
        if (length < 0)
        {
            if (isKept)
            {
                return rest.Length > MaxFieldBytes + delimiter.Length + 2 ? OpenAiErrors.Invalid(MediaMembers.NameOf(member), Expectation(member)) : null;
            }
            // What may be the beginning of a boundary is kept, and the line break before it.
            var passed = Math.Max(0, rest.Length - delimiter.Length - 1);
            consumed += passed;
            contentLength += passed;
            Fields.TextBytes += isFile ? 0 : passed;
            return null;
        }
        if (isKept && !TryTake(rest[..length], (int)offset, member, Fields))
        {
            return OpenAiErrors.Invalid(MediaMembers.NameOf(member), Expectation(member));
        }
        Fields.TextBytes += isFile ? 0 : length;
        consumed += length + 2 + delimiter.Length;
        state = State.Boundary;
        return null;
    }

    /// <summary>A part begins: what it is, and whether its content has to be read.</summary>
    private GatewayError? Begin(in PartHead part)
    {
        (member, isFile, isKept) = (MediaMembers.Find(part.Name, endpoint), part.IsFile, false);
        if (member is MediaMember.Images or MediaMember.Mask)
        {
            Fields.Images++;
            return null;
        }
        if (member is MediaMember.None or MediaMember.File)
        {
            return null;
        }
        if (isFile)
        {
            return OpenAiErrors.Invalid(MediaMembers.NameOf(member), "a plain field, not a file");
        }
        if (part.IsEncoded)
        {
            return OpenAiErrors.Invalid(MediaMembers.NameOf(member), "sent without a Content-Transfer-Encoding");
        }
        if ((seen & (1 << (int)member)) != 0)
        {
            return OpenAiErrors.Duplicated(MediaMembers.NameOf(member));
        }
        seen |= 1 << (int)member;
        Fields.Chunks |= member == MediaMember.Chunking;
        isKept = member != MediaMember.Chunking;
        return null;
    }

    private static GatewayError Malformed(string problem) => new(400, "invalid_form", $"The request body is no valid form: {problem}.");

    /// <summary>The length of a part's content: up to the line break before the next boundary; -1: there is none.</summary>
    private static int FindEnd(ReadOnlySpan<byte> content, ReadOnlySpan<byte> delimiter, bool isStart, out bool isBroken)
    {
        isBroken = false;
        var from = 0;
        while (true)
        {
            var found = content[from..].IndexOf(delimiter);
            if (found < 0)
            {
                return -1;
            }
            var at = from + found;
            if (at >= 2 && content[at - 1] == (byte)'\n' && content[at - 2] == (byte)'\r')
            {
                return at - 2;
            }
            if ((at == 0 && isStart) || (at > 0 && content[at - 1] is (byte)'\n' or (byte)'\r'))
            {
                // Some readers take this for a boundary and some do not.
                isBroken = true;
                return at;
            }
            from = at + 1;
        }
    }

    private static bool TryTake(ReadOnlySpan<byte> content, int start, MediaMember member, MediaFields fields)
    {
        if (content.Length > MaxFieldBytes || !Utf8.IsValid(content))
        {
            return false;
        }
        var text = Encoding.UTF8.GetString(content);
        switch (member)
        {
            case MediaMember.Model:
                fields.Model = new JsonSlice(start, content.Length);
                fields.ModelName = text;
                return content.Length > 0;
            case MediaMember.Count:
                var isCount = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var count) && count is >= 1 and <= JsonFields.MaxCount;
                fields.Count = isCount ? count : 1;
                return isCount;
            case MediaMember.PartialImages:
                var isPartial = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var partial) && partial is >= 0 and <= JsonFields.MaxCount;
                fields.PartialImages = isPartial ? partial : 0;
                return isPartial;
            case MediaMember.Stream:
                // As loose as the servers are that read forms: whatever is not plainly "no" may be "yes".
                fields.Stream = text.Length > 0 && !text.Equals("false", StringComparison.OrdinalIgnoreCase) && text != "0";
                return true;
            case MediaMember.Size:
                fields.Size = text;
                return true;
            case MediaMember.Quality:
                fields.Quality = text;
                return true;
            default:
                return true;
        }
    }

    private static string Expectation(MediaMember member) => member switch
    {
        MediaMember.Model => $"the name of a model in at most {MaxFieldBytes} bytes",
        MediaMember.Count => $"a whole number from 1 to {JsonFields.MaxCount}",
        MediaMember.PartialImages => $"a whole number from 0 to {JsonFields.MaxCount}",
        _ => $"a text of at most {MaxFieldBytes} bytes",
    };

    private static bool TryReadHeaders(ReadOnlySpan<byte> rest, out PartHead head, out int length)
    {
        head = default;
        length = 0;
        var hasName = false;
        while (true)
        {
            var end = rest[length..Math.Min(rest.Length, MaxHeaderBytes)].IndexOf("\r\n"u8);
            if (end < 0)
            {
                return false;
            }
            var line = rest.Slice(length, end);
            length += end + 2;
            if (line.IsEmpty)
            {
                return hasName;
            }
            if (line[0] is (byte)' ' or (byte)'\t' || line.ContainsAny((byte)'\n', (byte)'\r', (byte)0))
            {
                return false; // a folded line, or a line break that only some readers see
            }
            var colon = line.IndexOf((byte)':');
            if (colon <= 0)
            {
                return false;
            }
            var name = line[..colon];
            if (Ascii.EqualsIgnoreCase(name, "Content-Disposition"u8))
            {
                if (hasName || !TryReadDisposition(line[(colon + 1)..].Trim(" \t"u8), ref head))
                {
                    return false;
                }
                hasName = true;
            }
            else if (Ascii.EqualsIgnoreCase(name, "Content-Transfer-Encoding"u8))
            {
                var value = line[(colon + 1)..].Trim(" \t"u8);
                head.IsEncoded |= !Ascii.EqualsIgnoreCase(value, "binary"u8) && !Ascii.EqualsIgnoreCase(value, "8bit"u8) && !Ascii.EqualsIgnoreCase(value, "7bit"u8);
            }
        }
    }

    /// <summary>Reads <c>form-data; name="…"; filename="…"</c>. A name twice, or in a form that not every reader knows, is refused.</summary>
    private static bool TryReadDisposition(ReadOnlySpan<byte> value, ref PartHead head)
    {
        if (value.Length < 9 || !Ascii.EqualsIgnoreCase(value[..9], "form-data"u8))
        {
            return false;
        }
        value = value[9..].TrimStart(" \t"u8);
        var hasName = false;
        while (!value.IsEmpty)
        {
            if (value[0] != (byte)';')
            {
                return false;
            }
            value = value[1..].TrimStart(" \t"u8);
            if (value.IsEmpty)
            {
                break;
            }
            var equals = value.IndexOf((byte)'=');
            if (equals <= 0)
            {
                return false;
            }
            var name = value[..equals].TrimEnd(" \t"u8);
            value = value[(equals + 1)..].TrimStart(" \t"u8);
            if (!TryReadValue(ref value, out var text))
            {
                return false;
            }
            if (Ascii.EqualsIgnoreCase(name, "name"u8))
            {
                if (hasName || text.Contains((byte)'\\') || text.Contains((byte)'%'))
                {
                    return false;
                }
                hasName = true;
                head.Name = text;
            }
            else if (name.Length > 4 && Ascii.EqualsIgnoreCase(name[..5], "name*"u8))
            {
                return false;
            }
            else
            {
                head.IsFile |= name.Length >= 8 && Ascii.EqualsIgnoreCase(name[..8], "filename"u8);
            }
        }
        return hasName;
    }

    private static bool TryReadValue(scoped ref ReadOnlySpan<byte> value, out ReadOnlySpan<byte> text)
    {
        text = default;
        if (value.IsEmpty || value[0] != (byte)'"')
        {
            var end = value.IndexOfAny((byte)';', (byte)' ', (byte)'\t');
            text = end < 0 ? value : value[..end];
            value = end < 0 ? default : value[end..].TrimStart(" \t"u8);
            return !text.Contains((byte)'"');
        }
        for (var i = 1; i < value.Length; i++)
        {
            if (value[i] == (byte)'\\')
            {
                i++;
            }
            else if (value[i] == (byte)'"')
            {
                text = value[1..i];
                value = value[(i + 1)..].TrimStart(" \t"u8);
                return true;
            }
        }
        return false;
    }

    private static string? BoundaryOf(string contentType)
    {
        string? found = null;
        foreach (var parameter in contentType.Split(';').Skip(1))
        {
            var equals = parameter.IndexOf('=', StringComparison.Ordinal);
            if (equals < 0 || !parameter.AsSpan(0, equals).Trim().Equals("boundary", StringComparison.OrdinalIgnoreCase))
            {
                continue;
            }
            if (found is not null)
            {
                return null;
            }
            found = parameter[(equals + 1)..].Trim();
            found = found is ['"', .., '"'] ? found[1..^1] : found;
        }
        return found is { Length: > 0 and <= MaxBoundary } && !found.AsSpan().ContainsAnyExceptInRange('!', '~') && !found.AsSpan().ContainsAny('"', '\\') ? found : null;
    }

    private ref struct PartHead
    {
        public ReadOnlySpan<byte> Name;

        public bool IsFile;

        public bool IsEncoded;
    }
}
