using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Responses;

internal sealed partial class ResponsesAnswerDecoder
{
    private StreamStatus TakeAdded(in ResponsesEvent read)
    {
        if (read.Item.IsEmpty || Open(read.OutputIndex) is not { } state)
        {
            return StreamStatus.Invalid;
        }
        Start(default);
        ContentBegun = true;
        var item = ResponsesItem.Read(read.Item);
        Identify(state, item);
        if (state.Type is ItemType.FunctionCall or ItemType.CustomCall)
        {
            BeginCall(state, item);
        }
        else if (state.Type == ItemType.Other)
        {
            sink.Ping(); // whole when it is done
        }
        return StreamStatus.Open;
    }

    private void Identify(ItemState state, in ResponsesItem item)
    {
        if (state.Type != ItemType.Unknown)
        {
            return;
        }
        state.Type = item.Type switch
        {
            _ when item.Type.SequenceEqual("message"u8) => ItemType.Message,
            _ when item.Type.SequenceEqual("reasoning"u8) => ItemType.Reasoning,
            _ when item.Type.SequenceEqual("function_call"u8) => ItemType.FunctionCall,
            _ when item.Type.SequenceEqual("custom_tool_call"u8) => ItemType.CustomCall,
            _ => ItemType.Other,
        };
        state.Id = item.Id.ToArray();
        if (state.Type == ItemType.Message && !item.Phase.IsEmpty)
        {
            sink.Extension("output[].phase", item.Phase);
        }
    }

    private void BeginCall(ItemState state, in ResponsesItem item)
    {
        if (state.Block >= 0)
        {
            return;
        }
        hasCalls = true;
        ContentBegun = true;
        state.Block = blocks++;
        sink.BeginBlock(state.Block, new BlockStart
        {
            Kind = BlockKind.ToolCall,
            IdToken = item.CallId.IsEmpty ? item.Id : item.CallId,
            NameToken = item.Name.IsEmpty ? "\"\""u8 : item.Name,
            ToolKind = state.Type == ItemType.CustomCall ? ToolKind.Custom : ToolKind.Function,
        });
    }

    private StreamStatus TakeDelta(in ResponsesEvent read)
    {
        if (Open(read.OutputIndex) is not { IsDone: false } state || read.Delta.IsEmpty)
        {
            return StreamStatus.Invalid;
        }
        var kind = BlockOf(read.Kind);
        if (BeginPart(state, kind, read.PartIndex) is not { } block)
        {
            return StreamStatus.Open;
        }
        if (read.Delta.Length > 2)
        {
            state.HasText = true;
            sink.Delta(block, read.Delta);
        }
        if (read.LogProbs.Length > 2)
        {
            state.HasLogProbs = true;
            sink.LogProbs(block, read.LogProbs);
        }
        return StreamStatus.Open;
    }

    private StreamStatus TakeArguments(in ResponsesEvent read)
    {
        if (Open(read.OutputIndex) is not { Block: >= 0, IsDone: false, Type: ItemType.FunctionCall or ItemType.CustomCall } state)
        {
            return StreamStatus.Invalid; // of a call that nobody has named
        }
        if (read.Delta.Length > 2)
        {
            state.HasText = true;
            sink.Delta(state.Block, read.Delta);
        }
        return StreamStatus.Open;
    }

    private StreamStatus TakePart(in ResponsesEvent read)
    {
        if (Open(read.OutputIndex) is not { IsDone: false } state)
        {
            return StreamStatus.Invalid;
        }
        BlockKind? kind = BlockKind.ReasoningSummary;
        if (read.Kind == EventKind.PartAdded)
        {
            kind = KindOf(ResponsesPart.Read(read.Part.IsEmpty ? "{}"u8 : read.Part).Type);
        }
        if (kind is { } known)
        {
            BeginPart(state, known, read.PartIndex);
        }
        return StreamStatus.Open;
    }

    /// <summary>The end of a part, which repeats it: of use where no pieces came.</summary>
    private StreamStatus TakeWhole(in ResponsesEvent read)
    {
        if (Open(read.OutputIndex) is not { IsDone: false } state)
        {
            return StreamStatus.Invalid;
        }
        if (BeginPart(state, BlockOf(read.Kind), read.PartIndex) is not { } block)
        {
            return StreamStatus.Open;
        }
        if (!state.HasText && read.Text.Length > 2)
        {
            state.HasText = true;
            sink.Delta(block, read.Text);
        }
        if (!state.HasLogProbs && read.LogProbs.Length > 2)
        {
            state.HasLogProbs = true;
            sink.LogProbs(block, read.LogProbs);
        }
        return StreamStatus.Open;
    }

