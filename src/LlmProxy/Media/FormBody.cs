using System.Buffers;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Shared.Http;

namespace LlmProxy.Media;

/// <summary>
/// A form that goes up while it comes in. As much as may be held is kept as well, so that another target can be asked with it from its beginning; of a larger one only the
/// piece that is on its way is held, and it can be sent once.
/// </summary>
internal sealed class FormBody : IAsyncDisposable
{
    /// <summary>Forms up to this size are read before anything is sent: all their fields are known then.</summary>
    public const int AlwaysHeld = 1024 * 1024;

    /// <summary>The least room for what comes next.</summary>
    private const int PieceBytes = 64 * 1024;

    private readonly HttpRequest source;
    private readonly BodyMemory memory;
    private readonly FormFields form;
    private readonly long maxHeld;
    private readonly long maxTotal;
    private readonly SemaphoreSlim turn = new(1);
    private readonly CancellationTokenSource over = new();
    private byte[] buffer = [];
    private long charged;
    private long start;
    private int filled;
    private int scanned;

    private FormBody(HttpRequest source, BodyMemory memory, FormFields form, long maxHeld, long maxTotal) =>
        (this.source, this.memory, this.form, this.maxHeld, this.maxTotal) = (source, memory, form, maxHeld, maxTotal);

    /// <summary>What was found so far.</summary>
    public MediaFields Fields => form.Fields;

    /// <summary>Its media type, as the client wrote it.</summary>
    public string ContentType => source.ContentType!;

    /// <summary>Its length, as the client said; null: not said.</summary>
    public long? Length => source.ContentLength;

    /// <summary>Whether all of it has come, and is a sound form.</summary>
    public bool IsWhole { get; private set; }

    /// <summary>Whether its beginning is still held, so that it can be sent again.</summary>
    public bool IsRepeatable => start == 0;

    /// <summary>Why the client's form was refused while it was on its way; null: it was not.</summary>
    public GatewayError? Refusal { get; private set; }

    /// <summary>Whether the client's connection broke.</summary>
    public bool IsClientGone { get; private set; }

    /// <summary>Cancelled when the call is over: nobody reads the client's body from then on.</summary>
    public CancellationToken Over => over.Token;

    /// <summary>Whether a request's body is worth it: a form that is large, or of unknown size, and not compressed.</summary>
    public static bool IsFor(HttpRequest request) =>
        FormFields.IsForm(request.ContentType) && request.ContentLength is null or > AlwaysHeld && request.Headers.ContentEncoding.Count == 0;

    /// <summary>Reads a form's beginning: as far as its model, or to its end where that is asked for.</summary>
    /// <param name="context">The request.</param>
    /// <param name="endpoint">Which fields mean something.</param>
    /// <param name="memory">What the bytes count against.</param>
    /// <param name="whole">Whether all of it is needed before anything is sent.</param>
    /// <returns>The form, or why there is none.</returns>
    public static async ValueTask<(FormBody? Body, GatewayError? Error)> OpenAsync(HttpContext context, MediaEndpoint endpoint, BodyMemory memory, bool whole)
    {
        var settings = GatewayRequest.Of(context).Snapshot.Settings;
        var maxTotal = whole ? settings.MaxBodyBytes : Math.Max(settings.MaxBodyBytes, settings.MaxUploadBytes);
        if (context.Request.ContentLength > maxTotal)
        {
            return (null, TooLarge(whole, maxTotal));
        }
        if (FormFields.TryBegin(context.Request.ContentType!, endpoint, out var error) is not { } form)
        {
            return (null, error);
        }
        if (!whole && context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = maxTotal;
        }
        // Of a form that cannot be held as a whole, no more is held than its beginning.
        var maxHeld = context.Request.ContentLength > settings.MaxBodyBytes ? Math.Min(settings.MaxBodyBytes, 2 * AlwaysHeld) : settings.MaxBodyBytes;
        var body = new FormBody(context.Request, memory, form, maxHeld, maxTotal);
        var isOpen = false;
        try
        {
            while (!body.IsWhole && (whole || body.filled <= AlwaysHeld || !(form.Fields.Model.Exists && form.IsInContent)))
            {
                if (!body.TryMakeRoom(0, out error) || !await body.ReadAsync(context.RequestAborted))
                {
                    return (null, error ?? body.Refusal);
                }
            }
            isOpen = true;
            return (body, null);
        }
        finally
        {
            if (!isOpen)
            {
                await body.DisposeAsync();
            }
        }
    }

    /// <summary>Reads the rest, where all of it is needed before anything is sent. Null, or why that cannot be.</summary>
    public async ValueTask<GatewayError?> HoldAsync(CancellationToken cancellationToken)
    {
        while (!IsWhole)
        {
            if (!TryMakeRoom(0, out var error) || !await ReadAsync(cancellationToken))
            {
                return error ?? Refusal;
            }
        }
        return null;
    }

    /// <summary>Waits until nobody else sends it. One that was given up lets go as soon as it notices.</summary>
    public Task TakeTurnAsync(CancellationToken cancellationToken) => turn.WaitAsync(cancellationToken);

