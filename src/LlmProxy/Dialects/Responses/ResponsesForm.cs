using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>
/// How a request was written: items, tools and settings as they came. A request that goes to a provider of the same format is written with them, and the answer repeats the settings.
/// Kept in <see cref="NeutralRequest.SourceForm"/>.
/// </summary>
internal sealed class ResponsesForm
{
    /// <summary>The members of the request by name, raw, those that <c>null</c> was given for left out.</summary>
    public Dictionary<string, ReadOnlyMemory<byte>> Members { get; } = new(StringComparer.Ordinal);

    /// <summary>Whether <c>input</c> was a text.</summary>
    public bool InputIsText { get; set; }

    /// <summary>The message that stood in <c>instructions</c>; null: none did.</summary>
    public NeutralMessage? Instructions { get; set; }

    /// <summary>The items as they came, by the parts that they became; by the message where they became none.</summary>
    public Dictionary<object, RawItem> Items { get; } = new(ReferenceEqualityComparer.Instance);

    /// <summary>The tools as they came.</summary>
    public Dictionary<NeutralTool, ReadOnlyMemory<byte>> Tools { get; } = [];

    /// <summary>What became of <c>tool_choice</c>, <c>text.format</c> and <c>reasoning</c>: as long as the request still has the same, the raw member is as good.</summary>
    public NeutralToolChoice? ToolChoice { get; set; }

    public NeutralOutputFormat? Format { get; set; }

    public NeutralReasoning? Reasoning { get; set; }

    /// <summary>Whether what is signed shall come with the answer, since the client keeps the conversation itself.</summary>
    public bool WantsEncryptedContent { get; set; }

    /// <summary>The form of a request; null where it came in another dialect.</summary>
    public static ResponsesForm? Of(NeutralRequest request) => request.Source == DialectIds.OpenAiResponses ? request.SourceForm as ResponsesForm : null;

    /// <summary>A member of the request; empty: it was not given.</summary>
    public ReadOnlyMemory<byte> Find(string name) => Members.GetValueOrDefault(name);
}

/// <summary>An item as it came.</summary>
/// <param name="Json">It, raw.</param>
internal sealed record RawItem(ReadOnlyMemory<byte> Json)
{
    /// <summary>The parts that it became.</summary>
    public List<NeutralPart> Parts { get; } = [];
}
