namespace Gateway.Admin.OpenApi;

/// <summary>A query parameter of an operation.</summary>
/// <param name="Name">Its name.</param>
/// <param name="Description">What it does.</param>
/// <param name="Schema">Its JSON schema.</param>
internal sealed record QueryParameter(string Name, string Description, string Schema = """{"type":"string"}""")
{
    /// <summary>Whether it may stand more than once.</summary>
    public bool Repeatable { get; init; }
}

/// <summary>What the OpenAPI document says of an operation. Schemas are named as in the document's components.</summary>
/// <param name="Id">A name for generated clients.</param>
/// <param name="Tag">The chapter that it belongs to.</param>
/// <param name="Summary">What it does, in a few words.</param>
internal sealed record Operation(string Id, string Tag, string Summary)
{
    /// <summary>More than fits into the summary.</summary>
    public string? Description { get; init; }

    /// <summary>Query parameters; any other is refused.</summary>
    public IReadOnlyList<QueryParameter> Query { get; init; } = [];

    /// <summary>Schema of the request's body; null: it takes none.</summary>
    public string? Body { get; init; }

    /// <summary>Media types of the body; others are refused with 415.</summary>
    public IReadOnlyList<string> BodyTypes { get; init; } = [Json];

    /// <summary>Whether the body may be left out.</summary>
    public bool BodyOptional { get; init; }

    /// <summary>A body that works, as JSON.</summary>
    public string? Example { get; init; }

    /// <summary>Status and schema of each success; a null schema: no body.</summary>
    public IReadOnlyList<(int Status, string? Schema)> Answers { get; init; } = [];

    /// <summary>Media type of the answers.</summary>
    public string AnswerType { get; init; } = Json;

    /// <summary>Whether the configuration is changed: with <c>dryRun</c>, and refusals that only a change meets.</summary>
    public bool ChangesConfiguration { get; init; }

    /// <summary>Whether the change can be bound to the state that it was decided on.</summary>
    public bool TakesIfMatch { get; init; }

    /// <summary>Media type of JSON.</summary>
    public const string Json = "application/json";

    /// <summary>Media type of a merge patch, RFC 7396.</summary>
    public const string MergePatch = "application/merge-patch+json";

    /// <summary>Media types of YAML: the registered one first.</summary>
    public static IReadOnlyList<string> JsonOrYaml { get; } = [Json, "application/yaml", "application/x-yaml", "text/yaml"];

    /// <summary>Parameters of a list that comes in pages.</summary>
    public static IReadOnlyList<QueryParameter> Paging { get; } =
    [
        new("limit", "The most items of a page, 100 by default.", """{"type":"integer","minimum":1,"maximum":1000,"default":100}"""),
        new("cursor", "The `nextCursor` of the page before."),
    ];

    /// <summary>The parameter of a change that is only to be judged.</summary>
    public static QueryParameter DryRun { get; } =
        new("dryRun", "Judge the change against the whole configuration, and change nothing.", """{"type":"boolean","default":false}""");

    /// <summary>The names of all query parameters.</summary>
    public IEnumerable<QueryParameter> AllQuery => ChangesConfiguration ? [.. Query, DryRun] : Query;
}
