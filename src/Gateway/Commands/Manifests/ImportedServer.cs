namespace Gateway.Commands.Manifests;

/// <summary>A tool server as it was read from another program's file, on its way to a manifest. Texts hold references as manifests write them.</summary>
internal sealed class ImportedServer(string name, string id)
{
    /// <summary>What the source calls it.</summary>
    public string Name { get; } = name;

    /// <summary>The manifest's id and the name of its file.</summary>
    public string Id { get; } = id;

    public string? Title { get; set; }

    public string? Description { get; set; }

    /// <summary>Why it is written switched off even where it could be switched on; null: nothing speaks against it.</summary>
    public string? OffBecause { get; set; }

    public string? Command { get; set; }

    public List<string> Arguments { get; } = [];

    public string? WorkingDirectory { get; set; }

    public SortedDictionary<string, string> Environment { get; } = new(StringComparer.Ordinal);

    public string? Url { get; set; }

    /// <summary>How it is spoken to at its address; null: over Streamable HTTP.</summary>
    public string? Transport { get; set; }

    /// <summary>The OpenAPI document of a web API, as the manifest names it.</summary>
    public string? Document { get; set; }

    public string? BaseUrl { get; set; }

    /// <summary>A web API's credentials by security scheme: a secret, or a user with a password.</summary>
    public SortedDictionary<string, (string Value, string? Password)> Credentials { get; } = new(StringComparer.Ordinal);

    public SortedDictionary<string, string> Headers { get; } = new(StringComparer.OrdinalIgnoreCase);

    public TimeSpan? ConnectTimeout { get; set; }

    public TimeSpan? CallTimeout { get; set; }

    /// <summary>Whether only the tools that a rule enables are shown.</summary>
    public bool OnlyListedTools { get; set; }

    /// <summary>Tools by their own name, and whether they are shown.</summary>
    public Dictionary<string, bool> Tools { get; } = new(StringComparer.Ordinal);

    /// <summary>What is to be set or decided before it can work.</summary>
    public List<string> Checklist { get; } = [];

    /// <summary>What the source says and the manifest does not.</summary>
    public List<string> NotCarriedOver { get; } = [];

    /// <summary>Whether it runs a program; otherwise it is called at an address.</summary>
    public bool IsStdio => Command is not null;
}

/// <summary>A secret that stood in the source, and the reference that stands in the manifest instead.</summary>
/// <param name="Name">The variable, or the name in the encrypted store.</param>
/// <param name="Value">The secret.</param>
/// <param name="Where">Where it stood, for the report.</param>
/// <param name="Stored">Whether it goes to the encrypted store; else a variable is to hold it.</param>
internal sealed record MovedSecret(string Name, string Value, string Where, bool Stored);
