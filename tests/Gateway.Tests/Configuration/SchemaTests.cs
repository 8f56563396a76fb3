using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Commands.Configuration;
using Gateway.Tests.Interop;
using Shared.Configuration;
using Shared.Configuration.Schemas;

namespace Gateway.Tests.Configuration;

/// <summary>
/// The files that are generated from the declarations. After a change of a declaration they are written anew by the same tests with the variable
/// GATEWAY_REGENERATE set to 1.
/// </summary>
public sealed class SchemaTests
{
    private const string Regenerate = "GATEWAY_REGENERATE";

    public static TheoryData<string> Kinds => ["gateway", "manifest", "prices"];

    [Theory]
    [MemberData(nameof(Kinds))]
    public async Task Schema_InTheRepository_IsTheOneThatTheTypesGive(string kind)
    {
        var run = await CommandRun.Async("config", "schema", kind);
        Assert.Equal(0, run.Code);
        AssertKept(Kind(kind).SchemaFile, run.Output);
    }

    [Fact]
    public async Task Reference_InTheRepository_IsTheOneThatTheTypesGive()
    {
        var run = await CommandRun.Async("config", "schema", "reference");
        Assert.Equal(0, run.Code);
        AssertKept("docs/configuration-reference.md", run.Output);
    }

    [Fact]
    public void Members_OfEveryDeclaration_HaveADocComment()
    {
        var documentation = ConfigurationSchemas.Documentation();
        var bare = Reachable().SelectMany(shape => shape.Members).Where(member => documentation.Of(member.Property).Length == 0)
            .Select(member => $"{member.Property.DeclaringType!.Name}.{member.Property.Name}").Distinct();
        Assert.Empty(bare);
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Schema_DefaultsAndBounds_AreThoseOfTheTypes(string kind)
    {
        var schema = JsonNode.Parse(ConfigurationSchemas.Schema(Kind(kind)))!;
        Assert.Equal("https://json-schema.org/draft/2020-12/schema", schema["$schema"]!.GetValue<string>());
        Assert.False(schema["additionalProperties"]!.GetValue<bool>());
        if (kind == "gateway")
        {
            var provider = schema["$defs"]!["provider"]!["properties"]!;
            Assert.Equal("2m", provider["headerTimeout"]!["default"]!.GetValue<string>());
            Assert.Equal(10, provider["maxRetries"]!["maximum"]!.GetValue<int>());
            Assert.Equal(["targets"], schema["$defs"]!["route"]!["required"]!.AsArray().Select(name => name!.GetValue<string>()));
            Assert.Equal(["reserved", "observed", null], schema["$defs"]!["ledger"]!["properties"]!["unknownUsage"]!["enum"]!.AsArray().Select(name => name?.GetValue<string>()));
            // One or a list, and a number in place of an entry.
            Assert.Equal(3, schema["$defs"]!["team"]!["properties"]!["concurrency"]!["oneOf"]!.AsArray().Count);
        }
    }

    [Fact]
    public async Task Schema_ExamplesOfTheRepository_Fit()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        List<(string Kind, string Yaml)> documents = [("gateway", await ReadAsync("gateway.example.yaml"))];
        foreach (var file in Directory.GetFiles(Path.Combine(InteropFolder.Root, "tool-manifests"), "*.yaml"))
        {
            var text = await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken);
            Assert.StartsWith("# yaml-language-server: $schema=schema.json\n", text, StringComparison.Ordinal);
            documents.Add(("manifest", text));
        }
        Assert.StartsWith("# yaml-language-server: $schema=docs/schemas/gateway.schema.json\n", documents[0].Yaml, StringComparison.Ordinal);
        Assert.True(documents.Count > 5);

        var verdicts = await ValidateAsync([.. documents.Select(document => (document.Kind, JsonOf(document.Yaml)))]);

