using System.Buffers;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>The event by which a stream says that it broke off. OpenAI's schema has its members flat, its servers nest them under <c>error</c>, and each client reads one of the two: both are there.</summary>
internal static class ResponsesErrorEvent
{
    /// <summary>Writes the event.</summary>
    /// <param name="output">Receives it.</param>
    /// <param name="sequence">Its number in the stream.</param>
    /// <param name="error">What is wrong.</param>
    public static void Write(IBufferWriter<byte> output, long sequence, AnswerError error)
    {
        output.Write("event: error\ndata: "u8);
        WriteData(output, sequence, error);
        output.Write("\n\n"u8);
    }

    /// <summary>Writes the event's data alone.</summary>
    public static void WriteData(IBufferWriter<byte> output, long sequence, AnswerError error)
    {
        var json = new JsonObjectWriter(output);
        json.Text("type"u8, "error");
        json.Number("sequence_number"u8, sequence);
        json.Name("code"u8);
        output.WriteText(error.Code ?? CodeOf(error));
        json.Text("message"u8, error.Message);
        json.Name("param"u8);
        output.WriteText(error.Field);
        json.Name("error"u8);
        WriteNested(output, error);
        json.End();
    }

    /// <summary>Writes the nested members alone, as an object.</summary>
    public static void WriteNested(IBufferWriter<byte> output, AnswerError error)
    {
        var nested = new JsonObjectWriter(output);
        nested.Text("type"u8, TypeOf(error));
        nested.Text("code"u8, error.Code ?? CodeOf(error));
        nested.Text("message"u8, error.Message);
        nested.Name("param"u8);
        output.WriteText(error.Field);
        nested.End();
    }

    /// <summary>The <c>code</c> of a failed response: one of OpenAI's closed list where it fits.</summary>
    public static string CodeOf(AnswerError error) => error.Type switch
    {
        "rate_limit" => "rate_limit_exceeded",
        "invalid_request" => "invalid_prompt",
        _ => "server_error",
    };

    private static string TypeOf(AnswerError error) => error.Type switch
    {
        "rate_limit" => "rate_limit_error",
        "authentication" => "authentication_error",
        "permission" => "permission_error",
        "timeout" => "timeout_error",
        "server" or "overloaded" => "server_error",
        _ => "invalid_request_error",
    };
}
