using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Relay;
using LlmProxy.Translation;
using LlmProxy.Usage;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

/// <summary>What has been seen of a stream of Responses' events so far.</summary>
internal sealed class ResponsesStreamWatch(string expectedModel) : StreamWatch
{
    private long events;

    /// <inheritdoc/>
    public override void WriteError(GatewayError error, IBufferWriter<byte> output) => ResponsesErrorEvent.Write(output, events, Translator.ToNeutral(error));

    /// <inheritdoc/>
    public override bool IsLastData(ReadOnlySpan<byte> data)
    {
        try
        {
            return ResponsesEvents.TryReadType(data, out var type) && ResponsesEvents.KindOf(type) is EventKind.Completed or EventKind.Incomplete or EventKind.Failed;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <inheritdoc/>
    public override ChunkKind Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data)
    {
        if (data.IsEmpty)
        {
            return ChunkKind.Lifecycle;
        }
        if (data.SequenceEqual("[DONE]"u8))
        {
            return Finished ? ChunkKind.Done : ChunkKind.Lifecycle;
        }
        events++;
        // After the first content only the last events say anything new, and their names tell them.
        if (ContentBegun && name.EndsWith(".delta"u8) && data[0] == (byte)'{')
        {
            return ChunkKind.Content;
        }
        try
        {
            var kind = Parse(data);
            ContentBegun |= kind is ChunkKind.Content or ChunkKind.Done;
            return kind;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return ChunkKind.Garbage;
        }
    }

    private ChunkKind Parse(ReadOnlySpan<byte> data)
    {
        if (!ResponsesEvents.TryReadType(data, out var type))
        {
            return ResponsesEvents.HasError(data) ? ChunkKind.Error : ChunkKind.Garbage;
        }
        switch (ResponsesEvents.KindOf(type))
        {
            case EventKind.Created or EventKind.Queued or EventKind.InProgress:
                return ReadResponse(data) ? ChunkKind.Lifecycle : ChunkKind.Garbage;
            case EventKind.Completed or EventKind.Incomplete:
                if (!ReadResponse(data))
                {
                    return ChunkKind.Garbage;
                }
                Finished = true;
                LastData = KeepsLast ? data.ToArray() : default;
                return ChunkKind.Done;
            case EventKind.Failed:
                ReadResponse(data);
                // What failed before it began can be asked of another target; what failed later has ended as the client was told.
                if (!ContentBegun)
                {
                    return ChunkKind.Error;
                }
                Finished = true;
                return ChunkKind.Done;
            case EventKind.Error:
                // Once there is content, what failed says so in a last event of its own, with what it used.
                Finished |= ContentBegun;
                return ContentBegun ? ChunkKind.Content : ChunkKind.Error;
            case EventKind.KeepAlive or EventKind.Progress:
                return ChunkKind.Lifecycle;
            default:
                return ChunkKind.Content;
        }
    }

    /// <returns>Whether there is a response in the event.</returns>
    private bool ReadResponse(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        var facts = new CompletionFacts { Usage = Usage, ServiceTier = ServiceTier, Model = Model, AnswerId = AnswerId };
        var found = false;
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isResponse = MemberNames.Is(ref reader, "response"u8);
            reader.Read();
            if (isResponse && reader.TokenType == JsonTokenType.StartObject)
            {
                found = ResponsesAnswerReader.ReadObject(ref reader, expectedModel, ref facts, out _);
            }
            else
            {
                reader.Skip();
            }
        }
        reader.Read(); // throws where more follows
        (Usage, ServiceTier, Model, AnswerId) = (facts.Usage, facts.ServiceTier, facts.Model, facts.AnswerId);
        return found;
    }
}
