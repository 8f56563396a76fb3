using System.Text;
using System.Text.Json;
using LlmProxy.ChatCompletions;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Gemini;

/// <content>How to generate: sampling, limits, the form of the answer, thinking.</content>
internal sealed partial class GeminiRequestDecoder
{
    private void ReadConfig(ref Utf8JsonReader reader)
    {
        if (!Expect(ref reader, JsonTokenType.StartObject, "generationConfig", "an object"))
        {
            return;
        }
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            if (!ReadSampling(ref reader, name) && !ReadForm(ref reader, name))
            {
                request.Extensions.Add(Prefixed("generationConfig.", name), Raw(ref reader));
            }
        }
    }

    private bool ReadSampling(ref Utf8JsonReader reader, JsonText name)
    {
        var sampling = request.Sampling;
        switch (name.ToString())
        {
            case "temperature":
                sampling.Temperature = Number(ref reader, name);
                return true;
            case "topP":
                sampling.TopP = Number(ref reader, name);
                return true;
            case "topK":
                sampling.TopK = Number(ref reader, name);
                return true;
            case "frequencyPenalty":
                sampling.FrequencyPenalty = Number(ref reader, name);
                return true;
            case "presencePenalty":
                sampling.PresencePenalty = Number(ref reader, name);
                return true;
            case "seed":
                sampling.Seed = Number(ref reader, name);
                return true;
            case "candidateCount":
                request.Choices = (int)Whole(ref reader, name, 1, 1024);
                return true;
            case "maxOutputTokens":
                request.MaxOutputTokens = Whole(ref reader, name, 1, RequestScanner.MaxOutputLimit);
                return true;
            case "logprobs":
                request.TopLogProbs = (int)Whole(ref reader, name, 0, 1000);
                return true;
            case "responseLogprobs" when reader.TokenType is JsonTokenType.True or JsonTokenType.False:
                request.LogProbs = reader.TokenType == JsonTokenType.True;
                return true;
            case "stopSequences" when reader.TokenType == JsonTokenType.StartArray:
                ReadTexts(ref reader, request.StopSequences, "generationConfig.stopSequences");
                return true;
            default:
                return false;
        }
    }

    private bool ReadForm(ref Utf8JsonReader reader, JsonText name)
    {
        switch (name.ToString())
        {
            case "responseMimeType" when reader.TokenType == JsonTokenType.String:
                mimeType = Raw(ref reader);
                return true;
            case "responseSchema" when reader.TokenType == JsonTokenType.StartObject:
                schema = Raw(ref reader);
                return true;
            case "responseJsonSchema" when reader.TokenType == JsonTokenType.StartObject:
                jsonSchema = Raw(ref reader);
                return true;
            case "thinkingConfig" when reader.TokenType == JsonTokenType.StartObject:
                ReadThinking(ref reader);
                return true;
            case "responseModalities" when reader.TokenType == JsonTokenType.StartArray:
                ReadModalities(ref reader, name);
                return true;
            default:
                return false;
        }
    }

    private void ReadThinking(ref Utf8JsonReader reader)
    {
        var reasoning = request.Reasoning = new NeutralReasoning();
        while (error is null && reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            var name = GeminiNames.CamelToken(ref reader, body);
            reader.Read();
            if (reader.TokenType == JsonTokenType.Null)
            {
                continue;
            }
            if (name.Is("includeThoughts"u8) && reader.TokenType is JsonTokenType.True or JsonTokenType.False)
            {
                reasoning.Visible = reader.TokenType == JsonTokenType.True;
            }
            else if (name.Is("thinkingBudget"u8))
            {
                var budget = Whole(ref reader, JsonText.From("thinkingConfig.thinkingBudget"), -1, RequestScanner.MaxOutputLimit);
                (reasoning.Enabled, reasoning.IsAdaptive, reasoning.BudgetTokens) = (budget == 0 ? false : null, budget == -1, budget > 0 ? budget : null);
            }
            else if (name.Is("thinkingLevel"u8) && reader.TokenType == JsonTokenType.String
                && (reader.ValueTextEquals("MINIMAL"u8) || reader.ValueTextEquals("LOW"u8) || reader.ValueTextEquals("MEDIUM"u8) || reader.ValueTextEquals("HIGH"u8)
                    || reader.ValueTextEquals("minimal"u8) || reader.ValueTextEquals("low"u8) || reader.ValueTextEquals("medium"u8) || reader.ValueTextEquals("high"u8)))
            {
                reasoning.Effort = JsonText.From(Encoding.ASCII.GetString(reader.ValueSpan).ToLowerInvariant());
            }
            else
            {
                reasoning.Extensions.Add(name, Raw(ref reader));
            }
        }
    }

    private void ReadModalities(ref Utf8JsonReader reader, JsonText name)
    {
        var start = (int)reader.TokenStartIndex;
        var written = new List<JsonText>();
        ReadTexts(ref reader, written, "generationConfig.responseModalities");
        foreach (var modality in written)
        {
            var text = modality.ToString().ToLowerInvariant();
            if (text != "text")
            {
                request.OutputModalities.Add(text);
            }
        }
        if (error is null && !GeminiModalities.IsUsual(written, request.OutputModalities))
        {
            request.Extensions.Add(Prefixed("generationConfig.", name), body[start..(int)reader.BytesConsumed]);
        }
    }

    private void SetOutputFormat()
    {
        if (error is not null)
        {
            return;
        }
        var type = new JsonText(mimeType);
        if (type.Is("text/plain"u8))
        {
            mimeType = default; // as if it were not said
        }
        if (type.Is("application/json"u8))
        {
            request.OutputFormat = !jsonSchema.IsEmpty ? new() { Schema = jsonSchema }
                : !schema.IsEmpty ? new() { Schema = GeminiSchema.ToJsonSchema(schema), NativeSchema = schema }
                : new();
            return;
        }
        // Another type, or a schema without one: only Google knows what that means.
        AddConfig("responseMimeType", mimeType);
        AddConfig("responseSchema", schema);
        AddConfig("responseJsonSchema", jsonSchema);
    }

    private void AddConfig(string name, ReadOnlyMemory<byte> value)
    {
        if (!value.IsEmpty)
        {
            request.Extensions.Add(JsonText.From("generationConfig." + name), value);
        }
    }
}
