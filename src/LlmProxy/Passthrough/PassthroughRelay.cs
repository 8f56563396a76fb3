using System.Buffers;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Shared.Admission;
using Shared.Http;

namespace LlmProxy.Passthrough;

/// <summary>
/// Relays requests that the gateway has no endpoint of its own for to the provider that stands behind their root, as they are. Two things must agree to that: the provider's
/// declaration, and the key, which must be granted all of the provider's models, as nobody can tell which of them such a request uses.
/// </summary>
internal sealed class PassthroughRelay(AdmissionController admission, DeadlinePool deadlines, BodyMemory memory)
{
    private const int BufferBytes = 32 * 1024;

    public async Task RelayAsync(HttpContext context, string root, IErrorFormat errors)
    {
        var request = GatewayRequest.Of(context);
        if (Check(context, request, root, out var target, out var address) is { } refusal)
        {
            await errors.WriteAsync(context, refusal);
            return;
        }
        var isFree = IsFree(context.Request.Method);
        if (PassthroughCall.TryBegin(context, target!, isFree, admission, deadlines, out var call) is { } refused)
        {
            await errors.WriteAsync(context, refused);
            return;
        }
        using (call)
        {
            try
            {
                await RelayAsync(call!, address!, root);
            }
            catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or BadHttpRequestException)
            {
                var error = call!.Fail(exception);
                if (context.Response.HasStarted)
                {
                    context.Abort(); // the only sign that bytes can give of their being cut short
                }
                else if (!context.RequestAborted.IsCancellationRequested)
                {
                    await errors.WriteAsync(context, error);
                }
            }
        }
    }

    private static GatewayError? Check(HttpContext context, GatewayRequest request, string root, out TargetPlan? target, out Uri? address)
    {
        (target, address) = (null, null);
        var path = (string?)context.Request.RouteValues["path"] ?? "";
        var provider = request.Snapshot.Providers.Values.FirstOrDefault(provider => provider.Passthrough == root);
        // Without a provider, and without a grant, nothing is there; the two look alike.
        if (provider is null || !request.Key!.CoversModels(provider.Id) || provider.BaseAddress is null
            || request.Snapshot.Part<RouteTable>().Find($"{provider.Id}/{PassthroughFamily.Name}") is not { } entry)
        {
            return new GatewayError(StatusCodes.Status404NotFound, "not_found",
                $"The gateway has no endpoint at this path, and does not pass it on: no provider has 'passthrough: {root}', or the key is not granted all of its models.");
        }
        address = PassthroughAddress.Of(provider.BaseAddress, path, context.Request.QueryString.Value ?? "");
        if (address is null)
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "invalid_path", "A path that is passed on may hold no empty segment, no backslash and no encoded slash or percent sign.");
        }
        if (context.WebSockets.IsWebSocketRequest || context.Request.Headers.Upgrade.Count > 0)
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "upgrade_not_supported", "WebSockets and other upgrades are not passed on.");
        }
        if (!IsFree(context.Request.Method) && AdmissionController.NeedsBound(request))
        {
            return new GatewayError(StatusCodes.Status400BadRequest, "unbounded_cost",
                "Nobody can tell beforehand what a request costs that is passed on unread, and the key has a hard budget. Use an endpoint of the gateway's own, or a key without a hard budget.");
        }
        if (context.Request.ContentLength > request.Snapshot.Settings.MaxBodyBytes)
        {
            return GatewayError.BodyTooLarge(request.Snapshot.Settings.MaxBodyBytes);
        }
        target = entry.Targets[0] with
        {
            Family = PassthroughFamily.Instance,
            Upstream = PassthroughFamily.Instance,
            Address = address,
            StreamAddress = address,
            Headers = ProviderHeaders.Of(provider),
            SpanName = $"{PassthroughFamily.Name} {provider.Id}",
            Tags = TargetPlan.TagsOf(PassthroughFamily.Instance, provider.Id, PassthroughFamily.Name),
            Start = entry.Targets[0].Start with { RequestedName = Shown($"{context.Request.Method} {root}/{path}"), PriceVersion = null },
        };
        return null;
    }

    private async Task RelayAsync(PassthroughCall call, Uri address, string root)
    {
        var context = call.Context;
        if (context.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } size)
        {
            size.MaxRequestBodySize = call.Request.Snapshot.Settings.MaxBodyBytes;
        }
        using var message = new HttpRequestMessage(new HttpMethod(context.Request.Method), address);
        using var held = await AddContentAsync(call, message);
        PassthroughHeaders.Add(message, call.Target, context, call.Request, call.Activity);
        using var answer = await call.SendAsync(message);
        var provider = PassthroughAddress.RootOf(call.Target.Provider.BaseAddress!);
        context.Response.StatusCode = (int)answer.StatusCode;
        PassthroughHeaders.Return(context, answer, call.LimitsAreOurs, provider, $"{context.Request.Scheme}://{context.Request.Host}{context.Request.PathBase}/{root}");
        call.Describe();
        await CopyAsync(call, answer, root);
    }

    /// <summary>Gives the request the client's body. What must be signed is held for that; all else is streamed.</summary>
    private async ValueTask<PooledBody?> AddContentAsync(PassthroughCall call, HttpRequestMessage message)
    {
        var source = call.Context.Request;
        if (!(call.Context.Features.Get<IHttpRequestBodyDetectionFeature>()?.CanHaveBody ?? source.ContentLength > 0))
        {
            return null;
        }
        if (call.Target.Authorizer is not { NeedsContent: true })
        {
            message.Content = new PassthroughContent(source, call.Deadline, call.Target.Provider.HeaderTimeout);
            return null;
        }
        var (body, error) = await PooledBody.ReadAsync(source.Body, source.ContentLength, memory, (int)Math.Min(call.Request.Snapshot.Settings.MaxBodyBytes, int.MaxValue), call.Deadline.Token);
        if (body is null)
        {
            throw new BadHttpRequestException(error?.Message ?? "The body is too large.", error?.Status ?? StatusCodes.Status413PayloadTooLarge);
        }
        message.Content = new ReadOnlyMemoryContent(body.Bytes);
        return body;
    }

    private static async Task CopyAsync(PassthroughCall call, HttpResponseMessage answer, string root)
    {
        var context = call.Context;
        var type = answer.Content.Headers.NonValidated.TryGetValues("Content-Type", out var types) ? types.ToString() : "";
        var isCompressed = answer.Content.Headers.NonValidated.TryGetValues("Content-Encoding", out var encoding) && !encoding.ToString().Equals("identity", StringComparison.OrdinalIgnoreCase);
        using var usage = new PassthroughUsage(root, type, isIgnored: IsFree(context.Request.Method) || isCompressed || !answer.IsSuccessStatusCode);
        if (HttpMethods.IsHead(context.Request.Method) || context.Response.StatusCode is StatusCodes.Status204NoContent or StatusCodes.Status304NotModified)
        {
            call.Settle(usage, isComplete: true);
            return;
        }
        context.Response.ContentLength = answer.Content.Headers.ContentLength;
        var buffer = ArrayPool<byte>.Shared.Rent(BufferBytes);
        try
        {
            await using var source = await answer.Content.ReadAsStreamAsync(call.Deadline.Token);
            int read;
            while ((read = await call.ReadAsync(source, buffer)) > 0)
            {
                usage.Take(buffer.AsSpan(0, read));
                await context.Response.BodyWriter.WriteAsync(buffer.AsMemory(0, read), context.RequestAborted);
            }
            usage.End();
            call.Settle(usage, isComplete: true);
        }
        catch
        {
            call.Settle(usage, isComplete: false);
            throw;
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private static bool IsFree(string method) => HttpMethods.IsGet(method) || HttpMethods.IsHead(method) || HttpMethods.IsDelete(method) || HttpMethods.IsOptions(method);

    private static string Shown(string text) => text.Length <= 256 ? text : text[..256];
}
