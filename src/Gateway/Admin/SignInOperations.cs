using System.Text.Json;
using Gateway.Admin.OpenApi;
using Shared.SignIn;
using Shared.Stored;
using static Microsoft.AspNetCore.Http.StatusCodes;

namespace Gateway.Admin;

/// <summary><c>/admin/v1/signins</c>: who is signed in through the gateway as an authorization server, and an end to it.</summary>
internal static class SignInOperations
{
    private const string Tag = "Sign-ins";

    /// <summary>Maps it into the group of the admin API.</summary>
    public static void MapSignInOperations(this IEndpointRouteBuilder admin)
    {
        admin.MapOperation("GET", "/signins", ListAsync, static () => new("listCallerSignIns", Tag, "List who is signed in, with which client")
        {
            Description = "Those who send tokens of the provider's own are not among them: the gateway knows of no sign-in of theirs.",
            Query = [new("caller", "Only this caller's, by the id that the ledger has as the key."), new("name", "Only those in whose name this occurs."), .. Operation.Paging],
            Answers = [(Status200OK, "CallerSignInList")],
        });
        admin.MapOperation("DELETE", "/signins/{id}", EndAsync, static () => new("endCallerSignIn", Tag, "End a sign-in: its tokens are refused from now on")
        {
            Description = "Whoever still fits a rule can sign in anew; to keep somebody out, change the rule, or close the account at the provider.",
            Answers = [(Status204NoContent, null)],
        });
    }

    private static Task ListAsync(HttpContext context)
    {
        var table = context.Snapshot().Part<SignInTable>();
        var (caller, name) = (context.Text("caller"), context.Text("name"));
        var all = context.Service<SignInGrants>().Live.Select(grant => (Grant: grant, Caller: table.CallerOf(grant.Identity, out _)?.Key.Id, Name: Claims.DisplayName(grant.Identity.Claims)))
            .Where(one => (caller is null || one.Caller == caller) && (name is null || (one.Name?.Contains(name, StringComparison.OrdinalIgnoreCase) ?? false)));
        return AdminJson.WritePageAsync(context, "signIns", context.Page(all, one => one.Grant.Id), (json, one) => Write(json, one.Grant, one.Caller, one.Name));
    }

    private static Task EndAsync(HttpContext context)
    {
        var grants = context.Service<SignInGrants>();
        var id = context.Id();
        if (grants.Find(id) is null || !grants.Remove(id))
        {
            throw AdminProblem.NotFound("sign-in", id);
        }
        context.Service<AuditLog>().Record(new("ended", "signIn", id, null, null), context.By());
        context.Response.StatusCode = Status204NoContent;
        return Task.CompletedTask;
    }

    private static void Write(Utf8JsonWriter json, SignInGrant grant, string? caller, string? name)
    {
        json.WriteStartObject();
        json.WriteString("id", grant.Id);
        json.WriteString("caller", caller);
        json.WriteString("name", name);
        json.WriteString("issuer", grant.Identity.IssuerName);
        json.WriteString("subject", grant.Identity.Subject);
        json.WriteString("client", grant.ClientName);
        json.WriteString("resource", grant.Resource);
        AdminJson.WriteTexts(json, "scopes", grant.Identity.Scopes);
        AdminJson.WriteMoment(json, "createdAt", grant.CreatedAt);
        AdminJson.WriteMoment(json, "renewedAt", grant.RotatedAt);
        AdminJson.WriteMoment(json, "endsAt", grant.Expires);
        json.WriteEndObject();
    }
}
