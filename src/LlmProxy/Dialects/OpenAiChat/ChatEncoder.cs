using System.Buffers;
using System.Globalization;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>
/// What streams and complete answers have in common: which choice a block belongs to, which number a call has (only calls count), what is signed, and where a citation stands.
/// Signed thoughts are given to clients in the members that they know from elsewhere, <c>thinking_blocks</c> and <c>reasoning_details</c>, so that those who send messages back whole keep them.
/// </summary>
internal abstract class ChatEncoder(AnswerContext context, IBufferWriter<byte> output) : AnswerEncoder
{
    private readonly List<Block> blocks = [];
    private readonly ArrayBufferWriter<byte> scratch = new();
    private ArrayBufferWriter<byte>? spare;
    private int madeUpIds;

    protected AnswerContext Context => context;

    protected IBufferWriter<byte> Output => output;

    /// <summary>The choices that have begun, by the order in which they did.</summary>
    protected List<Choice> Choices { get; } = [];

    /// <summary>The members that each chunk and the answer begin with: <c>"id":…,</c> up to the model.</summary>
    protected byte[] Head { get; private set; } = [];

    /// <summary>Whether the answer comes from this dialect, so that its extensions go back.</summary>
    protected bool IsOurs { get; private set; }

    /// <summary>Whether the client declared functions in the deprecated way and so wants <c>function_call</c>.</summary>
    protected bool UsesFunctions { get; } = ChatForm.Of(context.Request)?.UsesFunctions == true;

    /// <summary>What was used; empty: not said.</summary>
    protected ArrayBufferWriter<byte> UsageObject { get; } = new();

    protected string? ServiceTier { get; private set; }

    protected abstract string ObjectName { get; }

    public override void Start(in AnswerStart start)
    {
        IsOurs = start.Source == DialectIds.OpenAiChat;
        var head = new ArrayBufferWriter<byte>(256);
        head.Write("\"id\":"u8);
        if (start.IdToken.Length > 2)
        {
            head.Write(start.IdToken);
        }
        else
        {
            head.WriteText("chatcmpl-" + context.RequestId);
        }
        head.Write(",\"object\":"u8);
        head.WriteText(ObjectName);
        head.Write(",\"created\":"u8);
        head.WriteNumber(start.Created > 0 ? start.Created : context.Now);
        head.Write(",\"model\":"u8);
        if (start.ModelToken.Length > 2)
        {
            head.Write(start.ModelToken);
        }
        else
        {
            head.WriteText(context.RequestedModel);
        }
        Head = head.WrittenSpan.ToArray();
    }

