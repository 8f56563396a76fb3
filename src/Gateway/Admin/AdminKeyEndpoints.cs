using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/adminkeys</c>: the keys that open this API.</summary>
internal static class AdminKeyEndpoints
{
    private const string Invalid = "invalid_admin_key";
    private const int LongestName = 200;

    public static Task ListAsync(HttpContext context) =>
        AdminJson.WritePageAsync(context, "adminKeys", context.Page(Keys(context).List(), key => key.Id), (json, key) => Write(json, context, key));

    public static async Task CreateAsync(HttpContext context)
    {
        var body = await context.ObjectAsync("request body", Invalid);
        body.KnowsOnly(Invalid, "name", "readOnly", "expiresAt");
        if (body.TextMember("name", Invalid) is not { Length: > 0 and <= LongestName } name || string.IsNullOrWhiteSpace(name))
        {
            throw AdminProblem.BadBody(Invalid, "name", $"'name' is required: what people call the key, 1 to {LongestName} characters.");
        }
        var readOnly = body["readOnly"] switch
        {
            null => false,
            JsonValue value when value.TryGetValue<bool>(out var flag) => flag,
            _ => throw AdminProblem.BadBody(Invalid, "readOnly", "'readOnly' must be true or false."),
        };
        DateTimeOffset? expires = body.TextMember("expiresAt", Invalid) is not { } text ? null
            : StoredDocuments.TryMoment(text, out var moment) && moment > context.Service<TimeProvider>().GetUtcNow() ? moment
            : throw AdminProblem.BadBody(Invalid, "expiresAt", "'expiresAt' must be a date or moment in the future, such as 2027-01-31 or 2027-01-31T12:00:00Z.");
        var issued = Keys(context).Create(name, readOnly, expires, context.By());
        context.Response.Headers.Location = $"/admin/v1/adminkeys/{issued.Id}";
        await AnswerIssuedAsync(context, StatusCodes.Status201Created, issued);
    }

    public static Task GetAsync(HttpContext context)
    {
        var key = Find(context);
        return AdminJson.WriteAsync(context, StatusCodes.Status200OK, json => Write(json, context, key));
    }

    public static async Task RotateAsync(HttpContext context)
    {
        var overlap = await KeyAdministration.OverlapAsync(context);
        var key = Find(context);
        var issued = Keys(context).Rotate(key.Id, overlap, context.By())
            ?? throw AdminProblem.Conflict("admin_key_ended", $"The admin key '{key.Id}' is revoked or has expired; make another one.");
        await AnswerIssuedAsync(context, StatusCodes.Status200OK, issued);
    }

    public static Task RevokeAsync(HttpContext context)
    {
        var key = Find(context);
        if (!Keys(context).TryRevoke(key.Id, context.By()))
        {
            throw AdminProblem.Conflict("last_admin_key", $"'{key.Id}' is the last admin key that can change anything; make another one first.");
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
        return Task.CompletedTask;
    }

    private static AdminKey Find(HttpContext context) =>
        Keys(context).List().FirstOrDefault(key => key.Id == context.Id()) ?? throw AdminProblem.NotFound("admin_key", context.Id());

    private static Task AnswerIssuedAsync(HttpContext context, int status, IssuedKey issued)
    {
        var key = Keys(context).List().First(key => key.Id == issued.Id);
        return AdminJson.WriteAsync(context, status, json =>
        {
            json.WriteStartObject();
            json.WriteString("id", issued.Id);
            json.WriteString("token", issued.Token);
            json.WriteString("note", "The token is shown this once and kept nowhere.");
            json.WritePropertyName("adminKey");
            Write(json, context, key);
            json.WriteEndObject();
        });
    }

    private static void Write(Utf8JsonWriter json, HttpContext context, AdminKey key)
    {
        json.WriteStartObject();
        json.WriteString("id", key.Id);
        json.WriteString("masked", KeyToken.Mask(KeyToken.AdminKeyPrefix, key.Id));
        json.WriteString("name", key.Name);
        json.WriteString("state", key.RevokedAt is not null ? "revoked" : key.HoldsAt(context.Service<TimeProvider>().GetUtcNow()) ? "active" : "expired");
        json.WriteBoolean("readOnly", key.ReadOnly);
        json.WriteString("createdBy", key.CreatedBy);
        AdminJson.WriteMoment(json, "createdAt", key.CreatedAt);
        AdminJson.WriteMoment(json, "expiresAt", key.ExpiresAt);
        json.WriteString("revokedBy", key.RevokedBy);
        AdminJson.WriteMoment(json, "revokedAt", key.RevokedAt);
        json.WriteEndObject();
    }

    private static AdminKeys Keys(HttpContext context) => context.Service<AdminKeys>();
}
