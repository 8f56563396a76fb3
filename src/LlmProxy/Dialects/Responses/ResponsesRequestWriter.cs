using System.Buffers;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses;

/// <summary>Encodes a request. What came in this format is written as it came; what came in another is written so that OpenAI takes it.</summary>
internal sealed partial class ResponsesRequestWriter
{
    /// <summary>OpenAI refuses longer ones.</summary>
    private const int MaxEndUser = 64;

    /// <summary>Below these budgets of thought, the effort is low or medium.</summary>
    private const long LowBudget = 4096;

    private const long MediumBudget = 16384;

    /// <summary>Members that are written from the neutral request; others of a request in this format go up as they came.</summary>
    private static readonly HashSet<string> Written = new(StringComparer.Ordinal)
    {
        "model", "instructions", "input", "tools", "tool_choice", "parallel_tool_calls", "stream", "max_output_tokens", "temperature", "top_p", "top_logprobs",
        "text", "reasoning", "include", "store", "metadata", "service_tier", "user", "safety_identifier", "prompt_cache_key", "prompt_cache_options",
    };

    private readonly NeutralRequest request;
    private readonly EncodeTarget target;
    private readonly IBufferWriter<byte> output;
    private readonly ResponsesForm? form;

    private ResponsesRequestWriter(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output) =>
        (this.request, this.target, this.output, form) = (request, target, output, ResponsesForm.Of(request));

