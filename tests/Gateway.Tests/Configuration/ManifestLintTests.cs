namespace Gateway.Tests.Configuration;

public sealed class ManifestLintTests
{
    private const string Head = "apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: a, description: A server}\n";

    [Theory]
    [InlineData("upstream: {command: npx, args: ['-y', some-server]}", "warning: upstream.args[1]: 'some-server' names no version")]
    [InlineData("upstream: {command: npx, args: ['-y', '@scope/some-server']}", "warning: upstream.args[1]: '@scope/some-server' names no version")]
    [InlineData("upstream: {command: npx, args: ['-y', some-server@latest]}", "warning: upstream.args[1]: 'some-server@latest' names no version")]
    [InlineData("upstream: {command: uvx, args: [some-server]}", "warning: upstream.args[0]: 'some-server' names no version")]
    [InlineData("upstream: {command: no-such-program}", "warning: upstream.command: there is no program 'no-such-program'")]
    [InlineData("enabled: false\nupstream: {command: no-such-program}", "note: upstream.command: there is no program 'no-such-program'")]
    [InlineData("upstream: {url: 'http://mcp.example.com/'}", "warning: upstream.url: http:// sends headers and results unencrypted to mcp.example.com")]
    [InlineData("upstream: {url: 'https://x.example.com/', headers: {Authorization: Bearer abcdefgh12345}}", "warning: upstream.headers.Authorization: looks like a secret")]
    [InlineData("upstream: {url: 'https://x.example.com/?api_key=abcdefgh12345'}", "warning: upstream.url: looks like a secret")]
    [InlineData("upstream: {command: sh, env: {API_KEY: abcdefgh12345}}", "warning: upstream.env.API_KEY: looks like a secret")]
    [InlineData("upstream: {command: sh, env: {X: ghp_0123456789abcdefghijABCDEFGHIJ012345}}", "warning: upstream.env.X: looks like a secret")]
    [InlineData("upstream: {command: sh, args: ['--token', abcdefgh12345]}", "warning: upstream.args[1]: looks like a secret")]
    [InlineData("upstream: {command: sh, args: ['--token=abcdefgh12345']}", "warning: upstream.args[0]: looks like a secret")]
    [InlineData("upstream: {url: 'https://example.com/mcp', auth: {mode: clientCredentials, clientId: a, clientSecret: abcdefgh12345}}", "warning: upstream.auth.clientSecret: looks like a secret")]
    [InlineData("upstream: {command: sh}\nexpose: {prefix: seventeen-letters}", "warning: expose.prefix: with 17 characters it leaves little room")]
    [InlineData("upstream: {command: sh}\nexpose: {tools: [{name: x, enabled: true}, {name: x, enabled: false}]}", "warning: expose.tools[1]: a rule for 'x' stands already in line 5")]
    [InlineData("upstream: {command: sh, env: {A: '${env:GATEWAY_TEST_UNSET}'}}", "note: upstream.env.A: the variable GATEWAY_TEST_UNSET is not set on this machine")]
    [InlineData("upstream: {}", "error: upstream: expected a command (for stdio), a url (for streamable-http) or a document (for openapi)")]
    [InlineData("upstream: {command: sh}\nexpose: {tools: [{name: x, setSecret: {q: abcdefgh12345}}]}", "warning: expose.tools[0].setSecret.q: is a secret in plain text")]
    [InlineData("upstream: {command: sh}\nexpose: {tools: [{name: x, set: {api_key: abcdefgh12345}}]}", "warning: expose.tools[0].set.api_key: looks like a secret")]
    [InlineData("upstream: {command: sh}\nexpose: {tools: [{name: x, setSecret: {q: '${env:GATEWAY_TEST_UNSET}'}}]}", "note: expose.tools[0].setSecret.q: the variable GATEWAY_TEST_UNSET is not set on this machine")]
    [InlineData("upstream: {command: sh}\nexpose: {prefix: a-prefix-of-more-than-24-letters}", "error: expose.prefix: expected up to 24 letters")]
    public async Task Lint_EachFinding_NamesPlaceAndReason(string rest, string finding)
    {
        using var folder = new ConfigurationFolder();
        folder.Manifest("a.yaml", Head + rest + "\n");

        var run = await CommandRun.Async("manifests", "lint", folder.Manifests);

        var line = Assert.Single(folder.Short(run.Output + run.Error).Split('\n'), line => line.Contains(finding, StringComparison.Ordinal));
        Assert.Matches(@"^tool-manifests/a\.yaml:\d+:\d+: ", line);
        Assert.Equal(finding.StartsWith("error", StringComparison.Ordinal) ? 1 : 0, run.Code);
        // What looks like a secret is not repeated.
        Assert.DoesNotContain("abcdefgh12345", run.Output + run.Error);
        var strict = await CommandRun.Async("manifests", "lint", "--strict", folder.Manifests);
        Assert.Equal(finding.StartsWith("note", StringComparison.Ordinal) ? 0 : 1, strict.Code);
    }

