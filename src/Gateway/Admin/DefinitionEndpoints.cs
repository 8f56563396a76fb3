using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Admin.OpenApi;
using Shared.Http;
using Shared.Tools;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>Definitions of tools: which of them are not the approved ones, what differs, and what admins decide.</summary>
internal static class DefinitionEndpoints
{
    private const string Chapter = "Tool servers";
    private const string Path = "/toolservers/{id}/tools/{tool}/definition";
    private const int MaxReason = 500;
    private const int MaxTools = 5_000;
    private const string Hash = "sha256-0000000000000000000000000000000000000000000000000000000000000000";

    /// <summary>Maps it into the group of the admin API.</summary>
    public static void MapDefinitionEndpoints(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/tooldefinitions", ListAsync, static () => new("listToolDefinitions", Chapter, "List tools with how their definitions stand to what is pinned and approved")
        {
            Query =
            [
                new("server", "Only tools of this server."),
                new("pending", "Only those that wait for a decision, or only the others.", """{"type":"boolean"}"""),
                new("held", "Only those that their definitions hold back, or only the others.", """{"type":"boolean"}"""),
                .. Operation.Paging,
            ],
            Answers = [(Status200OK, "ToolDefinitionPage")],
        });
        admin.MapOperation("GET", Path, FindAsync, static () => new("getToolDefinition", Chapter, "Read a tool's definition, and what differs from the approved one")
        {
            Description = "A slash in the tool's name is written `%2F`.",
            Answers = [(Status200OK, "ToolDefinition")],
        });
        admin.MapOperation("POST", Path + "/approve", context => DecideOneAsync(context, approve: true), static () => new("approveToolDefinition", Chapter, "Approve a tool's definition: serve it, and hold back any other")
        {
            Description = "`hash` is the definition that was looked at; where the tool has another one by now, nothing is changed.",
            Body = "DefinitionDecision",
            Example = $$"""{"hash":"{{Hash}}"}""",
            Answers = [(Status200OK, "ToolDefinition")],
        });
        admin.MapOperation("POST", Path + "/reject", context => DecideOneAsync(context, approve: false), static () => new("rejectToolDefinition", Chapter, "Reject a tool's definition: hold the tool back as long as it has it")
        {
            Body = "DefinitionDecision",
            Example = $$"""{"hash":"{{Hash}}","reason":"tells models to read keys"}""",
            Answers = [(Status200OK, "ToolDefinition")],
        });
        admin.MapOperation("DELETE", Path, ForgetAsync, static () => new("forgetToolDefinition", Chapter, "Forget what is known of a tool: when it is next seen, it is new") { Answers = [(Status204NoContent, null)] });
        admin.MapOperation("POST", "/toolservers/{id}/definitions/approve", DecideManyAsync, static () => new("approveToolDefinitions", Chapter, "Approve the definitions of several tools of a server, all or none")
        {
            Body = "DefinitionDecisions",
            Example = $$"""{"tools": {"create_issue": "{{Hash}}"} }""",
            Answers = [(Status200OK, "ToolDefinitionList")],
        });
    }

    /// <summary>What is shown of a tool's definition in lists.</summary>
    public static void WriteReview(Utf8JsonWriter json, ReviewedTool tool)
    {
        json.WriteString("server", tool.Server);
        json.WriteString("tool", tool.Tool);
        json.WriteString("hash", tool.Hash);
        json.WriteString("state", NameOf(tool.State));
        json.WriteBoolean("pending", tool.IsPending);
        json.WriteBoolean("held", tool.HeldBecause is not null);
        json.WriteString("reason", tool.HeldBecause);
        json.WriteString("expected", tool.Expected);
        json.WriteString("renamedFrom", tool.RenamedFrom);
        json.WriteString("since", tool.Since.UtcDateTime);
        json.WriteStartArray("findings");
        foreach (var finding in tool.Findings)
        {
            json.WriteStartObject();
            json.WriteString("rule", finding.Rule.Id);
            json.WriteString("severity", NameOf(finding.Rule.Severity));
            json.WriteString("finds", finding.Rule.Finds);
            json.WriteString("place", finding.Place);
            json.WriteString("excerpt", finding.Excerpt);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    /// <summary>Of one tool, as a member <c>definition</c>; null: its definition is not looked at.</summary>
    public static void WriteMember(Utf8JsonWriter json, ReviewedTool? tool)
    {
        if (tool is null)
        {
            json.WriteNull("definition");
            return;
        }
        json.WriteStartObject("definition");
        WriteReview(json, tool);
        json.WriteEndObject();
    }

    private static Task ListAsync(HttpContext context)
    {
        var (server, pending, held) = (context.Text("server"), context.Boolean("pending"), context.Boolean("held"));
        var tools = Definitions(context).ReadAll()
            .Where(tool => (server is null || tool.Server == server) && (pending is null || tool.IsPending == pending) && (held is null || tool.HeldBecause is not null == held));
        return AdminJson.WritePageAsync(context, "definitions", context.Page(tools, tool => $"{tool.Server}/{tool.Tool}"), WriteItem);
    }

    private static Task FindAsync(HttpContext context) => AnswerAsync(context, context.Id(), ToolOf(context));

    private static async Task DecideOneAsync(HttpContext context, bool approve)
    {
        var body = await context.ObjectAsync("the decision", "invalid_decision");
        body.KnowsOnly("invalid_decision", "hash", "reason");
        var hash = body.TextMember("hash", "invalid_decision") ?? throw AdminProblem.BadBody("invalid_decision", "hash", "'hash' must name the definition that is decided on, as the list shows it.");
        Decide(context, new Dictionary<string, string> { [ToolOf(context)] = hash }, approve, Reason(body));
        await AnswerAsync(context, context.Id(), ToolOf(context));
    }

    private static async Task DecideManyAsync(HttpContext context)
    {
        var body = await context.ObjectAsync("the decision", "invalid_decision");
        body.KnowsOnly("invalid_decision", "tools", "reason");
        if (body["tools"] is not JsonObject { Count: > 0 and <= MaxTools } tools || tools.Any(tool => tool.Value is not JsonValue value || !value.TryGetValue<string>(out _)))
        {
            throw AdminProblem.BadBody("invalid_decision", "tools", $"'tools' must be an object of 1 to {MaxTools} tools, each with the hash of the definition that is approved.");
        }
        var expected = tools.ToDictionary(tool => tool.Key, tool => (string)tool.Value!, StringComparer.Ordinal);
        Decide(context, expected, approve: true, Reason(body));
        var server = context.Id();
        await AdminJson.WriteAsync(context, Status200OK, json =>
        {
            json.WriteStartObject();
            json.WriteStartArray("definitions");
            foreach (var tool in Definitions(context).ReadAll().Where(tool => tool.Server == server && expected.ContainsKey(tool.Tool)))
            {
                WriteItem(json, tool);
            }
            json.WriteEndArray();
            json.WriteEndObject();
        });
    }

    private static Task ForgetAsync(HttpContext context)
    {
        if (!Definitions(context).Forget(context.Id(), ToolOf(context), context.By()))
        {
            throw Unknown(context, ToolOf(context));
        }
        context.Response.StatusCode = Status204NoContent;
        return Task.CompletedTask;
    }

    private static void Decide(HttpContext context, Dictionary<string, string> expected, bool approve, string? reason)
    {
        var (refusal, tool, present) = Definitions(context).Decide(context.Id(), expected, approve, reason, context.By());
        switch (refusal)
        {
            case null:
                return;
            case DecisionRefusal.UnknownTool:
                throw Unknown(context, tool!);
            case DecisionRefusal.PinnedInManifest:
                throw AdminProblem.Conflict("pinned_in_manifest", $"The manifest pins '{tool}', which counts for more than a decision here; where this definition is wanted, write 'pin: {present}' there.");
            default:
                throw AdminProblem.Conflict("definition_changed", present is null ? $"The definition of '{tool}' has no canonical form, so no decision can name it."
                    : $"The definition of '{tool}' is now {present}, which is not the one that the decision names; look at it anew.");
        }
    }

    private static async Task AnswerAsync(HttpContext context, string server, string tool)
    {
        var detail = Definitions(context).Find(server, tool) ?? throw Unknown(context, tool);
        await AdminJson.WriteAsync(context, Status200OK, json =>
        {
            json.WriteStartObject();
            WriteReview(json, detail.Present);
            json.WriteString("definition", detail.Definition);
            json.WriteString("approvedDefinition", detail.Approved);
            DataJson.WriteMoment(json, "firstSeen", detail.Known?.FirstSeen);
            json.WriteString("firstHash", detail.Known?.FirstHash);
            json.WriteStartArray("decisions");
            foreach (var decision in detail.Known?.Decisions ?? [])
            {
                json.WriteStartObject();
                json.WriteString("hash", decision.Hash);
                json.WriteBoolean("approved", decision.IsApproved);
                json.WriteString("by", decision.By);
                json.WriteString("at", decision.At.UtcDateTime);
                json.WriteString("reason", decision.Reason);
                json.WriteEndObject();
            }
            json.WriteEndArray();
            WriteDiff(json, detail.Changes);
            json.WriteEndObject();
        });
    }

    private static void WriteDiff(Utf8JsonWriter json, IReadOnlyList<DefinitionChange>? changes)
    {
        if (changes is null)
        {
            json.WriteNull("diff");
            return;
        }
        json.WriteStartObject("diff");
        json.WriteStartArray("changes");
        foreach (var change in changes)
        {
            json.WriteStartObject();
            json.WriteString("place", change.Place);
            json.WriteString("subject", change.Subject);
            json.WriteString("kind", change.Kind);
            json.WriteString("before", change.Before);
            json.WriteString("after", change.After);
            json.WriteString("risk", change.Risk);
            AdminJson.WriteTexts(json, "lines", change.Lines.Select(line => $"{line.Kind}{line.Text}"));
            json.WriteEndObject();
        }
        json.WriteEndArray();
        json.WriteString("text", DefinitionDiffText.Of(changes));
        json.WriteEndObject();
    }

    private static void WriteItem(Utf8JsonWriter json, ReviewedTool tool)
    {
        json.WriteStartObject();
        WriteReview(json, tool);
        json.WriteEndObject();
    }

    private static string? Reason(JsonObject body) => body.TextMember("reason", "invalid_decision") switch
    {
        null => null,
        { Length: <= MaxReason } text when !string.IsNullOrWhiteSpace(text) => text.Trim(),
        _ => throw AdminProblem.BadBody("invalid_decision", "reason", $"'reason' must be a text of 1 to {MaxReason} characters."),
    };

    private static AdminProblem Unknown(HttpContext context, string tool) => new(new GatewayError(Status404NotFound, "unknown_tool",
        $"Nothing is known of a tool '{tool}' of the server '{context.Id()}'; it is named as the server names it, without prefix, and its manifest must show it.") { Field = "tool" });

    // A slash in a tool's name arrives as it was encoded.
    private static string ToolOf(HttpContext context) => DataJson.Route(context, "tool").Replace("%2F", "/", StringComparison.OrdinalIgnoreCase);

    private static string NameOf<T>(T value) where T : struct, Enum => JsonNamingPolicy.CamelCase.ConvertName(value.ToString());

    private static IToolDefinitions Definitions(HttpContext context) => context.Service<IToolDefinitions>();
}
