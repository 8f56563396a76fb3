using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>
/// Decodes chat completions and their streams, those of providers that only roughly keep to the format included: members in any order, tool calls without an index or all
/// with the same one, thoughts under four names, no last event.
/// </summary>
internal sealed partial class ChatAnswerDecoder : AnswerDecoder
{
    /// <summary>More choices, and more calls in one, than this are nonsense.</summary>
    private const int MaxChoices = 1024;

    private const int MaxDepth = 256;

    /// <summary>Values up to this size are recognised when they are repeated.</summary>
    private const int MaxRepeatedBytes = 1024;

    private readonly List<ChatChoiceState> choices = [];
    private readonly List<KnownMember> known = [];
    private readonly List<(string Path, byte[] Raw)> early = [];
    private IAnswerSink sink = null!;
    private readonly List<NeutralCitation> cited = [];
    private byte[] sources = [];
    private bool hasTitles;
    private bool isStarted;
    private byte[] answerId = [];
    private int blocks;

    /// <inheritdoc/>
    public override StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink)
    {
        this.sink = sink;
        if (data.SequenceEqual("[DONE]"u8))
        {
            return isStarted ? Complete() : StreamStatus.Invalid;
        }
        if (name.SequenceEqual("error"u8))
        {
            sink.Fail(ChatErrors.Read(500, data));
            return StreamStatus.Failed;
        }
        if (data.IsEmpty)
        {
            sink.Ping();
            return StreamStatus.Open;
        }
        return Take(data);
    }

    /// <inheritdoc/>
    public override StreamStatus End(IAnswerSink sink)
    {
        this.sink = sink;
        return isStarted && choices.Count > 0 && choices.TrueForAll(choice => choice.Finish is not null) ? Complete() : StreamStatus.Truncated;
    }

    /// <inheritdoc/>
    public override StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink)
    {
        this.sink = sink;
        var status = Take(body);
        return status != StreamStatus.Open ? status : isStarted && choices.Count > 0 ? Complete() : StreamStatus.Invalid;
    }

    private StreamStatus Take(ReadOnlySpan<byte> data)
    {
        try
        {
            if (!isStarted)
            {
                ReadHead(data);
            }
            return ReadChunk(data);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return StreamStatus.Invalid;
        }
    }

    /// <summary>Begins the answer with the first chunk that holds any of it.</summary>
    private void ReadHead(ReadOnlySpan<byte> data)
    {
        var reader = NewReader(data);
        ReadOnlySpan<byte> id = default, model = default;
        var (created, hasAnswer) = (0L, false);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return;
        }
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isId = MemberNames.Is(ref reader, "id"u8);
            var isModel = !isId && MemberNames.Is(ref reader, "model"u8);
            var isCreated = MemberNames.Is(ref reader, "created"u8);
            var isChoices = MemberNames.Is(ref reader, "choices"u8);
            reader.Read();
            if (isId && reader.TokenType == JsonTokenType.String && !reader.ValueSpan.IsEmpty)
            {
                id = TokenOf(ref reader, data);
            }
            else if (isModel && reader.TokenType == JsonTokenType.String && !reader.ValueSpan.IsEmpty)
            {
                model = TokenOf(ref reader, data);
                Model = JsonStrings.Unescape(reader.ValueSpan);
            }
            else if (isCreated && reader.TokenType == JsonTokenType.Number)
            {
                created = reader.TryGetInt64(out var seconds) ? seconds : 0;
            }
            else if (isChoices && reader.TokenType == JsonTokenType.StartArray)
            {
                var elements = reader;
                hasAnswer |= elements.Read() && elements.TokenType != JsonTokenType.EndArray;
            }
            reader.Skip();
        }
        if (!hasAnswer)
        {
            return;
        }
        isStarted = true;
        answerId = id.ToArray();
        sink.Start(new AnswerStart { Source = DialectIds.OpenAiChat, IdToken = id, ModelToken = model, Created = Math.Max(0, created) });
        foreach (var (path, raw) in early)
        {
            sink.Extension(path, raw);
        }
        early.Clear();
    }

    private StreamStatus ReadChunk(ReadOnlySpan<byte> data)
    {
        var reader = NewReader(data);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
        {
            return StreamStatus.Invalid;
        }
        ReadOnlySpan<byte> usage = default, error = default, ofGroq = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "choices"u8))
            {
                reader.Read();
                if (ReadChoices(ref reader, data) is var status && status != StreamStatus.Open)
                {
                    return status;
                }
            }
            else if (MemberNames.Is(ref reader, "usage"u8))
            {
                usage = ValueOf(ref reader, data);
            }
            else if (MemberNames.Is(ref reader, "service_tier"u8))
            {
                reader.Read();
                ServiceTier = CompletionReader.TextOf(ref reader, ServiceTier);
            }
            else if (MemberNames.Is(ref reader, "error"u8))
            {
                error = ValueOf(ref reader, data);
            }
            else if (MemberNames.Is(ref reader, "search_results"u8) || MemberNames.Is(ref reader, "citations"u8))
            {
                var isPlain = MemberNames.Is(ref reader, "citations"u8);
                KeepSources(isPlain, ValueOf(ref reader, data));
            }
            else if (IsPlain(ref reader))
            {
                reader.Read();
                reader.Skip();
            }
            else
            {
                var name = reader.ValueSpan;
                var value = ValueOf(ref reader, data);
                ofGroq = name.SequenceEqual("x_groq"u8) ? value : ofGroq;
                Extend(name, -1, inMessage: false, value);
            }
        }
        if (reader.Read())
        {
            return StreamStatus.Invalid;
        }
        if (!error.IsEmpty && !error.SequenceEqual("null"u8))
        {
            sink.Fail(ChatErrors.Read(0, data));
            return StreamStatus.Failed;
        }
        ReadUsage(usage);
        if (Usage is null && !ofGroq.IsEmpty)
        {
            ReadUsageOfGroq(ofGroq);
        }
        return StreamStatus.Open;
    }

    private void ReadUsageOfGroq(ReadOnlySpan<byte> raw)
    {
        var reader = NewReader(raw);
        reader.Read();
        if (isStarted && UsageReader.TryReadNested(ref reader, out var tokens))
        {
            Usage = tokens;
            sink.Usage(new AnswerUsage { Tokens = tokens, ServiceTier = ServiceTier });
        }
    }

    /// <summary>Members that each chunk repeats, or that pad it.</summary>
    private static bool IsPlain(ref Utf8JsonReader reader) =>
        MemberNames.Is(ref reader, "id"u8) || MemberNames.Is(ref reader, "object"u8) || MemberNames.Is(ref reader, "created"u8)
        || MemberNames.Is(ref reader, "model"u8) || MemberNames.Is(ref reader, "obfuscation"u8);

    private void ReadUsage(ReadOnlySpan<byte> raw)
    {
        if (raw.IsEmpty || raw[0] != (byte)'{' || !isStarted)
        {
            return;
        }
        var reader = NewReader(raw);
        reader.Read();
        if (UsageReader.TryRead(ref reader, hasOutput: true, out var tokens))
        {
            Usage = tokens;
            sink.Usage(new AnswerUsage { Tokens = tokens, ServiceTier = ServiceTier, ServerTools = ServerToolsOf(raw), Raw = raw });
        }
    }

    /// <summary>Calls of tools that the provider ran, where it counts them.</summary>
    private static ReadOnlySpan<byte> ServerToolsOf(ReadOnlySpan<byte> usage)
    {
        if (usage.IndexOf("server_tool_use\""u8) < 0 && usage.IndexOf("num_search_queries\""u8) < 0)
        {
            return default;
        }
        var reader = NewReader(usage);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isTools, isSearches) = (MemberNames.Is(ref reader, "server_tool_use"u8), MemberNames.Is(ref reader, "num_search_queries"u8));
            var value = ValueOf(ref reader, usage);
            if (isTools && value[0] == (byte)'{')
            {
                return value;
            }
            if (isSearches && value[0] is >= (byte)'0' and <= (byte)'9')
            {
                return (byte[])[.. "{\"web_search_requests\":"u8, .. value, (byte)'}'];
            }
        }
        return default;
    }

    private StreamStatus ReadChoices(ref Utf8JsonReader reader, ReadOnlySpan<byte> data)
    {
        if (reader.TokenType != JsonTokenType.StartArray)
        {
            reader.Skip();
            return StreamStatus.Open;
        }
        for (var position = 0; reader.Read() && reader.TokenType != JsonTokenType.EndArray; position++)
        {
            if (reader.TokenType != JsonTokenType.StartObject)
            {
                reader.Skip();
                continue;
            }
            if (ChoiceOf(reader, position) is not { } choice)
            {
                return StreamStatus.Invalid;
            }
            var status = ReadChoice(ref reader, data, choice);
            if (status != StreamStatus.Open)
            {
                return status;
            }
        }
        return StreamStatus.Open;
    }

    /// <summary>The choice that an object belongs to, by its index or, without one, by its place.</summary>
    /// <param name="reader">A copy of the reader, on the object's start.</param>
    /// <param name="position">Its place.</param>
    private ChatChoiceState? ChoiceOf(Utf8JsonReader reader, int position)
    {
        var index = position;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var isIndex = MemberNames.Is(ref reader, "index"u8);
            reader.Read();
            if (isIndex)
            {
                index = reader.TokenType == JsonTokenType.Number && reader.TryGetInt32(out var given) ? given : position;
                break;
            }
            reader.Skip();
        }
        if (index < 0)
        {
            return null;
        }
        foreach (var begun in choices)
        {
            if (begun.Index == index)
            {
                return begun;
            }
        }
        if (choices.Count == MaxChoices)
        {
            return null;
        }
        var choice = new ChatChoiceState(index);
        choices.Add(choice);
        return choice;
    }

    private StreamStatus ReadChoice(ref Utf8JsonReader reader, ReadOnlySpan<byte> data, ChatChoiceState choice)
    {
        ReadOnlySpan<byte> message = default, logprobs = default, finish = default, error = default;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (MemberNames.Is(ref reader, "delta"u8) || MemberNames.Is(ref reader, "message"u8))
            {
                var value = ValueOf(ref reader, data);
                message = value[0] == (byte)'{' ? value : message;
            }
            else if (MemberNames.Is(ref reader, "finish_reason"u8))
            {
                finish = ValueOf(ref reader, data);
            }
            else if (MemberNames.Is(ref reader, "logprobs"u8))
            {
                logprobs = ValueOf(ref reader, data);
            }
            else if (MemberNames.Is(ref reader, "stop_reason"u8) || MemberNames.Is(ref reader, "matched_stop"u8))
            {
                var stop = ValueOf(ref reader, data);
                choice.StopSequence = stop[0] == (byte)'"' ? stop.ToArray() : choice.StopSequence;
            }
            else if (MemberNames.Is(ref reader, "error"u8))
            {
                error = ValueOf(ref reader, data);
            }
            else if (MemberNames.Is(ref reader, "index"u8))
            {
                reader.Read();
                reader.Skip();
            }
            else
            {
                var name = reader.ValueSpan;
                Extend(name, choice.Index, inMessage: false, ValueOf(ref reader, data));
            }
        }
        if (!error.IsEmpty && error[0] == (byte)'{')
        {
            sink.Fail(ChatErrors.ReadObject(0, error));
            return StreamStatus.Failed;
        }
        if (!message.IsEmpty)
        {
            ReadMessage(message, choice);
        }
        if (!logprobs.IsEmpty && logprobs[0] == (byte)'{')
        {
            ReadLogProbs(logprobs, choice);
        }
        if (!finish.IsEmpty && finish[0] == (byte)'"')
        {
            choice.Finish = finish.ToArray();
            ContentBegun = true;
        }
        return StreamStatus.Open;
    }

    private void ReadLogProbs(ReadOnlySpan<byte> raw, ChatChoiceState choice)
    {
        var reader = NewReader(raw);
        reader.Read();
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var (isContent, isRefusal) = (MemberNames.Is(ref reader, "content"u8), MemberNames.Is(ref reader, "refusal"u8));
            var value = ValueOf(ref reader, raw);
            if ((isContent || isRefusal) && value[0] == (byte)'[' && !IsEmptyContainer(value))
            {
                sink.LogProbs(isContent ? TextOf(choice) : RefusalOf(choice), value);
            }
        }
    }

    private StreamStatus Complete()
    {
        CiteSources();
        choices.Sort((left, right) => left.Index.CompareTo(right.Index));
        foreach (var choice in choices)
        {
            EndAll(choice);
        }
        foreach (var choice in choices)
        {
            var native = choice.Finish ?? [];
            sink.Finish(new AnswerFinish
            {
                Choice = choice.Index,
                Reason = choice.StopSequence.Length > 0 && native.AsSpan().SequenceEqual("\"stop\""u8) && choice.Calls.Count == 0
                    ? StopReason.StopSequence
                    : ChatStop.ReasonOf(native, choice.Calls.Count > 0, choice.HasRefusal),
                NativeToken = native,
                StopSequenceToken = choice.StopSequence,
            });
        }
        sink.End();
        return StreamStatus.Completed;
    }

    /// <summary>
    /// Perplexity names its sources beside the choices, in each chunk anew: as objects with a title, and as addresses alone (docs.perplexity.ai/api-reference/chat-completions-post);
    /// xAI has the latter (docs.x.ai/docs/guides/live-search).
    /// </summary>
    private void KeepSources(bool isPlain, ReadOnlySpan<byte> raw)
    {
        if (raw.IsEmpty || raw[0] != (byte)'[' || IsEmptyContainer(raw) || (isPlain && hasTitles))
        {
            return;
        }
        hasTitles |= !isPlain;
        if (raw.SequenceEqual(sources))
        {
            return;
        }
        sources = raw.ToArray();
        cited.Clear();
        var elements = new JsonArrayReader(new JsonValue(sources));
        while (elements.Next(out var source))
        {
            var members = source.IsObject ? JsonMembers.Of(source.Raw) : null;
            var url = members?.Take("url"u8).Text ?? source.Text;
            if (url.Exists)
            {
                cited.Add(new NeutralCitation { Url = url, Title = members?.Take("title"u8).Text ?? default });
            }
        }
    }

    /// <summary>They are sources of the text as a whole, which is known to be whole only now.</summary>
    private void CiteSources()
    {
        foreach (var source in choices.Count > 0 ? cited : [])
        {
            sink.Citation(TextOf(choices[0]), source);
        }
    }

    /// <summary>Hands on a member that only this dialect knows.</summary>
    private void Extend(ReadOnlySpan<byte> name, int choice, bool inMessage, ReadOnlySpan<byte> raw)
    {
        if (raw.SequenceEqual("null"u8) || raw.SequenceEqual("\"\""u8) || IsEmptyContainer(raw))
        {
            return;
        }
        ContentBegun |= inMessage; // it may be what the user waits for
        if (Know(name, choice, inMessage) is not { } member)
        {
            return;
        }
        if (!inMessage)
        {
            // Each chunk of a stream repeats what is said of the whole.
            if (raw.SequenceEqual(member.Last))
            {
                return;
            }
            member.Last = raw.Length <= MaxRepeatedBytes ? raw.ToArray() : [];
        }
        if (isStarted)
        {
            sink.Extension(member.Path, raw);
        }
        else if (early.Count < 16)
        {
            early.Add((member.Path, raw.ToArray()));
        }
    }

    /// <summary>The member of a name, made when it comes for the first time. Null: there are absurdly many.</summary>
    private KnownMember? Know(ReadOnlySpan<byte> name, int choice, bool inMessage)
    {
        foreach (var member in known)
        {
            if (member.Choice == choice && member.InMessage == inMessage && name.SequenceEqual(member.Name))
            {
                return member;
            }
        }
        if (known.Count == MaxChoices)
        {
            return null;
        }
        var text = JsonStrings.Unescape(name);
        var made = new KnownMember(name.ToArray(), choice, inMessage, choice < 0 ? text : inMessage ? $"choices[{choice}].message.{text}" : $"choices[{choice}].{text}");
        known.Add(made);
        return made;
    }

    /// <summary>A member that only this dialect knows.</summary>
    /// <param name="Name">Its name, escapes and all.</param>
    /// <param name="Choice">The choice that it belongs to; -1: the whole answer.</param>
    /// <param name="InMessage">Whether it stands in the message.</param>
    /// <param name="Path">Where it stands, in words.</param>
    private sealed record KnownMember(byte[] Name, int Choice, bool InMessage, string Path)
    {
        /// <summary>Its last value.</summary>
        public byte[] Last { get; set; } = [];
    }

    private static Utf8JsonReader NewReader(ReadOnlySpan<byte> json) => new(json, new JsonReaderOptions { MaxDepth = MaxDepth });

    /// <summary>The token that the reader stands on.</summary>
    private static ReadOnlySpan<byte> TokenOf(scoped ref Utf8JsonReader reader, ReadOnlySpan<byte> data) =>
        data[(int)reader.TokenStartIndex..(int)reader.BytesConsumed];

    /// <summary>The value of the member whose name the reader stands on.</summary>
    private static ReadOnlySpan<byte> ValueOf(scoped ref Utf8JsonReader reader, ReadOnlySpan<byte> data)
    {
        reader.Read();
        var start = (int)reader.TokenStartIndex;
        reader.Skip();
        return data[start..(int)reader.BytesConsumed];
    }

    private static bool IsEmptyContainer(ReadOnlySpan<byte> raw) => raw[0] is (byte)'[' or (byte)'{' && raw[1..^1].Trim(" \t\r\n"u8).IsEmpty;
}
