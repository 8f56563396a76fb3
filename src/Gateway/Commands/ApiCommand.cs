using System.CommandLine;
using System.CommandLine.Parsing;
using System.Text.Json;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary>What all commands share that speak to a running gateway over its admin API.</summary>
internal sealed class ApiCommand(TextWriter output, TextWriter error)
{
    private readonly Option<string> url = new("--url") { Description = "The running gateway.", HelpName = "url", Recursive = true, DefaultValueFactory = _ => ListenAddresses.Default };
    private readonly Option<string?> adminKey = new("--admin-key") { Description = "Admin key [default: GATEWAY_ADMIN_KEY].", HelpName = "key", Recursive = true };
    private readonly Option<bool> json = new("--json") { Description = "Print the gateway's answer as JSON.", Recursive = true };

    public TextWriter Output { get; } = output;

    public TextWriter Error { get; } = error;

    /// <summary>A command that holds others, with the options that they share.</summary>
    public Command Group(string name, string description) => new(name, description) { url, adminKey, json };

    /// <summary>Sends a request and prints its answer: as JSON where that was asked for, or in words.</summary>
    public void SetAction(Command command, Func<ParseResult, (HttpMethod Method, string Path, string? Body)> request, Func<ParseResult, JsonElement?, string> words) =>
        command.SetAction((result, cancellationToken) => RunAsync(result, async client =>
        {
            var (method, path, body) = request(result);
            using var answer = await client.SendAsync(method, "admin/v1/" + path, body, cancellationToken);
            await Output.WriteLineAsync(result.GetValue(json) && answer is not null ? answer.RootElement.GetRawText() : words(result, answer?.RootElement));
        }));

    /// <summary>Reads a list to its end, page by page, and prints it: as one JSON object, or as a table.</summary>
    /// <param name="command">The command.</param>
    /// <param name="path">The path and query.</param>
    /// <param name="member">The member that holds the items.</param>
    /// <param name="columns">Title, and text of an item; but for the last one, each is padded.</param>
    /// <param name="most">The most items; null: all there are.</param>
    /// <param name="closing">What a page says of the whole list, in words that follow the table; null: nothing.</param>
    public void SetList(
        Command command, Func<ParseResult, string> path, string member, IReadOnlyList<(string Title, int Width, Func<JsonElement, string> Text)> columns, Func<ParseResult, int?>? most = null,
        Func<JsonElement, string>? closing = null) =>
        command.SetAction((result, cancellationToken) => RunAsync(result, async client =>
        {
            var limit = most?.Invoke(result);
            var pages = new List<JsonDocument>();
            try
            {
                var items = new List<JsonElement>();
                var start = path(result);
                string? cursor = null;
                do
                {
                    var separator = start.Contains('?', StringComparison.Ordinal) ? '&' : '?';
                    var next = cursor is null ? "" : $"&cursor={Uri.EscapeDataString(cursor)}";
                    var page = await client.SendAsync(HttpMethod.Get, $"admin/v1/{start}{separator}limit={Math.Clamp((limit ?? int.MaxValue) - items.Count, 1, 1000)}{next}", null, cancellationToken);
                    pages.Add(page!);
                    items.AddRange(page!.RootElement.GetProperty(member).EnumerateArray());
                    cursor = page.RootElement.GetProperty("nextCursor").GetString();
                }
                while (cursor is not null && !(items.Count >= limit));
                await PrintAsync(result, member, items, columns);
                if (closing is not null && !result.GetValue(json))
                {
                    await Output.WriteLineAsync(closing(pages[^1].RootElement));
                }
            }
            finally
            {
                pages.ForEach(page => page.Dispose());
            }
        }));

    /// <summary>Does some work with a client.</summary>
    public Task<int> RunAsync(ParseResult result, Func<AdminClient, Task> work) =>
        AdminClient.RunAsync(result.GetValue(url)!, result.GetValue(adminKey) ?? Environment.GetEnvironmentVariable("GATEWAY_ADMIN_KEY"), Error, work);

    /// <summary>A member as text; "" where it is null or not there.</summary>
    public static string Text(JsonElement element, string member) =>
        !element.TryGetProperty(member, out var value) ? "" : value.ValueKind == JsonValueKind.String ? value.GetString()! : value.ValueKind == JsonValueKind.Null ? "" : value.GetRawText();

    /// <summary>An option for how long something lasts.</summary>
    public static TimeSpan? ParseTime(ArgumentResult argument)
    {
        var text = argument.Tokens[0].Value;
        var unit = text.Length < 2 ? null : text[^1] switch
        {
            'h' => TimeSpan.FromHours(1),
            'd' => TimeSpan.FromDays(1),
            'w' => TimeSpan.FromDays(7),
            _ => (TimeSpan?)null,
        };
        if (unit is { } length && int.TryParse(text.AsSpan(0, text.Length - 1), out var count) && count is > 0 and <= 10_000)
        {
            return length * count;
        }
        argument.AddError($"'{text}' is not a time; give one like 12h, 30d or 8w.");
        return null;
    }

    /// <summary>A query of the parameters that have a value.</summary>
    public static string Query(params ReadOnlySpan<(string Name, string? Value)> parameters)
    {
        var query = "";
        foreach (var (name, value) in parameters)
        {
            query += value is null ? "" : $"{(query.Length == 0 ? '?' : '&')}{name}={Uri.EscapeDataString(value)}";
        }
        return query;
    }

    /// <summary>Reads a secret from a file or from standard input, never from the command line, which other processes see. A line break at its end is no part of it.</summary>
    /// <exception cref="CommandException">There is none.</exception>
    public static string ReadSecret(string? file)
    {
        try
        {
            var text = (file is null ? Console.In.ReadToEnd() : File.ReadAllText(file)).TrimEnd('\r', '\n');
            return text.Length > 0 ? text : throw new CommandException(file is null ? "Standard input is empty; pipe the secret in, or name a file with --file." : $"The file '{file}' is empty.");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            throw new CommandException($"The file '{file}' cannot be read: {exception.Message}");
        }
    }

    private async Task PrintAsync(ParseResult result, string member, List<JsonElement> items, IReadOnlyList<(string Title, int Width, Func<JsonElement, string> Text)> columns)
    {
        if (result.GetValue(json))
        {
            await Output.WriteLineAsync($"{{\"{member}\":[{string.Join(',', items.Select(item => item.GetRawText()))}]}}");
            return;
        }
        await Output.WriteLineAsync(string.Join(' ', columns.Select(column => column.Title.PadRight(column.Width))).TrimEnd());
        foreach (var item in items)
        {
            await Output.WriteLineAsync(string.Join(' ', columns.Select(column => column.Text(item).PadRight(column.Width))).TrimEnd());
        }
    }
}
