using System.Buffers;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>Decodes a message, streamed or complete.</summary>
internal sealed class AnthropicAnswerDecoder : AnswerDecoder
{
    private readonly List<OpenBlock> open = [];
    private ArrayBufferWriter<byte>? scratch;
    private AnthropicFigures figures;
    private byte[] id = [];
    private int blocks;
    private bool started;
    private bool finished;

    /// <summary>The first event tells of hardly any output, the last one of all.</summary>
    public override bool IsUsagePartial => !finished;

    /// <inheritdoc/>
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        if (data.IsEmpty || data.SequenceEqual("[DONE]"u8))
        {
            return StreamStatus.Open;
        }
        try
        {
            if (AnthropicEvents.IsException(name, data))
            {
                sink.Fail(AnthropicEvents.ReadError(name, data));
                return StreamStatus.Failed;
            }
            return ReadEvent(data, sink);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <inheritdoc/>
    public override StreamStatus End(IAnswerSink sink)
    {
        if (!finished)
        {
            return StreamStatus.Truncated;
        }
        CloseAll(sink);
        sink.End();
        return StreamStatus.Completed;
    }

    /// <inheritdoc/>
    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        try
        {
            var (isError, hasContent) = (false, false);
            for (var members = new SpanMembers(body); members.Next();)
            {
                isError |= members.Is("error"u8) && members.Kind == JsonTokenType.StartObject;
                hasContent |= members.Is("content"u8) && members.Kind == JsonTokenType.StartArray;
            }
            if (!hasContent)
            {
                return isError ? Fail(body, sink) : StreamStatus.Invalid;
            }
            StartMessage(body, sink, isComplete: true);
            if (!finished)
            {
                Finish(default, default, sink);
            }
            sink.End();
            return StreamStatus.Completed;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    private StreamStatus ReadEvent(ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        var index = 0;
        EventType? type = null;
        ReadOnlySpan<byte> payload = default, usage = default, message = default;
        for (var members = new SpanMembers(data); members.Next();)
        {
            if (members.Is("type"u8))
            {
                type = members.Kind == JsonTokenType.String ? AnthropicEvents.Of(members.Value) : type;
            }
            else if (members.Is("index"u8))
            {
                index = members.Kind == JsonTokenType.Number && System.Buffers.Text.Utf8Parser.TryParse(members.Value, out int number, out _) ? number : 0;
            }
            else if (members.Is("delta"u8) || members.Is("content_block"u8))
            {
                payload = members.Value;
            }
            else if (members.Is("usage"u8))
            {
                usage = members.Value;
            }
            else if (members.Is("message"u8))
            {
                message = members.Value;
            }
        }
        if (type is null || (!started && type is EventType.ContentBlockStart or EventType.ContentBlockDelta or EventType.ContentBlockStop or EventType.MessageDelta or EventType.MessageStop))
        {
            return StreamStatus.Invalid;
        }
        if (finished && type == EventType.ContentBlockStart)
        {
            return StreamStatus.Invalid; // the message has said why it ended
        }
        switch (type)
        {
            case EventType.MessageStart:
                return StartStream(message, sink);
            case EventType.ContentBlockStart:
                StartBlock(index, payload, sink);
                break;
            case EventType.ContentBlockDelta:
                ReadDelta(index, payload, sink);
                break;
            case EventType.ContentBlockStop:
                StopBlock(index, sink);
                break;
            case EventType.MessageDelta:
                ReadMessageDelta(data, payload, usage, sink);
                break;
            case EventType.MessageStop:
                CloseAll(sink);
                if (!finished)
                {
                    Finish(default, default, sink);
                }
                sink.End();
                return StreamStatus.Completed;
            case EventType.Ping:
                sink.Ping();
                break;
            case EventType.Error:
                return Fail(data, sink);
        }
        return StreamStatus.Open;
    }

    private StreamStatus Fail(ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        sink.Fail(AnthropicErrors.Read(0, data));
        return StreamStatus.Failed;
    }

    /// <summary>
    /// A message begins. Some gateways send the event twice; the second changes nothing. Where another message begins amid the first, an answer was put together
    /// from two: nobody could tell which blocks count.
    /// </summary>
    private StreamStatus StartStream(ReadOnlySpan<byte> message, IAnswerSink sink)
    {
        if (!started)
        {
            StartMessage(message, sink, isComplete: false);
            return StreamStatus.Open;
        }
        for (var members = new SpanMembers(message); members.Next();)
        {
            if (members.Is("id"u8) && !members.Value.SequenceEqual(id) && blocks + open.Count > 0)
            {
                return StreamStatus.Invalid;
            }
            if (members.Is("usage"u8))
            {
                ReadUsage(members.Value, sink);
            }
        }
        return StreamStatus.Open;
    }

    private void StartMessage(ReadOnlySpan<byte> message, IAnswerSink sink, bool isComplete)
    {
        started = true;
        ReadOnlySpan<byte> model = default, content = default, usage = default, stop = default, sequence = default;
        for (var members = new SpanMembers(message); members.Next();)
        {
            if (members.Is("id"u8))
            {
                id = members.Text.ToArray();
            }
            else if (members.Is("model"u8))
            {
                model = members.Text;
            }
            else if (members.Is("content"u8))
            {
                content = members.Value;
            }
            else if (members.Is("usage"u8))
            {
                usage = members.Value;
            }
            else if (members.Is("stop_reason"u8))
            {
                stop = members.Text;
            }
            else if (members.Is("stop_sequence"u8))
            {
                sequence = members.Text;
            }
        }
        Model = model.IsEmpty ? null : new JsonText(model.ToArray()).ToString();
        sink.Start(new AnswerStart { Source = DialectIds.Anthropic, IdToken = id, ModelToken = model });
        ReadUsage(usage, sink);
        for (var members = new SpanMembers(message); members.Next();)
        {
            if (members.Kind != JsonTokenType.Null && !members.Is("id"u8) && !members.Is("model"u8) && !members.Is("content"u8) && !members.Is("usage"u8) && !members.Is("stop_reason"u8)
                && !members.Is("stop_sequence"u8) && !members.Is("type"u8) && !members.Is("role"u8))
            {
                sink.Extension(members.Name, members.Value);
            }
        }
        ReadContent(content, sink);
        if (isComplete || !stop.IsEmpty)
        {
            Finish(stop, sequence, sink);
        }
    }

    /// <summary>Reads whole blocks: of a complete message, or of one whose stream begins with some (code that called tools goes on so).</summary>
    private void ReadContent(ReadOnlySpan<byte> content, IAnswerSink sink)
    {
        if (content.IsEmpty || content[0] != (byte)'[')
        {
            return;
        }
        var reader = new Utf8JsonReader(content, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            StartBlock(-1, content[start..(int)reader.BytesConsumed], sink);
            StopBlock(-1, sink);
        }
    }

    private void StartBlock(int index, ReadOnlySpan<byte> block, IAnswerSink sink)
    {
        ContentBegun = true;
        if (Find(index) >= 0)
        {
            StopBlock(index, sink); // a number that is used again ends what had it
        }
        ReadOnlySpan<byte> type = default, first = default, second = default, third = default;
        for (var members = new SpanMembers(block); members.Next();)
        {
            if (members.Is("type"u8))
            {
                type = members.Text;
            }
        }
        switch (type)
        {
            case var _ when type.SequenceEqual("\"text\""u8):
                for (var members = new SpanMembers(block); members.Next();)
                {
                    first = members.Is("text"u8) ? members.Text : first;
                    second = members.Is("citations"u8) && members.Kind == JsonTokenType.StartArray ? members.Value : second;
                }
                var text = Begin(index, BlockKind.Text, sink, new BlockStart { Kind = BlockKind.Text });
                Say(text, first, sink);
                ReadCitations(text, second, sink);
                UnknownAnswerMembers.Report(block, "content[].", "type text citations"u8, sink);
                break;
            case var _ when type.SequenceEqual("\"thinking\""u8):
                for (var members = new SpanMembers(block); members.Next();)
                {
                    first = members.Is("thinking"u8) ? members.Text : first;
                    second = members.Is("signature"u8) ? members.Text : second;
                }
                var thought = Begin(index, BlockKind.Reasoning, sink, new BlockStart { Kind = BlockKind.Reasoning });
                Say(thought, first, sink);
                Sign(thought, second, sink);
                UnknownAnswerMembers.Report(block, "content[].", "type thinking signature"u8, sink);
                break;
            case var _ when type.SequenceEqual("\"redacted_thinking\""u8):
                for (var members = new SpanMembers(block); members.Next();)
                {
                    first = members.Is("data"u8) ? members.Text : first;
                }
                Sign(Begin(index, BlockKind.RedactedReasoning, sink, new BlockStart { Kind = BlockKind.RedactedReasoning }), first, sink);
                UnknownAnswerMembers.Report(block, "content[].", "type data"u8, sink);
                break;
            case var _ when type.SequenceEqual("\"tool_use\""u8):
                var (hasMore, isLoss) = (false, false);
                for (var members = new SpanMembers(block); members.Next();)
                {
                    var (isId, isName, isInput) = (members.Is("id"u8), members.Is("name"u8), members.Is("input"u8));
                    first = isId ? members.Text : first;
                    second = isName ? members.Text : second;
                    third = isInput ? members.Value : third;
                    var isMore = !isId && !isName && !isInput && !members.Is("type"u8) && members.Kind != JsonTokenType.Null;
                    hasMore |= isMore;
                    isLoss |= isMore && !members.Value.SequenceEqual("{\"type\":\"direct\"}"u8); // the caller, where it is the model itself
                }
                Begin(index, BlockKind.ToolCall, sink, new BlockStart { Kind = BlockKind.ToolCall, IdToken = first, NameToken = second, Raw = hasMore ? block : default }, Filled(third));
                UnknownAnswerMembers.Report(isLoss ? block : default, AnthropicAnswerEncoder.OfCalls, "type id name input"u8, sink);
                break;
            default:
                open.Add(new OpenBlock { Index = index, Kind = BlockKind.Native, Native = new NativeBlock(block, type.IsEmpty ? "" : new JsonText(type.ToArray()).ToString()) });
                break;
        }
    }

    /// <summary>An input that is more than <c>{}</c>, which stands for one that follows in pieces.</summary>
    private static byte[]? Filled(ReadOnlySpan<byte> input) => input.Length > 2 && new SpanMembers(input).Next() ? input.ToArray() : null;

    private int Begin(int index, BlockKind kind, IAnswerSink sink, in BlockStart start, byte[]? input = null)
    {
        var block = blocks++;
        open.Add(new OpenBlock { Index = index, Block = block, Kind = kind, Input = input });
        sink.BeginBlock(block, start);
        return block;
    }

    private static void Say(int block, ReadOnlySpan<byte> text, IAnswerSink sink)
    {
        if (text.Length > 2)
        {
            sink.Delta(block, text);
        }
    }

    private static void Sign(int block, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        if (data.Length <= 2)
        {
            return;
        }
        if (!data.Contains((byte)'#'))
        {
            sink.Signature(block, SignatureFamilies.Anthropic, data);
            return;
        }
        var foreign = ForeignSignatures.Read(new JsonText(data.ToArray())); // from a gateway such as this one
        sink.Signature(block, foreign.Family, foreign.Data.Token.Span);
    }

    private static void ReadCitations(int block, ReadOnlySpan<byte> citations, IAnswerSink sink)
    {
        if (citations.IsEmpty)
        {
            return;
        }
        var elements = new JsonArrayReader(new JsonValue(citations.ToArray()));
        while (elements.Next(out var element))
        {
            sink.Citation(block, AnthropicRequestDecoder.ReadCitation(element.Raw));
        }
    }

    private void ReadDelta(int index, ReadOnlySpan<byte> delta, IAnswerSink sink)
    {
        var at = Find(index);
        if (at < 0)
        {
            return; // of a block that never began or has ended
        }
        if (open[at].Native is { } native)
        {
            native.Add(delta);
            return;
        }
        var (block, kind) = (open[at].Block, open[at].Kind);
        for (var members = new SpanMembers(delta); members.Next();)
        {
            if (kind is BlockKind.Text or BlockKind.Reasoning && (members.Is("text"u8) || members.Is("thinking"u8)))
            {
                Say(block, members.Text, sink);
            }
            else if (kind == BlockKind.ToolCall && members.Is("partial_json"u8))
            {
                if (members.Text.Length > 2)
                {
                    open[at] = open[at] with { SawArguments = true };
                    sink.Delta(block, members.Text);
                }
            }
            else if (kind == BlockKind.Reasoning && members.Is("signature"u8))
            {
                Sign(block, members.Text, sink);
            }
            else if (kind == BlockKind.Text && members.Is("citation"u8) && members.Kind == JsonTokenType.StartObject)
            {
                sink.Citation(block, AnthropicRequestDecoder.ReadCitation(members.Value.ToArray()));
            }
            else if (!members.Is("type"u8) && members.Kind != JsonTokenType.Null)
            {
                sink.Extension("content[]." + members.Name, members.Value);
            }
        }
    }

    private void StopBlock(int index, IAnswerSink sink)
    {
        var at = Find(index);
        if (at < 0)
        {
            return;
        }
        var block = open[at];
        open.RemoveAt(at);
        Close(block, sink);
    }

    private void Close(in OpenBlock block, IAnswerSink sink)
    {
        if (block.Native is { } native)
        {
            var number = blocks++;
            sink.BeginBlock(number, new BlockStart { Kind = BlockKind.Native, NativeType = native.Type, Raw = native.Whole() });
            sink.EndBlock(number);
            return;
        }
        if (block.Kind == BlockKind.ToolCall && !block.SawArguments)
        {
            if (block.Input is { } input)
            {
                scratch ??= new ArrayBufferWriter<byte>();
                scratch.ResetWrittenCount();
                scratch.WriteAsToken(input);
                sink.Delta(block.Block, scratch.WrittenSpan);
            }
            else
            {
                sink.Delta(block.Block, "\"{}\""u8);
            }
        }
        sink.EndBlock(block.Block);
    }

    private void CloseAll(IAnswerSink sink)
    {
        foreach (var block in open)
        {
            Close(block, sink);
        }
        open.Clear();
    }

    private void ReadMessageDelta(ReadOnlySpan<byte> data, ReadOnlySpan<byte> delta, ReadOnlySpan<byte> usage, IAnswerSink sink)
    {
        for (var members = new SpanMembers(data); members.Next();)
        {
            if (members.Kind != JsonTokenType.Null && !members.Is("type"u8) && !members.Is("index"u8) && !members.Is("delta"u8) && !members.Is("usage"u8) && !members.Is("message"u8))
            {
                sink.Extension(members.Name, members.Value);
            }
        }
        ReadUsage(usage, sink);
        ReadOnlySpan<byte> stop = default, sequence = default;
        for (var members = new SpanMembers(delta); members.Next();)
        {
            if (members.Is("stop_reason"u8))
            {
                stop = members.Text;
            }
            else if (members.Is("stop_sequence"u8))
            {
                sequence = members.Text;
            }
            else if (members.Kind != JsonTokenType.Null)
            {
                sink.Extension(members.Name, members.Value);
            }
        }
        if (!stop.IsEmpty && !finished)
        {
            CloseAll(sink);
            Finish(stop, sequence, sink);
        }
    }

    private void Finish(ReadOnlySpan<byte> stop, ReadOnlySpan<byte> sequence, IAnswerSink sink)
    {
        finished = ContentBegun = true;
        sink.Finish(new AnswerFinish { Reason = StopReasons.Of(stop), NativeToken = stop, StopSequenceToken = sequence });
    }

    private void ReadUsage(ReadOnlySpan<byte> usage, IAnswerSink sink)
    {
        if (usage.IsEmpty || usage[0] != (byte)'{')
        {
            return;
        }
        var reader = new Utf8JsonReader(usage, new JsonReaderOptions { MaxDepth = 256 });
        reader.Read();
        figures.Read(ref reader, out var serverTools);
        ServiceTier = figures.ServiceTier;
        if (!figures.HasCounts)
        {
            return;
        }
        Usage = figures.Usage;
        sink.Usage(new AnswerUsage { Tokens = figures.Usage, ServiceTier = ServiceTier, ServerTools = usage.Slice(serverTools.Offset, serverTools.Length), Raw = usage });
    }

    private int Find(int index)
    {
        for (var i = open.Count - 1; i >= 0; i--)
        {
            if (open[i].Index == index)
            {
                return i;
            }
        }
        return -1;
    }

    /// <summary>A block that has begun and not ended.</summary>
    private readonly record struct OpenBlock
    {
        /// <summary>Its number upstream.</summary>
        public required int Index { get; init; }

        /// <summary>Its number here.</summary>
        public int Block { get; init; }

        public required BlockKind Kind { get; init; }

        /// <summary>Whether any of a call's arguments came.</summary>
        public bool SawArguments { get; init; }

        /// <summary>A call's input as it stood at the beginning; null: empty.</summary>
        public byte[]? Input { get; init; }

        /// <summary>A block that only this dialect knows; it is told of when it is whole.</summary>
        public NativeBlock? Native { get; init; }
    }
}
