using System.Text.Json;
using CsCheck;
using Gateway.Commands.Configuration;
using Gateway.Commands.Manifests;
using Shared.Configuration;

namespace Gateway.Tests.Configuration;

public sealed class ManifestImportTests
{
    private static readonly string[] Members = ["command", "args", "env", "url", "headers", "type", "disabled"];
    private static readonly string[] Values = ["1", "null", "true", "\"x\"", "[]", "{}", "[1,\"a\",{}]", "{\"a\":1}", "\"https://x.example.com/\"", "\"${input:x}\""];

    public static TheoryData<string, string, string, string[]> Documents => new()
    {
        // Claude Desktop, Cursor: a command.
        { "a.json", """{"mcpServers": {"files": {"command": "npx", "args": ["-y", "server@1.2.3", "/srv"], "env": {"LOG_LEVEL": "debug"}}}}""", "files",
            ["transport: stdio", "command: npx", """args: ["-y", "server@1.2.3", "/srv"]""", """LOG_LEVEL: "debug" """] },
        // Cursor, Claude Code: an address.
        { "a.json", """{"mcpServers": {"web": {"type": "http", "url": "https://x.example.com/mcp", "headers": {"X-Region": "eu"}}}}""", "web",
            ["transport: streamable-http", """url: "https://x.example.com/mcp" """, """X-Region: "eu" """] },
        // VS Code, with comments, trailing commas and inputs.
        { "mcp.json", "// mine\n{\"inputs\": [{\"id\": \"gh-token\", \"type\": \"promptString\", \"description\": \"A GitHub token\", \"password\": true},], \"servers\": {\"gh\": {\"type\": \"http\", \"url\": \"https://x.example.com/\", \"headers\": {\"Authorization\": \"Bearer ${input:gh-token}\"},},},}", "gh",
            ["# To do: variable GH_TOKEN: A GitHub token", """Authorization: "Bearer ${env:GH_TOKEN}" """] },
        // VS Code's settings.json.
        { "settings.json", """{"editor.fontSize": 12, "mcp": {"servers": {"a": {"command": "x"}}}}""", "a", ["command: x"] },
        // Windsurf.
        { "a.json", """{"mcpServers": {"a": {"serverUrl": "https://x.example.com/mcp", "disabledTools": ["danger"]}}}""", "a",
            ["""url: "https://x.example.com/mcp" """, """{name: "danger", enabled: false}"""] },
        // Cline.
        { "a.json", """{"mcpServers": {"a": {"command": "x", "disabled": true, "autoApprove": ["t"], "alwaysAllow": [], "timeout": 60}}}""", "a",
            ["# Switched off: it is switched off in the source."] },
        // Gemini CLI.
        { "a.json", """{"mcpServers": {"a": {"httpUrl": "https://x.example.com/mcp", "includeTools": ["read"], "trust": true}}}""", "a",
            ["default: deny", """{name: "read", enabled: true}"""] },
        // Zed, newer and older.
        { "a.json", """{"context_servers": {"a": {"source": "custom", "command": "x", "args": ["1"]}}}""", "a", ["command: x", """args: ["1"]"""] },
        { "a.json", """{"context_servers": {"a": {"command": {"path": "x", "args": ["1"], "env": {"A": "b"}}}}}""", "a", ["command: x", """args: ["1"]""", """A: "b" """] },
        // OpenCode.
        { "a.json", """{"mcp": {"a": {"type": "local", "command": ["x", "1"], "environment": {"A": "b"}, "enabled": true}}}""", "a", ["command: x", """args: ["1"]""", """A: "b" """] },
        // Codex.
        { "config.toml", "model = \"m\"\n[mcp_servers.a]\ncommand = \"x\"\nargs = [\"1\"]\nstartup_timeout_sec = 20\ntool_timeout_sec = 30.5\nenabled_tools = [\"t\"]\n[mcp_servers.a.env]\nA = \"b\"\n", "a",
            ["command: x", """args: ["1"]""", """A: "b" """, "connectTimeout: 20s", "callTimeout: 31s", """{name: "t", enabled: true}"""] },
        { "config.toml", "[mcp_servers.a]\nurl = \"https://x.example.com/mcp\"\nbearer_token_env_var = \"GATEWAY_TEST_UNSET\"\n", "a", ["""Authorization: "Bearer ${env:GATEWAY_TEST_UNSET}" """] },
        // A piece of such a file, and references in the spellings of several clients.
        { "a.json", """{"a": {"command": "x", "args": ["${GATEWAY_TEST_UNSET}", "${env:GATEWAY_TEST_UNSET}", "${GATEWAY_TEST_UNSET:-no}", "${workspaceFolder}", "$${x}", "a${b"]}}""", "a",
            ["""args: ["${env:GATEWAY_TEST_UNSET}", "${env:GATEWAY_TEST_UNSET}", "${env:GATEWAY_TEST_UNSET}", "$${workspaceFolder}", """, "# To do: ${workspaceFolder} has no meaning here"] },
        // SSE is said to be what it is.
        { "a.json", """{"mcpServers": {"a": {"type": "sse", "url": "https://x.example.com/sse"}}}""", "a", ["transport: sse", """url: "https://x.example.com/sse" """] },
        // Registry, npm.
        { "server.json", """{"$schema": "https://static.modelcontextprotocol.io/schemas/2025-12-11/server.schema.json", "name": "io.github.someone/weather", "title": "Weather", "description": "Tells the weather", "version": "1.0.2", "packages": [{"registryType": "npm", "identifier": "@someone/weather", "version": "1.0.2", "transport": {"type": "stdio"}, "packageArguments": [{"type": "named", "name": "--units", "value": "metric"}, {"type": "positional", "valueHint": "city", "isRequired": true, "description": "Where"}], "environmentVariables": [{"name": "WEATHER_API_KEY", "isRequired": true, "isSecret": true, "description": "A key"}, {"name": "LANGUAGE", "default": "en"}, {"name": "OPTIONAL"}]}]}""", "weather",
            ["""args: ["-y", "@someone/weather@1.0.2", "--units", "metric", "${env:WEATHER_CITY}"]""", """WEATHER_API_KEY: "${env:WEATHER_API_KEY}" """, """LANGUAGE: "en" """, "title: Weather", "# To do: variable WEATHER_API_KEY: variable WEATHER_API_KEY, A key", "# To do: variable OPTIONAL: optional"] },
        // The older snake_case form.
        { "server.json", """{"name": "io.github.someone/weather", "description": "d", "version_detail": {"version": "2.0.0"}, "packages": [{"registry_name": "pypi", "name": "weather-server", "version": "2.0.0", "runtime_hint": "uvx", "package_arguments": [{"type": "positional", "value_hint": "x", "value": "serve"}], "environment_variables": [{"name": "A_KEY", "is_required": true, "is_secret": true}]}]}""", "weather",
            ["command: uvx", """args: ["weather-server==2.0.0", "serve"]""", """A_KEY: "${env:A_KEY}" """] },
        { "server.json", """{"name": "x/y", "version": "1.0.0", "packages": [{"registry_type": "nuget", "identifier": "Some.Server", "version": "1.0.0", "transport": {"type": "stdio"}, "packageArguments": [{"type": "named", "name": "--stdio"}]}]}""", "y",
            ["command: dnx", """args: ["Some.Server@1.0.0", "--yes", "--", "--stdio"]"""] },
        { "server.json", """{"server": {"name": "x/y", "version": "1.0.0", "packages": [{"registryType": "oci", "identifier": "ghcr.io/x/y:1.0.0", "transport": {"type": "stdio"}, "environmentVariables": [{"name": "A_TOKEN", "isRequired": true, "isSecret": true}]}]}, "_meta": {}}""", "y",
            ["command: docker", """args: ["run", "-i", "--rm", "-e", "A_TOKEN", "ghcr.io/x/y:1.0.0"]""", """A_TOKEN: "${env:A_TOKEN}" """] },
        { "server.json", """{"name": "x/y", "version": "1.0.0", "remotes": [{"type": "streamable-http", "url": "https://{tenant}.example.com/{path}", "variables": {"tenant": {"description": "Your tenant", "isRequired": true}, "path": {"default": "mcp"}}, "headers": [{"name": "Authorization", "value": "Bearer {api_key}", "isRequired": true, "isSecret": true, "variables": {"api_key": {"isSecret": true}}}]}]}""", "y",
            ["""url: "https://${env:Y_TENANT}.example.com/mcp" """, """Authorization: "Bearer ${env:Y_API_KEY}" """, "# To do: variable Y_TENANT: tenant, Your tenant"] },
        // Docker's catalog: YAML.
        { "catalog.yaml", "registry:\n  hub:\n    type: server\n    title: Hub\n    description: A server\n    image: mcp/hub@sha256:0123456789abcdef\n    secrets:\n      - {name: hub.token, env: HUB_TOKEN, example: YOUR_TOKEN}\n    env:\n      - {name: HUB_HOST, value: '{{hub.host}}'}\n      - {name: HUB_MODE, value: fast}\n    config:\n      - {name: hub, properties: {host: {type: string, default: hub.example.com}}}\n    command: [--stdio]\n    disableNetwork: true\n    allowHosts: [hub.example.com]\n    longLived: true\n", "hub",
            ["command: docker", """args: ["run", "-i", "--rm", "--init", "-e", "HUB_HOST", "-e", "HUB_MODE", "-e", "HUB_TOKEN", "--network", "none", "mcp/hub@sha256:0123456789abcdef", "--stdio"]""", """HUB_HOST: "hub.example.com" """, """HUB_TOKEN: "${env:HUB_TOKEN}" """] },
        { "server.yaml", "name: far\ntype: remote\ntitle: Far\ndescription: d\nremote: {transport_type: streamable-http, url: 'https://x.example.com/mcp', headers: {Authorization: 'Bearer ${FAR_TOKEN}'}}\nsecrets: [{name: far.token, env: FAR_TOKEN}]\n", "far",
            ["transport: streamable-http", """Authorization: "Bearer ${env:FAR_TOKEN}" """] },
    };

