using System.Buffers;
using LlmProxy.Neutral;
using Shared.Pricing;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>What the encoders of a stream and of a complete message have in common.</summary>
internal abstract class AnthropicAnswerEncoder(AnswerContext context, IBufferWriter<byte> output) : AnswerEncoder
{
    /// <summary>What stands before the names of members that only Anthropic's tool calls have.</summary>
    public const string OfCalls = "content[].tool_use.";

    private readonly ArrayBufferWriter<byte> rawUsage = new(256);
    private byte[] serverTools = [];
    private byte[] id = [];
    private byte[] model = [];
    private TokenUsage tokens;
    private string? serviceTier;

    protected AnswerContext Context => context;

    protected IBufferWriter<byte> Output => output;

    /// <summary>Whether the answer comes in this very dialect, so that what only it knows can go on.</summary>
    protected bool IsOwn { get; private set; }

    /// <summary>Members of the message that only this dialect knows, by name, since the last time they were written.</summary>
    protected List<KeyValuePair<string, byte[]>> Extensions { get; } = [];

    protected bool CallsTools { get; set; }

    protected StopReason Stop { get; private set; } = StopReason.EndTurn;

    /// <summary>The reason of an answer in this very dialect, as it came; empty: none.</summary>
    private byte[] NativeStop { get; set; } = [];

    private byte[] StopSequence { get; set; } = [];

    public override void Start(in AnswerStart start)
    {
        IsOwn = start.Source == DialectIds.Anthropic;
        id = IsOwn && start.IdToken.Length > 2 ? start.IdToken.ToArray() : JsonText.From("msg_" + context.RequestId).Token.ToArray();
        model = start.ModelToken.Length > 2 ? start.ModelToken.ToArray() : JsonText.From(context.RequestedModel).Token.ToArray();
    }

    public override void LogProbs(int block, ReadOnlySpan<byte> raw) => context.Dropped.Add("logprobs");

    public override void Usage(in AnswerUsage usage)
    {
        tokens = usage.Tokens;
        serviceTier = usage.ServiceTier ?? serviceTier;
        rawUsage.ResetWrittenCount();
        if (IsOwn)
        {
            rawUsage.Write(usage.Raw);
        }
        if (!usage.ServerTools.IsEmpty)
        {
            serverTools = usage.ServerTools.ToArray();
        }
    }

    public override void Finish(in AnswerFinish finish)
    {
        if (finish.Choice != 0)
        {
            return;
        }
        Stop = finish.Reason;
        NativeStop = IsOwn ? finish.NativeToken.ToArray() : [];
        StopSequence = finish.StopSequenceToken.ToArray();
        if (finish.Reason is StopReason.MalformedToolCall or StopReason.Other && !IsOwn)
        {
            context.Dropped.Add("stop_reason");
        }
    }

    public override void Extension(string path, ReadOnlySpan<byte> raw)
    {
        if (IsOwn && !path.Contains('.', StringComparison.Ordinal))
        {
            Extensions.Add(new(path, raw.ToArray()));
        }
        else if (!IsOwn || !path.StartsWith(OfCalls, StringComparison.Ordinal)) // the call's block is written as it came
        {
            context.Dropped.Add(path);
        }
    }

    /// <summary>Writes the message's first members, up to its model.</summary>
    protected void WriteHead()
    {
        output.Write("\"id\":"u8);
        output.Write(id);
        output.Write(",\"type\":\"message\",\"role\":\"assistant\",\"model\":"u8);
        output.Write(model);
    }

    /// <summary>Writes <c>stop_reason</c> and <c>stop_sequence</c>.</summary>
    protected void WriteStop()
    {
        output.Write("\"stop_reason\":"u8);
        output.Write(NativeStop.Length > 0 ? NativeStop : StopReasons.TokenOf(Stop, CallsTools));
        output.Write(",\"stop_sequence\":"u8);
        output.Write(StopSequence.Length > 0 && (IsOwn || Stop == StopReason.StopSequence) ? StopSequence : "null"u8);
    }

