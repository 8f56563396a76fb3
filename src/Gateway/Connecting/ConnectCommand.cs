using System.CommandLine;
using System.Net.Http.Headers;
using Gateway.Bridging;
using Gateway.Hosting;

namespace Gateway.Connecting;

/// <summary><c>gateway connect</c>: the entry that makes a client use the running gateway.</summary>
internal static class ConnectCommand
{
    private static readonly (string Name, ClientKind Kind)[] Clients =
    [
        ("claude-desktop", ClientKind.ClaudeDesktop),
        ("claude-code", ClientKind.ClaudeCode),
        ("cursor", ClientKind.Cursor),
        ("vscode", ClientKind.VsCode),
        ("windsurf", ClientKind.Windsurf),
        ("codex", ClientKind.Codex),
    ];

    private static readonly TimeSpan ProbeLimit = TimeSpan.FromSeconds(2);

    public static Command Create(TextWriter output, TextWriter error)
    {
        var client = new Argument<string>("client") { Description = $"One of {string.Join(", ", Clients.Select(known => known.Name))}." };
        var url = new Option<string>("--url") { Description = "The running gateway.", HelpName = "url", DefaultValueFactory = _ => ListenAddresses.Default };
        var name = new Option<string>("--name") { Description = "The entry's name in the client.", HelpName = "name", DefaultValueFactory = _ => "hub" };
        var key = new Option<string?>("--key") { Description = "Virtual key to write into the entry [default: the entry refers to GATEWAY_KEY].", HelpName = "key" };
        var keyFile = new Option<string?>("--key-file") { Description = "claude-desktop: file that holds the virtual key.", HelpName = "file" };
        var command = new Option<bool>("--command") { Description = "Print the one command (for Cursor, the link) instead." };
        var write = new Option<bool>("--write") { Description = "Put the entry into the client's file, and keep what was there in a backup." };
        var file = new Option<string?>("--file") { Description = "The file to write instead of the client's own.", HelpName = "file" };
        var bundle = new Option<string?>("--mcpb") { Description = "claude-desktop: write a bundle that is installed by a double click.", HelpName = "file" };
        client.AcceptOnlyFromAmong([.. Clients.Select(known => known.Name)]);
        url.Validators.Add(result => Refuse(result.AddError, McpAddress.TryParse(result.GetValueOrDefault<string>() ?? "", out _, out var problem) ? null : problem));
        name.Validators.Add(result => Refuse(result.AddError, IsName(result.GetValueOrDefault<string>()) ? null : "--name is 1 to 32 letters, digits, '-' or '_': clients put it in front of each tool's name."));
        key.Validators.Add(result => Refuse(result.AddError, result.GetValueOrDefault<string?>() is { } given && !IsKey(given) ? "--key is not a virtual key: it has characters that no key has." : null));
        var connect = new Command("connect", "Print the entry that connects a client to the running gateway, or put it into the client's file.") { client, url, name, key, keyFile, command, write, file, bundle };
        connect.Validators.Add(result =>
        {
            var kind = Clients.FirstOrDefault(known => known.Name == result.GetValue(client)).Kind;
            var isDesktop = result.GetValue(client) == "claude-desktop";
            Refuse(result.AddError, result.GetValue(file) is not null && !result.GetValue(write) ? "--file is the file for --write." : null);
            Refuse(result.AddError, !isDesktop && result.GetValue(keyFile) is not null ? "--key-file is for claude-desktop; other clients read GATEWAY_KEY." : null);
            Refuse(result.AddError, !isDesktop && result.GetValue(bundle) is not null ? "--mcpb is for claude-desktop." : null);
            Refuse(result.AddError, result.GetValue(key) is not null && result.GetValue(keyFile) is not null ? "Give --key or --key-file, not both." : null);
            Refuse(result.AddError, result.GetValue(write) && kind == ClientKind.Codex ? "Codex's file is TOML, which --write does not change: use its own command, 'gateway connect codex --command', or paste the entry." : null);
            Refuse(result.AddError, result.GetValue(write) && isDesktop && result.GetValue(key) is null && result.GetValue(keyFile) is null
                ? "Claude Desktop reads no variables of yours: give --key or --key-file with --write." : null);
            Refuse(result.AddError, result.GetValue(command) && (result.GetValue(write) || result.GetValue(bundle) is not null) ? "--command prints; it goes with neither --write nor --mcpb." : null);
        });
        connect.SetAction(async (result, cancellationToken) =>
        {
            McpAddress.TryParse(result.GetValue(url)!, out var address, out _);
            if (result.GetValue(bundle) is { } target)
            {
                return await McpbBundle.WriteAsync(target, address!, output, error, cancellationToken);
            }
            var options = new EntryOptions
            {
                Address = address!,
                Name = result.GetValue(name)!,
                Key = result.GetValue(key),
                KeyFile = result.GetValue(keyFile) is { } path ? Path.GetFullPath(path) : null,
                Launch = Launch.OfThisProcess(),
            };
            var kind = Clients.First(known => known.Name == result.GetValue(client)).Kind;
            var entry = ClientEntry.For(kind, options, ClientFolders.OfThisUser());
            var exitCode = result.GetValue(write) ? Write(entry, result.GetValue(file), output, error)
                : result.GetValue(command) ? PrintCommand(entry, output, error) : Print(entry, output, error);
            if (exitCode == 0 && !await AnswersAsync(address!, cancellationToken))
            {
                await error.WriteLineAsync($"note: no gateway answers at {McpAddress.BaseOf(address!)} now; start it, or give its address with --url.");
            }
            return exitCode;
        });
        return connect;
    }

