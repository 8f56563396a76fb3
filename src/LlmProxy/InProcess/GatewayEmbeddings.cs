using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Routing;
using Microsoft.Extensions.AI;
using Shared.Http;
using Shared.Models;

namespace LlmProxy.InProcess;

/// <summary>The gateway's embedding models as an <see cref="IEmbeddingGenerator{TInput, TEmbedding}"/>, for one caller.</summary>
internal sealed class GatewayEmbeddings(ModelEndpoint endpoint, GatewayRequest caller, string model) : IEmbeddingGenerator<string, Embedding<float>>
{
    private readonly EmbeddingGeneratorMetadata metadata = new("gateway", null, model);

    /// <inheritdoc/>
    public async Task<GeneratedEmbeddings<Embedding<float>>> GenerateAsync(IEnumerable<string> values, EmbeddingGenerationOptions? options = null, CancellationToken cancellationToken = default)
    {
        var inputs = values.ToList();
        if (inputs.Count == 0)
        {
            return [];
        }
        await using var call = await InProcessCall.SendAsync(endpoint, EndpointFamily.Embeddings, caller, Write(inputs, options), cancellationToken);
        try
        {
            using var document = JsonDocument.Parse(await call.ReadAllAsync(cancellationToken));
            return Read(document.RootElement, inputs.Count);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException or FormatException)
        {
            throw new ModelCallException(502, "upstream_error", "The provider's answer holds no embeddings, or not one for each text.");
        }
    }

    /// <inheritdoc/>
    public object? GetService(Type serviceType, object? serviceKey = null) =>
        serviceKey is not null ? null : serviceType == typeof(EmbeddingGeneratorMetadata) ? metadata : serviceType.IsInstanceOfType(this) ? this : null;

    /// <summary>Nothing: the caller's request owns all there is.</summary>
    public void Dispose()
    {
    }

    private byte[] Write(List<string> inputs, EmbeddingGenerationOptions? options)
    {
        var output = new ArrayBufferWriter<byte>();
        var json = new JsonObjectWriter(output);
        json.Text("model"u8, options?.ModelId ?? model);
        json.Name("input"u8);
        for (var i = 0; i < inputs.Count; i++)
        {
            output.WriteByte(i == 0 ? (byte)'[' : (byte)',');
            output.WriteText(inputs[i]);
        }
        output.WriteByte((byte)']');
        json.Number("dimensions"u8, options?.Dimensions);
        foreach (var (name, value) in options?.AdditionalProperties ?? [])
        {
            json.Raw(JsonText.From(name).Escaped.Span, JsonSerializer.SerializeToUtf8Bytes(value, AIJsonUtilities.DefaultOptions));
        }
        json.End();
        return output.WrittenSpan.ToArray();
    }

    private static GeneratedEmbeddings<Embedding<float>> Read(JsonElement answer, int count)
    {
        var vectors = new Embedding<float>?[count];
        var served = answer.TryGetProperty("model"u8, out var name) ? name.GetString() : null;
        foreach (var (position, item) in answer.GetProperty("data"u8).EnumerateArray().Index())
        {
            var index = item.TryGetProperty("index"u8, out var given) && given.TryGetInt32(out var number) ? number : position;
            if (index < 0 || index >= count)
            {
                throw new JsonException();
            }
            vectors[index] = new Embedding<float>(VectorOf(item.GetProperty("embedding"u8))) { ModelId = served };
        }
        var made = new GeneratedEmbeddings<Embedding<float>>(vectors.Select(vector => vector ?? throw new JsonException()));
        if (answer.TryGetProperty("usage"u8, out var usage) && usage.ValueKind == JsonValueKind.Object)
        {
            long? input = usage.TryGetProperty("prompt_tokens"u8, out var prompt) && prompt.TryGetInt64(out var tokens) ? tokens : null;
            made.Usage = new UsageDetails { InputTokenCount = input, TotalTokenCount = usage.TryGetProperty("total_tokens"u8, out var total) && total.TryGetInt64(out var all) ? all : input };
        }
        return made;
    }

    /// <summary>Numbers, or 32-bit floats in base64, little-endian.</summary>
    private static float[] VectorOf(JsonElement embedding)
    {
        if (embedding.ValueKind != JsonValueKind.String)
        {
            return [.. embedding.EnumerateArray().Select(number => number.GetSingle())];
        }
        var bytes = embedding.GetBytesFromBase64();
        return bytes.Length % sizeof(float) == 0 && BitConverter.IsLittleEndian ? MemoryMarshal.Cast<byte, float>(bytes).ToArray() : throw new JsonException();
    }
}
