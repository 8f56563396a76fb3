using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Gateway.Commands;
using Gateway.Connecting;
using TestSupport;

namespace Gateway.Tests.Connecting;

public sealed class ConnectTests
{
    private static readonly string[] All = ["claude-desktop", "claude-code", "cursor", "vscode", "windsurf", "codex"];

    public static TheoryData<string, string> Entries => new()
    {
        { "claude-code", """{"mcpServers":{"hub":{"type":"http","url":"http://127.0.0.1:1/mcp","headers":{"Authorization":"Bearer ${GATEWAY_KEY}"}}}}""" },
        { "cursor", """{"mcpServers":{"hub":{"url":"http://127.0.0.1:1/mcp","headers":{"Authorization":"Bearer ${env:GATEWAY_KEY}"}}}}""" },
        { "windsurf", """{"mcpServers":{"hub":{"serverUrl":"http://127.0.0.1:1/mcp","headers":{"Authorization":"Bearer ${env:GATEWAY_KEY}"}}}}""" },
        {
            "vscode",
            """{"inputs":[{"type":"promptString","id":"hub-key","description":"Virtual key of the gateway","password":true}],"servers":{"hub":{"type":"http","url":"http://127.0.0.1:1/mcp","headers":{"Authorization":"Bearer ${input:hub-key}"}}}}"""
        },
    };

    public static TheoryData<string> Clients => [.. All];

