using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Gateway.Connecting;

/// <summary>A client's file cannot be changed safely. The message is for people.</summary>
internal sealed class JsonFileException(string message) : Exception(message);

/// <summary>
/// Puts members into a JSON file that belongs to somebody else: every other byte stays, comments and order included, and what was there before is kept beside it.
/// </summary>
internal static class JsonFile
{
    /// <summary>The largest file that is changed; clients' files are far smaller.</summary>
    public const int MaxBytes = 16 * 1024 * 1024;

    private static readonly JsonReaderOptions Tolerant = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
    private static readonly JsonDocumentOptions TolerantDocument = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>Changes a file, or makes it.</summary>
    /// <param name="path">The file; a link is followed.</param>
    /// <param name="additions">What it shall hold.</param>
    /// <param name="now">Part of the backup's name.</param>
    /// <returns>The backup; "" if there was no file; null if it held all that already, and was left alone.</returns>
    /// <exception cref="JsonFileException">It is not JSON of the expected shape, or cannot be read or written.</exception>
    public static string? Merge(string path, IReadOnlyList<JsonAddition> additions, DateTimeOffset now)
    {
        try
        {
            var link = new FileInfo(path);
            path = link.LinkTarget is null ? path : link.ResolveLinkTarget(returnFinalTarget: true)!.FullName;
            var exists = File.Exists(path);
            if (exists && new FileInfo(path).Length > MaxBytes)
            {
                throw new JsonFileException($"'{path}' is larger than {MaxBytes} bytes; it is left alone.");
            }
            var before = exists ? File.ReadAllBytes(path) : [];
            var after = Merge(before, additions, path);
            if (exists && after.AsSpan().SequenceEqual(before))
            {
                return null;
            }
            return Replace(path, after, exists, now);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new JsonFileException($"'{path}' cannot be changed: {exception.Message}");
        }
    }

    /// <summary>The text with the members in it.</summary>
    internal static byte[] Merge(byte[] text, IReadOnlyList<JsonAddition> additions, string path)
    {
        var mark = text.AsSpan().StartsWith("\uFEFF"u8) ? 3 : 0;
        if (text.AsSpan(mark).Trim(" \t\r\n"u8).IsEmpty)
        {
            text = [.. text.AsSpan(0, mark), .. "{}\n"u8];
        }
        foreach (var addition in additions)
        {
            try
            {
                text = [.. text.AsSpan(0, mark), .. Add(text.AsSpan(mark), addition, path)];
            }
            catch (JsonException exception)
            {
                throw new JsonFileException($"'{path}' is not valid JSON (line {exception.LineNumber + 1}): mend it first; it is left alone.");
            }
        }
        return text;
    }

    private static byte[] Add(ReadOnlySpan<byte> text, JsonAddition addition, string path)
    {
        var root = Find(text, 0, addition.Parent, path);
        if (root.IsEmpty)
        {
            JsonNode parent = IsList(addition) ? new JsonArray(addition.Value.DeepClone()) : new JsonObject { [addition.Name] = addition.Value.DeepClone() };
            return Insert(text, root, Member(addition.Parent, parent, 1), 1);
        }
        var isList = text[root.Start] == (byte)'[';
        if (isList != IsList(addition) || (!isList && text[root.Start] != (byte)'{'))
        {
            throw new JsonFileException($"'{path}': '{addition.Parent}' is not {(IsList(addition) ? "a list" : "an object")}; it is left alone.");
        }
        var entry = isList ? FindInList(text, root.Start, addition.Name) : Find(text, root.Start, addition.Name, path);
        if (entry.IsEmpty)
        {
            var inner = isList ? Write(addition.Value, 2) : Member(addition.Name, addition.Value, 2);
            return Insert(text, entry, inner, 2);
        }
        var there = JsonNode.Parse(text[entry.Start..entry.End], documentOptions: TolerantDocument);
        return JsonNode.DeepEquals(there, addition.Value) ? text.ToArray() : [.. text[..entry.Start], .. Encoding.UTF8.GetBytes(Write(addition.Value, 2)), .. text[entry.End..]];
    }

