using System.Text.Json;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Responses;

/// <summary>Reads errors, which stand in an answer's <c>error</c>, in an event flat or nested, or in a failed response.</summary>
internal static class ResponsesErrors
{
    /// <summary>Reads an error answer of any form.</summary>
    public static AnswerError Read(int status, ReadOnlySpan<byte> body) => Refine(ChatErrors.Read(status, body));

    /// <summary>Reads an <c>error</c> event: OpenAI's schema has its members flat, its servers nest them.</summary>
    public static AnswerError ReadEvent(ReadOnlySpan<byte> data)
    {
        try
        {
            var members = JsonMembers.Of(data.ToArray());
            if (members.Take("error"u8) is { IsObject: true } nested)
            {
                return Refine(ChatErrors.ReadObject(0, nested.Raw.Span));
            }
            members.Take("type"u8); // "error"
            return Refine(ChatErrors.ReadObject(0, Without(data)));
        }
        catch (JsonException)
        {
            return ChatErrors.Read(0, data);
        }
    }

    /// <summary>Reads the <c>error</c> of a failed response.</summary>
    public static AnswerError ReadFailed(ReadOnlySpan<byte> error) => Refine(error.IsEmpty || error[0] != (byte)'{' ? ChatErrors.Read(0, default) : ChatErrors.ReadObject(0, error));

    /// <summary>The flat members without the type, which says nothing but that this is an error.</summary>
    private static byte[] Without(ReadOnlySpan<byte> data)
    {
        var members = JsonMembers.Of(data.ToArray());
        var output = new System.Buffers.ArrayBufferWriter<byte>(data.Length);
        var json = new JsonObjectWriter(output);
        json.Raw("code"u8, members.Take("code"u8).Raw);
        json.Raw("message"u8, members.Take("message"u8).Raw);
        json.Raw("param"u8, members.Take("param"u8).Raw);
        json.End();
        return output.WrittenSpan.ToArray();
    }

    private static AnswerError Refine(AnswerError error) => error.Code switch
    {
        "server_is_overloaded" or "slow_down" => error with { Status = 503, Type = "overloaded" },
        "context_length_exceeded" or "invalid_prompt" => error with { Status = 400, Type = "invalid_request" },
        "server_error" when error.Status is < 500 => error with { Status = 500, Type = "server" },
        _ => error,
    };
}
