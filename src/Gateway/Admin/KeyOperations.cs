using Gateway.Admin.OpenApi;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>Operations on virtual keys, admin keys, and what hangs on keys and their owners.</summary>
internal static class KeyOperations
{
    private const string Keys = "Virtual keys";
    private const string AdminKeys = "Admin keys";
    private const string Limits = "Budgets and limits";
    private const string KeyExample = """{"name":"build agent","models":["simulator/*"],"tools":["github/*","!github/delete_*"],"budgets":[{"limit":5,"per":"day"}]}""";

    public static void MapKeyOperations(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/keys", KeyEndpoints.ListAsync, static () => new("listKeys", Keys, "List virtual keys")
        {
            Description = "Those of files and revoked ones included, ordered by id.",
            Query =
            [
                .. Operation.Paging,
                new("user", "Only keys of this user."),
                new("team", "Only keys of this team and its users."),
                new("customer", "Only keys of this customer, its teams and their users."),
                new("state", $"Only keys that are {KeyEndpoints.States}.", """{"type":"string","enum":["active","expired","revoked"]}"""),
                new("name", "Only keys with this in their name, whatever the case."),
            ],
            Answers = [(Status200OK, "KeyPage")],
        });
        admin.MapOperation("POST", "/keys", KeyEndpoints.CreateAsync, static () => new("createKey", Keys, "Make a virtual key")
        {
            Description = "The answer holds the token, this once.",
            Body = "KeyDeclaration",
            Example = KeyExample,
            ChangesConfiguration = true,
            Answers = [(Status201Created, "IssuedKey"), (Status200OK, "DryRun")],
        });
        admin.MapOperation("GET", "/keys/{id}", KeyEndpoints.GetAsync, static () => new("getKey", Keys, "Read a virtual key") { Answers = [(Status200OK, "Key")] });
        admin.MapOperation("PUT", "/keys/{id}", KeyEndpoints.PutAsync, static () => new("replaceKey", Keys, "Replace what a virtual key may do")
        {
            Body = "KeyDeclaration",
            Example = KeyExample,
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status200OK, "KeyOrDryRun")],
        });
        admin.MapOperation("PATCH", "/keys/{id}", KeyEndpoints.PatchAsync, static () => new("patchKey", Keys, "Change some of what a virtual key may do")
        {
            Body = "Patch",
            BodyTypes = [Operation.MergePatch, Operation.Json],
            Example = """{"models":["simulator/echo"],"expiresAt":"2099-01-31"}""",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status200OK, "KeyOrDryRun")],
        });
        admin.MapOperation("POST", "/keys/{id}/rotate", KeyEndpoints.RotateAsync, static () => new("rotateKey", Keys, "Give a virtual key another secret")
        {
            Description = "The key keeps its id, its limits and what it has spent. The old secret goes on holding for the overlap; a key has two secrets at most.",
            Body = "Rotation",
            BodyOptional = true,
            Example = """{"overlap":"24h"}""",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status200OK, "IssuedKeyOrDryRun")],
        });
        admin.MapOperation("DELETE", "/keys/{id}", KeyEndpoints.RevokeAsync, static () => new("revokeKey", Keys, "Revoke a virtual key for good")
        {
            Description = "Holds from the next request on, whatever the files say. Doing so twice is fine.",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status204NoContent, null), (Status200OK, "DryRun")],
        });
        admin.MapOperation("GET", "/keys/{id}/tools", KeyToolsEndpoint.AnswerAsync, KeyToolsEndpoint.Describe);
        admin.MapOperation("GET", "/budgets", LimitEndpoints.BudgetsAsync, static () => new("listBudgets", Limits, "List all budgets and where they stand") { Query = OwnerQuery, Answers = [(Status200OK, "BudgetPage")] });
        admin.MapOperation("GET", "/limits", LimitEndpoints.LimitsAsync, static () => new("listLimits", Limits, "List all rate and concurrency limits and where they stand") { Query = OwnerQuery, Answers = [(Status200OK, "LimitPage")] });
        admin.MapAdminKeyOperations();
    }

    private static void MapAdminKeyOperations(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/adminkeys", AdminKeyEndpoints.ListAsync, static () => new("listAdminKeys", AdminKeys, "List admin keys") { Query = Operation.Paging, Answers = [(Status200OK, "AdminKeyPage")] });
        admin.MapOperation("POST", "/adminkeys", AdminKeyEndpoints.CreateAsync, static () => new("createAdminKey", AdminKeys, "Make an admin key")
        {
            Body = "AdminKeyDeclaration",
            Example = """{"name":"dashboard","readOnly":true}""",
            Answers = [(Status201Created, "IssuedAdminKey")],
        });
        admin.MapOperation("GET", "/adminkeys/{id}", AdminKeyEndpoints.GetAsync, static () => new("getAdminKey", AdminKeys, "Read an admin key") { Answers = [(Status200OK, "AdminKey")] });
        admin.MapOperation("POST", "/adminkeys/{id}/rotate", AdminKeyEndpoints.RotateAsync, static () => new("rotateAdminKey", AdminKeys, "Make an admin key that takes another one's place")
        {
            Description = "The new key has an id of its own; the old one goes on holding for the overlap.",
            Body = "Rotation",
            BodyOptional = true,
            Example = """{"overlap":"1h"}""",
            Answers = [(Status200OK, "IssuedAdminKey")],
        });
        admin.MapOperation("DELETE", "/adminkeys/{id}", AdminKeyEndpoints.RevokeAsync, static () => new("revokeAdminKey", AdminKeys, "Revoke an admin key for good")
        {
            Description = "The last one that can change anything is kept: 409.",
            Answers = [(Status204NoContent, null)],
        });
    }

    private static IReadOnlyList<QueryParameter> OwnerQuery =>
    [
        .. Operation.Paging,
        new("owner", "Only those of keys, users, teams or customers.", """{"type":"string","enum":["key","user","team","customer"]}"""),
        new("id", "Only those of owners with this id."),
    ];
}
