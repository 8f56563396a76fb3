using LlmProxy.Neutral;

namespace LlmProxy.Dialects.OpenAiChat;

/// <summary>Names that this dialect makes up or turns into others.</summary>
internal static class ChatIds
{
    /// <summary>What the made-up id of a deprecated <c>function_call</c>, which has none, begins with.</summary>
    public static ReadOnlySpan<byte> FunctionCallPrefix => "function_call_"u8;

    /// <summary>Whether a call stood in <c>function_call</c> rather than in <c>tool_calls</c>.</summary>
    public static bool IsFunctionCall(JsonText id) => id.Escaped.Span.StartsWith(FunctionCallPrefix);

    /// <summary>The family of a signature by the <c>format</c> of OpenRouter's <c>reasoning_details</c>.</summary>
    public static string FamilyOf(JsonText format)
    {
        var name = format.Escaped.Span;
        return name.StartsWith("anthropic"u8) ? SignatureFamilies.Anthropic
            : name.StartsWith("google"u8) ? SignatureFamilies.Google
            : name.StartsWith("openai"u8) ? SignatureFamilies.OpenAi
            : format.IsBlank ? "unknown" : format.ToString();
    }

    /// <summary>The <c>format</c> of <c>reasoning_details</c> that hold signatures of a family.</summary>
    public static string FormatOf(string family) => family switch
    {
        SignatureFamilies.Anthropic => "anthropic-claude-v1",
        SignatureFamilies.Google => "google-gemini-v1",
        SignatureFamilies.OpenAi => "openai-responses-v1",
        _ => family,
    };

    /// <summary>The media type of a sound by the name of its format.</summary>
    public static JsonText AudioTypeOf(JsonText format) =>
        !format.Exists ? default : format.Is("mp3"u8) ? JsonText.From("audio/mpeg") : JsonText.FromEscaped([.. "audio/"u8, .. format.Escaped.Span]);

    /// <summary>The name of a sound's format by its media type.</summary>
    public static JsonText AudioFormatOf(JsonText mediaType)
    {
        if (!mediaType.Exists)
        {
            return JsonText.From("wav");
        }
        var type = mediaType.ToString();
        type = type.Contains(';') ? type[..type.IndexOf(';')] : type;
        return JsonText.From(type switch
        {
            "audio/mpeg" or "audio/mp3" => "mp3",
            "audio/wav" or "audio/x-wav" or "audio/wave" or "audio/vnd.wave" => "wav",
            "audio/L16" or "audio/l16" or "audio/pcm" => "pcm16",
            _ => type.StartsWith("audio/", StringComparison.OrdinalIgnoreCase) ? type["audio/".Length..] : type,
        });
    }
}
