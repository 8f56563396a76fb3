using System.Globalization;
using Shared.Http;
using Shared.Storage;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary><c>POST /admin/v1/backup</c>: an archive of the data, made while the gateway works, as the body of the answer.</summary>
internal static class BackupEndpoint
{
    private static readonly string[] Parameters = ["includeSecretsKey"];

    public static async Task AnswerAsync(HttpContext context)
    {
        var query = new QueryReader(context.Request.Query, Parameters);
        var includeKey = query.Text("includeSecretsKey");
        if (includeKey is not (null or "true" or "false"))
        {
            query.Fail("includeSecretsKey", "'includeSecretsKey' must be true or false.");
        }
        if (query.Error is not null)
        {
            await ProblemFormat.Instance.WriteAsync(context, query.Error);
            return;
        }
        var (copy, error) = await CopyAsync(context, includeKey == "true");
        if (copy is null)
        {
            await ProblemFormat.Instance.WriteAsync(context, error!);
            return;
        }
        using (copy)
        {
            context.RequestServices.GetRequiredService<AuditLog>().Record(new("made", "backup", copy.HasSecretsKey ? "data and secrets key" : "data", null, null), DataJson.ByOf(context));
            var now = context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();
            context.Response.ContentType = "application/gzip";
            context.Response.Headers.CacheControl = "no-store";
            context.Response.Headers.ContentDisposition = string.Create(CultureInfo.InvariantCulture, $"attachment; filename=\"gateway-{now.UtcDateTime:yyyyMMdd-HHmmss}.backup.tar.gz\"");
            await copy.WriteAsync(context.Response.Body, context.RequestAborted);
        }
    }

    private static async Task<(BackupCopy? Copy, GatewayError? Error)> CopyAsync(HttpContext context, bool includeKey)
    {
        try
        {
            return (await context.RequestServices.GetRequiredService<Backup>().CopyAsync(includeKey, context.RequestAborted), null);
        }
        catch (BackupRunningException exception)
        {
            return (null, new GatewayError(StatusCodes.Status409Conflict, "backup_running", exception.Message) { RetryAfter = TimeSpan.FromSeconds(10), Retryable = true });
        }
        catch (StorageException exception)
        {
            return (null, new GatewayError(StatusCodes.Status503ServiceUnavailable, "backup_failed", exception.Message));
        }
    }
}
