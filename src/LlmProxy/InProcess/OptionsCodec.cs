using System.Text.Json;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;
using Microsoft.Extensions.AI;

namespace LlmProxy.InProcess;

/// <summary>Turns the options of Microsoft.Extensions.AI into those of a neutral request.</summary>
internal static class OptionsCodec
{
    /// <summary>The additional property of a tool or a format that demands strictness, as Microsoft.Extensions.AI's client of OpenAI names it.</summary>
    private const string Strict = "strict";

    /// <exception cref="NotSupportedException">An option asks for what the gateway does not do.</exception>
    public static void Read(ChatOptions options, NeutralRequest request, ChatForm form)
    {
        if (options.ConversationId is not null || options.ContinuationToken is not null)
        {
            throw new NotSupportedException("The gateway keeps no conversations for callers within the process: leave out 'ConversationId' and 'ContinuationToken' and send all messages.");
        }
        var sampling = request.Sampling;
        sampling.Temperature = MessageCodec.NumberOf(options.Temperature);
        sampling.TopP = MessageCodec.NumberOf(options.TopP);
        sampling.TopK = MessageCodec.NumberOf(options.TopK);
        sampling.FrequencyPenalty = MessageCodec.NumberOf(options.FrequencyPenalty);
        sampling.PresencePenalty = MessageCodec.NumberOf(options.PresencePenalty);
        sampling.Seed = MessageCodec.NumberOf(options.Seed);
        request.MaxOutputTokens = options.MaxOutputTokens;
        request.StopSequences.AddRange((options.StopSequences ?? []).Select(JsonText.From));
        request.ParallelToolCalls = options.Tools is { Count: > 0 } ? options.AllowMultipleToolCalls : null;
        ReadReasoning(options.Reasoning, request, form);
        ReadFormat(options, request, form);
        foreach (var tool in options.Tools ?? [])
        {
            request.Tools.Add(ToolOf(tool));
        }
        request.ToolChoice = options.Tools is { Count: > 0 } ? ChoiceOf(options.ToolMode) : null;
        foreach (var (name, value) in options.AdditionalProperties ?? [])
        {
            if (name != Strict)
            {
                request.Extensions.Add(JsonText.From(name), JsonSerializer.SerializeToUtf8Bytes(value, AIJsonUtilities.DefaultOptions));
            }
        }
    }

    private static void ReadReasoning(ReasoningOptions? reasoning, NeutralRequest request, ChatForm form)
    {
        var effort = reasoning?.Effort switch
        {
            ReasoningEffort.None => "none",
            ReasoningEffort.Low => "low",
            ReasoningEffort.Medium => "medium",
            ReasoningEffort.High => "high",
            ReasoningEffort.ExtraHigh => "xhigh",
            _ => null,
        };
        if (effort is not null)
        {
            form.Effort = JsonText.From(effort);
            request.Reasoning = new NeutralReasoning { Effort = form.Effort };
        }
    }

    private static void ReadFormat(ChatOptions options, NeutralRequest request, ChatForm form)
    {
        if (options.ResponseFormat is ChatResponseFormatText)
        {
            form.WantsText = true;
        }
        else if (options.ResponseFormat is ChatResponseFormatJson json)
        {
            request.OutputFormat = json.Schema is { } schema
                ? new NeutralOutputFormat
                {
                    Schema = JsonSerializer.SerializeToUtf8Bytes(schema),
                    Name = JsonText.From(json.SchemaName ?? "answer"),
                    Description = JsonText.FromNullable(json.SchemaDescription),
                    Strict = options.AdditionalProperties?.TryGetValue(Strict, out bool strict) == true ? strict : null,
                }
                : new NeutralOutputFormat();
        }
    }

    private static NeutralTool ToolOf(AITool tool) => tool is AIFunctionDeclaration function
        ? new NeutralTool
        {
            Name = JsonText.From(function.Name),
            Description = function.Description is { Length: > 0 } description ? JsonText.From(description) : default,
            Parameters = JsonSerializer.SerializeToUtf8Bytes(function.JsonSchema),
            Strict = function.AdditionalProperties.TryGetValue(Strict, out var strict) && strict is bool isStrict ? isStrict : null,
        }
        : throw new NotSupportedException($"The tool '{tool.Name}' is run by a provider; only functions can be passed to any model.");

    private static NeutralToolChoice? ChoiceOf(ChatToolMode? mode)
    {
        switch (mode)
        {
            case NoneChatToolMode:
                return new NeutralToolChoice { Mode = ToolChoiceMode.None };
            case AutoChatToolMode:
                return new NeutralToolChoice { Mode = ToolChoiceMode.Auto };
            case RequiredChatToolMode { RequiredFunctionName: { } name }:
                var choice = new NeutralToolChoice { Mode = ToolChoiceMode.Named };
                choice.Names.Add(JsonText.From(name));
                return choice;
            case RequiredChatToolMode:
                return new NeutralToolChoice { Mode = ToolChoiceMode.Required };
            default:
                return null;
        }
    }
}