    [Fact]
    public async Task Lint_WithoutDescription_Warns()
    {
        using var folder = new ConfigurationFolder();
        folder.Manifest("a.yaml", "apiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: a}\nupstream: {command: sh}\n");
        var run = await CommandRun.Async("manifests", "lint", folder.PathOf("tool-manifests/a.yaml"));
        Assert.Contains("warning: metadata.description: is missing", run.Output);
    }

    [Theory]
    [InlineData("upstream: {command: sh, args: ['-y', '--limit=200', /srv/data], env: {LOG_LEVEL: debug, MAX_TOKENS: 4096, TOKEN_FILE: /run/secrets/token, API_KEY: '${env:HOME}', URL: 'https://example.com/a/very/long/path/to/something/12345'}}")]
    [InlineData("upstream: {url: 'http://127.0.0.1:8080/mcp', headers: {Authorization: 'Bearer ${env:HOME}', Accept-Language: en}}")]
    [InlineData("upstream: {command: sh, args: ['-y', '@scope/server@1.2.3']}")]
    [InlineData("upstream: {command: sh}\nexpose: {tools: [{match: 'a*', enabled: true}, {name: ab, enabled: false}]}")]
    public async Task Lint_WhatIsRight_FindsNothing(string rest)
    {
        using var folder = new ConfigurationFolder();
        folder.Manifest("a.yaml", Head + rest + "\n");
        var run = await CommandRun.Async("manifests", "lint", "--strict", folder.Manifests);
        Assert.Equal((0, "1 manifest: 0 errors, 0 warnings, 0 notes."), (run.Code, run.Output.Trim()));
    }

    [Fact]
    public async Task Lint_SameIdInTwoFiles_IsAnError()
    {
        using var folder = new ConfigurationFolder();
        folder.Manifest("a.yaml", Head + "upstream: {command: sh}\n").Manifest("b.yaml", Head + "upstream: {command: sh}\n");
        var run = await CommandRun.Async("manifests", "lint", folder.Manifests);
        Assert.Equal(1, run.Code);
        Assert.Contains("b.yaml:3:16: error: metadata.id: 'a' is the id of another manifest as well", run.Error);
    }

    [Fact]
    public async Task Lint_AFileThatIsNotThere_IsAnError()
    {
        var run = await CommandRun.Async("manifests", "lint", "/does/not/exist.yaml");
        Assert.Equal((1, "/does/not/exist.yaml: error: there is no such file"), (run.Code, run.Error.Trim()));
    }

    [Fact]
    public async Task Lint_ExamplesOfTheRepository_HaveNoWarning()
    {
        var run = await CommandRun.Async("manifests", "lint", "--strict", Path.Combine(Interop.InteropFolder.Root, "tool-manifests"));
        Assert.True(run.Code == 0, run.Output + run.Error);
    }

    [Fact]
    public async Task Show_AServer_IsAsTheHubSeesIt()
    {
        using var folder = new ConfigurationFolder();
        folder.Gateway("").Manifest("a.yaml", Head + "enabledWhen: {command: no-such-program}\nupstream: {command: no-such-program, env: {API_KEY: abcdefgh12345}}\n");

        var list = await folder.RunAsync("manifests", "show");
        Assert.Contains("a        off  no-such-program  (tool-manifests/a.yaml)", list.Output);
        Assert.Contains("gateway  on ", list.Output);

        var one = await folder.RunAsync("manifests", "show", "a");
        Assert.Matches("(?m)^  enabled: false +# enabledWhen: there is no program 'no-such-program' on the PATH$", one.Output);
        Assert.DoesNotContain("abcdefgh12345", one.Output);

        var unknown = await folder.RunAsync("manifests", "show", "b");
        Assert.Equal(1, unknown.Code);
        Assert.Contains("There is no tool server 'b'", unknown.Error);
    }
}