    // The one list among the clients' files is VS Code's list of inputs.
    private static bool IsList(JsonAddition addition) => addition.Parent == "inputs";

    /// <summary>Puts the first element into an object or a list: in front of all others, no comma or comment has to be minded.</summary>
    private static byte[] Insert(ReadOnlySpan<byte> text, Place place, string element, int depth)
    {
        var indent = new string(' ', depth * 2);
        var head = $"\n{indent}{element}{(place.HasOthers ? "," : $"\n{indent[2..]}")}";
        return [.. text[..place.Inside], .. Encoding.UTF8.GetBytes(head), .. text[place.Inside..]];
    }

    private static string Member(string name, JsonNode value, int depth) => $"{JsonValue.Create(name).ToJsonString()}: {Write(value, depth)}";

    private static string Write(JsonNode value, int depth) => value.ToJsonString(Indented).Replace("\n", "\n" + new string(' ', depth * 2), StringComparison.Ordinal);

    /// <summary>Finds a member of the object that begins at or after a place; the text is checked to its end.</summary>
    private static Place Find(ReadOnlySpan<byte> text, int from, string name, string path)
    {
        var reader = new Utf8JsonReader(text[from..], from == 0 ? Tolerant : Tolerant with { AllowMultipleValues = true });
        reader.Read();
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            throw new JsonFileException($"'{path}' does not hold a JSON object; it is left alone.");
        }
        var place = new Place { Inside = from + (int)reader.BytesConsumed };
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIt = reader.ValueTextEquals(name);
            reader.Read();
            var start = from + (int)reader.TokenStartIndex;
            reader.Skip();
            if (isIt && !place.IsEmpty)
            {
                throw new JsonFileException($"'{path}' holds '{name}' twice; it is left alone.");
            }
            place = isIt ? place with { Start = start, End = from + (int)reader.BytesConsumed, HasOthers = true } : place with { HasOthers = true };
        }
        while (from == 0 && reader.Read())
        {
        }
        return place;
    }

    private static Place FindInList(ReadOnlySpan<byte> text, int from, string id)
    {
        var reader = new Utf8JsonReader(text[from..], Tolerant with { AllowMultipleValues = true });
        reader.Read();
        var place = new Place { Inside = from + (int)reader.BytesConsumed };
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = from + (int)reader.TokenStartIndex;
            reader.Skip();
            var end = from + (int)reader.BytesConsumed;
            var isIt = JsonNode.Parse(text[start..end], documentOptions: TolerantDocument) is JsonObject item && item["id"] is JsonValue value && value.TryGetValue(out string? found) && found == id;
            place = isIt && place.IsEmpty ? place with { Start = start, End = end, HasOthers = true } : place with { HasOthers = true };
        }
        return place;
    }

    private static string Replace(string path, byte[] text, bool exists, DateTimeOffset now)
    {
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
        var backup = exists ? $"{path}.{now.UtcDateTime:yyyyMMdd'T'HHmmssfff'Z'}.bak" : "";
        if (exists)
        {
            File.Copy(path, backup, overwrite: false);
        }
        // In one step, so that a client never reads half a file. It may hold a key, so that a new one is its owner's alone.
        var unfinished = $"{path}.{Guid.NewGuid():N}.tmp";
        try
        {
            var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write };
            if (!OperatingSystem.IsWindows())
            {
                options.UnixCreateMode = exists ? File.GetUnixFileMode(path) : UnixFileMode.UserRead | UnixFileMode.UserWrite;
            }
            using (var file = new FileStream(unfinished, options))
            {
                file.Write(text);
                file.Flush(flushToDisk: true);
            }
            File.Move(unfinished, path, overwrite: true);
        }
        catch
        {
            File.Delete(unfinished);
            throw;
        }
        return backup;
    }

    /// <summary>Where a value is, or where it would begin.</summary>
    private readonly record struct Place
    {
        public int Start { get; init; }

        public int End { get; init; }

        public int Inside { get; init; }

        public bool HasOthers { get; init; }

        public bool IsEmpty => End == 0;
    }
}
