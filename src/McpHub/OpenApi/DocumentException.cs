namespace McpHub.OpenApi;

/// <summary>An OpenAPI document, or a part of it, cannot be used. The message is for admins: it may quote names from the document, cut and without control characters.</summary>
internal sealed class DocumentException(string message) : Exception(message)
{
    private const int LongestShown = 100;

    /// <summary>A text of the document for messages: in quotes, on one line, not endless.</summary>
    public static string Show(string text) => $"'{new string([.. text.Take(LongestShown).Select(c => char.IsControl(c) || char.IsSurrogate(c) ? '?' : c)])}{(text.Length > LongestShown ? "…" : "")}'";
}
