using System.Security.Cryptography;
using System.Text;

namespace LlmProxy.Simulator;

/// <summary>What the simulator answers: the same to the same request, always.</summary>
internal sealed record SimulatorReply
{
    /// <summary>The text, in the pieces that a stream sends.</summary>
    public required IReadOnlyList<string> Pieces { get; init; }

    public required string FinishReason { get; init; }

    /// <summary>The function that is called, with its arguments as JSON; null: none is.</summary>
    public (string Name, string Arguments)? Call { get; init; }

    /// <summary>Id of the call.</summary>
    public string CallId { get; init; } = "";

    /// <summary>Tokens of one choice.</summary>
    public required int Tokens { get; init; }

    public static SimulatorReply To(SimulatorPrompt prompt)
    {
        if (prompt.Model == "tools" && prompt.Tool is { } tool)
        {
            var arguments = ToolArguments.For(tool.Parameters);
            var tokens = SimulatorInput.TokensOf(tool.Name) + SimulatorInput.TokensOf(arguments);
            if (tokens <= (prompt.OutputLimit ?? int.MaxValue))
            {
                var id = "call_" + Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(tool.Name + arguments)))[..24];
                return new SimulatorReply { Pieces = [], FinishReason = "tool_calls", Call = (tool.Name, arguments), CallId = id, Tokens = tokens };
            }
        }
        var text = prompt.ToolResults.Count > 0
            ? $"[simulator] {prompt.ToolResults.Count} tool result(s): {string.Join(" | ", prompt.ToolResults.Select(result => Cut(result, 400)))}"
            : $"[simulator] You said: {prompt.LastText}";
        return Limited(text, prompt.OutputLimit ?? int.MaxValue);
    }

    internal static SimulatorReply Limited(string text, int limit)
    {
        var pieces = new List<string>();
        var (start, tokens) = (0, 0);
        while (start < text.Length && tokens < limit)
        {
            // A word with the space before it; a long one in several pieces, none across a surrogate pair.
            var end = start + 1;
            while (end < text.Length && text[end] != ' ' && end - start < 64)
            {
                end++;
            }
            if (end < text.Length && char.IsLowSurrogate(text[end]))
            {
                end++;
            }
            var cost = SimulatorInput.TokensOf(text[start..end]);
            while (tokens + cost > limit && end - start > 1)
            {
                end--;
                end -= end > start + 1 && end < text.Length && char.IsLowSurrogate(text[end]) ? 1 : 0;
                cost = SimulatorInput.TokensOf(text[start..end]);
            }
            if (tokens + cost > limit)
            {
                break;
            }
            pieces.Add(text[start..end]);
            tokens += cost;
            start = end;
        }
        return new SimulatorReply { Pieces = pieces, FinishReason = start < text.Length ? "length" : "stop", Tokens = tokens };
    }

    private static string Cut(string text, int length) =>
        text.Length <= length ? text : text[..(char.IsHighSurrogate(text[length - 1]) ? length - 1 : length)] + "…";
}
