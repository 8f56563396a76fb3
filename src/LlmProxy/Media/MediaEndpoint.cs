using Shared.Pricing;

namespace LlmProxy.Media;

/// <summary>
/// An endpoint for something other than text: where its calls go, what is read of them, and what answers it has. Its bodies are relayed as they are.
/// </summary>
internal sealed class MediaEndpoint
{
    private MediaEndpoint(int index, string id, string path, string operation)
    {
        Index = index;
        Family = new MediaFamily(id, path, operation);
    }

    /// <summary><c>/rerank</c>, as Cohere's second version and the servers that follow it have it.</summary>
    public static MediaEndpoint Rerank { get; } = new(0, "rerank", "/rerank", "rerank") { Member = "results"u8.ToArray(), Unit = UnitKind.Search, Aliases = ["/v2/rerank"] };

    /// <summary><c>/images/generations</c>.</summary>
    public static MediaEndpoint Generate { get; } = new(1, "images.generate", "/images/generations", "image_generation") { Member = "data"u8.ToArray(), Unit = UnitKind.Image };

    /// <summary><c>/images/edits</c>.</summary>
    public static MediaEndpoint Edit { get; } = new(2, "images.edit", "/images/edits", "image_edit") { Member = "data"u8.ToArray(), Unit = UnitKind.Image, TakesForms = true };

    /// <summary><c>/images/variations</c>.</summary>
    public static MediaEndpoint Vary { get; } = new(3, "images.variations", "/images/variations", "image_variation") { Member = "data"u8.ToArray(), Unit = UnitKind.Image, TakesForms = true };

    /// <summary><c>/audio/speech</c>.</summary>
    public static MediaEndpoint Speech { get; } = new(4, "audio.speech", "/audio/speech", "speech") { Member = "audio"u8.ToArray(), Unit = UnitKind.Character, AnswersBytes = true };

    /// <summary><c>/audio/transcriptions</c>.</summary>
    public static MediaEndpoint Transcribe { get; } =
        new(5, "audio.transcriptions", "/audio/transcriptions", "transcription") { Member = "text"u8.ToArray(), Unit = UnitKind.AudioSecond, TakesForms = true, AnswersBytes = true };

    /// <summary><c>/audio/translations</c>.</summary>
    public static MediaEndpoint Translate { get; } =
        new(6, "audio.translations", "/audio/translations", "translation") { Member = "text"u8.ToArray(), Unit = UnitKind.AudioSecond, TakesForms = true, AnswersBytes = true };

    /// <summary>All of them, by <see cref="Index"/>.</summary>
    public static IReadOnlyList<MediaEndpoint> All { get; } = [Rerank, Generate, Edit, Vary, Speech, Transcribe, Translate];

    /// <summary>Its place among the others, from 0.</summary>
    public int Index { get; }

    /// <summary>What targets and telemetry know of it.</summary>
    public MediaFamily Family { get; }

    /// <summary>The member that tells an answer from an error, UTF-8.</summary>
    public required byte[] Member { get; init; }

    /// <summary>What its calls are billed by where it is not tokens.</summary>
    public required UnitKind Unit { get; init; }

    /// <summary>Whether a request may be a form (<c>multipart/form-data</c>) instead of JSON.</summary>
    public bool TakesForms { get; init; }

    /// <summary>Whether an answer may be bytes of any type: sound, or plain text.</summary>
    public bool AnswersBytes { get; init; }

    /// <summary>Other paths under which it is found here.</summary>
    public IReadOnlyList<string> Aliases { get; init; } = [];
}
