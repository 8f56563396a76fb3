using System.Diagnostics.CodeAnalysis;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary>
/// Reads the options of plain serving without the command-line library, whose loading delays the first answer by some 60 ms of 400. It takes only what is
/// plainly right; all else (help, commands, mistakes) goes to the library, which explains.
/// </summary>
internal static class ServeArguments
{
    public const string Data = "--data";
    public const string Config = "--config";
    public const string Manifests = "--manifests";
    public const string Urls = "--urls";
    public const string BehindProxy = "--behind-proxy";

    public static bool TryParse(ReadOnlySpan<string> args, [NotNullWhen(true)] out ServeOptions? options)
    {
        options = null;
        var parsed = new ServeOptions();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < args.Length; i++)
        {
            if (!seen.Add(args[i]))
            {
                return false;
            }
            if (args[i] == BehindProxy)
            {
                parsed = parsed with { BehindProxy = true };
                continue;
            }
            if (i + 1 == args.Length || args[i + 1].Length == 0 || args[i + 1].StartsWith('-') || With(parsed, args[i], args[i + 1]) is not { } next)
            {
                return false;
            }
            parsed = next;
            i++;
        }
        options = parsed;
        return true;
    }

    private static ServeOptions? With(ServeOptions options, string name, string value) => name switch
    {
        Data => options with { DataFolder = value },
        Config when File.Exists(value) => options with { ConfigurationFile = value },
        Manifests when Directory.Exists(value) => options with { ManifestFolder = value },
        Urls => options with { Urls = value },
        _ => null,
    };
}
