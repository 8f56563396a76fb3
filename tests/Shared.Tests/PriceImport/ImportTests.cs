using System.Text;
using PriceImport;
using Shared.Configuration;
using Shared.Pricing;
using TestSupport;

namespace Shared.Tests.PriceImport;

/// <summary>The tool that makes the catalog, on small lists written for these tests in the lists' documented forms.</summary>
public sealed class ImportTests : IDisposable
{
    private static readonly DateOnly Older = new(2026, 7, 2), Newer = new(2026, 8, 21);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void LiteLlm_EntriesOfItsForm_BecomePrices()
    {
        var (lines, report) = Import(liteLlm: """
            {
              "sample_spec": {"litellm_provider": "one of https://docs.litellm.ai/docs/providers", "input_cost_per_token": 0.0},
              "gpt-x": {
                "litellm_provider": "openai", "mode": "chat", "max_input_tokens": 400000, "max_output_tokens": 128000,
                "input_cost_per_token": 1.25e-06, "output_cost_per_token": 1e-05, "cache_read_input_token_cost": 1.25e-07,
                "input_cost_per_token_flex": 6.25e-07, "output_cost_per_token_flex": 5e-06, "cache_read_input_token_cost_flex": 6.25e-08,
                "input_cost_per_token_batches": 6.25e-07, "output_cost_per_token_batches": 5e-06,
                "input_cost_per_token_above_200k_tokens": 2.5e-06, "output_cost_per_token_above_200k_tokens": 1.5e-05,
                "search_context_cost_per_query": {"search_context_size_low": 0.03}
              },
              "claude-x": {
                "litellm_provider": "anthropic", "mode": "chat", "max_tokens": 64000, "max_input_tokens": 200000, "max_output_tokens": 64000,
                "input_cost_per_token": 3e-06, "output_cost_per_token": 1.5e-05, "cache_read_input_token_cost": 3e-07,
                "cache_creation_input_token_cost": 3.75e-06, "cache_creation_input_token_cost_above_1hr": 6e-06
              },
              "groq/llama-x": {"litellm_provider": "groq", "mode": "chat", "input_cost_per_token": 5.9e-07, "output_cost_per_token": 7.9e-07, "max_input_tokens": 8192, "max_output_tokens": 8192},
              "text-embedding-x": {"litellm_provider": "openai", "mode": "embedding", "input_cost_per_token": 2e-08},
              "perplexity/search-x": {"litellm_provider": "perplexity", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06, "citation_cost_per_token": 2e-06, "input_cost_per_request": 0.005},
              "dall-e-x": {"litellm_provider": "openai", "mode": "image_generation", "input_cost_per_pixel": 1.9e-08},
              "painter": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 2e-06, "output_cost_per_image_token": 3e-05},
              "free-x": {"litellm_provider": "openai", "mode": "chat", "input_cost_per_token": 0, "output_cost_per_token": 0},
              "elsewhere": {"litellm_provider": "some_cloud", "mode": "chat", "input_cost_per_token": 1e-06, "output_cost_per_token": 1e-06}
            }
            """);

        Assert.Equal(
        [
            """anthropic/claude-x {"input":3,"output":15,"cacheRead":0.3,"cacheWrite":3.75,"cacheWrite1h":6,"maxInputTokens":200000,"maxOutputTokens":64000,"source":"LiteLLM, 2026-07-02"}""",
            """groq/llama-x {"input":0.59,"output":0.79,"maxInputTokens":8192,"source":"LiteLLM, 2026-07-02"}""",
            """openai/gpt-x {"input":1.25,"output":10,"cacheRead":0.125,"contextTiers":[{"aboveInputTokens":200000,"input":2.5,"output":15,"cacheRead":0.125}],"serviceTiers":{"batch":{"input":0.625,"output":5,"cacheRead":0.125},"flex":{"input":0.625,"output":5,"cacheRead":0.0625}},"maxInputTokens":400000,"maxOutputTokens":128000,"unbilled":["webSearch"],"source":"LiteLLM, 2026-07-02"}""",
            """openai/text-embedding-x {"input":0.02,"output":0,"source":"LiteLLM, 2026-07-02"}""",
            """perplexity/search-x {"input":1,"output":1,"perRequest":0.005,"unbilled":["citation_cost_per_token"],"bounded":false,"source":"LiteLLM, 2026-07-02"}""",
        ], lines);
        Assert.Equal(3, report.Split('\n').Count(line => line.StartsWith("  openai/", StringComparison.Ordinal)));
        Assert.Contains("openai/free-x: listed at 0", report, StringComparison.Ordinal);
        Assert.Contains("openai/painter: images in the output have a price of their own", report, StringComparison.Ordinal);
        Assert.Contains("openai/dall-e-x: mode 'image_generation' is not priced by the token", report, StringComparison.Ordinal);
    }

