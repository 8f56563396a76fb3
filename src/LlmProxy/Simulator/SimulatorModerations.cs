using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>
/// <c>moderation</c>: one result for each text, one for all parts together. A text is flagged for a category whose name it holds, so that both
/// outcomes can be tried: <c>violence</c> is flagged as violence.
/// </summary>
internal static class SimulatorModerations
{
    private static readonly string[] Categories =
    [
        "harassment", "harassment/threatening", "hate", "hate/threatening", "illicit", "illicit/violent", "self-harm", "self-harm/instructions", "self-harm/intent",
        "sexual", "sexual/minors", "violence", "violence/graphic",
    ];

    public static SimulatorAnswer Reply(JsonElement root)
    {
        if (SimulatorPrompt.Text(SimulatorPrompt.Member(root, "model")) != "moderation")
        {
            return SimulatorAnswer.UnknownModel("The simulator has one model for moderations: 'moderation'.");
        }
        var input = SimulatorPrompt.Member(root, "input");
        var texts = PartsOf(input) ?? SimulatorInput.Read(input)?.Select(one => (one.Text, HasImage: false)).ToList();
        return texts is null
            ? SimulatorAnswer.Invalid("'input' must be a text, an array of texts, or an array of parts of type 'text' or 'image_url'.", "invalid_input", "input")
            : new(SimulatorWriter.Json(json => Write(json, texts)));
    }

    /// <summary>The text of all parts; null where there are no parts.</summary>
    private static List<(string Text, bool HasImage)>? PartsOf(JsonElement? input)
    {
        if (input is not { ValueKind: JsonValueKind.Array } array || array.GetArrayLength() == 0 || array[0].ValueKind != JsonValueKind.Object)
        {
            return null;
        }
        var texts = new List<string>();
        var hasImage = false;
        foreach (var part in array.EnumerateArray())
        {
            switch (SimulatorPrompt.Text(SimulatorPrompt.Member(part, "type")))
            {
                case "text" when SimulatorPrompt.Text(SimulatorPrompt.Member(part, "text")) is { } text:
                    texts.Add(text);
                    break;
                case "image_url" when SimulatorPrompt.Member(part, "image_url") is { ValueKind: JsonValueKind.Object }:
                    hasImage = true;
                    break;
                default:
                    return null;
            }
        }
        return [(string.Join(' ', texts), hasImage)];
    }

    private static void Write(Utf8JsonWriter json, List<(string Text, bool HasImage)> inputs)
    {
        json.WriteString("id", "modr-simulated");
        json.WriteString("model", "moderation");
        json.WriteStartArray("results");
        foreach (var (text, hasImage) in inputs)
        {
            var flags = Categories.Select(category => (Category: category, Flagged: text.Contains(category, StringComparison.OrdinalIgnoreCase))).ToList();
            json.WriteStartObject();
            json.WriteBoolean("flagged", flags.Exists(flag => flag.Flagged));
            json.WriteStartObject("categories");
            foreach (var (category, flagged) in flags)
            {
                json.WriteBoolean(category, flagged);
            }
            json.WriteEndObject();
            json.WriteStartObject("category_scores");
            foreach (var (category, flagged) in flags)
            {
                json.WriteNumber(category, flagged ? 0.99 : 0.01);
            }
            json.WriteEndObject();
            json.WriteStartObject("category_applied_input_types");
            foreach (var category in Categories)
            {
                json.WriteStartArray(category);
                json.WriteStringValue("text");
                if (hasImage)
                {
                    json.WriteStringValue("image");
                }
                json.WriteEndArray();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }
}