    private StreamStatus TakeAnnotation(in ResponsesEvent read)
    {
        if (Open(read.OutputIndex) is not { IsDone: false } state || read.Annotation.IsEmpty)
        {
            return StreamStatus.Invalid;
        }
        if (BeginPart(state, BlockKind.Text, read.PartIndex) is { } block)
        {
            state.HasAnnotations = true;
            sink.Citation(block, ResponsesCitations.Read(new JsonValue(read.Annotation.ToArray())));
        }
        return StreamStatus.Open;
    }

    private static BlockKind BlockOf(EventKind kind) => kind switch
    {
        EventKind.RefusalDelta or EventKind.RefusalDone => BlockKind.Refusal,
        EventKind.ReasoningDelta or EventKind.ReasoningDone => BlockKind.Reasoning,
        EventKind.SummaryDelta or EventKind.SummaryDone => BlockKind.ReasoningSummary,
        _ => BlockKind.Text,
    };

    private static BlockKind? KindOf(ReadOnlySpan<byte> type) =>
        type.SequenceEqual("output_text"u8) || type.SequenceEqual("text"u8) ? BlockKind.Text
        : type.SequenceEqual("refusal"u8) ? BlockKind.Refusal
        : type.SequenceEqual("reasoning_text"u8) ? BlockKind.Reasoning
        : type.SequenceEqual("summary_text"u8) ? BlockKind.ReasoningSummary
        : null;

    /// <summary>The block of an item's part, which begins where it has not yet; the one before it ends then. Null: the part is over already.</summary>
    private int? BeginPart(ItemState state, BlockKind kind, int part)
    {
        if (state.Type is ItemType.FunctionCall or ItemType.CustomCall or ItemType.Other)
        {
            return null;
        }
        if (state.Block >= 0 && state.Kind == kind && state.Part == part)
        {
            return state.Block;
        }
        if (state.Block >= 0 && state.Kind == kind && part < state.Part)
        {
            return null;
        }
        if (state.Type == ItemType.Unknown)
        {
            state.Type = kind is BlockKind.Reasoning or BlockKind.ReasoningSummary ? ItemType.Reasoning : ItemType.Message;
        }
        Start(default);
        ContentBegun = true;
        EndBlock(state);
        hasRefusal |= kind == BlockKind.Refusal;
        (state.Kind, state.Part, state.HasText, state.HasLogProbs, state.HasAnnotations) = (kind, part, false, false, false);
        state.Parts++;
        state.Block = blocks++;
        sink.BeginBlock(state.Block, new BlockStart { Kind = kind, IdToken = state.Id });
        return state.Block;
    }

    /// <summary>An item is there in full.</summary>
    private StreamStatus TakeDone(ReadOnlySpan<byte> raw, int index)
    {
        if (raw.IsEmpty || Open(index) is not { } state)
        {
            return StreamStatus.Invalid;
        }
        if (state.IsDone)
        {
            return StreamStatus.Open; // the last event repeats all items
        }
        Start(default);
        ContentBegun = true;
        var item = ResponsesItem.Read(raw);
        Identify(state, item);
        switch (state.Type)
        {
            case ItemType.Message:
                TakeParts(state, item.Content, otherwise: BlockKind.Text);
                break;
            case ItemType.Reasoning:
                TakeParts(state, item.Summary, BlockKind.ReasoningSummary);
                TakeParts(state, item.Content, BlockKind.Reasoning);
                Sign(state, item);
                break;
            case ItemType.FunctionCall or ItemType.CustomCall:
                BeginCall(state, item);
                var text = state.Type == ItemType.CustomCall ? item.Input : item.Arguments;
                if (!state.HasText && text.Length > 2)
                {
                    sink.Delta(state.Block, text);
                }
                break;
            default:
                TakeNative(item, raw);
                break;
        }
        if (state.Type is not ItemType.Other)
        {
            UnknownAnswerMembers.Report(raw, "output[].", "type id status role content summary encrypted_content call_id name arguments input phase"u8, sink);
        }
        EndBlock(state);
        state.IsDone = true;
        return StreamStatus.Open;
    }

