namespace Shared.Configuration.Schemas;

/// <summary>A kind of file that people write.</summary>
/// <param name="Name">What commands call it.</param>
/// <param name="Type">The record that it is bound to.</param>
/// <param name="Title">What it is.</param>
/// <param name="SchemaFile">Where the repository keeps its JSON Schema.</param>
internal sealed record DocumentKind(string Name, Type Type, string Title, string SchemaFile)
{
    /// <summary>All of them.</summary>
    public static IReadOnlyList<DocumentKind> All { get; } =
    [
        new("gateway", typeof(GatewayDeclaration), "gateway.yaml: the configuration of Agent Gateway", "docs/schemas/gateway.schema.json"),
        new("manifest", typeof(ManifestDeclaration), "A tool manifest of Agent Gateway", "tool-manifests/schema.json"),
        new("prices", typeof(PriceFileDeclaration), "A price file of Agent Gateway", "docs/schemas/prices.schema.json"),
    ];
}
