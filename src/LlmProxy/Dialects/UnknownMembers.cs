using LlmProxy.Neutral;

namespace LlmProxy.Dialects;

/// <summary>Reports what only a request's own dialect knows: no other has a place for it.</summary>
internal static class UnknownMembers
{
    /// <summary>Reports all of it. What an encoder leaves out besides, it reports itself.</summary>
    /// <param name="request">The request, which another dialect writes.</param>
    /// <param name="dropped">Receives the names.</param>
    /// <param name="keepsReasoning">Whether the wish for thoughts is written as it came, all members of it.</param>
    public static void Report(NeutralRequest request, DropReport dropped, bool keepsReasoning = false)
    {
        dropped.Add("", request.Extensions);
        foreach (var message in request.Messages)
        {
            var where = message.Role is NeutralRole.System or NeutralRole.Developer ? "system" : "messages";
            dropped.Add(where + "[].", message.Extensions);
            Report(message.Parts, where + "[].content[].", dropped);
        }
        foreach (var tool in request.Tools)
        {
            dropped.Add("tools[].", tool.Extensions);
            Report(tool.Cache, "tools[].cache_control.", dropped);
        }
        Report(request.ToolChoice?.Extensions, "tool_choice.", dropped);
        Report(request.OutputFormat?.Extensions, "response_format.", dropped);
        Report(keepsReasoning ? null : request.Reasoning?.Extensions, "reasoning.", dropped);
        Report(request.Cache, "cache_control.", dropped);
    }

    /// <summary>What a part is called that only its own dialect knows.</summary>
    /// <param name="native">The part.</param>
    /// <param name="role">Whose message it stands in.</param>
    public static string PathOf(NativePart native, NeutralRole role) =>
        native.Type.Contains("[]", StringComparison.Ordinal) ? native.Type
        : role is NeutralRole.System or NeutralRole.Developer ? "system[].content[]." + native.Type
        : "messages[].content[]." + native.Type;

    private static void Report(IReadOnlyList<NeutralPart> parts, string where, DropReport dropped)
    {
        foreach (var part in parts)
        {
            dropped.Add(where, part.Extensions);
            Report(part.Cache, where + "cache_control.", dropped);
            if (part is ToolResultPart result)
            {
                Report(result.Content, where, dropped);
            }
        }
    }

    private static void Report(CacheMark? mark, string where, DropReport dropped) => Report(mark?.Extensions, where, dropped);

    private static void Report(ExtensionBag? bag, string where, DropReport dropped)
    {
        if (bag is not null)
        {
            dropped.Add(where, bag);
        }
    }
}
