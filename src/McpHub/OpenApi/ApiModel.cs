using System.Collections.Immutable;
using McpHub.Catalog;

namespace McpHub.OpenApi;

/// <summary>What became of a document: its operations as tools, ready to be called. Immutable.</summary>
/// <param name="Title">What the API calls itself; "": nothing.</param>
/// <param name="Version">The API's own version; "": none.</param>
/// <param name="Format">The document's format, such as <c>3.1.0</c>.</param>
/// <param name="Operations">Its tools, by name.</param>
/// <param name="Unusable">Operations that could be none, and why.</param>
/// <param name="Warnings">What an admin should look at.</param>
internal sealed record ApiDocument(string Title, string Version, string Format, ImmutableSortedDictionary<string, ApiOperation> Operations, ImmutableArray<QuarantinedTool> Unusable, ImmutableArray<string> Warnings);

/// <summary>One operation, as it is called.</summary>
internal sealed class ApiOperation
{
    /// <summary>The tool's name.</summary>
    public required string Name { get; init; }

    /// <summary>The method, in capitals.</summary>
    public required string Method { get; init; }

    /// <summary>Scheme, authority and base path, without a slash at the end.</summary>
    public required string Base { get; init; }

    /// <summary>The path's parts: texts ready to be sent, and names of parameters.</summary>
    public required ImmutableArray<PathPart> Path { get; init; }

    /// <summary>Its parameters.</summary>
    public required ImmutableArray<ApiParameter> Parameters { get; init; }

    /// <summary>Its body; null: it has none.</summary>
    public ApiBody? Body { get; init; }

    /// <summary>What it is called with beside the arguments. Secret.</summary>
    public required ImmutableArray<AppliedCredential> Credentials { get; init; }

    /// <summary>The media types to ask for.</summary>
    public required string Accept { get; init; }

    /// <summary>Whether its results are announced by a schema, and so are structured.</summary>
    public required bool HasOutputSchema { get; init; }

    /// <summary>The tool's definition: one JSON object.</summary>
    public required ReadOnlyMemory<byte> Definition { get; init; }

    /// <summary>All its arguments, by name.</summary>
    public required ImmutableDictionary<string, ApiArgument> Arguments { get; init; }
}

/// <summary>A part of a path: a text as it is sent, or a parameter's place.</summary>
/// <param name="Text">The text, or the parameter's name.</param>
/// <param name="IsParameter">Whether it is a parameter's place.</param>
internal readonly record struct PathPart(string Text, bool IsParameter);

/// <summary>An argument as it is checked before it is sent.</summary>
/// <param name="Name">The tool's name of it.</param>
/// <param name="IsRequired">Whether a call must have it.</param>
/// <param name="Types">JSON types that it may have; empty: any.</param>
/// <param name="Choices">Raw JSON values of which it is one; empty: any.</param>
internal sealed record ApiArgument(string Name, bool IsRequired, ImmutableArray<string> Types, ImmutableArray<string> Choices);

/// <summary>Where a parameter is sent.</summary>
internal enum ParameterPlace
{
    Path,
    Query,
    Header,
    Cookie,
}

/// <summary>How a value is written (OpenAPI 3.1, Parameter Object, style values).</summary>
internal enum ParameterStyle
{
    Simple,
    Label,
    Matrix,
    Form,
    SpaceDelimited,
    PipeDelimited,
    DeepObject,
}

/// <summary>A parameter of an operation.</summary>
/// <param name="Name">The API's name of it.</param>
/// <param name="Argument">The argument that it is.</param>
/// <param name="Place">Where it is sent.</param>
/// <param name="Style">How it is written.</param>
/// <param name="Explodes">Whether each item of a list and each member of an object stands by itself.</param>
/// <param name="AllowsReserved">Whether reserved characters that change nothing stay as they are.</param>
/// <param name="IsJson">Whether its value is written as JSON.</param>
internal sealed record ApiParameter(string Name, ApiArgument Argument, ParameterPlace Place, ParameterStyle Style, bool Explodes, bool AllowsReserved, bool IsJson);

/// <summary>What kind of body is sent.</summary>
internal enum BodyKind
{
    Json,
    Form,
    Multipart,
    Text,
    Binary,
}

/// <summary>The body of an operation.</summary>
/// <param name="Kind">How it is written.</param>
/// <param name="MediaType">The type that is sent with it.</param>
/// <param name="IsRequired">Whether a call must have one.</param>
/// <param name="Whole">The argument that holds it; null: its members are arguments of their own.</param>
/// <param name="Fields">Its members, where they are known.</param>
internal sealed record ApiBody(BodyKind Kind, string MediaType, bool IsRequired, ApiArgument? Whole, ImmutableArray<ApiField> Fields);

/// <summary>A member of a body.</summary>
/// <param name="Name">The API's name of it.</param>
/// <param name="Argument">The argument that it is; within a whole body, of the same name.</param>
/// <param name="IsFile">Whether it is sent as a file.</param>
/// <param name="MediaType">The type of its part; null: as its value implies.</param>
/// <param name="Style">How it is written in a form; null: as its value implies.</param>
/// <param name="Explodes">Whether each item or member stands by itself.</param>
/// <param name="AllowsReserved">Whether reserved characters stay as they are.</param>
internal sealed record ApiField(string Name, ApiArgument Argument, bool IsFile, string? MediaType, ParameterStyle? Style, bool Explodes, bool AllowsReserved);

/// <summary>A credential at its place in a request. Secret.</summary>
internal sealed class AppliedCredential(ParameterPlace place, string name, string value)
{
    public ParameterPlace Place { get; } = place;

    public string Name { get; } = name;

    public string Value { get; } = value;
}
