using System.Text.Json;

namespace LlmProxy.Dialects.Responses;

/// <summary>The members of one output item, as places in it. Texts are tokens, the rest raw; empty: not there.</summary>
internal ref struct ResponsesItem
{
    public ReadOnlySpan<byte> Type;
    public ReadOnlySpan<byte> Id;
    public ReadOnlySpan<byte> CallId;
    public ReadOnlySpan<byte> Name;
    public ReadOnlySpan<byte> Arguments;
    public ReadOnlySpan<byte> Input;
    public ReadOnlySpan<byte> Content;
    public ReadOnlySpan<byte> Summary;
    public ReadOnlySpan<byte> Encrypted;
    public ReadOnlySpan<byte> Result;
    public ReadOnlySpan<byte> OutputFormat;
    public ReadOnlySpan<byte> Phase;

    /// <exception cref="JsonException">It is no JSON.</exception>
    public static ResponsesItem Read(ReadOnlySpan<byte> raw)
    {
        var item = new ResponsesItem();
        var reader = new Utf8JsonReader(raw, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            reader.Read();
            var (isText, isArray) = (reader.TokenType == JsonTokenType.String, reader.TokenType == JsonTokenType.StartArray);
            if (isText && name.SequenceEqual("type"u8))
            {
                item.Type = reader.ValueSpan;
                continue;
            }
            var value = ResponsesEvent.Token(ref reader, raw);
            switch (name.Length)
            {
                case 2 when isText && name.SequenceEqual("id"u8):
                    item.Id = value;
                    break;
                case 7 when isText && name.SequenceEqual("call_id"u8):
                    item.CallId = value;
                    break;
                case 4 when isText && name.SequenceEqual("name"u8):
                    item.Name = value;
                    break;
                case 9 when isText && name.SequenceEqual("arguments"u8):
                    item.Arguments = value;
                    break;
                case 5 when isText && name.SequenceEqual("input"u8):
                    item.Input = value;
                    break;
                case 5 when isText && name.SequenceEqual("phase"u8):
                    item.Phase = value;
                    break;
                case 6 when isText && name.SequenceEqual("result"u8):
                    item.Result = value;
                    break;
                case 13 when isText && name.SequenceEqual("output_format"u8):
                    item.OutputFormat = value;
                    break;
                case 17 when isText && name.SequenceEqual("encrypted_content"u8):
                    item.Encrypted = value;
                    break;
                case 7 when isArray && name.SequenceEqual("content"u8):
                    item.Content = value;
                    break;
                case 7 when isArray && name.SequenceEqual("summary"u8):
                    item.Summary = value;
                    break;
            }
        }
        return item;
    }
}

/// <summary>The members of one part of a content. Texts are tokens, the rest raw; empty: not there.</summary>
internal ref struct ResponsesPart
{
    public ReadOnlySpan<byte> Type;
    public ReadOnlySpan<byte> Text;
    public ReadOnlySpan<byte> Annotations;
    public ReadOnlySpan<byte> LogProbs;

    /// <exception cref="JsonException">It is no JSON.</exception>
    public static ResponsesPart Read(ReadOnlySpan<byte> raw)
    {
        var part = new ResponsesPart();
        var reader = new Utf8JsonReader(raw, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            reader.Read();
            var (isText, isArray) = (reader.TokenType == JsonTokenType.String, reader.TokenType == JsonTokenType.StartArray);
            if (isText && name.SequenceEqual("type"u8))
            {
                part.Type = reader.ValueSpan;
                continue;
            }
            var value = ResponsesEvent.Token(ref reader, raw);
            if (isText && (name.SequenceEqual("text"u8) || name.SequenceEqual("refusal"u8)))
            {
                part.Text = value;
            }
            else if (isArray && name.SequenceEqual("annotations"u8))
            {
                part.Annotations = value;
            }
            else if (isArray && name.SequenceEqual("logprobs"u8))
            {
                part.LogProbs = value;
            }
        }
        return part;
    }
}
