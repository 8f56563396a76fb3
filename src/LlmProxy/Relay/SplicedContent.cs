using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;

namespace LlmProxy.Relay;

/// <summary>A request body that is at hand as a whole, and can be hashed without being put together.</summary>
internal interface IHashedContent
{
    /// <summary>SHA-256 of what is sent, hexadecimal.</summary>
    string Hash();
}

/// <summary>A request body that is written as slices of the client's with the edits between them; it is never put together in memory.</summary>
internal sealed class SplicedContent : HttpContent, IHashedContent
{
    private static readonly MediaTypeHeaderValue Json = new("application/json");

    private readonly ReadOnlyMemory<byte> body;
    private readonly EditList edits;

    public SplicedContent(ReadOnlyMemory<byte> body, EditList edits)
    {
        this.body = body;
        this.edits = edits;
        Headers.ContentType = Json;
    }

    /// <summary>Whether any of it may have been sent. Before that, a failed attempt has cost nothing for certain.</summary>
    public bool Started { get; private set; }

    /// <summary>SHA-256 of what is sent, hexadecimal; nothing is put together for it.</summary>
    public string Hash()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var position = 0;
        foreach (var edit in edits.Edits)
        {
            hash.AppendData(body.Span[position..edit.Offset]);
            hash.AppendData(edit.Replacement.Span);
            position = edit.Offset + edit.Length;
        }
        hash.AppendData(body.Span[position..]);
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Started = true;
        return edits.Count == 0 ? stream.WriteAsync(body, cancellationToken).AsTask() : WriteEditedAsync(stream, cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = body.Length + edits.Growth;
        return true;
    }

    private async Task WriteEditedAsync(Stream stream, CancellationToken cancellationToken)
    {
        var position = 0;
        for (var i = 0; i < edits.Count; i++)
        {
            var edit = edits[i];
            if (edit.Offset > position)
            {
                await stream.WriteAsync(body[position..edit.Offset], cancellationToken);
            }
            await stream.WriteAsync(edit.Replacement, cancellationToken);
            position = edit.Offset + edit.Length;
        }
        await stream.WriteAsync(body[position..], cancellationToken);
    }
}
