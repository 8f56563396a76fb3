using Shared.Budgets;
using Shared.Configuration;
using Shared.Pricing;
using Shared.Snapshots;
using Shared.VirtualKeys;

namespace Shared.Tests.Snapshots;

public sealed class SnapshotBuilderTests : IDisposable
{
    private const string Stdio = "apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: files}\nupstream: {command: npx}\n";

    private readonly ConfigFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void Load_NothingConfigured_HasTheBuiltInParts()
    {
        var snapshot = folder.Load();

        var simulator = Assert.Single(snapshot.Providers).Value;
        Assert.Equal(("simulator", "simulator", "built-in"), (simulator.Id, simulator.Dialect, simulator.Origin));
        Assert.Equal(["echo", "tools", "embed", "moderation"], simulator.Models);
        var manifest = Assert.Single(snapshot.Manifests);
        Assert.Equal(("gateway", UpstreamTransport.BuiltIn, "gateway", "built-in"), (manifest.Id, manifest.Transport, manifest.Prefix, manifest.Origin));
        var price = snapshot.Prices.Find("simulator", "echo")!;
        Assert.Equal((1_000_000_000, 2_000_000_000, 4096), (price.Rates.Input, price.Rates.Output, price.MaxOutputTokens));
        Assert.Matches("^[0-9a-f]{16}$", snapshot.Revision);
    }

    [Fact]
    public void Load_OwnerChain_IsBoundWithItsLimits()
    {
        var token = KeyToken.NewVirtualKey();
        folder.Environment["CI_KEY"] = token.Token;

        var snapshot = folder.Gateway("""
            customers: {acme: {budgets: [{limit: 100, per: month, timeZone: Europe/Berlin}]}}
            teams: {research: {customer: acme, concurrency: {limit: 9, tools: ["files/*"]}}}
            users: {ada: {team: research, models: ["openai/*"]}}
            keys:
              ci:
                key: ${env:CI_KEY}
                user: ada
                models: ["*"]
                tools: ["files/*", "!files/delete_*"]
                toolAnnotations: {readOnlyHint: true}
                rateLimits: [{requests: 10}, {tokens: 1000, per: day, providers: [openai]}]
                expiresAt: 2030-01-31
            """).Load();

        var key = Assert.Single(snapshot.Keys).Value;
        Assert.Equal((token.Id, "ci", folder.GatewayFile), (key.Id, key.Name, key.DeclaredIn));
        Assert.Equal(token.SecretHash, Assert.Single(key.Secrets).Hash);
        Assert.Equal(("ada", "research", "acme"), (key.IdOf(OwnerKind.User), key.IdOf(OwnerKind.Team), key.IdOf(OwnerKind.Customer)));
        Assert.Equal(new DateTimeOffset(2030, 1, 31, 0, 0, 0, TimeSpan.Zero), key.ExpiresAt);
        Assert.Equal([$"key:{token.Id}/requests-1m", $"key:{token.Id}/tokens-day"], key.RateLimits.Select(limit => limit.Id));
        Assert.True(key.RateLimits[1].Scope!.CoversModel("openai", "x"));
        Assert.True(key.Grants!.AllowsTool("files/read"));
        Assert.False(key.Grants.AllowsTool("files/delete_all"));
        var user = key.Parent!;
        Assert.False(user.Grants!.AllowsModel("groq/x"));
        Assert.True(user.Grants.AllowsTool("files/read"));
        Assert.Null(user.Parent!.Grants);
        Assert.Equal("team:research/calls", Assert.Single(user.Parent.ConcurrencyLimits).Id);
        var budget = Assert.Single(user.Parent.Parent!.Budgets);
        Assert.Equal(("customer:acme/month", CalendarUnit.Month, "Europe/Berlin", true), (budget.Id, budget.Window.Calendar, budget.Window.Zone.Id, budget.Hard));
    }

