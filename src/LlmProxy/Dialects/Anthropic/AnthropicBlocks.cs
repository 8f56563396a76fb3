using System.Text.Json;
using LlmProxy.ChatCompletions;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Counts what the content of messages holds besides text, whose tokens the size of the body does not bound.</summary>
internal static class AnthropicBlocks
{
    /// <summary>Reads the <c>messages</c> array that the reader stands on. False: it is not as it must be.</summary>
    public static bool TryTakeMessages(ref Utf8JsonReader reader, ref RoutedFields fields)
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
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isContent = MemberNames.Is(ref reader, "content"u8);
                reader.Read();
                if (isContent && reader.TokenType != JsonTokenType.String)
                {
                    if (!TryTakeAll(ref reader, ref fields, "messages[].content[]"))
                    {
                        return false;
                    }
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        return true;
    }

    /// <summary>Reads the array of blocks that the reader stands on. False: it is none.</summary>
    public static bool TryTakeAll(ref Utf8JsonReader reader, ref RoutedFields fields, string name)
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
            Take(ref reader, ref fields, name, isOwn: true);
        }
        return true;
    }

    /// <summary>Reads one block, and what is nested in it.</summary>
    /// <param name="reader">Stands on its start; afterwards on its end.</param>
    /// <param name="fields">Receives what it holds besides text.</param>
    /// <param name="name">What to call it in messages.</param>
    /// <param name="isOwn">Whether it is a block of its own, whose type must be known, rather than a part of one that is.</param>
    private static void Take(ref Utf8JsonReader reader, ref RoutedFields fields, string name, bool isOwn)
    {
        var (type, sourceType, hasImage) = (Block.None, Block.None, false);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isType, isContent, isSource) = (MemberNames.Is(ref reader, "type"u8), MemberNames.Is(ref reader, "content"u8), MemberNames.Is(ref reader, "source"u8));
            reader.Read();
            if (isType)
            {
                type = TypeOf(ref reader);
                hasImage |= type == Block.Image;
            }
            if (isContent)
            {
                TakeNested(ref reader, ref fields, name);
            }
            else if (isSource && reader.TokenType == JsonTokenType.StartObject)
            {
                sourceType = TakeSource(ref reader, ref fields, name);
            }
            else
            {
                reader.Skip();
            }
        }
        fields.ImageParts += hasImage ? 1 : 0;
        if (type == Block.Document && sourceType != Block.Text)
        {
            // A file's pages can count as more tokens than it has bytes, and one given by its address or id has no bytes here at all.
            fields.UnboundedMember ??= name + ".document";
        }
        else if (type == Block.None && isOwn)
        {
            fields.UnboundedMember ??= name + ".type";
        }
    }

    private static void TakeNested(ref Utf8JsonReader reader, ref RoutedFields fields, string name)
    {
        if (reader.TokenType == JsonTokenType.StartObject)
        {
            Take(ref reader, ref fields, name, isOwn: false);
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
                Take(ref reader, ref fields, name, isOwn: false);
            }
            else
            {
                reader.Skip();
            }
        }
    }

    /// <returns><see cref="Block.Text"/>: its bytes bound its tokens.</returns>
    private static Block TakeSource(ref Utf8JsonReader reader, ref RoutedFields fields, string name)
    {
        var isText = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isType, isContent) = (MemberNames.Is(ref reader, "type"u8), MemberNames.Is(ref reader, "content"u8));
            reader.Read();
            isText = isType ? reader.TokenType == JsonTokenType.String && (reader.ValueTextEquals("text"u8) || reader.ValueTextEquals("content"u8)) : isText;
            if (isContent)
            {
                TakeNested(ref reader, ref fields, name);
            }
            else
            {
                reader.Skip();
            }
        }
        return isText ? Block.Text : Block.None;
    }

    private enum Block
    {
        None,
        Text,
        Image,
        Document,
    }

    private static Block TypeOf(ref Utf8JsonReader reader)
    {
        if (reader.TokenType != JsonTokenType.String)
        {
            return Block.None;
        }
        if (reader.ValueTextEquals("image"u8))
        {
            return Block.Image;
        }
        if (reader.ValueTextEquals("document"u8))
        {
            return Block.Document;
        }
        return IsText(ref reader) ? Block.Text : Block.None;
    }

    /// <summary>Whether a block's tokens are no more than its bytes, but for the images in it.</summary>
    private static bool IsText(ref Utf8JsonReader reader)
    {
        var type = reader.ValueSpan;
        return !reader.ValueIsEscaped && (type.SequenceEqual("text"u8) || type.SequenceEqual("tool_use"u8) || type.SequenceEqual("tool_result"u8) || type.SequenceEqual("thinking"u8)
            || type.SequenceEqual("redacted_thinking"u8) || type.SequenceEqual("search_result"u8) || type.SequenceEqual("server_tool_use"u8) || type.SequenceEqual("tool_reference"u8)
            || type.SequenceEqual("compaction"u8) || type.SequenceEqual("fallback"u8) || type.SequenceEqual("mcp_tool_use"u8) || type.EndsWith("_tool_result"u8));
    }
}