    /// <summary>Gives on the parts that no event has given on.</summary>
    private void TakeParts(ItemState state, ReadOnlySpan<byte> array, BlockKind otherwise)
    {
        if (array.IsEmpty)
        {
            return;
        }
        var reader = new Utf8JsonReader(array, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        for (var i = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; i++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            var said = ResponsesEvent.Token(ref reader, array);
            var part = ResponsesPart.Read(said);
            UnknownAnswerMembers.Report(said, otherwise == BlockKind.ReasoningSummary ? "output[].summary[]." : "output[].content[].", "type text refusal annotations logprobs"u8, sink);
            var kind = KindOf(part.Type) ?? otherwise;
            var isCurrent = state.Block >= 0 && state.Kind == kind && state.Part == i;
            if (!isCurrent && (state.WasGiven(kind, i) || BeginPart(state, kind, i) is null))
            {
                continue;
            }
            if (!state.HasText && part.Text.Length > 2)
            {
                state.HasText = true;
                sink.Delta(state.Block, part.Text);
            }
            if (!state.HasLogProbs && part.LogProbs.Length > 2)
            {
                state.HasLogProbs = true;
                sink.LogProbs(state.Block, part.LogProbs);
            }
            if (!state.HasAnnotations && part.Annotations.Length > 2)
            {
                state.HasAnnotations = true;
                var annotations = new JsonArrayReader(new JsonValue(part.Annotations.ToArray()));
                while (annotations.Next(out var annotation))
                {
                    if (annotation.IsObject)
                    {
                        sink.Citation(state.Block, ResponsesCitations.Read(annotation));
                    }
                }
            }
        }
    }

    private void Sign(ItemState state, in ResponsesItem item)
    {
        if (item.Encrypted.Length <= 2 || (state.Block >= 0 && state.Kind is not (BlockKind.Reasoning or BlockKind.ReasoningSummary)))
        {
            return;
        }
        if (state.Block < 0)
        {
            state.Block = blocks++;
            state.Kind = BlockKind.Reasoning;
            sink.BeginBlock(state.Block, new BlockStart { Kind = BlockKind.Reasoning, IdToken = state.Id });
        }
        // A gateway like this one may have put another family's signature there.
        var carried = CarriedSignature.Read(new JsonText(item.Encrypted.ToArray()));
        sink.Signature(state.Block, carried.Signature.Family, carried.Signature.Data.Token.Span);
    }

    private void TakeNative(in ResponsesItem item, ReadOnlySpan<byte> raw)
    {
        var type = item.Type;
        if (type.SequenceEqual("image_generation_call"u8) && item.Result.Length > 2)
        {
            var media = item.OutputFormat.Length > 2 ? [.. "\"image/"u8, .. item.OutputFormat[1..]] : "\"image/png\""u8;
            UnknownAnswerMembers.Report(raw, "output[].image_generation_call.", "type id status result output_format"u8, sink);
            sink.BeginBlock(blocks, new BlockStart { Kind = BlockKind.Media, IdToken = item.Id, MediaTypeToken = media, Raw = raw });
            sink.Delta(blocks, item.Result);
            sink.EndBlock(blocks++);
            return;
        }
        searches += type.SequenceEqual("web_search_call"u8) ? 1 : 0;
        hasCalls |= type.SequenceEqual("local_shell_call"u8) || type.SequenceEqual("computer_call"u8) || type.SequenceEqual("apply_patch_call"u8) || type.SequenceEqual("mcp_approval_request"u8);
        sink.BeginBlock(blocks, new BlockStart { Kind = BlockKind.Native, IdToken = item.Id, NativeType = type.Length is > 0 and <= 128 ? Encoding.UTF8.GetString(type) : "?", Raw = raw });
        sink.EndBlock(blocks++);
    }

    private void EndBlock(ItemState state)
    {
        if (state.Block >= 0)
        {
            state.Given = state.Kind;
            state.GivenPart = state.Part;
            sink.EndBlock(state.Block);
            state.Block = -1;
        }
    }

    private void CloseAll()
    {
        foreach (var state in items)
        {
            EndBlock(state);
            state.IsDone = true;
        }
    }

    /// <summary>What is known of an item; null: there are absurdly many. Without an index, the one that came last is meant.</summary>
    private ItemState? Open(int index)
    {
        if (index < 0)
        {
            index = items.Count == 0 ? 0 : items[^1].Index;
        }
        for (var i = items.Count - 1; i >= 0; i--)
        {
            if (items[i].Index == index)
            {
                return items[i];
            }
        }
        if (items.Count == MaxItems)
        {
            return null;
        }
        var state = new ItemState(index);
        items.Add(state);
        return state;
    }

    private enum ItemType
    {
        Unknown,
        Message,
        Reasoning,
        FunctionCall,
        CustomCall,
        Other,
    }

    private sealed class ItemState(int index)
    {
        public int Index { get; } = index;

        public ItemType Type { get; set; }

        public byte[] Id { get; set; } = [];

        /// <summary>The open block; -1: none.</summary>
        public int Block { get; set; } = -1;

        /// <summary>The kind and the number of the part whose block is or was the last open one.</summary>
        public BlockKind Kind { get; set; }

        public int Part { get; set; }

        public int Parts { get; set; }

        public BlockKind? Given { get; set; }

        public int GivenPart { get; set; }

        public bool HasText { get; set; }

        public bool HasLogProbs { get; set; }

        public bool HasAnnotations { get; set; }

        public bool IsDone { get; set; }

        /// <summary>Whether a part was given on already. Parts of a kind come in their order.</summary>
        public bool WasGiven(BlockKind kind, int part) =>
            Parts > 0 && ((Kind == kind && part < Part) || (Given == kind && part <= GivenPart) || (kind == BlockKind.ReasoningSummary && Kind == BlockKind.Reasoning)
                || (kind is BlockKind.Text or BlockKind.Refusal && part < Part));
    }
}
