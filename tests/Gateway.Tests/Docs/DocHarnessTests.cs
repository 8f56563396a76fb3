using Gateway.Tests.Interop;

namespace Gateway.Tests.Docs;

/// <summary>What the tests of the documentation find, shown on pages that are wrong in one way each.</summary>
[Collection(InteropCollection.Name)]
public sealed class DocHarnessTests
{
    private static readonly string PagePath = Path.Combine(InteropFolder.Root, "docs", "page.md");

    [Fact]
    public async Task Shell_StatePassesOnAndPlaceholdersAreKeys()
    {
        await AssertFineAsync("""
            ```sh
            export GATEWAY_KEY=sk-gw-...
            mkdir sub && cd sub && here=$(pwd) && export here
            ```

            <!-- test: with OTHER=there -->
            ```sh
            [ "$(pwd)" = "$here" ] && [ "$OTHER" = there ]
            curl http://127.0.0.1:8080/v1/models -H "Authorization: Bearer $GATEWAY_KEY"
            ```

            <!-- test: output -->
            ```console
            {"object":"list",…
            ```

            <!-- test: expect-exit 22 -->
            ```sh
            [ -z "${OTHER-}" ] && curl http://127.0.0.1:8080/v1/models -H "Authorization: Bearer sk-gw-wrong"
            ```
            """);
    }

    [Fact]
    public async Task Shell_AFailingCommand_IsToldWithItsLineItsTextAndItsOutput()
    {
        var problem = Assert.Single(await CheckAsync("""
            # Title

            ```sh
            echo before
            ls no-such-file | cat
            echo after
            ```
            """));

        Assert.StartsWith("3: sh: it ended with 2 instead of 0", problem, StringComparison.Ordinal);
        Assert.Contains("ls no-such-file | cat", problem, StringComparison.Ordinal);
        Assert.Contains("before", problem.Split("--- it printed:")[1], StringComparison.Ordinal);
        Assert.Contains("No such file", problem, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("```sh\ncurl http://127.0.0.1:8080/v1/models -H 'Authorization: Bearer wrong'\n```", "401")]
    [InlineData("```sh\ncurl https://example.com/\n```", "stay on this machine")]
    [InlineData("```sh\nsudo apt-get install x\n```", "is not run by documentation tests")]
    [InlineData("```sh\ndotnet build\n```", "is not run by documentation tests")]
    [InlineData("```sh\ngateway keys revoke nobody\n```", "There is no virtual key")]
    [InlineData("```sh\ngateway --config none.yaml\n```", "none.yaml")]
    [InlineData("```sh\necho one\n```\n\n<!-- test: output -->\n```console\ntwo\n```", "this line was not printed: two")]
    [InlineData("```yaml\nroutes: {fast: {target: simulator/echo}}\n```", "did you mean 'targets'?")]
    [InlineData("```yaml\nbudgets: [{limit: 5 USD, each: day}]\n```", "each")]
    [InlineData("```yaml\napiVersion: hub/v1\nkind: ToolManifest\nmetadata: {id: x}\nupstream: {comand: npx}\n```", "did you mean 'command'?")]
    [InlineData("```yaml\na: [1\n```", "1: yaml: ")]
    [InlineData("```json\n{ \"a\": … }\n```", "1: json: ")]
    [InlineData("```json\n{ \"mcpServers\": { \"hub\": { \"adress\": \"http://127.0.0.1:8080/mcp\" } } }\n```", "neither a command nor an address")]
    [InlineData("```toml\n[mcp_servers.hub]\nadress = 'x'\n```", "neither a command nor an address")]
    [InlineData("```python\nprint(\n```", "SyntaxError")]
    [InlineData("```\ntext\n```", "says no language")]
    [InlineData("```cobol\nSTOP RUN.\n```", "nothing here checks 'cobol'")]
    [InlineData("<!-- test: skp it -->\n```sh\ntrue\n```", "'skp' is no directive")]
    [InlineData("<!-- test: skip -->\n```sh\ntrue\n```", "'skip' needs a value")]
    [InlineData("<!-- test: skip why -->\n\nText.", "no fenced block follows")]
    [InlineData("[gone](gone.md)", "leads to no file")]
    [InlineData("[gone](README.md#gone)", "no such heading")]
    [InlineData("[out](../../outside.md)", "leads to no file")]
    public async Task Page_WrongInOneWay_HasOneProblem(string text, string expected) =>
        Assert.Contains(expected, Assert.Single((await CheckAsync(text)).Distinct()), StringComparison.Ordinal);

    [Fact]
    public async Task JavaScript_RunsAgainstTheGateway()
    {
        Assert.SkipUnless(InteropFolder.IsInstalled, InteropFolder.Missing);
        await AssertFineAsync("""
            ```ts
            import OpenAI from 'openai';

            const client: OpenAI = new OpenAI({ baseURL: 'http://127.0.0.1:8080/v1', apiKey: process.env.GATEWAY_KEY });
            const answer = await client.chat.completions.create({ model: 'simulator/echo', messages: [{ role: 'user', content: 'Hello' }] });
            if (!answer.choices[0].message.content) throw new Error('no answer');
            ```
            """);
        Assert.Contains("Connection", Assert.Single(await CheckAsync("""
            ```js
            import OpenAI from 'openai';

            await new OpenAI({ baseURL: 'http://127.0.0.1:1/v1', apiKey: process.env.GATEWAY_KEY, maxRetries: 0 }).models.list();
            ```
            """)), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Skipped_IsNotRunButCounted()
    {
        const string Text = "<!-- test: skip it would fail -->\n```sh\nfalse\n```";
        await AssertFineAsync(Text);
        Assert.Equal([new SkippedBlock("page.md", 2, "it would fail")], DocRunner.Skipped(DocPage.Parse(PagePath, Text), "page.md"));
    }

    [Fact]
    public async Task Links_ToHeadingsAndFiles_AreFollowed() =>
        await AssertFineAsync("# The `gateway` keys: one & two\n\n# Twice\n\n# Twice\n\n[a](#the-gateway-keys-one--two) [b](#twice-1) [c](../README.md#first-request) [d](decisions) [e](https://example.com/#x)");

    private static async Task AssertFineAsync(string text) => Assert.Empty(await CheckAsync(text));

    private static Task<IReadOnlyList<string>> CheckAsync(string text) =>
        DocRunner.CheckAsync(DocPage.Parse(PagePath, text), InteropFolder.Root, TestContext.Current.CancellationToken);
}
