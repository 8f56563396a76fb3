using System.Buffers;
using System.Text;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>
/// Encodes one answer: as events with the order and the numbers that clients rely on, or as one response. Items are numbered as they begin; a message or a piece of reasoning stays
/// open until something else begins, since more of it may come.
/// </summary>
internal sealed partial class ResponsesAnswerEncoder(AnswerContext context, IBufferWriter<byte> output) : AnswerEncoder
{
    private readonly List<Block?> blocks = [];
    private readonly List<Item> items = [];
    private readonly Stack<ArrayBufferWriter<byte>> spare = [];
    private readonly ResponseObject response = new(context);
    private Item? current;
    private long sequence;
    private bool isStarted;
    private bool isOver;
    private bool isOurs;
    private byte[] phase = [];

    private bool Streams => context.Stream;

    public override void Start(in AnswerStart start)
    {
        isOurs = start.Source == DialectIds.OpenAiResponses;
        isStarted = true;
        response.Start(start);
        Begin("response.created"u8);
        WriteResponse("in_progress"u8);
        Begin("response.in_progress"u8);
        WriteResponse("in_progress"u8);
    }

    public override void BeginBlock(int block, in BlockStart start)
    {
        while (blocks.Count <= block)
        {
            blocks.Add(null);
        }
        if (start.Choice > 0)
        {
            context.Dropped.Add("choices[1..]");
            return;
        }
        switch (start.Kind)
        {
            case BlockKind.Text or BlockKind.Refusal:
                BeginText(block, start);
                break;
            case BlockKind.Reasoning or BlockKind.ReasoningSummary or BlockKind.RedactedReasoning:
                BeginReasoning(block, start);
                break;
            case BlockKind.ToolCall:
                BeginCall(block, start);
                break;
            case BlockKind.Media when start.MediaTypeToken.StartsWith("\"image/"u8):
                BeginImage(block, start);
                break;
            case BlockKind.Media:
                context.Dropped.Add("output[].audio");
                break;
            default:
                AddNative(start);
                break;
        }
    }

    public override void Delta(int block, ReadOnlySpan<byte> text)
    {
        if (Find(block) is not { } known || text.Length <= 2)
        {
            return;
        }
        if (known.IsReasoning && !known.HasPart)
        {
            BeginThoughts(known);
        }
        known.Text.Write(text[1..^1]);
        if (known.Item.Type == ItemType.Image || !Streams)
        {
            return;
        }
        Begin(known.DeltaType);
        WritePlace(known);
        output.Write(",\"delta\":"u8);
        output.Write(text);
        if (known.Kind == BlockKind.Text)
        {
            output.Write(",\"logprobs\":[]"u8);
        }
        EndEvent();
    }

    public override void Signature(int block, string family, ReadOnlySpan<byte> dataToken)
    {
        if (Find(block) is not { } known)
        {
            return;
        }
        if (known.IsReasoning)
        {
            known.Item.Encrypted = CarriedSignature.Write(family, dataToken, known.Kind == BlockKind.RedactedReasoning, default);
        }
        else if (known.Item.Type is ItemType.FunctionCall or ItemType.CustomCall)
        {
            known.Item.Encrypted = CarriedSignature.Write(family, dataToken, isRedacted: false, known.Item.CallId.AsSpan()[1..^1]);
        }
        else
        {
            context.Dropped.Add("output[].content[].signature");
        }
    }

    public override void Citation(int block, NeutralCitation citation)
    {
        if (Find(block) is not { Kind: BlockKind.Text } known)
        {
            context.Dropped.Add("output[].content[].annotations");
            return;
        }
        var raw = Rent();
        if (isOurs && !citation.Raw.IsEmpty)
        {
            raw.Write(citation.Raw.Span);
        }
        else if (!citation.Url.IsBlank)
        {
            ResponsesCitations.Write(raw, citation, CountCharacters(known.Text.WrittenSpan));
        }
        else
        {
            context.Dropped.Add("output[].content[].annotations");
            Return(raw);
            return;
        }
        if (Streams)
        {
            Begin("response.output_text.annotation.added"u8);
            WritePlace(known);
            output.Write(",\"annotation_index\":"u8);
            output.WriteNumber(known.AnnotationCount);
            output.Write(",\"annotation\":"u8);
            output.Write(raw.WrittenSpan);
            EndEvent();
        }
        known.AnnotationCount++;
        Append(known.Annotations ??= Rent(), raw.WrittenSpan);
        Return(raw);
    }

