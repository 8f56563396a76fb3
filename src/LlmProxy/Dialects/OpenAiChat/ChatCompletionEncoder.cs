using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Writes one complete answer, once all of it is there.</summary>
internal sealed class ChatCompletionEncoder(AnswerContext context, IBufferWriter<byte> output) : ChatEncoder(context, output)
{
    private readonly ArrayBufferWriter<byte> top = new();

    protected override string ObjectName => "chat.completion";

    public override void Finish(in AnswerFinish finish)
    {
        var choice = ChoiceOf(finish.Choice);
        var collected = CollectedOf(choice);
        collected.Finish.ResetWrittenCount();
        ChatFinish.Write(collected.Finish, finish, choice.HasRefusal, UsesFunctions, IsOurs);
    }

    public override void Ping()
    {
    }

    public override void End()
    {
        if (Error is not null)
        {
            return;
        }
        Output.WriteByte((byte)'{');
        Output.Write(Head);
        Output.Write(",\"choices\":["u8);
        Choices.Sort((left, right) => left.Index.CompareTo(right.Index));
        for (var i = 0; i < Choices.Count; i++)
        {
            if (i > 0)
            {
                Output.WriteByte((byte)',');
            }
            CollectedOf(Choices[i]).Write(Output, Choices[i].Index, UsesFunctions);
        }
        Output.WriteByte((byte)']');
        if (UsageObject.WrittenCount > 0)
        {
            Output.Write(",\"usage\":"u8);
            Output.Write(UsageObject.WrittenSpan);
        }
        if (ServiceTier is { } tier)
        {
            Output.Write(",\"service_tier\":"u8);
            Output.WriteText(tier);
        }
        Output.Write(top.WrittenSpan);
        if (top.WrittenSpan.IndexOf("\"system_fingerprint\":"u8) < 0)
        {
            Output.Write(",\"system_fingerprint\":null"u8);
        }
        Output.WriteByte((byte)'}');
    }

    public override void Fail(AnswerError error) => Error = error;

    protected override void Begin(Choice choice, bool isText) => CollectedOf(choice);

    protected override void Text(Choice choice, ReadOnlySpan<byte> token) => CollectedOf(choice).Add("content", token);

    protected override void Refusal(Choice choice, ReadOnlySpan<byte> token) => CollectedOf(choice).Add("refusal", token);

    protected override void Thought(Choice choice, ReadOnlySpan<byte> token) => CollectedOf(choice).Add("reasoning_content", token);

    protected override void Call(Block call, ReadOnlySpan<byte> id, ReadOnlySpan<byte> name) =>
        CollectedOf(call.Choice).Calls.Add(new CollectedCall(id.ToArray(), name.ToArray(), call.IsCustom));

    protected override void Arguments(Block call, ReadOnlySpan<byte> token) => CollectedOf(call.Choice).Calls[call.Call].Arguments.Write(token[1..^1]);

    protected override void CallMember(Block call, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        if (UsesFunctions)
        {
            Context.Dropped.Add("choices[].message.function_call." + Encoding.UTF8.GetString(name));
            return;
        }
        var members = CollectedOf(call.Choice).Calls[call.Call].Members;
        members.WriteByte((byte)',');
        members.WriteAsToken(name);
        members.WriteByte((byte)':');
        members.Write(raw);
    }

    protected override void Annotation(Choice choice, ReadOnlySpan<byte> raw) => Element(choice, "annotations"u8, raw);

    protected override void Element(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw) => CollectedOf(choice).AddElement(Encoding.UTF8.GetString(name), raw);

    protected override void Member(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw) => CollectedOf(choice).Members[Encoding.UTF8.GetString(name)] = raw.ToArray();

    protected override void ChoiceMember(Choice choice, string name, ReadOnlySpan<byte> raw) => CollectedOf(choice).Outer[name] = raw.ToArray();

    protected override void Audio(Block block, ReadOnlySpan<byte> token) => CollectedOf(block.Choice).AudioData.Write(token[1..^1]);

    protected override void AudioMember(Choice choice, string name, ReadOnlySpan<byte> raw) => CollectedOf(choice).Audio[name] = raw.ToArray();

