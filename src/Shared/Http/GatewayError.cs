using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Shared.Admission;

namespace Shared.Http;

/// <summary>
/// Something that went wrong, in words that may be shown to the caller: no secret, no internal address, no stack. An <see cref="IErrorFormat"/> puts it
/// into the protocol that the caller speaks.
/// </summary>
/// <param name="Status">HTTP status.</param>
/// <param name="Code">A stable, short code, e.g. <c>model_not_found</c>.</param>
/// <param name="Message">What is wrong and how to mend it; names the field.</param>
public sealed record GatewayError(int Status, string Code, string Message)
{
    /// <summary>The request member at fault, or null.</summary>
    public string? Field { get; init; }

    /// <summary>Everything that is wrong, where there may be more than one thing; empty: the message says it all.</summary>
    public IReadOnlyList<FieldError> Errors { get; init; } = [];

    /// <summary>When to try again; null: not said.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>Whether the same request can succeed later without anybody changing anything. False is sent as <c>x-should-retry: false</c>, which the vendors' SDKs obey.</summary>
    public bool Retryable { get; init; }

    /// <summary>The error that a refused admission becomes. A budget that will not open within a minute is not worth retrying.</summary>
    public static GatewayError From(AdmissionRefusal refusal) => new(refusal.Status, refusal.Code, refusal.Message)
    {
        RetryAfter = refusal.RetryAfter,
        Retryable = refusal.RetryAfter is { } wait && wait <= TimeSpan.FromMinutes(1),
    };

    /// <summary>A body larger than is taken.</summary>
    public static GatewayError BodyTooLarge(long maxBytes) =>
        new(StatusCodes.Status413PayloadTooLarge, "request_too_large", $"The request body exceeds the limit of {maxBytes} bytes ('limits.maxBodyBytes').");

    /// <summary>Too many bytes of bodies are held already.</summary>
    public static GatewayError BodyMemoryExhausted { get; } =
        new(StatusCodes.Status503ServiceUnavailable, "overloaded", "The gateway holds as many request bodies as it may. Try again shortly.")
        {
            RetryAfter = TimeSpan.FromSeconds(1),
            Retryable = true,
        };
}

/// <summary>One thing that is wrong with a request.</summary>
/// <param name="Field">Path into the body, e.g. <c>budgets[0].per</c>, or the name of a parameter; null where it concerns the whole.</param>
/// <param name="Message">What is wrong.</param>
public sealed record FieldError(string? Field, string Message);

/// <summary>Writes errors in one protocol. Metadata of an endpoint, so that errors that arise before its handler have the right shape, too.</summary>
public interface IErrorFormat
{
    /// <summary>Writes status, headers and body. The response must not have started.</summary>
    Task WriteAsync(HttpContext context, GatewayError error);
}

/// <summary>Whose credential an endpoint wants.</summary>
public enum CallerKind
{
    /// <summary>Nobody's.</summary>
    Anonymous,

    /// <summary>A virtual key.</summary>
    VirtualKey,

    /// <summary>An admin key; a virtual key never works there.</summary>
    Admin,
}

/// <summary>Endpoint metadata: whose credential is wanted. An endpoint without it is denied.</summary>
/// <param name="Kind">Whose.</param>
public sealed record RequiredCaller(CallerKind Kind);

/// <summary>Endpoint metadata: a parameter of the query in which the credential may stand, too. It is taken out of the query, so that nothing behind sees it.</summary>
/// <param name="Parameter">Its name.</param>
public sealed record QueryCredential(string Parameter);

/// <summary>What endpoints declare for the outermost middleware.</summary>
public static class GatewayEndpointConventions
{
    /// <summary>Declares whose credential the endpoint wants and how its errors look.</summary>
    public static TBuilder ForCaller<TBuilder>(this TBuilder builder, CallerKind kind, IErrorFormat errors) where TBuilder : IEndpointConventionBuilder =>
        builder.WithMetadata(new RequiredCaller(kind), errors);
}
