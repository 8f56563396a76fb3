using System.Net;
using System.Security.Cryptography;
using LlmProxy.ChatCompletions;
using LlmProxy.Relay;

namespace LlmProxy.Media;

/// <summary>A client's form on its way up, from its beginning, with the model's name replaced.</summary>
internal sealed class FormContent : HttpContent, IHashedContent
{
    private readonly FormBody form;
    private readonly byte[]? model;
    private readonly Deadline deadline;
    private readonly TimeSpan pause;
    private readonly JsonSlice place;
    private readonly TaskCompletionSource ended = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource given = new();

    /// <param name="form">The form.</param>
    /// <param name="model">What takes the place of the model's name; null: it stays.</param>
    /// <param name="deadline">Is moved on with each piece, and does not run while the client is waited for.</param>
    /// <param name="pause">The longest pause.</param>
    public FormContent(FormBody form, byte[]? model, Deadline deadline, TimeSpan pause)
    {
        (this.form, this.model, this.deadline, this.pause, place) = (form, model, deadline, pause, form.Fields.Model);
        Headers.TryAddWithoutValidation("Content-Type", form.ContentType);
    }

    /// <summary>Whether any of it may have been sent.</summary>
    public bool Started { get; private set; }

    /// <summary>SHA-256 of what is sent, hexadecimal; the form must have come as a whole.</summary>
    public string Hash()
    {
        var whole = form.From(0).Span;
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        if (model is null)
        {
            hash.AppendData(whole);
        }
        else
        {
            hash.AppendData(whole[..place.Offset]);
            hash.AppendData(model);
            hash.AppendData(whole[place.End..]);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>Gives it up, and waits until nobody sends it any more.</summary>
    public async ValueTask StopAsync()
    {
        if (Started)
        {
            await given.CancelAsync();
            await ended.Task;
        }
        given.Dispose();
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        Started = true;
        try
        {
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, given.Token, form.Over);
            await form.TakeTurnAsync(either.Token);
            try
            {
                await WriteAsync(stream, either.Token);
            }
            finally
            {
                form.EndTurn();
            }
        }
        finally
        {
            ended.TrySetResult();
        }
    }

    protected override bool TryComputeLength(out long length)
    {
        length = (form.Length ?? 0) + (model is null ? 0 : model.Length - place.Length);
        return form.Length is not null;
    }

    private async Task WriteAsync(Stream stream, CancellationToken cancellationToken)
    {
        var at = 0L;
        while (true)
        {
            var piece = form.From(at);
            if (piece.Length > 0)
            {
                deadline.Set(pause);
                // The model was found before anything is sent: its name stands in the first piece as a whole.
                if (at == 0 && model is not null)
                {
                    await stream.WriteAsync(piece[..place.Offset], cancellationToken);
                    await stream.WriteAsync(model, cancellationToken);
                    await stream.WriteAsync(piece[place.End..], cancellationToken);
                }
                else
                {
                    await stream.WriteAsync(piece, cancellationToken);
                }
                at += piece.Length;
            }
            else if (form.IsWhole)
            {
                deadline.Set(pause);
                return;
            }
            else
            {
                deadline.Clear(); // the client's pause is not the provider's
                await stream.FlushAsync(cancellationToken);
                await form.ReadNextAsync(at, cancellationToken);
            }
        }
    }
}
