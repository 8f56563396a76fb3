using System.Text.Json;
using LlmProxy.ChatCompletions;

namespace LlmProxy.Dialects.Responses;

/// <summary>What an event of a stream is to the gateway.</summary>
internal enum EventKind
{
    /// <summary>One that nobody here knows, or that only OpenAI's own tools send.</summary>
    Other,
    Created,
    Queued,
    InProgress,
    Completed,
    Incomplete,
    Failed,
    Error,

    /// <summary>Says that the provider is alive.</summary>
    KeepAlive,

    /// <summary>Says how far one of the provider's tools is; the item that follows says it all.</summary>
    Progress,
    ItemAdded,
    ItemDone,
    PartAdded,
    PartDone,
    TextDelta,
    TextDone,
    Annotation,
    RefusalDelta,
    RefusalDone,
    ReasoningDelta,
    ReasoningDone,
    SummaryPartAdded,
    SummaryPartDone,
    SummaryDelta,
    SummaryDone,
    ArgumentsDelta,
    ArgumentsDone,
    InputDelta,
    InputDone,
}

/// <summary>The events of Responses' streams.</summary>
internal static class ResponsesEvents
{
    private static readonly (byte[] Type, EventKind Kind)[] Known =
    [
        ("response.output_text.delta"u8.ToArray(), EventKind.TextDelta),
        ("response.function_call_arguments.delta"u8.ToArray(), EventKind.ArgumentsDelta),
        ("response.reasoning_summary_text.delta"u8.ToArray(), EventKind.SummaryDelta),
        ("response.reasoning_text.delta"u8.ToArray(), EventKind.ReasoningDelta),
        ("response.custom_tool_call_input.delta"u8.ToArray(), EventKind.InputDelta),
        ("response.refusal.delta"u8.ToArray(), EventKind.RefusalDelta),
        ("response.created"u8.ToArray(), EventKind.Created),
        ("response.queued"u8.ToArray(), EventKind.Queued),
        ("response.in_progress"u8.ToArray(), EventKind.InProgress),
        ("response.output_item.added"u8.ToArray(), EventKind.ItemAdded),
        ("response.output_item.done"u8.ToArray(), EventKind.ItemDone),
        ("response.content_part.added"u8.ToArray(), EventKind.PartAdded),
        ("response.content_part.done"u8.ToArray(), EventKind.PartDone),
        ("response.output_text.done"u8.ToArray(), EventKind.TextDone),
        ("response.output_text.annotation.added"u8.ToArray(), EventKind.Annotation),
        ("response.refusal.done"u8.ToArray(), EventKind.RefusalDone),
        ("response.reasoning_text.done"u8.ToArray(), EventKind.ReasoningDone),
        ("response.reasoning_summary_part.added"u8.ToArray(), EventKind.SummaryPartAdded),
        ("response.reasoning_summary_part.done"u8.ToArray(), EventKind.SummaryPartDone),
        ("response.reasoning_summary_text.done"u8.ToArray(), EventKind.SummaryDone),
        ("response.function_call_arguments.done"u8.ToArray(), EventKind.ArgumentsDone),
        ("response.custom_tool_call_input.done"u8.ToArray(), EventKind.InputDone),
        ("response.completed"u8.ToArray(), EventKind.Completed),
        ("response.incomplete"u8.ToArray(), EventKind.Incomplete),
        ("response.failed"u8.ToArray(), EventKind.Failed),
        ("error"u8.ToArray(), EventKind.Error),
        ("response.error"u8.ToArray(), EventKind.Error),
        ("keepalive"u8.ToArray(), EventKind.KeepAlive),
        ("ping"u8.ToArray(), EventKind.KeepAlive),
    ];

    /// <summary>What an event of a type is.</summary>
    public static EventKind KindOf(ReadOnlySpan<byte> type)
    {
        foreach (var (known, kind) in Known)
        {
            if (type.SequenceEqual(known))
            {
                return kind;
            }
        }
        return IsProgress(type) ? EventKind.Progress : EventKind.Other;
    }

    /// <summary>The type of an event, as a place in it. False: it is no object, or has none. Throws where what stands before it is no JSON.</summary>
    public static bool TryReadType(ReadOnlySpan<byte> data, out ReadOnlySpan<byte> type)
    {
        type = default;
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isType = MemberNames.Is(ref reader, "type"u8);
            reader.Read();
            if (isType && reader.TokenType == JsonTokenType.String)
            {
                type = reader.ValueSpan;
                return true;
            }
            reader.Skip();
        }
        return false;
    }

    /// <summary>Whether an object without a type holds an error, as some providers send in the middle of a stream.</summary>
    public static bool HasError(ReadOnlySpan<byte> data)
    {
        var reader = new Utf8JsonReader(data, new JsonReaderOptions { MaxDepth = 256 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return false;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isError = MemberNames.Is(ref reader, "error"u8);
            reader.Read();
            if (isError && reader.TokenType != JsonTokenType.Null)
            {
                return true;
            }
            reader.Skip();
        }
        return false;
    }

    private static bool IsProgress(ReadOnlySpan<byte> type) =>
        type.StartsWith("response."u8) && (type.IndexOf("_call"u8) > 0 || type.IndexOf("mcp_list_tools"u8) > 0)
        && (type.EndsWith(".in_progress"u8) || type.EndsWith(".searching"u8) || type.EndsWith(".completed"u8) || type.EndsWith(".interpreting"u8)
            || type.EndsWith(".generating"u8) || type.EndsWith(".failed"u8) || type.EndsWith(".added"u8) || type.EndsWith(".delta"u8) || type.EndsWith(".done"u8));
}
