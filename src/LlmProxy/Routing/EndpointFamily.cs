using LlmProxy.ChatCompletions;
using LlmProxy.Completions;
using LlmProxy.Dialects;
using LlmProxy.Dialects.Bedrock;
using LlmProxy.Dialects.Gemini;
using LlmProxy.Embeddings;
using LlmProxy.Errors;
using LlmProxy.Moderations;
using LlmProxy.Neutral;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Usage;
using Shared.Http;
using Shared.Snapshots;

namespace LlmProxy.Routing;

/// <summary>What tells one endpoint's calls from another's: where they go, which members route and bill them, and what is billed.</summary>
internal abstract class EndpointFamily
{
    private static int count;

    protected EndpointFamily(string id, string path, string operation) => (Index, Id, Path, Operation) = (count++, id, path, operation);

    /// <summary><c>/chat/completions</c>.</summary>
    public static OpenAiFamily Chat { get; } = new("chat", "/chat/completions", "chat")
    {
        Recognise = MemberNames.RecogniseChat, Member = "choices"u8.ToArray(), HasOutput = true, Dialect = DialectSet.Find(DialectIds.OpenAiChat),
    };

    /// <summary><c>/completions</c>, OpenAI's older text completions.</summary>
    public static OpenAiFamily Completions { get; } =
        new("completions", "/completions", "text_completion") { Recognise = CompletionMembers.Recognise, Member = "choices"u8.ToArray(), HasOutput = true, UsualOutputTokens = CompletionMembers.UsualOutputTokens };

    /// <summary><c>/embeddings</c>.</summary>
    public static OpenAiFamily Embeddings { get; } = new("embeddings", "/embeddings", "embeddings") { Recognise = EmbeddingMembers.Recognise, Member = "data"u8.ToArray() };

    /// <summary><c>/moderations</c>.</summary>
    public static OpenAiFamily Moderations { get; } = new("moderations", "/moderations", "moderation") { Recognise = ModerationMembers.Recognise, Member = "results"u8.ToArray() };

    /// <summary><c>/responses</c>, OpenAI's newer format.</summary>
    public static EndpointFamily? Responses { get; } = Generative(DialectIds.OpenAiResponses, "responses", "/responses");

    /// <summary><c>/messages</c>, Anthropic's.</summary>
    public static EndpointFamily? Messages { get; } = Generative(DialectIds.Anthropic, "messages", "/messages");

    /// <summary><c>:generateContent</c> and <c>:streamGenerateContent</c>, Google's.</summary>
    public static EndpointFamily? Generate { get; } = Generative(DialectIds.Gemini, "generate", "");

    /// <summary><c>/converse</c> and <c>/converse-stream</c>, those of Amazon Bedrock.</summary>
    public static EndpointFamily? Converse { get; } = Generative(DialectIds.Bedrock, "converse", "");

    /// <summary><c>/invoke</c> and <c>/invoke-with-response-stream</c> of Amazon Bedrock, with bodies in Anthropic's format.</summary>
    public static EndpointFamily? Invoke { get; } = Generative(DialectIds.AnthropicBedrock, "invoke", "");

    /// <summary>The same with bodies of any format.</summary>
    public static EndpointFamily InvokeAny { get; } = new BedrockInvokeFamily();

    /// <summary><c>:rawPredict</c> and <c>:streamRawPredict</c> of Google Vertex AI, with bodies in Anthropic's format.</summary>
    public static EndpointFamily? RawPredict { get; } = Generative(DialectIds.AnthropicVertex, "raw_predict", "");

    /// <summary><c>:countTokens</c>, Google's.</summary>
    public static EndpointFamily CountTokens { get; } = new GeminiFamily(GeminiMethod.CountTokens, "count", "beta/models/{model}:countTokens", "count_tokens");

    /// <summary><c>:embedContent</c>, Google's.</summary>
    public static EndpointFamily EmbedContent { get; } = new GeminiFamily(GeminiMethod.Embed, "embed", "beta/models/{model}:embedContent", "embeddings");

    /// <summary><c>:batchEmbedContents</c>, Google's.</summary>
    public static EndpointFamily BatchEmbedContents { get; } = new GeminiFamily(GeminiMethod.BatchEmbed, "batch_embed", "beta/models/{model}:batchEmbedContents", "embeddings");

    /// <summary>All of them, by <see cref="Index"/>.</summary>
    public static IReadOnlyList<EndpointFamily> All { get; } = [.. new EndpointFamily?[] { Chat, Completions, Embeddings, Moderations, Responses, Messages, Generate, Converse, Invoke, InvokeAny, RawPredict, CountTokens, EmbedContent, BatchEmbedContents }.OfType<EndpointFamily>()];

    /// <summary><c>:predict</c>, by which Vertex AI embeds texts; calls of <see cref="Embeddings"/> are translated for it.</summary>
    public static EndpointFamily Predict { get; } = new UpstreamEmbeddingFamily("predict", "", DialectIds.Gemini);

    /// <summary><c>/invoke</c> of Amazon Bedrock, by which models embed texts; calls of <see cref="Embeddings"/> are translated for it.</summary>
    public static EndpointFamily InvokeEmbeddings { get; } = new UpstreamEmbeddingFamily("invoke", "", DialectIds.Bedrock);

    /// <summary>Its place among the others, from 0.</summary>
    public int Index { get; }

    /// <summary>Its name in the configuration.</summary>
    public string Id { get; }

    /// <summary>Its path for clients, below <c>/v1</c>; "": the model is part of it.</summary>
    public string Path { get; }

    /// <summary>Its <c>gen_ai.operation.name</c>.</summary>
    public string Operation { get; }

