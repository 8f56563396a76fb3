using Shared.Configuration.Schemas;

namespace Gateway.Commands.Configuration;

/// <summary>What is written from the types that the configuration is read into: the JSON Schemas and the reference.</summary>
internal static class ConfigurationSchemas
{
    private const string Comments = "Gateway.Shared.xml";

    /// <summary>The JSON Schema of a kind of file.</summary>
    public static string Schema(DocumentKind kind) => SchemaWriter.Write(kind, Documentation());

    /// <summary>The page that describes every member.</summary>
    public static string Reference() => ReferenceWriter.Write(Documentation());

    /// <summary>The doc comments of the declarations.</summary>
    public static TypeDocumentation Documentation()
    {
        using var stream = typeof(ConfigurationSchemas).Assembly.GetManifestResourceStream(Comments)
            ?? throw new InvalidOperationException($"The assembly lacks the resource {Comments}.");
        return TypeDocumentation.Load(stream);
    }
}
