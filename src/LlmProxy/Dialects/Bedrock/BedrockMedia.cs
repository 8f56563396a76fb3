using System.Text.RegularExpressions;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Images, documents, films and sounds: <c>{"format","source":{"bytes"|"s3Location"|"text"}}</c>, a document with a name besides.</summary>
internal static partial class BedrockMedia
{
    private static readonly (string Format, string Type)[] Documents =
    [
        ("pdf", "application/pdf"), ("csv", "text/csv"), ("doc", "application/msword"), ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        ("xls", "application/vnd.ms-excel"), ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"), ("html", "text/html"), ("txt", "text/plain"), ("md", "text/markdown"),
    ];

    private static readonly string[] Images = ["png", "jpeg", "gif", "webp"];
    private static readonly string[] Videos = ["mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"];
    private static readonly string[] Sounds = ["mp3", "opus", "wav", "aac", "flac", "mp4", "ogg", "mkv", "mka", "x-aac", "m4a", "mpeg", "mpga", "pcm", "webm"];

    /// <summary>Reads one; null: it is of a kind that only this dialect has.</summary>
    /// <param name="value">The object.</param>
    /// <param name="kind">What it is.</param>
    /// <param name="block">What it is called in its block, which stands before the names of members that are kept.</param>
    /// <param name="isReshaped">Whether the part says it in another shape.</param>
    public static MediaPart? Read(JsonValue value, MediaKind kind, ReadOnlySpan<byte> block, out bool isReshaped)
    {
        isReshaped = false;
        var isPart = false;
        var members = JsonMembers.Of(value.Raw);
        var (format, source, name) = (members.Take("format"u8), members.Take("source"u8), members.Take("name"u8).Text);
        if (!source.IsObject)
        {
            return null;
        }
        var inner = JsonMembers.Of(source.Raw);
        var (bytes, place, text) = (inner.Take("bytes"u8).Text, inner.Take("s3Location"u8), inner.Take("text"u8).Text);
        var type = format.IsText ? JsonText.From(TypeOf(kind, format.Text.ToString())) : default;
        var location = place.IsObject ? JsonMembers.Of(place.Raw) : new JsonMembers();
        var uri = location.Take("uri"u8).Text;
        if (!bytes.Exists && !uri.Exists && !text.Exists && inner.Take("content"u8) is { IsArray: true } content)
        {
            (text, isReshaped) = (Joined(content, out isPart), true);
        }
        if (!bytes.Exists && !uri.Exists && !text.Exists)
        {
            return null;
        }
        var part = new MediaPart { Kind = kind, MediaType = type, Data = bytes, Url = uri, Text = text, Name = name };
        members.LeaveTo(part.Extensions, [.. block, (byte)'.']);
        inner.LeaveTo(part.Extensions, [.. block, .. ".source."u8]);
        location.LeaveTo(part.Extensions, [.. block, .. ".source.s3Location."u8]);
        if (isPart)
        {
            part.Extensions.Lose(System.Text.Encoding.UTF8.GetString(block) + ".source.content[]");
        }
        isReshaped |= format.IsText && !format.Is(System.Text.Encoding.UTF8.GetBytes(FormatOf(part) ?? ""));
        return part;
    }

    /// <summary>A document that is given in pieces, as one text.</summary>
    private static JsonText Joined(JsonValue content, out bool isPart)
    {
        isPart = false;
        var texts = new List<string>();
        var elements = new JsonArrayReader(content);
        while (elements.Next(out var element))
        {
            var members = element.IsObject ? JsonMembers.Of(element.Raw) : new JsonMembers();
            var text = members.Take("text"u8);
            isPart |= !text.IsText || !members.IsEmpty;
            if (text.IsText)
            {
                texts.Add(text.Text.ToString());
            }
        }
        return texts.Count == 0 ? default : JsonText.From(string.Join('\n', texts));
    }

    /// <summary>The format of a medium as Bedrock names it; null: it takes none of the kind.</summary>
    public static string? FormatOf(MediaPart media)
    {
        var type = media.MediaType.ToString().Split(';')[0].Trim().ToLowerInvariant();
        var last = type[(type.IndexOf('/', StringComparison.Ordinal) + 1)..];
        return media.Kind switch
        {
            MediaKind.Image => Array.Find(Images, format => format == (last == "jpg" ? "jpeg" : last)),
            MediaKind.Video => Array.Find(Videos, format => format == last switch { "quicktime" => "mov", "x-matroska" => "mkv", "x-flv" => "flv", "x-ms-wmv" => "wmv", "3gpp" => "three_gp", _ => last }),
            MediaKind.Audio => Array.Find(Sounds, format => format == (last == "x-wav" ? "wav" : last)),
            _ => media.Text.Exists && type.Length == 0 ? "txt" : Array.Find(Documents, row => row.Type == type || row.Format == type).Format,
        };
    }

    /// <summary>A document's name as Bedrock takes it: letters, digits, single spaces, hyphens, parentheses and square brackets, at most 200. A name without any is <c>document</c>.</summary>
    public static string NameOf(JsonText name)
    {
        var clean = Spaces().Replace(Others().Replace(name.ToString(), "-"), " ").Trim();
        return clean.Length == 0 ? "document" : clean.Length > 200 ? clean[..200].Trim() : clean;
    }

    private static string TypeOf(MediaKind kind, string format) => kind switch
    {
        MediaKind.Image => "image/" + format,
        MediaKind.Video => "video/" + format switch { "mov" => "quicktime", "mkv" => "x-matroska", "three_gp" => "3gpp", _ => format },
        MediaKind.Audio => "audio/" + format,
        _ => Array.Find(Documents, row => row.Format == format).Type ?? format,
    };

    [GeneratedRegex("[^A-Za-z0-9 \\-()\\[\\]]")]
    private static partial Regex Others();

    [GeneratedRegex(" {2,}")]
    private static partial Regex Spaces();
}
