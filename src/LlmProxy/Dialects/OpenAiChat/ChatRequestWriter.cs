using System.Buffers;
using System.Security.Cryptography;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Encodes a request for a provider that speaks chat completions.</summary>
internal sealed partial class ChatRequestWriter
{
    /// <summary>The longest end user's id that OpenAI takes.</summary>
    private const int MaxEndUserBytes = 64;

    private readonly NeutralRequest request;
    private readonly EncodeTarget target;
    private readonly IBufferWriter<byte> output;
    private readonly ChatProvider provider;
    private readonly ChatForm? form;

    private ChatRequestWriter(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
    {
        (this.request, this.target, this.output) = (request, target, output);
        provider = new ChatProvider(target.Provider);
        form = ChatForm.Of(request);
        IsOurs = request.Source == DialectIds.OpenAiChat;
    }

    /// <summary>Whether the request came in this dialect, so that all that it says can be said again.</summary>
    private bool IsOurs { get; }

    /// <summary>Writes the body.</summary>
    public static void Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) => new ChatRequestWriter(request, target, output).Write();

    private void Write()
    {
        if (!IsOurs)
        {
            UnknownMembers.Report(request, target.Dropped);
        }
        var json = new JsonObjectWriter(output);
        json.Text("model"u8, target.Model);
        json.Name("messages"u8);
        WriteMessages();
        WriteLimits(ref json);
        WriteStream(ref json);
        WriteSampling(ref json);
        WriteTools(ref json);
        WriteFormat(ref json);
        WriteReasoning(ref json);
        WriteModalities(ref json);
        json.Boolean("logprobs"u8, request.LogProbs);
        json.Number("top_logprobs"u8, request.TopLogProbs);
        WriteIdentity(ref json);
        WriteOpenAiOnly(ref json);
        WriteExtensions(ref json);
        json.End();
    }

    private void Drop(string path) => target.Dropped.Add(path);

    private void WriteLimits(ref JsonObjectWriter json)
    {
        if ((target.OutputLimit ?? request.MaxOutputTokens) is { } limit)
        {
            json.Number(target.Provider.OutputLimitMember == "max_completion_tokens" ? "max_completion_tokens"u8 : "max_tokens"u8, limit);
        }
        if (request.Choices > 1)
        {
            json.Number("n"u8, request.Choices);
        }
    }

    private void WriteStream(ref JsonObjectWriter json)
    {
        if (!request.Stream)
        {
            return;
        }
        json.Name("stream"u8);
        output.Write("true"u8);
        var asksForUsage = target.Provider.StreamUsage || (IsOurs && request.WantsUsage);
        var others = IsOurs ? request.Extensions.Members.Where(member => member.Key.Escaped.Span.StartsWith("stream_options."u8)).ToList() : [];
        if (!asksForUsage && others.Count == 0)
        {
            return;
        }
        json.Name("stream_options"u8);
        var options = new JsonObjectWriter(output);
        if (asksForUsage)
        {
            options.Boolean("include_usage"u8, true);
        }
        foreach (var (name, value) in others)
        {
            options.Raw(name.Escaped.Span["stream_options.".Length..], value);
        }
        options.End();
    }

    private void WriteSampling(ref JsonObjectWriter json)
    {
        var sampling = request.Sampling;
        json.Raw("temperature"u8, sampling.Temperature);
        json.Raw("top_p"u8, sampling.TopP);
        if (IsOurs || provider.TakesTopK)
        {
            json.Raw("top_k"u8, sampling.TopK);
        }
        else if (!sampling.TopK.IsEmpty)
        {
            Drop(SourcePaths.TopK(request.Source));
        }
        json.Raw("frequency_penalty"u8, sampling.FrequencyPenalty);
        json.Raw("presence_penalty"u8, sampling.PresencePenalty);
        json.Raw("seed"u8, sampling.Seed);
        if (request.StopSequences is [var only] && form is { StopIsText: true })
        {
            json.Text("stop"u8, only);
        }
        else if (request.StopSequences.Count > 0)
        {
            json.Name("stop"u8);
            WriteTexts(request.StopSequences);
        }
    }

