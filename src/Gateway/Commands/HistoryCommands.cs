using System.CommandLine;
using System.Text.Json;

namespace Gateway.Commands;

/// <summary><c>gateway audit</c> and <c>gateway revisions</c>: who changed what, and what was in force.</summary>
internal static class HistoryCommands
{
    public static Command CreateAudit(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var kind = new Option<string?>("--kind") { Description = "Only things of this kind: key, adminKey, secret, provider, route, …." };
        var id = new Option<string?>("--id") { Description = "Only the thing of this id." };
        var actor = new Option<string?>("--actor") { Description = "Only what this actor did: admin:id, first-start, …." };
        var from = new Option<string?>("--from") { Description = "Only records at or after this date or moment.", HelpName = "date" };
        var to = new Option<string?>("--to") { Description = "Only records before this date or moment.", HelpName = "date" };
        var limit = Limit();
        var audit = api.Group("audit", "Show who changed what and when, the newest first.");
        foreach (var option in new Option[] { kind, id, actor, from, to, limit })
        {
            audit.Options.Add(option);
        }
        api.SetList(audit,
            result => "audit" + ApiCommand.Query(("kind", result.GetValue(kind)), ("id", result.GetValue(id)), ("actor", result.GetValue(actor)), ("from", result.GetValue(from)), ("to", result.GetValue(to))),
            "records",
            [
                ("AT", 26, record => ApiCommand.Text(record, "at")), ("ACTOR", 18, record => ApiCommand.Text(record, "actor")), ("ACTION", 10, record => ApiCommand.Text(record, "action")),
                ("KIND", 10, record => ApiCommand.Text(record, "kind")), ("ID", 24, record => ApiCommand.Text(record, "id")), ("REVISION", 0, record => ApiCommand.Text(record, "revision")),
            ],
            result => result.GetValue(limit));
        return audit;
    }

    public static Command CreateRevisions(TextWriter output, TextWriter error)
    {
        var api = new ApiCommand(output, error);
        var revisions = api.Group("revisions", "Show the revisions of the configuration.");
        var limit = Limit();
        var list = new Command("list", "List the revisions, the newest first.") { limit };
        api.SetList(list, _ => "revisions", "revisions",
            [("REVISION", 18, entry => ApiCommand.Text(entry, "revision")), ("IN FORCE SINCE", 26, entry => ApiCommand.Text(entry, "publishedAt")), ("CHANGED BY", 0, entry => ApiCommand.Text(entry, "changedBy"))],
            result => result.GetValue(limit));
        revisions.Subcommands.Add(list);

        var revision = new Argument<string>("revision") { Description = "The revision, as listed." };
        var show = new Command("show", "Show what was declared in a revision.") { revision };
        api.SetAction(show, result => (HttpMethod.Get, "revisions/" + Uri.EscapeDataString(result.GetValue(revision)!), null), (_, answer) => string.Join('\n', Lines(answer!.Value, "lines", "")));
        revisions.Subcommands.Add(show);

        var to = new Option<string?>("--to") { Description = "The other revision [default: the one that serves].", HelpName = "revision" };
        var diff = new Command("diff", "Compare two revisions.") { revision, to };
        api.SetAction(diff, result => (HttpMethod.Get, $"revisions/{Uri.EscapeDataString(result.GetValue(revision)!)}/diff{ApiCommand.Query(("to", result.GetValue(to)))}", null),
            (_, answer) => string.Join('\n', Lines(answer!.Value, "removed", "- ").Concat(Lines(answer.Value, "added", "+ "))));
        revisions.Subcommands.Add(diff);
        return revisions;
    }

    private static Option<int?> Limit()
    {
        var limit = new Option<int?>("--limit") { Description = "The most entries.", HelpName = "number", DefaultValueFactory = _ => 50 };
        limit.Validators.Add(result =>
        {
            if (result.GetValueOrDefault<int?>() is < 1)
            {
                result.AddError("--limit must be at least 1.");
            }
        });
        return limit;
    }

    private static IEnumerable<string> Lines(JsonElement answer, string member, string sign) =>
        answer.GetProperty(member).EnumerateArray().Select(line => $"{sign}{ApiCommand.Text(line, "kind")} {ApiCommand.Text(line, "id")} {line.GetProperty("declaration").GetRawText()}");
}
