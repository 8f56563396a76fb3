using System.Text.Json;
using System.Text.Json.Nodes;
using Shared.Snapshots;
using Shared.Stored;
using Shared.VirtualKeys;

namespace Gateway.Admin;

/// <summary>List, read, declare, patch and delete the entities of one kind.</summary>
internal sealed class EntityEndpoints(EntityKind kind)
{
    /// <summary>What the kind is called in paths and answers: <c>providers</c>, <c>routes</c>, ….</summary>
    public string Plural { get; } = ConfigurationStore.KindOf(kind) + "s";

    /// <summary>The code of the error that a wrong declaration becomes: <c>invalid_provider</c>, ….</summary>
    public static string InvalidCode(EntityKind kind) => $"invalid_{ConfigurationStore.KindOf(kind)}";

    public Task ListAsync(HttpContext context)
    {
        var name = context.Text("name");
        var stored = context.Service<SnapshotLoader>().Stored;
        var page = context.Page(All(context).Where(entity => name is null || entity.Name.Id.Contains(name, StringComparison.OrdinalIgnoreCase)), entity => entity.Name.Id);
        return AdminJson.WritePageAsync(context, Plural, page, (json, entity) => Write(json, context, entity, stored));
    }

    public Task GetAsync(HttpContext context)
    {
        var entity = All(context).FirstOrDefault(known => known.Name.Id == context.Id()) ?? throw AdminProblem.NotFound(ConfigurationStore.KindOf(kind), context.Id());
        return AnswerAsync(context, StatusCodes.Status200OK, entity);
    }

    public async Task PutAsync(HttpContext context)
    {
        var name = new EntityName(kind, context.Id());
        var body = await context.ObjectAsync(StoredDocuments.SourceOf(name), InvalidCode(kind));
        await ChangeAsync(context, name, _ => Named(name, body));
    }

    public async Task PatchAsync(HttpContext context)
    {
        var name = new EntityName(kind, context.Id());
        var patch = await context.ObjectAsync(StoredDocuments.SourceOf(name), InvalidCode(kind));
        await ChangeAsync(context, name, present => MergePatch.Apply(present ?? throw AdminProblem.NotFound(ConfigurationStore.KindOf(kind), name.Id), patch));
    }

    public async Task DeleteAsync(HttpContext context)
    {
        var name = new EntityName(kind, context.Id());
        var loader = context.Service<SnapshotLoader>();
        var revision = await context.Service<ConfigurationChanges>().MakeAsync(context, StoredDocuments.SourceOf(name), "in_use", stored =>
        {
            RequireEditable(context, loader, stored, name);
            if (!stored.Entities.TryGetValue(name, out var present))
            {
                throw AdminProblem.NotFound(ConfigurationStore.KindOf(kind), name.Id);
            }
            context.CheckMatch(name.ToString(), TagOf(present));
            return EntitySecrets.Remove(stored, name);
        }, StatusCodes.Status409Conflict);
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    }

    /// <summary><c>PUT /providers/{id}/credentials</c>: the members that are given replace those that are there.</summary>
    public async Task PutCredentialsAsync(HttpContext context)
    {
        var name = new EntityName(kind, context.Id());
        var patch = await context.ObjectAsync("request body", "invalid_credentials");
        patch.KnowsOnly("invalid_credentials", "apiKey", "headers");
        await ChangeAsync(context, name, present => MergePatch.Apply(present ?? throw AdminProblem.NotFound(ConfigurationStore.KindOf(kind), name.Id), patch));
    }

    /// <summary>Whether an entity of the admin API may be made or changed under a name.</summary>
    /// <exception cref="AdminProblem">A file declares it.</exception>
    internal static void RequireEditable(HttpContext context, SnapshotLoader loader, StoredConfiguration stored, EntityName name)
    {
        if (!stored.Entities.ContainsKey(name) && loader.Declared.FirstOrDefault(known => known.Name == name && !known.FromAdminApi) is { } declared)
        {
            throw AdminProblem.DeclaredInFile(name.ToString(), FileOf(declared.Origin));
        }
        if (name.Kind == EntityKind.Provider && context.Snapshot().Providers.GetValueOrDefault(name.Id) is { Origin: "built-in" })
        {
            throw AdminProblem.Conflict("built_in", $"{name} is built into the gateway; choose another id.");
        }
    }

    private async Task ChangeAsync(HttpContext context, EntityName name, Func<JsonObject?, JsonObject> edit)
    {
        var loader = context.Service<SnapshotLoader>();
        var made = false;
        var revision = await context.Service<ConfigurationChanges>().MakeAsync(context, StoredDocuments.SourceOf(name), InvalidCode(kind), stored =>
        {
            RequireEditable(context, loader, stored, name);
            var present = stored.Entities.GetValueOrDefault(name);
            context.CheckMatch(name.ToString(), present is null ? null : TagOf(present));
            made = present is null;
            return EntitySecrets.Put(stored, name, edit(present is null ? null : JsonNode.Parse(present.Declaration)!.AsObject()));
        });
        if (context.IsDryRun())
        {
            await ConfigurationChanges.AnswerDryRunAsync(context, revision);
            return;
        }
        var entity = loader.Stored.Entities.GetValueOrDefault(name) ?? throw AdminProblem.Conflict("deleted_meanwhile", $"{name} was declared, and deleted by another request since.");
        if (made)
        {
            context.Response.Headers.Location = $"/admin/v1/{Plural}/{string.Join('/', name.Id.Split('/').Select(Uri.EscapeDataString))}";
        }
        await AnswerAsync(context, made ? StatusCodes.Status201Created : StatusCodes.Status200OK, new DeclaredEntity(name, "admin API", true, entity.Declaration));
    }

