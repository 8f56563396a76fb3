namespace Shared.Configuration;

/// <summary>One thing that is wrong in a configuration file or in a request body of the same form.</summary>
/// <param name="File">The file as it was named, or a name for where the text came from; empty where several together are at fault, as the message tells.</param>
/// <param name="Line">Line, from 1; 0 where the error concerns the file as a whole.</param>
/// <param name="Column">Column, from 1; 0 where the error concerns the file as a whole.</param>
/// <param name="Path">Where in the document, e.g. <c>providers.openai.apiKey</c>; empty at its root.</param>
/// <param name="Message">What was found and what is expected. Never holds a secret.</param>
public sealed record ConfigError(string File, int Line, int Column, string Path, string Message)
{
    /// <summary>What of the database is at fault where the error tells another place, as <see cref="Stored.StoredDocuments"/> calls it; null: what stands at the place.</summary>
    internal string? Stored { get; init; }

    /// <summary><c>gateway.yaml:12:5: providers.opnai: what is wrong</c>.</summary>
    public override string ToString()
    {
        if (File.Length == 0)
        {
            return Message;
        }
        var position = Line == 0 ? File : $"{File}:{Line}:{Column}";
        return Path.Length == 0 ? $"{position}: {Message}" : $"{position}: {Path}: {Message}";
    }
}

/// <summary>The configuration cannot be used. Carries every error, not the first one.</summary>
public sealed class ConfigurationException : Exception
{
    /// <summary>An exception for one or more errors.</summary>
    public ConfigurationException(IReadOnlyList<string> errors)
        : base($"The configuration has {errors.Count} error{(errors.Count == 1 ? "" : "s")}:{Environment.NewLine}{string.Join(Environment.NewLine, errors)}") =>
        Errors = errors;

    /// <summary>What is wrong, each with the place it is at.</summary>
    public IReadOnlyList<string> Errors { get; }
}
