using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>
/// Writes a stream of chunks in the order that clients rely on: for each choice first its role, then what it says, then why it ended; the usage, for those who asked for it; the last event.
/// </summary>
internal sealed class ChatStreamEncoder(AnswerContext context, IBufferWriter<byte> output) : ChatEncoder(context, output)
{
    private readonly bool wantsUsage = context.Request.WantsUsage;
    private byte[] before = [];
    private byte[] top = [];
    private bool hasWritten;

    protected override string ObjectName => "chat.completion.chunk";

    public override void Start(in AnswerStart start)
    {
        base.Start(start);
        SetPrefix();
    }

    public override void Finish(in AnswerFinish finish)
    {
        var choice = ChoiceOf(finish.Choice);
        Begin(choice, isText: true);
        Open(choice);
        Output.Write("},\"logprobs\":null,\"finish_reason\":"u8);
        ChatFinish.Write(Output, finish, choice.HasRefusal, UsesFunctions, IsOurs);
        Output.Write("}]"u8);
        if (ServiceTier is { } tier)
        {
            Output.Write(",\"service_tier\":"u8);
            Output.WriteText(tier);
        }
        EndChunk();
    }

    public override void Ping() => Output.Write(": ping\n\n"u8);

    public override void End()
    {
        if (wantsUsage && UsageObject.WrittenCount > 0)
        {
            Output.Write(before);
            Output.Write("],\"usage\":"u8);
            Output.Write(UsageObject.WrittenSpan);
            if (ServiceTier is { } tier)
            {
                Output.Write(",\"service_tier\":"u8);
                Output.WriteText(tier);
            }
            Output.Write("}\n\n"u8);
        }
        Output.Write("data: [DONE]\n\n"u8);
    }

    public override void Fail(AnswerError error)
    {
        Error = error;
        Output.Write("data: "u8);
        WriteError(Output, error);
        Output.Write("\n\n"u8);
    }

    protected override void Begin(Choice choice, bool isText)
    {
        if (choice.HasBegun)
        {
            return;
        }
        choice.HasBegun = true;
        Open(choice);
        Output.Write(isText ? "\"role\":\"assistant\",\"content\":\"\",\"refusal\":null"u8 : "\"role\":\"assistant\",\"content\":null"u8);
        Close();
    }

    protected override void Text(Choice choice, ReadOnlySpan<byte> token) => Said(choice, "\"content\":"u8, token);

    protected override void Refusal(Choice choice, ReadOnlySpan<byte> token) => Said(choice, "\"refusal\":"u8, token);

    protected override void Thought(Choice choice, ReadOnlySpan<byte> token) => Said(choice, "\"reasoning_content\":"u8, token);

    protected override void Call(Block call, ReadOnlySpan<byte> id, ReadOnlySpan<byte> name)
    {
        Open(call.Choice);
        if (UsesFunctions && !call.IsCustom)
        {
            Output.Write("\"function_call\":{\"name\":"u8);
            Output.Write(name);
            Output.Write(",\"arguments\":\"\"}"u8);
            Close();
            return;
        }
        OpenCall(call);
        Output.Write(",\"id\":"u8);
        Output.Write(id);
        Output.Write(call.IsCustom ? ",\"type\":\"custom\",\"custom\":{\"name\":"u8 : ",\"type\":\"function\",\"function\":{\"name\":"u8);
        Output.Write(name);
        Output.Write(call.IsCustom ? ",\"input\":\"\"}}]"u8 : ",\"arguments\":\"\"}}]"u8);
        Close();
    }

    protected override void Arguments(Block call, ReadOnlySpan<byte> token)
    {
        Open(call.Choice);
        if (UsesFunctions && !call.IsCustom)
        {
            Output.Write("\"function_call\":{\"arguments\":"u8);
            Output.Write(token);
            Output.WriteByte((byte)'}');
            Close();
            return;
        }
        OpenCall(call);
        Output.Write(call.IsCustom ? ",\"custom\":{\"input\":"u8 : ",\"function\":{\"arguments\":"u8);
        Output.Write(token);
        Output.Write("}}]"u8);
        Close();
    }

