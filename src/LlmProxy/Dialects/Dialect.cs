using System.Buffers;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Dialects;

/// <summary>The dialects' ids, as the configuration names them.</summary>
internal static class DialectIds
{
    public const string OpenAiChat = "openai-chat";
    public const string OpenAiResponses = "openai-responses";
    public const string Anthropic = "anthropic";
    public const string Gemini = "gemini";
    public const string Bedrock = "bedrock";

    /// <summary>Anthropic's format as Amazon Bedrock's InvokeModel has it.</summary>
    public const string AnthropicBedrock = "anthropic-bedrock";

    /// <summary>Anthropic's format as Google Vertex AI has it.</summary>
    public const string AnthropicVertex = "anthropic-vertex";

    /// <summary>Callers within the process; no provider speaks it.</summary>
    public const string InProcess = "in-process";
}

/// <summary>Whose a <see cref="NeutralSignature"/> is. The same family may be reached in several dialects (Anthropic's models through Bedrock).</summary>
internal static class SignatureFamilies
{
    public const string Anthropic = "anthropic";
    public const string Google = "google";
    public const string OpenAi = "openai";
}

/// <summary>
/// One wire format, in both roles: what clients speak to the gateway and what the gateway speaks to a provider. Where both sides speak the same one, bytes are relayed and
/// only scanned, edited at a few places and watched; otherwise requests and answers go through the neutral form.
/// </summary>
internal abstract class Dialect
{
    /// <summary>What System.Text.Json names as the source where it is asked for a text that is none.</summary>
    private const string JsonTextSource = "System.Text.Json.Rethrowable";

    /// <summary>Its id: one of <see cref="DialectIds"/>.</summary>
    public abstract string Id { get; }

    /// <summary>
    /// The format that it is a host's form of: its own <see cref="Id"/>, unless the same bodies are spoken elsewhere, too. Between two forms of one format bytes are relayed: only a
    /// few members, the framing of streams and errors differ.
    /// </summary>
    public virtual string Format => Id;

    /// <summary>The dialect to whose vendor bare names of models belong.</summary>
    public virtual string Home => Id;

    /// <summary>Errors as its clients expect them.</summary>
    public abstract IErrorFormat Errors { get; }

    /// <summary>The media type of its streams.</summary>
    public virtual string StreamType => "text/event-stream";

    /// <summary>Those of the client's headers that go up with a relayed request, in lower case. Credentials and account names never do.</summary>
    public virtual IReadOnlyList<string> ForwardedHeaders => [];

    /// <summary>Headers that its endpoints need, where neither client nor configuration gives them.</summary>
    public virtual IReadOnlyList<KeyValuePair<string, string>> RequiredHeaders => [];

    /// <summary>The header in which its clients look for the request's id, beside <c>x-request-id</c>; null: none.</summary>
    public virtual string? RequestIdHeader => null;

    /// <summary>Whose signatures of reasoning it carries: one of <see cref="SignatureFamilies"/>; null: none.</summary>
    public virtual string? SignatureFamily => null;

    /// <summary>Reads a request's body once for what routes and bills it.</summary>
    /// <param name="body">The body.</param>
    /// <param name="fields">Receives it. What stands in the address instead (model, streaming) is there already.</param>
    /// <returns>Null, or why the body is refused.</returns>
    public abstract GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields);

    /// <summary>Puts the closed list of edits into a body that is relayed: the model, the output limit, whatever makes the provider report usage.</summary>
    public abstract void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits);

    /// <summary>Decodes a body that <see cref="Scan"/> took.</summary>
    /// <param name="body">The body; the request refers to it.</param>
    /// <param name="stream">Whether a stream is wanted, be it said in the body or in the address.</param>
    /// <param name="request">The request.</param>
    /// <returns>Null, or why the body is refused.</returns>
    public abstract GatewayError? Decode(ReadOnlyMemory<byte> body, bool stream, out NeutralRequest? request);

    /// <summary>Writes a request's body for a provider. What the dialect cannot express is named in <see cref="EncodeTarget.Dropped"/>, never left out in silence.</summary>
    /// <returns>Null, or why no body can be made that would mean the same: the request is then refused, or another target is asked.</returns>
    public GatewayError? Encode(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
    {
        try
        {
            return Write(request, target, output);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException { Source: JsonTextSource })
        {
            // Most texts go on as they are; a name or a schema that has to be understood must be one.
            return new GatewayError(400, "invalid_text", "A name or a schema in the body is no text: it has bytes that are not UTF-8, or an escape such as \\ud800 that is half a character. Send it whole.");
        }
    }

    /// <summary>See <see cref="Encode"/>. Texts that are none may end it with an exception of System.Text.Json's.</summary>
    protected abstract GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output);

    /// <summary>Finds the events in a stream's bytes.</summary>
    /// <param name="type">The stream's media type as the upstream gave it, "" where it gave none.</param>
    public virtual StreamFramer NewFramer(string type) => new SseFramer();

    /// <summary>Watches a stream that is relayed.</summary>
    public abstract StreamWatch NewWatch(string expectedModel);

    /// <summary>Reads of a complete answer what bills it. False: it is garbage, or only half there.</summary>
    public abstract bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts);

    /// <summary>Decodes one answer of a provider.</summary>
    public abstract AnswerDecoder NewDecoder();

    /// <summary>Encodes one answer for a client.</summary>
    public abstract AnswerEncoder NewEncoder(AnswerContext context, IBufferWriter<byte> output);

    /// <summary>Reads a provider's error answer, for a client of another dialect. Makes something sensible of any bytes.</summary>
    public abstract AnswerError ReadError(int status, ReadOnlySpan<byte> body);

    /// <summary>Reads the event in which a stream says that it failed.</summary>
    /// <param name="name">The event's name; empty: it has none.</param>
    /// <param name="data">Its data.</param>
    public virtual AnswerError ReadErrorEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data) => ReadError(0, data);

    /// <summary>Writes an event of a stream of the same <see cref="Format"/> in this dialect's framing.</summary>
    /// <param name="name">The event's name; empty: it has none.</param>
    /// <param name="data">Its data.</param>
    /// <param name="output">Receives it.</param>
    public virtual void WriteEvent(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IBufferWriter<byte> output) => throw new NotSupportedException($"'{Id}' is the only form of its format.");
}

