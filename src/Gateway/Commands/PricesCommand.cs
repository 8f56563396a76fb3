using System.CommandLine;
using Gateway.Hosting;
using Shared.Configuration;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Gateway.Commands;

/// <summary><c>gateway prices</c>: tells what models cost by the catalog and the configuration, without a gateway that runs.</summary>
internal static class PricesCommand
{
    public static Command Create(TextWriter output, TextWriter error)
    {
        var config = new Option<string?>(ServeArguments.Config) { Description = "Configuration file [default: ./gateway.yaml, if it exists].", HelpName = "file", Recursive = true };
        var json = new Option<bool>("--json") { Description = "Print JSON.", Recursive = true };
        var prices = new Command("prices", "Tell what models cost, by the catalog and the configuration.") { config, json };

        async Task<int> RunAsync(ParseResult result, Func<PriceBook, PricesPrinter, Task<int>> work)
        {
            var file = result.GetValue(config);
            var now = TimeProvider.System.GetUtcNow();
            try
            {
                var paths = new SnapshotPaths(file ?? ServeOptions.DefaultConfigurationFile, null) { ConfigFileRequired = file is not null };
                return await work(PriceReader.Read(paths, now), new PricesPrinter(output, now));
            }
            catch (ConfigurationException exception)
            {
                foreach (var message in exception.Errors)
                {
                    await error.WriteLineAsync($"gateway: {message}");
                }
                return Server.Failed;
            }
        }

        prices.Subcommands.Add(ShowCommand(error, json, RunAsync));
        prices.Subcommands.Add(ListCommand(json, RunAsync));
        return prices;
    }

    private static Command ShowCommand(TextWriter error, Option<bool> json, Func<ParseResult, Func<PriceBook, PricesPrinter, Task<int>>, Task<int>> run)
    {
        var name = new Argument<string>("model") { Description = "provider/model, or a glob over these, such as 'openai/gpt-5*'.", DefaultValueFactory = _ => "*" };
        var command = new Command("show", "Print prices with their source, version and adjustments.") { name };
        command.SetAction((result, _) => run(result, async (book, printer) =>
        {
            var wanted = result.GetValue(name)!;
            var found = Find(book, wanted);
            if (found.Count == 0)
            {
                await error.WriteLineAsync($"gateway: No price of '{wanted}' is known. {Consequence(book.Unknown)}");
                return Server.Failed;
            }
            await (result.GetValue(json) ? printer.WriteJsonAsync(found) : printer.WriteDetailsAsync(found));
            return 0;
        }));
        return command;
    }

    private static Command ListCommand(Option<bool> json, Func<ParseResult, Func<PriceBook, PricesPrinter, Task<int>>, Task<int>> run)
    {
        var provider = new Option<string>("--provider") { Description = "Only this provider's models; a glob.", HelpName = "glob", DefaultValueFactory = _ => "*" };
        var command = new Command("list", "List prices, one line each.") { provider };
        command.SetAction((result, _) => run(result, async (book, printer) =>
        {
            var found = Find(book, name => Glob.IsMatch(result.GetValue(provider)!, name.Provider));
            await (result.GetValue(json) ? printer.WriteJsonAsync(found) : printer.WriteLinesAsync(found));
            return 0;
        }));
        return command;
    }

    private static List<PricedModel> Find(PriceBook book, string wanted)
    {
        // A name without wildcards may be covered by a glob of the overlay, by a provider that is priced as another, or by the default price.
        if (!wanted.Contains('*', StringComparison.Ordinal) && !wanted.Contains('?', StringComparison.Ordinal) && wanted.IndexOf('/') is > 0 and var slash)
        {
            var (provider, model) = (wanted[..slash], wanted[(slash + 1)..]);
            return book.Find(provider, model) is { } price ? [new PricedModel(provider, model, price)] : [];
        }
        return Find(book, name => Glob.IsMatch(wanted, $"{name.Provider}/{name.Model}"));
    }

    private static List<PricedModel> Find(PriceBook book, Func<(string Provider, string Model), bool> matches) =>
        [.. book.Names().Where(matches).Select(name => (name, Price: book.Find(name.Provider, name.Model))).Where(found => found.Price is not null).Select(found => new PricedModel(found.name.Provider, found.name.Model, found.Price!))];

    private static string Consequence(UnknownPricePolicy policy) => policy switch
    {
        UnknownPricePolicy.Deny => "Calls of it are refused (pricing.unknown: deny).",
        UnknownPricePolicy.Allow => "Calls of it are allowed and no budget sees them (pricing.unknown: allow).",
        _ => "Calls of it are refused under a hard budget, and allowed with an unknown cost otherwise (pricing.unknown: denyUnderHardBudget).",
    };
}

/// <summary>A model by the name that was asked for, and its price.</summary>
internal sealed record PricedModel(string Provider, string Model, ModelPrice Price);
