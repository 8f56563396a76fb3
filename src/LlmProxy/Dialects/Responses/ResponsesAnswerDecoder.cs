using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;

namespace LlmProxy.Dialects.Responses;

/// <summary>
/// Decodes responses and their streams. Pieces of an item are given on as they come; what came in no piece is taken from the item when it is done, and what came in no item
/// from the response in the last event, since compatible providers leave out now the one and now the other.
/// </summary>
internal sealed partial class ResponsesAnswerDecoder : AnswerDecoder
{
    /// <summary>More items, and more parts of one, than this are nonsense.</summary>
    private const int MaxItems = 4096;

    /// <summary>Members of a response that repeat the request, or that are told otherwise.</summary>
    private static readonly HashSet<string> Plain = new(StringComparer.Ordinal)
    {
        "id", "object", "created_at", "completed_at", "status", "background", "billing", "error", "incomplete_details", "instructions", "max_output_tokens", "max_tool_calls", "model",
        "output", "output_text", "parallel_tool_calls", "previous_response_id", "prompt_cache_key", "prompt_cache_retention", "reasoning", "safety_identifier", "service_tier", "store",
        "temperature", "text", "tool_choice", "tools", "top_logprobs", "top_p", "truncation", "usage", "user", "metadata", "frequency_penalty", "presence_penalty",
    };

    private readonly List<ItemState> items = [];
    private IAnswerSink sink = null!;
    private bool isStarted;
    private int blocks;
    private bool hasCalls;
    private bool hasRefusal;
    private int searches;