    [Fact]
    public void ModelsDev_BaseModelTiersAndModes_BecomeOneEntry()
    {
        ModelsDevFile("models/openai/base.toml", "[limit]\ncontext = 400_000\noutput = 128_000\n[modalities]\noutput = [\"text\"]\n");
        ModelsDevFile("providers/openai/models/m.toml", """
            base_model = "openai/base"
            [cost]
            input = 0.049999999999999996
            output = 8
            cache_read = 0
            [[cost.tiers]]
            tier = { type = "context", size = 200_000 }
            input = 4
            output = 16
            [limit]
            input = 272_000
            [experimental.modes.fast]
            cost = { input = 5, output = 20 }
            provider = { body = { service_tier = "priority" } }
            """);
        ModelsDevFile("providers/openai/models/painter.toml", "[cost]\ninput = 1\noutput = 2\n[modalities]\noutput = [\"text\", \"image\"]\n");
        ModelsDevFile("providers/google-vertex/models/vendor/x@default.toml", "[cost]\ninput = 1\noutput = 2\n[limit]\ncontext = 1000\noutput = 1000\n");

        var (lines, report) = Import(modelsDev: true);

        Assert.Equal(
        [
            """openai/m {"input":0.05,"output":8,"contextTiers":[{"aboveInputTokens":200000,"input":4,"output":16}],"serviceTiers":{"priority":{"input":5,"output":20}},"maxInputTokens":272000,"maxOutputTokens":128000,"source":"models.dev, 2026-07-02"}""",
            """vertex/vendor/x {"input":1,"output":2,"maxInputTokens":1000,"source":"models.dev, 2026-07-02"}""",
        ], lines);
        Assert.Contains("openai/painter: images in the output have a price of their own (models.dev)", report, StringComparison.Ordinal);
    }

    [Fact]
    public void GenaiPrices_DatesRulesAndSharedEntries_AreKept()
    {
        var (lines, report) = Import(genaiPrices: """
            id: openai
            models:
              - id: dated
                match: {or: [{equals: dated}, {equals: dated-2026-01-01}, {starts_with: dated-preview}]}
                prices_checked: 2026-08-02
                prices:
                  - prices: {input_mtok: {base: 5, tiers: [{start: 272000, price: 10}]}, output_mtok: {base: 30, tiers: [{start: 272000, price: 45}]}, cache_read_mtok: 0.5}
                  - constraint: {start_date: 2026-07-30}
                    prices: {input_mtok: 4, output_mtok: 20, requests_kcount: 5, web_searches_kcount: 10}
              - id: night
                match: {equals: night}
                prices:
                  - prices: {input_mtok: 1, output_mtok: 2}
                  - constraint: {start_time: "00:30:00Z", end_time: "16:30:00Z"}
                    prices: {input_mtok: 2, output_mtok: 4}
            """);

        Assert.Equal(
        [
            """openai/dated {"input":5,"output":30,"cacheRead":0.5,"contextTiers":[{"aboveInputTokens":272000,"input":10,"output":45,"cacheRead":0.5}],"source":"genai-prices, 2026-08-21, checked 2026-08-02"}""",
            """openai/dated {"effectiveFrom":"2026-07-30","input":4,"output":20,"perRequest":0.005,"unbilled":["webSearch"],"source":"genai-prices, 2026-08-21, checked 2026-08-02"}""",
            "openai/dated-2026-01-01 =dated",
        ], lines);
        Assert.Contains("openai/night: the price depends on the time of day", report, StringComparison.Ordinal);
        Assert.Contains("# changes 2026-07-30\n", File.ReadAllText(Catalog), StringComparison.Ordinal);
    }

