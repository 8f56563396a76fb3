using System.Buffers;
using System.Text;
using LlmProxy.Dialects.Anthropic;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Bedrock;

/// <content>Settings: of inference, of thinking, and beside both.</content>
internal sealed partial class BedrockRequestEncoder
{
    private void WriteConfig(ref JsonObjectWriter json)
    {
        var sampling = request.Sampling;
        var (temperature, topP) = (sampling.Temperature, sampling.TopP);
        if (!isOwn && isClaude && (claude.RefusesSampling || IsThinking))
        {
            Report(!temperature.IsEmpty, "temperature");
            Report(!topP.IsEmpty, "top_p");
            (temperature, topP) = (default, default);
        }
        else if (!isOwn && isClaude && claude.TakesOneSampling && !temperature.IsEmpty && !topP.IsEmpty)
        {
            dropped.Add("top_p");
            topP = default;
        }
        var rest = isOwn ? Below("inferenceConfig.") : [];
        if (Limit is null && temperature.IsEmpty && topP.IsEmpty && request.StopSequences.Count == 0 && rest.Count == 0)
        {
            return;
        }
        json.Name("inferenceConfig"u8);
        var config = new JsonObjectWriter(output);
        config.Number("maxTokens"u8, Limit);
        config.Raw("temperature"u8, temperature);
        config.Raw("topP"u8, topP);
        if (request.StopSequences.Count > 0)
        {
            config.Name("stopSequences"u8);
            output.WriteByte((byte)'[');
            var list = new BlockList(output);
            foreach (var stop in request.StopSequences)
            {
                list.Next();
                output.WriteText(stop);
            }
            output.WriteByte((byte)']');
        }
        foreach (var (name, value) in rest)
        {
            config.Name(name.Span);
            output.Write(value.Span);
        }
        config.End();
    }

    /// <summary>The request's own members below another one, by their names as they stand in JSON.</summary>
    private List<(ReadOnlyMemory<byte> Name, ReadOnlyMemory<byte> Value)> Below(string prefix)
    {
        var start = Encoding.UTF8.GetBytes(prefix);
        return [.. request.Extensions.Members.Where(member => member.Key.Escaped.Span.StartsWith(start)).Select(member => (member.Key.Escaped[start.Length..], member.Value))];
    }

    private void WriteAdditional(ref JsonObjectWriter json)
    {
        if (isOwn)
        {
            return; // goes back whole, with the extensions
        }
        var members = new ArrayBufferWriter<byte>();
        var fields = new JsonObjectWriter(members);
        var topK = request.Sampling.TopK;
        if (!topK.IsEmpty)
        {
            if (isClaude && !claude.RefusesSampling && !IsThinking)
            {
                fields.Raw("top_k"u8, topK);
            }
            else
            {
                dropped.Add("top_k");
            }
        }
        if (request.Reasoning is { } reasoning)
        {
            WriteThinking(ref fields, members, reasoning);
        }
        fields.End();
        if (members.WrittenCount > 2)
        {
            json.Raw("additionalModelRequestFields"u8, members.WrittenSpan);
        }
    }

    private void WriteThinking(ref JsonObjectWriter fields, ArrayBufferWriter<byte> members, NeutralReasoning reasoning)
    {
        if (!isClaude)
        {
            Report(reasoning.Summary.Exists, "reasoning.summary");
            if (target.Model.Contains("nova-2", StringComparison.OrdinalIgnoreCase) && reasoning.Enabled != false && reasoning.Effort.ToString() is "low" or "medium" or "high")
            {
                fields.Name("reasoningConfig"u8);
                var nova = new JsonObjectWriter(members);
                nova.Text("type"u8, "enabled");
                nova.Text("maxReasoningEffort"u8, reasoning.Effort);
                nova.End();
            }
            else if (target.Model.Contains("gpt-oss", StringComparison.OrdinalIgnoreCase) && reasoning.Effort.ToString() is "low" or "medium" or "high")
            {
                fields.Text("reasoning_effort"u8, reasoning.Effort);
            }
            else if (reasoning.Enabled != false && reasoning.Effort.ToString() != "none")
            {
                dropped.Add("reasoning");
            }
            return;
        }
        AnthropicReasoning.Write(ref fields, members, plan, request);
        if (plan.Effort is not null)
        {
            fields.Name("output_config"u8);
            var config = new JsonObjectWriter(members);
            config.Text("effort"u8, plan.Effort);
            config.End();
        }
    }

    private void WriteOutputConfig(ref JsonObjectWriter json)
    {
        if (isOwn || answersByTool || request.OutputFormat is not { } format)
        {
            return;
        }
        json.Name("outputConfig"u8);
        output.Write("{\"textFormat\":{\"type\":\"json_schema\",\"structure\":{\"jsonSchema\":"u8);
        var schema = new JsonObjectWriter(output);
        schema.Name("schema"u8);
        output.WriteAsToken(format.Schema.Span);
        schema.Text("name"u8, format.Name);
        schema.Text("description"u8, format.Description);
        schema.End();
        output.Write("}}}"u8);
    }

    private void WriteTier(ref JsonObjectWriter json)
    {
        var tier = request.ServiceTier.ToString();
        if (isOwn || tier is "priority" or "flex" or "default" or "reserved")
        {
            json.Name("serviceTier"u8);
            output.Write("{\"type\":"u8);
            output.WriteText(request.ServiceTier);
            output.WriteByte((byte)'}');
        }
        else if (tier is not ("auto" or "standard_only"))
        {
            dropped.Add("service_tier");
        }
    }

    private void WriteMetadata(ref JsonObjectWriter json)
    {
        if (request.Metadata.IsEmpty)
        {
            return;
        }
        if (isOwn)
        {
            json.Raw("requestMetadata"u8, request.Metadata);
        }
        else if (request.Metadata.Length > 2)
        {
            dropped.Add("metadata"); // Bedrock refuses most of what stands in labels elsewhere
        }
    }
}
