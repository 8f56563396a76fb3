using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Errors;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>Reads the members of a JSON request that route and bill it; all else is only checked to be JSON.</summary>
internal static class JsonFields
{
    /// <summary>The most pictures that may be asked for at once.</summary>
    public const int MaxCount = 128;

    private const int MaxNameBytes = 512;

    // A token has at least one byte, and a chunk of a document is at least one of its tokens.
    private const int ChunkTokens = 500;
    private const int DocumentsPerSearch = 100;

    /// <summary>Reads a body.</summary>
    /// <returns>Null, or why the body is refused.</returns>
    public static GatewayError? Read(ReadOnlySpan<byte> body, MediaEndpoint endpoint, out MediaFields fields)
    {
        fields = new MediaFields { TextBytes = body.Length };
        try
        {
            return Run(body, endpoint, fields);
        }
        catch (JsonException exception)
        {
            return OpenAiErrors.MalformedJson(exception);
        }
        catch (InvalidOperationException)
        {
            return new GatewayError(400, "invalid_json", "The request body holds escapes that make no character.");
        }
    }

    private static GatewayError? Run(ReadOnlySpan<byte> body, MediaEndpoint endpoint, MediaFields fields)
    {
        var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return OpenAiErrors.NotAnObject;
        }
        var seen = 0;
        long queryBytes = 0;
        List<long>? documents = null;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var member = MemberOf(ref reader, endpoint);
            reader.Read();
            if (member == MediaMember.None)
            {
                reader.Skip();
                continue;
            }
            if ((seen & (1 << (int)member)) != 0)
            {
                return OpenAiErrors.Duplicated(NameOf(member));
            }
            seen |= 1 << (int)member;
            if (member == MediaMember.Query)
            {
                var start = reader.TokenStartIndex;
                reader.Skip();
                queryBytes = reader.BytesConsumed - start;
            }
            else if (member == MediaMember.Documents)
            {
                if (!TryTakeDocuments(ref reader, documents = []))
                {
                    return OpenAiErrors.Invalid("documents", "an array of strings or objects");
                }
            }
            else if (!TryTake(ref reader, member, endpoint, fields))
            {
                return OpenAiErrors.Invalid(NameOf(member), Expectation(member));
            }
        }
        if (reader.Read())
        {
            return OpenAiErrors.NotAnObject;
        }
        fields.Searches = SearchesOf(documents, queryBytes);
        return fields.Model.Exists ? null : OpenAiErrors.Missing("model");
    }

    private static bool TryTake(ref Utf8JsonReader reader, MediaMember member, MediaEndpoint endpoint, MediaFields fields)
    {
        if (member == MediaMember.Model)
        {
            if (reader.TokenType != JsonTokenType.String || reader.ValueSpan.Length > MaxNameBytes)
            {
                return false;
            }
            var start = (int)reader.TokenStartIndex;
            fields.Model = new JsonSlice(start, (int)reader.BytesConsumed - start);
            fields.ModelName = reader.GetString()!;
            return true;
        }
        if (reader.TokenType == JsonTokenType.Null)
        {
            return true;
        }
        switch (member)
        {
            case MediaMember.Count:
                var isCount = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var count) && count is >= 1 and <= MaxCount;
                fields.Count = isCount ? reader.GetInt32() : 1;
                return isCount;
            case MediaMember.PartialImages:
                var isPartial = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var partial) && partial is >= 0 and <= MaxCount;
                fields.PartialImages = isPartial ? reader.GetInt32() : 0;
                return isPartial;
            case MediaMember.Stream:
                fields.Stream = reader.TokenType == JsonTokenType.True;
                return reader.TokenType is JsonTokenType.True or JsonTokenType.False;
            case MediaMember.StreamFormat:
                fields.Stream = reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("sse"u8);
                return reader.TokenType == JsonTokenType.String;
            case MediaMember.Size:
                fields.Size = TextOf(ref reader);
                return fields.Size is not null;
            case MediaMember.Quality:
                fields.Quality = TextOf(ref reader);
                return fields.Quality is not null;
            case MediaMember.Input:
                if (reader.TokenType != JsonTokenType.String)
                {
                    return false;
                }
                fields.Characters = CountCharacters(reader.GetString()!);
                return true;
            case MediaMember.Images:
                fields.Images += CountItems(ref reader);
                return true;
            case MediaMember.Mask:
                fields.Images++;
                reader.Skip();
                return true;
            default:
                fields.Chunks |= member == MediaMember.Chunking;
                reader.Skip();
                return true;
        }
    }

    /// <summary>Characters as vendors count them: Unicode scalar values.</summary>
    internal static long CountCharacters(ReadOnlySpan<char> text)
    {
        long count = 0;
        foreach (var _ in text.EnumerateRunes())
        {
            count++;
        }
        return count;
    }

    private static bool TryTakeDocuments(ref Utf8JsonReader reader, List<long> documents)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType is not (JsonTokenType.String or JsonTokenType.StartObject))
            {
                return false;
            }
            var start = reader.TokenStartIndex;
            reader.Skip();
            documents.Add(reader.BytesConsumed - start);
        }
        return true;
    }

    /// <summary>
    /// No fewer than the searches that Cohere bills: one for each hundred documents, where a document that is longer than 500 tokens together with
    /// the query counts once for each such chunk.
    /// </summary>
    private static long SearchesOf(List<long>? documents, long queryBytes)
    {
        if (documents is null)
        {
            return 1;
        }
        var room = Math.Max(1, ChunkTokens - queryBytes);
        long chunks = 0;
        foreach (var bytes in documents)
        {
            chunks += Math.Max(1, (bytes + room - 1) / room);
        }
        return Math.Max(1, (chunks + DocumentsPerSearch - 1) / DocumentsPerSearch);
    }

    private static string? TextOf(ref Utf8JsonReader reader) => reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length <= 64 ? reader.GetString() : null;

    private static int CountItems(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return 1;
        }
        var count = 0;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            count++;
            reader.Skip();
        }
        return count;
    }

    private static MediaMember MemberOf(ref Utf8JsonReader reader, MediaEndpoint endpoint)
    {
        if (reader.ValueIsEscaped)
        {
            // Escapes are rare and names are short: it may cost a string.
            return reader.ValueSpan.Length > 256 ? MediaMember.None : MediaMembers.Find(Encoding.UTF8.GetBytes(reader.GetString()!), endpoint);
        }
        return MediaMembers.Find(reader.ValueSpan, endpoint);
    }

    private static string NameOf(MediaMember member) => MediaMembers.NameOf(member);

    private static string Expectation(MediaMember member) => member switch
    {
        MediaMember.Model => $"the name of a model, a string of at most {MaxNameBytes} bytes",
        MediaMember.Count => $"a whole number from 1 to {MaxCount}",
        MediaMember.PartialImages => $"a whole number from 0 to {MaxCount}",
        MediaMember.Stream => "true, false or null",
        _ => "a string",
    };
}