    [Fact]
    public void Load_CrossErrors_NameBothEnds()
    {
        var token = KeyToken.NewVirtualKey();
        folder.Environment["CI_KEY"] = token.Token;
        folder.Keys.Add(token.Id, "{}");
        folder.Keys.Add("0123456789", """{"team":"reserch"}""");
        folder.Manifest("a.yaml", Stdio).Manifest("b.yaml", Stdio).Manifest("c.yaml", Stdio.Replace("files}", "other}\nexpose: {prefix: gateway}", StringComparison.Ordinal));

        var errors = folder.Gateway("""
            providers: {mine: {baseUrl: "http://127.0.0.1:1/v1"}, opnai: {}}
            routes: {r: {targets: [mine/a, mien/b, groq/c, plain]}}
            teams: {research: {customer: acme}}
            keys:
              ci: {key: "${env:CI_KEY}"}
              copy: {key: "${env:CI_KEY}"}
              wrong: {key: "sk-gw-0123456789-secretsecretsecretsecretsecret00000000"}
            users: {u: {budgets: [{limit: 1, per: day}, {limit: 2, per: day}], rateLimits: [{requests: 1, tokens: 1}]}}
            priceFile: gone.yaml
            prices: [{provider: mien, model: x, input: 1, output: 1}]
            pricing: {unknown: default}
            """).Errors();

        string[] expected =
        [
            "'opnai' is none of the providers whose address is known; did you mean 'openai'?",
            "gateway.yaml:2:32: routes.r.targets[1]: route 'r' targets 'mien/b', but there is no provider 'mien'; did you mean 'mine'?",
            "routes.r.targets[2]: route 'r' targets 'groq/c', but there is no provider 'groq'; declare it under providers or set GROQ_API_KEY",
            "routes.r.targets[3]: expected provider/model, found 'plain'",
            "teams.research.customer: there is no customer 'acme' under customers; there are none",
            $"keys.copy.key: keys 'copy' and 'ci' hold tokens of the same id {token.Id}",
            "keys.wrong.key: is no virtual key",
            $"gateway.yaml:5:7: keys.ci: the key {token.Id} is declared here and kept in the database as well",
            "key 0123456789 in the database:1:9: team: there is no team 'reserch' under teams; did you mean 'research'?",
            "user 'u' has two of these named 'day'",
            "a rate limit counts either requests or tokens",
            "gone.yaml: there is no such file",
            "there is no provider 'mien'; did you mean 'mine'?",
            "pricing.default: is required where 'unknown' is 'default'",
            "metadata.id: 'files' is the id of another manifest as well: tool-manifests/a.yaml",
            "expose.prefix: 'gateway' is taken by 'gateway' (built-in)",
        ];
        Assert.All(expected, text => Assert.Contains(errors, error => error.Contains(text, StringComparison.Ordinal)));
        Assert.Equal(expected.Length, errors.Count);
        Assert.DoesNotContain(errors, error => error.Contains("secretsecret", StringComparison.Ordinal));
    }

    [Fact]
    public void Load_RevokedStoredKey_MayReferToWhatIsGone()
    {
        folder.Keys.Add("0123456789", """{"name":"old","user":"gone"}""", DateTimeOffset.UnixEpoch);

        var key = folder.Load().Keys["0123456789"];

        Assert.Equal(("old", DateTimeOffset.UnixEpoch), (key.Name, key.RevokedAt));
        Assert.False(key.Grants!.AllowsModel("simulator/echo"));
    }

    [Fact]
    public void Load_Environment_FindsProviders()
    {
        folder.Environment["OPENAI_API_KEY"] = "sk-hidden";
        folder.Environment["OLLAMA_HOST"] = "0.0.0.0:11500";
        folder.Environment["MISTRAL_API_KEY"] = "m-hidden";
        folder.Environment["GROQ_API_KEY"] = "";

        var providers = folder.Gateway("providers: {mistral: {maxRetries: 0}, openai: {baseUrl: \"https://proxy.example.com/v1\"}}").Load().Providers;

        Assert.Equal(["mistral", "ollama", "openai", "simulator"], providers.Keys.Order());
        Assert.Equal((new Uri("http://127.0.0.1:11500/v1"), null, "environment"), (providers["ollama"].BaseAddress, providers["ollama"].ApiKey, providers["ollama"].Origin));
        Assert.Equal(("m-hidden", 0, "max_tokens", new Uri("https://api.mistral.ai/v1")),
            (providers["mistral"].ApiKey, providers["mistral"].MaxRetries, providers["mistral"].OutputLimitMember, providers["mistral"].BaseAddress));
        // The key in the environment was made for the usual address, not for one that a file names.
        Assert.Null(providers["openai"].ApiKey);
    }

