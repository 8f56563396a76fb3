using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>How to generate: sampling, limits, the form of the answer, thinking.</content>
internal sealed partial class GeminiRequestEncoder
{
    private void WriteConfig()
    {
        // Each member is written as it comes; an object that stays empty is no harm.
        json.WriteStartObject("generationConfig"u8);
        if ((target.OutputLimit ?? request.MaxOutputTokens) is { } limit)
        {
            json.WriteNumber("maxOutputTokens"u8, limit);
        }
        if (request.Choices > 1)
        {
            json.WriteNumber("candidateCount"u8, request.Choices);
        }
        WriteNumber("temperature"u8, request.Sampling.Temperature);
        WriteNumber("topP"u8, request.Sampling.TopP);
        WriteNumber("topK"u8, request.Sampling.TopK);
        WriteNumber("frequencyPenalty"u8, request.Sampling.FrequencyPenalty);
        WriteNumber("presencePenalty"u8, request.Sampling.PresencePenalty);
        WriteNumber("seed"u8, request.Sampling.Seed);
        if (request.StopSequences.Count > 0)
        {
            json.WriteStartArray("stopSequences"u8);
            foreach (var text in request.StopSequences)
            {
                json.WriteRawValue(text.Token.Span, skipInputValidation: true);
            }
            json.WriteEndArray();
        }
        if (request.LogProbs is { } logProbs)
        {
            json.WriteBoolean("responseLogprobs"u8, logProbs);
        }
        if (request.TopLogProbs is { } alternatives)
        {
            json.WriteNumber("logprobs"u8, alternatives);
        }
        WriteForm();
        WriteModalities();
        WriteThinking();
        WriteExtensions("generationConfig.");
        json.WriteEndObject();
    }

    private void WriteForm()
    {
        if (request.OutputFormat is not { } format)
        {
            return;
        }
        json.WriteString("responseMimeType"u8, "application/json"u8);
        if (IsOwn && !format.NativeSchema.IsEmpty)
        {
            WriteMember("responseSchema"u8, new JsonText(format.NativeSchema));
        }
        else if (!format.Schema.IsEmpty)
        {
            WriteMember("responseJsonSchema"u8, new JsonText(IsOwn ? format.Schema : GeminiSchema.ToGoogle(format.Schema)));
        }
        if (format.Description.Exists)
        {
            Drop("response_format.description");
        }
    }

    private void WriteModalities()
    {
        if (request.OutputModalities.Count == 0 || (IsOwn && !request.Extensions.Find("generationConfig.responseModalities"u8).IsEmpty))
        {
            return;
        }
        json.WriteStartArray("responseModalities"u8);
        foreach (var modality in GeminiModalities.Usual(request.OutputModalities))
        {
            json.WriteStringValue(modality.ToUpperInvariant());
        }
        json.WriteEndArray();
    }

    private void WriteThinking()
    {
        if (request.Reasoning is not { } reasoning)
        {
            return;
        }
        if (!IsOwn && !model.Thinks)
        {
            if (reasoning.Enabled != false && !reasoning.Effort.Is("none"u8))
            {
                Drop("reasoning");
            }
            return;
        }
        json.WriteStartObject("thinkingConfig"u8);
        if (IsOwn)
        {
            WriteOwnThinking(reasoning);
        }
        else if (reasoning.Enabled == false || reasoning.Effort.Is("none"u8))
        {
            WriteLeastThinking();
        }
        else if (reasoning.BudgetTokens is { } budget)
        {
            json.WriteNumber("thinkingBudget"u8, budget);
        }
        else if (reasoning.Effort.Exists)
        {
            WriteEffort(reasoning.Effort);
        }
        else if (reasoning.IsAdaptive && !model.IsThirdGeneration)
        {
            json.WriteNumber("thinkingBudget"u8, -1);
        }
        var isVisible = reasoning.Visible ?? (IsOwn ? null : (reasoning.Summary.Exists && !reasoning.Summary.Is("omitted"u8)) || reasoning.Enabled == true ? true : null);
        if (isVisible is { } visible)
        {
            json.WriteBoolean("includeThoughts"u8, visible);
        }
        WriteOwn(reasoning.Extensions);
        json.WriteEndObject();
    }

    private void WriteOwnThinking(NeutralReasoning reasoning)
    {
        if (reasoning.Enabled == false || reasoning.IsAdaptive || reasoning.BudgetTokens is not null)
        {
            json.WriteNumber("thinkingBudget"u8, reasoning.BudgetTokens ?? (reasoning.IsAdaptive ? -1 : 0));
        }
        if (reasoning.Effort.Exists)
        {
            json.WriteString("thinkingLevel"u8, reasoning.Effort.ToString().ToUpperInvariant());
        }
    }

    /// <summary>As little as the model can: Gemini 3 cannot do without, and 2.5 Pro needs 128 tokens (ai.google.dev/gemini-api/docs/thinking).</summary>
    private void WriteLeastThinking()
    {
        if (model.IsThirdGeneration)
        {
            json.WriteString("thinkingLevel"u8, model.AlwaysThinks ? "LOW"u8 : "MINIMAL"u8);
        }
        else
        {
            json.WriteNumber("thinkingBudget"u8, model.AlwaysThinks ? 128 : 0);
        }
        if (model.AlwaysThinks || model.IsThirdGeneration)
        {
            Drop("reasoning.none");
        }
    }

    /// <summary>Levels for Gemini 3; for 2.5 the budgets that Google's own OpenAI endpoint takes them for (ai.google.dev/gemini-api/docs/openai).</summary>
    private void WriteEffort(JsonText effort)
    {
        var (isMinimal, isLow, isMedium) = (effort.Is("minimal"u8), effort.Is("low"u8), effort.Is("medium"u8));
        if (!model.IsThirdGeneration)
        {
            json.WriteNumber("thinkingBudget"u8, isMinimal || isLow ? 1024 : isMedium ? 8192 : 24576);
        }
        else if (model.HasAllLevels)
        {
            json.WriteString("thinkingLevel"u8, isMinimal ? (model.AlwaysThinks ? "LOW"u8 : "MINIMAL"u8) : isLow ? "LOW"u8 : isMedium ? "MEDIUM"u8 : "HIGH"u8);
        }
        else
        {
            json.WriteString("thinkingLevel"u8, isMinimal || isLow ? "LOW"u8 : "HIGH"u8);
        }
    }
}
