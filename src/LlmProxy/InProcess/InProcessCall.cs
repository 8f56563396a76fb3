using System.Globalization;
using System.IO.Pipelines;
using LlmProxy.Dialects.OpenAiChat;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Shared.Http;
using Shared.Models;

namespace LlmProxy.InProcess;

/// <summary>
/// One request of a caller within the process: it takes the way of an outside caller's from the endpoint on, and its answer comes out of a pipe, which holds the gateway
/// back when the caller is slow. Disposing it before the answer's end cancels the upstream's work, as does a client that leaves.
/// </summary>
internal sealed class InProcessCall : IHttpResponseBodyFeature, IAsyncDisposable
{
    private readonly Pipe pipe = new();
    private readonly CancellationTokenSource aborted;
    private readonly HttpContext context;
    private readonly Stream stream;
    private readonly Task run;

    /// <summary>Starts a request.</summary>
    /// <param name="context">Carries who asks, and the headers.</param>
    /// <param name="answer">Answers it.</param>
    /// <param name="body">What is asked, JSON.</param>
    /// <param name="cancellationToken">Cancels it.</param>
    public InProcessCall(HttpContext context, RequestDelegate answer, byte[] body, CancellationToken cancellationToken)
    {
        this.context = context;
        aborted = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        stream = pipe.Writer.AsStream();
        context.Features.Set<IHttpResponseBodyFeature>(this);
        context.RequestAborted = aborted.Token;
        context.Request.Method = HttpMethods.Post;
        context.Request.Body = new MemoryStream(body, writable: false);
        context.Request.ContentLength = body.Length;
        context.Request.ContentType = "application/json";
        run = RunAsync(answer);
    }

    /// <inheritdoc/>
    public Stream Stream => stream;

    /// <inheritdoc/>
    public PipeWriter Writer => pipe.Writer;

    /// <summary>Where the answer comes out.</summary>
    public PipeReader Answer => pipe.Reader;

    /// <summary>The answer's status; there once anything of it was read.</summary>
    public int Status => context.Response.StatusCode;

    /// <summary>The answer's headers; there once anything of it was read.</summary>
    public IHeaderDictionary Headers => context.Response.Headers;

    /// <summary>Sends a request and returns when its answer begins.</summary>
    /// <exception cref="ModelCallException">It was refused, or failed.</exception>
    public static async Task<InProcessCall> SendAsync(ModelEndpoint endpoint, EndpointFamily family, GatewayRequest caller, byte[] body, CancellationToken cancellationToken)
    {
        var context = new DefaultHttpContext();
        context.Features.Set(caller);
        var call = new InProcessCall(context, inner => endpoint.CreateAsync(inner, family, default), body, cancellationToken);
        try
        {
            await call.BeginsAsync(cancellationToken);
            if (call.Status >= 400)
            {
                throw call.ErrorOf(await call.ReadAllAsync(cancellationToken));
            }
            return call;
        }
        catch
        {
            await call.DisposeAsync();
            throw;
        }
    }

    /// <summary>Returns when the answer begins.</summary>
    public async ValueTask BeginsAsync(CancellationToken cancellationToken)
    {
        var first = await Answer.ReadAsync(cancellationToken);
        Answer.AdvanceTo(first.Buffer.Start);
        cancellationToken.ThrowIfCancellationRequested();
    }

    /// <summary>The whole answer.</summary>
    public async Task<byte[]> ReadAllAsync(CancellationToken cancellationToken)
    {
        using var whole = new MemoryStream();
        await Answer.CopyToAsync(whole, cancellationToken);
        return whole.ToArray();
    }

    /// <inheritdoc/>
    public void DisableBuffering()
    {
    }

    /// <inheritdoc/>
    public Task StartAsync(CancellationToken cancellationToken = default) => Task.CompletedTask;

    /// <inheritdoc/>
    public Task SendFileAsync(string path, long offset, long? count, CancellationToken cancellationToken = default) =>
        SendFileFallback.SendFileAsync(stream, path, offset, count, cancellationToken);

    /// <inheritdoc/>
    public Task CompleteAsync() => pipe.Writer.CompleteAsync().AsTask();

    public async ValueTask DisposeAsync()
    {
        await aborted.CancelAsync();
        await Answer.CompleteAsync();
        await run; // it tells of its end through the pipe alone
        aborted.Dispose();
    }

    private async Task RunAsync(RequestDelegate answer)
    {
        Exception? failure = null;
        try
        {
            await Task.Yield();
            await answer(context);
        }
        catch (Exception exception)
        {
            failure = exception; // thrown where the answer is read
        }
        await pipe.Writer.CompleteAsync(failure);
    }

    private ModelCallException ErrorOf(byte[] body)
    {
        var error = ChatErrors.Read(Status, body);
        return new ModelCallException(Status, error.Code ?? error.Type, error.Message)
        {
            Field = error.Field,
            RetryAfter = int.TryParse(Headers.RetryAfter, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds) ? TimeSpan.FromSeconds(seconds) : error.RetryAfter,
        };
    }
}
