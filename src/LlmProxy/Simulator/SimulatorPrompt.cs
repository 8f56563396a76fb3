using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>What the simulator reads of a request.</summary>
internal sealed record SimulatorPrompt
{
    public required string Model { get; init; }

    public required bool Stream { get; init; }

    public required bool IncludeUsage { get; init; }

    public required int Choices { get; init; }

    public required int? OutputLimit { get; init; }

    /// <summary>Input tokens: a quarter of the body's bytes.</summary>
    public required int PromptTokens { get; init; }

    /// <summary>The text of the last user message; "" where it has none; null where there are no messages at all.</summary>
    public required string? LastText { get; init; }

    /// <summary>The results of tools that stand after the last user or assistant message.</summary>
    public required IReadOnlyList<string> ToolResults { get; init; }

    /// <summary>The function to call, or null: none is wanted.</summary>
    public required (string Name, JsonElement Parameters)? Tool { get; init; }

    public static SimulatorPrompt Read(JsonElement root, int bodyBytes)
    {
        var messages = Member(root, "messages") is { ValueKind: JsonValueKind.Array } array ? array.EnumerateArray().ToList() : [];
        var results = messages.AsEnumerable().Reverse().TakeWhile(message => RoleOf(message) == "tool").Reverse().Select(TextOf).ToList();
        var user = messages.FindLastIndex(message => RoleOf(message) == "user");
        return new SimulatorPrompt
        {
            Model = Text(Member(root, "model")) ?? "",
            Stream = Member(root, "stream") is { ValueKind: JsonValueKind.True },
            IncludeUsage = Member(root, "stream_options") is { ValueKind: JsonValueKind.Object } options && Member(options, "include_usage") is { ValueKind: JsonValueKind.True },
            Choices = Math.Clamp(Number(Member(root, "n")) ?? 1, 1, 1024),
            OutputLimit = Number(Member(root, "max_completion_tokens")) ?? Number(Member(root, "max_tokens")),
            PromptTokens = Math.Max(1, bodyBytes / 4),
            LastText = messages.Count == 0 ? null : user < 0 ? "" : TextOf(messages[user]),
            ToolResults = results,
            Tool = results.Count > 0 ? null : ToolOf(root),
        };
    }

    private static (string, JsonElement)? ToolOf(JsonElement root)
    {
        var choice = Member(root, "tool_choice");
        if (Text(choice) == "none" || Member(root, "tools") is not { ValueKind: JsonValueKind.Array } tools)
        {
            return null;
        }
        var wanted = choice is { ValueKind: JsonValueKind.Object } named && Member(named, "function") is { ValueKind: JsonValueKind.Object } chosen ? Text(Member(chosen, "name")) : null;
        foreach (var tool in tools.EnumerateArray())
        {
            if (Member(tool, "function") is { ValueKind: JsonValueKind.Object } function && Text(Member(function, "name")) is { } name && (wanted is null || wanted == name))
            {
                return (name, Member(function, "parameters") ?? default);
            }
        }
        return null;
    }

    private static string? RoleOf(JsonElement message) => Text(Member(message, "role"));

    private static string TextOf(JsonElement message) => Member(message, "content") switch
    {
        { ValueKind: JsonValueKind.String } text => text.GetString()!,
        { ValueKind: JsonValueKind.Array } parts => string.Join(' ', parts.EnumerateArray().Select(part => Text(Member(part, "text"))).Where(text => text is not null)),
        _ => "",
    };

    internal static JsonElement? Member(JsonElement element, string name) =>
        element.ValueKind == JsonValueKind.Object && element.TryGetProperty(name, out var value) ? value : null;

    internal static string? Text(JsonElement? element) => element is { ValueKind: JsonValueKind.String } text ? text.GetString() : null;

    internal static int? Number(JsonElement? element) =>
        element is { ValueKind: JsonValueKind.Number } number && number.TryGetInt64(out var value) ? (int)Math.Clamp(value, 0, int.MaxValue) : null;
}
