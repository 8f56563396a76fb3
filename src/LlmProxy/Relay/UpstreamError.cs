using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Relay;

/// <summary>An upstream's error answer, kept to be relayed with its body unmodified.</summary>
internal sealed class UpstreamError(TargetPlan target, int status, string? contentType, ReadOnlyMemory<byte> bytes, PooledBody? body) : IDisposable
{
    private readonly List<KeyValuePair<string, string>> headers = [];

    /// <summary>Who answered so.</summary>
    public TargetPlan Target { get; } = target;

    public int Status { get; } = status;

    /// <summary>Keeps what may be passed on of the answer's headers; the rest goes with the answer.</summary>
    public void Keep(HttpResponseMessage upstream)
    {
        if (upstream.Content.Headers.NonValidated.TryGetValues("Content-Encoding", out var encoding) && ResponseHeaders.IsPlain(encoding.ToString()))
        {
            headers.Add(new("Content-Encoding", encoding.ToString()));
        }
        foreach (var header in upstream.Headers.NonValidated)
        {
            if (ResponseHeaders.NameFor(header.Key, limitsAreOurs: false) is { } name && header.Value.ToString() is var value && ResponseHeaders.IsPlain(value))
            {
                headers.Add(new(name, value));
            }
        }
    }

    public async Task WriteAsync(HttpResponse response, CancellationToken cancellationToken)
    {
        response.StatusCode = Status;
        response.ContentType = ResponseHeaders.IsPlain(contentType) ? contentType : null;
        response.ContentLength = bytes.Length;
        foreach (var (name, value) in headers)
        {
            if (!response.Headers.ContainsKey(name))
            {
                response.Headers[name] = value;
            }
        }
        await response.Body.WriteAsync(bytes, cancellationToken);
    }

    public void Dispose() => body?.Dispose();
}
