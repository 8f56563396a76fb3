using System.Buffers.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using LlmProxy.Relay;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>Reads a request's body once for what bills it. A member that is routed or billed may stand only once, in whichever spelling.</summary>
internal ref struct GeminiScan
{
    private const int MaxCandidates = 1024;

    // Sections of the body that may stand only once.
    private const int Contents = 1, Instruction = 2, Config = 4, Tools = 8, Tier = 16, Cached = 32, Model = 64;

    // And of generationConfig.
    private const int Limit = 1, Candidates = 2, Modalities = 4;

    private Utf8JsonReader reader;
    private RoutedFields fields;
    private int seen;
    private string? wrong;
    private string expected;

    private GeminiScan(ReadOnlySpan<byte> body, in RoutedFields preset)
    {
        reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });
        fields = preset;
        fields.Choices = Math.Max(1, preset.Choices);
        expected = "";
    }

    /// <summary>Scans a body of <c>:generateContent</c> or <c>:streamGenerateContent</c>.</summary>
    public static GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields)
    {
        var scan = new GeminiScan(body, fields);
        try
        {
            var error = scan.Run();
            fields = scan.fields;
            return error;
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
    }

    /// <summary>Scans a body of an endpoint that generates nothing: <c>content</c>, <c>contents</c>, or several requests that have one.</summary>
    /// <param name="body">The body.</param>
    /// <param name="fields">Receives what bills it, and the first member that names the model.</param>
    /// <param name="models">Receives every member that names the model, where it is given.</param>
    public static GatewayError? ScanContent(ReadOnlySpan<byte> body, ref RoutedFields fields, List<JsonSlice>? models = null)
    {
        var scan = new GeminiScan(body, fields);
        try
        {
            if (!scan.reader.Read() || scan.reader.TokenType != JsonTokenType.StartObject)
            {
                return OpenAiErrors.NotAnObject;
            }
            scan.TakeRequest(models, isOuter: true);
            fields = scan.fields;
            return scan.wrong is { } wrong ? OpenAiErrors.Invalid(wrong, scan.expected) : scan.reader.Read() ? OpenAiErrors.NotAnObject : null;
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
    }

    /// <summary>Reads the object that the reader stands on.</summary>
    private void TakeRequest(List<JsonSlice>? models, bool isOuter)
    {
        while (wrong is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isModel, isContent, isContents) = (GeminiNames.Is(ref reader, "model"u8), GeminiNames.Is(ref reader, "content"u8), GeminiNames.Is(ref reader, "contents"u8));
            var (isMany, isOne) = (isOuter && GeminiNames.Is(ref reader, "requests"u8), isOuter && GeminiNames.Is(ref reader, "generateContentRequest"u8));
            reader.Read();
            var start = (int)reader.TokenStartIndex;
            if (isModel && reader.TokenType == JsonTokenType.String)
            {
                var slice = new JsonSlice(start, (int)reader.BytesConsumed - start);
                fields.Model = fields.Model.Exists ? fields.Model : slice;
                models?.Add(slice);
            }
            else if (isContent)
            {
                TakeContent("content");
            }
            else if (isContents)
            {
                TakeContents("contents");
            }
            else if (isOne && reader.TokenType == JsonTokenType.StartObject)
            {
                TakeRequest(models, isOuter: false);
            }
            else if (isMany && reader.TokenType == JsonTokenType.StartArray)
            {
                while (wrong is null && reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (reader.TokenType != JsonTokenType.StartObject)
                    {
                        Wrong("requests", "an array of objects");
                        return;
                    }
                    TakeRequest(models, isOuter: false);
                }
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <summary>Puts the edits into a body that was scanned.</summary>
    public static void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits)
    {
        if (edit.Model is { } model && fields.Model.Exists)
        {
            edits.Add(fields.Model.Offset, fields.Model.Length, ResourceName(model));
        }
        var inserted = edit.BesideLimit ?? [];
        if (edit.OutputLimit is { } limit)
        {
            var digits = Digits(limit);
            if (!fields.MaxTokens.Value.Exists)
            {
                inserted = [.. "\"maxOutputTokens\":"u8, .. digits, .. inserted.Length > 0 ? ","u8 : ""u8, .. inserted];
            }
            else if (fields.MaxTokens.Tokens is null || fields.MaxTokens.Tokens > limit)
            {
                edits.Add(fields.MaxTokens.Value.Offset, fields.MaxTokens.Value.Length, digits);
            }
        }
        if (inserted.Length > 0)
        {
            RouteDefaults.AddTo(body, fields.LimitContainer, "generationConfig"u8, inserted, body.IndexOf((byte)'{') + 1, edits);
        }
    }

    /// <summary>The resource name <c>models/…</c> of a model, as a JSON string.</summary>
    public static byte[] ResourceName(ReadOnlySpan<byte> quoted) => [.. "\"models/"u8, .. quoted[1..]];

    private GatewayError? Run()
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.NotAnObject;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (TakeMember() is { } error)
            {
                return error;
            }
        }
        return reader.Read() ? OpenAiErrors.NotAnObject : null;
    }

    private GatewayError? TakeMember()
    {
        var (section, name) = Section();
        reader.Read();
        if (section == 0)
        {
            reader.Skip();
            return null;
        }
        if ((seen & section) != 0)
        {
            return OpenAiErrors.Duplicated(name);
        }
        seen |= section;
        var start = (int)reader.TokenStartIndex;
        var taken = section switch
        {
            Contents => TakeContents(name),
            Instruction => TakeContent(name),
            Config => TakeConfig(start),
            Tools => TakeTools(),
            Tier => TakeTier(),
            Cached => TakeCached(),
            _ => TakeModel(start),
        };
        return wrong is not null ? OpenAiErrors.Invalid(wrong, expected)
            : taken is { } duplicate ? OpenAiErrors.Duplicated(duplicate)
            : null;
    }

    private (int Section, string Name) Section() =>
        GeminiNames.Is(ref reader, "contents"u8) ? (Contents, "contents")
        : GeminiNames.Is(ref reader, "systemInstruction"u8) ? (Instruction, "systemInstruction")
        : GeminiNames.Is(ref reader, "generationConfig"u8) ? (Config, "generationConfig")
        : GeminiNames.Is(ref reader, "tools"u8) ? (Tools, "tools")
        : GeminiNames.Is(ref reader, "serviceTier"u8) ? (Tier, "serviceTier")
        : GeminiNames.Is(ref reader, "cachedContent"u8) ? (Cached, "cachedContent")
        : GeminiNames.Is(ref reader, "model"u8) ? (Model, "model")
        : (0, "");

    /// <summary>Notes that a value is not what it must be.</summary>
    private string? Wrong(string name, string what)
    {
        (wrong, expected) = (name, what);
        return null;
    }

    private string? TakeModel(int start)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            return Wrong("model", "a string");
        }
        fields.Model = new JsonSlice(start, (int)reader.BytesConsumed - start);
        return null;
    }

    private string? TakeTier()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }
        if (reader.TokenType != JsonTokenType.String)
        {
            return Wrong("serviceTier", "a string");
        }
        var tier = reader.ValueIsEscaped ? "?" : LowerCase(reader.ValueSpan);
        fields.ServiceTier = tier is "unspecified" or "standard" ? null : tier;
        return null;
    }

    private static string LowerCase(ReadOnlySpan<byte> ascii) =>
        System.Text.Ascii.IsValid(ascii) ? System.Text.Encoding.ASCII.GetString(ascii).ToLowerInvariant() : "?";

    private string? TakeCached()
    {
        // What the cache holds counts as input, and nobody here knows how much that is.
        fields.UnboundedMember ??= reader.TokenType == JsonTokenType.Null ? null : "cachedContent";
        reader.Skip();
        return null;
    }

    private string? TakeConfig(int start)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            fields.LimitContainer = new JsonSlice(start, (int)reader.BytesConsumed - start);
            return null;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return Wrong("generationConfig", "an object");
        }
        var members = 0;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = new JsonSlice((int)reader.TokenStartIndex, reader.ValueSpan.Length + 2);
            var (isLimit, isCount, isModalities) = (GeminiNames.Is(ref reader, "maxOutputTokens"u8), GeminiNames.Is(ref reader, "candidateCount"u8), GeminiNames.Is(ref reader, "responseModalities"u8));
            // Both let Google choose another model than the address names.
            var (isRouting, isSelection) = (GeminiNames.Is(ref reader, "routingConfig"u8), GeminiNames.Is(ref reader, "modelSelectionConfig"u8));
            reader.Read();
            var member = isLimit ? Limit : isCount ? Candidates : isModalities ? Modalities : 0;
            if ((members & member) != 0)
            {
                return isLimit ? "generationConfig.maxOutputTokens" : isCount ? "generationConfig.candidateCount" : "generationConfig.responseModalities";
            }
            members |= member;
            if ((isRouting || isSelection) && reader.TokenType != JsonTokenType.Null)
            {
                fields.UnboundedMember ??= isRouting ? "generationConfig.routingConfig" : "generationConfig.modelSelectionConfig";
            }
            if (isLimit)
            {
                TakeLimit(name);
            }
            else if (isCount)
            {
                TakeCandidates();
            }
            else if (isModalities)
            {
                TakeModalities();
            }
            else
            {
                reader.Skip();
            }
            if (wrong is not null)
            {
                return null;
            }
        }
        fields.LimitContainer = new JsonSlice(start, (int)reader.BytesConsumed - start);
        return null;
    }

    private void TakeLimit(JsonSlice name)
    {
        var start = (int)reader.TokenStartIndex;
        var value = new JsonSlice(start, (int)reader.BytesConsumed - start);
        fields.MaxTokens = new OutputLimitField(name, value, null);
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }
        if (!GeminiNumbers.TryReadWhole(ref reader, out var tokens) || tokens is < 1 or > RequestScanner.MaxOutputLimit)
        {
            Wrong("generationConfig.maxOutputTokens", $"a whole number from 1 to {RequestScanner.MaxOutputLimit}");
            return;
        }
        fields.MaxTokens = fields.MaxTokens with { Tokens = tokens };
    }

    private void TakeCandidates()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }
        if (!GeminiNumbers.TryReadWhole(ref reader, out var count) || count is < 1 or > MaxCandidates)
        {
            Wrong("generationConfig.candidateCount", $"a whole number from 1 to {MaxCandidates}");
            return;
        }
        fields.Choices = (int)count;
    }

    private void TakeModalities()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            Wrong("generationConfig.responseModalities", "an array of strings");
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.String)
            {
                Wrong("generationConfig.responseModalities", "an array of strings");
                return;
            }
            // Whatever is not plainly text may be billed at another rate.
            fields.AudioOutput |= !reader.ValueTextEquals("TEXT"u8);
        }
    }

    /// <summary>Tools that Google itself runs are billed beyond the tokens that the body shows; functions are not run by it.</summary>
    private string? TakeTools()
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return Wrong("tools", "an array of objects");
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return Wrong("tools", "an array of objects");
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isFunctions = GeminiNames.Is(ref reader, "functionDeclarations"u8);
                var name = isFunctions || fields.UnboundedUntranslated is not null ? "" : GeminiNames.Camel(ref reader);
                reader.Read();
                if (!isFunctions && reader.TokenType != JsonTokenType.Null)
                {
                    fields.UnboundedUntranslated ??= "tools[]." + name;
                }
                reader.Skip();
            }
        }
        return null;
    }

    private string? TakeContents(string name)
    {
        if (reader.TokenType is JsonTokenType.Null)
        {
            return null;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return Wrong(name, "an array of objects");
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return Wrong(name, "an array of objects");
            }
            TakeContent("contents[]");
        }
        return null;
    }

    private string? TakeContent(string name)
    {
        if (reader.TokenType == JsonTokenType.Null)
        {
            return null;
        }
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            return Wrong(name, "an object with 'parts'");
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isParts = GeminiNames.Is(ref reader, "parts"u8);
            reader.Read();
            if (!isParts)
            {
                reader.Skip();
                continue;
            }
            TakeParts(name + ".parts[]");
        }
        return null;
    }

    /// <summary>Reads an array of parts, or what Google takes for one: a single part.</summary>
    private void TakeParts(string name)
    {
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            TakePart(name);
            return;
        }
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType == JsonTokenType.StartObject)
            {
                TakePart(name);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    private void TakePart(string name)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isInline, isFile, isResult) = (GeminiNames.Is(ref reader, "inlineData"u8), GeminiNames.Is(ref reader, "fileData"u8), GeminiNames.Is(ref reader, "functionResponse"u8));
            reader.Read();
            if (reader.TokenType != JsonTokenType.StartObject || !(isInline || isFile || isResult))
            {
                reader.Skip();
            }
            else if (isResult)
            {
                while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
                {
                    var isParts = GeminiNames.Is(ref reader, "parts"u8);
                    reader.Read();
                    if (isParts)
                    {
                        TakeParts(name + ".functionResponse.parts[]");
                    }
                    else
                    {
                        reader.Skip();
                    }
                }
            }
            else
            {
                TakeMedium(isInline, name);
            }
        }
    }

    private void TakeMedium(bool isInline, string name)
    {
        var kind = GeminiMedia.Unknown;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = GeminiNames.Is(ref reader, "mimeType"u8);
            reader.Read();
            if (isType && reader.TokenType == JsonTokenType.String)
            {
                var next = reader.ValueIsEscaped ? GeminiMedia.Unknown : GeminiMediaTypes.KindOf(reader.ValueSpan);
                // Two types for one medium: neither can be relied on.
                kind = kind == GeminiMedia.Unknown || kind == next ? next : GeminiMedia.Video;
            }
            reader.Skip();
        }
        switch (kind)
        {
            case GeminiMedia.Image:
                fields.ImageParts++;
                return;
            case GeminiMedia.Audio when isInline:
                fields.AudioParts++;
                return;
            case GeminiMedia.Text when isInline:
                return; // no more tokens than its base64 has bytes
            default:
                // A film's frames and a document's pages count as more tokens than they have bytes, and a file elsewhere has no bytes here at all.
                fields.UnboundedMember ??= name + (isInline ? ".inlineData" : ".fileData");
                return;
        }
    }

    private static byte[] Digits(long value)
    {
        Span<byte> digits = stackalloc byte[20];
        Utf8Formatter.TryFormat(value, digits, out var length);
        return digits[..length].ToArray();
    }
}

/// <summary>What a media type is to the bill.</summary>
internal enum GeminiMedia
{
    Unknown,
    Image,
    Audio,
    Video,
    Text,
    Document,
}

/// <summary>Media types.</summary>
internal static class GeminiMediaTypes
{
    /// <summary>What a media type is, by its beginning.</summary>
    public static GeminiMedia KindOf(ReadOnlySpan<byte> type) =>
        Starts(type, "image/"u8) ? GeminiMedia.Image
        : Starts(type, "audio/"u8) ? GeminiMedia.Audio
        : Starts(type, "video/"u8) ? GeminiMedia.Video
        : Starts(type, "text/"u8) || Starts(type, "application/json"u8) ? GeminiMedia.Text
        : type.IsEmpty ? GeminiMedia.Unknown
        : GeminiMedia.Document;

    private static bool Starts(ReadOnlySpan<byte> type, ReadOnlySpan<byte> prefix) =>
        type.Length >= prefix.Length && System.Text.Ascii.EqualsIgnoreCase(type[..prefix.Length], prefix);
}
