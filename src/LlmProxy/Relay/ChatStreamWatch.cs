using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Usage;

namespace LlmProxy.Relay;

/// <summary>What has been seen of a stream of chat or text completion chunks so far.</summary>
internal sealed class ChatStreamWatch(string expectedModel) : StreamWatch
{
    /// <inheritdoc/>
    public override ReadOnlySpan<byte> LastEvent => "data: [DONE]\n\n"u8;

    /// <inheritdoc/>
    public override bool IsLastData(ReadOnlySpan<byte> data) => data.SequenceEqual("[DONE]"u8);

    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        if (data.SequenceEqual("[DONE]"u8))
        {
            return ChunkKind.Done;
        }
        if (name.SequenceEqual("error"u8))
        {
            return ChunkKind.Error;
        }
        if (data.IsEmpty)
        {
            return ChunkKind.Lifecycle;
        }
        // After the first content only few chunks say anything new. A member's name cannot be hidden inside a string: quotes are escaped there.
        if (ContentBegun && !HasValue(data, "\"finish_reason\""u8) && !HasValue(data, "\"usage\""u8) && !HasValue(data, "\"error\""u8))
        {
            return ChunkKind.Content;
        }
        try
        {
            var kind = Parse(data);
            ContentBegun |= kind == ChunkKind.Content;
            return kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return ChunkKind.Garbage;
        }
    }

    /// <summary>Whether a member of this name stands in the text with a value other than null. May err towards yes, as the parser decides then.</summary>
    private static bool HasValue(ReadOnlySpan<byte> data, ReadOnlySpan<byte> quotedName)
    {
        while (true)
        {
            var found = data.IndexOf(quotedName);
            if (found < 0)
            {
                return false;
            }
            data = data[(found + quotedName.Length)..];
            var value = data.TrimStart(" \t\r\n"u8);
            if (value.IsEmpty || value[0] != (byte)':')
            {
                continue;
            }
            value = value[1..].TrimStart(" \t\r\n"u8);
            if (!value.StartsWith("null"u8))
            {
                return true;
            }
        }
    }

    private ChunkKind Parse(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return ChunkKind.Garbage;
        }
        var (content, hasChoices, choices, error, usageHere) = (false, false, 0, false, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "choices"u8))
            {
                reader.Read();
                hasChoices = true;
                content |= ReadChoices(ref reader, ref choices);
            }
            else if (MemberNames.Is(ref reader, "usage"u8))
            {
                reader.Read();
                if (UsageReader.TryRead(ref reader, hasOutput: true, out var usage))
                {
                    Usage = usage;
                    usageHere = true;
                }
            }
            else if (MemberNames.Is(ref reader, "x_groq"u8))
            {
                reader.Read();
                if (UsageReader.TryReadNested(ref reader, out var usage))
                {
                    Usage ??= usage; // what stands where all others have it counts more
                }
            }
            else if (MemberNames.Is(ref reader, "service_tier"u8))
            {
                reader.Read();
                ServiceTier = CompletionReader.TextOf(ref reader, ServiceTier);
            }
            else if (MemberNames.Is(ref reader, "model"u8))
            {
                reader.Read();
                Model = CompletionReader.ModelOf(ref reader, expectedModel);
            }
            else
            {
                var isError = MemberNames.Is(ref reader, "error"u8);
                reader.Read();
                error |= isError && reader.TokenType != JsonTokenType.Null;
                reader.Skip();
            }
        }
        reader.Read(); // throws where more follows
        return error ? ChunkKind.Error
            : content ? ChunkKind.Content
            : usageHere && hasChoices && choices == 0 ? ChunkKind.UsageOnly
            : ChunkKind.Lifecycle;
    }

    /// <returns>Whether some choice has content or has ended.</returns>
    private bool ReadChoices(ref Utf8JsonReader reader, ref int choices)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return false;
        }
        var content = false;
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            choices++;
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isDelta = MemberNames.Is(ref reader, "delta"u8);
                var isText = !isDelta && MemberNames.Is(ref reader, "text"u8);
                var isFinish = MemberNames.Is(ref reader, "finish_reason"u8);
                reader.Read();
                if (isDelta && reader.TokenType == JsonTokenType.StartObject)
                {
                    content |= ReadDelta(ref reader);
                    continue;
                }
                content |= isText && reader.TokenType == JsonTokenType.String && !reader.ValueSpan.IsEmpty;
                if (isFinish && reader.TokenType == JsonTokenType.String)
                {
                    Finished = true;
                    content = true;
                }
                reader.Skip();
            }
        }
        return content;
    }

    /// <summary>Whether a delta holds more than a role and empty values. Members that nobody here knows count, too: they may be what the user waits for.</summary>
    private static bool ReadDelta(ref Utf8JsonReader reader)
    {
        var content = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isRole = MemberNames.Is(ref reader, "role"u8);
            reader.Read();
            content |= !isRole && reader.TokenType switch
            {
                JsonTokenType.Null => false,
                JsonTokenType.String => !reader.ValueSpan.IsEmpty,
                JsonTokenType.StartArray or JsonTokenType.StartObject => !IsEmpty(reader),
                _ => true,
            };
            reader.Skip();
        }
        return content;
    }

    private static bool IsEmpty(Utf8JsonReader container) =>
        container.Read() && container.TokenType is JsonTokenType.EndArray or JsonTokenType.EndObject;
}
