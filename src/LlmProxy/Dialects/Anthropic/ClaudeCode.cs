using System.Diagnostics;
using LlmProxy.Relay;
using Microsoft.AspNetCore.Http;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// What Claude Code says of its sessions and agents in headers, so that cost can be told apart by them: attributes of the spans of its calls. The headers are the gateway's to
/// consume; they do not go upstream.
/// </summary>
/// <remarks>Source: code.claude.com/docs, "Gateway protocol reference", read 2026-11-23.</remarks>
internal static class ClaudeCode
{
    private const int MaxLength = 128;

    private static readonly (string Header, string Attribute)[] Known =
    [
        ("x-claude-code-session-id", "gen_ai.conversation.id"),
        ("x-claude-code-agent-id", "gateway.agent.id"),
        ("x-claude-code-parent-agent-id", "gateway.agent.parent_id"),
    ];

    /// <summary>Puts what the headers say on a span.</summary>
    public static void Describe(Activity? activity, IHeaderDictionary headers)
    {
        if (activity is not { IsAllDataRequested: true })
        {
            return;
        }
        foreach (var (header, attribute) in Known)
        {
            if (headers.TryGetValue(header, out var values) && values is [{ Length: > 0 and <= MaxLength } value] && ResponseHeaders.IsPlain(value))
            {
                activity.SetTag(attribute, value);
            }
        }
    }
}