    protected override void CallMember(Block call, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        if (UsesFunctions)
        {
            Context.Dropped.Add("choices[].message.function_call." + Encoding.UTF8.GetString(name));
            return;
        }
        Open(call.Choice);
        OpenCall(call);
        // Several clients refuse a part of a call that has no arguments, be they empty.
        Output.Write(call.IsCustom ? ",\"custom\":{\"input\":\"\"},\""u8 : ",\"function\":{\"arguments\":\"\"},\""u8);
        Output.Write(name);
        Output.Write("\":"u8);
        Output.WriteOnOneLine(raw);
        Output.Write("}]"u8);
        Close();
    }

    protected override void Annotation(Choice choice, ReadOnlySpan<byte> raw) => Element(choice, "annotations"u8, raw);

    protected override void Element(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        Open(choice);
        Output.WriteByte((byte)'"');
        Output.Write(name);
        Output.Write("\":["u8);
        Output.WriteOnOneLine(raw);
        Output.WriteByte((byte)']');
        Close();
    }

    protected override void Member(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        Open(choice);
        Output.WriteAsToken(name);
        Output.WriteByte((byte)':');
        Output.WriteOnOneLine(raw);
        Close();
    }

    protected override void ChoiceMember(Choice choice, string name, ReadOnlySpan<byte> raw)
    {
        Begin(choice, isText: true);
        Open(choice);
        Output.Write("},"u8);
        WriteName(Output, name);
        Output.WriteOnOneLine(raw);
        Output.Write(",\"finish_reason\":null}]"u8);
        EndChunk();
    }

    protected override void Audio(Block block, ReadOnlySpan<byte> token)
    {
        Open(block.Choice);
        Output.Write("\"audio\":{\"data\":"u8);
        Output.Write(token);
        Output.WriteByte((byte)'}');
        Close();
    }

    protected override void AudioMember(Choice choice, string name, ReadOnlySpan<byte> raw)
    {
        Begin(choice, isText: false);
        Open(choice);
        Output.Write("\"audio\":{"u8);
        WriteName(Output, name);
        Output.WriteOnOneLine(raw);
        Output.WriteByte((byte)'}');
        Close();
    }

    protected override void Probabilities(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        Open(choice);
        Output.Write("},\"logprobs\":{\"content\":"u8);
        var isContent = name.SequenceEqual("content"u8);
        Output.WriteOnOneLine(isContent ? raw : "null"u8);
        Output.Write(",\"refusal\":"u8);
        Output.WriteOnOneLine(isContent ? "null"u8 : raw);
        Output.Write("},\"finish_reason\":null}]"u8);
        EndChunk();
    }

    /// <summary>A member that comes before the first chunk stands in all of them, as OpenAI's fingerprint does; a later one gets a chunk of its own.</summary>
    protected override void Top(string name, ReadOnlySpan<byte> raw)
    {
        if (!hasWritten)
        {
            var member = new ArrayBufferWriter<byte>();
            member.Write(top);
            WriteName(member, name);
            member.WriteOnOneLine(raw);
            member.WriteByte((byte)',');
            top = member.WrittenSpan.ToArray();
            SetPrefix();
            return;
        }
        Output.Write(before);
        Output.Write("],"u8);
        WriteName(Output, name);
        Output.WriteOnOneLine(raw);
        EndChunk();
    }

    private void SetPrefix() => before = [.. "data: {"u8, .. Head, (byte)',', .. top, .. "\"choices\":["u8];

    private void Said(Choice choice, ReadOnlySpan<byte> member, ReadOnlySpan<byte> token)
    {
        Open(choice);
        Output.Write(member);
        Output.Write(token);
        Close();
    }

    private void Open(Choice choice)
    {
        hasWritten = true;
        Output.Write(before);
        Output.Write("{\"index\":"u8);
        Output.WriteNumber(choice.Index);
        Output.Write(",\"delta\":{"u8);
    }

    private void OpenCall(Block call)
    {
        Output.Write("\"tool_calls\":[{\"index\":"u8);
        Output.WriteNumber(call.Call);
    }

    private void Close()
    {
        Output.Write("},\"logprobs\":null,\"finish_reason\":null}]"u8);
        EndChunk();
    }

    private void EndChunk() => Output.Write(wantsUsage ? ",\"usage\":null}\n\n"u8 : "}\n\n"u8);
}