/// <summary>The edits that a relayed body needs.</summary>
internal readonly struct BodyEdit
{
    /// <summary>The model's name as a JSON string; null: what stands there is right, or the name stands in the address.</summary>
    public byte[]? Model { get; init; }

    /// <summary>The betas that the client asked for in a header, as a JSON array, where they must stand in the body (Anthropic's format on Bedrock); null: none.</summary>
    public byte[]? Betas { get; init; }

    /// <summary>The output limit that must stand in the body; null: it stays as it is.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>Members that the route adds to the object in which the output limit stands (Gemini, Bedrock), with commas between them; null: none.</summary>
    public byte[]? BesideLimit { get; init; }

    /// <summary>Whether the provider must be asked to report usage in the stream (OpenAI Chat alone).</summary>
    public bool AsksForUsage { get; init; }

    /// <summary>Where the output limit goes, for OpenAI Chat: <c>max_completion_tokens</c> instead of <c>max_tokens</c>.</summary>
    public bool HonoursMaxCompletionTokens { get; init; }
}

/// <summary>For whom a request is encoded.</summary>
internal sealed class EncodeTarget
{
    public required Provider Provider { get; init; }

    /// <summary>The provider's name of the model.</summary>
    public required string Model { get; init; }

    /// <summary>The output limit to write, whoever set it; null: the request's own, or none.</summary>
    public long? OutputLimit { get; init; }

    /// <summary>The most tokens that the model can put out; null: not known. For dialects that demand a limit.</summary>
    public long? MaxOutputTokens { get; init; }

    /// <summary>Receives what could not be expressed.</summary>
    public required DropReport Dropped { get; init; }
}

/// <summary>Names what a translation had to leave out, each thing once, as a path in the client's own dialect where it has one, e.g. <c>tools[].strict</c>.</summary>
internal sealed class DropReport
{
    /// <summary>More names than this are not kept; a last one says that there are more.</summary>
    public const int MaxNames = 32;

    private readonly List<string> names = [];

    /// <summary>The client's format, in whose words paths are named; null: they stay as they are given.</summary>
    public string? Client { get; set; }

    public IReadOnlyList<string> Names => names;

    public bool IsEmpty => names.Count == 0;

    public void Add(string name)
    {
        if (name == "metrics")
        {
            return; // how long Bedrock took is no part of the answer
        }
        name = Client is null ? name : ClientPaths.Of(Client, name);
        if (names.Count <= MaxNames && !names.Contains(name))
        {
            names.Add(names.Count < MaxNames ? name : "…");
        }
    }

    /// <summary>Adds every member of a bag that says something which nothing else says.</summary>
    /// <param name="prefix">What stands before their names, e.g. <c>tools[].</c>.</param>
    /// <param name="bag">The members.</param>
    public void Add(string prefix, ExtensionBag bag)
    {
        foreach (var name in bag.Losses)
        {
            Add(prefix + name);
        }
    }
}

/// <summary>To whom an answer is encoded.</summary>
internal sealed class AnswerContext
{
    /// <summary>What was asked.</summary>
    public required NeutralRequest Request { get; init; }

    /// <summary>The model as the client named it.</summary>
    public required string RequestedModel { get; init; }

    /// <summary>Whether a stream is written; otherwise one complete body at <see cref="IAnswerSink.End"/>.</summary>
    public required bool Stream { get; init; }

    /// <summary>Whether the stream is one JSON array rather than server-sent events (Gemini without <c>alt=sse</c>).</summary>
    public bool JsonArray { get; init; }

