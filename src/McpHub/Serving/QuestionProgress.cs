using McpHub.Upstreams;

namespace McpHub.Serving;

/// <summary>
/// While a client of a session is asked something, lets whoever asks hear how far it is (specification 2025-11-25, basic/utilities/progress). As several servers may ask at the same
/// time under the same token, the client is given one of the session's own.
/// </summary>
internal sealed class QuestionProgress : IDisposable
{
    private readonly ClientSession session;
    private readonly string? token;

    /// <param name="session">The client's session.</param>
    /// <param name="parameters">The raw <c>params</c> of the question.</param>
    /// <param name="onProgress">Receives the raw <c>params</c> of each report with the asker's own token; null: nobody wants them.</param>
    public QuestionProgress(ClientSession session, ReadOnlyMemory<byte> parameters, Func<ReadOnlyMemory<byte>, ValueTask>? onProgress)
    {
        (this.session, Params) = (session, parameters);
        var meta = onProgress is null || parameters.IsEmpty ? default : JsonMembers.FindObject(parameters.Span, "_meta"u8);
        if (meta.IsEmpty || JsonMembers.FindRaw(meta, "progressToken"u8) is not { IsEmpty: false } asked)
        {
            return;
        }
        var own = asked.ToArray();
        token = session.BeginHearing(report => onProgress!(Replace(report, JsonMembers.FindRaw(report.Span, "progressToken"u8), own)));
        Params = Replace(parameters, asked, RawJson.String(token));
    }

    /// <summary>The <c>params</c> that the client is sent.</summary>
    public ReadOnlyMemory<byte> Params { get; }

    public void Dispose()
    {
        if (token is not null)
        {
            session.EndHearing(token);
        }
    }

    /// <summary>A text with something else in the place of one of its parts.</summary>
    private static ReadOnlyMemory<byte> Replace(ReadOnlyMemory<byte> text, ReadOnlySpan<byte> part, ReadOnlySpan<byte> other) =>
        text.Span.Overlaps(part, out var offset) ? (byte[])[.. text.Span[..offset], .. other, .. text.Span[(offset + part.Length)..]] : text;
}
