using System.Text.Json;
using Gateway.Hosting;
using Gateway.Tests.Interop;
using Shared.Configuration;
using TestSupport;

namespace Gateway.Tests.Configuration;

public sealed class ConfigCommandTests
{
    [Fact]
    public async Task Check_ARightConfiguration_SaysSoInOneLine()
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("routes: {fast: {targets: simulator/echo}}").Manifest("a.yaml", Manifest("a", "command: nothing-of-this-name"));

        var run = await folder.RunAsync("config", "check");

        Assert.Equal(0, run.Code);
        Assert.Matches(@"^The configuration is right: 0 keys, \d+ providers?, 1 route, 2 tool servers \(2 on\); revision [0-9a-f]{16}\.\s+$", run.Output);
        Assert.False(Directory.Exists(folder.PathOf("data")), "A check makes no data folder.");
    }

    [Fact]
    public async Task Check_ErrorsInSeveralFiles_ReportsEachWithItsPlace()
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("routes:\n  fast: {target: simulator/echo}\nlimits: {maxBodyBytes: lots}\n").Manifest("a.yaml", Manifest("a", "url: nowhere"));

        var run = await folder.RunAsync("config", "check");

        Assert.Equal(1, run.Code);
        Assert.Empty(run.Output);
        Assert.Equal(
        [
            "gateway.yaml:2:9: routes.fast.targets: is required and missing",
            "gateway.yaml:2:10: routes.fast.target: unknown key; did you mean 'targets'?",
            "gateway.yaml:3:24: limits.maxBodyBytes: expected a number of bytes such as 512KiB, 32MiB or 1048576, found 'lots'",
            "tool-manifests/a.yaml:4:17: upstream.url: expected an address that begins with http:// or https://, found 'nowhere'",
            "gateway: 4 errors.",
        ], run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries));
    }

    [Theory]
    [InlineData("routes: {r: {targets: nobody/x}}")]
    [InlineData("routes: {r: {targets: simulator/echo, defaults: {tools: []}}}")]
    [InlineData("routes: {r: {targets: simulator/echo, defaults: {model: x}}}")]
    [InlineData("providers: {x: {baseUrl: 'https://example.com/v1', apiKey: \"a\\nb\"}}")]
    [InlineData("providers: {x: {baseUrl: 'https://example.com/v1', headers: {'a b': c}}}")]
    [InlineData("prices: [{provider: nobody, model: m, input: 1, output: 1}]")]
    [InlineData("users: {u: {team: nobody}}")]
    [InlineData("keys: {k: {key: sk-gw-wrong}}")]
    [InlineData("pricing: {unknown: default}")]
    [InlineData("priceFile: nowhere.yaml")]
    [InlineData("limits: {bodyMemory: 1MiB}")]
    [InlineData("telemetry: {otlpEndpoint: nowhere}")]
    [InlineData("a: [")]
    [InlineData("server: {urls: nowhere}")]
    [InlineData("server: {urls: 'https://127.0.0.1:0', tls: {pfx: nowhere.pfx}}")]
    [InlineData("server: {urls: 'http://0.0.0.0:0'}")]
    [InlineData("server: {trustedProxies: [nobody]}")]
    [InlineData("providers: {x: {baseUrl: 'https://example.com/v1', endpoints: [nothing]}}")]
    public async Task Check_AnyError_IsWhatTheStartFailsWith(string yaml)
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway(yaml);
        await using var app = Program.Build(new ServeOptions { DataFolder = folder.PathOf("other"), ConfigurationFile = folder.File, ManifestFolder = folder.Manifests, Urls = yaml.StartsWith("server", StringComparison.Ordinal) ? null : "http://127.0.0.1:0" });
        IReadOnlyList<string> expected = [];
        try
        {
            await Server.StartAsync(app, TestContext.Current.CancellationToken);
            await app.StopAsync(TestContext.Current.CancellationToken);
        }
        catch (ConfigurationException exception)
        {
            expected = exception.Errors;
        }
        catch (ListenAddressException exception)
        {
            expected = [exception.Message];
        }

        var run = await folder.RunAsync("config", "check");

        Assert.Equal(expected.Select(folder.Short), run.Error.Split('\n', StringSplitOptions.RemoveEmptyEntries).SkipLast(expected.Count == 0 ? 0 : 1));
        Assert.Equal(expected.Count == 0 ? 0 : 1, run.Code);
    }

    [Fact]
    public async Task Check_AsJson_HasPlaceAndMessageOfEachError()
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("\nlimits: {x: 1}");
        var run = await folder.RunAsync("config", "check", "--json");
        Assert.Equal(1, run.Code);
        using var document = JsonDocument.Parse(run.Output);
        Assert.False(document.RootElement.GetProperty("ok").GetBoolean());
        var error = Assert.Single(document.RootElement.GetProperty("errors").EnumerateArray());
        Assert.Equal("gateway.yaml", error.GetProperty("file").GetString());
        Assert.Equal(2, error.GetProperty("line").GetInt32());
        Assert.Equal(10, error.GetProperty("column").GetInt32());
        Assert.Equal("limits.x", error.GetProperty("path").GetString());
    }

    [Fact]
    public async Task Check_BesideARunningGateway_SeesWhatTheDatabaseHolds()
    {
        await using var gateway = await Hosts.StartAsync(new TestGatewayOptions { Configuration = "routes: {fast: {targets: simulator/echo}}" });
        string[] files = ["--config", Path.Combine(gateway.Folder, "gateway.yaml"), "--manifests", Path.Combine(gateway.Folder, "tool-manifests"), "--data", Path.Combine(gateway.Folder, "data")];

        var check = await CommandRun.Async(["config", "check", .. files]);
        var show = await CommandRun.Async(["config", "show", .. files]);

        Assert.True(check.Code == 0, check.Error);
        Assert.Contains(": 1 key, ", check.Output, StringComparison.Ordinal);
        Assert.Matches(@"name: ""first key"" +# key \w+ in the database|name: ""first key"" +# database", show.Output);
        Assert.DoesNotContain(gateway.VirtualKey, show.Output);
    }

    [Fact]
    public async Task Show_EveryValue_HasItsOriginAndNoSecret()
    {
        using var folder = new ConfigurationFolder();
        var variable = $"TEST_{Guid.NewGuid():N}";
        Environment.SetEnvironmentVariable(variable, "s3cret-value");
        try
        {
            folder.Gateway($"limits:\n  maxBodyBytes: 1MiB\nproviders:\n  company:\n    baseUrl: http://127.0.0.1:9/v1\n    apiKey: ${{env:{variable}}}\n    headers: {{X-Plain: plain-secret}}\n")
                .Manifest("a.yaml", Manifest("a", "command: x, args: [plain-argument], env: {V: '${env:" + variable + "}'}"));

            var text = (await folder.RunAsync("config", "show")).Output;
            Assert.Matches(@"(?m)^  maxBodyBytes: 1MiB +# gateway\.yaml:2$", text);
            Assert.Matches(@"(?m)^  maxToolNameLength: 45 +# default$", text);
            Assert.Matches($@"(?m)^    apiKey: ""\*\*\*"" +# gateway\.yaml:6, variable {variable}$", text);
            Assert.Matches(@"(?m)^    dialect: simulator +# built-in$", text);
            Assert.Matches(@"(?m)^      transport: stdio +# implied by command$", text);
            Assert.Matches(@"(?m)^      prefix: a +# made from the id$", text);
            foreach (var secret in new[] { "s3cret-value", "plain-secret", "plain-argument" })
            {
                Assert.DoesNotContain(secret, text);
            }

            var changed = (await folder.RunAsync("config", "show", "--changed")).Output;
            Assert.Contains("maxBodyBytes", changed);
            Assert.DoesNotContain("maxToolNameLength", changed);
            Assert.DoesNotContain("# default", changed);

            using var json = JsonDocument.Parse((await folder.RunAsync("config", "show", "--json")).Output);
            var key = json.RootElement.GetProperty("providers").GetProperty("company").GetProperty("apiKey");
            Assert.Equal("***", key.GetProperty("value").GetString());
            Assert.Equal($"gateway.yaml:6, variable {variable}", folder.Short(key.GetProperty("origin").GetString()!));
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }
    }

    [Fact]
    public async Task Show_AnAddressWithAVariable_IsShownAsItIsWritten()
    {
        using var folder = new ConfigurationFolder();
        var variable = $"TEST_{Guid.NewGuid():N}";
        Environment.SetEnvironmentVariable(variable, "127.0.0.1:9");
        try
        {
            folder.Gateway($"providers: {{company: {{baseUrl: 'http://${{env:{variable}}}/v1'}}}}");
            var run = await folder.RunAsync("config", "show");
            Assert.True(run.Code == 0, run.Error);
            Assert.Matches($@"(?m)^    baseUrl: ""http://\$\{{env:{variable}\}}/v1"" +# gateway\.yaml:1, variable {variable}$", run.Output);
        }
        finally
        {
            Environment.SetEnvironmentVariable(variable, null);
        }
    }

    [Theory]
    [InlineData("http://${env:GATEWAY_TEST_UNSET}/", "the environment variable GATEWAY_TEST_UNSET is not set")]
    [InlineData("http://${file:/etc/hostname}/", "only ${env:NAME} may be used here")]
    [InlineData("http://${secret:x}/", "only ${env:NAME} may be used here")]
    public async Task Check_AnAddressWithAnotherReference_IsRefused(string url, string reason)
    {
        using var folder = new ConfigurationFolder();
        var run = await folder.Gateway("").Manifest("a.yaml", Manifest("a", $"url: '{url}'")).RunAsync("config", "check");
        Assert.Equal(1, run.Code);
        Assert.Contains($"tool-manifests/a.yaml:4:17: upstream.url: {reason}", run.Error);
    }

    [Theory]
    [InlineData("dialect", typeof(ProviderDeclaration), "providers: {x: {baseUrl: 'http://127.0.0.1/', dialect: $}}")]
    [InlineData("outputLimitMember", typeof(ProviderDeclaration), "providers: {x: {baseUrl: 'http://127.0.0.1/', outputLimitMember: $}}")]
    public async Task Choices_OfTheSchema_AreThoseThatTheGatewayTakes(string member, Type type, string yaml)
    {
        var choices = (Shared.Configuration.Schemas.ChoicesAttribute)Attribute.GetCustomAttribute(TypeShape.Of(type).Find(member)!.Property, typeof(Shared.Configuration.Schemas.ChoicesAttribute))!;
        foreach (var choice in choices.Values.Append("something-else"))
        {
            using var folder = new ConfigurationFolder();
            var run = await folder.Gateway(yaml.Replace("$", choice, StringComparison.Ordinal)).RunAsync("config", "check");
            Assert.Equal(choice == "something-else" ? 1 : 0, run.Code);
        }
    }

    [Fact]
    public async Task Check_TheExampleOfTheRepository_IsRight()
    {
        var run = await CommandRun.Async("config", "check", "--config", Path.Combine(InteropFolder.Root, "gateway.example.yaml"), "--manifests", Path.Combine(InteropFolder.Root, "tool-manifests"), "--data", "/nowhere");
        Assert.True(run.Code == 0, run.Error);
    }

    private static string Manifest(string id, string upstream) => $"apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {{id: {id}}}\nupstream: {{{upstream}}}\n";
}