    [Theory]
    [InlineData("localhost", "http://localhost:11434/v1")]
    [InlineData("10.0.0.5:80", "http://10.0.0.5:80/v1")]
    [InlineData("https://ollama.example.com", "https://ollama.example.com:443/v1")]
    public void Load_OllamaHost_BecomesAnAddress(string host, string expected)
    {
        folder.Environment["OLLAMA_HOST"] = host;

        Assert.Equal(new Uri(expected), folder.Load().Providers["ollama"].BaseAddress);
    }

    [Fact]
    public void Load_HeaderThatCannotBeSent_IsAnErrorWithoutItsValue()
    {
        File.WriteAllText(Path.Combine(folder.Root, "secret"), "first-part\nsecond-part");

        var errors = folder.Gateway($$"""
            providers:
              a:
                baseUrl: http://h/v1
                apiKey: ${file:{{folder.Root}}/secret}
                headers: {X-A: "1", x-a: "2", "b ad": "3", Y: "${file:{{folder.Root}}/secret}"}
            """).Errors();

        Assert.Equal(4, errors.Count);
        Assert.StartsWith("gateway.yaml:4:13: providers.a.apiKey: the key of 'a' holds a line break", errors[0], StringComparison.Ordinal);
        Assert.DoesNotContain(errors, error => error.Contains("-part", StringComparison.Ordinal));
    }

    [Fact]
    public void Load_BrokenFiles_AreRefusedNeverThrownAt()
    {
        var (gateway, manifest) = (File.ReadAllText(Path.Combine(RepositoryRoot, "gateway.example.yaml")), File.ReadAllText(Path.Combine(RepositoryRoot, "tool-manifests", "memory.yaml")));
        string[] pieces = ["\n", ": ", "- ", "{", "}", "[", "]", "\"", "'", "*", "&a ", "!", "|", ">", "%", "@", "`", "null", "99999999999999999999", "-1", "1e400", "999999999d", "\t", "#", "${", "\\x", "---\n", "? "];
        var random = new Random(20261122);
        var refused = 0;
        for (var i = 0; i < 400; i++)
        {
            folder.Gateway(Broken(gateway)).Manifest("m.yaml", Broken(manifest));
            try
            {
                folder.Load();
            }
            catch (ConfigurationException)
            {
                refused++;
            }
        }
        Assert.InRange(refused, 100, 400);

        string Broken(string text)
        {
            for (var edits = random.Next(0, 4); edits > 0; edits--)
            {
                var at = random.Next(text.Length);
                text = text[..at] + pieces[random.Next(pieces.Length)] + text[Math.Min(text.Length, at + random.Next(0, 3))..];
            }
            return text;
        }
    }

    [Fact]
    public void Load_Prices_AreDollarsPerMillionTokens()
    {
        File.WriteAllText(Path.Combine(folder.Root, "prices.yaml"), """
            prices:
              - {provider: openai, model: gpt-4o, input: 3, output: 9}
              - {provider: openai, model: "ft:*", input: 1, output: 1, contextTiers: [{aboveInputTokens: 1000, input: 2, output: 2}], serviceTiers: {flex: {input: 0.5, output: 0.5}}}
            """);
        var shipped = new ConfigFolder();
        var catalog = shipped.Load().Prices.Find("openai", "gpt-4o")!;
        shipped.Dispose();

        var prices = folder.Gateway("priceFile: prices.yaml\nprices: [{provider: openai, model: gpt-4o-mini, input: 0.000000001, output: 2.5}]").Load().Prices;

        Assert.Equal((2_500_000_000, 10_000_000_000, 1_250_000_000), (catalog.Rates.Input, catalog.Rates.Output, catalog.Rates.CacheRead));
        Assert.StartsWith("catalog:", catalog.Version, StringComparison.Ordinal);
        Assert.NotNull(catalog.Source);
        Assert.Equal(3_000_000_000, prices.Find("openai", "gpt-4o")!.Rates.Input);
        Assert.StartsWith("overlay:", prices.Find("openai", "gpt-4o")!.Version, StringComparison.Ordinal);
        Assert.Equal((1, 2_500_000_000), (prices.Find("openai", "gpt-4o-mini")!.Rates.Input, prices.Find("openai", "gpt-4o-mini")!.Rates.Output));
        var tuned = prices.Find("openai", "ft:gpt-4o:x")!;
        Assert.Equal((2_000_000_000, 500_000_000), (tuned.ContextTiers[0].Rates.Input, tuned.ServiceTiers["flex"].Input));
        Assert.Equal(0, prices.Find("ollama", "anything")!.Rates.Output);
    }

