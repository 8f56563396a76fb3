using System.Text.Json;

namespace LlmProxy.ChatCompletions;

/// <summary>Counts what the messages hold besides text, whose tokens the size of the body does not bound.</summary>
internal static class MessageScan
{
    /// <summary>Reads the <c>messages</c> array that the reader stands on. False: it is not an array of objects.</summary>
    public static bool TryTake(ref Utf8JsonReader reader, ref RoutedFields fields)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            TakeMessage(ref reader, ref fields);
        }
        return true;
    }

    private static void TakeMessage(ref Utf8JsonReader reader, ref RoutedFields fields)
    {
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isContent = MemberNames.Is(ref reader, "content"u8);
            var isAudio = !isContent && MemberNames.Is(ref reader, "audio"u8);
            reader.Read();
            if (isAudio && reader.TokenType != JsonTokenType.Null)
            {
                // An earlier answer by its id: nobody here knows how long it is.
                fields.UnboundedMember ??= "messages[].audio";
            }
            if (!isContent || reader.TokenType is not (JsonTokenType.StartArray or JsonTokenType.StartObject))
            {
                reader.Skip();
            }
            else if (reader.TokenType == JsonTokenType.StartObject)
            {
                TakePart(ref reader, ref fields, "messages[].content[]");
            }
            else
            {
                while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
                {
                    if (reader.TokenType == JsonTokenType.StartObject)
                    {
                        TakePart(ref reader, ref fields, "messages[].content[]");
                    }
                    else
                    {
                        reader.Skip();
                    }
                }
            }
        }
    }

    /// <summary>Reads one part of a content.</summary>
    /// <param name="reader">Stands on its start; afterwards on its end.</param>
    /// <param name="fields">Receives what the part holds besides text.</param>
    /// <param name="name">What to call the part in messages.</param>
    /// <returns>Whether it says of what type it is.</returns>
    public static bool TakePart(ref Utf8JsonReader reader, ref RoutedFields fields, string name)
    {
        int images = 0, audios = 0, files = 0;
        var (imageType, hasType) = (false, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = MemberNames.Is(ref reader, "type"u8);
            if (!isType)
            {
                images += MemberNames.Is(ref reader, "image_url"u8) ? 1 : 0;
                audios += MemberNames.Is(ref reader, "input_audio"u8) ? 1 : 0;
                files += MemberNames.Is(ref reader, "file"u8) ? 1 : 0;
                reader.Read();
                reader.Skip();
                continue;
            }
            reader.Read();
            hasType = true;
            var type = reader.TokenType == JsonTokenType.String ? reader.ValueSpan : default;
            if (type.SequenceEqual("image_url"u8))
            {
                imageType = true;
            }
            else if (!type.SequenceEqual("text"u8) && !type.SequenceEqual("input_audio"u8) && !type.SequenceEqual("refusal"u8) && !type.SequenceEqual("file"u8)
                && !type.SequenceEqual("thinking"u8) && !type.SequenceEqual("reasoning"u8))
            {
                fields.UnboundedMember ??= name + ".type";
            }
            reader.Skip();
        }
        fields.ImageParts += Math.Max(images, imageType ? 1 : 0);
        fields.AudioParts += audios;
        if (files > 0)
        {
            // A file's pages can count as more tokens than it has bytes, and one given by its id has no bytes here at all.
            fields.UnboundedMember ??= name + ".file";
        }
        return hasType;
    }
}