    public override void BeginBlock(int block, in BlockStart start)
    {
        var choice = ChoiceOf(start.Choice);
        var begun = new Block(start.Kind, choice);
        while (blocks.Count <= block)
        {
            blocks.Add(begun);
        }
        blocks[block] = begun;
        switch (start.Kind)
        {
            case BlockKind.Text:
                begun.StartsAt = choice.Characters;
                Begin(choice, isText: true);
                break;
            case BlockKind.Refusal:
                choice.HasRefusal = true;
                Begin(choice, isText: false);
                break;
            case BlockKind.ReasoningSummary when choice.HasThoughts:
                Begin(choice, isText: false);
                Thought(choice, "\"\\n\\n\""u8);
                break;
            case BlockKind.ToolCall:
                Begin(choice, isText: false);
                begun.Call = choice.Calls++;
                begun.IsCustom = start.ToolKind == ToolKind.Custom;
                Call(begun, start.IdToken.Length > 2 ? start.IdToken : MadeUpId(), start.NameToken.IsEmpty ? "\"\""u8 : start.NameToken);
                break;
            case BlockKind.Media:
                Begin(choice, isText: false);
                BeginMedia(begun, start);
                break;
            case BlockKind.Native:
                context.Dropped.Add("content[]." + (start.NativeType ?? "?"));
                break;
            default:
                Begin(choice, isText: false);
                break;
        }
        if (start.Kind is BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning)
        {
            begun.Id = start.IdToken.ToArray();
        }
    }

    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (Find(block) is not { } known || text.Length <= 2)
        {
            return;
        }
        known.HasContent = true;
        switch (known.Kind)
        {
            case BlockKind.Text:
                known.Choice.Characters += CountCharacters(text[1..^1]);
                Text(known.Choice, text);
                break;
            case BlockKind.Refusal:
                Refusal(known.Choice, text);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary:
                known.Choice.HasThoughts = true;
                (known.Collected ??= Rent()).Write(text[1..^1]);
                Thought(known.Choice, text);
                break;
            case BlockKind.ToolCall:
                Arguments(known, text);
                break;
            case BlockKind.Media when known.IsAudio:
                Audio(known, text);
                break;
            case BlockKind.Media when known.Collected is { } image:
                image.Write(text[1..^1]);
                break;
        }
    }

    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (Find(block) is not { } known)
        {
            return;
        }
        if (known.Kind is BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning)
        {
            known.Signature = new NeutralSignature(family, new JsonText(dataToken.ToArray()));
        }
        else if (family == SignatureFamilies.Google && known.Kind is BlockKind.ToolCall or BlockKind.Text)
        {
            scratch.ResetWrittenCount();
            scratch.Write("{\"google\":{\"thought_signature\":"u8);
            scratch.Write(dataToken);
            scratch.Write("}}"u8);
            if (known.Kind == BlockKind.ToolCall)
            {
                CallMember(known, "extra_content"u8, scratch.WrittenSpan);
            }
            else
            {
                Member(known.Choice, "extra_content"u8, scratch.WrittenSpan);
            }
        }
        else
        {
            context.Dropped.Add("choices[].message.signature");
        }
    }

    public override void Citation(int block, NeutralCitation citation)
    {
        if (Find(block) is not { } known)
        {
            return;
        }
        if (IsOurs && !citation.Raw.IsEmpty)
        {
            Annotation(known.Choice, citation.Raw.Span);
        }
        else if (!citation.Url.IsBlank)
        {
            (known.Citations ??= []).Add(citation);
        }
        else
        {
            context.Dropped.Add("choices[].message.annotations");
        }
    }

    public override void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
        if (Find(block) is { } known && raw.Length > 2)
        {
            Probabilities(known.Choice, known.Kind == BlockKind.Refusal ? "refusal"u8 : "content"u8, raw);
        }
    }

    public override void EndBlock(int block)
    {
        if (Find(block) is not { IsEnded: false } known)
        {
            return;
        }
        known.IsEnded = true;
        switch (known.Kind)
        {
            case BlockKind.Text:
                EndText(known);
                break;
            case BlockKind.ToolCall when !known.HasContent && !known.IsCustom:
                Arguments(known, "\"{}\""u8);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning:
                EndThoughts(known);
                break;
            case BlockKind.Media when known.Collected is { } image:
                EndImage(known, image);
                break;
        }
        Return(known);
    }

    public override void Usage(in AnswerUsage usage)
    {
        UsageObject.ResetWrittenCount();
        if (IsOurs && !usage.Raw.IsEmpty)
        {
            UsageObject.Write(usage.Raw);
        }
        else
        {
            ChatUsage.Write(UsageObject, usage);
        }
        ServiceTier = usage.ServiceTier ?? ServiceTier;
    }

    public override void Extension(string path, ReadOnlySpan<byte> raw)
    {
        if (!IsOurs)
        {
            context.Dropped.Add(path);
            return;
        }
        var end = path.IndexOf(']', StringComparison.Ordinal);
        if (end < 0 || !path.StartsWith("choices[", StringComparison.Ordinal))
        {
            Top(path, raw);
            return;
        }
        if (!int.TryParse(path.AsSpan("choices[".Length, end - "choices[".Length), NumberStyles.None, CultureInfo.InvariantCulture, out var index) || path.Length < end + 2)
        {
            context.Dropped.Add(path);
            return;
        }
        var name = path[(end + 2)..];
        var choice = ChoiceOf(index);
        if (!name.StartsWith("message.", StringComparison.Ordinal))
        {
            ChoiceMember(choice, name, raw);
            return;
        }
        name = name["message.".Length..];
        if (name.StartsWith("audio.", StringComparison.Ordinal))
        {
            AudioMember(choice, name["audio.".Length..], raw);
        }
        else if (name.StartsWith("tool_calls[].", StringComparison.Ordinal))
        {
            context.Dropped.Add(path);
        }
        else
        {
            Begin(choice, isText: false);
            Member(choice, Encoding.UTF8.GetBytes(name), raw);
        }
    }

    /// <summary>Writes a name of a member that may hold anything.</summary>
    protected static void WriteName(IBufferWriter<byte> to, string name)
    {
        to.WriteText(name);
        to.WriteByte((byte)':');
    }

    /// <summary>An error of the upstream or the gateway's own, as this dialect's clients know it.</summary>
    protected static void WriteError(IBufferWriter<byte> to, AnswerError error) =>
        Errors.OpenAiErrorFormat.WriteJson(to, new Shared.Http.GatewayError(error.Status, error.Code ?? error.Type, error.Message) { Field = error.Field });

    /// <summary>A choice is about to say something for the first time.</summary>
    /// <param name="choice">The choice.</param>
    /// <param name="isText">Whether text comes first.</param>
    protected abstract void Begin(Choice choice, bool isText);

    protected abstract void Text(Choice choice, ReadOnlySpan<byte> token);

    protected abstract void Refusal(Choice choice, ReadOnlySpan<byte> token);

    protected abstract void Thought(Choice choice, ReadOnlySpan<byte> token);

    protected abstract void Call(Block call, ReadOnlySpan<byte> id, ReadOnlySpan<byte> name);

    protected abstract void Arguments(Block call, ReadOnlySpan<byte> token);

    /// <summary>A member of a call besides those that all have.</summary>
    protected abstract void CallMember(Block call, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw);

    protected abstract void Annotation(Choice choice, ReadOnlySpan<byte> raw);

    /// <summary>One more element of a member of the message that is an array.</summary>
    protected abstract void Element(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw);

    /// <summary>A member of the message besides those that all have.</summary>
    protected abstract void Member(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw);

    protected abstract void ChoiceMember(Choice choice, string name, ReadOnlySpan<byte> raw);

    protected abstract void Audio(Block block, ReadOnlySpan<byte> token);

    protected abstract void AudioMember(Choice choice, string name, ReadOnlySpan<byte> raw);

    protected abstract void Probabilities(Choice choice, ReadOnlySpan<byte> name, ReadOnlySpan<byte> raw);

    /// <summary>A member of the answer itself.</summary>
    protected abstract void Top(string name, ReadOnlySpan<byte> raw);

    protected Choice ChoiceOf(int index)
    {
        foreach (var known in Choices)
        {
            if (known.Index == index)
            {
                return known;
            }
        }
        var choice = new Choice(index);
        Choices.Add(choice);
        return choice;
    }

    private Block? Find(int block) => block >= 0 && block < blocks.Count ? blocks[block] : null;

    private byte[] MadeUpId() => Encoding.UTF8.GetBytes(string.Create(CultureInfo.InvariantCulture, $"\"call_{context.RequestId}_{madeUpIds++}\""));

    private void BeginMedia(Block block, in BlockStart start)
    {
        var type = start.MediaTypeToken;
        if (type.StartsWith("\"audio/"u8))
        {
            block.IsAudio = true;
            AudioMember(block.Choice, "id", start.IdToken.Length > 2 ? start.IdToken : Encoding.UTF8.GetBytes($"\"audio_{context.RequestId}\""));
            if (start.Raw.Length > 2)
            {
                AudioMember(block.Choice, "transcript", start.Raw);
            }
        }
        else if (type.IsEmpty || type.StartsWith("\"image/"u8))
        {
            block.MediaType = type.Length > 2 ? type[1..^1].ToArray() : "image/png"u8.ToArray();
            block.Collected = Rent();
        }
        else
        {
            context.Dropped.Add("choices[].message." + Encoding.UTF8.GetString(type[1..^1]));
        }
    }

    private void EndImage(Block block, ArrayBufferWriter<byte> image)
    {
        scratch.ResetWrittenCount();
        scratch.Write("{\"type\":\"image_url\",\"image_url\":{\"url\":\"data:"u8);
        scratch.Write(block.MediaType);
        scratch.Write(";base64,"u8);
        scratch.Write(image.WrittenSpan);
        scratch.Write("\"},\"index\":"u8);
        scratch.WriteNumber(block.Choice.Images++);
        scratch.WriteByte((byte)'}');
        Element(block.Choice, "images"u8, scratch.WrittenSpan);
    }

    private void EndText(Block block)
    {
        foreach (var citation in block.Citations ?? [])
        {
            scratch.ResetWrittenCount();
            var json = new JsonObjectWriter(scratch);
            json.Text("type"u8, "url_citation");
            json.Name("url_citation"u8);
            var inner = new JsonObjectWriter(scratch);
            inner.Number("start_index"u8, citation.Start ?? block.StartsAt);
            inner.Number("end_index"u8, citation.End ?? block.Choice.Characters);
            inner.Text("url"u8, citation.Url);
            inner.Text("title"u8, citation.Title.Exists ? citation.Title : JsonText.Empty);
            inner.End();
            json.End();
            Annotation(block.Choice, scratch.WrittenSpan);
        }
    }

    private void EndThoughts(Block block)
    {
        if (block.Signature is not { } signature)
        {
            return;
        }
        var text = block.Collected is { } collected ? JsonText.Piece(collected.WrittenMemory) : default;
        scratch.ResetWrittenCount();
        if (signature.Family == SignatureFamilies.Anthropic)
        {
            ChatThoughts.WriteBlock(scratch, block.Choice.ThinkingBlocks++, text, signature.Data, block.Kind == BlockKind.RedactedReasoning);
            Element(block.Choice, "thinking_blocks"u8, scratch.WrittenSpan);
            return;
        }
        var isSummary = block.Kind == BlockKind.ReasoningSummary;
        if (isSummary && !text.IsBlank)
        {
            ChatThoughts.WriteDetail(scratch, block.Choice.Details++, isSummary: true, text, null, new JsonText(block.Id));
            Element(block.Choice, "reasoning_details"u8, scratch.WrittenSpan);
            scratch.ResetWrittenCount();
        }
        ChatThoughts.WriteDetail(scratch, block.Choice.Details++, isSummary: false, isSummary ? default : text, signature, new JsonText(block.Id));
        Element(block.Choice, "reasoning_details"u8, scratch.WrittenSpan);
    }

    /// <summary>Characters (Unicode code points) of a text between quotes.</summary>
    private static long CountCharacters(ReadOnlySpan<byte> escaped)
    {
        long count = 0;
        for (var i = 0; i < escaped.Length; i++)
        {
            if (escaped[i] == (byte)'\\' && i + 1 < escaped.Length)
            {
                var isUnit = escaped[i + 1] == (byte)'u' && i + 5 < escaped.Length;
                var isLow = isUnit && (escaped[i + 2] | 0x20) == (byte)'d' && (escaped[i + 3] | 0x20) is >= (byte)'c' and <= (byte)'f';
                count += isLow ? 0 : 1;
                i += isUnit ? 5 : 1;
            }
            else if ((escaped[i] & 0xC0) != 0x80)
            {
                count++;
            }
        }
        return count;
    }

    private ArrayBufferWriter<byte> Rent()
    {
        var rented = spare ?? new ArrayBufferWriter<byte>();
        spare = null;
        rented.ResetWrittenCount();
        return rented;
    }

    private void Return(Block block)
    {
        spare ??= block.Collected;
        block.Collected = null;
    }

    /// <summary>One block.</summary>
    protected sealed class Block(BlockKind kind, Choice choice)
    {
        public BlockKind Kind { get; } = kind;

        public Choice Choice { get; } = choice;

        /// <summary>A call's number among the calls of its choice.</summary>
        public int Call { get; set; }

        public bool IsCustom { get; set; }

        public bool IsAudio { get; set; }

        public bool HasContent { get; set; }

        public bool IsEnded { get; set; }

        public long StartsAt { get; set; }

        public byte[] Id { get; set; } = [];

        public byte[] MediaType { get; set; } = [];

        public ArrayBufferWriter<byte>? Collected { get; set; }

        public NeutralSignature? Signature { get; set; }

        public List<NeutralCitation>? Citations { get; set; }
    }

    /// <summary>One choice.</summary>
    protected sealed class Choice(int index)
    {
        public int Index { get; } = index;

        /// <summary>Whether it has said who speaks.</summary>
        public bool HasBegun { get; set; }

        public bool HasRefusal { get; set; }

        public bool HasThoughts { get; set; }

        public int Calls { get; set; }

        public int Images { get; set; }

        public int ThinkingBlocks { get; set; }

        public int Details { get; set; }

        /// <summary>Characters of text so far.</summary>
        public long Characters { get; set; }

        /// <summary>What a complete answer collects; unused in streams.</summary>
        public CollectedChoice? Collected { get; set; }
    }
}
