using System.Buffers;
using System.Text;
using System.Text.Json;
using LlmProxy.Neutral;
using LlmProxy.Relay;

namespace LlmProxy.Dialects.Bedrock;

/// <summary>Decodes an answer of Converse, or the events of ConverseStream.</summary>
/// <remarks>
/// A block of text has no start event, so that the first delta of a number begins it; the delta's kind tells the block's. A call of the tool that stands for
/// structured output (<see cref="StructuredOutput"/>) is text to the client.
/// </remarks>
internal sealed class BedrockAnswerDecoder : AnswerDecoder
{
    private readonly List<OpenBlock> open = [];
    private ArrayBufferWriter<byte>? scratch;
    private byte[] stop = [];
    private int blocks;
    private bool started;
    private bool stopped;
    private bool calls;
    private bool answersByTool;

    /// <inheritdoc/>
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        try
        {
            if (BedrockStreamWatch.IsFailure(name))
            {
                sink.Fail(BedrockErrors.Read(0, name.SequenceEqual("error"u8) ? null : Encoding.UTF8.GetString(name), data));
                return StreamStatus.Failed;
            }
            if (name.IsEmpty || !JsonBytes.IsObject(data))
            {
                return StreamStatus.Invalid;
            }
            if (name.SequenceEqual("messageStart"u8))
            {
                Start(sink);
                return StreamStatus.Open;
            }
            Start(sink); // some that imitate Bedrock leave the first event out
            return ReadEvent(name, data, sink);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <inheritdoc/>
    public override StreamStatus End(IAnswerSink sink)
    {
        if (!stopped)
        {
            return StreamStatus.Truncated;
        }
        Complete(sink);
        return StreamStatus.Completed;
    }

    /// <inheritdoc/>
    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        try
        {
            ReadOnlySpan<byte> output = default, reason = default, usage = default, tier = default, message = default, content = default;
            for (var members = new SpanMembers(body); members.Next();)
            {
                output = members.Is("output"u8) && members.Kind == JsonTokenType.StartObject ? members.Value : output;
                reason = members.Is("stopReason"u8) ? members.Text : reason;
                usage = members.Is("usage"u8) && members.Kind == JsonTokenType.StartObject ? members.Value : usage;
                tier = members.Is("serviceTier"u8) ? members.Value : tier;
            }
            if (output.IsEmpty)
            {
                if (!reason.IsEmpty || !JsonBytes.IsObject(body))
                {
                    return StreamStatus.Invalid;
                }
                sink.Fail(BedrockErrors.Read(500, null, body));
                return StreamStatus.Failed;
            }
            for (var members = new SpanMembers(output); members.Next();)
            {
                if (members.Is("message"u8) && members.Kind == JsonTokenType.StartObject)
                {
                    for (var inner = new SpanMembers(members.Value); inner.Next();)
                    {
                        content = inner.Is("content"u8) && inner.Kind == JsonTokenType.StartArray ? inner.Value : content;
                    }
                    message = members.Value;
                }
            }
            Start(sink);
            UnknownAnswerMembers.Report(output, "output.", "message"u8, sink);
            UnknownAnswerMembers.Report(message, "output.message.", "role content"u8, sink);
            ReadContent(content, sink);
            ReadUsage(usage, tier, sink);
            for (var members = new SpanMembers(body); members.Next();)
            {
                if (members.Kind != JsonTokenType.Null && !members.Is("output"u8) && !members.Is("stopReason"u8) && !members.Is("usage"u8) && !members.Is("serviceTier"u8))
                {
                    sink.Extension(members.Name, members.Value);
                }
            }
            stop = reason.ToArray();
            Complete(sink);
            return StreamStatus.Completed;
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    private void Start(IAnswerSink sink)
    {
        if (!started)
        {
            started = true;
            sink.Start(new AnswerStart { Source = DialectIds.Bedrock });
        }
    }

    private StreamStatus ReadEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        var index = 0;
        ReadOnlySpan<byte> payload = default, usage = default, tier = default;
        var (isStop, isMetadata) = (name.SequenceEqual("messageStop"u8), name.SequenceEqual("metadata"u8));
        for (var members = new SpanMembers(data); members.Next();)
        {
            if (members.Is("contentBlockIndex"u8))
            {
                index = System.Buffers.Text.Utf8Parser.TryParse(members.Value, out int number, out _) ? number : 0;
            }
            else if (members.Is("delta"u8) || members.Is("start"u8))
            {
                payload = members.Value;
            }
            else if (members.Is("usage"u8))
            {
                usage = members.Value;
            }
            else if (members.Is("serviceTier"u8))
            {
                tier = members.Value;
            }
            else if (isStop && members.Is("stopReason"u8))
            {
                stop = members.Text.ToArray();
            }
            else if ((isStop || isMetadata) && !members.Is("p"u8) && members.Kind != JsonTokenType.Null)
            {
                sink.Extension(members.Name, members.Value);
            }
        }
        if (name.SequenceEqual("contentBlockDelta"u8))
        {
            ContentBegun = true;
            ReadDelta(index, payload, sink);
        }
        else if (name.SequenceEqual("contentBlockStart"u8))
        {
            ContentBegun = true;
            StopBlock(index, sink);
            StartBlock(index, payload, sink);
        }
        else if (name.SequenceEqual("contentBlockStop"u8))
        {
            StopBlock(index, sink);
        }
        else if (isStop)
        {
            ContentBegun = stopped = true;
        }
        else if (isMetadata)
        {
            ReadUsage(usage, tier, sink);
            if (stopped)
            {
                Complete(sink);
                return StreamStatus.Completed;
            }
        }
        else
        {
            sink.Extension(Encoding.UTF8.GetString(name), data.Trim(" \t\r\n"u8));
        }
        return StreamStatus.Open;
    }

    private void StartBlock(int index, ReadOnlySpan<byte> start, IAnswerSink sink)
    {
        for (var members = new SpanMembers(start); members.Next();)
        {
            if (members.Is("toolUse"u8))
            {
                BeginCall(index, members.Value, sink);
            }
            else if (members.Is("text"u8) || members.Is("reasoningContent"u8))
            {
                // Its deltas say it again.
            }
            else
            {
                // Blocks of the provider's own tools and the like: whole at once, as there is no telling how their pieces would go together.
                BeginNative(start, members.Name, sink);
            }
        }
    }

    private void ReadDelta(int index, ReadOnlySpan<byte> delta, IAnswerSink sink)
    {
        for (var members = new SpanMembers(delta); members.Next();)
        {
            if (members.Is("text"u8) && members.Kind == JsonTokenType.String)
            {
                var block = Ensure(index, BlockKind.Text, sink);
                Say(block, members.Text, sink);
            }
            else if (members.Is("toolUse"u8))
            {
                var at = Find(index);
                for (var input = new SpanMembers(members.Value); at >= 0 && input.Next();)
                {
                    if (input.Is("input"u8) && input.Text.Length > 2)
                    {
                        open[at] = open[at] with { SawInput = true };
                        sink.Delta(open[at].Block, input.Text);
                    }
                }
            }
            else if (members.Is("reasoningContent"u8))
            {
                ReadThought(index, members.Value, sink);
            }
            else if (members.Is("citation"u8) && members.Kind == JsonTokenType.StartObject)
            {
                sink.Citation(Ensure(index, BlockKind.Text, sink), BedrockCitations.Read(members.Value.ToArray()));
            }
            else if (members.Kind != JsonTokenType.Null)
            {
                sink.Extension("content[]." + members.Name, members.Value);
            }
        }
    }

    private void ReadThought(int index, ReadOnlySpan<byte> thought, IAnswerSink sink)
    {
        for (var members = new SpanMembers(thought); members.Next();)
        {
            if (members.Is("text"u8))
            {
                Say(Ensure(index, BlockKind.Reasoning, sink), members.Text, sink);
            }
            else if (members.Is("signature"u8))
            {
                Sign(Ensure(index, BlockKind.Reasoning, sink), members.Text, sink);
            }
            else if (members.Is("redactedContent"u8) || members.Is("data"u8))
            {
                Sign(Ensure(index, BlockKind.RedactedReasoning, sink), members.Text, sink);
            }
            else if (members.Is("reasoningText"u8))
            {
                ReadThought(index, members.Value, sink);
            }
            else if (members.Kind != JsonTokenType.Null)
            {
                sink.Extension("content[].reasoningContent." + members.Name, members.Value);
            }
        }
    }

    private void ReadContent(ReadOnlySpan<byte> content, IAnswerSink sink)
    {
        if (content.IsEmpty)
        {
            return;
        }
        var reader = new Utf8JsonReader(content, JsonArrayReader.Options);
        reader.Read();
        for (var index = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; index++)
        {
            var start = (int)reader.TokenStartIndex;
            reader.Skip();
            ReadBlock(index, content[start..(int)reader.BytesConsumed], sink);
            StopBlock(index, sink);
        }
    }

    private void ReadBlock(int index, ReadOnlySpan<byte> block, IAnswerSink sink)
    {
        for (var members = new SpanMembers(block); members.Next();)
        {
            if (members.Is("text"u8) && members.Kind == JsonTokenType.String)
            {
                Say(Ensure(index, BlockKind.Text, sink), members.Text, sink);
            }
            else if (members.Is("reasoningContent"u8))
            {
                ReadThought(index, members.Value, sink);
            }
            else if (members.Is("toolUse"u8))
            {
                BeginCall(index, members.Value, sink);
            }
            else if (members.Is("citationsContent"u8))
            {
                ReadCited(index, members.Value, sink);
            }
            else if (members.Is("image"u8) && TryImage(members.Value, out var format, out var data))
            {
                scratch ??= new ArrayBufferWriter<byte>();
                scratch.ResetWrittenCount();
                scratch.Write("\"image/"u8);
                scratch.Write(format[1..]);
                var number = blocks++;
                sink.BeginBlock(number, new BlockStart { Kind = BlockKind.Media, MediaTypeToken = scratch.WrittenSpan });
                sink.Delta(number, data);
                sink.EndBlock(number);
            }
            else if (members.Kind != JsonTokenType.Null && !IsKnown(block))
            {
                BeginNative(block, members.Name, sink);
            }
            else if (members.Kind != JsonTokenType.Null)
            {
                sink.Extension("content[]." + members.Name, members.Value);
            }
        }
    }

    /// <summary>Whether a block holds something that other formats have, whatever stands beside it.</summary>
    private static bool IsKnown(ReadOnlySpan<byte> block)
    {
        for (var members = new SpanMembers(block); members.Next();)
        {
            if (members.Is("text"u8) || members.Is("reasoningContent"u8) || members.Is("toolUse"u8) || members.Is("citationsContent"u8) || members.Is("image"u8))
            {
                return true;
            }
        }
        return false;
    }

    private static bool TryImage(ReadOnlySpan<byte> image, out ReadOnlySpan<byte> format, out ReadOnlySpan<byte> data)
    {
        format = default;
        data = default;
        for (var members = new SpanMembers(image); members.Next();)
        {
            format = members.Is("format"u8) ? members.Text : format;
            if (members.Is("source"u8))
            {
                for (var source = new SpanMembers(members.Value); source.Next();)
                {
                    data = source.Is("bytes"u8) ? source.Text : data;
                }
            }
        }
        return format.Length > 2 && data.Length > 2;
    }

    private void ReadCited(int index, ReadOnlySpan<byte> cited, IAnswerSink sink)
    {
        var block = Ensure(index, BlockKind.Text, sink);
        for (var members = new SpanMembers(cited); members.Next();)
        {
            var (isContent, isCitations) = (members.Is("content"u8), members.Is("citations"u8));
            if ((!isContent && !isCitations) || members.Kind != JsonTokenType.StartArray)
            {
                continue;
            }
            var reader = new Utf8JsonReader(members.Value, JsonArrayReader.Options);
            reader.Read();
            while (reader.Read() && reader.TokenType != JsonTokenType.EndArray)
            {
                var start = (int)reader.TokenStartIndex;
                reader.Skip();
                var element = members.Value[start..(int)reader.BytesConsumed];
                if (isCitations)
                {
                    sink.Citation(block, BedrockCitations.Read(element.ToArray()));
                    continue;
                }
                for (var text = new SpanMembers(element); text.Next();)
                {
                    if (text.Is("text"u8))
                    {
                        Say(block, text.Text, sink);
                    }
                }
            }
        }
    }

    private void BeginCall(int index, ReadOnlySpan<byte> call, IAnswerSink sink)
    {
        ReadOnlySpan<byte> id = default, name = default, input = default, type = default;
        for (var members = new SpanMembers(call); members.Next();)
        {
            id = members.Is("toolUseId"u8) ? members.Text : id;
            name = members.Is("name"u8) ? members.Text : name;
            input = members.Is("input"u8) ? members.Value : input;
            type = members.Is("type"u8) ? members.Text : type;
        }
        if (!type.IsEmpty)
        {
            BeginNative([.. "{\"toolUse\":"u8, .. call, (byte)'}'], "toolUse", sink); // a tool that the provider runs
            return;
        }
        UnknownAnswerMembers.Report(call, "content[].toolUse.", "toolUseId name input type"u8, sink);
        var isAnswer = name.SequenceEqual(StructuredOutput.ToolToken);
        (calls, answersByTool) = (calls || !isAnswer, answersByTool || isAnswer);
        var block = blocks++;
        open.Add(new OpenBlock { Index = index, Block = block, Kind = isAnswer ? BlockKind.Text : BlockKind.ToolCall });
        if (isAnswer)
        {
            sink.BeginBlock(block, new BlockStart { Kind = BlockKind.Text });
        }
        else
        {
            sink.BeginBlock(block, new BlockStart { Kind = BlockKind.ToolCall, IdToken = id, NameToken = name });
        }
        if (!input.IsEmpty && input[0] != (byte)'n')
        {
            scratch ??= new ArrayBufferWriter<byte>();
            scratch.ResetWrittenCount();
            scratch.WriteAsToken(input);
            sink.Delta(block, scratch.WrittenSpan);
            open[^1] = open[^1] with { SawInput = true };
        }
    }

    private void BeginNative(ReadOnlySpan<byte> block, string type, IAnswerSink sink)
    {
        var number = blocks++;
        sink.BeginBlock(number, new BlockStart { Kind = BlockKind.Native, NativeType = type, Raw = block });
        sink.EndBlock(number);
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
        if (data.Length > 2)
        {
            sink.Signature(block, SignatureFamilies.Anthropic, data);
        }
    }

    /// <summary>The open block of a number; where none is open, or one of another kind, it begins.</summary>
    private int Ensure(int index, BlockKind kind, IAnswerSink sink)
    {
        var at = Find(index);
        if (at >= 0 && open[at].Kind == kind)
        {
            return open[at].Block;
        }
        StopBlock(index, sink);
        var block = blocks++;
        open.Add(new OpenBlock { Index = index, Block = block, Kind = kind });
        sink.BeginBlock(block, new BlockStart { Kind = kind });
        return block;
    }

    private int Find(int index)
    {
        for (var i = 0; i < open.Count; i++)
        {
            if (open[i].Index == index)
            {
                return i;
            }
        }
        return -1;
    }

    private void StopBlock(int index, IAnswerSink sink)
    {
        if (Find(index) is >= 0 and var at)
        {
            Close(at, sink);
        }
    }

    private void Close(int at, IAnswerSink sink)
    {
        var block = open[at];
        open.RemoveAt(at);
        if (block.Kind == BlockKind.ToolCall && !block.SawInput)
        {
            sink.Delta(block.Block, "\"{}\""u8);
        }
        sink.EndBlock(block.Block);
    }

    private void ReadUsage(ReadOnlySpan<byte> usage, ReadOnlySpan<byte> tier, IAnswerSink sink)
    {
        ServiceTier = tier.IsEmpty ? ServiceTier : BedrockFigures.TierOf(tier) ?? ServiceTier;
        if (!usage.IsEmpty && BedrockFigures.TryRead(usage, out var tokens))
        {
            Usage = tokens;
            sink.Usage(new AnswerUsage { Tokens = tokens, ServiceTier = ServiceTier, Raw = usage });
        }
    }

    private void Complete(IAnswerSink sink)
    {
        while (open.Count > 0)
        {
            Close(0, sink);
        }
        var reason = stop.Length == 0 ? calls ? StopReason.ToolUse : StopReason.EndTurn : BedrockStops.Of(stop);
        var isAnswer = reason == StopReason.ToolUse && answersByTool && !calls;
        sink.Finish(new AnswerFinish { Reason = isAnswer ? StopReason.EndTurn : reason, NativeToken = isAnswer ? "\"end_turn\""u8 : stop });
        sink.End();
    }

    private readonly record struct OpenBlock
    {
        public int Index { get; init; }

        public int Block { get; init; }

        public BlockKind Kind { get; init; }

        public bool SawInput { get; init; }
    }
}
