using System.Buffers;
using System.Buffers.Binary;
using System.Buffers.Text;
using System.Text.Json;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Pricing;

namespace LlmProxy.Embeddings;

/// <summary>Writes OpenAI's answer to a request for vectors.</summary>
internal static class EmbeddingAnswer
{
    /// <summary>Writes it. False: what should be vectors are none.</summary>
    /// <param name="output">Receives the answer.</param>
    /// <param name="vectors">Arrays of numbers, JSON, in the order of the texts.</param>
    /// <param name="model">The model's name.</param>
    /// <param name="isBase64">Whether vectors are wanted as little-endian 32-bit floats in base64.</param>
    /// <param name="usage">What was used; null: not said.</param>
    public static bool TryWrite(IBufferWriter<byte> output, IReadOnlyList<ReadOnlyMemory<byte>> vectors, string model, bool isBase64, in TokenUsage? usage)
    {
        if (vectors.Count == 0 || vectors.Any(vector => !new JsonValue(vector).IsArray))
        {
            return false;
        }
        output.Write("{\"object\":\"list\",\"data\":["u8);
        for (var i = 0; i < vectors.Count; i++)
        {
            output.Write(i > 0 ? ",{\"object\":\"embedding\",\"index\":"u8 : "{\"object\":\"embedding\",\"index\":"u8);
            output.WriteNumber(i);
            output.Write(",\"embedding\":"u8);
            if (!isBase64)
            {
                output.Write(vectors[i].Span);
            }
            else if (!TryWriteBase64(output, vectors[i]))
            {
                return false;
            }
            output.Write("}"u8);
        }
        output.Write("],\"model\":"u8);
        output.WriteText(model);
        output.Write(",\"usage\":{\"prompt_tokens\":"u8);
        output.WriteNumber(usage?.TotalInput ?? 0);
        output.Write(",\"total_tokens\":"u8);
        output.WriteNumber(usage?.TotalInput ?? 0);
        output.Write("}}"u8);
        return true;
    }

    private static bool TryWriteBase64(IBufferWriter<byte> output, ReadOnlyMemory<byte> vector)
    {
        var bytes = new ArrayBufferWriter<byte>(vector.Length);
        var numbers = new JsonArrayReader(new JsonValue(vector));
        while (numbers.Next(out var number))
        {
            if (!Utf8Parser.TryParse(number.Raw.Span, out float value, out var read) || read != number.Raw.Length)
            {
                return false;
            }
            BinaryPrimitives.WriteSingleLittleEndian(bytes.GetSpan(4), value);
            bytes.Advance(4);
        }
        output.WriteText(Convert.ToBase64String(bytes.WrittenSpan));
        return true;
    }
}

/// <summary>Translates one answer, past the neutral form, which knows no vectors.</summary>
internal abstract class EmbeddingDecoder : AnswerDecoder
{
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink) => StreamStatus.Invalid; // vectors do not come in streams

    public override StreamStatus End(IAnswerSink sink) => StreamStatus.Truncated;

    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        try
        {
            return Translate(body.ToArray());
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    protected abstract StreamStatus Translate(ReadOnlyMemory<byte> body);
}
