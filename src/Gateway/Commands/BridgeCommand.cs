using System.CommandLine;
using System.Diagnostics.CodeAnalysis;
using Gateway.Bridging;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary><c>gateway bridge</c>: a running gateway's tools for clients that can only start a program.</summary>
internal static class BridgeCommand
{
    private const string Name = "bridge";
    private const string Url = "--url";
    private const string KeyFile = "--key-file";
    private const string AllowHttp = "--allow-http";

    public static Command Create(TextWriter error)
    {
        var url = new Option<string>(Url) { Description = "The running gateway.", HelpName = "url", DefaultValueFactory = _ => ListenAddresses.Default };
        var keyFile = new Option<string?>(KeyFile) { Description = "File that holds the virtual key [default: the variable GATEWAY_KEY].", HelpName = "file" };
        var allowHttp = new Option<bool>(AllowHttp) { Description = "Allow http:// to another machine; the key then crosses the network unencrypted." };
        var command = new Command(Name, "Relay MCP between standard input and output and the running gateway, for clients that can only start a program.") { url, keyFile, allowHttp };
        command.SetAction((result, _) => Bridge.RunAsync(new BridgeOptions { Url = result.GetValue(url)!, KeyFile = result.GetValue(keyFile), AllowHttp = result.GetValue(allowHttp) }, error));
        return command;
    }

    /// <summary>Reads plain options without the command-line library, for the same reason as <see cref="ServeArguments"/>: a client waits for the answer.</summary>
    public static bool TryParse(ReadOnlySpan<string> args, [NotNullWhen(true)] out BridgeOptions? options)
    {
        options = null;
        if (args is not [Name, .. var rest])
        {
            return false;
        }
        var parsed = new BridgeOptions();
        var seen = new HashSet<string>(StringComparer.Ordinal);
        for (var i = 0; i < rest.Length; i++)
        {
            if (!seen.Add(rest[i]))
            {
                return false;
            }
            if (rest[i] == AllowHttp)
            {
                parsed = parsed with { AllowHttp = true };
                continue;
            }
            if (i + 1 == rest.Length || rest[i + 1].Length == 0 || rest[i + 1].StartsWith('-') || rest[i] is not (Url or KeyFile))
            {
                return false;
            }
            parsed = rest[i] == Url ? parsed with { Url = rest[i + 1] } : parsed with { KeyFile = rest[i + 1] };
            i++;
        }
        options = parsed;
        return true;
    }
}
