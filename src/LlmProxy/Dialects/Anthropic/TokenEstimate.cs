using LlmProxy.Neutral;

namespace LlmProxy.Dialects.Anthropic;

/// <summary>
/// A guess at a request's input tokens, for models whose provider counts none: four ASCII characters to a token, two bytes of any other script; 1,600 tokens to an image, a page's worth (2,000)
/// to each 50,000 characters of a document's base64, and what comes with messages and tools. Made for deciding when a context grows full, not for bills.
/// </summary>
internal static class TokenEstimate
{
    private const double BytesPerToken = 4;
    private const double OtherBytesPerToken = 2;
    private const double ImageTokens = 1600;
    private const double PageTokens = 2000;
    private const double PageCharacters = 50_000;
    private const double MessageTokens = 4;
    private const double ToolTokens = 350;

    /// <summary>The guess; at least 1.</summary>
    public static long Of(NeutralRequest request)
    {
        var sum = request.Messages.Sum(message => MessageTokens + message.Parts.Sum(Of));
        if (request.Tools.Count > 0)
        {
            sum += ToolTokens + request.Tools.Sum(tool => Of(tool.Name) + Of(tool.Description) + Of(tool.Parameters.Span) + Of(tool.Raw.Span));
        }
        if (request.OutputFormat is { } format)
        {
            sum += Of(format.Schema.Span);
        }
        return Math.Max(1, (long)Math.Ceiling(sum));
    }

    private static double Of(NeutralPart part) => part switch
    {
        TextPart text => Of(text.Text),
        RefusalPart refusal => Of(refusal.Text),
        MediaPart { Kind: MediaKind.Image } => ImageTokens,
        MediaPart { Text.Exists: true } document => Of(document.Text),
        MediaPart media => PageTokens * Math.Max(1, media.Data.Escaped.Length / PageCharacters),
        ToolCallPart call => Of(call.Name) + Of(call.Arguments.Span) + Of(call.Text),
        ToolResultPart result => result.Content.Sum(Of) + Of(result.Json.Span),
        ReasoningPart thought => Of(thought.Text),
        NativePart native => Of(native.Raw.Span),
        _ => 0,
    };

    private static double Of(JsonText text) => Of(text.Escaped.Span);

    private static double Of(ReadOnlySpan<byte> utf8)
    {
        var others = 0;
        foreach (var letter in utf8)
        {
            others += letter >> 7;
        }
        return ((utf8.Length - others) / BytesPerToken) + (others / OtherBytesPerToken);
    }
}
