using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Which of several names for one thing a chat request used; kept in <see cref="NeutralRequest.SourceForm"/>.</summary>
internal sealed class ChatForm
{
    /// <summary>Whether functions stood in the deprecated <c>functions</c>, so that a call is answered as <c>function_call</c>.</summary>
    public bool UsesFunctions { get; set; }

    /// <summary>Whether <see cref="NeutralRequest.EndUser"/> stood in <c>safety_identifier</c> rather than in <c>user</c>.</summary>
    public bool UsesSafetyIdentifier { get; set; }

    /// <summary>Whether <c>stop</c> was one text rather than an array.</summary>
    public bool StopIsText { get; set; }

    /// <summary>Whether <c>response_format</c> said that any text will do.</summary>
    public bool WantsText { get; set; }

    /// <summary><c>reasoning_effort</c>; none: it was not there.</summary>
    public JsonText Effort { get; set; }

    /// <summary>OpenRouter's <c>reasoning</c>, raw; empty: it was not there.</summary>
    public ReadOnlyMemory<byte> Reasoning { get; set; }

    /// <summary><c>thinking</c> as Anthropic has it, raw; empty: it was not there.</summary>
    public ReadOnlyMemory<byte> Thinking { get; set; }

    /// <summary><c>modalities</c>, raw; empty: it was not there.</summary>
    public ReadOnlyMemory<byte> Modalities { get; set; }

    /// <summary>Parts that stood in the content although there is a member of the message for such; and messages whose cache mark stood in the message.</summary>
    public HashSet<object> InPlace { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Media that stood in <c>file</c> parts, whatever they are.</summary>
    public HashSet<object> Files { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>Members of assistant messages that say the same thoughts again in another way, raw, as they came.</summary>
    public Dictionary<NeutralMessage, ThoughtMembers> Thoughts { get; } = [];

    /// <summary>The form of a request; null where it came in another dialect.</summary>
    public static ChatForm? Of(NeutralRequest request) => request.Source == DialectIds.OpenAiChat ? request.SourceForm as ChatForm : null;
}

/// <summary>The thoughts of one assistant message as it held them; empty: not in that member.</summary>
internal sealed record ThoughtMembers
{
    /// <summary><c>reasoning_content</c>.</summary>
    public ReadOnlyMemory<byte> ReasoningContent { get; init; }

    /// <summary><c>reasoning</c>.</summary>
    public ReadOnlyMemory<byte> Reasoning { get; init; }

    /// <summary><c>reasoning_details</c>.</summary>
    public ReadOnlyMemory<byte> Details { get; init; }

    /// <summary><c>thinking_blocks</c>.</summary>
    public ReadOnlyMemory<byte> Blocks { get; init; }
}