    // What a price is of stands in its path already.
    private static JsonObject Named(EntityName name, JsonObject body)
    {
        if (name.Kind == EntityKind.Price && name.Id.IndexOf('/', StringComparison.Ordinal) is > 0 and var slash)
        {
            body.TryAdd("provider", name.Id[..slash]);
            body.TryAdd("model", name.Id[(slash + 1)..]);
        }
        return body;
    }

    private Task AnswerAsync(HttpContext context, int status, DeclaredEntity entity)
    {
        var stored = context.Service<SnapshotLoader>().Stored;
        if (stored.Entities.TryGetValue(entity.Name, out var known))
        {
            context.Response.Headers.ETag = TagOf(known);
        }
        return AdminJson.WriteAsync(context, status, json => Write(json, context, entity, stored));
    }

    private IEnumerable<DeclaredEntity> All(HttpContext context)
    {
        var declared = context.Service<SnapshotLoader>().Declared.Where(entity => entity.Name.Kind == kind).GroupBy(entity => entity.Name).Select(group => group.Last()).ToList();
        // What does not fit is there to be mended.
        declared.AddRange(context.Service<SnapshotStore>().LeftOut
            .Where(part => part.Entity is { } name && name.Kind == kind && declared.TrueForAll(known => known.Name != name))
            .Select(part => new DeclaredEntity(part.Entity!.Value, "admin API", true, "{}")));
        if (kind == EntityKind.Provider)
        {
            // Those that nobody declared: the simulator, and what the environment has keys for.
            declared.AddRange(context.Snapshot().Providers.Values
                .Where(provider => declared.TrueForAll(known => known.Name.Id != provider.Id))
                .Select(provider => new DeclaredEntity(new EntityName(kind, provider.Id), provider.Origin, false, Shown(provider))));
        }
        return declared;
    }

    private static string Shown(Provider provider)
    {
        var declaration = new JsonObject { ["dialect"] = provider.Dialect };
        if (provider.BaseAddress is { } address)
        {
            declaration["baseUrl"] = address.OriginalString;
        }
        if (provider.ApiKey is not null)
        {
            declaration["apiKey"] = "***";
        }
        return declaration.ToJsonString(AdminJson.Compact);
    }

    private void Write(Utf8JsonWriter json, HttpContext context, DeclaredEntity entity, StoredConfiguration configuration)
    {
        var stored = entity.FromAdminApi ? configuration.Entities.GetValueOrDefault(entity.Name) : null;
        var declaration = stored?.Declaration ?? entity.Declaration;
        json.WriteStartObject();
        json.WriteString("id", entity.Name.Id);
        WriteOrigin(json, entity.Origin, stored is not null);
        json.WriteString("createdBy", stored?.CreatedBy);
        AdminJson.WriteMoment(json, "createdAt", stored?.CreatedAt);
        json.WriteString("changedBy", stored?.ChangedBy);
        AdminJson.WriteMoment(json, "changedAt", stored?.ChangedAt);
        json.WriteString("etag", stored is null ? null : TagOf(stored));
        json.WriteString("problem", ProblemOf(context, entity.Name));
        json.WritePropertyName("declaration");
        json.WriteRawValue(declaration);
        if (kind is EntityKind.Provider or EntityKind.Manifest)
        {
            WriteCredentials(json, entity.Name, declaration, configuration);
        }
        if (OwnerKindOf(kind) is { } owner)
        {
            LimitEndpoints.WriteBudgets(json, context, [.. context.Snapshot().Owners.Where(known => known.Kind == owner && known.Id == entity.Name.Id)]);
        }
        json.WriteEndObject();
    }

    private static string? ProblemOf(HttpContext context, EntityName name) =>
        context.Service<SnapshotStore>().LeftOut.FirstOrDefault(part => part.Entity == name) is { } part ? string.Join("; ", part.Reasons) : null;

    /// <summary>Where something is declared, and whether it can be changed here.</summary>
    internal static void WriteOrigin(Utf8JsonWriter json, string origin, bool editable)
    {
        json.WriteString("origin", editable ? "api" : origin switch { "environment" => "environment", "built-in" => "builtIn", _ => "file" });
        json.WriteString("declaredIn", editable || origin is "environment" or "built-in" ? null : FileOf(origin));
        json.WriteBoolean("editable", editable);
    }

    // The folders of the machine are nobody's business beyond it.
    internal static string FileOf(string origin) => Path.GetFileName(origin);

    private static OwnerKind? OwnerKindOf(EntityKind kind) => kind switch
    {
        EntityKind.User => OwnerKind.User,
        EntityKind.Team => OwnerKind.Team,
        EntityKind.Customer => OwnerKind.Customer,
        _ => null,
    };

    private static void WriteCredentials(Utf8JsonWriter json, EntityName name, string declaration, StoredConfiguration configuration)
    {
        json.WriteStartArray("credentials");
        foreach (var (member, secret) in EntitySecrets.Read(name, JsonNode.Parse(declaration)!.AsObject()))
        {
            var known = secret is null ? null : configuration.Secrets.GetValueOrDefault(secret);
            json.WriteStartObject();
            json.WriteString("member", member);
            json.WriteString("secret", secret);
            json.WriteString("changedBy", known?.ChangedBy);
            AdminJson.WriteMoment(json, "changedAt", known?.ChangedAt);
            json.WriteEndObject();
        }
        json.WriteEndArray();
    }

    internal static string TagOf(StoredEntity entity) => AdminRequests.TagOf(entity.Declaration, $"{entity.ChangedAt.ToUnixTimeMilliseconds()}", entity.ChangedBy);
}
