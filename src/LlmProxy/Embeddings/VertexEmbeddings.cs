using System.Buffers;
using System.Globalization;
using LlmProxy.Dialects;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using Shared.Http;
using Shared.Pricing;

namespace LlmProxy.Embeddings;

/// <summary>
/// Vectors of Vertex AI's text models, by <c>:predict</c>: each text is an instance, and each prediction says how many tokens it was.
/// (cloud.google.com/vertex-ai/generative-ai/docs/model-reference/text-embeddings-api)
/// </summary>
internal static class VertexEmbeddings
{
    /// <summary>Writes a request.</summary>
    public static GatewayError? Encode(ReadOnlyMemory<byte> body, DropReport dropped, IBufferWriter<byte> output)
    {
        if (EmbeddingInput.Read(body, "Google", dropped, out var input) is { } error)
        {
            return error;
        }
        output.Write("{\"instances\":["u8);
        for (var i = 0; i < input!.Texts.Count; i++)
        {
            output.Write(i > 0 ? ",{\"content\":"u8 : "{\"content\":"u8);
            output.WriteText(input.Texts[i]);
            if (TaskOf(input.Task) is { } task)
            {
                output.Write(",\"task_type\":"u8);
                output.WriteText(task);
            }
            output.Write("}"u8);
        }
        output.Write("]"u8);
        if (!input.Dimensions.IsEmpty)
        {
            output.Write(",\"parameters\":{\"outputDimensionality\":"u8);
            output.Write(input.Dimensions.Span);
            output.Write("}"u8);
        }
        output.Write("}"u8);
        return null;
    }

    /// <summary>What vectors are for, in Google's words; Cohere's are understood.</summary>
    public static string? TaskOf(string? task) => task switch
    {
        "search_document" => "RETRIEVAL_DOCUMENT",
        "search_query" => "RETRIEVAL_QUERY",
        "classification" => "CLASSIFICATION",
        "clustering" => "CLUSTERING",
        _ => task,
    };

    /// <summary>Its answer as OpenAI's.</summary>
    internal sealed class Decoder(string model, bool isBase64, IBufferWriter<byte> output) : EmbeddingDecoder
    {
        private const decimal MaxTokens = 1_000_000_000_000;

        protected override StreamStatus Translate(ReadOnlyMemory<byte> body)
        {
            var predictions = new JsonArrayReader(JsonMembers.Of(body).Take("predictions"u8));
            var vectors = new List<ReadOnlyMemory<byte>>();
            var (tokens, isCounted) = (0L, true);
            while (predictions.Next(out var prediction))
            {
                var embedding = JsonMembers.Of(JsonMembers.Of(prediction.Raw).Take("embeddings"u8).Raw);
                vectors.Add(embedding.Take("values"u8).Raw);
                var statistics = embedding.Take("statistics"u8);
                var count = statistics.IsObject ? JsonMembers.Of(statistics.Raw).Take("token_count"u8) : default;
                // Google writes whole numbers as 4.0 here.
                isCounted &= count.IsNumber && decimal.TryParse(count.Raw.Span, NumberStyles.Float, CultureInfo.InvariantCulture, out var number) && number is >= 0 and <= MaxTokens
                    && Add(ref tokens, number);
            }
            Usage = isCounted && vectors.Count > 0 ? new TokenUsage { Input = tokens } : null;
            return EmbeddingAnswer.TryWrite(output, vectors, model, isBase64, Usage) ? StreamStatus.Completed : StreamStatus.Invalid;
        }

        private static bool Add(ref long tokens, decimal number)
        {
            tokens = Math.Min((long)MaxTokens, tokens + (long)Math.Ceiling(number));
            return true;
        }
    }
}
