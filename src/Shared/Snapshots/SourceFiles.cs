using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text;

namespace Shared.Snapshots;

/// <summary>The files that one snapshot was read from, with what was in them, so that a change can be told from a mere touch.</summary>
internal sealed class SourceFiles(string? manifestDirectory)
{
    private const int LargestFileBytes = 8 * 1024 * 1024;

    private readonly Dictionary<string, string> fingerprints = [];
    private readonly List<string> manifests = ListManifests(manifestDirectory);

    /// <summary>Paths of the manifests, ordered.</summary>
    public IReadOnlyList<string> Manifests => manifests;

    /// <summary>Reads a file as UTF-8 and remembers its content, or that it was not there.</summary>
    /// <param name="path">The file.</param>
    /// <param name="text">Its text.</param>
    /// <param name="missing">Whether there is no such file.</param>
    /// <param name="reason">Why it could not be read, without its content.</param>
    public bool TryRead(string path, [NotNullWhen(true)] out string? text, out bool missing, [NotNullWhen(false)] out string? reason)
    {
        var bytes = ReadBytes(path, out missing, out reason);
        fingerprints[path] = FingerprintOf(bytes, reason);
        text = bytes is null ? null : new StreamReader(new MemoryStream(bytes), Encoding.UTF8).ReadToEnd();
        return bytes is not null;
    }

    /// <summary>Whether a YAML file among the manifests is an OpenAPI document that a manifest beside it refers to, and no manifest.</summary>
    public static bool IsOpenApiDocument(string text)
    {
        foreach (var line in text.AsSpan().TrimStart('\uFEFF').EnumerateLines())
        {
            // Nothing but a member of the root can begin a line.
            var member = line.TrimStart("\"'");
            if ((member.StartsWith("openapi") || member.StartsWith("swagger")) && member["openapi".Length..].TrimStart("\"'").TrimStart(" \t").StartsWith(":"))
            {
                return true;
            }
        }
        return false;
    }

    /// <summary>The text of a file that a secret refers to, or null.</summary>
    public string? ReadSecret(string path) => TryRead(path, out var text, out _, out _) ? text : null;

    /// <summary>Whether any of the files is not as it was when it was read.</summary>
    public bool HaveChanged()
    {
        foreach (var (path, fingerprint) in fingerprints)
        {
            var bytes = ReadBytes(path, out _, out var reason);
            if (FingerprintOf(bytes, reason) != fingerprint)
            {
                return true;
            }
        }
        return !ListManifests(manifestDirectory).SequenceEqual(manifests);
    }

    private static byte[]? ReadBytes(string path, out bool missing, out string? reason)
    {
        (missing, reason) = (false, null);
        try
        {
            if (new FileInfo(path) is { Exists: true, Length: > LargestFileBytes })
            {
                reason = $"it is larger than {LargestFileBytes >> 20} MiB";
                return null;
            }
            return File.ReadAllBytes(path);
        }
        catch (Exception exception) when (exception is FileNotFoundException or DirectoryNotFoundException)
        {
            (missing, reason) = (true, "there is no such file");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            reason = $"it cannot be read ({exception.GetType().Name})";
        }
        return null;
    }

    private static string FingerprintOf(byte[]? bytes, string? reason) => bytes is null ? reason ?? "" : Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static List<string> ListManifests(string? directory)
    {
        if (directory is null || !Directory.Exists(directory))
        {
            return [];
        }
        return [.. Directory.EnumerateFiles(directory).Where(path => Path.GetExtension(path) is ".yaml" or ".yml").Order(StringComparer.Ordinal)];
    }
}
