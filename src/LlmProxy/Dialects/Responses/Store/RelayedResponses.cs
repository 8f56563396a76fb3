using System.Net.Http.Headers;
using LlmProxy.Errors;
using LlmProxy.Providers;
using LlmProxy.Relay;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Http;

namespace LlmProxy.Dialects.Responses.Store;

/// <summary>Asks a provider of the format for what it keeps itself.</summary>
internal static class RelayedResponses
{
    /// <summary>A target of a provider, whose address and credential serve for all its responses; null: the provider is no longer there.</summary>
    public static TargetPlan? FindTarget(GatewayRequest request, string provider)
    {
        // Any model of the provider's will do: only its address and its credential are needed.
        var targets = request.Snapshot.Part<RouteTable>().Find(provider + "/any", EndpointFamily.Responses!)?.TargetsFor(EndpointFamily.Responses!) ?? [];
        return Array.Find(targets, target => !target.IsTranslated && target.Provider.Id == provider);
    }

    /// <summary>Sends a request to a path below the provider's endpoint, and relays the answer as it comes.</summary>
    public static async Task SendAsync(HttpContext context, TargetPlan target, HttpMethod method, string path, byte[]? body)
    {
        using var request = new HttpRequestMessage(method, new UriBuilder(target.Address) { Path = target.Address.AbsolutePath + path, Query = QueryOf(context, target) }.Uri);
        if (body is not null)
        {
            request.Content = new ByteArrayContent(body) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } };
        }
        foreach (var (name, value) in target.Headers)
        {
            request.Headers.TryAddWithoutValidation(name, value);
        }
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(context.RequestAborted);
        limit.CancelAfter(target.Provider.HeaderTimeout);
        try
        {
            if (target.Authorizer is { } authorizer)
            {
                await authorizer.AuthorizeAsync(request, limit.Token);
            }
            using var answer = await target.Client.SendAsync(request, limit.Token);
            limit.CancelAfter(Timeout.InfiniteTimeSpan);
            context.Response.StatusCode = (int)answer.StatusCode;
            context.Response.Headers["x-gateway-provider"] = target.ProviderHeader;
            if (answer.Content.Headers.NonValidated.TryGetValues("Content-Type", out var type) && ResponseHeaders.IsPlain(type.ToString()))
            {
                context.Response.ContentType = type.ToString();
            }
            await answer.Content.CopyToAsync(context.Response.Body, context.RequestAborted);
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException && !context.RequestAborted.IsCancellationRequested && !context.Response.HasStarted)
        {
            context.Response.Clear();
            await OpenAiErrorFormat.Instance.WriteAsync(context, exception is OperationCanceledException ? OpenAiErrors.UpstreamTimeout : exception is CredentialException ? OpenAiErrors.NoCredential : OpenAiErrors.UpstreamFailed);
        }
    }

    private static string QueryOf(HttpContext context, TargetPlan target) =>
        (target.Address.Query, context.Request.QueryString.Value) switch
        {
            ({ Length: > 1 } own, { Length: > 1 } given) => own[1..] + "&" + given[1..],
            ({ Length: > 1 } own, _) => own[1..],
            (_, { Length: > 1 } given) => given[1..],
            _ => "",
        };
}
