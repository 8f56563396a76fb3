using System.Text;
using Shared.Configuration;
using Shared.Stored;

namespace Shared.Snapshots;

/// <summary>
/// Puts what the admin API declared beside what the files declare. An id belongs to either a file or the database, never to both: a file's author must
/// be able to rely on what it says.
/// </summary>
internal sealed class StoredEntities(SecretReferences secrets, ICollection<ConfigError> errors)
{
    /// <summary>What errors call a stored entity.</summary>
    public static string SourceOf(EntityName name) => StoredDocuments.SourceOf(name);

    /// <summary>The sources with the stored entities among them.</summary>
    public ConfigurationSources AddTo(ConfigurationSources sources, StoredConfiguration stored)
    {
        var gateway = sources.Gateway;
        var providers = new Dictionary<string, ProviderDeclaration>(gateway.Providers);
        var routes = new Dictionary<string, RouteDeclaration>(gateway.Routes);
        var users = new Dictionary<string, UserDeclaration>(gateway.Users);
        var teams = new Dictionary<string, TeamDeclaration>(gateway.Teams);
        var customers = new Dictionary<string, CustomerDeclaration>(gateway.Customers);
        var prices = new List<PriceDeclaration>(sources.PriceOverlay);
        var manifests = new List<ManifestDeclaration>(sources.Manifests);
        foreach (var entity in stored.Entities.Values)
        {
            switch (entity.Name.Kind)
            {
                case EntityKind.Provider:
                    Add(entity, providers);
                    break;
                case EntityKind.Route:
                    Add(entity, routes);
                    break;
                case EntityKind.User:
                    Add(entity, users);
                    break;
                case EntityKind.Team:
                    Add(entity, teams);
                    break;
                case EntityKind.Customer:
                    Add(entity, customers);
                    break;
                case EntityKind.Price:
                    AddPrice(entity, prices, gateway.Prices);
                    break;
                case EntityKind.Manifest:
                    AddManifest(entity, manifests);
                    break;
                default:
                    throw new InvalidOperationException($"Unknown kind of entity: {entity.Name}.");
            }
        }
        return sources with
        {
            Gateway = gateway with { Providers = providers, Routes = routes, Users = users, Teams = teams, Customers = customers },
            PriceOverlay = prices,
            Manifests = manifests,
        };
    }

    private void Add<T>(StoredEntity entity, Dictionary<string, T> declared) where T : Declaration
    {
        if (Bind<T>(entity) is not { } declaration)
        {
            return;
        }
        if (declared.TryGetValue(entity.Name.Id, out var other))
        {
            errors.Add(DeclaredTwice(entity, other));
            return;
        }
        declared.Add(entity.Name.Id, declaration);
    }

    private void AddPrice(StoredEntity entity, List<PriceDeclaration> prices, IReadOnlyList<PriceDeclaration> own)
    {
        if (Bind<PriceDeclaration>(entity) is not { } price)
        {
            return;
        }
        if ($"{price.Provider}/{price.Model}" != entity.Name.Id)
        {
            errors.Add(price.Error("model", $"the price is kept as '{entity.Name.Id}', but names '{price.Provider}/{price.Model}'"));
            return;
        }
        if (prices.Concat(own).FirstOrDefault(known => known.Provider == price.Provider && known.Model == price.Model) is { } other)
        {
            errors.Add(DeclaredTwice(entity, other));
            return;
        }
        prices.Add(price);
    }

    private void AddManifest(StoredEntity entity, List<ManifestDeclaration> manifests)
    {
        if (Bind<ManifestDeclaration>(entity) is not { } manifest)
        {
            return;
        }
        if (manifest.Metadata.Id != entity.Name.Id)
        {
            errors.Add(manifest.Metadata.Error("id", $"the manifest is kept as '{entity.Name.Id}', but names '{manifest.Metadata.Id}'"));
            return;
        }
        if (manifests.Find(known => known.Metadata.Id == manifest.Metadata.Id) is { } other)
        {
            errors.Add(DeclaredTwice(entity, other));
            return;
        }
        manifests.Add(manifest);
    }

    private T? Bind<T>(StoredEntity entity) where T : Declaration
    {
        if (JsonNodes.Read(SourceOf(entity.Name), Encoding.UTF8.GetBytes(entity.Declaration), errors) is not { } node)
        {
            return null;
        }
        // As with a file, a server that is switched off may lack its secrets.
        var off = typeof(T) == typeof(ManifestDeclaration) && node.At("enabled") is ConfigScalar { Text: "false" };
        var declaration = new ConfigBinder(errors, Secrets(entity.Name, off)).Bind<T>(node);
        if (declaration is not null)
        {
            declaration.FromAdminApi = true;
        }
        return declaration;
    }

    private SecretReferences Secrets(EntityName name, bool lenient)
    {
        var own = secrets.Only(secret => SecretNames.MayRefer(name, secret));
        return lenient ? own.AsLenient() : own;
    }

    private static ConfigError DeclaredTwice(StoredEntity entity, Declaration other) => other.Node is { } node
        ? node.Error($"{entity.Name} is declared here and in the database as well; remove it here, or delete it through the admin API") with { Stored = SourceOf(entity.Name) }
        : new ConfigError(SourceOf(entity.Name), 0, 0, "", $"{entity.Name} is declared elsewhere as well");
}
