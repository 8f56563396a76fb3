using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Media and files as Google takes them.</summary>
internal static class GeminiFiles
{
    private static ReadOnlySpan<byte> FilesApi => "https://generativelanguage.googleapis.com/"u8;

    /// <summary>Whether an address is one that only Google can open: its Files API or Cloud Storage.</summary>
    public static bool IsGoogles(JsonText uri)
    {
        var text = Plain(uri);
        return text.StartsWith(FilesApi) || text.StartsWith("gs://"u8) || text.StartsWith("files/"u8);
    }

    /// <summary>Whether Google fetches an address itself: HTTPS, YouTube among it, and Cloud Storage.</summary>
    public static bool IsFetched(JsonText uri) => Plain(uri).StartsWith("https://"u8) || Plain(uri).StartsWith("gs://"u8);

    /// <summary>Whether an address is a film on YouTube, which needs no media type.</summary>
    public static bool IsYouTube(JsonText uri)
    {
        var text = Plain(uri);
        return text.StartsWith("https://www.youtube.com/watch"u8) || text.StartsWith("https://youtube.com/watch"u8) || text.StartsWith("https://youtu.be/"u8);
    }

    /// <summary>What a medium is, by its type, else by its address.</summary>
    public static MediaKind KindOf(JsonText type, JsonText uri, bool isInline)
    {
        if (!type.Exists && !isInline)
        {
            type = IsYouTube(uri) ? JsonText.From("video/mp4") : TypeByName(uri);
        }
        return GeminiMediaTypes.KindOf(type.Escaped.Span.Contains((byte)'\\') ? type.Decode() : type.Escaped.Span) switch
        {
            GeminiMedia.Image => MediaKind.Image,
            GeminiMedia.Audio => MediaKind.Audio,
            GeminiMedia.Video => MediaKind.Video,
            _ => MediaKind.Document,
        };
    }

    /// <summary>The media type that an address's ending stands for, or none.</summary>
    public static JsonText TypeByName(JsonText uri)
    {
        var text = uri.ToString();
        var end = text.AsSpan().IndexOfAny('?', '#');
        var path = end < 0 ? text.AsSpan() : text.AsSpan(0, end);
        var dot = path.LastIndexOf('.');
        var slash = path.LastIndexOf('/');
        if (dot < 0 || dot < slash || path.Length - dot > 8)
        {
            return default;
        }
        var type = path[(dot + 1)..].ToString().ToLowerInvariant() switch
        {
            "png" => "image/png",
            "jpg" or "jpeg" => "image/jpeg",
            "webp" => "image/webp",
            "gif" => "image/gif",
            "heic" => "image/heic",
            "heif" => "image/heif",
            "bmp" => "image/bmp",
            "pdf" => "application/pdf",
            "txt" => "text/plain",
            "md" => "text/markdown",
            "html" or "htm" => "text/html",
            "csv" => "text/csv",
            "xml" => "text/xml",
            "json" => "application/json",
            "mp4" => "video/mp4",
            "mov" => "video/mov",
            "webm" => "video/webm",
            "mpg" or "mpeg" => "video/mpeg",
            "mp3" => "audio/mp3",
            "wav" => "audio/wav",
            "flac" => "audio/flac",
            "ogg" => "audio/ogg",
            "aac" => "audio/aac",
            "aiff" => "audio/aiff",
            "m4a" => "audio/m4a",
            _ => null,
        };
        return JsonText.FromNullable(type);
    }

    /// <summary>The media type of data, by its first bytes, or none.</summary>
    /// <param name="base64">The data in base64.</param>
    public static JsonText TypeByContent(JsonText base64)
    {
        var head = base64.Escaped.Span;
        return head.StartsWith("iVBORw0KGgo"u8) ? JsonText.From("image/png")
            : head.StartsWith("/9j/"u8) || head.StartsWith("\\/9j\\/"u8) ? JsonText.From("image/jpeg")
            : head.StartsWith("R0lGOD"u8) ? JsonText.From("image/gif")
            : head.StartsWith("UklGR"u8) && head.Length > 16 && head[12..].StartsWith("RUJQ"u8) ? JsonText.From("image/webp")
            : head.StartsWith("JVBERi0"u8) ? JsonText.From("application/pdf")
            : default;
    }

    /// <summary>Base64 of RFC 4648 section 4 for what proto3's JSON mapping also takes: the URL-safe alphabet, and no padding.</summary>
    public static JsonText StandardBase64(JsonText data)
    {
        var escaped = data.Escaped.Span;
        var isUrlSafe = escaped.IndexOfAny((byte)'-', (byte)'_') >= 0;
        var hasEscapes = escaped.Contains((byte)'\\');
        var missing = hasEscapes ? 0 : (4 - (escaped.Length % 4)) % 4;
        if (!isUrlSafe && missing == 0)
        {
            return data;
        }
        var standard = new byte[escaped.Length + (missing == 3 ? 0 : missing)];
        escaped.CopyTo(standard);
        standard.AsSpan(escaped.Length).Fill((byte)'=');
        standard.AsSpan().Replace((byte)'-', (byte)'+');
        standard.AsSpan().Replace((byte)'_', (byte)'/');
        return JsonText.FromEscaped(standard);
    }

    private static ReadOnlySpan<byte> Plain(JsonText text) => text.Escaped.Span.Contains((byte)'\\') ? text.Decode() : text.Escaped.Span;
}

/// <summary>Kinds of output. Without a word, a model puts out what it is for.</summary>
internal static class GeminiModalities
{
    /// <summary>The kinds to name for those that are wanted besides text: sound comes alone, images come with text.</summary>
    public static IEnumerable<string> Usual(IReadOnlyCollection<string> besidesText) =>
        besidesText.Count == 0 ? [] : besidesText.Contains("image") ? besidesText.Prepend("text") : besidesText;

    /// <summary>Whether what was written is what <see cref="Usual"/> makes of it.</summary>
    public static bool IsUsual(IReadOnlyCollection<JsonText> written, IReadOnlyCollection<string> besidesText) =>
        besidesText.Count == 0 ? written.Count <= 1 : written.Select(modality => modality.ToString().ToLowerInvariant()).SequenceEqual(Usual(besidesText));
}
