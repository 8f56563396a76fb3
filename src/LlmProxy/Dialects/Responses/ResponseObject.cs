using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>The response around the items, with every member that strict clients want: it repeats the request's settings, or says what holds without them.</summary>
internal sealed class ResponseObject(AnswerContext context)
{
    private readonly ArrayBufferWriter<byte> extensions = new();
    private byte[] head = [];
    private byte[] settings = [];
    private byte[] usage = [];
    private byte[] incomplete = [];
    private string? tier;
    private AnswerError? error;

    /// <summary>The answer's id.</summary>
    public string Id { get; private set; } = "";

    /// <summary>What tells this answer's ids from all others': a request's own id may be the client's, which may use it twice.</summary>
    public string Unique { get; } = context.Keeper is null ? context.RequestId : Guid.CreateVersion7().ToString("N");

    /// <summary>How it ended.</summary>
    public ReadOnlySpan<byte> Status => incomplete.Length > 0 ? "incomplete"u8 : "completed"u8;

    private bool IsOurs { get; set; }

    public void Start(in AnswerStart start)
    {
        IsOurs = start.Source == DialectIds.OpenAiResponses;
        Id = IsOurs && start.IdToken.Length > 2 ? new JsonText(start.IdToken.ToArray()).ToString() : "resp_" + Unique;
        var json = new ArrayBufferWriter<byte>(256);
        json.Write("{\"id\":"u8);
        json.WriteText(Id);
        json.Write(",\"object\":\"response\",\"created_at\":"u8);
        json.WriteNumber(start.Created > 0 ? start.Created : context.Now);
        json.Write(",\"model\":"u8);
        if (start.ModelToken.Length > 2)
        {
            json.Write(start.ModelToken);
        }
        else
        {
            json.WriteText(context.RequestedModel);
        }
        head = json.WrittenSpan.ToArray();
        settings = Settings();
    }

    public void Usage(in AnswerUsage used)
    {
        var json = new ArrayBufferWriter<byte>(256);
        if (IsOurs && !used.Raw.IsEmpty)
        {
            json.Write(used.Raw);
        }
        else
        {
            ResponsesUsage.Write(json, used.Tokens);
        }
        usage = json.WrittenSpan.ToArray();
        tier = used.ServiceTier ?? tier;
    }

    public void Finish(in AnswerFinish finish, bool hasRefusal)
    {
        incomplete = finish.Reason switch
        {
            StopReason.MaxTokens or StopReason.ContextExceeded => "\"max_output_tokens\""u8.ToArray(),
            StopReason.ContentFilter => "\"content_filter\""u8.ToArray(),
            StopReason.Refusal when !hasRefusal => "\"content_filter\""u8.ToArray(),
            StopReason.PauseTurn => "\"pause_turn\""u8.ToArray(),
            StopReason.MalformedToolCall or StopReason.Other => finish.NativeToken.Length > 2 ? finish.NativeToken.ToArray() : "\"other\""u8.ToArray(),
            _ => [],
        };
    }

    public void Fail(AnswerError failed) => error = failed;

    /// <summary>Takes a member that only this format's providers know.</summary>
    public void Extend(string name, ReadOnlySpan<byte> raw)
    {
        extensions.WriteByte((byte)',');
        extensions.WriteText(name);
        extensions.WriteByte((byte)':');
        extensions.Write(raw);
    }

    /// <summary>Writes it.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="status">Its status.</param>
    /// <param name="items">The items; those that are done are written, and only into the last one.</param>
    /// <param name="isLast">Whether the answer is over.</param>
    public void Write(IBufferWriter<byte> output, ReadOnlySpan<byte> status, List<ResponsesAnswerEncoder.Item> items, bool isLast)
    {
        output.Write(head);
        output.Write(",\"status\":\""u8);
        output.Write(status);
        output.Write("\",\"completed_at\":"u8);
        if (status.SequenceEqual("completed"u8))
        {
            output.WriteNumber(context.Now);
        }
        else
        {
            output.Write("null"u8);
        }
        output.Write(",\"error\":"u8);
        WriteError(output);
        output.Write(",\"incomplete_details\":"u8);
        if (isLast && incomplete.Length > 0)
        {
            output.Write("{\"reason\":"u8);
            output.Write(incomplete);
            output.WriteByte((byte)'}');
        }
        else
        {
            output.Write("null"u8);
        }
        output.Write(",\"output\":["u8);
        var any = false;
        foreach (var item in isLast ? items : [])
        {
            if (item.IsDone)
            {
                if (any)
                {
                    output.WriteByte((byte)',');
                }
                output.Write(item.Json);
                any = true;
            }
        }
        output.Write("],"u8);
        output.Write(settings);
        output.Write(",\"service_tier\":"u8);
        output.WriteText(tier ?? "default");
        output.Write(",\"usage\":"u8);
        output.Write(isLast && usage.Length > 0 ? usage : "null"u8);
        output.Write(extensions.WrittenSpan);
        output.WriteByte((byte)'}');
    }