    [Fact]
    public void Merge_ListsDisagree_TheOneThatLookedLastIsTakenAndTheReportSaysSo()
    {
        ModelsDevFile("providers/openai/models/fresh.toml", "[cost]\ninput = 1\noutput = 2\n[limit]\ncontext = 9000\noutput = 900\n");
        ModelsDevFile("providers/openai/models/stale.toml", "[cost]\ninput = 1\noutput = 2\n");
        ModelsDevFile("providers/openai/models/agreed-1.toml", "[cost]\ninput = 1\noutput = 2\ncache_read = 0.1\n");
        ModelsDevFile("providers/openai/models/agreed-odd.toml", "[cost]\ninput = 7\noutput = 8\n");

        var (lines, report) = Import(modelsDev: true, genaiPrices: """
            id: openai
            models:
              - {id: fresh, match: {equals: fresh}, prices_checked: 2026-08-01, prices: {input_mtok: 3, output_mtok: 4}}
              - {id: stale, match: {equals: stale}, prices_checked: 2025-08-01, prices: {input_mtok: 3, output_mtok: 4}}
              - {id: agreed, match: {starts_with: agreed}, prices_checked: 2026-08-01, prices: {input_mtok: 1, output_mtok: 2}}
            """);

        Assert.Equal(
        [
            """openai/agreed {"input":1,"output":2,"source":"genai-prices, 2026-08-21, checked 2026-08-01"}""",
            """openai/agreed-1 {"input":1,"output":2,"cacheRead":0.1,"source":"genai-prices, 2026-08-21, checked 2026-08-01; cacheRead: models.dev, 2026-07-02"}""",
            """openai/agreed-odd {"input":7,"output":8,"source":"models.dev, 2026-07-02"}""",
            """openai/fresh {"input":3,"output":4,"maxInputTokens":9000,"maxOutputTokens":900,"source":"genai-prices, 2026-08-21, checked 2026-08-01; maxInputTokens, maxOutputTokens: models.dev, 2026-07-02"}""",
            """openai/stale {"input":1,"output":2,"source":"models.dev, 2026-07-02"}""",
        ], lines);
        Assert.Contains("openai/fresh: taken 3/4 (genai-prices, 2026-08-21, checked 2026-08-01); not taken 1/2 (models.dev, 2026-07-02)", report, StringComparison.Ordinal);
        Assert.Contains("openai/agreed-odd: taken 7/8 (models.dev, 2026-07-02); not taken 1/2 (genai-prices, 2026-08-21, checked 2026-08-01, by a rule)", report, StringComparison.Ordinal);
        Assert.Contains("3 disagreements", report, StringComparison.Ordinal);
    }

    [Fact]
    public void Write_SameLists_GiveTheSameText()
    {
        ModelsDevFile("providers/openai/models/m.toml", "[cost]\ninput = 1\noutput = 2\n");
        Import(modelsDev: true);
        var first = File.ReadAllText(Catalog);
        Import(modelsDev: true);

        Assert.Equal(first, File.ReadAllText(Catalog));
        Assert.Matches("# version 2026-07-02\\.[0-9a-f]{6}\n", first);
    }

    [Fact]
    public void Write_EveryLine_IsAnEntryThatTheGatewayReads()
    {
        ModelsDevFile("providers/openai/models/m.toml", "[cost]\ninput = 1\noutput = 2\ncache_read = 0.1\n[limit]\ncontext = 9000\noutput = 900\n");
        var (lines, _) = Import(modelsDev: true);

        var entry = PriceCatalog.ReadEntry("test", Encoding.UTF8.GetBytes(lines[0]["openai/m ".Length..]));

        Assert.Equal((1, 2, 0.1m, 900), (entry.Input, entry.Output, entry.CacheRead, entry.MaxOutputTokens));
        Assert.Throws<ConfigurationException>(() => PriceCatalog.ReadEntry("test", """{"input":1,"output":2,"inputt":3}"""u8));
    }

    [Theory]
    [InlineData("--output", "catalog.txt")]
    [InlineData("--models-dev", ".", "--output", "catalog.txt")]
    [InlineData("--models-dev", ".", "--models-dev-date", "yesterday", "--output", "catalog.txt")]
    [InlineData("--litellm-date", "2026-07-02", "--output", "catalog.txt")]
    public void Main_ArgumentsIncomplete_FailsAndWritesNothing(params string[] args)
    {
        Assert.NotEqual(0, Program.Main([.. args.Select(arg => arg == "catalog.txt" ? Catalog : arg)]));
        Assert.False(File.Exists(Catalog));
    }

    private string Catalog => Path.Combine(folder.Path, "catalog.txt");

    private void ModelsDevFile(string path, string text)
    {
        var full = Path.Combine(folder.Path, "models.dev", path);
        Directory.CreateDirectory(Path.GetDirectoryName(full)!);
        File.WriteAllText(full, text);
    }

    private (string[] Lines, string Report) Import(bool modelsDev = false, string? genaiPrices = null, string? liteLlm = null)
    {
        var genaiFolder = Path.Combine(folder.Path, "genai");
        var liteLlmFile = Path.Combine(folder.Path, "litellm.json");
        if (genaiPrices is not null)
        {
            Directory.CreateDirectory(genaiFolder);
            File.WriteAllText(Path.Combine(genaiFolder, "openai.yml"), genaiPrices);
        }
        if (liteLlm is not null)
        {
            File.WriteAllText(liteLlmFile, liteLlm);
        }
        using var console = new StringWriter();
        var code = Program.Run(
            new Program.Lists(
                modelsDev ? (Path.Combine(folder.Path, "models.dev"), Older) : (null, null), genaiPrices is null ? (null, null) : (genaiFolder, Newer), liteLlm is null ? (null, null) : (liteLlmFile, Older)),
            Catalog, null, console);
        Assert.Equal(0, code);
        return ([.. File.ReadAllLines(Catalog).Where(line => !line.StartsWith('#'))], console.ToString());
    }
}
