using System.Globalization;

namespace LlmProxy.Dialects.Gemini;

/// <summary>What a model takes, as far as its name tells. Names that say nothing count as the newest.</summary>
internal readonly struct GeminiModelTraits
{
    private readonly decimal generation;
    private readonly bool isGemini;
    private readonly string model;

    /// <summary>The traits of a model.</summary>
    /// <param name="model">The provider's name of it, with or without its path.</param>
    public GeminiModelTraits(string model)
    {
        this.model = model;
        var start = model.IndexOf("gemini-", StringComparison.OrdinalIgnoreCase);
        isGemini = start >= 0;
        generation = 99;
        if (isGemini)
        {
            var digits = model.AsSpan(start + 7);
            var length = digits.IndexOfAnyExcept("0123456789.");
            digits = length < 0 ? digits : digits[..length];
            if (decimal.TryParse(digits, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number))
            {
                generation = number;
            }
        }
    }

    /// <summary>Whether it takes <c>thinkingConfig</c> at all: from Gemini 2.5 on.</summary>
    public bool Thinks => isGemini && generation >= 2.5m;

    /// <summary>
    /// Whether it is of Gemini 3 or later: it takes <c>thinkingLevel</c> rather than a budget, wants the signatures of its calls back (400 without), and takes media in results
    /// (ai.google.dev/gemini-api/docs/gemini-3, /thought-signatures).
    /// </summary>
    public bool IsThirdGeneration => isGemini && generation >= 3;

    /// <summary>Whether its thinking cannot be switched off (the Pro models).</summary>
    public bool AlwaysThinks => model.Contains("pro", StringComparison.OrdinalIgnoreCase);

    /// <summary>Whether it knows the levels <c>MINIMAL</c> and <c>MEDIUM</c>: Gemini 3 Pro had but <c>LOW</c> and <c>HIGH</c>.</summary>
    public bool HasAllLevels => !(generation == 3 && AlwaysThinks);
}