    /// <summary>Lets the next one send it.</summary>
    public void EndTurn() => turn.Release();

    /// <summary>What has come from a place on; empty: nothing yet, or nothing more.</summary>
    public ReadOnlyMemory<byte> From(long place) => buffer.AsMemory((int)(place - start), filled - (int)(place - start));

    /// <summary>Reads the client's next piece. What was sent may be let go where no more can be held.</summary>
    /// <param name="sent">The place up to which it was sent.</param>
    /// <param name="cancellationToken">Stops the reading; nothing is lost by that.</param>
    /// <exception cref="FormRefusedException">The client's form was refused, or broke off: see <see cref="Refusal"/>.</exception>
    public async ValueTask ReadNextAsync(long sent, CancellationToken cancellationToken)
    {
        if (!TryMakeRoom(sent, out var error))
        {
            Refusal = error;
        }
        if (error is not null || !await ReadAsync(cancellationToken))
        {
            throw new FormRefusedException();
        }
    }

    public async ValueTask DisposeAsync()
    {
        await over.CancelAsync();
        await turn.WaitAsync(CancellationToken.None); // whoever sends it notices that it is over
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = [];
        }
        memory.Return(charged);
        charged = 0;
        turn.Dispose();
        over.Dispose();
    }

    /// <summary>Reads a piece, and looks at it. False: it is refused.</summary>
    private async ValueTask<bool> ReadAsync(CancellationToken cancellationToken)
    {
        int read;
        try
        {
            read = await source.Body.ReadAsync(buffer.AsMemory(filled), cancellationToken);
        }
        catch (BadHttpRequestException exception)
        {
            Refusal = exception.StatusCode switch
            {
                StatusCodes.Status413PayloadTooLarge => TooLarge(whole: false, maxTotal),
                StatusCodes.Status408RequestTimeout => new GatewayError(StatusCodes.Status408RequestTimeout, "request_timeout", "The request's body came too slowly."),
                _ => new GatewayError(StatusCodes.Status400BadRequest, "invalid_form", "The request's body broke off."),
            };
            return false;
        }
        catch (IOException)
        {
            IsClientGone = true;
            throw;
        }
        filled += read;
        if (start + filled > maxTotal)
        {
            Refusal = TooLarge(whole: false, maxTotal);
            return false;
        }
        Refusal = form.Read(buffer.AsSpan(scanned, filled - scanned), start + scanned, isLast: read == 0, out var consumed);
        scanned += consumed;
        IsWhole = read == 0 && Refusal is null;
        return Refusal is null;
    }

    /// <summary>Makes room for another piece: by growth for as long as it may be held, then by giving up what was sent.</summary>
    private bool TryMakeRoom(long sent, out GatewayError? error)
    {
        error = null;
        if (filled < buffer.Length)
        {
            return true;
        }
        var wanted = source.ContentLength is { } length && length < maxHeld ? length + 1 : Math.Clamp(buffer.Length * 2L, PieceBytes, maxHeld);
        if (start == 0 && (filled < maxHeld || sent == 0))
        {
            if (filled >= maxHeld)
            {
                error = TooLarge(whole: true, maxHeld);
                return false;
            }
            if (memory.TryTake(wanted - charged))
            {
                Grow((int)wanted);
                return true;
            }
            if (sent == 0)
            {
                error = GatewayError.BodyMemoryExhausted;
                return false;
            }
        }
        // What was sent is let go, but for the few bytes that have to be looked at again with those that follow.
        var gone = (int)Math.Min(sent - start, scanned);
        var rest = filled - gone;
        if (buffer.Length > 4 * PieceBytes && rest < PieceBytes)
        {
            var smaller = ArrayPool<byte>.Shared.Rent(2 * PieceBytes);
            buffer.AsSpan(gone, rest).CopyTo(smaller);
            ArrayPool<byte>.Shared.Return(buffer);
            buffer = smaller;
            memory.Return(Math.Max(0, charged - smaller.Length));
            charged = Math.Min(charged, smaller.Length);
        }
        else
        {
            buffer.AsSpan(gone, rest).CopyTo(buffer);
        }
        (start, filled, scanned) = (start + gone, rest, scanned - gone);
        error = filled < buffer.Length ? null : GatewayError.BodyMemoryExhausted;
        return error is null;
    }

    private void Grow(int size)
    {
        charged = size;
        var larger = ArrayPool<byte>.Shared.Rent(size);
        buffer.AsSpan(0, filled).CopyTo(larger);
        if (buffer.Length > 0)
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
        buffer = larger;
    }

    private static GatewayError TooLarge(bool whole, long bytes) => whole
        ? GatewayError.BodyTooLarge(bytes) with { Message = GatewayError.BodyTooLarge(bytes).Message + " A form may be larger if 'model' comes before the file and the key has no hard budget." }
        : new GatewayError(StatusCodes.Status413PayloadTooLarge, "request_too_large", $"The form exceeds the limit of {bytes} bytes ('limits.maxUploadBytes').");
}

/// <summary>The client's form was refused while it was on its way.</summary>
internal sealed class FormRefusedException() : IOException("The client's form was refused while it was on its way.");
