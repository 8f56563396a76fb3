using System.Buffers.Binary;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>
/// <c>embed</c>: a vector of length 1 for each input. Each word adds a direction of its own, so that texts with words in common lie closer together.
/// </summary>
internal static class SimulatorEmbeddings
{
    private const int UsualDimensions = 256;

    private const int MaxDimensions = 4096;

    private const int MaxInputs = 2048;

    private const int MaxNumbers = 1024 * 1024;

    public static SimulatorAnswer Reply(JsonElement root)
    {
        if (SimulatorPrompt.Text(SimulatorPrompt.Member(root, "model")) != "embed")
        {
            return SimulatorAnswer.UnknownModel("The simulator has one model for embeddings: 'embed'.");
        }
        if (SimulatorInput.Read(SimulatorPrompt.Member(root, "input")) is not { Count: <= MaxInputs } inputs)
        {
            return SimulatorAnswer.Invalid($"'input' must be a text, token numbers, or an array of 1 to {MaxInputs} of them.", "invalid_input", "input");
        }
        var dimensions = SimulatorPrompt.Member(root, "dimensions") is { ValueKind: not JsonValueKind.Null } given ? SimulatorPrompt.Number(given) ?? 0 : UsualDimensions;
        if (dimensions is < 1 or > MaxDimensions)
        {
            return SimulatorAnswer.Invalid($"'dimensions' must be a whole number from 1 to {MaxDimensions}.", "invalid_dimensions", "dimensions");
        }
        if ((long)dimensions * inputs.Count > MaxNumbers)
        {
            return SimulatorAnswer.Invalid($"'dimensions' times the number of inputs must not exceed {MaxNumbers}.", "invalid_dimensions", "dimensions");
        }
        var format = SimulatorPrompt.Member(root, "encoding_format") is { ValueKind: not JsonValueKind.Null } encoding ? SimulatorPrompt.Text(encoding) : "float";
        if (format is not ("float" or "base64"))
        {
            return SimulatorAnswer.Invalid("'encoding_format' must be 'float' or 'base64'.", "invalid_encoding_format", "encoding_format");
        }
        return new(SimulatorWriter.Json(json => Write(json, inputs, dimensions, format == "base64")));
    }

    private static void Write(Utf8JsonWriter json, IReadOnlyList<SimulatorInput> inputs, int dimensions, bool asBase64)
    {
        json.WriteString("object", "list");
        json.WriteStartArray("data");
        for (var index = 0; index < inputs.Count; index++)
        {
            json.WriteStartObject();
            json.WriteString("object", "embedding");
            json.WriteNumber("index", index);
            json.WritePropertyName("embedding");
            WriteVector(json, VectorOf(inputs[index].Text, dimensions), asBase64);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteString("model", "embed");
        var tokens = inputs.Sum(input => (long)input.Tokens);
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", tokens);
        json.WriteNumber("total_tokens", tokens);
        json.WriteEndObject();
    }

    private static void WriteVector(Utf8JsonWriter json, float[] vector, bool asBase64)
    {
        if (asBase64)
        {
            var bytes = new byte[vector.Length * sizeof(float)];
            for (var i = 0; i < vector.Length; i++)
            {
                BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(i * sizeof(float)), vector[i]);
            }
            json.WriteBase64StringValue(bytes);
            return;
        }
        json.WriteStartArray();
        foreach (var value in vector)
        {
            json.WriteNumberValue(value);
        }
        json.WriteEndArray();
    }

    private static float[] VectorOf(string text, int dimensions)
    {
        var sums = new double[dimensions];
        var block = new byte[sizeof(uint) + SHA256.HashSizeInBytes];
        Span<byte> numbers = stackalloc byte[SHA256.HashSizeInBytes];
        foreach (var word in text.Split(' ', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).DefaultIfEmpty("").GroupBy(word => word, StringComparer.OrdinalIgnoreCase))
        {
            SHA256.HashData(Encoding.UTF8.GetBytes(word.Key.ToUpperInvariant()), block.AsSpan(sizeof(uint)));
            for (var i = 0; i < dimensions; i++)
            {
                var offset = i % (SHA256.HashSizeInBytes / sizeof(uint));
                if (offset == 0)
                {
                    BinaryPrimitives.WriteInt32LittleEndian(block, i);
                    SHA256.HashData(block, numbers);
                }
                sums[i] += (BinaryPrimitives.ReadInt32LittleEndian(numbers[(offset * sizeof(uint))..]) + 0.5) / int.MaxValue * word.Count();
            }
        }
        var length = Math.Sqrt(sums.Sum(value => value * value)); // never 0: no number above is
        return [.. sums.Select(value => (float)(value / length))];
    }
}
