using System.Text.Json;

namespace LlmProxy.Dialects.Responses;

/// <summary>The members of one event, as places in it, whatever their order. Texts are tokens, the rest raw; empty: not there.</summary>
internal ref struct ResponsesEvent
{
    public EventKind Kind;
    public ReadOnlySpan<byte> Type;
    public int OutputIndex = -1;
    public int PartIndex;
    public ReadOnlySpan<byte> Delta;
    public ReadOnlySpan<byte> Text;
    public ReadOnlySpan<byte> Item;
    public ReadOnlySpan<byte> Part;
    public ReadOnlySpan<byte> Annotation;
    public ReadOnlySpan<byte> LogProbs;
    public ReadOnlySpan<byte> Response;
    public bool HasError;

    public ResponsesEvent()
    {
    }

    /// <summary>Reads an event. False: it is no object.</summary>
    /// <exception cref="JsonException">It is no JSON.</exception>
    public static bool TryRead(ReadOnlySpan<byte> data, out ResponsesEvent read)
    {
        read = new ResponsesEvent();
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan; // nobody writes these names with escapes
            reader.Read();
            switch (name.Length)
            {
                case 4 when name.SequenceEqual("type"u8) && reader.TokenType == JsonTokenType.String:
                    read.Type = reader.ValueSpan;
                    break;
                case 5 when name.SequenceEqual("delta"u8) && reader.TokenType == JsonTokenType.String:
                    read.Delta = Token(ref reader, data);
                    break;
                case 12 when name.SequenceEqual("output_index"u8):
                    read.OutputIndex = Index(ref reader, -1);
                    break;
                case 13 when name.SequenceEqual("content_index"u8) || name.SequenceEqual("summary_index"u8):
                    read.PartIndex = Index(ref reader, 0);
                    break;
                case 8 when name.SequenceEqual("logprobs"u8) && reader.TokenType == JsonTokenType.StartArray:
                    read.LogProbs = Token(ref reader, data);
                    break;
                case 4 when name.SequenceEqual("text"u8) && reader.TokenType == JsonTokenType.String:
                case 7 when name.SequenceEqual("refusal"u8) && reader.TokenType == JsonTokenType.String:
                case 9 when name.SequenceEqual("arguments"u8) && reader.TokenType == JsonTokenType.String:
                case 5 when name.SequenceEqual("input"u8) && reader.TokenType == JsonTokenType.String:
                    read.Text = Token(ref reader, data);
                    break;
                case 4 when name.SequenceEqual("item"u8) && reader.TokenType == JsonTokenType.StartObject:
                    read.Item = Token(ref reader, data);
                    break;
                case 4 when name.SequenceEqual("part"u8) && reader.TokenType == JsonTokenType.StartObject:
                    read.Part = Token(ref reader, data);
                    break;
                case 10 when name.SequenceEqual("annotation"u8) && reader.TokenType == JsonTokenType.StartObject:
                    read.Annotation = Token(ref reader, data);
                    break;
                case 8 when name.SequenceEqual("response"u8) && reader.TokenType == JsonTokenType.StartObject:
                    read.Response = Token(ref reader, data);
                    break;
                case 5 when name.SequenceEqual("error"u8):
                    read.HasError = reader.TokenType != JsonTokenType.Null;
                    reader.Skip();
                    break;
                default:
                    reader.Skip();
                    break;
            }
        }
        read.Kind = ResponsesEvents.KindOf(read.Type);
        return !reader.Read();
    }

    /// <summary>The value that the reader stands on; the reader ends on its end.</summary>
    public static ReadOnlySpan<byte> Token(scoped ref Utf8JsonReader reader, ReadOnlySpan<byte> data)
    {
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return data[start..(int)reader.BytesConsumed];
    }

    private static int Index(ref Utf8JsonReader reader, int otherwise)
    {
        var index = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var number) && number >= 0 ? number : otherwise;
        reader.Skip();
        return index;
    }
}
