using System.Text.Json;
using Shared.Configuration;
using Shared.Snapshots;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/secrets</c>: the names of the encrypted store. A secret goes in and never comes out.</summary>
internal static class SecretEndpoints
{
    private const int LongestName = 200;
    private const int LongestValue = 64 * 1024;

    public static Task ListAsync(HttpContext context)
    {
        var stored = context.Service<SnapshotLoader>().Stored;
        return AdminJson.WritePageAsync(context, "secrets", context.Page(stored.Secrets, secret => secret.Key), (json, secret) => Write(json, secret.Key, secret.Value, stored));
    }

    public static async Task PutAsync(HttpContext context)
    {
        var name = context.Id();
        if (name.Length > LongestName || !name.All(c => char.IsAsciiLetterOrDigit(c) || "._-@/".Contains(c, StringComparison.Ordinal)))
        {
            throw AdminProblem.BadBody("invalid_secret", "id", $"'{name}' cannot be the name of a secret: expected 1 to {LongestName} letters, digits, '.', '_', '-', '@' or '/'.");
        }
        var body = await context.ObjectAsync("request body", "invalid_secret");
        body.KnowsOnly("invalid_secret", "value");
        if (body.TextMember("value", "invalid_secret") is not { Length: > 0 and <= LongestValue } value)
        {
            throw AdminProblem.BadBody("invalid_secret", "value", $"'value' is required: the secret, 1 to {LongestValue} characters.");
        }
        var made = false;
        var revision = await context.Service<ConfigurationChanges>().MakeAsync(context, "request body", "invalid_secret", stored =>
        {
            var present = stored.Secrets.GetValueOrDefault(name);
            context.CheckMatch($"The secret '{name}'", present is null ? null : TagOf(name, present));
            made = present is null;
            return stored.WithSecret(name, new Secret(value));
        });
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        var now = context.Service<SnapshotLoader>().Stored;
        if (now.Secrets.TryGetValue(name, out var set))
        {
            context.Response.Headers.ETag = TagOf(name, set);
        }
        await AdminJson.WriteAsync(context, made ? StatusCodes.Status201Created : StatusCodes.Status200OK, json => Write(json, name, now.Secrets.GetValueOrDefault(name), now));
    }

    public static async Task DeleteAsync(HttpContext context)
    {
        var name = context.Id();
        var revision = await context.Service<ConfigurationChanges>().MakeAsync(context, "request body", "in_use", stored =>
        {
            var present = stored.Secrets.GetValueOrDefault(name) ?? throw AdminProblem.NotFound("secret", name);
            context.CheckMatch($"The secret '{name}'", TagOf(name, present));
            var users = UsersOf(name, stored).ToList();
            return users.Count == 0 ? stored.WithoutSecret(name)
                : throw AdminProblem.Conflict("in_use", $"The secret is used by {string.Join(", ", users)}; change what uses it first.");
        }, StatusCodes.Status409Conflict);
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static IEnumerable<string> UsersOf(string name, StoredConfiguration stored) =>
        stored.Entities.Values.Where(entity => EntitySecrets.Mentions(entity.Declaration, name)).Select(entity => entity.Name.ToString());

    // Of who set it and when, and nothing of what it is.
    private static string TagOf(string name, StoredSecret secret) => AdminRequests.TagOf("secret", name, secret.ChangedBy, $"{secret.ChangedAt.ToUnixTimeMilliseconds()}");

    private static void Write(Utf8JsonWriter json, string name, StoredSecret? secret, StoredConfiguration stored)
    {
        json.WriteStartObject();
        json.WriteString("name", name);
        json.WriteString("changedBy", secret?.ChangedBy);
        AdminJson.WriteMoment(json, "changedAt", secret?.ChangedAt);
        json.WriteString("etag", secret is null ? null : TagOf(name, secret));
        json.WriteBoolean("opens", secret?.Value is not null);
        AdminJson.WriteTexts(json, "usedBy", UsersOf(name, stored));
        json.WriteEndObject();
    }
}