    [Theory]
    [MemberData(nameof(Entries))]
    public async Task Connect_Redirected_PrintsTheEntryAlone(string client, string expected)
    {
        var (code, output, error) = await RunAsync("connect", client, "--url", "http://127.0.0.1:1");
        Assert.Equal(0, code);
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(expected), JsonNode.Parse(output)), output);
        Assert.Contains("no gateway answers at http://127.0.0.1:1 now", error);
    }

    [Fact]
    public async Task Connect_Codex_PrintsToml()
    {
        var (_, output, _) = await RunAsync("connect", "codex", "--url", "https://hub.example.com/team/", "--name", "tools");
        Assert.Equal("[mcp_servers.tools]\nurl = \"https://hub.example.com/team/mcp\"\nbearer_token_env_var = \"GATEWAY_KEY\"\n", output.ReplaceLineEndings("\n"));
    }

    [Fact]
    public async Task Connect_ClaudeDesktop_StartsThisProgramAsABridge()
    {
        var (_, output, error) = await RunAsync("connect", "claude-desktop", "--url", "http://127.0.0.1:1");
        var entry = JsonNode.Parse(output)!["mcpServers"]!["hub"]!;
        var launch = Launch.OfThisProcess();
        Assert.Equal(launch.Command, entry["command"]!.GetValue<string>());
        Assert.Equal([.. launch.Arguments, "bridge", "--url", "http://127.0.0.1:1"], entry["args"]!.AsArray().Select(argument => argument!.GetValue<string>()));
        Assert.Equal("YOUR-VIRTUAL-KEY", entry["env"]!["GATEWAY_KEY"]!.GetValue<string>());
        foreach (var file in new[] { "claude_desktop_config.json", "macOS", "Windows", "Linux" })
        {
            Assert.Contains(file, error);
        }
    }

    [Theory]
    [MemberData(nameof(Clients))]
    public async Task Connect_KeyGiven_IsInTheEntry(string client)
    {
        var (_, output, _) = await RunAsync("connect", client, "--url", "http://127.0.0.1:1", "--key", "sk-gw-given");
        Assert.Contains("sk-gw-given", output);
        Assert.DoesNotContain("GATEWAY_KEY}", output);
    }

    [Fact]
    public async Task Connect_GatewayRuns_SaysNothingOfIt()
    {
        await using var gateway = await Hosts.StartAsync();
        var (code, _, error) = await RunAsync("connect", "cursor", "--url", gateway.BaseAddress.ToString());
        Assert.Equal(0, code);
        Assert.DoesNotContain("answers", error);
    }

    [Theory]
    [InlineData("claude-code", "claude mcp add --transport http hub http://127.0.0.1:1/mcp --header 'Authorization: Bearer ${GATEWAY_KEY}'")]
    [InlineData("codex", "codex mcp add hub --url http://127.0.0.1:1/mcp --bearer-token-env-var GATEWAY_KEY")]
    public async Task Command_Asked_IsPrintedAlone(string client, string expected)
    {
        var (_, output, _) = await RunAsync("connect", client, "--url", "http://127.0.0.1:1", "--command");
        Assert.Equal(expected, output.Trim());
    }

    [Fact]
    public async Task Command_VsCodeAndCursor_CarryTheSameEntry()
    {
        var (_, code, _) = await RunAsync("connect", "vscode", "--url", "http://127.0.0.1:1", "--command");
        var inQuotes = JsonNode.Parse(code.Trim()["code --add-mcp ".Length..].Trim('\''))!;
        Assert.Equal("hub", inQuotes["name"]!.GetValue<string>());
        Assert.Equal("http://127.0.0.1:1/mcp", inQuotes["url"]!.GetValue<string>());
        var (_, link, _) = await RunAsync("connect", "cursor", "--url", "http://127.0.0.1:1", "--command");
        var config = Uri.UnescapeDataString(new Uri(link.Trim()).Query.Split("config=")[1]);
        Assert.Equal("http://127.0.0.1:1/mcp", JsonNode.Parse(Encoding.UTF8.GetString(Convert.FromBase64String(config)))!["url"]!.GetValue<string>());
    }

    [Fact]
    public async Task Command_AddressWithOddCharacters_IsQuoted()
    {
        var (_, output, _) = await RunAsync("connect", "codex", "--url", "http://127.0.0.1:1/$(id)", "--command");
        Assert.Contains("'http://127.0.0.1:1/$(id)/mcp'", output);
    }

    [Theory]
    [InlineData("nobody")]
    [InlineData("cursor", "--url", "localhost")]
    [InlineData("cursor", "--url", "http://a/?key=1")]
    [InlineData("cursor", "--name", "a b")]
    [InlineData("cursor", "--name", "x\"]")]
    [InlineData("cursor", "--key", "a\"b")]
    [InlineData("cursor", "--file", "x.json")]
    [InlineData("cursor", "--mcpb", "x.mcpb")]
    [InlineData("cursor", "--key-file", "x")]
    [InlineData("codex", "--write")]
    [InlineData("claude-desktop", "--write")]
    [InlineData("claude-desktop", "--key", "a", "--key-file", "b")]
    public async Task Connect_WrongOptions_ExitWith2(params string[] args)
    {
        var (code, output, error) = await RunAsync(["connect", .. args]);
        Assert.Equal(2, code);
        Assert.Empty(output);
        Assert.StartsWith("gateway: ", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Write_FileOfSomebody_KeepsEveryOtherByte()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "mcp.json");
        const string Before = "\uFEFF{\r\n\t// mine\r\n\t\"theme\" : 1.50,\r\n\t\"mcpServers\":{ \"other\" : { \"url\":\"x\\/y\" }, /* and */ },\r\n\t\"last\":[1,2,]\r\n}\r\n";
        await File.WriteAllTextAsync(file, Before, new UTF8Encoding(false), TestContext.Current.CancellationToken);

        var (code, output, _) = await WriteAsync("cursor", file);
        Assert.Equal(0, code);
        var after = await File.ReadAllTextAsync(file, new UTF8Encoding(false), TestContext.Current.CancellationToken);
        var start = Before.IndexOf("{ \"other\"", StringComparison.Ordinal) + 1;
        var text = Encoding.UTF8.GetString(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
        Assert.StartsWith(Before[..start], text, StringComparison.Ordinal);
        Assert.EndsWith(Before[start..], text, StringComparison.Ordinal);
        var servers = JsonNode.Parse(after.TrimStart('\uFEFF'), documentOptions: new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true })!["mcpServers"]!;
        Assert.Equal("http://127.0.0.1:1/mcp", servers["hub"]!["url"]!.GetValue<string>());
        var backup = Assert.Single(Directory.GetFiles(folder.Path, "*.bak"));
        Assert.Equal(Encoding.UTF8.GetBytes(Before), await File.ReadAllBytesAsync(backup, TestContext.Current.CancellationToken));
        Assert.Contains(backup, output);

        // Once more changes nothing, and another address changes the entry alone.
        var (_, again, _) = await WriteAsync("cursor", file);
        Assert.Contains("holds the entry already", again);
        Assert.Single(Directory.GetFiles(folder.Path, "*.bak"));
        await WriteAsync("cursor", file, "http://127.0.0.1:2");
        var moved = Encoding.UTF8.GetString(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken));
        Assert.Equal(text.Replace("127.0.0.1:1/mcp", "127.0.0.1:2/mcp", StringComparison.Ordinal), moved);
    }

    [Fact]
    public async Task Write_NoFile_MakesOneForItsOwnerAlone()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "deep", "mcp.json");
        var (code, output, _) = await WriteAsync("vscode", file);
        Assert.Equal(0, code);
        Assert.Contains("is new", output);
        var (_, printed, _) = await RunAsync("connect", "vscode", "--url", "http://127.0.0.1:1");
        Assert.True(JsonNode.DeepEquals(JsonNode.Parse(printed), JsonNode.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))));
        if (!OperatingSystem.IsWindows())
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(file));
        }
    }

    [Fact]
    public async Task Write_VsCodeWithOtherInputs_AddsItsOwnOnce()
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "mcp.json");
        await File.WriteAllTextAsync(file, """{"inputs":[{"id":"mine"}],"servers":{}}""", TestContext.Current.CancellationToken);
        await WriteAsync("vscode", file);
        var (_, again, _) = await WriteAsync("vscode", file);
        Assert.Contains("already", again);
        var inputs = JsonNode.Parse(await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken))!["inputs"]!.AsArray();
        Assert.Equal(["hub-key", "mine"], inputs.Select(input => input!["id"]!.GetValue<string>()));
    }

    [Theory]
    [InlineData("{\"mcpServers\":{}", "is not valid JSON")]
    [InlineData("{} {}", "is not valid JSON")]
    [InlineData("[]", "does not hold a JSON object")]
    [InlineData("{\"mcpServers\":[]}", "is not an object")]
    [InlineData("{\"mcpServers\":{},\"mcpServers\":{}}", "twice")]
    [InlineData("{\"mcpServers\":{\"hub\":1,\"hub\":2}}", "twice")]
    public async Task Write_FileThatIsNotAsExpected_IsLeftAlone(string before, string words)
    {
        using var folder = new TemporaryFolder();
        var file = Path.Combine(folder.Path, "mcp.json");
        await File.WriteAllTextAsync(file, before, TestContext.Current.CancellationToken);
        var (code, output, error) = await WriteAsync("cursor", file);
        Assert.Equal(1, code);
        Assert.Empty(output);
        Assert.Contains(words, error);
        Assert.Equal(before, await File.ReadAllTextAsync(file, TestContext.Current.CancellationToken));
        Assert.Equal([file], Directory.GetFiles(folder.Path));
    }

    [Fact]
    public async Task Write_FileBehindALink_KeepsTheLink()
    {
        Assert.SkipWhen(OperatingSystem.IsWindows(), "not run: needs rights to make links");
        using var folder = new TemporaryFolder();
        var (real, link) = (Path.Combine(folder.Path, "real.json"), Path.Combine(folder.Path, "link.json"));
        await File.WriteAllTextAsync(real, "{}", TestContext.Current.CancellationToken);
        File.CreateSymbolicLink(link, real);
        await WriteAsync("cursor", link);
        Assert.NotNull(new FileInfo(link).LinkTarget);
        Assert.Contains("hub", await File.ReadAllTextAsync(real, TestContext.Current.CancellationToken));
    }

    [Fact]
    public async Task Start_Message_ShowsTheCommandThatConnectPrints()
    {
        using var folder = new TemporaryFolder();
        await using var gateway = await GatewayProcess.ServeAsync(folder.Path, cancellationToken: TestContext.Current.CancellationToken);
        var (_, command, _) = await RunAsync("connect", "claude-code", "--command", "--url", gateway.BaseAddress.ToString());
        Assert.Contains(command.Trim(), gateway.Output);
        Assert.Contains($"gateway connect cursor --url {gateway.BaseAddress.ToString().TrimEnd('/')}", gateway.Output);
    }

    [Theory]
    [InlineData("--url", "http://127.0.0.1:1", "--key-file", "k", "--allow-http")]
    [InlineData]
    public void BridgeArguments_PlainOnes_AreReadWithoutTheLibrary(params string[] args) => Assert.True(BridgeCommand.TryParse(["bridge", .. args], out _));

    [Theory]
    [InlineData("bridge", "--help")]
    [InlineData("bridge", "--url")]
    [InlineData("bridge", "--url", "a", "--url", "b")]
    [InlineData("keys", "list")]
    public void BridgeArguments_AnythingElse_IsLeftToTheLibrary(params string[] args) => Assert.False(BridgeCommand.TryParse(args, out _));

    private static Task<(int Code, string Output, string Error)> WriteAsync(string client, string file, string url = "http://127.0.0.1:1") =>
        RunAsync("connect", client, "--url", url, "--write", "--file", file);

    private static async Task<(int Code, string Output, string Error)> RunAsync(params string[] args)
    {
        using var output = new StringWriter();
        using var error = new StringWriter();
        var code = await CommandLine.RunAsync(args, output, error, TestContext.Current.CancellationToken);
        return (code, output.ToString(), error.ToString());
    }
}