    /// <inheritdoc/>
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        this.sink = sink;
        if (data.IsEmpty)
        {
            sink.Ping();
            return StreamStatus.Open;
        }
        if (data.SequenceEqual("[DONE]"u8))
        {
            return StreamStatus.Open; // the last event before it has completed the answer; without one it is cut
        }
        try
        {
            return ResponsesEvent.TryRead(data, out var read) ? Take(read, data) : StreamStatus.Invalid;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <inheritdoc/>
    public override StreamStatus End(IAnswerSink sink) => StreamStatus.Truncated;

    /// <inheritdoc/>
    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        this.sink = sink;
        try
        {
            var reader = new Utf8JsonReader(body, new JsonReaderOptions { MaxDepth = 256 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return StreamStatus.Invalid;
            }
            reader.Skip();
            return reader.Read() ? StreamStatus.Invalid : Complete(body.Trim(" \t\r\n"u8));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    private StreamStatus Take(in ResponsesEvent read, ReadOnlySpan<byte> data)
    {
        switch (read.Kind)
        {
            case EventKind.TextDelta or EventKind.RefusalDelta or EventKind.ReasoningDelta or EventKind.SummaryDelta:
                return TakeDelta(read);
            case EventKind.ArgumentsDelta or EventKind.InputDelta:
                return TakeArguments(read);
            case EventKind.Created or EventKind.Queued or EventKind.InProgress:
                if (read.Response.IsEmpty)
                {
                    return StreamStatus.Invalid;
                }
                Start(read.Response);
                return StreamStatus.Open;
            case EventKind.ItemAdded:
                return TakeAdded(read);
            case EventKind.ItemDone:
                return TakeDone(read.Item, read.OutputIndex);
            case EventKind.PartAdded or EventKind.SummaryPartAdded:
                return TakePart(read);
            case EventKind.TextDone or EventKind.RefusalDone or EventKind.ReasoningDone or EventKind.SummaryDone:
                return TakeWhole(read);
            case EventKind.Annotation:
                return TakeAnnotation(read);
            case EventKind.PartDone or EventKind.SummaryPartDone or EventKind.ArgumentsDone or EventKind.InputDone:
                return StreamStatus.Open; // the item says it again
            case EventKind.Completed or EventKind.Incomplete or EventKind.Failed:
                return read.Response.IsEmpty ? StreamStatus.Invalid : Complete(read.Response);
            case EventKind.Error:
                sink.Fail(ResponsesErrors.ReadEvent(data));
                return StreamStatus.Failed;
            case EventKind.KeepAlive or EventKind.Progress:
                sink.Ping();
                return StreamStatus.Open;
            default:
                return TakeOther(read, data);
        }
    }

    private StreamStatus TakeOther(in ResponsesEvent read, ReadOnlySpan<byte> data)
    {
        if (read.Type.IsEmpty)
        {
            if (!read.HasError)
            {
                return StreamStatus.Invalid;
            }
            sink.Fail(ResponsesErrors.ReadEvent(data));
            return StreamStatus.Failed;
        }
        if (isStarted && read.Type.Length <= 128)
        {
            sink.Extension(Encoding.UTF8.GetString(read.Type), data.Trim(" \t\r\n"u8));
        }
        return StreamStatus.Open;
    }

    private void Start(ReadOnlySpan<byte> response)
    {
        if (isStarted)
        {
            return;
        }
        isStarted = true;
        ReadOnlySpan<byte> id = default, model = default;
        var created = 0L;
        if (!response.IsEmpty)
        {
            var reader = new Utf8JsonReader(response, new JsonReaderOptions { MaxDepth = 256 });
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var (isId, isModel, isCreated) = (MemberNames.Is(ref reader, "id"u8), MemberNames.Is(ref reader, "model"u8), MemberNames.Is(ref reader, "created_at"u8));
                reader.Read();
                if (isModel && reader.TokenType == JsonTokenType.String && !reader.ValueSpan.IsEmpty)
                {
                    Model = JsonStrings.Unescape(reader.ValueSpan);
                    model = ResponsesEvent.Token(ref reader, response);
                }
                else if (isId && reader.TokenType == JsonTokenType.String && !reader.ValueSpan.IsEmpty)
                {
                    id = ResponsesEvent.Token(ref reader, response);
                }
                else if (isCreated && reader.TokenType == JsonTokenType.Number)
                {
                    created = reader.TryGetDouble(out var seconds) && seconds is > 0 and < 1e12 ? (long)seconds : 0;
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        sink.Start(new AnswerStart { Source = DialectIds.OpenAiResponses, IdToken = id, ModelToken = model, Created = created });
    }

    /// <summary>The response is there in full: gives on what no event has said yet, and ends the answer.</summary>
    private StreamStatus Complete(ReadOnlySpan<byte> response)
    {
        var isStream = isStarted;
        ReadOnlySpan<byte> status = default, output = default, usage = default, error = default, details = default;
        var reader = new Utf8JsonReader(response, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = reader.ValueSpan;
            reader.Read();
            if (name.SequenceEqual("service_tier"u8))
            {
                ServiceTier = CompletionReader.TextOf(ref reader, ServiceTier);
                continue;
            }
            var value = ResponsesEvent.Token(ref reader, response);
            switch (name.Length)
            {
                case 6 when name.SequenceEqual("status"u8) && value[0] == (byte)'"':
                    status = value;
                    break;
                case 6 when name.SequenceEqual("output"u8) && value[0] == (byte)'[':
                    output = value;
                    break;
                case 5 when name.SequenceEqual("usage"u8):
                    usage = value;
                    break;
                case 5 when name.SequenceEqual("error"u8) && value[0] != (byte)'n':
                    error = value;
                    break;
                case 18 when name.SequenceEqual("incomplete_details"u8) && value[0] == (byte)'{':
                    details = value;
                    break;
            }
        }
        var hasFailed = status.SequenceEqual("\"failed\""u8) || (!error.IsEmpty && output.IsEmpty);
        if (!hasFailed && output.IsEmpty && !isStream)
        {
            return StreamStatus.Invalid;
        }
        if (status.SequenceEqual("\"queued\""u8) || status.SequenceEqual("\"in_progress\""u8))
        {
            return StreamStatus.Invalid; // in the background, which was not asked for
        }
        ContentBegun |= !hasFailed;
        Start(response);
        if (hasFailed)
        {
            TakeUsage(usage);
            CloseAll();
            sink.Fail(ResponsesErrors.ReadFailed(error));
            return StreamStatus.Failed;
        }
        if (TakeOutput(output) is var taken && taken != StreamStatus.Open)
        {
            return taken;
        }
        CloseAll();
        TakeExtensions(response);
        TakeUsage(usage);
        Finish(status, details);
        sink.End();
        return StreamStatus.Completed;
    }

    private StreamStatus TakeOutput(ReadOnlySpan<byte> output)
    {
        if (output.IsEmpty)
        {
            return StreamStatus.Open;
        }
        var reader = new Utf8JsonReader(output, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        for (var i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
            }
            else if (TakeDone(ResponsesEvent.Token(ref reader, output), i) is var status && status != StreamStatus.Open)
            {
                return status;
            }
        }
        return StreamStatus.Open;
    }

    private void TakeUsage(ReadOnlySpan<byte> raw)
    {
        if (raw.IsEmpty)
        {
            return;
        }
        var reader = new Utf8JsonReader(raw, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        if (ResponsesUsage.TryRead(ref reader, out var tokens))
        {
            tokens = searches > 0 ? tokens with { Units = Shared.Pricing.UnitUsage.Of(Shared.Pricing.UnitKind.Search, searches) } : tokens;
            Usage = tokens;
            sink.Usage(new AnswerUsage
            {
                Tokens = tokens,
                ServiceTier = ServiceTier,
                Raw = raw,
                ServerTools = searches > 0 ? Encoding.ASCII.GetBytes($"{{\"web_search_requests\":{searches}}}") : default,
            });
        }
    }

    private void TakeExtensions(ReadOnlySpan<byte> response)
    {
        var reader = new Utf8JsonReader(response, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = JsonStrings.Unescape(reader.ValueSpan);
            reader.Read();
            var isNull = reader.TokenType == JsonTokenType.Null;
            var value = ResponsesEvent.Token(ref reader, response);
            if (!isNull && name.Length <= 128 && !Plain.Contains(name))
            {
                sink.Extension(name, value);
            }
        }
    }

    private void Finish(ReadOnlySpan<byte> status, ReadOnlySpan<byte> details)
    {
        var native = status;
        var reason = hasCalls ? StopReason.ToolUse : hasRefusal ? StopReason.Refusal : StopReason.EndTurn;
        if (!details.IsEmpty)
        {
            var reader = new Utf8JsonReader(details);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isReason = MemberNames.Is(ref reader, "reason"u8);
                reader.Read();
                if (isReason && reader.TokenType == JsonTokenType.String)
                {
                    native = ResponsesEvent.Token(ref reader, details);
                    reason = native.SequenceEqual("\"max_output_tokens\""u8) ? StopReason.MaxTokens : native.SequenceEqual("\"content_filter\""u8) ? StopReason.ContentFilter : StopReason.Other;
                }
                else
                {
                    reader.Skip();
                }
            }
        }
        else if (status.SequenceEqual("\"incomplete\""u8))
        {
            reason = StopReason.MaxTokens;
        }
        else if (status.SequenceEqual("\"cancelled\""u8))
        {
            reason = StopReason.Other;
        }
        ContentBegun = true;
        sink.Finish(new AnswerFinish { Reason = reason, NativeToken = native });
    }
}
