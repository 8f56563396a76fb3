using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Writes what was used as OpenAI counts it: cached tokens within the prompt, reasoning within the completion.</summary>
internal static class ChatUsage
{
    /// <summary>Writes the object.</summary>
    public static void Write(IBufferWriter<byte> output, in AnswerUsage usage)
    {
        var tokens = usage.Tokens;
        var json = new JsonObjectWriter(output);
        json.Number("prompt_tokens"u8, tokens.TotalInput);
        json.Number("completion_tokens"u8, tokens.TotalOutput);
        json.Number("total_tokens"u8, tokens.Total);
        json.Name("prompt_tokens_details"u8);
        var input = new JsonObjectWriter(output);
        input.Number("cached_tokens"u8, tokens.CacheRead);
        input.Number("cache_write_tokens"u8, tokens.CacheWrite + tokens.CacheWrite1h);
        input.Number("audio_tokens"u8, tokens.AudioInput);
        input.Number("image_tokens"u8, tokens.ImageInput > 0 ? tokens.ImageInput : null);
        input.End();
        json.Name("completion_tokens_details"u8);
        var details = new JsonObjectWriter(output);
        details.Number("reasoning_tokens"u8, tokens.Reasoning);
        details.Number("audio_tokens"u8, tokens.AudioOutput);
        details.Number("image_tokens"u8, tokens.ImageOutput > 0 ? tokens.ImageOutput : null);
        details.Number("accepted_prediction_tokens"u8, 0);
        details.Number("rejected_prediction_tokens"u8, 0);
        details.End();
        json.Raw("server_tool_use"u8, usage.ServerTools);
        json.End();
    }
}
