using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Looks at an OpenAPI document as the gateway would, without connecting to anything.</summary>
internal static class OpenApiInspection
{
    /// <summary>What becomes of a document that is a file, or why nothing does.</summary>
    public static (ApiDocument? Api, string? Problem) Read(ToolManifest manifest)
    {
        var source = manifest.OpenApi ?? throw new InvalidOperationException("The manifest has no OpenAPI document.");
        try
        {
            var file = new FileInfo(source.Document);
            if (!file.Exists)
            {
                return (null, $"There is no file {DocumentException.Show(source.Document)}.");
            }
            return file.Length > source.MaxDocumentBytes ? (null, FormattableString.Invariant($"It has more than {source.MaxDocumentBytes} bytes, the limit under upstream.limits.maxDocumentBytes."))
                : (ApiReader.Read(DocumentText.Parse(File.ReadAllBytes(source.Document)), source, OwnHeaders.Of(manifest)), null);
        }
        catch (DocumentException exception)
        {
            return (null, exception.Message);
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            return (null, $"It cannot be read ({exception.GetType().Name}).");
        }
    }
}
