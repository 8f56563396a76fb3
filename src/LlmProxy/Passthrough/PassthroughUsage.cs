using System.Buffers;
using System.Runtime.InteropServices;
using System.Text.Json;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Usage;
using Shared.Pricing;

namespace LlmProxy.Passthrough;

/// <summary>
/// Looks for usage figures in an answer that passes by, as the root's vendor writes them: in one JSON body (or a JSON array of them), or in the events of a stream. What is too
/// large to be kept, or compressed, is not read.
/// </summary>
internal sealed class PassthroughUsage : IDisposable
{
    /// <summary>The largest body, or line of a stream, that is looked at.</summary>
    private const int MaxKept = 1024 * 1024;

    private readonly string root;
    private readonly bool isStream;
    private readonly bool isIgnored;
    private AnthropicFigures anthropic;
    private GeminiUsage gemini;
    private TokenUsage? openAi;
    private byte[] kept = ArrayPool<byte>.Shared.Rent(4096);
    private int length;
    private bool isTooLarge;

    /// <param name="root">The root that the request came in by.</param>
    /// <param name="contentType">The answer's media type.</param>
    /// <param name="isIgnored">Whether the answer says nothing of what this request used.</param>
    public PassthroughUsage(string root, string contentType, bool isIgnored)
    {
        this.root = root;
        isStream = contentType.StartsWith("text/event-stream", StringComparison.OrdinalIgnoreCase);
        this.isIgnored = isIgnored || (!isStream && !contentType.StartsWith("application/json", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>What was used; null: it was not said.</summary>
    public TokenUsage? Usage => root switch
    {
        "anthropic" => anthropic.HasCounts ? anthropic.Usage : null,
        "genai" => gemini.HasCounts ? gemini.Disjoint() : null,
        _ => openAi,
    };

    /// <summary>The model that the answer names; null: none.</summary>
    public string? Model { get; private set; }

    /// <summary>The tier that served it; null: not said.</summary>
    public string? ServiceTier { get; private set; }

    /// <summary>Takes the next piece.</summary>
    public void Take(ReadOnlySpan<byte> piece)
    {
        if (isIgnored)
        {
            return;
        }
        if (!isStream)
        {
            Keep(piece);
            return;
        }
        while (piece.IndexOfAny((byte)'\n', (byte)'\r') is var end and >= 0)
        {
            Keep(piece[..end]);
            TakeLine();
            piece = piece[(end + 1)..];
        }
        Keep(piece);
    }

    /// <summary>The answer is complete.</summary>
    public void End()
    {
        if (isStream)
        {
            TakeLine();
        }
        else if (!isTooLarge)
        {
            Read(kept.AsMemory(0, length));
        }
    }

    public void Dispose()
    {
        ArrayPool<byte>.Shared.Return(kept);
        kept = [];
        length = 0;
    }

    private void Keep(ReadOnlySpan<byte> bytes)
    {
        if (isTooLarge || length + bytes.Length > MaxKept)
        {
            isTooLarge = true;
            return;
        }
        if (length + bytes.Length > kept.Length)
        {
            var larger = ArrayPool<byte>.Shared.Rent(Math.Max(kept.Length * 2, length + bytes.Length));
            kept.AsSpan(0, length).CopyTo(larger);
            ArrayPool<byte>.Shared.Return(kept);
            kept = larger;
        }
        bytes.CopyTo(kept.AsSpan(length));
        length += bytes.Length;
    }

    private void TakeLine()
    {
        var line = kept.AsSpan(0, length);
        if (!isTooLarge && line.StartsWith("data:"u8) && line.IndexOf("sage"u8) >= 0)
        {
            Read(kept.AsMemory(5, length - 5));
        }
        (length, isTooLarge) = (0, false);
    }

    private void Read(ReadOnlyMemory<byte> json)
    {
        try
        {
            using var document = JsonDocument.Parse(json, new JsonDocumentOptions { MaxDepth = 256 });
            if (document.RootElement.ValueKind == JsonValueKind.Array)
            {
                foreach (var item in document.RootElement.EnumerateArray())
                {
                    Read(item);
                }
            }
            else
            {
                Read(document.RootElement);
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // No JSON, so that there are no figures: the call's cost is then unknown.
        }
    }

    private void Read(JsonElement item)
    {
        if (item.ValueKind != JsonValueKind.Object)
        {
            return;
        }
        // Some events hold the whole answer as it stands so far.
        foreach (var name in (ReadOnlySpan<string>)["response", "message"])
        {
            if (item.TryGetProperty(name, out var inner) && inner.ValueKind == JsonValueKind.Object)
            {
                Read(inner);
            }
        }
        Model = TextOf(item, "model") ?? TextOf(item, "modelVersion") ?? Model;
        ServiceTier = TextOf(item, "service_tier") ?? ServiceTier;
        if (item.TryGetProperty(root == "genai" ? "usageMetadata" : "usage", out var usage) && usage.ValueKind == JsonValueKind.Object)
        {
            ReadUsage(usage);
        }
    }

    private void ReadUsage(JsonElement usage)
    {
        var reader = new Utf8JsonReader(JsonMarshal.GetRawUtf8Value(usage));
        reader.Read();
        switch (root)
        {
            case "anthropic":
                anthropic.Read(ref reader, out _);
                break;
            case "genai":
                gemini.Read(ref reader);
                break;
            case "bedrock":
                openAi = Bedrock(usage) ?? openAi;
                break;
            default:
                openAi = Responses(usage) ?? (UsageReader.TryRead(ref reader, hasOutput: true, out var read) ? read : openAi);
                break;
        }
    }

    // OpenAI's newer endpoints, whose parts overlap as those of chat do.
    private static TokenUsage? Responses(JsonElement usage)
    {
        if (CountOf(usage, "input_tokens") is not { } input)
        {
            return null;
        }
        var output = CountOf(usage, "output_tokens") ?? 0;
        var cached = Math.Min(DetailOf(usage, "input_tokens_details", "cached_tokens"), input);
        var written = Math.Min(DetailOf(usage, "input_tokens_details", "cache_write_tokens"), input - cached);
        var audioInput = Math.Min(DetailOf(usage, "input_tokens_details", "audio_tokens"), input - cached - written);
        var imageInput = Math.Min(DetailOf(usage, "input_tokens_details", "image_tokens"), input - cached - written - audioInput);
        var reasoning = Math.Min(DetailOf(usage, "output_tokens_details", "reasoning_tokens"), output);
        var imageOutput = Math.Min(DetailOf(usage, "output_tokens_details", "image_tokens"), output - reasoning);
        return new TokenUsage
        {
            Input = input - cached - written - audioInput - imageInput,
            CacheRead = cached,
            CacheWrite = written,
            AudioInput = audioInput,
            ImageInput = imageInput,
            Output = output - reasoning - imageOutput,
            Reasoning = reasoning,
            ImageOutput = imageOutput,
        };
    }

    // Converse, whose input counts no cached tokens.
    private static TokenUsage? Bedrock(JsonElement usage) => CountOf(usage, "inputTokens") is not { } input ? null : new TokenUsage
    {
        Input = input,
        CacheRead = CountOf(usage, "cacheReadInputTokens") ?? 0,
        CacheWrite = CountOf(usage, "cacheWriteInputTokens") ?? 0,
        Output = CountOf(usage, "outputTokens") ?? 0,
    };

    private static string? TextOf(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= 256 } text ? text : null;

    private static long DetailOf(JsonElement usage, string details, string name) =>
        usage.TryGetProperty(details, out var inner) && inner.ValueKind == JsonValueKind.Object ? CountOf(inner, name) ?? 0 : 0;

    private static long? CountOf(JsonElement item, string name) =>
        item.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.Number && value.TryGetInt64(out var count) ? Math.Clamp(count, 0, 1_000_000_000_000) : null;
}
