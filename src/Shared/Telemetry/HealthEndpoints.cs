using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.DependencyInjection;

namespace Shared.Telemetry;

/// <summary><c>/health/live</c> and <c>/health/ready</c>.</summary>
internal static class HealthEndpoints
{
    private static ReadOnlySpan<byte> LiveBody => "{\"status\":\"live\"}"u8;

    public static async Task LiveAsync(HttpContext context)
    {
        context.Response.ContentType = "application/json";
        LiveBody.CopyTo(context.Response.BodyWriter.GetSpan(LiveBody.Length));
        context.Response.BodyWriter.Advance(LiveBody.Length);
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    public static async Task ReadyAsync(HttpContext context)
    {
        var answers = context.RequestServices.GetServices<IReadinessCheck>().Select(check => (check.Name, Answer: check.Check())).ToList();
        var ready = answers.All(answer => answer.Answer.State != ReadinessState.Failed);
        context.Response.StatusCode = ready ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
        context.Response.ContentType = "application/json";
        context.Response.Headers.CacheControl = "no-store";
        await using (var json = new Utf8JsonWriter(context.Response.BodyWriter))
        {
            json.WriteStartObject();
            json.WriteString("status", ready ? "ready" : "not ready");
            json.WriteStartObject("checks");
            foreach (var (name, answer) in answers)
            {
                json.WriteStartObject(name);
                json.WriteString("state", StateName(answer.State));
                json.WriteStartArray("details");
                foreach (var detail in answer.Details)
                {
                    json.WriteStringValue(detail);
                }
                json.WriteEndArray();
                json.WriteEndObject();
            }
            json.WriteEndObject();
            json.WriteEndObject();
        }
        await context.Response.BodyWriter.FlushAsync(context.RequestAborted);
    }

    private static string StateName(ReadinessState state) => state switch
    {
        ReadinessState.Ok => "ok",
        ReadinessState.Degraded => "degraded",
        _ => "failed",
    };
}
