using System.Globalization;
using System.Security.Claims;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using Shared.Http;
using Shared.Snapshots;
using Shared.Stored;

namespace Gateway.Admin;

/// <summary>What every endpoint of the admin API reads of a request in the same way. Whatever is wrong is thrown as an <see cref="AdminProblem"/>.</summary>
internal static class AdminRequests
{
    /// <summary>A declaration is small; what is larger is not one. Manifests are the largest.</summary>
    private const long MaxBodyBytes = 256 * 1024;

    public static string Id(this HttpContext context) => (string)context.Request.RouteValues["id"]!;

    /// <summary>The snapshot that serves now: after a change, the changed one.</summary>
    public static Snapshot Snapshot(this HttpContext context) => context.Service<SnapshotStore>().Current;

    public static T Service<T>(this HttpContext context) where T : notnull => context.RequestServices.GetRequiredService<T>();

    /// <summary>Who sends the request, for the audit.</summary>
    public static ChangedBy By(this HttpContext context) => new(context.User.FindFirstValue(ClaimTypes.NameIdentifier)!, GatewayRequest.Of(context).RequestId);

    public static bool IsDryRun(this HttpContext context) => Boolean(context, "dryRun") ?? false;

    public static string? Text(this HttpContext context, string name) => context.Request.Query[name] is [{ Length: > 0 } text] ? text : null;

    public static bool? Boolean(this HttpContext context, string name) => context.Text(name) switch
    {
        null => null,
        "true" => true,
        "false" => false,
        var other => throw AdminProblem.BadParameter(name, $"'{name}' must be true or false, not '{other}'."),
    };

    public static int Limit(this HttpContext context) => context.Text("limit") is not { } text ? 100
        : int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var limit) && limit is >= 1 and <= 1000 ? limit
        : throw AdminProblem.BadParameter("limit", $"'limit' must be a number from 1 to 1000, not '{text}'.");

    public static DateTimeOffset? Moment(this HttpContext context, string name) => context.Text(name) is not { } text ? null
        : StoredDocuments.TryMoment(text, out var moment) ? moment
        : throw AdminProblem.BadParameter(name, $"'{name}' must be a date or a moment such as 2027-01-31 or 2027-01-31T12:00:00Z, not '{text}'.");

    /// <summary>The cursor of a list that is numbered downwards.</summary>
    public static long? SequenceCursor(this HttpContext context) => context.Text("cursor") is not { } text ? null
        : long.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var sequence) ? sequence
        : throw AdminProblem.BadParameter("cursor", "'cursor' must be the 'nextCursor' of the page before.");

    /// <summary>A page of a list that is ordered by id.</summary>
    /// <returns>The items, and the cursor of the next page; null: this is the last.</returns>
    public static (IReadOnlyList<T> Items, string? Next) Page<T>(this HttpContext context, IEnumerable<T> items, Func<T, string> idOf)
    {
        var limit = context.Limit();
        var after = context.Text("cursor");
        List<T> page = [.. items.OrderBy(idOf, StringComparer.Ordinal).SkipWhile(item => after is not null && string.CompareOrdinal(idOf(item), after) <= 0).Take(limit + 1)];
        return page.Count <= limit ? (page, null) : (page[..limit], idOf(page[limit - 1]));
    }

    /// <summary>Reads the body as an object.</summary>
    /// <param name="context">The request.</param>
    /// <param name="source">What errors call it.</param>
    /// <param name="code">The code of the error that a body which is none becomes.</param>
    public static async Task<JsonObject> ObjectAsync(this HttpContext context, string source, string code)
    {
        using var body = await BodyAsync(context);
        var yaml = context.Request.ContentType?.Contains("yaml", StringComparison.OrdinalIgnoreCase) ?? false;
        var (document, errors) = StoredDocuments.Read(source, body.Bytes.Span, yaml);
        return document ?? throw AdminProblem.Invalid(code, source, errors);
    }

    public static async Task<PooledBody> BodyAsync(this HttpContext context)
    {
        var (body, unreadable) = await PooledBody.ReadAsync(context, context.Service<BodyMemory>(), MaxBodyBytes);
        return body ?? throw new AdminProblem(unreadable is { Status: StatusCodes.Status413PayloadTooLarge }
            ? unreadable with { Message = $"The request body exceeds the limit of {MaxBodyBytes} bytes." } : unreadable!);
    }

    /// <summary>A member of the body that is a text; null: it is not there.</summary>
    public static string? TextMember(this JsonObject body, string name, string code) => body[name] switch
    {
        null => null,
        JsonValue value when value.TryGetValue<string>(out var text) => text,
        _ => throw AdminProblem.BadBody(code, name, $"'{name}' must be a text."),
    };

    /// <summary>Refuses members that mean nothing.</summary>
    public static void KnowsOnly(this JsonObject body, string code, params string[] members)
    {
        if (body.Select(member => member.Key).FirstOrDefault(name => !members.Contains(name)) is { } unknown)
        {
            throw AdminProblem.BadBody(code, unknown, $"unknown member '{unknown}'; known are {string.Join(", ", members)}");
        }
    }

    /// <summary>The entity tag of something, from all that its state consists of.</summary>
    public static string TagOf(params ReadOnlySpan<string> state) =>
        $"\"{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(string.Join('\0', state))))[..16]}\"";

    /// <summary>Refuses a change that was decided on another state than the present one (<c>If-Match</c>), or that must not replace anything (<c>If-None-Match: *</c>).</summary>
    /// <param name="context">The request.</param>
    /// <param name="what">What is changed, for the message.</param>
    /// <param name="present">Its tag now; null: there is none.</param>
    public static void CheckMatch(this HttpContext context, string what, string? present)
    {
        var wanted = context.Request.Headers.IfMatch;
        if (wanted.Count > 0)
        {
            var tags = wanted.SelectMany(value => value!.Split(',')).Select(tag => tag.Trim());
            if (present is null || !tags.Any(tag => tag == "*" || tag == present))
            {
                throw AdminProblem.StateChanged(what);
            }
        }
        if (context.Request.Headers.IfNoneMatch is ["*"] && present is not null)
        {
            throw AdminProblem.StateChanged(what);
        }
    }
}