/// <summary>The members that route or bill a call.</summary>
internal enum MediaMember
{
    None,
    Model,
    Count,
    PartialImages,
    Stream,
    StreamFormat,
    Size,
    Quality,
    Input,
    Query,
    Documents,
    Images,
    Mask,
    File,
    Chunking,
}

/// <summary>Recognises members by their names.</summary>
internal static class MediaMembers
{
    /// <summary>The member of a name; which names mean something depends on the endpoint.</summary>
    public static MediaMember Find(ReadOnlySpan<byte> name, MediaEndpoint endpoint)
    {
        if (name.SequenceEqual("model"u8))
        {
            return MediaMember.Model;
        }
        return endpoint.Unit switch
        {
            Shared.Pricing.UnitKind.Image => FindImage(name),
            Shared.Pricing.UnitKind.Character => name.SequenceEqual("input"u8) ? MediaMember.Input : name.SequenceEqual("stream_format"u8) ? MediaMember.StreamFormat : MediaMember.None,
            Shared.Pricing.UnitKind.Search => name.SequenceEqual("query"u8) ? MediaMember.Query : name.SequenceEqual("documents"u8) ? MediaMember.Documents : MediaMember.None,
            _ => name.SequenceEqual("stream"u8) ? MediaMember.Stream
                : name.SequenceEqual("file"u8) ? MediaMember.File
                : name.SequenceEqual("chunking_strategy"u8) ? MediaMember.Chunking
                : MediaMember.None,
        };
    }

    /// <summary>The name of a member.</summary>
    public static string NameOf(MediaMember member) => member switch
    {
        MediaMember.Model => "model",
        MediaMember.Count => "n",
        MediaMember.PartialImages => "partial_images",
        MediaMember.Stream => "stream",
        MediaMember.StreamFormat => "stream_format",
        MediaMember.Size => "size",
        MediaMember.Quality => "quality",
        MediaMember.Input => "input",
        MediaMember.Query => "query",
        MediaMember.Documents => "documents",
        MediaMember.Images => "image",
        MediaMember.Mask => "mask",
        MediaMember.File => "file",
        _ => "chunking_strategy",
    };

    private static MediaMember FindImage(ReadOnlySpan<byte> name) => name switch
    {
        _ when name.SequenceEqual("n"u8) => MediaMember.Count,
        _ when name.SequenceEqual("size"u8) => MediaMember.Size,
        _ when name.SequenceEqual("quality"u8) => MediaMember.Quality,
        _ when name.SequenceEqual("stream"u8) => MediaMember.Stream,
        _ when name.SequenceEqual("partial_images"u8) => MediaMember.PartialImages,
        _ when name.SequenceEqual("image"u8) || name.SequenceEqual("image[]"u8) || name.SequenceEqual("images"u8) => MediaMember.Images,
        _ when name.SequenceEqual("mask"u8) => MediaMember.Mask,
        _ => MediaMember.None,
    };
}
