namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// What a model of Anthropic's can do, told from its name: <c>claude-opus-4-8</c>, <c>claude-sonnet-4-5@20250929</c> (Vertex), <c>us.anthropic.claude-opus-5-v1:0</c> (Bedrock).
/// A Claude whose version nobody here knows is taken for the newest; a model that is no Claude (other vendors serve theirs in this format) for none of it but thinking by a budget.
/// </summary>
/// <remarks>Source: the vendor's pages on models, structured outputs, effort and mid-conversation system messages, as the tables in <c>vercel/ai</c>'s Anthropic provider sum them up, 2026-11-23.</remarks>
internal readonly struct ClaudeModel
{
    private const int Newest = 999;

    private readonly int version;
    private readonly bool isOpus;

    private ClaudeModel(int version, bool isOpus) => (this.version, this.isOpus) = (version, isOpus);

    /// <summary>What a model of this name can do.</summary>
    public static ClaudeModel Of(string name)
    {
        var at = name.IndexOf("claude-", StringComparison.OrdinalIgnoreCase);
        if (at < 0)
        {
            return default;
        }
        var (major, minor, isOpus) = (-1, 0, false);
        foreach (var word in name[(at + 7)..].Split('-', '.', '@', ':'))
        {
            var isNumber = word.Length is 1 or 2 && int.TryParse(word, System.Globalization.NumberStyles.None, System.Globalization.CultureInfo.InvariantCulture, out _);
            if (major < 0)
            {
                isOpus |= word == "opus";
                major = isNumber ? int.Parse(word, System.Globalization.CultureInfo.InvariantCulture) : major;
            }
            else
            {
                minor = isNumber ? int.Parse(word, System.Globalization.CultureInfo.InvariantCulture) : 0;
                break;
            }
        }
        return new ClaudeModel(major < 0 ? Newest : major * 100 + minor, isOpus || name.Contains("opus", StringComparison.OrdinalIgnoreCase));
    }

    /// <summary>Whether it decides itself how much to think, and is told an effort rather than a budget (4.6 and later).</summary>
    public bool ThinksAdaptively => version >= 406;

    /// <summary>Whether it takes a budget for thoughts at all (up to 4.6; later ones refuse it).</summary>
    public bool TakesBudget => version <= 406;

    /// <summary>Whether it knows the effort <c>xhigh</c>; others take <c>max</c> for it.</summary>
    public bool KnowsExtraHigh => version >= 407;

    /// <summary>Whether <c>temperature</c>, <c>top_p</c> and <c>top_k</c> are refused.</summary>
    public bool RefusesSampling => version >= 407;

    /// <summary>Whether only one of <c>temperature</c> and <c>top_p</c> may be given (Claude 4.5 and later).</summary>
    public bool TakesOneSampling => version >= 405;

    /// <summary>Whether answers and arguments can be held to a schema (Opus 4.1, and 4.5 and later).</summary>
    public bool HoldsToSchemas => version >= 405 || (isOpus && version == 401);

    /// <summary>Whether a system message may stand after a user's turn (4.8 and later).</summary>
    public bool TakesSystemMessages => version >= 408;
}
