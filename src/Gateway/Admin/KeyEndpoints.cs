using System.Text.Json;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/keys</c>.</summary>
internal static class KeyEndpoints
{
    public const string States = "active, expired or revoked";

    private const string Once = "The token is shown this once and kept nowhere.";

    public static Task ListAsync(HttpContext context)
    {
        var now = context.Service<TimeProvider>().GetUtcNow();
        IEnumerable<VirtualKey> keys = context.Snapshot().Keys.Values;
        foreach (var (parameter, owner) in new[] { ("user", OwnerKind.User), ("team", OwnerKind.Team), ("customer", OwnerKind.Customer) })
        {
            if (context.Text(parameter) is { } id)
            {
                keys = keys.Where(key => key.IdOf(owner) == id);
            }
        }
        if (context.Text("name") is { } name)
        {
            keys = keys.Where(key => key.Name.Contains(name, StringComparison.OrdinalIgnoreCase));
        }
        if (context.Text("state") is { } state)
        {
            keys = state is "active" or "expired" or "revoked" ? keys.Where(key => StateOf(key, now) == state)
                : throw AdminProblem.BadParameter("state", $"'state' must be {States}, not '{state}'.");
        }
        return AdminJson.WritePageAsync(context, "keys", context.Page(keys, key => key.Id), (json, key) => Write(json, context, key));
    }

    public static Task GetAsync(HttpContext context) => AnswerAsync(context, context.Id());

    public static async Task CreateAsync(HttpContext context)
    {
        var (key, revision) = await Administration(context).CreateAsync(context);
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        context.Response.Headers.Location = $"/admin/v1/keys/{key.Id}";
        await AnswerIssuedAsync(context, StatusCodes.Status201Created, key, null);
    }

    public static async Task PutAsync(HttpContext context) => await AnswerChangedAsync(context, await Administration(context).ReplaceAsync(context, context.Id()));

    public static async Task PatchAsync(HttpContext context) => await AnswerChangedAsync(context, await Administration(context).PatchAsync(context, context.Id()));

    public static async Task RotateAsync(HttpContext context)
    {
        var (key, until, revision) = await Administration(context).RotateAsync(context, context.Id());
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        await AnswerIssuedAsync(context, StatusCodes.Status200OK, key, until);
    }

    public static async Task RevokeAsync(HttpContext context)
    {
        var revision = await Administration(context).RevokeAsync(context, context.Id());
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static Task AnswerChangedAsync(HttpContext context, string revision) => context.IsDryRun()
        ? ConfigurationChanges.AnswerDryRunAsync(context, revision)
        : AnswerAsync(context, context.Id());

    private static Task AnswerAsync(HttpContext context, string id)
    {
        var key = context.Snapshot().Keys.GetValueOrDefault(id) ?? throw AdminProblem.NotFound("key", id);
        SetTag(context, id);
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json => Write(json, context, key));
    }

    private static Task AnswerIssuedAsync(HttpContext context, int status, IssuedKey issued, DateTimeOffset? oldUntil)
    {
        SetTag(context, issued.Id);
        return AdminJson.WriteAsync(context, status, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", issued.Id);
            json.WriteString("token", issued.Token);
            json.WriteString("note", Once);
            if (oldUntil is not null)
            {
                AdminJson.WriteMoment(json, "oldSecretValidUntil", oldUntil);
            }
            json.WritePropertyName("key");
            Write(json, context, context.Snapshot().Keys[issued.Id]);
            json.WriteEndObject();
        });
    }

    private static void SetTag(HttpContext context, string id)
    {
        if (context.Service<SnapshotLoader>().Stored.Keys.TryGetValue(id, out var stored))
        {
            context.Response.Headers.ETag = KeyAdministration.TagOf(stored);
        }
    }

    private static void Write(Utf8JsonWriter json, HttpContext context, VirtualKey key)
    {
        var loader = context.Service<SnapshotLoader>();
        var now = context.Service<TimeProvider>().GetUtcNow();
        var declared = loader.DeclaredKeys.GetValueOrDefault(key.Id);
        var stored = loader.Stored.Keys.GetValueOrDefault(key.Id);
        json.WriteStartObject();
        json.WriteString("id", key.Id);
        json.WriteString("masked", KeyToken.Mask(KeyToken.VirtualKeyPrefix, key.Id));
        json.WriteString("name", key.Name);
        json.WriteString("state", StateOf(key, now));
        EntityEndpoints.WriteOrigin(json, declared?.Origin ?? "", stored is not null);
        json.WriteString("createdBy", stored?.CreatedBy);
        AdminJson.WriteMoment(json, "createdAt", stored?.CreatedAt);
        json.WriteString("changedBy", stored?.ChangedBy);
        AdminJson.WriteMoment(json, "changedAt", stored?.ChangedAt);
        AdminJson.WriteMoment(json, "expiresAt", key.ExpiresAt);
        json.WriteString("revokedBy", stored?.RevokedBy);
        AdminJson.WriteMoment(json, "revokedAt", key.RevokedAt);
        json.WriteString("etag", stored is null ? null : KeyAdministration.TagOf(stored));
        json.WriteStartObject("owner");
        json.WriteString("user", key.IdOf(OwnerKind.User));
        json.WriteString("team", key.IdOf(OwnerKind.Team));
        json.WriteString("customer", key.IdOf(OwnerKind.Customer));
        json.WriteEndObject();
        AdminJson.WriteTexts(json, "models", key.Grants?.Models ?? []);
        AdminJson.WriteTexts(json, "tools", key.Grants?.Tools ?? []);
        json.WriteStartArray("secrets");
        foreach (var secret in key.Secrets.Where(secret => !(secret.ValidUntil <= now)))
        {
            json.WriteStartObject();
            AdminJson.WriteMoment(json, "validUntil", secret.ValidUntil);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        LimitEndpoints.WriteBudgets(json, context, [.. key.Chain()]);
        json.WritePropertyName("declaration");
        json.WriteRawValue(stored?.Declaration ?? declared?.Declaration ?? "{}");
        json.WriteEndObject();
    }

    private static string StateOf(VirtualKey key, DateTimeOffset now) => key.RevokedAt is not null ? "revoked" : key.ExpiresAt <= now ? "expired" : "active";

    private static KeyAdministration Administration(HttpContext context) => context.Service<KeyAdministration>();
}