    /// <summary>Writes the usage as it is known by now.</summary>
    /// <param name="isWhole">Whether it is the message's rather than an event's at its end, which has fewer members.</param>
    protected void WriteUsage(bool isWhole)
    {
        if (IsOwn && rawUsage.WrittenCount > 0)
        {
            WriteLine(rawUsage.WrittenSpan);
            return;
        }
        var written = tokens.CacheWrite + tokens.CacheWrite1h;
        var json = new JsonObjectWriter(output);
        json.Number("input_tokens"u8, tokens.Input + tokens.AudioInput + tokens.ImageInput);
        json.Number("cache_creation_input_tokens"u8, written);
        json.Number("cache_read_input_tokens"u8, tokens.CacheRead);
        if (isWhole && tokens.CacheWrite1h > 0)
        {
            json.Name("cache_creation"u8);
            var creation = new JsonObjectWriter(output);
            creation.Number("ephemeral_5m_input_tokens"u8, tokens.CacheWrite);
            creation.Number("ephemeral_1h_input_tokens"u8, tokens.CacheWrite1h);
            creation.End();
        }
        json.Number("output_tokens"u8, tokens.TotalOutput);
        if (tokens.Reasoning > 0)
        {
            json.Name("output_tokens_details"u8);
            var details = new JsonObjectWriter(output);
            details.Number("thinking_tokens"u8, tokens.Reasoning);
            details.End();
        }
        if (serverTools.Length > 0)
        {
            json.Name("server_tool_use"u8);
            WriteLine(serverTools);
        }
        if (isWhole && serviceTier is not null)
        {
            json.Text("service_tier"u8, serviceTier is "default" or "auto" ? "standard" : serviceTier);
        }
        json.End();
    }

    /// <summary>Writes raw JSON on one line, as an event's data must stand.</summary>
    protected void WriteLine(ReadOnlySpan<byte> raw) => output.WriteOnOneLine(raw);

    /// <summary>Writes a signature in the place of Anthropic's own.</summary>
    /// <returns>Whether its family has a place there.</returns>
    protected bool TryWriteSignature(string family, ReadOnlySpan<byte> dataToken)
    {
        if (!ForeignSignatures.CanCarry(family))
        {
            context.Dropped.Add("content[].signature");
            return false;
        }
        output.WriteByte((byte)'"');
        output.Write(ForeignSignatures.PrefixOf(family));
        output.Write(dataToken.Length > 2 ? dataToken[1..^1] : default);
        output.WriteByte((byte)'"');
        return true;
    }

    /// <summary>Writes a citation: Anthropic's own as it is, another as a result of a web search.</summary>
    /// <returns>Whether it has a place here.</returns>
    protected bool TryWriteCitation(IBufferWriter<byte> to, NeutralCitation citation)
    {
        if (IsOwn && !citation.Raw.IsEmpty)
        {
            to.Write(citation.Raw.Span);
            return true;
        }
        if (!citation.Url.Exists)
        {
            context.Dropped.Add("content[].citations");
            return false;
        }
        var json = new JsonObjectWriter(to);
        json.Raw("type"u8, "\"web_search_result_location\""u8);
        json.Text("cited_text"u8, citation.CitedText.Exists ? citation.CitedText : JsonText.Empty);
        json.Text("url"u8, citation.Url);
        json.Name("title"u8);
        to.WriteText(citation.Title);
        json.Raw("encrypted_index"u8, "\"\""u8);
        json.End();
        return true;
    }

    /// <summary>Writes a call's id.</summary>
    protected void WriteCallId(ReadOnlySpan<byte> token, int block)
    {
        if (token.Length > 2)
        {
            output.Write(token);
        }
        else
        {
            output.Write("\"toolu_"u8);
            output.Write(System.Text.Encoding.UTF8.GetBytes(context.RequestId));
            output.WriteByte((byte)'_');
            output.WriteNumber(block);
            output.WriteByte((byte)'"');
        }
    }
}
