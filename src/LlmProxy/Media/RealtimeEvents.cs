using System.Text.Json;
using LlmProxy.ChatCompletions;
using Shared.Pricing;

namespace LlmProxy.Media;

/// <summary>What a client's event asks for, as far as it matters here.</summary>
internal struct ClientEvent
{
    public string? Type, EventId;

    /// <summary>The value of <c>session.model</c>, quotes included.</summary>
    public JsonSlice Model;

    public string? ModelName;

    /// <summary>The model that is to transcribe what is heard; null: none is named.</summary>
    public string? TranscriptionModel;

    /// <summary>Whether what is heard is to be transcribed, which is billed by itself.</summary>
    public bool Transcribes;

    /// <summary>The first member that makes the price boundless; null: there is none.</summary>
    public string? Unbounded;

    /// <summary>Whether something that matters is named twice, so that two readers could understand it differently.</summary>
    public bool IsAmbiguous;
}

/// <summary>What a provider's event tells, as far as it matters here.</summary>
internal struct ServerEvent
{
    public string? Type, ResponseId, Status;

    /// <summary>What was used; null: not said.</summary>
    public TokenUsage? Usage;
}

/// <summary>Reads the events of OpenAI's realtime interface for the few members that route and bill.</summary>
internal static class RealtimeEvents
{
    /// <summary>Reads a client's event. False: it is no JSON object.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out ClientEvent read)
    {
        read = default;
        try
        {
            var reader = NewReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            var bodies = 0;
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "type"u8))
                {
                    TakeText(ref reader, ref read.Type, ref read.IsAmbiguous);
                }
                else if (MemberNames.Is(ref reader, "event_id"u8))
                {
                    var isAmbiguous = false; // it is only repeated in messages
                    TakeText(ref reader, ref read.EventId, ref isAmbiguous);
                }
                else if (MemberNames.Is(ref reader, "session"u8) || MemberNames.Is(ref reader, "response"u8))
                {
                    read.IsAmbiguous |= ++bodies > 1;
                    reader.Read();
                    TakeSession(ref reader, ref read);
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
            return !reader.Read();
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    /// <summary>Reads a provider's event; of most, no more than its type. False: it is no JSON object.</summary>
    public static bool TryRead(ReadOnlySpan<byte> json, out ServerEvent read)
    {
        read = default;
        try
        {
            var reader = NewReader(json);
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                if (MemberNames.Is(ref reader, "type"u8))
                {
                    reader.Read();
                    if (!Matters(ref reader))
                    {
                        return true;
                    }
                    read.Type = reader.GetString();
                }
                else if (MemberNames.Is(ref reader, "response"u8))
                {
                    reader.Read();
                    TakeResponse(ref reader, ref read);
                }
                else if (MemberNames.Is(ref reader, "usage"u8))
                {
                    reader.Read();
                    read.Usage = MediaUsage.ReadUsage(ref reader);
                }
                else
                {
                    reader.Read();
                    reader.Skip();
                }
            }
            return true;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return false;
        }
    }

    private static Utf8JsonReader NewReader(ReadOnlySpan<byte> json) => new(json, new JsonReaderOptions { MaxDepth = RequestScanner.MaxDepth });

    private static bool Matters(ref Utf8JsonReader reader) => reader.TokenType == JsonTokenType.String
        && (reader.ValueTextEquals("response.created"u8) || reader.ValueTextEquals("response.done"u8) || reader.ValueTextEquals("conversation.item.input_audio_transcription.completed"u8));

    private static void TakeResponse(ref Utf8JsonReader reader, ref ServerEvent read)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        var unused = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "id"u8))
            {
                TakeText(ref reader, ref read.ResponseId, ref unused);
            }
            else if (MemberNames.Is(ref reader, "status"u8))
            {
                TakeText(ref reader, ref read.Status, ref unused);
            }
            else if (MemberNames.Is(ref reader, "usage"u8))
            {
                reader.Read();
                read.Usage = MediaUsage.ReadUsage(ref reader);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void TakeSession(ref Utf8JsonReader reader, ref ClientEvent read)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        var (inputs, transcriptions) = (0, 0);
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "model"u8))
            {
                reader.Read();
                read.IsAmbiguous |= read.Model.Exists;
                var start = (int)reader.TokenStartIndex;
                read.ModelName = reader.TokenType == JsonTokenType.String ? reader.GetString() : "";
                reader.Skip();
                read.Model = new JsonSlice(start, (int)reader.BytesConsumed - start);
            }
            else if (MemberNames.Is(ref reader, "tools"u8))
            {
                reader.Read();
                TakeTools(ref reader, ref read);
            }
            else if (MemberNames.Is(ref reader, "prompt"u8))
            {
                reader.Read();
                read.Unbounded ??= reader.TokenType == JsonTokenType.Null ? null : "prompt";
                reader.Skip();
            }
            else if (MemberNames.Is(ref reader, "input_audio_transcription"u8))
            {
                read.IsAmbiguous |= ++transcriptions > 1;
                reader.Read();
                TakeTranscription(ref reader, ref read);
            }
            else if (MemberNames.Is(ref reader, "audio"u8))
            {
                read.IsAmbiguous |= ++inputs > 1;
                reader.Read();
                TakeAudio(ref reader, ref read);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    private static void TakeAudio(ref Utf8JsonReader reader, ref ClientEvent read)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isInput = MemberNames.Is(ref reader, "input"u8);
            reader.Read();
            if (!isInput || reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isTranscription = MemberNames.Is(ref reader, "transcription"u8);
                reader.Read();
                if (isTranscription)
                {
                    TakeTranscription(ref reader, ref read);
                }
                else
                {
                    reader.Skip();
                }
            }
        }
    }

    private static void TakeTranscription(ref Utf8JsonReader reader, ref ClientEvent read)
    {
        if (reader.TokenType != JsonTokenType.StartObject)
        {
            reader.Skip();
            return;
        }
        read.IsAmbiguous |= read.Transcribes;
        read.Transcribes = true;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "model"u8))
            {
                TakeText(ref reader, ref read.TranscriptionModel, ref read.IsAmbiguous);
            }
            else
            {
                reader.Read();
                reader.Skip();
            }
        }
    }

    /// <summary>Tools that the provider itself runs are billed beyond the response's tokens, or make responses of their own.</summary>
    private static void TakeTools(ref Utf8JsonReader reader, ref ClientEvent read)
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
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isType = MemberNames.Is(ref reader, "type"u8);
                reader.Read();
                if (isType && !(reader.TokenType == JsonTokenType.String && reader.ValueTextEquals("function"u8)))
                {
                    read.Unbounded ??= "tools";
                }
                reader.Skip();
            }
        }
    }

    private static void TakeText(ref Utf8JsonReader reader, ref string? text, ref bool isAmbiguous)
    {
        reader.Read();
        if (reader.TokenType == JsonTokenType.String && reader.ValueSpan.Length <= 256)
        {
            isAmbiguous |= text is not null;
            text = reader.GetString();
            return;
        }
        reader.Skip();
    }
}
