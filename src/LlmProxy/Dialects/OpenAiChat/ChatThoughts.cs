using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Writes signed thoughts in the forms that clients and providers of this dialect took over.</summary>
internal static class ChatThoughts
{
    /// <summary>Writes one of OpenRouter's <c>reasoning_details</c>.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="index">Its number in the message.</param>
    /// <param name="isSummary">Whether the text is a summary.</param>
    /// <param name="text">The thoughts; none where only a signature or encrypted thoughts came.</param>
    /// <param name="signature">What binds them to their provider; null: nothing.</param>
    /// <param name="id">The item's id; none: it has none.</param>
    public static void WriteDetail(IBufferWriter<byte> output, int index, bool isSummary, JsonText text, NeutralSignature? signature, JsonText id)
    {
        var json = new JsonObjectWriter(output);
        if (isSummary && signature is null)
        {
            json.Text("type"u8, "reasoning.summary");
            json.Text("summary"u8, text);
        }
        else if (!text.IsBlank || signature is null)
        {
            json.Text("type"u8, "reasoning.text");
            json.Text("text"u8, text);
            json.Text("signature"u8, signature?.Data ?? default);
        }
        else
        {
            json.Text("type"u8, "reasoning.encrypted");
            json.Text("data"u8, signature.Data);
        }
        json.Text("id"u8, id);
        json.Text("format"u8, signature is null ? "unknown" : ChatIds.FormatOf(signature.Family));
        json.Number("index"u8, index);
        json.End();
    }

    /// <summary>Writes one of Anthropic's blocks, as <c>thinking_blocks</c> hold them. The number lets clients that collect streams tell one from another.</summary>
    public static void WriteBlock(IBufferWriter<byte> output, int index, JsonText text, JsonText signature, bool isRedacted)
    {
        var json = new JsonObjectWriter(output);
        json.Number("index"u8, index);
        json.Text("type"u8, isRedacted ? "redacted_thinking" : "thinking");
        if (isRedacted)
        {
            json.Text("data"u8, signature);
        }
        else
        {
            json.Text("thinking"u8, text.Exists ? text : JsonText.Empty);
            json.Text("signature"u8, signature);
        }
        json.End();
    }
}
