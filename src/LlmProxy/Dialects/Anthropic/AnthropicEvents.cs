using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>The events of a message's stream.</summary>
internal enum EventType
{
    /// <summary>One that nobody here knows.</summary>
    Unknown,
    MessageStart,
    ContentBlockStart,
    ContentBlockDelta,
    ContentBlockStop,
    MessageDelta,
    MessageStop,
    Ping,
    Error,
}

/// <summary>Tells events apart.</summary>
internal static class AnthropicEvents
{
    /// <summary>Reads an event's <c>type</c>, wherever it stands among its members. False: the data is no object with one, or not whole.</summary>
    public static bool TryReadType(ReadOnlySpan<byte> data, out EventType type)
    {
        type = EventType.Unknown;
        var found = false;
        for (var members = new SpanMembers(data); members.Next();)
        {
            if (members.Is("type"u8) && members.Kind == JsonTokenType.String)
            {
                (type, found) = (Of(members.Value), true);
            }
        }
        return found;
    }

    /// <summary>Whether an event says that the stream failed in the way of AWS's streams rather than of this format's.</summary>
    public static bool IsException(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data) => name.EndsWith("Exception"u8) || (name.SequenceEqual("error"u8) && !JsonBytes.IsObject(data));

    /// <summary>Reads the event in which a stream says that it failed.</summary>
    public static AnswerError ReadError(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data) =>
        IsException(name, data) ? BedrockErrors.Read(0, name.SequenceEqual("error"u8) ? null : Encoding.UTF8.GetString(name), data) : AnthropicErrors.Read(0, data);

    /// <summary>Writes an event as server-sent events have it. One without a name has that of its type, as Anthropic's own events do.</summary>
    public static void Write(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IBufferWriter<byte> output)
    {
        if (name.IsEmpty)
        {
            for (var members = new SpanMembers(data); members.Next();)
            {
                name = members.Is("type"u8) && members.Text.Length > 2 ? members.Text[1..^1] : name;
            }
        }
        if (!name.IsEmpty)
        {
            output.Write("event: "u8);
            output.Write(name);
            output.Write("\n"u8);
        }
        for (var line = data.IndexOf((byte)'\n'); line >= 0; line = data.IndexOf((byte)'\n'))
        {
            output.Write("data: "u8);
            output.Write(data[..(line + 1)]);
            data = data[(line + 1)..];
        }
        output.Write("data: "u8);
        output.Write(data);
        output.Write("\n\n"u8);
    }

    /// <summary>The type that a token names, as no vendor escapes it.</summary>
    public static EventType Of(ReadOnlySpan<byte> token) => token switch
    {
        _ when token.SequenceEqual("\"content_block_delta\""u8) => EventType.ContentBlockDelta,
        _ when token.SequenceEqual("\"content_block_start\""u8) => EventType.ContentBlockStart,
        _ when token.SequenceEqual("\"content_block_stop\""u8) => EventType.ContentBlockStop,
        _ when token.SequenceEqual("\"message_start\""u8) => EventType.MessageStart,
        _ when token.SequenceEqual("\"message_delta\""u8) => EventType.MessageDelta,
        _ when token.SequenceEqual("\"message_stop\""u8) => EventType.MessageStop,
        _ when token.SequenceEqual("\"ping\""u8) => EventType.Ping,
        _ when token.SequenceEqual("\"error\""u8) => EventType.Error,
        _ => EventType.Unknown,
    };
}
