using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>What has been seen of a stream of a message's events so far.</summary>
internal class AnthropicStreamWatch(string expectedModel) : StreamWatch
{
    /// <summary>So many pings without content, and the client is let hear that the model is alive, although no other target can be asked then.</summary>
    private const int HeldPings = 2;

    private AnthropicFigures figures;
    private int pings;

    /// <summary>The first event tells of hardly any output, the last one of all.</summary>
    public override bool IsUsagePartial => !Finished;

    /// <inheritdoc/>
    public override ReadOnlySpan<byte> LastEvent => "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n"u8;

    /// <inheritdoc/>
    public override bool IsLastData(ReadOnlySpan<byte> data) => TypeOf(data, out var type) && type == EventType.MessageStop;

    /// <inheritdoc/>
    public override void WriteError(GatewayError error, IBufferWriter<byte> output)
    {
        output.Write("event: error\ndata: "u8);
        AnthropicErrors.Write(output, AnthropicErrors.TypeOf(error.Status), error.Message, requestId: null);
        output.Write("\n\n"u8);
    }

    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        // After the first content only few events say anything new.
        if (ContentBegun && name.SequenceEqual("content_block_delta"u8))
        {
            return ChunkKind.Content;
        }
        if (name.SequenceEqual("error"u8) || name.EndsWith("Exception"u8))
        {
            return ChunkKind.Error;
        }
        if (data.IsEmpty || data.SequenceEqual("[DONE]"u8))
        {
            return ChunkKind.Lifecycle;
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

    private ChunkKind Parse(ReadOnlySpan<byte> data)
    {
        if (!TypeOf(data, out var type))
        {
            return ChunkKind.Garbage;
        }
        switch (type)
        {
            case EventType.ContentBlockStart or EventType.ContentBlockDelta:
                return ChunkKind.Content; // thinking too: a client that waits for its end would be told nothing for minutes
            case EventType.MessageStop:
                return ChunkKind.Done;
            case EventType.Error:
                return ChunkKind.Error;
            case EventType.Ping:
                return ContentBegun || ++pings < HeldPings ? ChunkKind.Lifecycle : ChunkKind.Content;
            case EventType.MessageStart:
                return ReadMembers(data, "message"u8);
            case EventType.MessageDelta:
                return ReadMembers(data, "delta"u8);
            default:
                return ChunkKind.Lifecycle; // of the future
        }
    }

    /// <summary>Reads <c>message_start</c> and <c>message_delta</c>: the first holds the usage in its message, the other beside its delta.</summary>
    private ChunkKind ReadMembers(ReadOnlySpan<byte> data, ReadOnlySpan<byte> container)
    {
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        var content = false;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, container))
            {
                reader.Read();
                content |= ReadMessage(ref reader);
            }
            else if (MemberNames.Is(ref reader, "usage"u8))
            {
                ReadUsage(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
        reader.Read(); // throws where more follows
        return content ? ChunkKind.Content : ChunkKind.Lifecycle;
    }

    /// <returns>Whether there is content in it, or the answer has ended.</returns>
    private bool ReadMessage(ref Utf8JsonReader reader)
    {
        var content = false;
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "usage"u8))
            {
                ReadUsage(ref reader);
            }
            else if (MemberNames.Is(ref reader, "model"u8))
            {
                reader.Read();
                Model = CompletionReader.ModelOf(ref reader, expectedModel);
            }
            else
            {
                var (isStop, isContent) = (MemberNames.Is(ref reader, "stop_reason"u8), MemberNames.Is(ref reader, "content"u8));
                reader.Read();
                if (isStop && reader.TokenType == JsonTokenType.String)
                {
                    Finished = content = true;
                }
                var start = reader.BytesConsumed;
                var isArray = reader.TokenType == JsonTokenType.StartArray;
                reader.Skip();
                content |= isContent && isArray && reader.BytesConsumed > start + 1;
            }
        }
        return content;
    }

    private void ReadUsage(ref Utf8JsonReader reader)
    {
        reader.Read();
        figures.Read(ref reader, out _);
        ServiceTier = figures.ServiceTier;
        if (figures.HasCounts)
        {
            Usage = figures.Usage;
        }
    }

    private static bool TypeOf(ReadOnlySpan<byte> data, out EventType type)
    {
        type = EventType.Unknown;
        try
        {
            return AnthropicEvents.TryReadType(data, out type);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }
}
