using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary><c>echo</c> as a text completion: each prompt's text comes back, <c>n</c> times, after the prompt itself where <c>echo</c> is set.</summary>
internal static class SimulatorTexts
{
    private const int UsualOutput = 16;

    private const int MaxAnswers = 4096;

    private const int MaxCharacters = 8 * 1024 * 1024;

    public static SimulatorAnswer Reply(JsonElement root)
    {
        if (SimulatorPrompt.Text(SimulatorPrompt.Member(root, "model")) != "echo")
        {
            return SimulatorAnswer.UnknownModel("The simulator has one model for text completions: 'echo'.");
        }
        if (SimulatorInput.Read(SimulatorPrompt.Member(root, "prompt")) is not { } prompts)
        {
            return SimulatorAnswer.Invalid("'prompt' must be a text, token numbers, or an array of them.", "invalid_prompt", "prompt");
        }
        var choices = Math.Max(1, SimulatorPrompt.Number(SimulatorPrompt.Member(root, "n")) ?? 1);
        var candidates = SimulatorPrompt.Number(SimulatorPrompt.Member(root, "best_of")) ?? choices;
        if (candidates < choices)
        {
            return SimulatorAnswer.Invalid("'best_of' must not be less than 'n'.", "invalid_best_of", "best_of");
        }
        if ((long)choices * prompts.Count > MaxAnswers)
        {
            return SimulatorAnswer.Invalid($"'n' times the number of prompts must not exceed {MaxAnswers}.", "invalid_n", "n");
        }
        var limit = SimulatorPrompt.Number(SimulatorPrompt.Member(root, "max_tokens")) ?? UsualOutput;
        var replies = prompts.Select(prompt => SimulatorReply.Limited($"[simulator] You said: {prompt.Text}", limit)).ToList();
        var answers = new List<Answer>();
        for (var index = 0; index < prompts.Count * choices; index++)
        {
            answers.Add(new Answer(index, prompts[index / choices], replies[index / choices]));
        }
        if (replies.Sum(reply => (long)reply.Tokens * 4) * choices + prompts.Sum(prompt => (long)prompt.Text.Length) * choices > MaxCharacters)
        {
            return SimulatorAnswer.Invalid($"The answers would have more than {MaxCharacters} characters together. Ask for fewer.", "invalid_n", "n");
        }
        var isStream = SimulatorPrompt.Member(root, "stream") is { ValueKind: JsonValueKind.True };
        var options = SimulatorPrompt.Member(root, "stream_options");
        var request = new Request(
            SimulatorPrompt.Member(root, "echo") is { ValueKind: JsonValueKind.True },
            isStream && options is { ValueKind: JsonValueKind.Object } given && SimulatorPrompt.Member(given, "include_usage") is { ValueKind: JsonValueKind.True },
            prompts.Sum(prompt => (long)prompt.Tokens), replies.Sum(reply => (long)reply.Tokens) * candidates);
        return isStream ? new(Stream(request, answers), Type: "text/event-stream") : new(Completion(request, answers));
    }

    private static byte[] Completion(Request request, List<Answer> answers) => SimulatorWriter.Json(json =>
    {
        WriteHead(json);
        json.WriteStartArray("choices");
        foreach (var answer in answers)
        {
            WriteChoice(json, answer.Index, (request.Echo ? answer.Prompt.Text : "") + string.Concat(answer.Reply.Pieces), answer.Reply.FinishReason);
        }
        json.WriteEndArray();
        WriteUsage(json, request);
    });

    private static byte[] Stream(Request request, List<Answer> answers)
    {
        using var output = new MemoryStream();
        foreach (var answer in answers)
        {
            var pieces = request.Echo ? answer.Reply.Pieces.Prepend(answer.Prompt.Text) : answer.Reply.Pieces;
            foreach (var piece in pieces)
            {
                Chunk(output, request, answer.Index, piece, null);
            }
            Chunk(output, request, answer.Index, "", answer.Reply.FinishReason);
        }
        if (request.IncludeUsage)
        {
            SimulatorWriter.Event(output, SimulatorWriter.Json(json =>
            {
                WriteHead(json);
                json.WriteStartArray("choices");
                json.WriteEndArray();
                WriteUsage(json, request);
            }));
        }
        SimulatorWriter.Event(output, "[DONE]"u8);
        return output.ToArray();
    }

    private static void Chunk(MemoryStream output, Request request, int index, string text, string? finish) => SimulatorWriter.Event(output, SimulatorWriter.Json(json =>
    {
        WriteHead(json);
        json.WriteStartArray("choices");
        WriteChoice(json, index, text, finish);
        json.WriteEndArray();
        if (request.IncludeUsage)
        {
            json.WriteNull("usage");
        }
    }));

    private static void WriteHead(Utf8JsonWriter json)
    {
        json.WriteString("id", "cmpl-simulated");
        json.WriteString("object", "text_completion");
        json.WriteNumber("created", 0);
        json.WriteString("model", "echo");
        json.WriteString("system_fingerprint", "simulator");
    }

    private static void WriteChoice(Utf8JsonWriter json, int index, string text, string? finish)
    {
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteString("text", text);
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", finish);
        json.WriteEndObject();
    }

    private static void WriteUsage(Utf8JsonWriter json, Request request)
    {
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", request.PromptTokens);
        json.WriteNumber("completion_tokens", request.CompletionTokens);
        json.WriteNumber("total_tokens", request.PromptTokens + request.CompletionTokens);
        json.WriteEndObject();
    }

    private readonly record struct Answer(int Index, SimulatorInput Prompt, SimulatorReply Reply);

    private readonly record struct Request(bool Echo, bool IncludeUsage, long PromptTokens, long CompletionTokens);
}