    /// <summary>Known providers by their names, others by their addresses, and whatever the configuration says.</summary>
    [Theory]
    [InlineData("openai", "{}", true)]
    [InlineData("groq", "{}", false)]
    [InlineData("vllm", "{}", false)]
    [InlineData("vllm", "{storesResponses: true}", true)]
    [InlineData("another", "{baseUrl: 'https://openrouter.ai/api/v1'}", false)]
    [InlineData("another", "{baseUrl: 'https://models.example/v1'}", true)]
    [InlineData("another", "{baseUrl: 'https://models.example/v1', storesResponses: false}", false)]
    public void Responses_DeclaredOrKnown_AreKeptByTheProviderOrNot(string id, string members, bool expected) =>
        Assert.Equal(expected, folder.Gateway($"providers: {{{id}: {members}}}").Load().Providers[id].StoresResponses);

    [Theory]
    [InlineData("groq", "baseUrl: \"http://127.0.0.1:9/v1\"", "chat,responses,audio.speech,audio.transcriptions,audio.translations,files,batches")]
    [InlineData("groq", "endpoints: [chat, embeddings]", "chat,embeddings")]
    [InlineData("own", "baseUrl: \"http://127.0.0.1:9/v1\"", "chat,completions,embeddings,moderations,rerank,images.generate,images.edit,images.variations,audio.speech,audio.transcriptions,audio.translations,files,batches,realtime")]
    [InlineData("own", "baseUrl: \"http://127.0.0.1:9/v1\", dialect: anthropic", "messages,count_tokens")]
    [InlineData("own", "baseUrl: \"http://127.0.0.1:9/v1\", dialect: anthropic, paths: {chat: /compatible/chat}", "messages,count_tokens,chat")]
    [InlineData("anthropic", "dialect: openai-chat, endpoints: [chat]", "chat")]
    [InlineData("own", "baseUrl: \"http://127.0.0.1:9/v1\", endpoints: [moderations]", "moderations")]
    public void Endpoints_DeclaredOrKnown_SayWhatTheProviderHas(string id, string members, string expected)
    {
        var provider = folder.Gateway($"providers:\n  {id}: {{{members}}}\n").Load().Providers[id];

        Assert.Equal(expected, string.Join(',', provider.Endpoints!.Value));
        Assert.All(["chat", "completions", "embeddings", "moderations", "messages"], name => Assert.Equal(expected.Split(',').Contains(name), provider.HasEndpoint(name)));
    }

