using System.Text.Json;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>Guesses the tokens of a request: four bytes of text to a token.</summary>
internal static class TokenGuess
{
    private const int BytesOfToken = 4;

    /// <summary>The guess for all texts and schemas of a body; base64 is none.</summary>
    public static long Of(ReadOnlyMemory<byte> body)
    {
        var reader = new Utf8JsonReader(body.Span, new JsonReaderOptions { MaxDepth = 256 });
        var bytes = 0L;
        while (reader.Read())
        {
            if (reader.TokenType is JsonTokenType.String or JsonTokenType.PropertyName or JsonTokenType.Number && !reader.ValueSpan.StartsWith("data:"u8))
            {
                bytes += reader.ValueSpan.Length + 1;
            }
        }
        return bytes / BytesOfToken + 1;
    }
}
