using Gateway.Admin.OpenApi;
using Shared.Stored;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary>Operations on what is declared by name, on its secrets, and on prices.</summary>
internal static class EntityOperations
{
    public static void MapEntityOperations(this IEndpointRouteBuilder admin)
    {
        admin.MapKind(EntityKind.Provider, "Providers", """{"baseUrl":"https://llm.example.com/v1","apiKey":"sk-example","models":["small"]}""");
        admin.MapKind(EntityKind.Route, "Routes", """{"targets":["simulator/echo"]}""");
        admin.MapKind(EntityKind.User, "Users", """{"budgets":[{"limit":20,"per":"month"}]}""");
        admin.MapKind(EntityKind.Team, "Teams", """{"budgets":[{"limit":200,"per":"month"}],"concurrency":20}""");
        admin.MapKind(EntityKind.Customer, "Customers", """{"rateLimits":[{"requests":600,"per":"1m"}]}""");
        admin.MapKind(EntityKind.Price, "Prices", """{"input":1.25,"output":10}""");
        admin.MapKind(EntityKind.Manifest, "Manifests", """{"apiVersion":"hub/v1","kind":"ToolManifest","metadata":{"id":"{id}"},"enabled":false,"upstream":{"url":"http://127.0.0.1:9098/mcp"}}""");
        admin.MapOperation("PUT", "/providers/{id}/credentials", new EntityEndpoints(EntityKind.Provider).PutCredentialsAsync, static () => new("setProviderCredentials", "Providers", "Replace a provider's credentials")
        {
            Description = "What is not named stays; null takes a credential away. The values go into the encrypted store and never come out.",
            Body = "Credentials",
            Example = """{"apiKey":"sk-another"}""",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status200OK, "ProviderOrDryRun")],
        });
        admin.MapOperation("POST", "/manifests/validate", ManifestEndpoints.ValidateAsync, static () => new("validateManifest", "Manifests", "Judge a manifest against the whole configuration")
        {
            Body = "ManifestDeclaration",
            BodyTypes = Operation.JsonOrYaml,
            Answers = [(Status200OK, "Validation")],
        });
        admin.MapOperation("POST", "/manifests/diff", ManifestEndpoints.DiffAsync, static () => new("diffManifest", "Manifests", "Compare a manifest with the one that serves")
        {
            Body = "ManifestDeclaration",
            BodyTypes = Operation.JsonOrYaml,
            Answers = [(Status200OK, "ManifestDiff")],
        });
        admin.MapOperation("GET", "/catalog", CatalogEndpoint.ListAsync, static () => new("listCatalog", "Prices", "List the prices that calls are charged at, wherever they come from")
        {
            Query = [.. Operation.Paging, new("provider", "Only this provider's."), new("search", "Only those with this in their `provider/model`.")],
            Answers = [(Status200OK, "CatalogPage")],
        });
        admin.MapSecrets();
    }

    private static void MapSecrets(this IEndpointRouteBuilder admin)
    {
        const string Tag = "Secrets";
        admin.MapOperation("GET", "/secrets", SecretEndpoints.ListAsync, static () => new("listSecrets", Tag, "List the names of stored secrets") { Query = Operation.Paging, Answers = [(Status200OK, "SecretPage")] });
        admin.MapOperation("PUT", "/secrets/{**id}", SecretEndpoints.PutAsync, static () => new("setSecret", Tag, "Set a secret")
        {
            Description = "It is kept encrypted and never comes out again; declarations refer to it as `${secret:name}`.",
            Body = "SecretValue",
            Example = """{"value":"s3cr3t"}""",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status201Created, "Secret"), (Status200OK, "SecretOrDryRun")],
        });
        admin.MapOperation("DELETE", "/secrets/{**id}", SecretEndpoints.DeleteAsync, static () => new("deleteSecret", Tag, "Delete a secret that nothing uses")
        {
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status204NoContent, null), (Status200OK, "DryRun")],
        });
    }

    private static void MapKind(this IEndpointRouteBuilder admin, EntityKind kind, string tag, string example)
    {
        var endpoints = new EntityEndpoints(kind);
        var (one, many) = (kind.ToString(), kind + "s");
        // The id of a price holds a slash.
        var path = $"/{endpoints.Plural}/{(kind == EntityKind.Price ? "{**id}" : "{id}")}";
        var word = one.ToLowerInvariant();
        IReadOnlyList<string> bodies = kind == EntityKind.Manifest ? Operation.JsonOrYaml : [Operation.Json];
        admin.MapOperation("GET", "/" + endpoints.Plural, endpoints.ListAsync, () => new($"list{many}", tag, $"List {word}s")
        {
            Description = "Those of files included, ordered by id.",
            Query = [.. Operation.Paging, new("name", "Only those with this in their id, whatever the case.")],
            Answers = [(Status200OK, one + "Page")],
        });
        admin.MapOperation("GET", path, endpoints.GetAsync, () => new($"get{one}", tag, $"Read a {word}") { Answers = [(Status200OK, one)] });
        admin.MapOperation("PUT", path, endpoints.PutAsync, () => new($"put{one}", tag, $"Declare a {word}, or replace its declaration")
        {
            Body = one + "Declaration",
            BodyTypes = bodies,
            Example = example,
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status201Created, one), (Status200OK, one + "OrDryRun")],
        });
        admin.MapOperation("PATCH", path, endpoints.PatchAsync, () => new($"patch{one}", tag, $"Change some members of a {word}'s declaration")
        {
            Body = "Patch",
            BodyTypes = [Operation.MergePatch, Operation.Json],
            Example = kind is EntityKind.Price ? """{"output":12}""" : kind == EntityKind.Manifest ? """{"metadata":{"title":"Another title"}}""" : kind == EntityKind.Route ? """{"maxOutputTokens":1000}""" : kind == EntityKind.Provider ? """{"maxRetries":1}""" : """{"models":["simulator/*"]}""",
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status200OK, one + "OrDryRun")],
        });
        admin.MapOperation("DELETE", path, endpoints.DeleteAsync, () => new($"delete{one}", tag, $"Delete a {word} that nothing refers to")
        {
            Description = kind is EntityKind.Provider or EntityKind.Manifest ? "Its credentials in the encrypted store go with it." : null,
            ChangesConfiguration = true,
            TakesIfMatch = true,
            Answers = [(Status204NoContent, null), (Status200OK, "DryRun")],
        });
    }
}