    [Theory]
    [InlineData("endpoints: [chat, embedding]", "unknown endpoint 'embedding'; did you mean 'embeddings'?")]
    [InlineData("endpoints: []", "expected at least one of chat, completions, embeddings, moderations, responses")]
    public void Endpoints_UnknownOrNone_IsAnErrorThatSaysWhatToWrite(string members, string message)
    {
        var errors = folder.Gateway($"providers:\n  own: {{baseUrl: \"http://127.0.0.1:9/v1\", {members}}}\n").Errors();

        Assert.Contains(errors, error => error.Contains(message, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("vertex", "project: p-1, location: europe-west4", "generate", "https://europe-west4-aiplatform.googleapis.com/v1/projects/p-1/locations/europe-west4/publishers/google/models/a%2Fb:streamGenerateContent?alt=sse")]
    [InlineData("vertex", "project: p-1, location: global", "generate", "https://aiplatform.googleapis.com/v1/projects/p-1/locations/global/publishers/google/models/a%2Fb:streamGenerateContent?alt=sse")]
    [InlineData("bedrock", "region: eu-central-1", "converse", "https://bedrock-runtime.eu-central-1.amazonaws.com/model/a%2Fb/converse-stream")]
    [InlineData("azure", "resource: mine", "chat", "https://mine.openai.azure.com/openai/v1/chat/completions")]
    [InlineData("deepseek", "{}", "messages", "https://api.deepseek.com/anthropic/v1/messages")]
    [InlineData("cohere", "{}", "rerank", "https://api.cohere.com/v2/rerank")]
    [InlineData("gemini", "{}", "chat", "https://generativelanguage.googleapis.com/v1beta/openai/chat/completions")]
    [InlineData("gemini", "baseUrl: \"http://127.0.0.1:9/v9/\"", "chat", "http://127.0.0.1:9/v9/openai/chat/completions")]
    [InlineData("own", "baseUrl: \"http://h\", paths: {chat: \"/openai/deployments/{model}/chat/completions?api-version=1\"}", "chat", "http://h/openai/deployments/a%2Fb/chat/completions?api-version=1")]
    public void Addresses_OfEndpoints_AreWhereTheProviderHasThem(string id, string members, string endpoint, string address)
    {
        var provider = folder.Gateway($"providers:\n  {id}: {(members == "{}" ? "{}" : $"{{{members}}}")}\n").Load().Providers[id];

        Assert.Equal(address, provider.EndpointAddresses[endpoint].For("a/b", stream: true).AbsoluteUri);
    }

    [Fact]
    public void Addresses_VendorsOwn_AreLeftOutWhereTheAddressIsAnother()
    {
        var provider = folder.Gateway("providers:\n  deepseek: {baseUrl: \"http://127.0.0.1:9/v1\"}\n").Load().Providers["deepseek"];

        Assert.Equal("http://127.0.0.1:9/v1/messages", provider.EndpointAddresses["messages"].Template);
    }

    [Fact]
    public void Addresses_PartIsMissing_IsAnErrorThatNamesIt()
    {
        var errors = folder.Gateway("providers:\n  vertex: {project: p}\n").Errors();

        Assert.Contains(errors, error => error.Contains("'vertex' needs it for its address; give it, or set GOOGLE_CLOUD_LOCATION", StringComparison.Ordinal));
    }

    /// <summary>With the variable GATEWAY_REGENERATE set to 1, the table is written anew.</summary>
    [Fact]
    public void Documentation_EveryKnownProvider_IsListed()
    {
        const string Start = "<!-- generated: known providers -->\n";
        const string End = "<!-- end -->";
        var path = Path.Combine(RepositoryRoot, "docs", "providers.md");
        var page = File.ReadAllText(path);
        var table = "| Id | Format | Found by | Address | Endpoints | |\n|---|---|---|---|---|---|\n" + string.Concat(KnownProviders.All.Select(provider =>
            $"| `{provider.Id}` | `{provider.Dialect}` | {string.Join(", ", provider.Keys.Concat(provider.Addresses).Concat(provider.Variables.Values.SelectMany(names => names)).Select(name => $"`{name}`"))} | "
            + $"`{provider.BaseUrl}` | {string.Join(", ", provider.Endpoints.Select(name => $"`{name}`"))} | [documentation]({provider.Documentation}) |\n"));
        var (start, end) = (page.IndexOf(Start, StringComparison.Ordinal) + Start.Length, page.IndexOf(End, StringComparison.Ordinal));
        if (Environment.GetEnvironmentVariable("GATEWAY_REGENERATE") == "1")
        {
            File.WriteAllText(path, page[..start] + table + page[end..]);
            return;
        }
        Assert.True(KnownProviders.All.Count >= 25);
        Assert.Equal(table, page[start..end]);
    }

    [Fact]
    public void Load_Revision_DependsOnContentAlone()
    {
        folder.Environment["A"] = "secret-one";
        const string Yaml = "providers: {a: {baseUrl: \"http://h/v1\", apiKey: \"${env:A}\"}, b: {baseUrl: \"http://i/v1\"}}";
        var first = Revision(Yaml);
        Assert.Equal(first, Revision("# another layout\nproviders:\n  b:\n    baseUrl: http://i/v1\n  a:\n    apiKey: ${env:A}\n    baseUrl: http://h/v1\n    maxRetries: 2\n"));
        Assert.NotEqual(first, Revision(Yaml + "\nlimits: {maxBodyBytes: 1MiB}"));
        folder.Environment["A"] = "secret-two";
        Assert.NotEqual(first, Revision(Yaml));
        using var loader = folder.Loader();
        loader.Load();
        Assert.DoesNotContain("secret-two", loader.CurrentText, StringComparison.Ordinal);

        string Revision(string yaml) => folder.Gateway(yaml).Load().Revision;
    }

    [Fact]
    public void Load_Typos_AreFoundInEachKindOfFile()
    {
        File.WriteAllText(Path.Combine(folder.Root, "prices.yaml"), "prices:\n  - {provider: openai, model: x, inputt: 1, input: 1, output: 1}\n");
        folder.Manifest("files.yaml", Stdio + "expose:\n  prefx: f\n");

        var errors = folder.Gateway("priceFile: prices.yaml\nroutes:\n  fast:\n    target: [simulator/echo]\n").Errors();

        Assert.Equal(
        [
            "gateway.yaml:4:5: routes.fast.target: unknown key; did you mean 'targets'?",
            "gateway.yaml:4:5: routes.fast.targets: is required and missing",
            "prices.yaml:2:34: prices[0].inputt: unknown key; did you mean 'input'?",
            "tool-manifests/files.yaml:6:3: expose.prefx: unknown key; did you mean 'prefix'?",
        ], errors);
    }

    [Fact]
    public void Load_Manifest_IsCompiled()
    {
        folder.Environment["TOKEN"] = "t0ken";
        folder.Manifest("remote.yml", """
            apiVersion: hub/v1
            kind: ToolManifest
            metadata: {id: github, title: GitHub}
            upstream:
              url: https://example.com/mcp
              headers: {Authorization: "Bearer ${env:TOKEN}"}
              limits: {connectTimeout: 10s, callTimeout: 1m, maxMessageBytes: 1MiB, maxConcurrentCalls: 3}
            expose:
              prefix: gh
              default: deny
              tools:
                - {match: "issue_*", enabled: true, cost: 0.002}
                - {name: create_issue, as: new_issue, description: Makes one, annotations: {destructiveHint: true}}
            """);

        var manifest = folder.Load().Manifests.Single(manifest => manifest.Id == "github");

        Assert.Equal((UpstreamTransport.StreamableHttp, "gh", false, true), (manifest.Transport, manifest.Prefix, manifest.ExposeByDefault, manifest.Enabled));
        Assert.Equal("Bearer t0ken", manifest.Headers["authorization"]);
        Assert.Equal((TimeSpan.FromSeconds(10), TimeSpan.FromMinutes(1), 1 << 20, 3), (manifest.ConnectTimeout, manifest.CallTimeout, manifest.MaxMessageBytes, manifest.MaxConcurrentCalls));
        Assert.Equal(Money.FromDollars(0.002m), manifest.Tools[0].Cost);
        Assert.Equal(("create_issue", "new_issue", true), (manifest.Tools[1].Match, manifest.Tools[1].As, manifest.Tools[1].Annotations["destructiveHint"]));
    }

    [Fact]
    public void Load_EnabledWhen_FollowsThePath()
    {
        folder.Manifest("files.yaml", Stdio + "enabledWhen: {command: the-tool}\n");
        folder.Environment["PATH"] = folder.Root;

        Assert.False(folder.Load().Manifests[0].Enabled);
        File.WriteAllText(Path.Combine(folder.Root, "the-tool"), "");
        Assert.True(folder.Load().Manifests[0].Enabled);
    }

    [Fact]
    public void Load_ManifestSwitchedOff_MayLackItsSecrets()
    {
        folder.Manifest("files.yaml", Stdio.Replace("npx}", "npx, env: {TOKEN: \"${env:UNSET}\"}}", StringComparison.Ordinal) + "enabled: false\n");

        Assert.False(folder.Load().Manifests[0].Enabled);
    }

    [Fact]
    public void Load_ShippedExamples_AreValid()
    {
        var files = Directory.GetFiles(Path.Combine(RepositoryRoot, "tool-manifests"), "*.yaml");
        foreach (var file in files)
        {
            folder.Manifest(Path.GetFileName(file), File.ReadAllText(file));
        }

        var snapshot = folder.Gateway(File.ReadAllText(Path.Combine(RepositoryRoot, "gateway.example.yaml"))).Load();

        Assert.Equal(files.Select(Path.GetFileNameWithoutExtension).Append("gateway").Order(StringComparer.Ordinal), snapshot.Manifests.Select(manifest => manifest.Id));
        Assert.All(snapshot.Manifests, manifest => Assert.Equal(manifest.Id == "gateway", manifest.Enabled));
        Assert.Equal([new Target("local", "qwen3-32b"), new Target("simulator", "echo")], snapshot.Routes["fast"].Targets);
    }

    private static string RepositoryRoot { get; } = FindRepositoryRoot();

    private static string FindRepositoryRoot()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(folder.FullName, "Gateway.sln")))
        {
            folder = folder.Parent!;
        }
        return folder.FullName;
    }
}
