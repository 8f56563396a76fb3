using System.CommandLine;
using System.Globalization;
using System.Text;

namespace PriceImport;

/// <summary>Makes the price catalog out of local copies of public lists. Reads no network.</summary>
internal static class Program
{
    public static int Main(string[] args)
    {
        var modelsDev = new Option<DirectoryInfo?>("--models-dev") { Description = "Folder of models.dev, with providers/ and models/ in it.", HelpName = "dir" };
        var modelsDevDate = new Option<DateOnly?>("--models-dev-date") { Description = "Day of that copy (of its last commit).", HelpName = "date", CustomParser = result => Date(result.Tokens[0].Value, result.AddError) };
        var genai = new Option<DirectoryInfo?>("--genai-prices") { Description = "Folder prices/providers of genai-prices.", HelpName = "dir" };
        var genaiDate = new Option<DateOnly?>("--genai-prices-date") { Description = "Day of that copy.", HelpName = "date", CustomParser = result => Date(result.Tokens[0].Value, result.AddError) };
        var liteLlm = new Option<FileInfo?>("--litellm") { Description = "LiteLLM's model_prices_and_context_window.json.", HelpName = "file" };
        var liteLlmDate = new Option<DateOnly?>("--litellm-date") { Description = "Day of that copy.", HelpName = "date", CustomParser = result => Date(result.Tokens[0].Value, result.AddError) };
        var output = new Option<FileInfo>("--output") { Description = "The catalog to write.", HelpName = "file", Required = true };
        var report = new Option<FileInfo?>("--report") { Description = "Where to write what was left out and where the lists disagree [default: standard output].", HelpName = "file" };
        var root = new RootCommand("Makes the price catalog out of local copies of public lists.") { modelsDev, modelsDevDate, genai, genaiDate, liteLlm, liteLlmDate, output, report };
        root.Validators.Add(result =>
        {
            foreach (var (list, date) in new (Option, Option)[] { (modelsDev, modelsDevDate), (genai, genaiDate), (liteLlm, liteLlmDate) })
            {
                if (result.GetResult(list) is null != result.GetResult(date) is null)
                {
                    result.AddError($"{list.Name} and {date.Name} go together: an entry names its list and the list's day.");
                }
            }
            if (result.GetResult(modelsDev) is null && result.GetResult(genai) is null && result.GetResult(liteLlm) is null)
            {
                result.AddError("Give at least one list: --models-dev, --genai-prices or --litellm.");
            }
        });
        root.SetAction(result => Run(
            new Lists(
                (result.GetValue(modelsDev)?.FullName, result.GetValue(modelsDevDate)), (result.GetValue(genai)?.FullName, result.GetValue(genaiDate)),
                (result.GetValue(liteLlm)?.FullName, result.GetValue(liteLlmDate))),
            result.GetValue(output)!.FullName, result.GetValue(report)?.FullName, result.InvocationConfiguration.Output));
        return root.Parse(args).Invoke();
    }

    /// <summary>Where the lists are, each with its day; null: not given.</summary>
    internal sealed record Lists((string? Path, DateOnly? Day) ModelsDev, (string? Path, DateOnly? Day) GenaiPrices, (string? Path, DateOnly? Day) LiteLlm);

    /// <summary>Reads the lists, writes the catalog and says what was decided.</summary>
    internal static int Run(Lists lists, string output, string? reportFile, TextWriter console)
    {
        List<Candidate> candidates = [];
        if (lists.ModelsDev is (string modelsDev, DateOnly modelsDevDay))
        {
            candidates.AddRange(ModelsDevList.Read(modelsDev, modelsDevDay));
        }
        if (lists.LiteLlm is (string liteLlm, DateOnly liteLlmDay))
        {
            candidates.AddRange(LiteLlmList.Read(liteLlm, liteLlmDay));
        }
        if (lists.GenaiPrices is (string genai, DateOnly genaiDay))
        {
            candidates.AddRange(GenaiPricesList.Read(genai, genaiDay, candidates.ToLookup(candidate => candidate.Provider, candidate => candidate.Model)));
        }
        var report = new ImportReport();
        var entries = Merger.Merge(candidates, report);
        var newest = new[] { lists.ModelsDev.Day, lists.GenaiPrices.Day, lists.LiteLlm.Day }.Max()!.Value;
        var text = CatalogText.Write(entries, newest);
        File.WriteAllText(output, text, new UTF8Encoding(false));

        var summary = $"{entries.Count} models of {entries.Select(entry => entry.Provider).Distinct().Count()} providers, {report.Disagreements.Count} disagreements, {report.LeftOut.Count} models left out.";
        var details = $"{summary}\n\nDisagreements (input/output, US dollars per million tokens)\n{Lines(report.Disagreements)}\nLeft out\n{Lines(report.LeftOut)}";
        if (reportFile is null)
        {
            console.WriteLine(details);
        }
        else
        {
            File.WriteAllText(reportFile, details, new UTF8Encoding(false));
            console.WriteLine(summary);
        }
        return 0;
    }

    private static string Lines(IEnumerable<string> lines) => string.Concat(lines.Select(line => $"  {line}\n"));

    private static DateOnly? Date(string text, Action<string> refuse)
    {
        if (DateOnly.TryParseExact(text, "yyyy-MM-dd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date))
        {
            return date;
        }
        refuse($"'{text}' is no date; give one like 2026-07-02.");
        return null;
    }
}
