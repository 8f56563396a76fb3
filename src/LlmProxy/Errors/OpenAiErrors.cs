using System.Text.Json;
using LlmProxy.Routing;
using Microsoft.AspNetCore.Http;
using Shared.Egress;
using Shared.Http;

namespace LlmProxy.Errors;

/// <summary>What can be wrong with a request to a model, in words for its sender.</summary>
internal static class OpenAiErrors
{
    public static GatewayError NotAnObject { get; } = new(StatusCodes.Status400BadRequest, "invalid_json", "The request body must be one JSON object.");

    public static GatewayError MalformedJson(JsonException exception) =>
        new(StatusCodes.Status400BadRequest, "invalid_json", $"The request body is not valid JSON: see line {exception.LineNumber + 1}, byte {exception.BytePositionInLine + 1}.");

    public static GatewayError Duplicated(string member) =>
        new(StatusCodes.Status400BadRequest, "duplicate_member", $"'{member}' is given more than once. Send it once.") { Field = member };

    public static GatewayError Invalid(string member, string expected) =>
        new(StatusCodes.Status400BadRequest, "invalid_type", $"'{member}' must be {expected}.") { Field = member };

    public static GatewayError Missing(string member) =>
        new(StatusCodes.Status400BadRequest, "missing_required_parameter", $"'{member}' is missing.") { Field = member };

    /// <summary>A model that does not exist, or that the key may not use: the two look alike.</summary>
    public static GatewayError ModelNotFound(string name) =>
        new(StatusCodes.Status404NotFound, "model_not_found", $"The model '{name}' does not exist, or this key may not use it. GET /v1/models lists those that it may use.") { Field = "model" };

    /// <summary>No target's provider has the endpoint.</summary>
    public static GatewayError EndpointNotSupported(EndpointFamily family, RouteEntry entry) => family == EndpointFamily.InvokeAny
        ? new(StatusCodes.Status404NotFound, "endpoint_not_supported",
            $"The body is in no format that could be translated: a body in Anthropic's format has 'anthropic_version', and any other is passed on to Amazon Bedrock alone, but no provider of the model '{entry.Name}' is that ({string.Join(", ", entry.Targets.Select(target => target.Provider.Id).Distinct())}). Use converse, or a model of Amazon Bedrock.")
        { Field = "model" }
        : new(StatusCodes.Status404NotFound, "endpoint_not_supported",
            $"No provider of the model '{entry.Name}' has the endpoint /v1{family.Path} ({string.Join(", ", entry.Targets.Select(target => target.Provider.Id).Distinct())}). Use a model of one that has, or correct the provider's 'endpoints'.")
        { Field = "model" };

    public static GatewayError UpstreamFailed { get; } =
        new(StatusCodes.Status502BadGateway, "upstream_error", "The model's provider could not be reached, or its answer made no sense.") { Retryable = true };

    public static GatewayError UpstreamRefusedByPolicy { get; } =
        new(StatusCodes.Status502BadGateway, EgressRefusedException.Code, $"The model's provider was not connected to: {EgressRefusedException.ForCallers}");

    public static GatewayError NoCredential { get; } =
        new(StatusCodes.Status502BadGateway, "no_credential", "The gateway could get no credential for the model's provider, so that nothing was sent to it. Whoever runs the gateway finds the reason in its log.") { Retryable = true };

    public static GatewayError UpstreamTimeout { get; } =
        new(StatusCodes.Status504GatewayTimeout, "upstream_timeout", "The model's provider did not answer in time.") { Retryable = true };

    /// <summary>All targets are left alone for a while after failures.</summary>
    public static GatewayError CoolingDown(TimeSpan retryAfter) =>
        new(StatusCodes.Status503ServiceUnavailable, "upstream_unavailable", "The model's provider has failed repeatedly and is left alone for a moment.") { RetryAfter = retryAfter, Retryable = true };
}