    private void WriteTexts(List<JsonText> texts)
    {
        output.WriteByte((byte)'[');
        for (var i = 0; i < texts.Count; i++)
        {
            if (i > 0)
            {
                output.WriteByte((byte)',');
            }
            output.WriteText(texts[i]);
        }
        output.WriteByte((byte)']');
    }

    private void WriteFormat(ref JsonObjectWriter json)
    {
        if (request.OutputFormat is not { } format)
        {
            if (form is { WantsText: true })
            {
                json.Raw("response_format"u8, "{\"type\":\"text\"}"u8);
            }
            return;
        }
        json.Name("response_format"u8);
        var outer = new JsonObjectWriter(output);
        if (format.Schema.IsEmpty)
        {
            outer.Text("type"u8, "json_object");
        }
        else
        {
            outer.Text("type"u8, "json_schema");
            outer.Name("json_schema"u8);
            WriteSchema(format);
        }
        if (IsOurs)
        {
            WriteMembers(ref outer, format.Extensions, "json_schema."u8, within: false);
        }
        outer.End();
    }

    private void WriteSchema(NeutralOutputFormat format)
    {
        var inner = new JsonObjectWriter(output);
        inner.Text("name"u8, format.Name.Exists || IsOurs ? format.Name : JsonText.From("answer"));
        inner.Text("description"u8, format.Description);
        inner.Raw("schema"u8, format.Schema);
        inner.Boolean("strict"u8, Strictness(format.Strict, format.Schema, SourcePaths.Format(request.Source) + ".strict"));
        if (IsOurs)
        {
            WriteMembers(ref inner, format.Extensions, "json_schema."u8, within: true);
        }
        inner.End();
    }

    /// <summary>Strictness that another dialect asks for, unless strict mode would refuse the schema.</summary>
    private bool? Strictness(bool? strict, ReadOnlyMemory<byte> schema, string path)
    {
        if (strict != true || request.Source is DialectIds.OpenAiChat or DialectIds.OpenAiResponses || StrictSchema.Takes(schema))
        {
            return strict;
        }
        Drop(path);
        return null;
    }

    private void WriteReasoning(ref JsonObjectWriter json)
    {
        if (request.Reasoning is not { } reasoning)
        {
            return;
        }
        if (form is not null)
        {
            json.Text("reasoning_effort"u8, form.Effort);
            json.Raw("reasoning"u8, form.Reasoning);
            json.Raw("thinking"u8, form.Thinking);
            return;
        }
        if (reasoning.Effort.Exists)
        {
            json.Text("reasoning_effort"u8, reasoning.Effort);
        }
        else if (reasoning.Enabled != false && reasoning.BudgetTokens is { } budget)
        {
            if (provider.IsOpenRouter)
            {
                json.Name("reasoning"u8);
                var inner = new JsonObjectWriter(output);
                inner.Number("max_tokens"u8, budget);
                inner.End();
            }
            else
            {
                json.Text("reasoning_effort"u8, budget < 4096 ? "low" : budget < 16384 ? "medium" : "high");
                Drop(SourcePaths.Budget(request.Source)); // only roughly said
            }
        }
        else if (reasoning.Enabled == false)
        {
            Drop(SourcePaths.Reasoning(request.Source)); // no member says so to every model; those that do not reason refuse any effort
        }
        if (reasoning.Summary.Exists)
        {
            Drop(SourcePaths.Reasoning(request.Source) + ".summary");
        }
    }

    private void WriteModalities(ref JsonObjectWriter json)
    {
        if (form is not null)
        {
            json.Raw("modalities"u8, form.Modalities);
        }
        else if (request.OutputModalities.Count > 0)
        {
            json.Name("modalities"u8);
            WriteTexts([JsonText.From("text"), .. request.OutputModalities.Select(JsonText.From)]);
        }
    }