    public override void LogProbs(int block, ReadOnlySpan<byte> raw)
    {
        if (Find(block) is not { Kind: BlockKind.Text } known || raw.Length <= 2)
        {
            return;
        }
        Append(known.LogProbs ??= Rent(), raw[1..^1]);
        if (Streams)
        {
            // They may come after the text that they belong to, so they get a piece of their own that adds none.
            Begin("response.output_text.delta"u8);
            WritePlace(known);
            output.Write(",\"delta\":\"\",\"logprobs\":"u8);
            output.Write(raw);
            EndEvent();
        }
    }

    public override void EndBlock(int block)
    {
        if (Find(block) is not { } known)
        {
            return;
        }
        blocks[block] = null;
        switch (known.Item.Type)
        {
            case ItemType.Message or ItemType.Reasoning:
                EndPart(known);
                known.Item.OpenBlocks--;
                if (known.Item != current && known.Item.OpenBlocks == 0)
                {
                    EndItem(known.Item);
                }
                break;
            case ItemType.Image:
                EndImage(known);
                break;
            default:
                EndCall(known);
                break;
        }
        Return(known);
    }

    public override void Usage(in AnswerUsage usage) => response.Usage(usage);

    public override void Finish(in AnswerFinish finish)
    {
        if (finish.Choice == 0)
        {
            response.Finish(finish, items.Exists(item => item.HasRefusal));
        }
    }

    public override void Extension(string path, ReadOnlySpan<byte> raw)
    {
        if (!isOurs)
        {
            context.Dropped.Add(path);
        }
        else if (path.StartsWith("output[].image_generation_call.", StringComparison.Ordinal))
        {
            // The item is written as it came.
        }
        else if (path.StartsWith("output[].", StringComparison.Ordinal) && path != "output[].phase")
        {
            context.Dropped.Add(path);
        }
        else if (path == "output[].phase")
        {
            phase = raw.ToArray();
        }
        else if (path.StartsWith("response.", StringComparison.Ordinal))
        {
            WriteForeign(path, raw);
        }
        else
        {
            response.Extend(path, raw);
        }
    }

    public override void Ping()
    {
        if (Streams)
        {
            output.Write(": ping\n\n"u8);
        }
    }

    public override void End()
    {
        CloseAll();
        isOver = true;
        var whole = Rent();
        response.Write(whole, response.Status, items, isLast: true);
        if (Streams)
        {
            Begin(response.Status.SequenceEqual("incomplete"u8) ? "response.incomplete"u8 : "response.completed"u8);
            output.Write(",\"response\":"u8);
            output.Write(whole.WrittenSpan);
            EndEvent();
            output.Write("data: [DONE]\n\n"u8);
        }
        else
        {
            output.Write(whole.WrittenSpan);
        }
        if (context.Keeper is { } keeper && context.Request.Store != false)
        {
            keeper.KeepAnswer(response.Id, whole.WrittenSpan);
        }
        Return(whole);
    }

    public override void Fail(AnswerError error)
    {
        Error = error;
        if (!Streams || isOver)
        {
            return;
        }
        isOver = true;
        ResponsesErrorEvent.Write(output, sequence++, error);
        if (isStarted)
        {
            foreach (var item in items)
            {
                item.IsCut = !item.IsDone;
            }
            response.Fail(error);
            Begin("response.failed"u8);
            WriteResponse("failed"u8);
        }
        output.Write("data: [DONE]\n\n"u8);
    }

    /// <summary>An event of the upstream's that only this format has, with the number that it has here.</summary>
    private void WriteForeign(string type, ReadOnlySpan<byte> raw)
    {
        if (!Streams)
        {
            return;
        }
        Begin(Encoding.UTF8.GetBytes(type));
        var bag = new ExtensionBag();
        var members = JsonMembers.Of(raw.ToArray());
        members.Take("type"u8);
        members.Take("sequence_number"u8);
        members.LeaveTo(bag);
        foreach (var member in bag.Members)
        {
            output.WriteByte((byte)',');
            output.WriteText(member.Key);
            output.WriteByte((byte)':');
            output.Write(member.Value.Span);
        }
        EndEvent();
    }

