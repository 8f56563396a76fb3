using Gateway.Admin.OpenApi;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>Operations on what serves, what served before, and who changed it.</summary>
internal static class HistoryOperations
{
    private const string Tag = "Revisions and audit";

    public static void MapHistoryOperations(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/configuration", RevisionEndpoints.ConfigurationAsync, static () => new("getConfiguration", Tag, "Read which revision serves, and why a newer one does not") { Answers = [(Status200OK, "Configuration")] });
        admin.MapOperation("GET", "/revisions", RevisionEndpoints.ListAsync, static () => new("listRevisions", Tag, "List the revisions of the configuration, the newest first") { Query = Operation.Paging, Answers = [(Status200OK, "RevisionPage")] });
        admin.MapOperation("GET", "/revisions/{id}", RevisionEndpoints.GetAsync, static () => new("getRevision", Tag, "Read what was declared in a revision") { Answers = [(Status200OK, "Revision")] });
        admin.MapOperation("GET", "/revisions/{id}/diff", RevisionEndpoints.DiffAsync, static () => new("diffRevisions", Tag, "Compare two revisions")
        {
            Query = [new("to", "The other revision; by default the one that serves.")],
            Answers = [(Status200OK, "RevisionDiff")],
        });
        admin.MapOperation("GET", "/audit", AuditEndpoint.ListAsync, static () => new("listAudit", Tag, "List who changed what and when, the newest first")
        {
            Query =
            [
                .. Operation.Paging,
                new("kind", "Only things of this kind: `key`, `adminKey`, `secret`, `provider`, `route`, …."),
                new("id", "Only the thing of this id."),
                new("actor", "Only what this actor did: `admin:id`, `first-start`, …."),
                new("from", "Only records at or after this date or moment."),
                new("to", "Only records before this date or moment."),
            ],
            Answers = [(Status200OK, "AuditPage")],
        });
    }
}