    protected override void Probabilities(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw)
    {
        var collected = CollectedOf(choice);
        var list = name.SequenceEqual("content"u8) ? collected.ContentProbabilities : collected.RefusalProbabilities;
        if (list.WrittenCount > 0)
        {
            list.WriteByte((byte)',');
        }
        list.Write(raw[1..^1]);
    }

    protected override void Top(string name, ReadOnlySpan<byte> raw)
    {
        top.WriteByte((byte)',');
        WriteName(top, name);
        top.Write(raw);
    }

    private static CollectedChoice CollectedOf(Choice choice) => choice.Collected ??= new CollectedChoice();
}

/// <summary>One choice of a complete answer while it is collected.</summary>
internal sealed class CollectedChoice
{
    private readonly Dictionary<string, ArrayBufferWriter<byte>> texts = [];
    private readonly Dictionary<string, ArrayBufferWriter<byte>> arrays = [];

    public List<CollectedCall> Calls { get; } = [];

    /// <summary>Members of the message that only this dialect knows, raw.</summary>
    public Dictionary<string, byte[]> Members { get; } = [];

    /// <summary>Members of the choice that only this dialect knows, raw.</summary>
    public Dictionary<string, byte[]> Outer { get; } = [];

    /// <summary>Members of <c>audio</c> besides its data, raw.</summary>
    public Dictionary<string, byte[]> Audio { get; } = [];

    public ArrayBufferWriter<byte> AudioData { get; } = new();

    public ArrayBufferWriter<byte> ContentProbabilities { get; } = new();

    public ArrayBufferWriter<byte> RefusalProbabilities { get; } = new();

    /// <summary>The value of <c>finish_reason</c> and what follows it.</summary>
    public ArrayBufferWriter<byte> Finish { get; } = new();

    /// <summary>Adds a piece of a text.</summary>
    public void Add(string member, ReadOnlySpan<byte> token) => Get(texts, member).Write(token[1..^1]);

    /// <summary>Adds an element to an array.</summary>
    public void AddElement(string member, ReadOnlySpan<byte> raw)
    {
        var array = Get(arrays, member);
        if (array.WrittenCount > 0)
        {
            array.WriteByte((byte)',');
        }
        array.Write(raw);
    }

    /// <summary>Writes the choice.</summary>
    public void Write(IBufferWriter<byte> output, int index, bool usesFunctions)
    {
        var json = new JsonObjectWriter(output);
        json.Number("index"u8, index);
        json.Name("message"u8);
        WriteMessage(output, usesFunctions);
        json.Name("logprobs"u8);
        WriteProbabilities(output);
        json.Name("finish_reason"u8);
        output.Write(Finish.WrittenCount > 0 ? Finish.WrittenSpan : "\"stop\""u8);
        WriteAll(ref json, Outer);
        json.End();
    }

    private void WriteMessage(IBufferWriter<byte> output, bool usesFunctions)
    {
        var json = new JsonObjectWriter(output);
        json.Text("role"u8, "assistant");
        WriteText(ref json, output, "content");
        WriteText(ref json, output, "refusal");
        if (texts.ContainsKey("reasoning_content"))
        {
            WriteText(ref json, output, "reasoning_content");
        }
        json.Name("annotations"u8);
        WriteArray(output, arrays.GetValueOrDefault("annotations"));
        foreach (var (name, array) in arrays.Where(pair => pair.Key != "annotations"))
        {
            json.Name(Encoding.UTF8.GetBytes(name));
            WriteArray(output, array);
        }
        WriteAudio(ref json, output);
        WriteCalls(ref json, output, usesFunctions);
        WriteAll(ref json, Members);
        json.End();
    }

    private void WriteCalls(ref JsonObjectWriter json, IBufferWriter<byte> output, bool usesFunctions)
    {
        if (Calls.Count == 0)
        {
            return;
        }
        if (usesFunctions && !Calls[0].IsCustom)
        {
            json.Name("function_call"u8);
            Calls[0].WriteFunction(output);
            return;
        }
        json.Name("tool_calls"u8);
        for (var i = 0; i < Calls.Count; i++)
        {
            output.WriteByte(i == 0 ? (byte)'[' : (byte)',');
            Calls[i].Write(output);
        }
        output.WriteByte((byte)']');
    }

