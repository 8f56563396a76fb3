using LlmProxy.Errors;
using LlmProxy.Media;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Polly.CircuitBreaker;
using Shared.Admission;
using Shared.Http;
using Shared.Ledger;
using Shared.Pricing;
using Shared.Stored;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>
/// Asks a provider of the format about the responses that it keeps itself, and relays what it says. Asking is free; it counts for the caller's request limits, and is traced and in
/// the ledger.
/// </summary>
internal sealed class ProviderResponses(AdmissionController admission, DeadlinePool deadlines, BodyMemory memory, ProviderPipelines pipelines)
{
    /// <summary>A target of a provider, whose address and credential serve for all its responses; null: the key may not reach it, or it is no longer there.</summary>
    public static TargetPlan? FindTarget(GatewayRequest request, string provider)
    {
        // Any name of a model will do: only the provider's address and credential are needed. This one stands in the ledger.
        var targets = request.Key!.MayReachProvider(provider) ? request.Snapshot.Part<RouteTable>().Find($"{provider}/{EndpointFamily.Responses!.Id}")?.TargetsFor(EndpointFamily.Responses) ?? [] : [];
        return Array.Find(targets, target => !target.IsTranslated && target.Provider.Id == provider);
    }

    /// <summary>Asks about one response.</summary>
    /// <param name="context">The request, whose query goes up with it.</param>
    /// <param name="target">The provider that has it.</param>
    /// <param name="id">Its id.</param>
    /// <param name="path">What follows the id: "", <c>/cancel</c> or <c>/input_items</c>.</param>
    /// <param name="background">The response, if it was made in the background.</param>
    public async Task AskAsync(HttpContext context, TargetPlan target, string id, string path, ProviderObject? background)
    {
        var method = new HttpMethod(context.Request.Method);
        var one = "/" + Uri.EscapeDataString(id);
        var query = context.Request.QueryString.Value ?? "";
        if (background is not { IsBilled: false } || path == "/input_items")
        {
            await RelayAsync(context, target, call => CopyAsync(call, method, one + path, null, query));
        }
        else if (method == HttpMethod.Delete)
        {
            // What is gone can no more be charged.
            await RelayAsync(context, target, async call => await LookAsync(call, one, background) ?? await CopyAsync(call, method, one, null, query));
        }
        else if (bool.TryParse(context.Request.Query["stream"], out var stream) && stream)
        {
            await RelayAsync(context, target, async call =>
            {
                var error = await CopyAsync(call, method, one, null, query);
                if (error is null && !context.RequestAborted.IsCancellationRequested)
                {
                    await LookAsync(call, one, background);
                }
                return error;
            });
        }
        else
        {
            await RelayAsync(context, target, call => ShowAsync(call, method, one + path, query, background));
        }
    }

    /// <summary>Asks how many tokens a request has.</summary>
    /// <param name="context">The request.</param>
    /// <param name="target">The model's provider.</param>
    /// <param name="content">The request's body, as it goes up.</param>
    public Task CountAsync(HttpContext context, TargetPlan target, HttpContent content) =>
        RelayAsync(context, target, call => CopyAsync(call, HttpMethod.Post, "/input_tokens", content, ""));

    private async Task RelayAsync(HttpContext context, TargetPlan target, Func<ProviderCall, Task<GatewayError?>> relay)
    {
        var error = ProviderCall.TryBegin(context, target, AdmissionAsk.Free, admission, deadlines, memory, pipelines, out var call);
        using (call)
        {
            error ??= await relay(call!);
        }
        if (error is not null && !context.RequestAborted.IsCancellationRequested)
        {
            await OpenAiErrorFormat.Instance.WriteAsync(context, error);
        }
    }

    /// <summary>Relays an answer as it comes.</summary>
    private static async Task<GatewayError?> CopyAsync(ProviderCall call, HttpMethod method, string path, HttpContent? content, string query)
    {
        if (await call.SendAsync(method, path, content, query) is { } error)
        {
            return error;
        }
        await (call.IsSuccess ? call.CopyAsync() : call.WriteErrorAsync());
        return null;
    }

    /// <summary>Relays an answer that shows a response, and charges what that used.</summary>
    private static async Task<GatewayError?> ShowAsync(ProviderCall call, HttpMethod method, string path, string query, ProviderObject background)
    {
        if (await call.SendAsync(method, path, null, query) is { } error)
        {
            return error;
        }
        if (!call.IsSuccess)
        {
            await call.WriteErrorAsync();
            return null;
        }
        if (await call.ReadAsync() is not { } body)
        {
            return OpenAiErrors.UpstreamFailed;
        }
        call.Settle(CallOutcome.Succeeded, UsageSource.None, Money.Zero);
        BackgroundResponses.Charge(call, background, body.Bytes.Span);
        await call.WriteAsync(body);
        return null;
    }

    /// <summary>Looks at a response beside the answer, to charge what it used.</summary>
    private static async Task<GatewayError?> LookAsync(ProviderCall call, string path, ProviderObject background)
    {
        try
        {
            using var answer = await call.RequestAsync(HttpMethod.Get, path);
            if (!answer.IsSuccessStatusCode)
            {
                return null; // it is gone, or the provider says more of what is wrong to the question itself
            }
            using var body = await call.ReadAsync(answer);
            if (body is not null)
            {
                BackgroundResponses.Charge(call, background, body.Bytes.Span);
            }
            return null;
        }
        catch (Exception exception) when (exception is HttpRequestException or IOException or OperationCanceledException or BrokenCircuitException)
        {
            return call.Fail(exception);
        }
    }
}
