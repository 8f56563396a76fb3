using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace Shared.Http;

/// <summary>Decides what becomes of an exception that no endpoint handled.</summary>
internal sealed class RequestFailures(ILogger<RequestFailures> logger)
{
    /// <summary>A status that goes into metrics only: the client was gone before there was an answer.</summary>
    public const int ClientLeftStatus = 499;

    /// <summary>Logs the failure once and answers in the endpoint's format; a response that has begun is cut off, never ended as if it were whole.</summary>
    public async Task HandleAsync(HttpContext context, GatewayRequest request, EndpointFacts endpoint, Exception exception)
    {
        if (IsClientGone(context, exception))
        {
            logger.ClientLeft(request.RequestId, endpoint.Route, exception.Message);
            if (!context.Response.HasStarted)
            {
                context.Response.StatusCode = ClientLeftStatus;
            }
            return;
        }
        var error = ErrorFor(exception, request);
        if (exception is BadHttpRequestException)
        {
            logger.BadRequest(request.RequestId, endpoint.Route, error.Status, exception.Message);
        }
        else
        {
            logger.RequestFailed(exception, request.RequestId, endpoint.Route);
        }
        if (context.Response.HasStarted)
        {
            context.Abort();
            return;
        }
        context.Response.Clear();
        await endpoint.Errors.WriteAsync(context, error);
    }

    private static bool IsClientGone(HttpContext context, Exception exception) =>
        exception is ConnectionResetException or ConnectionAbortedException
        || (context.RequestAborted.IsCancellationRequested && exception is OperationCanceledException or IOException);

    private static GatewayError ErrorFor(Exception exception, GatewayRequest request) => exception switch
    {
        BadHttpRequestException { StatusCode: StatusCodes.Status408RequestTimeout } => new(408, "request_timeout", "The request body arrived too slowly.") { Retryable = true },
        BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge } => GatewayError.BodyTooLarge(request.Snapshot.Settings.MaxBodyBytes),
        BadHttpRequestException bad => new(bad.StatusCode, "bad_request", "The request is not valid HTTP."),
        _ => new(500, "internal_error", $"The gateway failed on this request. Its log has the cause under request id {request.RequestId}."),
    };
}
