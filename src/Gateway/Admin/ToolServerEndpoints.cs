using System.Text.Json;
using Shared.Http;
using Shared.Ledger;
using Shared.Tools;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/toolservers</c>: how the upstream tool servers are, and what admins do with them.</summary>
internal static class ToolServerEndpoints
{
    private const int MaxReasonLength = 500;
    private const long MaxBodyBytes = 16 * 1024;

    private static readonly TimeSpan Counted = TimeSpan.FromDays(1);

    public static async Task ListAsync(HttpContext context)
    {
        var since = Now(context) - Counted;
        var counts = await CountAsync(context, since, UsageDimension.Server, null);
        var servers = context.RequestServices.GetRequiredService<IToolServerStates>().ReadAll();
        var administration = Administration(context);
        await AdminJson.WriteAsync(context, StatusCodes.Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("servers");
            foreach (var server in servers)
            {
                json.WriteStartObject();
                WriteState(json, server);
                WriteHold(json, administration?.Find(server.Id)?.Hold);
                WriteCalls(json, counts.GetValueOrDefault(server.Id), since);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    public static async Task FindAsync(HttpContext context)
    {
        if (await ServerAsync(context) is { } server)
        {
            await AnswerAsync(context, server);
        }
    }

    public static async Task ReconnectAsync(HttpContext context)
    {
        if (await ServerAsync(context) is not { } server)
        {
            return;
        }
        if (!Administration(context)!.Reconnect(server.State.Id))
        {
            await ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status409Conflict, "tool_server_disabled",
                $"The tool server '{server.State.Id}' is switched off, by its manifest or by an admin; nothing is connected.") { Field = "id" });
            return;
        }
        context.RequestServices.GetRequiredService<Shared.Stored.AuditLog>().Record(new("reconnected", "toolServer", server.State.Id, null, null), DataJson.ByOf(context));
        await AnswerAsync(context, Administration(context)!.Find(server.State.Id) ?? server, StatusCodes.Status202Accepted);
    }

    public static Task DisableAsync(HttpContext context) => HoldAsync(context, "");

    public static Task EnableAsync(HttpContext context) => ReleaseAsync(context, "");

    public static Task QuarantineAsync(HttpContext context) => HoldAsync(context, ToolOf(context));

    public static Task UnquarantineAsync(HttpContext context) => ReleaseAsync(context, ToolOf(context));

    private static async Task HoldAsync(HttpContext context, string tool)
    {
        if (await ServerAsync(context) is not { } server)
        {
            return;
        }
        var (reason, error) = await ReasonAsync(context);
        if (reason is null)
        {
            await ProblemFormat.Instance.WriteAsync(context, error!);
            return;
        }
        if (tool.Length > 0 && server.Tools.All(known => known.Name != tool) && server.Withheld.All(known => known.Name != tool) && server.State.State == "connected")
        {
            await ProblemFormat.Instance.WriteAsync(context, UnknownTool(server, tool));
            return;
        }
        Administration(context)!.Hold(server.State.Id, tool, reason, DataJson.ByOf(context));
        await AnswerAsync(context, Administration(context)!.Find(server.State.Id) ?? server);
    }

    private static async Task ReleaseAsync(HttpContext context, string tool)
    {
        if (await ServerAsync(context) is not { } server)
        {
            return;
        }
        if (tool.Length > 0 && server.Tools.All(known => known.Name != tool) && server.Withheld.All(known => known.Name != tool))
        {
            await ProblemFormat.Instance.WriteAsync(context, UnknownTool(server, tool));
            return;
        }
        Administration(context)!.Release(server.State.Id, tool, DataJson.ByOf(context));
        await AnswerAsync(context, Administration(context)!.Find(server.State.Id) ?? server);
    }

    private static GatewayError UnknownTool(ToolServerDetail server, string tool) => new(StatusCodes.Status404NotFound, "unknown_tool",
        $"The tool server '{server.State.Id}' has no tool '{tool}'; it is named as the server names it, without prefix.") { Field = "tool" };

    private static async Task<(string? Reason, GatewayError? Error)> ReasonAsync(HttpContext context)
    {
        var (body, unreadable) = await PooledBody.ReadAsync(context, context.RequestServices.GetRequiredService<BodyMemory>(), MaxBodyBytes);
        if (body is null)
        {
            return (null, unreadable);
        }
        using var read = body;
        try
        {
            using var json = JsonDocument.Parse(read.Bytes);
            var root = json.RootElement;
            if (root.ValueKind == JsonValueKind.Object && root.EnumerateObject().FirstOrDefault(member => member.Name != "reason") is { Value.ValueKind: not JsonValueKind.Undefined } unknown)
            {
                return (null, Bad(unknown.Name, $"There is no member '{unknown.Name}'; known is 'reason'."));
            }
            return root.ValueKind == JsonValueKind.Object && root.TryGetProperty("reason", out var reason) && reason.ValueKind == JsonValueKind.String
                && reason.GetString() is { } text && !string.IsNullOrWhiteSpace(text) && text.Length <= MaxReasonLength
                ? (text.Trim(), null)
                : (null, Bad("reason", $"'reason' must say why, in 1 to {MaxReasonLength} characters, as in {{\"reason\": \"deletes without asking\"}}."));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            return (null, Bad("reason", "The body must be a JSON object like {\"reason\": \"deletes without asking\"}."));
        }
    }

    private static GatewayError Bad(string field, string message) => new(StatusCodes.Status400BadRequest, "invalid_request", message) { Field = field };

    private static async Task AnswerAsync(HttpContext context, ToolServerDetail server, int status = StatusCodes.Status200OK)
    {
        var since = Now(context) - Counted;
        var counts = await CountAsync(context, since, UsageDimension.Tool, server.State.Id);
        var definitions = (context.RequestServices.GetService<IToolDefinitions>()?.ReadAll() ?? []).Where(tool => tool.Server == server.State.Id).ToDictionary(tool => tool.Tool, StringComparer.Ordinal);
        await AdminJson.WriteAsync(context, status, json =>
        {
            json.WriteStartObject();
            WriteState(json, server.State);
            DataJson.WriteMoment(json, "since", server.Since);
            json.WriteString("protocolVersion", server.ProtocolVersion);
            json.WritePropertyName("serverInfo");
            json.WriteRawValue(server.ServerInfo ?? "null");
            json.WriteString("lastError", server.LastError);
            json.WriteString("lastWords", server.LastWords.Length == 0 ? null : server.LastWords);
            WriteBreaker(json, server.Breaker);
            WriteHold(json, server.Hold);
            WriteCalls(json, counts.Values.Aggregate((UsageRow?)null, (sum, row) => new UsageRow { Group = [], Calls = (sum?.Calls ?? 0) + row.Calls, Failed = (sum?.Failed ?? 0) + row.Failed }), since);
            json.WriteStartArray("toolList");
            foreach (var tool in server.Tools)
            {
                json.WriteStartObject();
                json.WriteString("name", tool.Name);
                json.WriteString("exposedName", tool.ExposedName);
                json.WriteStartObject("annotations");
                foreach (var (name, value) in tool.Annotations.OrderBy(pair => pair.Key, StringComparer.Ordinal))
                {
                    json.WriteBoolean(name, value);
                }
                json.WriteEndObject();
                WriteCalls(json, counts.GetValueOrDefault($"{server.State.Id}/{tool.Name}"), since);
                WriteHealth(json, tool.Health);
                DefinitionEndpoints.WriteMember(json, definitions.GetValueOrDefault(tool.Name));
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteStartArray("withheld");
            foreach (var tool in server.Withheld)
            {
                json.WriteStartObject();
                json.WriteString("name", tool.Name);
                json.WriteString("reason", tool.Reason);
                WriteHold(json, tool.Hold);
                DefinitionEndpoints.WriteMember(json, definitions.GetValueOrDefault(tool.Name));
                json.WriteEndObject();
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static void WriteState(Utf8JsonWriter json, ToolServerState server)
    {
        json.WriteString("id", server.Id);
        json.WriteString("title", server.Title);
        json.WriteString("transport", server.Transport);
        json.WriteString("state", server.State);
        json.WriteNumber("tools", server.Tools);
        AdminJson.WriteTexts(json, "quarantined", server.Quarantined);
        json.WriteString("problem", server.Problem);
    }

    private static void WriteBreaker(Utf8JsonWriter json, ToolServerBreaker? breaker)
    {
        if (breaker is null)
        {
            json.WriteNull("breaker");
            return;
        }
        json.WriteStartObject("breaker");
        json.WriteString("state", breaker.State);
        json.WriteNumber("failuresInRow", breaker.FailuresInRow);
        DataJson.WriteMoment(json, "retryAt", breaker.RetryAt);
        json.WriteEndObject();
    }

    private static void WriteHealth(Utf8JsonWriter json, ToolHealth? health)
    {
        if (health is null)
        {
            json.WriteNull("health");
            return;
        }
        json.WriteStartObject("health");
        json.WriteNumber("calls", health.Calls);
        json.WriteNumber("failures", health.Failures);
        json.WriteNumber("toolErrors", health.ToolErrors);
        json.WriteNumber("refused", health.Refused);
        json.WriteString("lastError", health.LastError);
        json.WriteNumber("lastErrorCode", health.LastErrorCode);
        DataJson.WriteMoment(json, "lastErrorAt", health.LastErrorAt);
        json.WriteNumber("meanMilliseconds", Math.Round(health.MeanLatency.TotalMilliseconds, 3));
        json.WriteNumber("maxMilliseconds", Math.Round(health.MaxLatency.TotalMilliseconds, 3));
        json.WriteEndObject();
    }

    private static void WriteHold(Utf8JsonWriter json, ToolHold? hold)
    {
        if (hold is null)
        {
            json.WriteNull("heldBy");
            return;
        }
        json.WriteStartObject("heldBy");
        json.WriteString("actor", hold.By);
        json.WriteString("reason", hold.Reason);
        json.WriteString("since", hold.Since.UtcDateTime);
        json.WriteEndObject();
    }

    private static void WriteCalls(Utf8JsonWriter json, UsageRow? row, DateTimeOffset since)
    {
        json.WriteStartObject("calls");
        json.WriteString("since", since.UtcDateTime);
        json.WriteNumber("calls", row?.Calls ?? 0);
        json.WriteNumber("failed", row?.Failed ?? 0);
        json.WriteEndObject();
    }

    private static async Task<Dictionary<string, UsageRow>> CountAsync(HttpContext context, DateTimeOffset since, UsageDimension by, string? server)
    {
        var report = await context.RequestServices.GetRequiredService<UsageQuery>().RunAsync(new UsageRequest { From = since, GroupBy = [by], Server = server, Operation = CallKind.Tool }, context.RequestAborted);
        return report.Rows.Where(row => row.Group[0] is not null).ToDictionary(row => row.Group[0]!, StringComparer.Ordinal);
    }

    private static async Task<ToolServerDetail?> ServerAsync(HttpContext context)
    {
        var id = DataJson.Route(context, "id");
        if (Administration(context)?.Find(id) is { } server)
        {
            return server;
        }
        await ProblemFormat.Instance.WriteAsync(context, new GatewayError(StatusCodes.Status404NotFound, "unknown_tool_server", $"There is no tool server '{id}'.") { Field = "id" });
        return null;
    }

    // A slash in a tool's name arrives as it was encoded.
    private static string ToolOf(HttpContext context) => DataJson.Route(context, "tool").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static DateTimeOffset Now(HttpContext context) => context.RequestServices.GetRequiredService<TimeProvider>().GetUtcNow();

    private static IToolServerAdministration? Administration(HttpContext context) => context.RequestServices.GetService<IToolServerAdministration>();
}
