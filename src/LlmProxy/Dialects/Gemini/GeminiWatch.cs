using System.Buffers;
using System.Text.Json;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Gemini;

/// <summary>
/// What has been seen of a stream of <c>GenerateContentResponse</c> so far. It has no last event: it is complete when every candidate that began has a
/// <c>finishReason</c>, or when the prompt was blocked. As a JSON array, it ends with <c>]</c>.
/// </summary>
internal sealed class GeminiWatch(string expectedModel) : StreamWatch
{
    private GeminiUsage usage;
    private ulong begun, ended;
    private bool isArray;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> LastEvent => isArray ? "]"u8 : default;

    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        isArray |= name.SequenceEqual("["u8);
        if (name.SequenceEqual("]"u8) && data.IsEmpty)
        {
            return Finished ? ChunkKind.Done : ChunkKind.Garbage;
        }
        if (data.IsEmpty)
        {
            return ChunkKind.Lifecycle;
        }
        var chunk = new GeminiChunk();
        if (!GeminiChunk.TryRead(data, ref chunk, ref usage, expectedModel))
        {
            return ChunkKind.Garbage;
        }
        Model = chunk.Model ?? Model;
        if (usage.HasCounts)
        {
            Usage = usage.Disjoint();
        }
        ServiceTier = usage.ServiceTier;
        begun |= chunk.Begun;
        ended |= chunk.Ended;
        Finished |= chunk.IsBlocked || (ended != 0 && ended == begun);
        if (chunk.HasError)
        {
            return ChunkKind.Error;
        }
        ContentBegun |= chunk.HasContent || chunk.IsBlocked;
        return chunk.HasContent || chunk.IsBlocked ? ChunkKind.Content : ChunkKind.Lifecycle;
    }

    /// <inheritdoc/>
    public override void WriteError(GatewayError error, IBufferWriter<byte> output)
    {
        // In an array it is the last element: there was another before it, or nothing would have been sent yet.
        output.Write(isArray ? ",\r\n"u8 : "data: "u8);
        GeminiErrorFormat.WriteJson(output, error);
        output.Write(isArray ? "]"u8 : "\r\n\r\n"u8);
    }
}

/// <summary>What bills one <c>GenerateContentResponse</c>, a whole answer or a piece of one, and what it is to the relay.</summary>
internal struct GeminiChunk
{
    /// <summary>Whether there is anything that a user would see, or the end of a candidate.</summary>
    public bool HasContent;

    /// <summary>Whether the prompt was blocked, so that there are no candidates.</summary>
    public bool IsBlocked;

    public bool HasError;

    /// <summary>Whether it has candidates, be it none of them.</summary>
    public bool HasCandidates;

    /// <summary>A bit for each candidate that is mentioned, by its index.</summary>
    public ulong Begun;

    /// <summary>A bit for each candidate that ended.</summary>
    public ulong Ended;

    /// <summary>The model's name where it differs from the expected one.</summary>
    public string? Model;

    /// <summary>False: it is garbage, or only half there.</summary>
    public static bool TryRead(ReadOnlySpan<byte> data, ref GeminiChunk chunk, ref GeminiUsage usage, string expectedModel)
    {
        try
        {
            var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read())
            {
                return false;
            }
            if (reader.TokenType == JsonTokenType.StartArray)
            {
                // Google wraps some errors in an array, even where no array was asked for.
                while (reader.Read() && reader.TokenType == JsonTokenType.StartObject)
                {
                    chunk.ReadObject(ref reader, ref usage, expectedModel);
                }
                return chunk.HasError && reader.TokenType == JsonTokenType.EndArray && !reader.Read();
            }
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            chunk.ReadObject(ref reader, ref usage, expectedModel);
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private void ReadObject(ref Utf8JsonReader reader, ref GeminiUsage usage, string expectedModel)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (GeminiNames.Is(ref reader, "candidates"u8))
            {
                reader.Read();
                HasCandidates = true;
                ReadCandidates(ref reader);
            }
            else if (GeminiNames.Is(ref reader, "usageMetadata"u8))
            {
                reader.Read();
                usage.Read(ref reader);
            }
            else if (GeminiNames.Is(ref reader, "modelVersion"u8))
            {
                reader.Read();
                Model = CompletionReader.ModelOf(ref reader, expectedModel);
            }
            else if (GeminiNames.Is(ref reader, "promptFeedback"u8))
            {
                reader.Read();
                ReadFeedback(ref reader);
            }
            else
            {
                var isError = GeminiNames.Is(ref reader, "error"u8);
                reader.Read();
                HasError |= isError && reader.TokenType != JsonTokenType.Null;
                reader.Skip();
            }
        }
    }

    private void ReadFeedback(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isReason = GeminiNames.Is(ref reader, "blockReason"u8);
            reader.Read();
            IsBlocked |= isReason && reader.TokenType == JsonTokenType.String && !reader.ValueTextEquals("BLOCK_REASON_UNSPECIFIED"u8) && !reader.ValueTextEquals("BLOCKED_REASON_UNSPECIFIED"u8);
            reader.Skip();
        }
    }

    private void ReadCandidates(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            var (index, ends) = (0L, false);
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (GeminiNames.Is(ref reader, "content"u8))
                {
                    reader.Read();
                    ReadContent(ref reader);
                    continue;
                }
                var (isIndex, isFinish) = (GeminiNames.Is(ref reader, "index"u8), GeminiNames.Is(ref reader, "finishReason"u8));
                reader.Read();
                if (isIndex && GeminiNumbers.TryReadWhole(ref reader, out var number))
                {
                    index = number;
                }
                ends |= isFinish && reader.TokenType == JsonTokenType.String && !reader.ValueTextEquals("FINISH_REASON_UNSPECIFIED"u8);
                reader.Skip();
            }
            var bit = 1UL << (int)Math.Clamp(index, 0, 63);
            Begun |= bit;
            Ended |= ends ? bit : 0;
            HasContent |= ends;
        }
    }

    private void ReadContent(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isParts = GeminiNames.Is(ref reader, "parts"u8);
            reader.Read();
            if (!isParts || reader.TokenType != JsonTokenType.StartArray)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                if (reader.TokenType == JsonTokenType.StartObject)
                {
                    ReadPart(ref reader);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
    }

    /// <summary>A part is content unless it is an empty text, a mark or a signature.</summary>
    private void ReadPart(ref Utf8JsonReader reader)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isMark = GeminiNames.Is(ref reader, "thought"u8) || GeminiNames.Is(ref reader, "thoughtSignature"u8);
            reader.Read();
            HasContent |= !isMark && reader.TokenType switch
            {
                JsonTokenType.Null => false,
                JsonTokenType.String => !reader.ValueSpan.IsEmpty,
                _ => true,
            };
            reader.Skip();
        }
    }
}