    private void WriteAudio(ref JsonObjectWriter json, IBufferWriter<byte> output)
    {
        if (Audio.Count == 0)
        {
            return;
        }
        json.Name("audio"u8);
        var audio = new JsonObjectWriter(output);
        WriteAll(ref audio, Audio);
        audio.Name("data"u8);
        output.WriteByte((byte)'"');
        output.Write(AudioData.WrittenSpan);
        output.WriteByte((byte)'"');
        if (!Audio.ContainsKey("transcript"))
        {
            audio.Text("transcript"u8, "");
        }
        if (!Audio.ContainsKey("expires_at"))
        {
            audio.Number("expires_at"u8, 0);
        }
        audio.End();
    }

    private void WriteText(ref JsonObjectWriter json, IBufferWriter<byte> output, string member)
    {
        json.Name(Encoding.UTF8.GetBytes(member));
        output.WriteText(texts.TryGetValue(member, out var text) ? JsonText.Piece(text.WrittenMemory) : default);
    }

    private void WriteProbabilities(IBufferWriter<byte> output)
    {
        if (ContentProbabilities.WrittenCount == 0 && RefusalProbabilities.WrittenCount == 0)
        {
            output.Write("null"u8);
            return;
        }
        output.Write("{\"content\":"u8);
        WriteArrayOrNull(output, ContentProbabilities);
        output.Write(",\"refusal\":"u8);
        WriteArrayOrNull(output, RefusalProbabilities);
        output.WriteByte((byte)'}');
    }

    private static void WriteArrayOrNull(IBufferWriter<byte> output, ArrayBufferWriter<byte> elements)
    {
        if (elements.WrittenCount == 0)
        {
            output.Write("null"u8);
            return;
        }
        WriteArray(output, elements);
    }

    private static void WriteArray(IBufferWriter<byte> output, ArrayBufferWriter<byte>? elements)
    {
        output.WriteByte((byte)'[');
        output.Write(elements is null ? default : elements.WrittenSpan);
        output.WriteByte((byte)']');
    }

    private static void WriteAll(ref JsonObjectWriter json, Dictionary<string, byte[]> members)
    {
        foreach (var (name, raw) in members)
        {
            json.Raw(JsonText.From(name).Escaped.Span, raw);
        }
    }

    private static ArrayBufferWriter<byte> Get(Dictionary<string, ArrayBufferWriter<byte>> all, string member)
    {
        if (!all.TryGetValue(member, out var found))
        {
            all.Add(member, found = new ArrayBufferWriter<byte>());
        }
        return found;
    }
}

/// <summary>One call of a complete answer while it is collected.</summary>
internal sealed class CollectedCall(byte[] id, byte[] name, bool isCustom)
{
    public bool IsCustom => isCustom;

    /// <summary>The arguments or the input, as they stand between quotes.</summary>
    public ArrayBufferWriter<byte> Arguments { get; } = new();

    /// <summary>Further members, each with a comma before it.</summary>
    public ArrayBufferWriter<byte> Members { get; } = new();

    /// <summary>Writes the call.</summary>
    public void Write(IBufferWriter<byte> output)
    {
        output.Write("{\"id\":"u8);
        output.Write(id);
        output.Write(isCustom ? ",\"type\":\"custom\",\"custom\":"u8 : ",\"type\":\"function\",\"function\":"u8);
        WriteFunction(output);
        output.Write(Members.WrittenSpan);
        output.WriteByte((byte)'}');
    }

    /// <summary>Writes the function alone.</summary>
    public void WriteFunction(IBufferWriter<byte> output)
    {
        output.Write("{\"name\":"u8);
        output.Write(name);
        output.Write(isCustom ? ",\"input\":\""u8 : ",\"arguments\":\""u8);
        output.Write(Arguments.WrittenSpan);
        output.Write("\"}"u8);
    }
}
