using LlmProxy.ChatCompletions;

namespace LlmProxy.Media;

/// <summary>What routes and bills a call, and where its model stands in the body. All else in the body passes as it is.</summary>
internal sealed class MediaFields
{
    /// <summary>The value of <c>model</c>; in JSON its quotes included.</summary>
    public JsonSlice Model { get; set; }

    /// <summary>The model's name.</summary>
    public string ModelName { get; set; } = "";

    /// <summary>Whether the body is a form, and not JSON.</summary>
    public bool IsForm { get; init; }

    /// <summary>How many pictures are asked for, at least 1.</summary>
    public int Count { get; set; } = 1;

    /// <summary>How many unfinished pictures each finished one may be preceded by in a stream.</summary>
    public int PartialImages { get; set; }

    /// <summary>Whether events are asked for.</summary>
    public bool Stream { get; set; }

    /// <summary>The size of a picture, as it was written; null: none.</summary>
    public string? Size { get; set; }

    /// <summary>The quality of a picture, as it was written; null: none.</summary>
    public string? Quality { get; set; }

    /// <summary>Bytes that can be text to the model; no fewer than its tokens.</summary>
    public long TextBytes { get; set; }

    /// <summary>Characters that are to be spoken, in Unicode scalar values.</summary>
    public long Characters { get; set; }

    /// <summary>Pictures in the input.</summary>
    public int Images { get; set; }

    /// <summary>No fewer than the searches that a ranking counts as.</summary>
    public long Searches { get; set; }

    /// <summary>Whether the provider is asked to cut audio into pieces that it hears one by one.</summary>
    public bool Chunks { get; set; }

    /// <summary>The first member that makes the price boundless whatever the model costs; null: there is none.</summary>
    public string? Unbounded { get; set; }

    /// <summary>Which variant of a picture is asked for: <c>quality/size</c>, one of the two, or null.</summary>
    public string? Variant => VariantOf(Quality, Size);

    /// <summary>The name of a variant in a price.</summary>
    public static string? VariantOf(string? quality, string? size) => (quality, size) switch
    {
        (null, _) => size,
        (_, null) => quality,
        _ => $"{quality}/{size}",
    };
}