    private void WriteIdentity(ref JsonObjectWriter json)
    {
        if (!request.EndUser.Exists)
        {
            return;
        }
        if (IsOurs)
        {
            json.Text(form is { UsesSafetyIdentifier: true } ? "safety_identifier"u8 : "user"u8, request.EndUser);
        }
        else if (!provider.IsStrict || provider.IsOpenAi)
        {
            json.Text("user"u8, request.EndUser.Escaped.Length <= MaxEndUserBytes ? request.EndUser : JsonText.From(Convert.ToHexStringLower(SHA256.HashData(request.EndUser.Decode()))));
        }
        else
        {
            Drop(SourcePaths.EndUser(request.Source));
        }
    }

    /// <summary>What of other dialects only OpenAI itself takes.</summary>
    private void WriteOpenAiOnly(ref JsonObjectWriter json)
    {
        WriteCache(ref json);
        if (IsOurs || provider.IsOpenAi)
        {
            json.Text("service_tier"u8, request.Source == DialectIds.Anthropic && request.ServiceTier.Is("standard_only"u8) ? JsonText.From("default") : request.ServiceTier);
            json.Text("verbosity"u8, request.Verbosity);
            json.Raw("metadata"u8, request.Metadata);
            json.Boolean("store"u8, request.Store);
            return;
        }
        DropIf(request.ServiceTier.Exists, SourcePaths.ServiceTier(request.Source));
        DropIf(request.Verbosity.Exists, "text.verbosity");
        DropIf(!request.Metadata.IsEmpty, SourcePaths.Metadata(request.Source));
        DropIf(request.Store == true, "store");
    }

    private void WriteCache(ref JsonObjectWriter json)
    {
        if (IsOurs || provider.IsOpenAi)
        {
            json.Text("prompt_cache_key"u8, request.CacheKey);
        }
        else
        {
            DropIf(request.CacheKey.Exists, "prompt_cache_key");
        }
        if (request.Cache is not { } cache)
        {
            return;
        }
        if (IsOurs || (provider.IsOpenAi && request.Source == DialectIds.OpenAiResponses))
        {
            json.Name("prompt_cache_options"u8);
            var inner = new JsonObjectWriter(output);
            inner.Text("ttl"u8, cache.Ttl);
            inner.Members(cache.Extensions);
            inner.End();
        }
        else if (provider.TakesCacheMarks)
        {
            json.Name("cache_control"u8);
            WriteMark(cache);
        }
        else
        {
            Drop(SourcePaths.PromptCache(request.Source));
        }
    }

    private void WriteMark(CacheMark mark)
    {
        var inner = new JsonObjectWriter(output);
        var hasType = !mark.Extensions.Find("type"u8).IsEmpty;
        if (!hasType)
        {
            inner.Text("type"u8, "ephemeral");
        }
        inner.Text("ttl"u8, mark.Ttl);
        if (IsOurs)
        {
            inner.Members(mark.Extensions);
        }
        inner.End();
    }

    private void WriteExtensions(ref JsonObjectWriter json)
    {
        foreach (var (name, value) in IsOurs ? request.Extensions.Members : [])
        {
            if (!name.Escaped.Span.StartsWith("stream_options."u8) || value.IsEmpty)
            {
                json.Raw(name.Escaped.Span, value);
            }
        }
        json.Members(request.OfRoute);
    }

    /// <summary>Writes the members of a bag whose names begin with a prefix, without it, or those whose names do not.</summary>
    private static void WriteMembers(ref JsonObjectWriter json, ExtensionBag bag, ReadOnlySpan<byte> prefix, bool within)
    {
        foreach (var (name, value) in bag.Members)
        {
            var escaped = name.Escaped.Span;
            if (escaped.StartsWith(prefix) == within)
            {
                json.Raw(within ? escaped[prefix.Length..] : escaped, value);
            }
        }
    }

    private void DropIf(bool isThere, string path)
    {
        if (isThere)
        {
            Drop(path);
        }
    }
}
