namespace Gateway.Connecting;

/// <summary>A program that can be connected.</summary>
internal enum ClientKind
{
    ClaudeDesktop,
    ClaudeCode,
    Cursor,
    VsCode,
    Windsurf,
    Codex,
}

/// <summary>A file that a client reads.</summary>
/// <param name="Where">Whom or which system it is for; "": there is only this one.</param>
/// <param name="Path">The file, as its users write it.</param>
/// <param name="IsHere">Whether it is for the system that this program runs on.</param>
internal sealed record ClientFile(string Where, string Path, bool IsHere);

/// <summary>How to start this program from a client.</summary>
/// <param name="Command">The program.</param>
/// <param name="Arguments">What comes before the bridge's own arguments.</param>
internal sealed record Launch(string Command, IReadOnlyList<string> Arguments)
{
    /// <summary>As this process was started.</summary>
    public static Launch OfThisProcess()
    {
        var program = Environment.ProcessPath ?? "gateway";
        var isDotnet = string.Equals(Path.GetFileNameWithoutExtension(program), "dotnet", StringComparison.OrdinalIgnoreCase);
        return isDotnet ? new Launch(program, [Path.Combine(AppContext.BaseDirectory, "gateway.dll")]) : new Launch(program, []);
    }
}

/// <summary>What an entry is made from.</summary>
internal sealed record EntryOptions
{
    /// <summary>The gateway's MCP endpoint.</summary>
    public required Uri Address { get; init; }

    /// <summary>The entry's name in the client.</summary>
    public string Name { get; init; } = "hub";

    /// <summary>A virtual key to write into the entry; null: the entry refers to one.</summary>
    public string? Key { get; init; }

    /// <summary>A file with the key, for entries that start the bridge.</summary>
    public string? KeyFile { get; init; }

    /// <summary>How the bridge is started.</summary>
    public required Launch Launch { get; init; }
}
