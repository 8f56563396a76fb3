using System.Globalization;
using System.Net;
using McpHub.Upstreams;
using Shared.Egress;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Where a document comes from: a file, or an address within the egress policy. Knows whether it may have changed.</summary>
internal sealed class DocumentSource(OpenApiSource source, HttpMessageInvoker client)
{
    private const int MaxRedirects = 5;

    private (DateTime Written, long Length) stamp;
    private string? tag;

    /// <summary>Whether the file is not as it was when it was read last. Of an address, nobody knows.</summary>
    public bool HasChanged() => source.DocumentUrl is null && Stamp() != stamp;

    /// <summary>What was read was no good: it is read again the next time, whether it changes or not.</summary>
    public void Forget() => tag = null;

    /// <summary>The document's bytes; null: they are the same as before.</summary>
    /// <exception cref="DocumentException">They cannot be had.</exception>
    public async Task<byte[]?> ReadAsync(CancellationToken cancellationToken)
    {
        try
        {
            return source.DocumentUrl is { } url ? await DownloadAsync(url, cancellationToken) : await ReadFileAsync(cancellationToken);
        }
        catch (Exception exception) when (EgressRefusedException.Causes(exception))
        {
            throw new DocumentException("The egress policy does not allow its address; the log names it.");
        }
        catch (Exception exception) when (exception is HttpRequestException or (IOException and not FileNotFoundException and not DirectoryNotFoundException) or UnauthorizedAccessException or NotSupportedException or System.Security.SecurityException)
        {
            throw new DocumentException($"It cannot be read ({exception.GetType().Name}).");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            // The handler's own time for connecting has passed.
            throw new DocumentException("Its address does not answer.");
        }
    }

    private (DateTime Written, long Length) Stamp()
    {
        try
        {
            var file = new FileInfo(source.Document);
            return file.Exists ? (file.LastWriteTimeUtc, file.Length) : default;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException)
        {
            return default;
        }
    }

    private async Task<byte[]> ReadFileAsync(CancellationToken cancellationToken)
    {
        // Before it is read: a change in between is seen the next time.
        stamp = Stamp();
        try
        {
            await using var file = new FileStream(source.Document, new FileStreamOptions { Mode = FileMode.Open, Access = FileAccess.Read, Share = FileShare.ReadWrite | FileShare.Delete, Options = FileOptions.Asynchronous });
            return await ReadAsync(file, cancellationToken);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException or ArgumentException)
        {
            throw new DocumentException($"There is no file {DocumentException.Show(source.Document)}.");
        }
    }

    private async Task<byte[]?> DownloadAsync(Uri url, CancellationToken cancellationToken)
    {
        for (var hop = 0; hop <= MaxRedirects; hop++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, url);
            request.Headers.TryAddWithoutValidation("Accept", "application/json, application/yaml, */*;q=0.5");
            request.Headers.TryAddWithoutValidation("User-Agent", "agent-gateway");
            if (tag is not null)
            {
                request.Headers.TryAddWithoutValidation("If-None-Match", tag);
            }
            using var response = await client.SendAsync(request, cancellationToken);
            if (response.StatusCode == HttpStatusCode.NotModified && tag is not null)
            {
                return null;
            }
            if (Redirects.Next(url, response) is { } next)
            {
                url = next;
                continue;
            }
            if (response.StatusCode != HttpStatusCode.OK)
            {
                throw new DocumentException(string.Create(CultureInfo.InvariantCulture, $"Its address answers with HTTP status {(int)response.StatusCode}{(Redirects.Is(response) ? ", which leads to another host; name that one" : "")}."));
            }
            if (response.Content.Headers.ContentEncoding.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
            {
                throw new DocumentException("Its address answers with compressed bytes that nobody asked for.");
            }
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            var bytes = await ReadAsync(body, cancellationToken);
            tag = response.Headers.ETag?.ToString();
            return bytes;
        }
        throw new DocumentException(FormattableString.Invariant($"Its address redirects more than {MaxRedirects} times."));
    }

    private async Task<byte[]> ReadAsync(Stream stream, CancellationToken cancellationToken)
    {
        using var bytes = new PooledBytes(64 * 1024);
        while (await bytes.ReadFromAsync(stream, cancellationToken) > 0)
        {
            if (bytes.Length > source.MaxDocumentBytes)
            {
                throw new DocumentException(FormattableString.Invariant($"It has more than {source.MaxDocumentBytes} bytes, the limit under upstream.limits.maxDocumentBytes."));
            }
        }
        return bytes.Written.ToArray();
    }
}

/// <summary>Redirects, which are followed within one server only: credentials and trust belong to it.</summary>
internal static class Redirects
{
    /// <summary>Whether an answer is one.</summary>
    public static bool Is(HttpResponseMessage response) => (int)response.StatusCode is 301 or 302 or 303 or 307 or 308;

    /// <summary>Where to go on; null: nowhere, or to another server.</summary>
    public static Uri? Next(Uri from, HttpResponseMessage response)
    {
        if (!Is(response) || response.Headers.Location is not { } location || !Uri.TryCreate(from, location, out var next))
        {
            return null;
        }
        return next.UserInfo.Length == 0 && Uri.Compare(from, next, UriComponents.SchemeAndServer, UriFormat.UriEscaped, StringComparison.OrdinalIgnoreCase) == 0 ? next : null;
    }
}