    [Theory]
    [MemberData(nameof(Documents))]
    public async Task Import_EachFormat_GivesAManifestThatTheGatewayTakes(string name, string document, string id, string[] lines)
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("").Write(name, document);

        var run = await CommandRun.Async("manifests", "import", folder.PathOf(name), "--out", folder.Manifests);

        Assert.True(run.Code == 0, run.Error);
        var text = await File.ReadAllTextAsync(Path.Combine(folder.Manifests, id + ".yaml"), TestContext.Current.CancellationToken);
        foreach (var line in lines)
        {
            Assert.Contains(line.TrimEnd(), text, StringComparison.Ordinal);
        }
        // Nothing is switched on by an import alone, and what was written loads.
        Assert.Contains("\nenabled: false\n", text, StringComparison.Ordinal);
        var lint = await CommandRun.Async("manifests", "lint", folder.Manifests);
        Assert.True(lint.Code == 0, lint.Error);
        var check = await folder.RunAsync("config", "check");
        Assert.True(check.Code == 0, check.Error);
    }

    [Theory]
    [InlineData("../../x")]
    [InlineData("..")]
    [InlineData("a/../b")]
    [InlineData(@"a\..\b")]
    [InlineData("/etc/cron.d/x")]
    [InlineData(@"\\server\share")]
    [InlineData("C:\\x")]
    [InlineData("~/x")]
    [InlineData("a\0b")]
    [InlineData("a\nb")]
    [InlineData("con")]
    [InlineData("NUL.txt")]
    [InlineData("COM1")]
    [InlineData("gateway")]
    [InlineData("")]
    [InlineData("🙂")]
    public async Task Import_ANameThatIsAPlaceOrNone_RefusesTheWholeDocument(string name)
    {
        using var folder = new ConfigurationFolder();
        var server = new Dictionary<string, object> { ["command"] = "x" };
        folder.Write("a.json", JsonSerializer.Serialize(new { mcpServers = new Dictionary<string, object> { ["fine"] = server, [name] = server } }));
        folder.Write("s.json", JsonSerializer.Serialize(new { name, packages = new[] { new { registryType = "npm", identifier = "x", version = "1.0.0" } } }));
        folder.Write("d.json", JsonSerializer.Serialize(new { registry = new Dictionary<string, object> { [name] = new { type = "server", image = "x/y" } } }));
        var before = Directory.GetFileSystemEntries(folder.Root, "*", SearchOption.AllDirectories);
        foreach (var document in new[] { "a.json", "s.json", "d.json" })
        {
            var run = await CommandRun.Async("manifests", "import", folder.PathOf(document), "--out", Path.Combine(folder.Manifests, "deep"), "--force");
            Assert.Equal(1, run.Code);
            Assert.Matches("is refused: |holds a NUL character", run.Error);
            Assert.DoesNotContain('\0', run.Error);
            Assert.EndsWith("gateway: Nothing was imported.", run.Error.TrimEnd(), StringComparison.Ordinal);
        }
        Assert.Equal(before, Directory.GetFileSystemEntries(folder.Root, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public void Ids_OfAnyName_StayInTheFolderOrAreRefused() =>
        Gen.String[Gen.Char["ab./\\:~ -_@\0\ncon1é"], 0, 12].Sample(
            name =>
            {
                var (id, refusal) = ServerIds.Of(name);
                Assert.True(id is null != refusal is null);
                if (id is not null)
                {
                    Assert.Matches("^[a-z0-9][a-z0-9._-]*$", id);
                    Assert.DoesNotContain("..", name.Split('/', '\\'));
                    Assert.Equal("/folder", Path.GetDirectoryName(Path.GetFullPath(Path.Combine("/folder", id + ".yaml"))));
                }
            }, iter: 20_000);

    [Fact]
    public void YamlText_AnyText_IsReadBackAsItWas() =>
        Gen.String.Sample(
            text =>
            {
                List<ConfigError> errors = [];
                var node = YamlNodes.Read("x", $"a: {YamlText.Write(text)}\nb: [{YamlText.Quote(text)}]\n", errors);
                Assert.Empty(errors);
                // Half of a surrogate pair is no character.
                var whole = System.Text.Encoding.UTF8.GetString(System.Text.Encoding.UTF8.GetBytes(text));
                Assert.Equal(whole, ((ConfigScalar)node!.At("a")).Text);
                Assert.Equal(whole, ((ConfigScalar)node.At("b").At(0)).Text);
            }, iter: 5_000);

    [Fact]
    public async Task Import_PlainSecrets_AreMovedIntoAFileOfTheirOwn()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """
            {"mcpServers": {
              "one": {"command": "x", "args": ["--token", "abcdefgh12345", "--api-key=qrstuvwx6789", "-y"], "env": {"API_KEY": "it's-secret-1", "LOG_LEVEL": "debug"}},
              "two": {"command": "x", "env": {"API_KEY": "another-secret-2", "GITHUB_PERSONAL_ACCESS_TOKEN": "<YOUR_TOKEN>"}},
              "three": {"url": "https://user:pw12345@x.example.com/mcp?api_key=abcdefgh99999", "headers": {"Authorization": "Bearer zyxwvuts54321", "Accept-Language": "en"}}
            }}
            """);

        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--secrets-file", folder.PathOf("secrets.env"));

        Assert.True(run.Code == 0, run.Error);
        string[] secrets = ["abcdefgh12345", "qrstuvwx6789", "it's-secret-1", "another-secret-2", "pw12345", "abcdefgh99999", "zyxwvuts54321"];
        var written = string.Concat(Directory.GetFiles(folder.Manifests).Select(File.ReadAllText));
        foreach (var secret in secrets)
        {
            Assert.DoesNotContain(secret, run.Output + run.Error + written);
        }
        Assert.Contains("""args: ["--token", "${env:ONE_TOKEN}", "--api-key=${env:ONE_API_KEY}", "-y"]""", written);
        Assert.Contains("""API_KEY: "${env:API_KEY}" """.TrimEnd(), written);
        Assert.Contains("""API_KEY: "${env:TWO_API_KEY}" """.TrimEnd(), written);
        Assert.Contains("""Authorization: "Bearer ${env:THREE_TOKEN}" """.TrimEnd(), written);
        Assert.Contains("""Accept-Language: "en" """.TrimEnd(), written);
        // A placeholder is no secret: it is to be given.
        Assert.Contains("# To do: variable GITHUB_PERSONAL_ACCESS_TOKEN: ", written);
        var exports = await File.ReadAllTextAsync(folder.PathOf("secrets.env"), TestContext.Current.CancellationToken);
        Assert.Equal(
            ["export API_KEY='it'\\''s-secret-1'", "export ONE_API_KEY='qrstuvwx6789'", "export ONE_TOKEN='abcdefgh12345'", "export THREE_API_KEY='abcdefgh99999'", "export THREE_TOKEN='zyxwvuts54321'", "export TWO_API_KEY='another-secret-2'"],
            exports.Split('\n', StringSplitOptions.RemoveEmptyEntries).Order(StringComparer.Ordinal));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(folder.PathOf("secrets.env")));
        }
    }

    [Fact]
    public async Task Import_WithoutAPlaceForSecrets_KeepsReferencesAndSaysSo()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"a": {"command": "x", "env": {"MY_API_KEY": "abcdefgh12345"}}}}""");
        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests);
        Assert.Equal(0, run.Code);
        Assert.Contains("secret of a: variable MY_API_KEY: replaced by ${env:MY_API_KEY}; set that variable for the gateway", run.Output);
        Assert.DoesNotContain("abcdefgh12345", run.Output);
        var asked = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--force", "--secrets-file", "-");
        Assert.Contains("export MY_API_KEY='abcdefgh12345'", asked.Output);
    }

    [Fact]
    public async Task Import_IntoTheEncryptedStore_PutsEachSecretThereFirst()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"a": {"command": "x", "env": {"MY_API_KEY": "abcdefgh12345"}}}}""");
        await using var gateway = await Hosts.StartAsync();
        var url = gateway.BaseAddress.ToString();

        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--enable", "--store-secrets", "--url", url, "--admin-key", gateway.AdminKey);

        Assert.True(run.Code == 0, run.Error);
        Assert.Contains("secret of a: variable MY_API_KEY: put into the encrypted store as a.MY_API_KEY", run.Output);
        Assert.Contains("""MY_API_KEY: "${secret:a.MY_API_KEY}" """.TrimEnd(), await File.ReadAllTextAsync(Path.Combine(folder.Manifests, "a.yaml"), TestContext.Current.CancellationToken));
        folder.Gateway("");
        var check = await CommandRun.Async("config", "check", "--config", folder.File, "--manifests", folder.Manifests, "--data", Path.Combine(gateway.Folder, "data"));
        Assert.True(check.Code == 0, check.Error);
        // Without the store that holds it, the secret is missing, as it would be at a start.
        var elsewhere = await folder.RunAsync("config", "check");
        Assert.Contains("there is no secret 'a.MY_API_KEY' in the encrypted store", elsewhere.Error);

        var refused = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.PathOf("other"), "--store-secrets", "--url", url, "--admin-key", gateway.VirtualKey);
        Assert.Equal(1, refused.Code);
        Assert.False(Directory.Exists(folder.PathOf("other")), "Without its secrets no manifest is written.");
    }

    [Fact]
    public async Task Import_AFileThatExists_IsKeptUnlessForced()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"new": {"command": "x"}, "old": {"command": "x"}}}""").Manifest("old.yaml", "mine");

        var refused = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests);
        Assert.Equal(1, refused.Code);
        Assert.Contains("old.yaml: exists already; --force replaces it", refused.Error);
        Assert.Equal("mine", await File.ReadAllTextAsync(Path.Combine(folder.Manifests, "old.yaml"), TestContext.Current.CancellationToken));
        Assert.Equal(["old.yaml"], Directory.GetFiles(folder.Manifests).Select(Path.GetFileName));

        var forced = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--force");
        Assert.True(forced.Code == 0, forced.Error);
        Assert.Contains("command: x", await File.ReadAllTextAsync(Path.Combine(folder.Manifests, "old.yaml"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Import_OntoALink_ReplacesTheLinkAndNotItsTarget()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "making links takes a right there");
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"a": {"command": "x"}}}""").Write("target", "mine");
        File.CreateSymbolicLink(Path.Combine(folder.Manifests, "a.yaml"), folder.PathOf("target"));

        Assert.Equal(1, (await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests)).Code);
        Assert.Equal(0, (await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--force")).Code);

        Assert.Equal("mine", await File.ReadAllTextAsync(folder.PathOf("target"), TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Import_DryRun_PrintsAndWritesNothing()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"a": {"command": "x", "env": {"MY_API_KEY": "abcdefgh12345"}}}}""");
        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--dry-run", "--secrets-file", folder.PathOf("s.env"));
        Assert.Equal(0, run.Code);
        Assert.Contains("--- a.yaml", run.Output);
        Assert.DoesNotContain("abcdefgh12345", run.Output);
        Assert.Empty(Directory.GetFiles(folder.Manifests));
        Assert.False(File.Exists(folder.PathOf("s.env")));
    }

    [Fact]
    public async Task Import_Enable_SwitchesOnWhatLacksNothing()
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("").Write("a.json", """{"mcpServers": {"ready": {"command": "no-such-program"}, "off": {"command": "x", "disabled": true}, "waits": {"command": "x", "env": {"A_TOKEN": "abcdefgh12345"}}, "sse": {"type": "sse", "url": "https://x.example.com/sse"}}}""");
        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests, "--enable");
        Assert.True(run.Code == 0, run.Error);
        foreach (var (id, on) in new[] { ("ready", true), ("off", false), ("waits", false), ("sse", true) })
        {
            Assert.Contains($"enabled: {(on ? "true" : "false")}", await File.ReadAllTextAsync(Path.Combine(folder.Manifests, id + ".yaml"), TestContext.Current.CancellationToken));
        }
        Assert.Equal(0, (await folder.RunAsync("config", "check")).Code);
    }

    [Fact]
    public async Task Import_WhatItDoesNotTake_IsReported()
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", """{"mcpServers": {"a": {"command": "x", "autoApprove": ["t"], "envFile": ".env", "somethingNew": {"a": 1}}}}""");
        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests);
        foreach (var member in new[] { "autoApprove", "envFile", "somethingNew" })
        {
            Assert.Contains($"not carried over: mcpServers.a.{member}: ", run.Output);
        }
    }

    [Theory]
    [InlineData("{", "not valid JSON")]
    [InlineData("{}", "the format is not recognized")]
    [InlineData("""{"mcpServers": {}}""", "holds no servers")]
    [InlineData("""{"mcpServers": {"a": 1}}""", "expected an object, found '1'")]
    [InlineData("""{"mcpServers": {"a": {}}}""", "has neither a command nor an address")]
    [InlineData("""{"mcpServers": {"a": {"command": "x", "url": "https://y/"}}}""", "has a command and an address")]
    [InlineData("""{"mcpServers": {"a": {"command": ["x", ["y"]]}}}""", "expected a text, found a list")]
    [InlineData("""{"mcpServers": {"a": {"command": "${env:HOME}/x"}}}""", "a manifest's command is a plain name or path")]
    [InlineData("""{"mcpServers": {"a": {"command": "x", "args": "-y"}}}""", "expected a list, found '-y'")]
    [InlineData("""{"mcpServers": {"a": {"command": "x", "env": {"A=B": "c"}}}}""", "'A=B' cannot be the name of a variable")]
    [InlineData("""{"mcpServers": {"a": {"command": "x", "args": ["a\u0000b"]}}}""", "holds a NUL character")]
    [InlineData("""{"mcpServers": {"a": {"url": "ftp://example.com/"}}}""", "expected an address that begins with http:// or https://")]
    [InlineData("""{"mcpServers": {"a": {"url": "https://x/", "headers": {"X": "a\nb"}}}}""", "holds a line break")]
    [InlineData("""{"mcpServers": {"a b": {"command": "x"}, "A-B": {"command": "x"}}}""", "would both have the id 'a-b'")]
    [InlineData("""{"mcpServers": {"a": {"command": "x"}, "a": {"command": "y"}}}""", "this member stands twice")]
    [InlineData("""{"name": "x/y", "version": "1.0.0", "packages": [{"registryType": "mcpb", "identifier": "https://example.com/x.mcpb"}]}""", "offers nothing that the hub can use")]
    [InlineData("""{"name": "x/y", "version": "1.0.0", "packages": [{"registryType": "npm", "identifier": "--call=evil", "version": "1.0.0"}]}""", "is no package that could be named on a command line")]
    [InlineData("""{"registry": {"a": {"type": "poci", "tools": [{"name": "x"}]}}}""", "is of type poci")]
    [InlineData("""{"registry": {"a": {"type": "server", "image": "-v/:/host"}}}""", "names no image")]
    public async Task Import_ABadDocument_IsRefusedWithItsReason(string document, string reason)
    {
        using var folder = new ConfigurationFolder();
        folder.Write("a.json", document);
        var run = await CommandRun.Async("manifests", "import", folder.PathOf("a.json"), "--out", folder.Manifests);
        Assert.Equal(1, run.Code);
        Assert.Contains(reason, run.Error, StringComparison.Ordinal);
        Assert.Empty(Directory.GetFiles(folder.Manifests));
    }

    [Fact]
    public void Import_AnyJson_NeverThrowsAndEitherReportsOrGivesServers() =>
        Gen.OneOf(Gen.Int[0, 6].Select(i => Members[i]), Gen.String[0, 8]).Select(Gen.Int[0, 9].Select(i => Values[i])).Array[0, 5].Sample(
            members =>
            {
                var server = $"{{{string.Join(",", members.DistinctBy(member => member.Item1).Select(member => $"{JsonSerializer.Serialize(member.Item1)}:{member.Item2}"))}}}";
                var context = new ImportContext("x.json", storeSecrets: false);
                ManifestImport.Read(System.Text.Encoding.UTF8.GetBytes($"{{\"mcpServers\":{{\"a\":{server}}}}}"), "auto", preferRemote: false, context);
                if (context.Errors.Count == 0)
                {
                    var text = ManifestText.Write(Assert.Single(context.Servers), "x.json", enabled: false, schema: null);
                    List<ConfigError> errors = [];
                    Assert.NotNull(YamlNodes.Read("x.yaml", text, errors));
                    Assert.Empty(errors);
                }
            }, iter: 5_000);
}