    /// <summary>Makes up ids where the upstream gives none: 1 to 64 letters, digits and hyphens, the same for the same request.</summary>
    public required string RequestId { get; init; }

    /// <summary>The time, seconds since 1970, where the upstream gives none.</summary>
    public required long Now { get; init; }

    /// <summary>Receives what the client's dialect cannot express.</summary>
    public required DropReport Dropped { get; init; }

    /// <summary>Receives the complete answer, where clients may ask for it again (Responses); null: nobody keeps it.</summary>
    public IAnswerKeeper? Keeper { get; init; }
}

/// <summary>Keeps answers that clients may ask for again. A request that wants it carries one among its features.</summary>
internal interface IAnswerKeeper
{
    /// <summary>The id of the answer that this one goes on from; null: it begins anew.</summary>
    string? PreviousAnswerId { get; }

    /// <summary>A translated answer is complete.</summary>
    /// <param name="id">Its id.</param>
    /// <param name="answer">The whole answer, as a client that asked for no stream gets it; valid for the call alone.</param>
    void KeepAnswer(string id, ReadOnlySpan<byte> answer);

    /// <summary>A provider that keeps no answers has answered in the client's own format; the request may forbid keeping it here.</summary>
    /// <param name="id">The answer's id.</param>
    /// <param name="answer">The whole answer; valid for the call alone.</param>
    void KeepRelayed(string id, ReadOnlySpan<byte> answer);

    /// <summary>A provider that keeps its answers has answered under an id of its own.</summary>
    /// <param name="id">The id.</param>
    /// <param name="provider">The provider's id.</param>
    void KeepProvider(string id, string provider);
}

/// <summary>Encodes one answer for a client: the stream's events as they come, or one body at the end.</summary>
internal abstract class AnswerEncoder : IAnswerSink
{
    /// <summary>Why the answer broke off, for one that is not streamed: nothing was written, and the caller writes the error. Null: it did not.</summary>
    public AnswerError? Error { get; protected set; }

    public abstract void Start(in AnswerStart start);

    public abstract void BeginBlock(int block, in BlockStart start);

    public abstract void Delta(int block, ReadOnlySpan<byte> text);

    public abstract void Signature(int block, string family, ReadOnlySpan<byte> dataToken);

    public abstract void Citation(int block, NeutralCitation citation);

    public abstract void LogProbs(int block, ReadOnlySpan<byte> raw);

    public abstract void EndBlock(int block);

    public abstract void Usage(in AnswerUsage usage);

    public abstract void Finish(in AnswerFinish finish);

    public abstract void Extension(string path, ReadOnlySpan<byte> raw);

    public abstract void Ping();

    public abstract void End();

    public abstract void Fail(AnswerError error);
}

/// <summary>Decodes one answer of a provider into a sink. Takes any bytes without an exception, and no more memory than a small multiple of them.</summary>
internal abstract class AnswerDecoder
{
    /// <summary>Whether there was anything that a user would see, or the end: until then another target can be asked.</summary>
    public bool ContentBegun { get; protected set; }

    /// <summary>What was used, as far as it was said.</summary>
    public Shared.Pricing.TokenUsage? Usage { get; protected set; }

    /// <summary>Whether <see cref="Usage"/> is a beginning, which says too little of what was produced since.</summary>
    public virtual bool IsUsagePartial => false;

    /// <summary>The tier that served it; null: not said.</summary>
    public string? ServiceTier { get; protected set; }

    /// <summary>The model's name as the provider gave it; null: not said.</summary>
    public string? Model { get; protected set; }

    /// <summary>Decodes one event of a stream.</summary>
    /// <param name="name">The event's name; empty: it has none.</param>
    /// <param name="data">Its data.</param>
    /// <param name="sink">Receives what it says.</param>
    /// <returns><see cref="StreamStatus.Open"/>, <see cref="StreamStatus.Completed"/> (after <see cref="IAnswerSink.End"/>), <see cref="StreamStatus.Failed"/>
    /// (after <see cref="IAnswerSink.Fail"/>) or <see cref="StreamStatus.Invalid"/> (the sink is told nothing).</returns>
    public abstract StreamStatus Read(ReadOnlySpan<byte> name, ReadOnlySpan<byte> data, IAnswerSink sink);

    /// <summary>The stream has ended without a last event. Completes it where every sign says that it is complete.</summary>
    /// <returns><see cref="StreamStatus.Completed"/> (after <see cref="IAnswerSink.End"/>) or <see cref="StreamStatus.Truncated"/> (the sink is told nothing).</returns>
    public abstract StreamStatus End(IAnswerSink sink);

    /// <summary>Decodes a complete answer.</summary>
    /// <returns>As <see cref="Read"/> does, but never <see cref="StreamStatus.Open"/>.</returns>
    public abstract StreamStatus ReadComplete(ReadOnlySpan<byte> body, IAnswerSink sink);
}