        Assert.All(verdicts, Assert.Null);
    }

    [Fact]
    public async Task Schema_WhatTheBinderRefuses_IsRefusedToo()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        (string Kind, string Yaml)[] wrong =
        [
            ("gateway", "limit: {}"),
            ("gateway", "limits: {maxBodyBytes: lots}"),
            ("gateway", "limits: {maxBodyBytes: -1}"),
            ("gateway", "limits: {maxToolNameLength: 7}"),
            ("gateway", "limits: {maxToolNameLength: '45'}"),
            ("gateway", "limits: []"),
            ("gateway", "ledger: {unknownUsage: never}"),
            ("gateway", "providers: {x: {baseUrl: ftp://example.com}}"),
            ("gateway", "providers: {x: {headerTimeout: 5}}"),
            ("gateway", "providers: {x: {headerTimeout: 5 minutes}}"),
            ("gateway", "providers: {x: {models: gpt}}"),
            ("gateway", "providers: {x: {streamUsage: 'true'}}"),
            ("gateway", "providers: {x: {dialect: open-ai}}"),
            ("gateway", "providers: {'a b': {baseUrl: 'http://x/'}}"),
            ("gateway", "routes: {r: {}}"),
            ("gateway", "routes: {r: {targets: [a/b], defaultOutputTokens: 0}}"),
            ("gateway", "users: {u: {budgets: [{limit: 5}]}}"),
            ("gateway", "users: {u: {budgets: [{limit: 5 EUR, per: day}]}}"),
            ("gateway", "users: {u: {budgets: [{limit: 5, per: year}]}}"),
            ("gateway", "users: {u: {rateLimits: [{requests: 1, tokens: 1}]}}"),
            ("gateway", "users: {u: {concurrency: many}}"),
            ("gateway", "users: {u: {toolAnnotations: {readOnlyHint: maybe}}}"),
            ("gateway", "keys: {k: {key: x, expiresAt: tomorrow}}"),
            ("gateway", "telemetry: on"),
            ("manifest", "{}"),
            ("manifest", Manifest("transport: websocket, url: 'http://x/'")),
            ("manifest", Manifest("command: x, args: -y")),
            ("manifest", Manifest("command: x, env: [A=b]")),
            ("manifest", Manifest("command: x, limits: {callTimeout: 5}")),
            ("manifest", Manifest("command: x", "expose: {default: maybe}")),
            ("manifest", Manifest("command: x", "expose: {prefix: 'a b'}")),
            ("manifest", Manifest("command: x", "expose: {tools: [{name: a, match: b}]}")),
            ("manifest", Manifest("command: x", "expose: {tools: [{name: a, annotations: {readOnly: true}}]}")),
            ("manifest", Manifest("command: x").Replace("hub/v1", "hub/v2", StringComparison.Ordinal)),
            ("manifest", Manifest("command: x").Replace("id: x", "id: '../x'", StringComparison.Ordinal)),
            ("prices", "prices: [{provider: a, model: b}]"),
            ("prices", "prices: [{provider: a, model: b, input: -1, output: 1}]"),
            ("prices", "prices: [{provider: a, model: b, input: 1 USD, output: 1}]"),
        ];
        var verdicts = await ValidateAsync([.. wrong.Select(document => (document.Kind, JsonOf(document.Yaml)))]);
        for (var i = 0; i < wrong.Length; i++)
        {
            Assert.True(verdicts[i] is not null, $"The schema takes {wrong[i].Yaml}");
            Assert.True(await ErrorsAsync(wrong[i].Kind, wrong[i].Yaml) > 0, $"The gateway takes {wrong[i].Yaml}");
        }
    }

    [Fact]
    public async Task Schema_WhatItRefuses_TheGatewayRefusesToo()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        // Documents that are right, with one value replaced by one that may not be.
        var random = new Random(20261123);
        List<(string Kind, string Json)> documents = [];
        foreach (var (kind, json) in new[] { ("gateway", JsonOf(await ReadAsync("gateway.example.yaml"))), ("manifest", JsonOf(await ReadAsync("tool-manifests/filesystem.yaml"))), ("manifest", JsonOf(await ReadAsync("tool-manifests/github.yaml"))) })
        {
            for (var i = 0; i < 250; i++)
            {
                documents.Add((kind, Mutate(json, random)));
            }
        }
        var verdicts = await ValidateAsync(documents);
        List<string> disagreements = [];
        for (var i = 0; i < documents.Count; i++)
        {
            if (verdicts[i] is { } verdict && await ErrorsAsync(documents[i].Kind, documents[i].Json) == 0)
            {
                disagreements.Add($"{verdict} in {documents[i].Json}");
            }
        }
        Assert.Empty(disagreements);
        Assert.InRange(verdicts.Count(verdict => verdict is not null), 100, documents.Count - 20);
    }

    private static DocumentKind Kind(string name) => DocumentKind.All.Single(kind => kind.Name == name);

    private static string Manifest(string upstream, string rest = "enabled: true") =>
        $"apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {{id: x}}\nupstream: {{{upstream}}}\n{rest}\n";

    private static void AssertKept(string file, string text)
    {
        var path = Path.Combine(InteropFolder.Root, file);
        if (Environment.GetEnvironmentVariable(Regenerate) == "1")
        {
            File.WriteAllText(path, text);
        }
        Assert.True(File.Exists(path) && File.ReadAllText(path) == text, $"{file} is not what the declarations give; write it anew: {Regenerate}=1 dotnet test");
    }

    private static Task<string> ReadAsync(string file) => File.ReadAllTextAsync(Path.Combine(InteropFolder.Root, file), TestContext.Current.CancellationToken);

    private static string JsonOf(string yaml)
    {
        List<ConfigError> errors = [];
        var node = YamlNodes.Read("test.yaml", yaml, errors);
        Assert.Empty(errors);
        return node!.ToJson();
    }

    private static async Task<int> ErrorsAsync(string kind, string yaml)
    {
        using var folder = new ConfigurationFolder();
        _ = kind switch
        {
            "gateway" => folder.Gateway(yaml),
            "manifest" => folder.Gateway("").Manifest("x.yaml", yaml),
            _ => folder.Gateway("priceFile: p.yaml").Write("p.yaml", yaml),
        };
        var paths = new Shared.Snapshots.SnapshotPaths(folder.File, folder.Manifests) { Environment = name => name == "PATH" ? "" : null };
        using var loader = new Shared.Snapshots.SnapshotLoader(paths, new(), [], Microsoft.Extensions.Logging.Abstractions.NullLogger<Shared.Snapshots.SnapshotLoader>.Instance);
        await Task.CompletedTask;
        return loader.Examine().Errors.Count;
    }

    private static string Mutate(string json, Random random)
    {
        string[] values = ["0", "-1", "7", "1.5", "true", "null", "\"\"", "\"text\"", "\"5m\"", "\"32MiB\"", "\"5 USD\"", "\"day\"", "\"http://127.0.0.1/\"", "\"${env:UNSET}\"", "[]", "[1]", "[\"a/b\"]", "{}", "{\"x\":1}", "\"2030-01-01\"", "99999999999999999999"];
        var root = JsonNode.Parse(json)!;
        var places = Places(root).ToList();
        var (parent, key, index) = places[random.Next(places.Count)];
        var value = JsonNode.Parse(values[random.Next(values.Length)]);
        if (parent is JsonObject map)
        {
            switch (random.Next(10))
            {
                case 0:
                    map.Remove(key!);
                    break;
                case 1:
                    map[key! + "x"] = value;
                    break;
                default:
                    map[key!] = value;
                    break;
            }
        }
        else
        {
            ((JsonArray)parent)[index] = value;
        }
        return root.ToJsonString();
    }

    private static IEnumerable<(JsonNode Parent, string? Key, int Index)> Places(JsonNode node)
    {
        IEnumerable<(JsonNode Parent, string? Key, int Index, JsonNode? Child)> own = node switch
        {
            JsonObject map => map.Select(member => ((JsonNode)map, (string?)member.Key, 0, member.Value)),
            JsonArray list => list.Select((item, index) => ((JsonNode)list, (string?)null, index, item)),
            _ => [],
        };
        return own.SelectMany(place => (place.Child is null ? [] : Places(place.Child)).Prepend((place.Parent, place.Key, place.Index)));
    }

    private static IEnumerable<TypeShape> Reachable()
    {
        Dictionary<Type, TypeShape> seen = [];
        Stack<TypeShape> open = new(DocumentKind.All.Select(kind => TypeShape.Of(kind.Type)));
        while (open.TryPop(out var shape))
        {
            if (shape.IsList || shape.IsMap)
            {
                open.Push(TypeShape.Of(shape.Item!));
            }
            else if (shape.Scalar is null && shape.Type != typeof(Secret) && shape.Type != typeof(RawJson) && seen.TryAdd(shape.Type, shape))
            {
                foreach (var member in shape.Members)
                {
                    open.Push(TypeShape.Of(member.Type));
                }
            }
        }
        return seen.Values;
    }

    private static async Task<string?[]> ValidateAsync(IReadOnlyList<(string Kind, string Json)> documents)
    {
        var input = new JsonObject
        {
            ["schemas"] = new JsonObject(DocumentKind.All.Select(kind => KeyValuePair.Create(kind.Name, JsonNode.Parse(ConfigurationSchemas.Schema(kind))))),
            ["documents"] = new JsonArray([.. documents.Select(document => (JsonNode)new JsonObject { ["schema"] = document.Kind, ["document"] = JsonNode.Parse(document.Json) })]),
        };
        using var folder = new TestSupport.TemporaryFolder();
        var file = Path.Combine(folder.Path, "input.json");
        await File.WriteAllTextAsync(file, input.ToJsonString(), TestContext.Current.CancellationToken);
        await using var node = ChildProcess.Start(InteropFolder.Node, [Path.Combine(InteropFolder.Folder, "validate.mjs"), file], InteropFolder.Folder, new Dictionary<string, string>());
        await node.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.True(node.ExitCode == 0, node.Output);
        return JsonSerializer.Deserialize<string?[]>(node.Output)!;
    }
}
