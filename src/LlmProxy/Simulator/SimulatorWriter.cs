using System.Text.Encodings.Web;
using System.Text.Json;

namespace LlmProxy.Simulator;

/// <summary>Writes the simulator's answers in OpenAI's wire format.</summary>
internal static class SimulatorWriter
{
    private const string Id = "chatcmpl-simulated";

    private static readonly JsonWriterOptions Options = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    public static byte[] Error(string message, string code, string member) => Json(json =>
    {
        json.WriteStartObject("error");
        json.WriteString("message", message);
        json.WriteString("type", "invalid_request_error");
        json.WriteString("param", member);
        json.WriteString("code", code);
        json.WriteEndObject();
    });

    public static byte[] Completion(SimulatorPrompt prompt, SimulatorReply reply) => Json(json =>
    {
        WriteHead(json, prompt, "chat.completion");
        json.WriteStartArray("choices");
        for (var index = 0; index < prompt.Choices; index++)
        {
            json.WriteStartObject();
            json.WriteNumber("index", index);
            json.WriteStartObject("message");
            json.WriteString("role", "assistant");
            if (reply.Call is { } call)
            {
                json.WriteNull("content");
                json.WriteStartArray("tool_calls");
                WriteCall(json, reply.CallId, call.Name, call.Arguments, null);
                json.WriteEndArray();
            }
            else
            {
                json.WriteString("content", string.Concat(reply.Pieces));
            }
            json.WriteNull("refusal");
            json.WriteEndObject();
            json.WriteNull("logprobs");
            json.WriteString("finish_reason", reply.FinishReason);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        WriteUsage(json, prompt, reply);
    });

    public static byte[] Stream(SimulatorPrompt prompt, SimulatorReply reply)
    {
        using var output = new MemoryStream();
        for (var index = 0; index < prompt.Choices; index++)
        {
            Chunk(output, prompt, index, null, json =>
            {
                json.WriteString("role", "assistant");
                json.WriteString("content", "");
            });
            if (reply.Call is { } call)
            {
                Chunk(output, prompt, index, null, json => WriteCalls(json, () => WriteCall(json, reply.CallId, call.Name, "", 0)));
                var half = call.Arguments.Length / 2;
                foreach (var part in (string[])[call.Arguments[..half], call.Arguments[half..]])
                {
                    Chunk(output, prompt, index, null, json => WriteCalls(json, () => WriteArguments(json, part)));
                }
            }
            foreach (var piece in reply.Pieces)
            {
                Chunk(output, prompt, index, null, json => json.WriteString("content", piece));
            }
            Chunk(output, prompt, index, reply.FinishReason, _ => { });
        }
        if (prompt.IncludeUsage)
        {
            Event(output, Json(json =>
            {
                WriteHead(json, prompt, "chat.completion.chunk");
                json.WriteStartArray("choices");
                json.WriteEndArray();
                WriteUsage(json, prompt, reply);
            }));
        }
        Event(output, "[DONE]"u8);
        return output.ToArray();
    }

    private static void Chunk(MemoryStream output, SimulatorPrompt prompt, int index, string? finish, Action<Utf8JsonWriter> delta) => Event(output, Json(json =>
    {
        WriteHead(json, prompt, "chat.completion.chunk");
        json.WriteStartArray("choices");
        json.WriteStartObject();
        json.WriteNumber("index", index);
        json.WriteStartObject("delta");
        delta(json);
        json.WriteEndObject();
        json.WriteNull("logprobs");
        json.WriteString("finish_reason", finish);
        json.WriteEndObject();
        json.WriteEndArray();
        if (prompt.IncludeUsage)
        {
            json.WriteNull("usage");
        }
    }));

    private static void WriteCalls(Utf8JsonWriter json, Action call)
    {
        json.WriteStartArray("tool_calls");
        call();
        json.WriteEndArray();
    }

    private static void WriteCall(Utf8JsonWriter json, string id, string name, string arguments, int? index)
    {
        json.WriteStartObject();
        if (index is { } position)
        {
            json.WriteNumber("index", position);
        }
        json.WriteString("id", id);
        json.WriteString("type", "function");
        json.WriteStartObject("function");
        json.WriteString("name", name);
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteArguments(Utf8JsonWriter json, string arguments)
    {
        json.WriteStartObject();
        json.WriteNumber("index", 0);
        json.WriteStartObject("function");
        json.WriteString("arguments", arguments);
        json.WriteEndObject();
        json.WriteEndObject();
    }

    private static void WriteHead(Utf8JsonWriter json, SimulatorPrompt prompt, string kind)
    {
        json.WriteString("id", Id);
        json.WriteString("object", kind);
        json.WriteNumber("created", 0);
        json.WriteString("model", prompt.Model);
        json.WriteString("system_fingerprint", "simulator");
    }

    private static void WriteUsage(Utf8JsonWriter json, SimulatorPrompt prompt, SimulatorReply reply)
    {
        var completion = reply.Tokens * prompt.Choices;
        json.WriteStartObject("usage");
        json.WriteNumber("prompt_tokens", prompt.PromptTokens);
        json.WriteNumber("completion_tokens", completion);
        json.WriteNumber("total_tokens", prompt.PromptTokens + completion);
        json.WriteEndObject();
    }

    internal static void Event(MemoryStream output, ReadOnlySpan<byte> data)
    {
        output.Write("data: "u8);
        output.Write(data);
        output.Write("\n\n"u8);
    }

    internal static byte[] Json(Action<Utf8JsonWriter> members)
    {
        using var output = new MemoryStream();
        using (var json = new Utf8JsonWriter(output, Options))
        {
            json.WriteStartObject();
            members(json);
            json.WriteEndObject();
        }
        return output.ToArray();
    }
}