    private void CloseAll()
    {
        for (var block = 0; block < blocks.Count; block++)
        {
            EndBlock(block);
        }
        Leave();
    }

    private Block? Find(int block) => (uint)block < (uint)blocks.Count ? blocks[block] : null;

    private void Begin(scoped ReadOnlySpan<byte> type)
    {
        if (!Streams)
        {
            return;
        }
        output.Write("event: "u8);
        output.Write(type);
        output.Write("\ndata: {\"type\":\""u8);
        output.Write(type);
        output.Write("\",\"sequence_number\":"u8);
        output.WriteNumber(sequence++);
    }

    private void EndEvent() => output.Write("}\n\n"u8);

    private void WriteResponse(ReadOnlySpan<byte> status)
    {
        if (!Streams)
        {
            return;
        }
        output.Write(",\"response\":"u8);
        response.Write(output, status, items, isLast: status.SequenceEqual("failed"u8));
        EndEvent();
    }

    private ArrayBufferWriter<byte> Rent() => spare.TryPop(out var used) ? used : new ArrayBufferWriter<byte>();

    private void Return(ArrayBufferWriter<byte>? used)
    {
        if (used is not null)
        {
            used.ResetWrittenCount();
            spare.Push(used);
        }
    }

    private void Return(Block block)
    {
        Return(block.Text);
        Return(block.Annotations);
        Return(block.LogProbs);
    }

    private static void Append(ArrayBufferWriter<byte> list, ReadOnlySpan<byte> element)
    {
        if (list.WrittenCount > 0)
        {
            list.WriteByte((byte)',');
        }
        list.Write(element);
    }

    /// <summary>How many characters (code points) an escaped text has.</summary>
    private static long CountCharacters(ReadOnlySpan<byte> escaped) => JsonText.FromEscaped(escaped).ToString().EnumerateRunes().Count();

    internal enum ItemType
    {
        Message,
        Reasoning,
        FunctionCall,
        CustomCall,
        Image,
        Native,
    }

    /// <summary>One output item on its way.</summary>
    internal sealed class Item
    {
        /// <summary>It as it is when it is done.</summary>
        public byte[] Json { get; set; } = [];

        public bool IsDone => Json.Length > 0;

        /// <summary>Whether the answer broke off before it was done.</summary>
        public bool IsCut { get; set; }

        public bool HasRefusal { get; set; }

        internal byte[] Id { get; init; } = [];

        internal int Index { get; init; }

        internal ItemType Type { get; init; }

        internal byte[] CallId { get; init; } = [];

        internal byte[] Name { get; init; } = [];

        internal byte[] Phase { get; init; } = [];

        internal byte[] SourceId { get; init; } = [];

        internal byte[] Encrypted { get; set; } = [];

        internal ArrayBufferWriter<byte>? Contents { get; set; }

        internal ArrayBufferWriter<byte>? Summaries { get; set; }

        internal int ContentCount { get; set; }

        internal int SummaryCount { get; set; }

        internal int OpenBlocks { get; set; }
    }

    private sealed class Block
    {
        public required BlockKind Kind { get; init; }

        public required Item Item { get; init; }

        public required ArrayBufferWriter<byte> Text { get; init; }

        public ArrayBufferWriter<byte>? Annotations { get; set; }

        public ArrayBufferWriter<byte>? LogProbs { get; set; }

        public int AnnotationCount { get; set; }

        /// <summary>Whether its part has begun, and the number that it has.</summary>
        public bool HasPart { get; set; }

        public int Part { get; set; }

        /// <summary>Whether thoughts stand in the item's summary rather than in its content.</summary>
        public bool IsSummary { get; init; }

        public byte[] Raw { get; init; } = [];

        public bool IsReasoning => Item.Type == ItemType.Reasoning;

        public ReadOnlySpan<byte> DeltaType => Kind switch
        {
            BlockKind.Text => "response.output_text.delta"u8,
            BlockKind.Refusal => "response.refusal.delta"u8,
            BlockKind.ToolCall => Item.Type == ItemType.CustomCall ? "response.custom_tool_call_input.delta"u8 : "response.function_call_arguments.delta"u8,
            _ => IsSummary ? "response.reasoning_summary_text.delta"u8 : "response.reasoning_text.delta"u8,
        };
    }
}