    /// <summary>On a terminal all of it in colours; elsewhere only the entry, so that it can be redirected, and the rest on standard error.</summary>
    private static int Print(ClientEntry entry, TextWriter output, TextWriter error)
    {
        var isTerminal = BannerWriter.IsTerminal(output);
        var toPeople = isTerminal ? BannerWriter.For(output) : BannerWriter.For(error);
        var place = entry.Files[0];
        toPeople.Write(new BannerLine(BannerTone.Heading, $"{entry.Client}: {place.Path}{(place.Where.Length > 0 ? $" ({place.Where})" : "")}"));
        foreach (var other in entry.Files.Skip(1))
        {
            toPeople.Write(new BannerLine(BannerTone.Plain, $"  {other.Where}: {other.Path}"));
        }
        (isTerminal ? toPeople : BannerWriter.For(output)).Write([.. entry.Snippet.Split('\n').Select(line => new BannerLine(isTerminal ? BannerTone.Secret : BannerTone.Plain, line))]);
        if (entry.Command is { } command)
        {
            toPeople.Write(new BannerLine(BannerTone.Heading, entry.CommandTitle + ":"), new BannerLine(BannerTone.Plain, command));
        }
        foreach (var note in entry.Notes)
        {
            toPeople.Write(new BannerLine(BannerTone.Plain, "note: " + note));
        }
        return 0;
    }

    private static int PrintCommand(ClientEntry entry, TextWriter output, TextWriter error)
    {
        if (entry.Command is not { } command)
        {
            error.WriteLine($"gateway: {entry.Client} has no command for this; paste the entry that is printed without --command.");
            return Server.Failed;
        }
        output.WriteLine(command);
        return 0;
    }

    private static int Write(ClientEntry entry, string? file, TextWriter output, TextWriter error)
    {
        var target = Path.GetFullPath(file ?? entry.Files.First(known => known.IsHere).Path);
        try
        {
            var backup = JsonFile.Merge(target, entry.Additions, TimeProvider.System.GetUtcNow());
            output.WriteLine(backup switch
            {
                null => $"{target} holds the entry already.",
                "" => $"{target} is new and holds the entry.",
                _ => $"{target} holds the entry now; what was there is in {backup}.",
            });
            foreach (var note in entry.Notes)
            {
                error.WriteLine("note: " + note);
            }
            return 0;
        }
        catch (JsonFileException exception)
        {
            error.WriteLine($"gateway: {exception.Message}");
            return Server.Failed;
        }
    }

    /// <summary>Whether a gateway is there now. No key is sent.</summary>
    private static async Task<bool> AnswersAsync(Uri address, CancellationToken cancellationToken)
    {
        using var client = new HttpMessageInvoker(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = !address.IsLoopback });
        using var request = new HttpRequestMessage(HttpMethod.Get, McpAddress.BaseOf(address) + "/health/live");
        request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("*/*"));
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        limit.CancelAfter(ProbeLimit);
        try
        {
            using var response = await client.SendAsync(request, limit.Token);
            return response.IsSuccessStatusCode;
        }
        catch (Exception exception) when (exception is HttpRequestException || (exception is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            return false;
        }
    }

    private static void Refuse(Action<string> refuse, string? problem)
    {
        if (problem is not null)
        {
            refuse(problem);
        }
    }

    private static bool IsName(string? text) => text is { Length: > 0 and <= 32 } && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_');

    private static bool IsKey(string text) => text.Length > 0 && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.');
}