    /// <summary>See <see cref="Dialect.Encode"/>.</summary>
    public static GatewayError? Write(NeutralRequest request, EncodeTarget target, IBufferWriter<byte> output)
    {
        if (request.Choices > 1)
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "not_expressible", "The model's provider gives one answer to a request. Ask for one, or ask several times.") { Field = "n" };
        }
        new ResponsesRequestWriter(request, target, output).Write();
        return null;
    }

    private bool IsOurs => request.Source == DialectIds.OpenAiResponses;

    private void Drop(string name) => target.Dropped.Add(name);

    private void Write()
    {
        if (!IsOurs)
        {
            UnknownMembers.Report(request, target.Dropped);
        }
        var json = new JsonObjectWriter(output);
        json.Text("model"u8, target.Model);
        if (form?.Instructions is { } instructions && request.Messages is [var first, ..] && first == instructions)
        {
            json.Text("instructions"u8, ((TextPart)instructions.Parts[0]).Text);
        }
        json.Name("input"u8);
        WriteInput();
        WriteTools(ref json);
        json.Boolean("parallel_tool_calls"u8, request.ParallelToolCalls);
        if (request.Stream)
        {
            json.Boolean("stream"u8, true);
        }
        json.Number("max_output_tokens"u8, target.OutputLimit ?? request.MaxOutputTokens);
        WriteSampling(ref json);
        WriteText(ref json);
        WriteReasoning(ref json);
        WriteInclude(ref json);
        json.Boolean("store"u8, IsOurs ? request.Store : false);
        json.Raw("metadata"u8, request.Metadata);
        json.Text("service_tier"u8, TierOf());
        WriteIdentity(ref json);
        json.Text("prompt_cache_key"u8, request.CacheKey);
        WriteCacheOptions(ref json);
        WriteOthers(ref json);
        json.End();
    }

    private void WriteSampling(ref JsonObjectWriter json)
    {
        var sampling = request.Sampling;
        json.Raw("temperature"u8, sampling.Temperature);
        json.Raw("top_p"u8, sampling.TopP);
        json.Number("top_logprobs"u8, request.TopLogProbs);
        DropIf(!sampling.TopK.IsEmpty, SourcePaths.TopK(request.Source));
        DropIf(!sampling.FrequencyPenalty.IsEmpty, request.Source == DialectIds.Gemini ? "generationConfig.frequencyPenalty" : "frequency_penalty");
        DropIf(!sampling.PresencePenalty.IsEmpty, request.Source == DialectIds.Gemini ? "generationConfig.presencePenalty" : "presence_penalty");
        DropIf(!sampling.Seed.IsEmpty, request.Source == DialectIds.Gemini ? "generationConfig.seed" : "seed");
        DropIf(request.StopSequences.Count > 0, request.Source switch
        {
            DialectIds.OpenAiChat => "stop",
            DialectIds.Gemini => "generationConfig.stopSequences",
            DialectIds.Bedrock => "inferenceConfig.stopSequences",
            _ => "stop_sequences",
        });
        foreach (var modality in request.OutputModalities)
        {
            DropIf(modality != "text", request.Source == DialectIds.Gemini ? "generationConfig.responseModalities" : "modalities");
        }
    }

    private void WriteText(ref JsonObjectWriter json)
    {
        if (form is not null && form.Format == request.OutputFormat && form.Find("text") is { IsEmpty: false } raw)
        {
            json.Raw("text"u8, raw);
            return;
        }
        var format = request.OutputFormat;
        if (format is null && !request.Verbosity.Exists)
        {
            return;
        }
        json.Name("text"u8);
        var text = new JsonObjectWriter(output);
        if (format is not null)
        {
            text.Name("format"u8);
            WriteFormat(format);
        }
        text.Text("verbosity"u8, request.Verbosity);
        text.End();
    }

    private void WriteFormat(NeutralOutputFormat format)
    {
        var json = new JsonObjectWriter(output);
        if (format.Schema.IsEmpty)
        {
            json.Text("type"u8, "json_object");
        }
        else
        {
            json.Text("type"u8, "json_schema");
            json.Text("name"u8, format.Name.Exists ? format.Name : JsonText.From("answer"));
            json.Text("description"u8, format.Description);
            json.Raw("schema"u8, format.Schema);
            json.Boolean("strict"u8, Strictness(format.Strict, format.Schema, SourcePaths.Format(request.Source) + ".strict"));
        }
        if (IsOurs)
        {
            json.Members(format.Extensions);
        }
        json.End();
    }

    /// <summary>Strictness that another dialect asks for, unless strict mode would refuse the schema.</summary>
    private bool? Strictness(bool? strict, ReadOnlyMemory<byte> schema, string path)
    {
        if (strict != true || request.Source is DialectIds.OpenAiChat or DialectIds.OpenAiResponses || StrictSchema.Takes(schema))
        {
            return strict;
        }
        Drop(path);
        return false;
    }

    private void WriteReasoning(ref JsonObjectWriter json)
    {
        var reasoning = request.Reasoning;
        if (form is not null && form.Reasoning == reasoning && form.Find("reasoning") is { IsEmpty: false } raw)
        {
            json.Raw("reasoning"u8, raw);
            return;
        }
        if (reasoning is null)
        {
            return;
        }
        var effort = EffortOf(reasoning);
        var summary = SummaryOf(reasoning);
        if (effort.Exists || summary.Exists)
        {
            json.Name("reasoning"u8);
            var inner = new JsonObjectWriter(output);
            inner.Text("effort"u8, effort);
            inner.Text("summary"u8, summary);
            inner.End();
        }
    }

    private JsonText EffortOf(NeutralReasoning reasoning)
    {
        if (reasoning.Effort.Exists)
        {
            return reasoning.Effort.Is("max"u8) ? JsonText.From("xhigh") : reasoning.Effort;
        }
        if (reasoning.Enabled == false)
        {
            DropIf(IsReasoner, SourcePaths.Reasoning(request.Source)); // some models cannot do without, and which is not known here
            return default;
        }
        return reasoning.BudgetTokens switch
        {
            null or < 0 => default,
            0 => JsonText.From("none"),
            <= LowBudget => JsonText.From("low"),
            <= MediumBudget => JsonText.From("medium"),
            _ => JsonText.From("high"),
        };
    }

    private static JsonText SummaryOf(NeutralReasoning reasoning) =>
        reasoning.Summary.Is("auto"u8) || reasoning.Summary.Is("concise"u8) || reasoning.Summary.Is("detailed"u8) ? reasoning.Summary
        : reasoning.Visible == true && !reasoning.Summary.Is("omitted"u8) ? JsonText.From("auto")
        : default;

    /// <summary>Whether the model thinks: OpenAI refuses to give encrypted thoughts of one that does not.</summary>
    private bool IsReasoner
    {
        get
        {
            var name = target.Model.AsSpan(target.Model.LastIndexOf('/') + 1);
            return !(name.StartsWith("gpt-4", StringComparison.OrdinalIgnoreCase) || name.StartsWith("gpt-3", StringComparison.OrdinalIgnoreCase)
                || name.StartsWith("chatgpt", StringComparison.OrdinalIgnoreCase) || name.Contains("-chat", StringComparison.OrdinalIgnoreCase));
        }
    }

    /// <summary>A client of another format keeps the conversation itself, so the provider shall keep nothing, and the reasoning comes with the answer.</summary>
    private void WriteInclude(ref JsonObjectWriter json)
    {
        if (IsOurs)
        {
            json.Raw("include"u8, form?.Find("include") ?? default);
            return;
        }
        var wantsLogProbs = request.LogProbs == true;
        if (!IsReasoner && !wantsLogProbs)
        {
            return;
        }
        json.Name("include"u8);
        output.Write("["u8);
        if (IsReasoner)
        {
            output.Write("\"reasoning.encrypted_content\""u8);
        }
        if (wantsLogProbs)
        {
            output.Write(IsReasoner ? ",\"message.output_text.logprobs\""u8 : "\"message.output_text.logprobs\""u8);
        }
        output.Write("]"u8);
    }

    /// <summary>Tiers of other dialects that mean the same here.</summary>
    private JsonText TierOf()
    {
        var tier = request.ServiceTier;
        if (!tier.Exists || request.Source is DialectIds.OpenAiResponses or DialectIds.OpenAiChat || tier.Is("auto"u8) || tier.Is("default"u8) || tier.Is("flex"u8) || tier.Is("priority"u8))
        {
            return tier;
        }
        if (tier.Is("standard_only"u8) || tier.Is("standard"u8))
        {
            return JsonText.From("default");
        }
        Drop(SourcePaths.ServiceTier(request.Source));
        return default;
    }

    private void WriteIdentity(ref JsonObjectWriter json)
    {
        if (form is not null)
        {
            json.Raw("user"u8, form.Find("user"));
            json.Raw("safety_identifier"u8, form.Find("safety_identifier"));
        }
        else if (request.EndUser.Exists)
        {
            if (request.EndUser.Escaped.Length <= MaxEndUser)
            {
                json.Text("safety_identifier"u8, request.EndUser);
            }
            else
            {
                Drop(SourcePaths.EndUser(request.Source));
            }
        }
    }

    private void WriteCacheOptions(ref JsonObjectWriter json)
    {
        if (form is not null)
        {
            json.Raw("prompt_cache_options"u8, form.Find("prompt_cache_options"));
        }
        else if (request.Cache is not null && request.Source != DialectIds.OpenAiChat)
        {
            Drop(SourcePaths.PromptCache(request.Source)); // OpenAI caches prompts unasked
        }
    }

    private void WriteOthers(ref JsonObjectWriter json)
    {
        foreach (var (name, value) in form?.Members ?? [])
        {
            if (!Written.Contains(name))
            {
                json.Name(JsonText.From(name).Escaped.Span);
                output.Write(value.Span);
            }
        }
    }

    private void DropIf(bool isDropped, string name)
    {
        if (isDropped)
        {
            Drop(name);
        }
    }
}
