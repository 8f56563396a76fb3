using System.Text.RegularExpressions;

namespace PriceImport;

/// <summary>What a model's name says of its kind, where a list does not.</summary>
internal static partial class Kinds
{
    /// <summary>Whether the model answers with no tokens that are charged: embeddings, ranking, moderation.</summary>
    public static bool HasNoOutput(string model) => NoOutput().IsMatch(model);

    /// <summary>Whether the model seems to put out images, audio or video.</summary>
    public static bool IsMedia(string model) => Media().IsMatch(model);

    /// <summary>Whether the model searches the web with every call, for which vendors charge beside the tokens.</summary>
    public static bool Searches(string model) => Search().IsMatch(model);

    [GeneratedRegex("embed|rerank|moderation|voyage-|ada-002|(^|[/-])(bge|gte|e5|multilingual-e5)-", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex NoOutput();

    [GeneratedRegex("image|tts|audio|video|realtime|dall-e|imagen|(^|[/.-])(veo|sora|lyria|flux|whisper|voxtral|sonic|live)([-.]|$)|native-audio|transcribe|stable-diffusion", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Media();

    [GeneratedRegex("(^|[/.-])sonar|search-preview|search-api|deep-research|:online$", RegexOptions.IgnoreCase | RegexOptions.CultureInvariant)]
    private static partial Regex Search();
}
