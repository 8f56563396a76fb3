using System.Text.Json;
using Shared.Http;
using Shared.Snapshots;
using Shared.Stored;
using Shared.Tools;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/toolservers/{id}/sign-in</c>: who has signed in at an upstream tool server, and links for those who have not.</summary>
internal static class SignInEndpoints
{
    private const long MaxBodyBytes = 16 * 1024;
    private const string Shared = "shared";

    public static async Task StartAsync(HttpContext context)
    {
        var subject = await SubjectAsync(context);
        RequireSubject(context, subject);
        try
        {
            var id = IdOf(context);
            var link = await SignIn(context).StartAsync(id, subject, context.RequestAborted);
            context.RequestServices.GetRequiredService<AuditLog>().Record(new("signInStarted", "toolServer", id, null, $"{{\"subject\":{JsonSerializer.Serialize(subject)}}}"), DataJson.ByOf(context));
            await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
            {
                json.WriteStartObject();
                json.WriteString("subject", subject);
                json.WriteString("url", link.Url);
                json.WriteString("expiresAt", link.ExpiresAt.UtcDateTime);
                json.WriteString("issuer", link.Issuer);
                AdminJson.WriteTexts(json, "scopes", link.Scopes);
                json.WriteEndObject();
            });
        }
        catch (SignInRefusedException exception)
        {
            throw ProblemOf(exception);
        }
    }

    public static Task ListAsync(HttpContext context)
    {
        try
        {
            var states = SignIn(context).ReadStates(IdOf(context));
            return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
            {
                json.WriteStartObject();
                json.WriteStartArray("signIns");
                foreach (var state in states)
                {
                    json.WriteStartObject();
                    json.WriteString("subject", state.Subject);
                    json.WriteString("issuer", state.Issuer);
                    json.WriteString("state", state.State);
                    json.WriteString("since", state.Since.UtcDateTime);
                    json.WriteString("renewedAt", state.RenewedAt.UtcDateTime);
                    DataJson.WriteMoment(json, "expiresAt", state.ExpiresAt);
                    AdminJson.WriteTexts(json, "scopes", state.Scopes);
                    json.WriteEndObject();
                }
                json.WriteEndArray();
                json.WriteEndObject();
            });
        }
        catch (SignInRefusedException exception)
        {
            throw ProblemOf(exception);
        }
    }

    public static async Task EndAsync(HttpContext context)
    {
        var subject = context.Request.Query["subject"].ToString() is { Length: > 0 } given ? given : Shared;
        RequireForm(subject);
        try
        {
            if (SignIn(context).SignOut(IdOf(context), subject, DataJson.ByOf(context)))
            {
                context.Response.StatusCode = StatusCodes.Status204NoContent;
                return;
            }
        }
        catch (SignInRefusedException exception)
        {
            throw ProblemOf(exception);
        }
        await ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "not_signed_in", $"'{subject}' has not signed in at the tool server '{IdOf(context)}'.") { Field = "subject" });
    }

    private static async Task<string> SubjectAsync(HttpContext context)
    {
        if (context.Request.ContentLength is null or 0 && !context.Request.Headers.TransferEncoding.Any())
        {
            return Shared;
        }
        var (body, unreadable) = await PooledBody.ReadAsync(context, context.RequestServices.GetRequiredService<BodyMemory>(), MaxBodyBytes);
        if (body is null)
        {
            throw new AdminProblem(unreadable!);
        }
        using var read = body;
        try
        {
            using var json = JsonDocument.Parse(read.Bytes);
            if (json.RootElement.ValueKind == JsonValueKind.Object && json.RootElement.EnumerateObject().All(member => member.Name == "subject"))
            {
                return !json.RootElement.TryGetProperty("subject", out var subject) ? Shared
                    : subject.ValueKind == JsonValueKind.String ? subject.GetString()! : throw Bad("'subject' must be a text: 'shared', 'user:<id>' or 'key:<id>'.");
            }
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Answered as any other body that is not what was asked for.
        }
        throw Bad("The body must be empty, or a JSON object like {\"subject\": \"user:ann\"}.");
    }

    private static void RequireForm(string subject)
    {
        if (subject != Shared && !(subject.StartsWith("user:", StringComparison.Ordinal) && subject.Length > 5) && !(subject.StartsWith("key:", StringComparison.Ordinal) && subject.Length > 4))
        {
            throw Bad($"'{(subject.Length <= 100 ? subject : subject[..100])}' is nobody: expected 'shared', 'user:<id>' or 'key:<id>'.");
        }
    }

    private static void RequireSubject(HttpContext context, string subject)
    {
        RequireForm(subject);
        var snapshot = GatewayRequest.Of(context).Snapshot;
        var id = subject[(subject.IndexOf(':', StringComparison.Ordinal) + 1)..];
        if (subject != Shared && !(subject[0] == 'u' ? snapshot.Owners.Any(owner => owner.Kind == OwnerKind.User && owner.Id == id) : snapshot.Keys.ContainsKey(id)))
        {
            throw Bad($"There is no {(subject[0] == 'u' ? "user" : "key")} '{id}'.");
        }
        var manifest = snapshot.Manifests.FirstOrDefault(manifest => manifest.Id == IdOf(context));
        var wanted = manifest?.Auth?.Per;
        if ((wanted == UpstreamSubject.Shared && subject != Shared) || (wanted == UpstreamSubject.Key && subject[0] == 'u'))
        {
            throw Bad($"The manifest of '{IdOf(context)}' has one sign-in {(wanted == UpstreamSubject.Shared ? "for everybody; leave the subject out" : "for each key; name one with 'key:<id>'")}.");
        }
    }

    private static AdminProblem Bad(string message) => new(new GatewayError(StatusCodes.Status400BadRequest, "invalid_request", message) { Field = "subject" });

    private static AdminProblem ProblemOf(SignInRefusedException exception) => new(exception.Reason switch
    {
        SignInRefusal.NotForPeople => new GatewayError(StatusCodes.Status409Conflict, "no_sign_in", exception.Message) { Field = "id" },
        SignInRefusal.Refused => new GatewayError(StatusCodes.Status409Conflict, "sign_in_refused", exception.Message),
        _ => new GatewayError(StatusCodes.Status503ServiceUnavailable, "sign_in_unavailable", exception.Message) { Retryable = true },
    });

    private static string IdOf(HttpContext context)
    {
        var id = DataJson.Route(context, "id");
        return GatewayRequest.Of(context).Snapshot.Manifests.Any(manifest => manifest.Id == id) ? id
            : throw new AdminProblem(new GatewayError(StatusCodes.Status404NotFound, "unknown_tool_server", $"There is no tool server '{id}'.") { Field = "id" });
    }

    private static IToolServerSignIn SignIn(HttpContext context) => context.RequestServices.GetRequiredService<IToolServerSignIn>();
}