    private void WriteError(IBufferWriter<byte> output)
    {
        if (error is null)
        {
            output.Write("null"u8);
            return;
        }
        var json = new JsonObjectWriter(output);
        json.Text("code"u8, error.Code ?? ResponsesErrorEvent.CodeOf(error));
        json.Text("message"u8, error.Message);
        json.End();
    }

    private byte[] Settings()
    {
        var form = ResponsesForm.Of(context.Request);
        var output = new ArrayBufferWriter<byte>(1024);
        Write("instructions"u8, "null"u8, isFirst: true);
        Write("tools"u8, "[]"u8);
        Write("tool_choice"u8, "\"auto\""u8);
        Write("parallel_tool_calls"u8, "true"u8);
        output.Write(",\"text\":"u8);
        WriteText(output, form);
        output.Write(",\"reasoning\":"u8);
        WriteReasoning(output, form);
        Write("temperature"u8, "1"u8);
        Write("top_p"u8, "1"u8);
        Write("top_logprobs"u8, "0"u8);
        Write("presence_penalty"u8, "0"u8);
        Write("frequency_penalty"u8, "0"u8);
        Write("max_output_tokens"u8, "null"u8);
        Write("max_tool_calls"u8, "null"u8);
        Write("truncation"u8, "\"disabled\""u8);
        Write("store"u8, "true"u8);
        Write("background"u8, "false"u8);
        output.Write(",\"previous_response_id\":"u8);
        output.WriteText(context.Keeper?.PreviousAnswerId);
        Write("prompt_cache_key"u8, "null"u8);
        Write("safety_identifier"u8, "null"u8);
        Write("user"u8, "null"u8);
        Write("metadata"u8, "{}"u8);
        return output.WrittenSpan.ToArray();

        void Write(ReadOnlySpan<byte> name, ReadOnlySpan<byte> otherwise, bool isFirst = false)
        {
            output.Write(isFirst ? "\""u8 : ",\""u8);
            output.Write(name);
            output.Write("\":"u8);
            var given = form?.Find(Encoding.ASCII.GetString(name)) ?? default;
            output.Write(given.IsEmpty ? otherwise : given.Span);
        }
    }

    private static void WriteText(ArrayBufferWriter<byte> output, ResponsesForm? form)
    {
        var members = JsonMembers.Of(form?.Find("text") is { IsEmpty: false } given ? given : JsonBytes.EmptyObject);
        var json = new JsonObjectWriter(output);
        json.Raw("format"u8, members.Take("format"u8) is { Exists: true } format ? format.Raw.Span : "{\"type\":\"text\"}"u8);
        json.Raw("verbosity"u8, members.Take("verbosity"u8) is { Exists: true } verbosity ? verbosity.Raw.Span : "\"medium\""u8);
        json.End();
    }

    private static void WriteReasoning(ArrayBufferWriter<byte> output, ResponsesForm? form)
    {
        var members = JsonMembers.Of(form?.Find("reasoning") is { IsEmpty: false } given ? given : JsonBytes.EmptyObject);
        var json = new JsonObjectWriter(output);
        json.Raw("effort"u8, members.Take("effort"u8) is { Exists: true } effort ? effort.Raw.Span : "null"u8);
        json.Raw("summary"u8, members.Take("summary"u8) is { Exists: true } summary ? summary.Raw.Span : "null"u8);
        json.End();
    }
}