    /// <summary>Whether output is billed, and so needs a limit. Where it is not, only input counts.</summary>
    public bool HasOutput { get; init; }

    /// <summary>The output limit that a request without one gets under a hard budget, whatever the model; null: the model's maximum.</summary>
    public long? UsualOutputTokens { get; init; }

    /// <summary>The format in which it generates, so that its calls can be translated into others; null: they are only relayed.</summary>
    public Dialect? Dialect { get; init; }

    /// <summary>The dialect to whose vendor bare model names belong here: <see cref="RouteTable.Find(ReadOnlySpan{char}, EndpointFamily)"/>.</summary>
    public virtual string HomeDialect => Dialect?.Home ?? DialectIds.OpenAiChat;

    /// <summary>Errors as its clients expect them.</summary>
    public abstract IErrorFormat Errors { get; }

    /// <summary>Those of the client's headers that go up.</summary>
    public abstract IReadOnlyList<string> ForwardedHeaders { get; }

    /// <summary>The family in which a dialect's models generate, or null.</summary>
    public static EndpointFamily? Of(string dialect) => All.FirstOrDefault(family => family.Dialect?.Id == dialect);

    /// <summary>Headers of the client's that mean something, and that are reported where they cannot go up: <see cref="TargetPlan.LostHeaders"/>.</summary>
    public virtual IReadOnlyList<string> MeaningfulHeaders => [];

    /// <summary>The endpoint for a body, where one address takes bodies of several formats.</summary>
    public virtual EndpointFamily For(ReadOnlySpan<byte> body) => this;

    /// <summary>What an answer's headers say was used, where its body is not read; null: nothing.</summary>
    public virtual Shared.Pricing.TokenUsage? UsageIn(System.Net.Http.Headers.HttpResponseHeaders headers) => null;

    /// <summary>See <see cref="Dialect.Scan"/>.</summary>
    public abstract GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields);

    /// <summary>The edits that a relayed body needs for a target, but for the route's defaults.</summary>
    public abstract void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits);

    /// <summary>See <see cref="Dialect.NewFramer"/>.</summary>
    public abstract StreamFramer NewFramer(string type);

    /// <summary>See <see cref="Dialect.NewWatch"/>.</summary>
    public abstract StreamWatch NewWatch(string expectedModel);

    /// <summary>See <see cref="Dialect.TryReadAnswer"/>.</summary>
    public abstract bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts);

    /// <summary>See <see cref="Dialect.ReadError"/>.</summary>
    public virtual AnswerError ReadError(int status, ReadOnlySpan<byte> body) => (Dialect ?? DialectSet.Find(HomeDialect)!).ReadError(status, body);

    /// <summary>The endpoint of a provider that calls can be translated for where it lacks this one; null: it has none.</summary>
    public EndpointFamily? SubstituteAt(Provider provider) =>
        Dialect is not null ? ProviderEndpoints.GenerativeOf(provider) : EmbeddingTranslation.SubstituteAt(this, provider);

    private static DialectFamily? Generative(string dialect, string id, string path) =>
        DialectSet.Find(dialect) is { } found ? new DialectFamily(found, id, path, "chat") { HasOutput = true, Dialect = found } : null;
}

/// <summary>An endpoint of OpenAI's older design, told from the others by its members.</summary>
internal sealed class OpenAiFamily(string id, string path, string operation) : EndpointFamily(id, path, operation)
{
    private static readonly string[] Forwarded = ["idempotency-key", "openai-beta"];

    /// <summary>Recognises a top-level member by its name, UTF-8 without escapes.</summary>
    /// <param name="name">The name as it was written.</param>
    /// <param name="text">The name for messages; "" for a member that is not recognised.</param>
    public delegate RequestMember Recogniser(ReadOnlySpan<byte> name, out string text);

    public required Recogniser Recognise { get; init; }

    /// <summary>The member that tells an answer from an error, UTF-8.</summary>
    public required byte[] Member { get; init; }

    public override IErrorFormat Errors => OpenAiErrorFormat.Instance;

    public override IReadOnlyList<string> ForwardedHeaders => Forwarded;

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => RequestScanner.Scan(body, this, out fields);

    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => BodyEdits.Add(fields, edit, edits);

    public override StreamFramer NewFramer(string type) => new SseFramer();

    public override StreamWatch NewWatch(string expectedModel) => new ChatStreamWatch(expectedModel);

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => CompletionReader.TryRead(body, this, expectedModel, out facts);
}

/// <summary>The endpoint at which models generate in a dialect of its own.</summary>
internal sealed class DialectFamily(Dialect dialect, string id, string path, string operation) : EndpointFamily(id, path, operation)
{
    public override IErrorFormat Errors => dialect.Errors;

    public override IReadOnlyList<string> ForwardedHeaders => dialect.ForwardedHeaders;

    public override IReadOnlyList<string> MeaningfulHeaders => dialect.Id == DialectIds.AnthropicBedrock ? BedrockInvokeFamily.Forwarded : [];

    public override GatewayError? Scan(ReadOnlySpan<byte> body, ref RoutedFields fields) => dialect.Scan(body, ref fields);

    public override void Edit(ReadOnlySpan<byte> body, in RoutedFields fields, in BodyEdit edit, EditList edits) => dialect.Edit(body, fields, edit, edits);

    public override StreamFramer NewFramer(string type) => dialect.NewFramer(type);

    public override StreamWatch NewWatch(string expectedModel) => dialect.NewWatch(expectedModel);

    public override bool TryReadAnswer(ReadOnlySpan<byte> body, string expectedModel, out CompletionFacts facts) => dialect.TryReadAnswer(body, expectedModel, out facts);
}
