using System.CommandLine;
using System.Globalization;
using System.Text;
using System.Text.Json;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary><c>gateway usage</c>, <c>ledger</c> and <c>toolservers</c>, over the admin API of a running gateway; <c>gateway backup</c> and <c>restore</c>.</summary>
internal static class DataCommands
{
    public static void AddDataCommands(this RootCommand root, TextWriter output, TextWriter error)
    {
        root.Subcommands.Add(UsageCommand.Create(output, error));
        root.Subcommands.Add(LedgerCommand.Create(output, error));
        root.Subcommands.Add(ToolServersCommand.Create(output, error));
        root.Subcommands.Add(BackupCommands.Backup(output, error));
        root.Subcommands.Add(BackupCommands.Restore(output, error));
    }
}

/// <summary>The options by which a command finds the running gateway.</summary>
internal sealed class GatewayAccess(TextWriter error)
{
    public Option<string> Url { get; } = new("--url") { Description = "The running gateway.", HelpName = "url", Recursive = true, DefaultValueFactory = _ => ListenAddresses.Default };

    public Option<string?> AdminKey { get; } = new("--admin-key") { Description = "Admin key [default: GATEWAY_ADMIN_KEY].", HelpName = "key", Recursive = true };

    public Option<bool> Json { get; } = new("--json") { Description = "Print the gateway's answer as JSON.", Recursive = true };

    public void AddTo(Command command)
    {
        command.Options.Add(Url);
        command.Options.Add(AdminKey);
        command.Options.Add(Json);
    }

    public Task<int> RunAsync(ParseResult result, Func<AdminClient, Task> work) =>
        AdminClient.RunAsync(result.GetValue(Url)!, result.GetValue(AdminKey) ?? Environment.GetEnvironmentVariable("GATEWAY_ADMIN_KEY"), error, work);
}

/// <summary>Prints tables.</summary>
internal static class Table
{
    /// <summary>Prints rows under their heads, each column as wide as it needs, the last one as it is.</summary>
    public static async Task WriteAsync(TextWriter output, IReadOnlyList<string> heads, IReadOnlyList<IReadOnlyList<string>> rows)
    {
        var widths = heads.Select((head, column) => rows.Select(row => row[column].Length).Append(head.Length).Max()).ToArray();
        foreach (var row in rows.Prepend(heads))
        {
            await output.WriteLineAsync(string.Join("  ", row.Select((cell, column) => column == row.Count - 1 ? cell : cell.PadRight(widths[column]))).TrimEnd());
        }
    }

    /// <summary>A member's value as people read it.</summary>
    public static string Text(JsonElement item, string member) => !item.TryGetProperty(member, out var value) ? "" : value.ValueKind switch
    {
        JsonValueKind.Null => "-",
        JsonValueKind.String => value.GetString()!,
        _ => value.GetRawText(),
    };

    /// <summary>A query string of what is given.</summary>
    public static string Query(IEnumerable<(string Name, string? Value)> parameters)
    {
        var query = new StringBuilder();
        foreach (var (name, value) in parameters)
        {
            if (value is not null)
            {
                query.Append(query.Length == 0 ? '?' : '&').Append(name).Append('=').Append(Uri.EscapeDataString(value));
            }
        }
        return query.ToString();
    }

    /// <summary>Copies an answer of text to the output as it arrives.</summary>
    public static async Task CopyAsync(Stream body, TextWriter output, CancellationToken cancellationToken)
    {
        using var reader = new StreamReader(body, Encoding.UTF8);
        var buffer = new char[16 * 1024];
        int read;
        while ((read = await reader.ReadAsync(buffer, cancellationToken)) > 0)
        {
            await output.WriteAsync(buffer.AsMemory(0, read), cancellationToken);
        }
        await output.FlushAsync(cancellationToken);
    }

    /// <summary>A number as it is written in a query.</summary>
    public static string? Text(int? number) => number?.ToString(CultureInfo.InvariantCulture);
}
