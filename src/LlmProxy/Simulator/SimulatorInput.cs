using System.Globalization;
using System.Text;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>One input of a request to the simulator: a text, or the numbers of tokens.</summary>
/// <param name="Text">The text; the numbers, with spaces between them, where tokens were given.</param>
/// <param name="Tokens">How many tokens it counts as: those given, or one for four bytes.</param>
internal readonly record struct SimulatorInput(string Text, int Tokens)
{
    /// <summary>Reads a value that holds one input or several. Null: it is none.</summary>
    public static IReadOnlyList<SimulatorInput>? Read(JsonElement? value)
    {
        if (value is not { } element)
        {
            return null;
        }
        if (One(element) is { } single)
        {
            return [single];
        }
        if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() == 0)
        {
            return null;
        }
        var inputs = new List<SimulatorInput>();
        foreach (var item in element.EnumerateArray())
        {
            if (One(item) is not { } input)
            {
                return null;
            }
            inputs.Add(input);
        }
        return inputs;
    }

    /// <summary>A text of the request, whose tokens are counted by its bytes.</summary>
    public static SimulatorInput Of(string text) => new(text, TokensOf(text));

    public static int TokensOf(string text) => (Encoding.UTF8.GetByteCount(text) + 3) / 4;

    private static SimulatorInput? One(JsonElement element)
    {
        if (element.ValueKind == JsonValueKind.String)
        {
            return Of(element.GetString()!);
        }
        if (element.ValueKind != JsonValueKind.Array || element.GetArrayLength() == 0)
        {
            return null;
        }
        var numbers = new List<long>();
        foreach (var item in element.EnumerateArray())
        {
            if (item.ValueKind != JsonValueKind.Number || !item.TryGetInt64(out var number))
            {
                return null;
            }
            numbers.Add(number);
        }
        return new SimulatorInput(string.Join(' ', numbers.Select(number => number.ToString(CultureInfo.InvariantCulture))), numbers.Count);
    }
}
