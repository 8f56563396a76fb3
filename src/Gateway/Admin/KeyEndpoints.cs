using System.Security.Claims;
using System.Text.Json;
using Shared.Http;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/keys</c>.</summary>
internal static class KeyEndpoints
{
    /// <summary>A declaration is small; what is larger is not one.</summary>
    private const long MaxDeclarationBytes = 64 * 1024;

    public static Task ListAsync(HttpContext context)
    {
        var stored = Administration(context).List();
        var keys = Current(context).Keys.Values.OrderBy(key => key.Id, StringComparer.Ordinal);
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("keys");
            foreach (var key in keys)
            {
                Write(json, key, stored.GetValueOrDefault(key.Id));
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public static Task FindAsync(HttpContext context)
    {
        var id = IdOf(context);
        return Current(context).Keys.GetValueOrDefault(id) is { } key
            ? AdminJson.WriteAsync(context, StatusCodes.Status200OK, json => Write(json, key, Administration(context).Find(id)))
            : ProblemFormat.Instance.WriteAsync(context, KeyAdministration.UnknownKey(id));
    }

    public static async Task CreateAsync(HttpContext context)
    {
        var (body, unreadable) = await PooledBody.ReadAsync(context, context.RequestServices.GetRequiredService<BodyMemory>(), MaxDeclarationBytes);
        if (body is null)
        {
            await ProblemFormat.Instance.WriteAsync(context, unreadable!);
            return;
        }
        using var declaration = body;
        var (key, error) = await Administration(context).CreateAsync(declaration.Bytes, ByOf(context));
        if (key is null)
        {
            await ProblemFormat.Instance.WriteAsync(context, error!);
            return;
        }
        context.Response.Headers.Location = $"/admin/v1/keys/{key.Id}";
        await AdminJson.WriteAsync(context, StatusCodes.Status201Created, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", key.Id);
            json.WriteString("token", key.Token);
            json.WriteString("note", "The token is shown this once and kept nowhere.");
            json.WritePropertyName("key");
            Write(json, context.RequestServices.GetRequiredService<SnapshotStore>().Current.Keys[key.Id], Administration(context).Find(key.Id));
            json.WriteEndObject();
        });
    }

    public static async Task RevokeAsync(HttpContext context)
    {
        if (await Administration(context).RevokeAsync(IdOf(context), ByOf(context)) is { } error)
        {
            await ProblemFormat.Instance.WriteAsync(context, error);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    private static void Write(Utf8JsonWriter json, VirtualKey key, StoredKey? stored)
    {
        json.WriteStartObject();
        json.WriteString("id", key.Id);
        json.WriteString("masked", KeyToken.Mask(KeyToken.VirtualKeyPrefix, key.Id));
        json.WriteString("name", key.Name);
        json.WriteString("declaredIn", key.DeclaredIn);
        json.WriteString("createdBy", stored?.CreatedBy);
        WriteMoment(json, "createdAt", stored?.CreatedAt);
        WriteMoment(json, "expiresAt", key.ExpiresAt);
        WriteMoment(json, "revokedAt", key.RevokedAt);
        AdminJson.WriteTexts(json, "models", key.Grants?.Models ?? []);
        AdminJson.WriteTexts(json, "tools", key.Grants?.Tools ?? []);
        json.WriteStartArray("budgets");
        foreach (var budget in key.Budgets)
        {
            json.WriteStartObject();
            json.WriteString("id", budget.Id);
            json.WriteNumber("dollars", budget.Limit.Dollars);
            json.WriteNumber("windowSeconds", budget.Window.Length.TotalSeconds);
            json.WriteString("alignedTo", budget.Window.Calendar?.ToString().ToLowerInvariant());
            json.WriteBoolean("hard", budget.Hard);
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteMoment(Utf8JsonWriter json, string name, DateTimeOffset? moment)
    {
        if (moment is { } known)
        {
            json.WriteString(name, known.UtcDateTime);
        }
        else
        {
            json.WriteNull(name);
        }
    }

    private static Snapshot Current(HttpContext context) => GatewayRequest.Of(context).Snapshot;

    private static KeyAdministration Administration(HttpContext context) => context.RequestServices.GetRequiredService<KeyAdministration>();

    private static string IdOf(HttpContext context) => (string)context.Request.RouteValues["id"]!;

    private static ChangedBy ByOf(HttpContext context) => new(context.User.FindFirstValue(ClaimTypes.NameIdentifier)!, GatewayRequest.Of(context).RequestId);
}
